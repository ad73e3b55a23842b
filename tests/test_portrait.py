"""Portraits: they say what the tables say, are refused where they do not add up, and cost no table and no record."""

import json

import numpy as np
import pandas as pd
import pytest
from board_records import memory, record
from hypothesis import given, settings
from hypothesis import strategies as st
from metric_tables import WARD, damaged, evaluation, real_table, ward
from synthward.benchmarks.cell import Limits, plan_cell
from synthward.benchmarks.pending import is_complete
from synthward.benchmarks.runner import measure_of, run_cell
from synthward.benchmarks.schema import Column, TableSchema
from synthward.benchmarks.validate import validate_store
from synthward.metrics import Evaluation, get
from synthward.metrics import portrait as module
from synthward.metrics.fidelity.associations import associations
from synthward.metrics.portrait import bin_edges, portray
from synthward.results.portrait import (
    DamagedPortraitError,
    Portrait,
    divided,
    portrait_digest,
    portrait_path,
    read_portrait,
)
from synthward.results.published import place, publish
from synthward.results.reading import PORTRAIT_NAME, RECORD_NAME, read_files, read_records
from synthward.results.record import Attachment, Measurement, Status, cell_id
from synthward.results.store import Store, sha256_file

LIMITS = Limits(generate_seconds=60, evaluate_seconds=60, memory_mb=4096)
METRICS = ["column_shapes", "valid_rows"]
ROUNDED = 5e-4  # relative error of four digits


def of_ward(**changes):
    return portray(evaluation(damaged(WARD, ward(90, seed=9)), **changes))


def sides(portrait):
    return [side for column in portrait.columns for side in (column.real, column.synthetic)]


# What it says


@pytest.mark.parametrize("table", ["ward", "pbc", "copy"])
def test_shares_are_those_of_the_tables(table):
    if table == "pbc":
        schema, split = real_table("pbc", rows=300)
        evaluated = Evaluation(schema, split.train, split.control, split.test, damaged(schema, split.control))
    else:
        made = ward(120, seed=1) if table == "copy" else damaged(WARD, ward(90, seed=9))
        evaluated = evaluation(made)
    portrait = portray(evaluated)
    assert [c.name for c in portrait.columns] == list(evaluated.schema.names)
    for column in portrait.columns:
        for rows, side in ((evaluated.train, column.real), (evaluated.synthetic, column.synthetic)):
            values = rows[column.name]
            assert side.missing == pytest.approx(values.isna().mean(), rel=ROUNDED)
            if column.numeric:
                inside = np.clip(values.dropna(), column.edges[0], np.nextafter(column.edges[-1], -np.inf))
                counts = np.histogram(inside, column.edges)[0]
            else:
                found = values.value_counts()
                counts = np.array([found.get(c, 0) for c in column.categories])
                assert side.other == pytest.approx((found.sum() - counts.sum()) / len(rows), rel=ROUNDED)
            assert side.shares == pytest.approx(counts / len(rows), rel=ROUNDED)
            assert sum(side.shares) + side.other + side.missing == pytest.approx(1, abs=1e-3)
        if table == "copy":
            assert column.real == column.synthetic


def test_many_categories_become_the_frequent_ones_and_the_rest():
    codes = [f"c{n:02}" for n in range(30)]
    schema = TableSchema(columns=(Column(name="a", kind="categorical", codes=codes), *WARD.columns[:1]))
    labels = [code for n, code in enumerate(codes) for _ in range(n + 1)]
    real = pd.DataFrame({"a": np.array(labels, dtype=object), "age": 1.0})
    portrait = portray(Evaluation(schema, real, real, real, real.assign(a="new")))
    column = portrait.columns[0]
    assert column.categories == tuple(reversed(codes[-module.CATEGORIES :]))
    assert column.real.other == pytest.approx(sum(range(19)) / 465, rel=ROUNDED)
    assert (column.synthetic.shares, column.synthetic.other) == ((0.0,) * module.CATEGORIES, 1.0)


def test_ordinal_categories_keep_their_order():
    stage = next(c for c in of_ward().columns if c.name == "stage")
    assert stage.categories[:4] == ("1", "2", "3", "4")


