"""What distances, tests, associations, detection and supports must find, and what must not mislead them."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from metric_tables import WARD, evaluation, subset, ward
from synthward.benchmarks.schema import Column, TableSchema
from synthward.metrics import Evaluation, get
from synthward.metrics.fidelity import joint
from synthward.metrics.fidelity.associations import associations
from synthward.metrics.fidelity.distances import decile_cuts
from synthward.metrics.fidelity.univariate import compare_means, compare_proportions
from synthward.results.record import Measurement, Status

pytestmark = pytest.mark.filterwarnings("error")


def measure(name: str, evaluation: Evaluation) -> dict[str, Measurement]:
    found = {m.variant: m for m in get(name).measure(evaluation)}
    assert all(m.status is not Status.ERROR for m in found.values())
    return found


def changed(table: pd.DataFrame, **columns: object) -> pd.DataFrame:
    return WARD.canonical(table.assign(**columns))


def columns_of(**columns: object) -> tuple[TableSchema, pd.DataFrame]:
    """A table of the given columns; the kind follows from the values."""
    table = pd.DataFrame(columns)
    kinds = [
        Column(name=name, kind="continuous", missing=True)
        if table[name].dtype.kind in "if"
        else Column(name=name, kind="categorical", codes=sorted(table[name].dropna().unique()), missing=True)
        for name in table
    ]
    schema = TableSchema(columns=tuple(kinds))
    return schema, schema.canonical(table)


def compare(
    schema: TableSchema, test: pd.DataFrame, synthetic: pd.DataFrame, train: pd.DataFrame | None = None
) -> Evaluation:
    return Evaluation(schema, train=test if train is None else train, control=test, test=test, synthetic=synthetic)


# Distances


def test_wasserstein_counts_in_standard_deviations() -> None:
    test = ward(200, 3)
    moved = changed(test, age=test["age"] + 2 * test["age"].std(ddof=0))
    found = measure("wasserstein", evaluation(moved, test=test))[""]
    assert found.breakdown == pytest.approx({"age": 2, "systolic": 0, "diastolic": 0, "lactate": 0})
    assert found.value == pytest.approx(0.5)
    months = [changed(table, age=table["age"] * 12) for table in (moved, test)]
    assert measure("wasserstein", evaluation(months[0], test=months[1]))[""].value == pytest.approx(0.5)


def test_wasserstein_of_a_constant_is_zero_or_undefined() -> None:
    constant = changed(ward(100, 3), age=0.1, systolic=7.0)
    found = measure("wasserstein", evaluation(changed(constant, systolic=8.0), test=constant))[""]
    assert (found.breakdown["age"], found.breakdown["systolic"]) == (0, None)
    assert found.status is Status.PARTIAL
    assert "systolic" in found.reason


def test_wasserstein_is_undefined_for_infinities_and_not_for_huge_numbers() -> None:
    huge = np.linspace(-1, 1, 100) * 1e308
    test = changed(ward(100, 3), age=huge)
    other = changed(ward(100, 4), age=huge / 2, lactate=[np.inf, *[1.0] * 99])
    found = measure("wasserstein", evaluation(other, test=test))[""].breakdown
    assert found["age"] == pytest.approx(0.43, abs=0.01)
    assert found["lactate"] is None


def test_deciles_hold_equal_shares_and_a_frequent_value_its_own() -> None:
    values = np.arange(1000.0)
    assert np.bincount(np.searchsorted(decile_cuts(values), values, side="right")) == pytest.approx(100, abs=1)
    counts = np.concatenate([np.zeros(250), np.arange(1, 751)])
    cuts = decile_cuts(counts)
    bins = np.searchsorted(cuts, [-1, 0, 1e-300, 1], side="right")
    assert len(set(bins[:3])) == 3
    assert bins[2] == bins[3]
    assert decile_cuts(np.full(5, 3.0)).tolist() == [3, np.nextafter(3, 4)]
    assert decile_cuts(np.empty(0)).tolist() == []
    assert len(decile_cuts(np.array([-np.inf, 0, np.inf] * 5))) > 2


def test_jensen_shannon_reaches_both_ends() -> None:
    test = ward(100, 3)
    apart = changed(test, age=test["age"] + 1000, systolic=-1.0, diastolic=500.0, lactate=1e9, sex="x", unit="moon")
    found = measure("jensen_shannon", evaluation(changed(apart, stage=9, died="?"), test=test))[""].breakdown
    # The outer bins are open, so that numbers beyond the range fall where a tenth of the test rows lie.
    assert [found[name] for name in WARD.categorical] == [1, 1, 1, 1]
    assert all(0.7 < found[name] < 1 for name in WARD.numeric)
    zeros = changed(test, lactate=0.0)
    assert measure("jensen_shannon", evaluation(changed(test, lactate=1e-9), test=zeros))[""].breakdown["lactate"] == 1


# Univariate inference


def test_parameters_that_differ_are_named() -> None:
    test = ward(300, 3)
    found = measure("mean_ci_overlap", evaluation(changed(ward(300, 4), age=20.0, unit="general"), test=test))[""]
    # Numbers, three units, four stages, and one of the two labels of sex and of died.
    assert found.n == 4 + 3 + 4 + 2
    assert {name for name, overlap in found.breakdown.items() if not overlap} == {
        "age",
        "unit=cardiac",
        "unit=general",
        "unit=surgical",
    }
    assert found.value == pytest.approx(9 / 13)


def test_labels_that_the_test_rows_lack_add_no_parameter() -> None:
    """Or a thousand labels of one row each, none of which differs significantly from none, would be a pass."""
    test = ward(300, 3)
    odd = changed(ward(300, 4), unit=[f"unit {i}" for i in range(300)])
    for name in ("mean_ci_overlap", "univariate_tests"):
        for measurement in measure(name, evaluation(odd, test=test)).values():
            assert measurement.n == 13
            assert measurement.value == pytest.approx(10 / 13)


def test_holm_forgives_what_one_test_in_twenty_finds() -> None:
    rng = np.random.default_rng(0)
    schema, test = columns_of(**{f"x{j}": rng.normal(size=200) for j in range(40)})
    # p of about 0.02 in one of forty columns.
    test["x0"] = np.resize([-1.0, 1.0], 200)
    other = pd.DataFrame({name: rng.permutation(test[name]) for name in test}).assign(x0=test["x0"] + 0.23)
    found = measure("univariate_tests", compare(schema, test, other))
    assert found["raw"].value == pytest.approx(39 / 40)
    assert 0.01 < found["raw"].breakdown["x0"] < 0.05
    assert found["holm"].value == 1
    assert found["holm"].breakdown["x0"] == pytest.approx(40 * found["raw"].breakdown["x0"])


def test_larger_tables_are_held_to_smaller_differences() -> None:
    rng = np.random.default_rng(1)
    few, many = (rng.normal([0.0, 0.2], size=(n, 2)).T for n in (50, 5000))
    assert compare_means(*few).p_value > 0.05 > compare_means(*many).p_value
    assert (compare_means(*few).overlap, compare_means(*many).overlap) == (1, 0)


def test_constants_and_single_values_are_compared_or_undefined() -> None:
    tenth = np.full(3, 0.1)
    assert compare_means(tenth, np.full(7, 0.1)).p_value == 1
    assert (compare_means(tenth, np.full(3, 0.2)).p_value, compare_means(tenth, np.full(3, 0.2)).overlap) == (0, 0)
    for odd in ([1.0], [], [np.nan, 2.0], [1.0, np.inf], [1e308, -1e308, 1e308]):
        found = compare_means(np.arange(5.0), np.array(odd))
        assert math.isnan(found.p_value)
        assert math.isnan(found.overlap)
    assert compare_proportions(5, 5, 9, 9).p_value == 1
    assert math.isnan(compare_proportions(5, 5, 0, 0).p_value)


# Associations


def test_associations_of_each_kind() -> None:
    rng = np.random.default_rng(0)
    group = rng.integers(0, 3, 900)
    schema, table = columns_of(
        x=group + 0.0,
        y=rng.normal(size=900),
        g=np.array(["a", "b", "c"])[group],
        h=np.array(["r", "s", "t"])[(group + 1) % 3],
        noise=rng.choice(["u", "v"], 900),
    )
    found = associations(compare(schema, table, table), "test")
    assert found["g|h"] == pytest.approx(1)
    assert found["g|x"] == pytest.approx(1)
    assert found["x|y"] == pytest.approx(np.corrcoef(table["x"], table["y"])[0, 1])
    assert max(found["g|y"], found["g|noise"], found["noise|y"]) < 0.1


def test_breakdown_names_the_pairs_that_differ_most() -> None:
    test = ward(500, 3)
    broken = changed(test, systolic=np.random.default_rng(0).permutation(test["systolic"]))
    found = measure("association_distance", evaluation(broken, test=test))[""]
    assert len(found.breakdown) == 10
    assert next(iter(found.breakdown)) == "diastolic|systolic"
    assert all("systolic" in pair for pair in list(found.breakdown)[:7])
    assert list(found.breakdown.values()) == sorted(found.breakdown.values(), reverse=True)
    assert found.n == 28
    assert found.value == pytest.approx(sum(found.breakdown.values()) / 28)


def test_a_collapsed_column_is_not_left_out_of_the_account() -> None:
    test = ward(500, 3)
    found = measure("association_distance", evaluation(changed(test, systolic=120.0, stage=1), test=test))[""]
    assert found.status is Status.OK
    strength = associations(evaluation(test, test=test), "test")
    assert found.breakdown["diastolic|systolic"] == pytest.approx(strength["diastolic|systolic"])
    back = measure("association_distance", evaluation(test, test=changed(test, systolic=120.0)))[""]
    assert back.status is Status.PARTIAL
    assert back.n == 21


def test_correlation_ratio_of_ill_conditioned_pairs() -> None:
    """Nearly all of the number's variance, or all of it, lies in rows without a label."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=60)
    label = np.where(x > 0, "a", "b").astype(object)
    schema, table = columns_of(x=x.copy(), c=np.full(60, 0.1), g=label)
    x[:3], label[:3] = [1e9, 3e9, 2e9], None
    table["x"], table["g"] = x, label
    table.loc[:2, "c"] = [5, 6, 7]
    found = associations(compare(schema, table, table), "test")
    kept = pd.Series(x[3:]), label[3:]
    within = kept[0] - kept[0].groupby(kept[1]).transform("mean")
    assert found["g|x"] == pytest.approx(math.sqrt(1 - within.var() / kept[0].var()), abs=1e-9)
    assert math.isnan(found["c|g"])


