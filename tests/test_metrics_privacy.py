"""Privacy metrics: planted leaks are found at the planted rate, and every search equals its naive form."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from metric_tables import WARD, evaluation, subset, ward
from scipy.stats import binom, binomtest, poisson
from synthward.benchmarks.schema import Column, TableSchema
from synthward.metrics import Evaluation, get
from synthward.metrics.encoding import Encoded, encoded, row_keys
from synthward.metrics.privacy import proximity
from synthward.metrics.privacy.gower import BLOCK, Space, gower_spaces, kneighbors, nearest
from synthward.metrics.privacy.near_equal import near_equal
from synthward.metrics.summary import rare_share_value, share_value
from synthward.results.record import Measurement


def measure(name: str, evaluation: Evaluation) -> dict[str, Measurement]:
    return {m.variant: m for m in get(name).measure(evaluation)}


@pytest.mark.parametrize("rate", [0.05, 0.2])
def test_planted_leak_is_found_at_its_rate(rate: float) -> None:
    """Train rows pasted into an independent table, and the same rows with numbers moved by less than 1 %."""
    n = 1000
    train, synthetic = ward(n, 1), ward(n, 4)
    leaked = int(rate * n)
    clean = evaluation(synthetic, n=n, train=train)
    chance = {name: measure(name, clean)["train"].value for name in ("duplicates", "near_duplicates")}
    assert max(chance.values()) < 0.01

    pasted = pd.concat([train.iloc[:leaked], synthetic.iloc[leaked:]], ignore_index=True)
    leak = evaluation(pasted, n=n, train=train)
    assert measure("duplicates", leak)["train"].value == pytest.approx(rate, abs=0.01)
    assert measure("near_duplicates", leak)["train"].value == pytest.approx(rate, abs=0.01)
    gain = measure("dcr_share", leak)[""].value - measure("dcr_share", clean)[""].value
    assert gain == pytest.approx(rate / 2, abs=0.02)

    moved = pasted.copy()
    moved.loc[: leaked - 1, "age"] *= 1.004
    near = evaluation(moved, n=n, train=train)
    assert measure("duplicates", near)["train"].value < 0.01
    assert measure("near_duplicates", near)["train"].value == pytest.approx(rate, abs=0.01)


def test_copy_and_real_are_the_extremes() -> None:
    train, control = ward(300, 1), ward(300, 2)
    copy = evaluation(train.copy(), train=train, control=control)
    assert measure("duplicates", copy)["train"].value == 1
    assert measure("near_duplicates", copy)["train"].value == 1
    assert measure("dcr_share", copy)[""].value == 1
    real = evaluation(control.copy(), train=train, control=control)
    assert measure("duplicates", real)["train"].value == measure("duplicates", real)["control"].value
    assert measure("near_duplicates", real)["train"].value == measure("near_duplicates", real)["control"].value
    assert measure("dcr_share", real)[""].value == 0


def test_independent_rows_are_as_near_to_train_as_to_control() -> None:
    """Over twenty worlds the share is one half, also where control is half as large as train."""
    found = []
    for seed in range(20):
        tables = {"train": ward(200, 10 * seed + 1), "control": ward(100, 10 * seed + 2)}
        found.append(measure("dcr_share", evaluation(ward(200, 10 * seed + 4), **tables))[""].value)
    assert np.mean(found) == pytest.approx(0.5, abs=0.03)


def test_equal_distances_count_half() -> None:
    """Train and control hold the same rows: every distance is a tie."""
    found = measure("dcr_share", evaluation(ward(50, 4), train=ward(60, 1), control=ward(60, 1)))[""]
    assert found.value == 0.5
    assert found.low < 0.5 < found.high


def test_rows_that_share_their_nearest_row_count_as_one() -> None:
    """Ten copies of each synthetic row are worth no more than one, and the interval says so."""
    tables = {"train": ward(120, 1), "control": ward(120, 2)}
    once = measure("dcr_share", evaluation(ward(100, 4), **tables))[""]
    tenfold = measure("dcr_share", evaluation(pd.concat([ward(100, 4)] * 10, ignore_index=True), **tables))[""]
    assert (tenfold.value, tenfold.n) == (once.value, 1000)
    assert (tenfold.low, tenfold.high) == pytest.approx((once.low, once.high))
    plain = share_value(once.value * 100, 100)
    assert once.low < plain.low
    assert once.high > plain.high
    nearest_itself = measure("dcr_share", evaluation(ward(120, 1), **tables))[""]
    assert nearest_itself.high == 1
    assert nearest_itself.low > 0.95


def test_collapse_shows_within() -> None:
    table = ward(50, 4)
    repeated = table.iloc[np.repeat(np.arange(10), 5)].reset_index(drop=True)
    assert measure("duplicates", evaluation(repeated))["within"].value == pytest.approx(0.8)


def test_missing_equals_missing_alone() -> None:
    schema = subset(WARD, ["lactate", "unit"])
    train = schema.canonical(pd.DataFrame({"lactate": [np.nan, 1.0], "unit": ["general", None]}))
    rows = [(np.nan, "general"), (1.0, None), (np.nan, None), (1.0, "general"), (1.005, None), (-1.0, None)]
    synthetic = schema.canonical(pd.DataFrame(rows, columns=["lactate", "unit"]))
    evaluated = evaluation(synthetic, schema, train=train)
    assert measure("duplicates", evaluated)["train"].value == pytest.approx(2 / 6)
    assert measure("near_duplicates", evaluated)["train"].value == pytest.approx(3 / 6)


@pytest.mark.parametrize(("hits", "n"), [(0, 10), (10, 10), (3, 7), (40, 1000)])
def test_interval_of_a_share_is_wilsons(hits: int, n: int) -> None:
    ours = share_value(hits, n)
    theirs = binomtest(hits, n).proportion_ci(method="wilson")
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=1e-12)


@pytest.mark.parametrize("hits", [1, 2, 3])
def test_few_hits_have_the_bound_of_the_poisson_distribution(hits: int) -> None:
    found = rare_share_value(hits, 300)
    assert poisson.sf(hits - 1, 300 * found.low) == pytest.approx(0.05)
    assert found.low < share_value(hits, 300).low
    assert found.high == share_value(hits, 300).high


@pytest.mark.parametrize("name", ["duplicates", "near_duplicates"])
def test_copies_are_rare_shares(name: str) -> None:
    train = ward(60, 1)
    one = pd.concat([train.head(1), ward(99, 4)], ignore_index=True)
    found = measure(name, evaluation(one, train=train))["train"]
    assert (found.value, found.low) == pytest.approx((0.01, rare_share_value(1, 100).low))


@pytest.mark.parametrize(("hits", "n"), [(0, 300), (4, 300), (3, 3), (1, 1)])
def test_no_hits_and_more_than_a_few_have_wilsons_interval(hits: int, n: int) -> None:
    assert rare_share_value(hits, n) == share_value(hits, n)


@pytest.mark.parametrize("share", [0.0003, 0.001, 0.003, 0.01, 0.03])
def test_intervals_of_rare_shares_cover_them(share: float) -> None:
    """Reckoned and not simulated: the chance of a number of hits whose interval holds the share."""
    n = 300
    intervals = [(rare_share_value(hits, n).low, rare_share_value(hits, n).high) for hits in range(n + 1)]
    covering = [hits for hits, (low, high) in enumerate(intervals) if low <= share <= high]
    assert binom.pmf(covering, n, share).sum() > 0.94


# Searches against their naive forms

NUMBERS = st.sampled_from([np.nan, -0.0, 0.0, 100.0, 100.9, 101.0, 102.0, -50.0, -50.4, 1e-9])
ROWS = st.lists(st.tuples(NUMBERS, NUMBERS, st.integers(-1, 2)), min_size=1, max_size=12)


def _encoded(rows: list[tuple[float, float, int]]) -> Encoded:
    numbers = np.array([row[:2] for row in rows])
    return Encoded(numbers, np.array([row[2:] for row in rows]), np.array([3]))


@given(ROWS, ROWS)
@settings(max_examples=150, deadline=None, derandomize=True)
def test_near_equal_is_the_naive_search(queries: list, rows: list) -> None:
    def near(query: tuple, row: tuple) -> bool:
        pairs = zip(query[:2], row[:2], strict=True)
        numbers = [(np.isnan(q) and np.isnan(r)) or abs(q - r) <= abs(0.01 * q) for q, r in pairs]
        return all(numbers) and query[2] == row[2]

    expected = [any(near(query, row) for row in rows) for query in queries]
    assert near_equal(_encoded(queries), _encoded(rows)).tolist() == expected


@given(ROWS, ROWS)
@settings(max_examples=100, deadline=None, derandomize=True)
def test_row_keys_are_equal_where_rows_are(train: list, synthetic: list) -> None:
    schema = TableSchema(
        columns=(
            Column(name="x", kind="continuous"),
            Column(name="y", kind="continuous"),
            Column(name="k", kind="categorical", codes=["0", "1", "2"]),
        )
    )

    def table(rows: list) -> pd.DataFrame:
        frame = pd.DataFrame(rows, columns=["x", "y", "k"])
        return schema.canonical(frame.assign(k=[None if k < 0 else str(k) for k in frame["k"]]))

    tables = {"train": table(train), "synthetic": table(synthetic)}
    keys = row_keys(Evaluation(schema, control=tables["train"], test=tables["train"], **tables))
    # As text, because NaN is not equal to itself; + 0.0 because the two zeros are equal.
    joint = [str((x + 0.0, y + 0.0, k)) for x, y, k in [*train, *synthetic]]
    joined = np.concatenate([keys["train"], keys["synthetic"]])
    for i in range(len(joint)):
        assert [joined[i] == key for key in joined] == [joint[i] == row for row in joint]


def test_gower_distances_are_the_naive_ones() -> None:
    """With gaps in both tables, a column that is constant in train, and numbers beyond its range."""
    train, synthetic = ward(40, 1).assign(age=50.0), ward(30, 4)
    synthetic.loc[:4, "age"] = 50.0
    synthetic.loc[5, "systolic"] = 900.0
    evaluated = evaluation(synthetic, train=train)
    spaces = gower_spaces(evaluated)

    def difference(name: str, a: object, b: object) -> float:
        if pd.isna(a) or pd.isna(b):
            return float(pd.isna(a) != pd.isna(b))
        if not WARD[name].numeric:
            return float(a != b)
        width = train[name].max() - train[name].min()
        return min(abs(a - b) / width, 1) if width else float(a != b)

    expected = [
        min(np.mean([difference(n, s[n], r[n]) for n in WARD.names]) for _, r in train.iterrows())
        for _, s in synthetic.iterrows()
    ]
    np.testing.assert_allclose(nearest(spaces["synthetic"], spaces["train"])[:, 0], expected, atol=1e-12)


STEPS = st.sampled_from([-0.3, 0.0, 0.1, 0.1001, 0.25, 0.5, 0.9999, 1.0, 1.7])


@st.composite
def spaces(draw: st.DrawFn) -> tuple[Space, Space]:
    """Two tables of the same columns, with gaps, ties, numbers beyond the range and labels by the hundred."""
    n_numbers, n_codes = draw(st.integers(0, 3)), draw(st.integers(0, 3))
    n_codes = n_codes or int(n_numbers == 0)
    tables = []
    for _ in range(2):
        n = draw(st.integers(1, 12))
        missing = draw(arrays(bool, (n, n_numbers)))
        numbers = np.where(missing, 0.0, draw(arrays(float, (n, n_numbers), elements=STEPS)))
        tables.append(Space(numbers, missing, draw(arrays(np.int64, (n, n_codes), elements=st.sampled_from(CODES)))))
    return tables[0], tables[1]


CODES = [-1, 0, 1, 255, 2**15, 2**15 - 1]


@given(spaces(), st.integers(1, 3))
@settings(max_examples=150, deadline=None, derandomize=True)
def test_nearest_is_the_naive_search(tables: tuple[Space, Space], k: int) -> None:
    queries, rows = tables
    gap = np.minimum(np.abs(queries.numbers[:, None] - rows.numbers), 1)
    unknown, unknown_too = queries.missing[:, None], rows.missing
    gap = np.where(unknown | unknown_too, unknown != unknown_too, gap)
    differences = np.concatenate([gap, queries.codes[:, None] != rows.codes], axis=2)
    expected = np.full((len(queries), k), np.inf)
    expected[:, : len(rows)] = np.sort(differences.mean(axis=2), axis=1)[:, :k]
    found, numbers = kneighbors(queries, rows, k)
    np.testing.assert_allclose(found, expected, atol=1e-12)
    there = numbers >= 0
    assert (there == np.isfinite(expected)).all()
    own = np.take_along_axis(differences.mean(axis=2), np.where(there, numbers, 0), axis=1)
    np.testing.assert_allclose(own[there], expected[there], atol=1e-12)
    assert all(len(set(row[row >= 0])) == (row >= 0).sum() for row in numbers)


def test_nearest_of_many_columns_and_many_rows_is_the_naive_search() -> None:
    """More label columns than one byte counts, and more rows than one block holds."""
    rng = np.random.default_rng(0)
    wide = [Space(np.zeros((n, 0)), np.zeros((n, 0), bool), rng.integers(0, 2, (n, 600))) for n in (5, 40)]
    expected = (wide[0].codes[:, None] != wide[1].codes).mean(axis=2).min(axis=1)
    np.testing.assert_allclose(nearest(*wide)[:, 0], expected, atol=1e-12)
    long = [Space(rng.random((n, 2)), np.zeros((n, 2), bool), np.zeros((n, 0), int)) for n in (3, BLOCK)]
    expected = np.abs(long[0].numbers[:, None] - long[1].numbers).mean(axis=2).min(axis=1)
    np.testing.assert_allclose(nearest(*long)[:, 0], expected, atol=1e-12)
    # Alike to less than a step of the whole numbers in every column: their rounding alone must not decide.
    alike = [Space(0.5 + 1e-3 * rng.random((n, 20)), np.zeros((n, 20), bool), np.zeros((n, 0), int)) for n in (9, 300)]
    expected = np.abs(alike[0].numbers[:, None] - alike[1].numbers).mean(axis=2).min(axis=1)
    np.testing.assert_allclose(nearest(*alike)[:, 0], expected, atol=1e-12)


def test_closest_records_are_those_of_the_naive_search() -> None:
    """Of a copy, of control rows themselves, and where rows to search for are drawn."""
    train, control = ward(60, 1), ward(50, 2)
    copy = measure("dcr", evaluation(train.copy(), train=train, control=control))
    assert copy["train_median"].value == pytest.approx(0, abs=0.02)  # of the train rows that control's number leaves
    assert copy["control_p05"].value > 0.02
    real = measure("dcr", evaluation(control.copy(), train=train, control=control))
    assert real["control_p05"].value == real["control_median"].value == 0
    found = evaluation(ward(40, 4), train=train, control=control)
    distances = nearest(gower_spaces(found)["synthetic"], gower_spaces(found)["train"], 2)
    assert measure("nndr", found)["train"].value == pytest.approx(np.quantile(distances[:, 0] / distances[:, 1], 0.05))
    assert measure("nndr", evaluation(train.copy(), train=train))["train"].value == 0
    twice = pd.concat([train, train], ignore_index=True)
    assert measure("nndr", evaluation(train.copy(), train=twice))["train"].value == 1


def test_too_many_pairs_are_drawn_and_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proximity, "PAIRS", 30 * 120)
    for name in ("dcr", "dcr_share", "nndr"):
        for measurement in measure(name, evaluation(ward(200, 4))).values():
            total = 120 if measurement.variant == "control" else 200
            assert (measurement.n, measurement.population, measurement.sample_seed) == (30, total, 0)


def test_searches_take_bounded_memory() -> None:
    """Tables whose matrix of distances would take 288 MB, in much less than that."""
    rng, n = np.random.default_rng(0), 6000
    space = Space(rng.random((n, 3)), rng.random((n, 3)) < 0.1, rng.integers(0, 3, (n, 2)))
    table = Encoded(rng.integers(1, 4, (n, 2)).astype(float), rng.integers(0, 2, (n, 1)), np.array([2]))
    tracemalloc.start()
    nearest(space, space)
    near_equal(table, table)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 60e6


def test_subsample_does_not_depend_on_the_order_of_rows() -> None:
    """Of labels alone, whose codes could follow the order in which labels appear."""
    schema = subset(WARD, ["sex", "unit", "stage", "died"])
    train, tables = ward(200, 1), {"control": ward(20, 2), "test": ward(20, 3)}
    plain = measure("dcr_share", evaluation(ward(100, 4), schema, train=train, **tables))[""].value
    for seed in range(5):
        mixed = train.sample(frac=1, random_state=seed).reset_index(drop=True)
        assert measure("dcr_share", evaluation(ward(100, 4), schema, train=mixed, **tables))[""].value == plain


def test_infinite_numbers_match_nothing() -> None:
    table = ward(20, 1)
    table.loc[0, "age"] = np.inf
    found = measure("near_duplicates", evaluation(table, train=table))["train"]
    assert found.value == pytest.approx(19 / 20)
    assert len(encoded(evaluation(table), "synthetic")) == 20