@pytest.mark.parametrize("name", ["pbc", "breast_cancer"])
def test_associations_are_those_of_the_metric(name):
    schema, split = real_table(name, rows=400)
    evaluated = Evaluation(schema, split.train, split.control, split.test, damaged(schema, split.control))
    found = portray(evaluated).associations
    assert found.names == schema.names
    expected = [associations(evaluated, part) for part in ("train", "synthetic")]
    assert len(found.pairs()) == len(expected[0])
    for a, b, *strengths in found.pairs():
        for strength, known in zip(strengths, expected, strict=True):
            value = known["|".join(sorted((a, b)))]
            assert (strength is None) == np.isnan(value)
            assert strength is None or strength == pytest.approx(value, rel=ROUNDED, abs=1e-9)
    numeric = split.train[list(schema.numeric)]
    pearson = numeric.corr()
    for a, b, real, _ in found.pairs():
        if {a, b} <= set(schema.numeric):
            assert real == pytest.approx(pearson.loc[a, b], rel=1e-3, abs=1e-6)


def gower(queries, rows, train):
    """Distances to the nearest of some rows, one pair after the other."""
    span = {n: train[n].max() - train[n].min() for n in WARD.numeric}

    def distance(a, b):
        gaps = []
        for name in WARD.names:
            x, y = a[name], b[name]
            if pd.isna(x) or pd.isna(y):
                gaps.append(float(pd.isna(x) != pd.isna(y)))
            else:
                gaps.append(min(1.0, abs(x - y) / span[name]) if name in span else float(x != y))
        return np.mean(gaps)

    records = rows.to_dict("records")
    return np.array([min(distance(query, row) for row in records) for query in queries.to_dict("records")])


def test_distances_are_those_of_the_naive_search():
    evaluated = evaluation(ward(40, seed=9), n=60)
    found = portray(evaluated).distances
    assert (found.rows, found.among) == (40, 60)
    for side, rows in ((found.train, evaluated.train), (found.control, evaluated.control)):
        inside = np.minimum(gower(evaluated.synthetic, rows, evaluated.train), np.nextafter(found.edges[-1], 0))
        assert side == pytest.approx(np.histogram(inside, found.edges)[0] / 40, rel=ROUNDED)


def test_a_copy_has_no_distance_to_its_train_rows():
    found = portray(evaluation(ward(120, seed=1))).distances
    assert found.train[0] == 1
    assert found.control[0] < 0.2


def test_without_control_rows_there_are_no_distances():
    assert of_ward(control=ward(0)).distances is None
    one = TableSchema(columns=WARD.columns[:1])
    assert portray(evaluation(ward(50), schema=one)).associations is None


def test_large_tables_are_drawn_from_and_wide_ones_cut(monkeypatch):
    monkeypatch.setattr(module, "MOST_ROWS", 50)
    monkeypatch.setattr(module, "MOST_COLUMNS", 5)
    monkeypatch.setattr(module, "MOST_ASSOCIATED", 3)
    monkeypatch.setattr(module, "COMPARISONS", 120 * 8 * 20)
    portrait = of_ward()
    assert (portrait.real.rows, portrait.real.of) == (50, 120)
    assert (portrait.synthetic.rows, portrait.synthetic.of) == (50, 90)
    assert [c.name for c in portrait.columns] == ["age", "systolic", "diastolic", "lactate", "died"]
    assert portrait.left_out == ("sex", "unit", "stage")
    assert portrait.associations.names == ("age", "systolic", "died")
    assert portrait.associations.left_out == ("diastolic", "lactate", "sex", "unit", "stage")
    assert portrait.distances.rows == 20
    assert portrait == of_ward()


def test_a_portrait_is_the_same_whatever_was_measured_before():
    made, plain = (evaluation(damaged(WARD, ward(90, seed=9))) for _ in range(2))
    for name in ("association_distance", "dcr", "dcr_share", "column_shapes"):
        get(name).measure(made)
    assert portray(made) == portray(plain)