def test_labels_by_the_thousand_are_associated_over_occupied_cells() -> None:
    """A dense joint table of these columns would have four million cells; a label for every row says nothing."""
    codes = np.array([str(i) for i in range(2000)], dtype=object)
    schema, table = columns_of(a=np.tile(codes, 3), b=np.tile(codes[::-1], 3), row=[f"row {i}" for i in range(6000)])
    found = associations(compare(schema, table, table), "test")
    assert found["a|b"] == pytest.approx(1)
    assert math.isnan(found["a|row"])


# Detection


def detected(evaluation: Evaluation) -> dict[str, float | None]:
    return {variant: m.value for variant, m in measure("detection", evaluation).items()}


def test_a_joint_difference_is_seen_by_trees_alone() -> None:
    real, rng = ward(400, 4), np.random.default_rng(0)
    independent = pd.DataFrame({c: real[c].to_numpy()[rng.permutation(len(real))] for c in real})
    found = detected(evaluation(WARD.canonical(independent), test=ward(400, 3)))
    assert found["logistic"] > 0.85
    assert found["trees"] < 0.4


@pytest.mark.parametrize(
    "fault",
    [
        {"age": np.nan},
        {"age": 20.0},
        {"unit": "moon"},
        {"unit": [f"unit {i}" for i in range(200)]},
        {"died": "yes"},
    ],
    ids=["a gap that the test rows lack", "a constant", "an unseen label", "a label a row", "the target"],
)
def test_one_column_gives_a_row_away(fault: dict[str, object]) -> None:
    found = detected(evaluation(changed(ward(200, 4), **fault), test=ward(200, 3)))
    assert max(found.values()) < 0.5