ODD = st.floats(allow_nan=True, allow_infinity=True)
LABELS = st.sampled_from(["a", "b", "", "a\x00b", "x" * 400, None])


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.tuples(ODD, LABELS), min_size=1, max_size=30), st.lists(st.tuples(ODD, LABELS), min_size=1, max_size=30)
)
def test_any_two_tables_have_a_portrait_that_can_be_read_again(real, synthetic):
    columns = (Column(name="x", kind="continuous", missing=True), Column(name="c", kind="categorical", codes=["a"]))
    train, made = (
        pd.DataFrame({"x": [float(x) for x, _ in rows], "c": np.array([c for _, c in rows], dtype=object)})
        for rows in (real, synthetic)
    )
    portrait = portray(Evaluation(TableSchema(columns=columns), train, train, train, made))
    assert Portrait.model_validate_json(portrait.to_json()) == portrait
    for side in sides(portrait):
        assert sum(side.shares) + side.other + side.missing == pytest.approx(1, abs=1e-3)
    for _, _, *strengths in portrait.associations.pairs():
        assert all(s is None or -1 <= s <= 1 for s in strengths)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), max_size=60))
def test_edges_ascend_and_are_few(values):
    edges = bin_edges(np.array(values))
    assert 2 <= len(edges) <= module.BINS + 3
    assert (edges[1:] > edges[:-1]).all()
    assert np.isfinite(edges).all()
    if len(values) and len(edges) > 2:
        low, high = np.quantile(values, module.ENDS, method="nearest")
        rounding = 1e-6 * (high / 2 - low / 2)
        assert edges[0] - rounding <= low <= high <= edges[-1] + rounding


@pytest.mark.parametrize(
    ("values", "edges"),
    [
        ([1, 2, 3], [0.5, 1.5, 2.5, 3.5]),
        (range(101), np.arange(-0.5, 100, 5)),
        ([7], [6.5, 7.5]),
        ([], [0, 1]),
        (np.linspace(0, 1, 201), np.arange(0, 1.01, 0.05)),
    ],
)
def test_edges_are_round(values, edges):
    values = np.array(values, dtype=float)
    assert bin_edges(values, whole=bool((values == values.round()).all())) == pytest.approx(np.array(edges))


# What is stored, and read again


def test_numbers_are_short_and_the_file_is_one_line():
    text = of_ward().to_json()
    assert text.count("\n") == 1
    assert text.endswith("\n")
    numbers = [s for side in sides(of_ward()) for s in (*side.shares, side.other, side.missing)]
    assert all(float(f"{n:.4g}") == n for n in numbers)
    assert "NaN" not in text


def stored(tmp_path, portrait, **changes):
    """A portrait beside its record in a store."""
    store = Store(tmp_path / "store")
    made = record("g", values={"m": 0.5}, **changes)
    made = made.model_copy(update={"id": cell_id(made.identity)})
    folder = tmp_path / "made"
    folder.mkdir()
    path = folder / PORTRAIT_NAME
    path.write_text(portrait if isinstance(portrait, str) else portrait.to_json())
    attached = Attachment(path=PORTRAIT_NAME, sha256=sha256_file(path), size=path.stat().st_size)
    return store, store.put(made.model_copy(update={"attachments": (attached,)}), folder)


def beside(store, made):
    return portrait_path(store.folder(made.id) / RECORD_NAME)


def test_a_portrait_is_found_in_a_store_and_where_it_is_published(tmp_path):
    portrait = of_ward()
    store, made = stored(tmp_path, portrait)
    published = tmp_path / "published"
    assert publish(store, list(store.records()), published) == 0
    assert (published / place(made).with_suffix(".portrait.json")).is_file()
    for folder in (store.root, published, published / "d"):
        ((file, found),) = read_files(folder, pytest.fail)
        assert read_portrait(portrait_path(file), portrait_digest(found)) == portrait
    path = portrait_path(file)
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert read_portrait(path, portrait_digest(found)) == portrait
    assert portrait_digest(found.model_copy(update={"attachments": ()})) == ""