def test_numbers_far_out_are_seen_and_hide_nothing_else() -> None:
    test, synthetic = ward(200, 3), ward(200, 4)
    moved = changed(synthetic, systolic=synthetic["systolic"] + 40)
    moved.loc[0, "systolic"] = 1e15
    assert max(detected(evaluation(moved, test=test)).values()) < 0.2
    for huge in (1e300, np.inf):
        assert max(detected(evaluation(changed(synthetic, age=huge), test=test)).values()) < 0.1


def test_other_patients_are_told_apart_no_better_than_by_chance() -> None:
    """With rare labels too, which one side alone has: an encoding of one side would give the other away."""
    rng, areas = np.random.default_rng(0), []
    codes = [f"label {i}" for i in range(60)]
    schema, pool = columns_of(x=rng.normal(size=400), y=rng.normal(size=400), label=rng.choice(codes, 400))
    for seed in range(12):
        rows = np.random.default_rng(seed).permutation(400)
        test, synthetic = (pool.iloc[part].reset_index(drop=True) for part in np.split(rows[:160], 2))
        areas.append(detected(compare(schema, test, synthetic))["logistic"])
    assert np.mean(areas) > 0.88  # of AUCs 0.5 +- 0.05, which count as 1 below one half


def test_rare_labels_share_a_column() -> None:
    """A label for every row would make a matrix of rows squared."""
    evaluated = evaluation(changed(ward(900, 4), unit=[f"unit {i}" for i in range(900)]), test=ward(900, 3))
    assert joint._pooled(evaluated, joint._balanced(evaluated)).shape[1] < 40