def test_nothing_of_single_columns_is_published_of_a_private_table(tmp_path):
    values = {"m": Measurement(metric="m", value=0.5, breakdown={"hiv status": 0.1})}
    store, made = stored(tmp_path, of_ward(), sharing="local-only")
    store.put(made.model_copy(update={"measurements": tuple(values.values())}))
    published = tmp_path / "published"
    assert publish(store, list(store.records()), published) == 0
    assert not list(published.rglob("*.portrait.json"))
    assert not any("hiv" in path.read_text() for path in published.rglob("*.json"))
    (found,) = read_records(published, pytest.fail)
    assert found.measurements[0].value == 0.5


def test_a_record_whose_portrait_is_gone_is_not_fit_to_be_published(tmp_path):
    store, made = stored(tmp_path, of_ward())
    (store.folder(made.id) / PORTRAIT_NAME).unlink()
    faults = [fault.text for fault in validate_store(store).faults]
    assert any("portrait.json is not the file that was recorded: run its cell again" in text for text in faults)


def test_a_table_whose_portrait_is_gone_is_measured_again_and_not_made_again(tmp_path):
    store, made = stored(tmp_path, of_ward())
    (store.folder(made.id) / PORTRAIT_NAME).write_text("{}")
    again = store.recover(made.id)
    assert (again.measurements, again.attachments, again.status) == ((), (), made.status)
    assert store.quarantined() == []


PLAIN = json.loads(of_ward().to_json())
COLUMN = PLAIN["columns"][0]


def changed(**changes):
    return json.dumps({**PLAIN, **changes})


def with_column(**changes):
    return changed(columns=[{**COLUMN, **changes}])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "the whole: Invalid JSON"),
        ("[" * 100_000, "the whole: Invalid JSON"),
        ("[]", "the whole: Input should be an object"),
        (changed(version=2), "version: Input should be 1"),
        (changed(rows=[[1, 2]]), "rows: Extra inputs are not permitted"),
        (changed(columns=[COLUMN] * 600), "columns: Tuple should have at most 512 items"),
        (with_column(name="x" * 301), "columns.0.name: String should have at most 300 characters"),
        (with_column(kind="picture"), "columns.0.kind: Input should be"),
        (with_column(edges=[2.0, 1.0]), "columns.0: its edges do not ascend"),
        (with_column(edges=[1.0, 2.0]), "columns.0: the shares are not those of its bins"),
        (with_column(categories=["a"]), "columns.0: the shares are not those of its bins"),
        (with_column(real={"shares": [0.5]}), "columns.0.real: the shares do not sum to 1"),
        (with_column(real={"shares": [-1, 2]}), "columns.0.real.shares.0: Input should be greater than"),
        (with_column(real={"shares": [0] * 65}), "columns.0.real.shares: Tuple should have at most 64 items"),
        (with_column(real={"shares": "NaN"}).replace('"NaN"', "[NaN]"), "columns.0.real.shares.0: Input should be"),
        (changed(associations={"names": ["a", "b"], "real": [[], [2]], "synthetic": [[], [0]]}), "associations.real"),
        (changed(associations={"names": ["a", "b"], "real": [[0], []], "synthetic": [[], [0]]}), "not those of its"),
        (changed(associations={"names": ["a"] * 65, "real": [], "synthetic": []}), "at most 64 items"),
        (changed(distances=PLAIN["distances"] | {"train": [1]}), "distances: the shares are not"),
        (changed(distances=PLAIN["distances"] | {"rows": 0}), "distances.rows: Input should be greater"),
        (" " * (4 * 2**20 + 1), "it is larger than 4,194,304 bytes"),
    ],
)
def test_what_is_no_portrait_is_one_clear_line(tmp_path, text, said):
    store, made = stored(tmp_path, text)
    path = beside(store, made)
    with pytest.raises(DamagedPortraitError) as refused:
        read_portrait(path, portrait_digest(made))
    assert str(refused.value).startswith(f"{path} is no portrait: ")
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_portrait_that_is_another_or_gone_is_refused(tmp_path):
    store, made = stored(tmp_path, of_ward())
    path = beside(store, made)
    path.write_text(path.read_text().replace("0", "1", 1))
    with pytest.raises(DamagedPortraitError, match="is not the portrait that its record was stored with"):
        read_portrait(path, portrait_digest(made))
    path.unlink()
    with pytest.raises(DamagedPortraitError, match=r"cannot be read .*: copy it beside its record"):
        read_portrait(beside(store, made), portrait_digest(made))


def test_breakdowns_leave_the_measurements_but_for_what_is_said_of_a_language_model():
    shapes = Measurement(metric="shapes", value=0.5, breakdown={"age": 0.123456, "sex": None})
    made = record(values={"shapes": shapes, "memorisation": memory()})
    cards = made.cards | {
        "memorisation": made.cards["memorisation"].model_copy(update={"needs": get("memorisation").card.needs})
    }
    kept, parts = divided(made.measurements, cards)
    assert [m.breakdown for m in kept] == [{}, *(m.breakdown for m in memory())]
    assert [m.value for m in kept] == [m.value for m in made.measurements]
    assert [(p.metric, p.parts) for p in parts] == [("shapes", {"age": 0.1235, "sex": None})]


# How it is made


@pytest.fixture
def public(small_card):
    return {**small_card, "sharing": "public"}


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "runs")


def cell_of(card, name="Fine", **params):
    generator = {"_target_": f"faulty.{name}", **params}
    return plan_cell({"dataset": card, "generator": generator, "protocol": {"split_seed": 0}, "seed": 0})


def portrait_of(store, made):
    return read_portrait(beside(store, made), portrait_digest(made))


def times(store, made):
    return (store.folder(made.id) / "synthetic.parquet").stat().st_mtime_ns


def test_a_cell_of_a_public_table_has_its_portrait(public, store, worker):
    made = run_cell(cell_of(public), METRICS, store, worker, LIMITS)
    assert [a.path for a in made.attachments] == [PORTRAIT_NAME]
    assert [m.breakdown for m in made.measurements] == [{}, {}]
    portrait = portrait_of(store, made)
    assert [c.name for c in portrait.columns] == ["age", "pressure", "sex", "ward", "died"]
    assert [b.metric for b in portrait.breakdowns] == ["column_shapes"]
    assert set(portrait.breakdowns[0].parts) == {"age", "pressure", "sex", "ward", "died"}
    assert is_complete(made, map(measure_of, METRICS), LIMITS.model_dump())
    assert run_cell(cell_of(public), METRICS, store, worker, LIMITS) == made


def test_a_private_table_has_none_and_keeps_its_breakdowns(small_card, store, worker):
    made = run_cell(cell_of(small_card), METRICS, store, worker, LIMITS)
    assert made.attachments == ()
    assert "portrait" not in made.details
    assert set(made.measurements[0].breakdown) == {"age", "pressure", "sex", "ward", "died"}
    assert not list(store.root.rglob(PORTRAIT_NAME))
    assert is_complete(made, map(measure_of, METRICS), LIMITS.model_dump())


def test_a_table_that_became_private_is_not_portrayed(small_card, public, store, worker):
    made = run_cell(cell_of(public), [], store, worker, LIMITS)
    assert made.attachments == ()
    again = run_cell(cell_of(small_card), METRICS, store, worker, LIMITS)
    assert again.id == made.id
    assert again.attachments == ()
    assert again.details["portrait"] == "the table is not public"


def test_a_store_without_portraits_gets_them_and_nothing_is_made_or_measured_again(public, store, worker):
    made = run_cell(cell_of(public), METRICS, store, worker, LIMITS)
    portrait = portrait_of(store, made)
    (breakdown,) = portrait.breakdowns
    old = made.measurements[0].model_copy(update={"breakdown": breakdown.parts, "seconds": 1234.5})
    earlier = store.put(made.model_copy(update={"attachments": (), "measurements": (old, made.measurements[1])}))
    (store.folder(made.id) / PORTRAIT_NAME).unlink()
    before = times(store, made)
    assert not is_complete(earlier, map(measure_of, METRICS), LIMITS.model_dump())
    again = run_cell(cell_of(public), METRICS, store, worker, LIMITS)
    assert times(store, made) == before
    assert again.measurements == (old.model_copy(update={"breakdown": {}}), made.measurements[1])
    assert portrait_of(store, again) == portrait