def test_large_sides_are_drawn_and_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    small = evaluation(ward(90, 4), test=ward(200, 3))
    for name in ("detection", "alpha_precision", "beta_recall"):
        for measurement in measure(name, small).values():
            assert (measurement.n, measurement.population, measurement.sample_seed) == (180, 290, 0)
    even = evaluation(ward(200, 4), test=ward(200, 3))
    assert measure("alpha_precision", even)[""].population is None
    monkeypatch.setattr(joint, "ROWS", 60)
    drawn = evaluation(ward(200, 4), test=ward(200, 3))
    assert measure("alpha_precision", drawn)[""].n == 120


@pytest.mark.parametrize("kind", [["age"], ["sex"], ["lactate", "unit"]], ids="+".join)
def test_few_columns_and_few_rows(kind: list[str]) -> None:
    schema = subset(WARD, kind)
    for rows in (1, 2, 3, 12):
        for name in ("detection", "alpha_precision", "beta_recall"):
            for measurement in measure(name, evaluation(ward(rows, 4), schema)).values():
                assert (measurement.value is None) == bool(measurement.reason)


# Supports


def test_precision_falls_with_outliers_and_recall_with_collapse() -> None:
    rng = np.random.default_rng(0)
    schema, pool = columns_of(**{f"x{j}": rng.normal(size=900) for j in range(4)})
    train, test, good = (pool.iloc[i : i + 300].reset_index(drop=True) for i in (0, 300, 600))

    def supports(synthetic: pd.DataFrame) -> tuple[float, float]:
        evaluated = compare(schema, test, synthetic, train)
        return tuple(measure(name, evaluated)[""].value for name in ("alpha_precision", "beta_recall"))

    precision, recall = supports(good)
    assert precision > 0.9
    assert 0.4 < recall < 0.6
    wide, centred, collapsed = supports(good * 2), supports(good * 0.3), supports(pd.concat([good[:3]] * 100))
    assert wide[0] < 0.5
    assert centred[0] < 0.3
    assert max(wide[1], centred[1]) < recall - 0.1
    assert collapsed[1] < 0.05


def test_supports_of_labels_alone_count_equal_rows_as_covered() -> None:
    """Distances are 0 between equal rows, which a rounded distance to another equal row must not undercut."""
    rng = np.random.default_rng(0)
    schema, pool = columns_of(**{name: rng.choice(["a", "b"], 800) for name in "pqr"})
    test, synthetic = pool[:400].reset_index(drop=True), pool[400:].reset_index(drop=True)
    assert measure("beta_recall", compare(schema, test, synthetic))[""].value > 0.6
    x = rng.choice([0.1, 0.7, 1.3], (200, 20))
    x = np.concatenate([x, x])
    assert joint.integrated_beta_recall(x, x) > 0.9


def test_embedding_is_of_train_rows() -> None:
    """So that the test rows decide on a centre alone: a column that is wide there and narrow in train weighs much."""
    schema, test = columns_of(x=np.linspace(-1, 1, 50), y=np.linspace(1, -1, 50))
    values = {}
    for scale in (1, 100):
        train = test.assign(x=test["x"] * scale)
        evaluated = compare(schema, test, test.assign(x=0.0), train)
        values[scale] = measure("alpha_precision", evaluated)[""].value
    assert values[100] > values[1] + 0.2
    assert (
        measure("alpha_precision", compare(schema, test, test, test.iloc[:0]))[""].reason == "there are no train rows"
    )