def test_a_new_metric_keeps_the_portrait_and_what_else_is_attached(public, store, worker):
    first = run_cell(cell_of(public), METRICS, store, worker, LIMITS)
    drawn = portrait_of(store, first)
    kept = store.root / "kept"
    kept.mkdir()
    (kept / "transcript.jsonl.gz").write_bytes(b"replies")
    transcript = Attachment(path="transcript.jsonl.gz", sha256=sha256_file(kept / "transcript.jsonl.gz"), size=7)
    store.put(first.model_copy(update={"attachments": (transcript, *first.attachments)}), kept)
    again = run_cell(cell_of(public), [*METRICS, "ks_complement"], store, worker, LIMITS)
    assert [a.path for a in again.attachments] == ["transcript.jsonl.gz", PORTRAIT_NAME]
    assert again.attachments[0] == transcript
    assert (store.folder(again.id) / "transcript.jsonl.gz").read_bytes() == b"replies"
    found = portrait_of(store, again)
    assert [b.metric for b in found.breakdowns] == ["column_shapes", "ks_complement"]
    assert found.model_copy(update={"breakdowns": drawn.breakdowns}) == drawn


def test_a_metric_that_is_measured_again_has_its_new_breakdown(public, store, worker):
    first = run_cell(cell_of(public), METRICS, store, worker, LIMITS)
    before = portrait_of(store, first)
    store.put(first.model_copy(update={"measurements": first.measurements[1:]}))
    again = run_cell(cell_of(public), METRICS, store, worker, LIMITS)
    assert portrait_of(store, again) == before


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ("raises", "ValueError: no likeness of this"),
        ("dies", "the process ended by itself with exit status 3"),
        ("hangs", "killed after"),
    ],
)
def test_what_cannot_be_portrayed_keeps_its_record(public, store, worker, tmp_path, monkeypatch, how, reason):
    monkeypatch.chdir(tmp_path)
    limits = Limits(generate_seconds=60, evaluate_seconds=3, memory_mb=4096)
    cell = cell_of(public, "Unportrayable", how=how)
    made = run_cell(cell, METRICS, store, worker, limits)
    assert made.status is Status.OK
    assert made.attachments == ()
    assert made.details["portrait"].startswith(reason)
    assert [m.status for m in made.measurements] == [Status.OK, Status.OK]
    assert set(made.measurements[0].breakdown) == {"age", "pressure", "sex", "ward", "died"}
    assert is_complete(made, map(measure_of, METRICS), limits.model_dump())
    assert not is_complete(made, map(measure_of, METRICS), limits.model_dump(), "failed")
    assert run_cell(cell, METRICS, store, worker, limits) == made


def test_a_portrait_that_failed_is_made_when_failures_are_to_be_tried_again(public, store, worker):
    made = run_cell(cell_of(public), METRICS, store, worker, LIMITS)
    failed = made.model_copy(update={"attachments": (), "details": {**made.details, "portrait": "no likeness"}})
    store.put(failed)
    assert run_cell(cell_of(public), METRICS, store, worker, LIMITS).details["portrait"] == "no likeness"
    again = run_cell(cell_of(public), METRICS, store, worker, LIMITS, retry="failed")
    assert "portrait" not in again.details
    assert portrait_of(store, again).columns


def test_a_metric_that_dies_last_does_not_cost_the_portrait(public, store, worker):
    made = run_cell(cell_of(public), ["valid_rows", "odd_metrics.dies"], store, worker, LIMITS)
    assert [m.status for m in made.measurements] == [Status.OK, Status.CRASHED]
    assert portrait_of(store, made).columns


def test_no_generator_may_put_its_file_in_the_place_of_the_portrait(public, store, worker):
    made = run_cell(cell_of(public, "Forges"), [], store, worker, LIMITS)
    assert (made.status, made.message) == (
        Status.INVALID,
        "attachments() has a file named 'portrait.json': choose a plain name of its own",
    )
