"""What every metric promises, and what each of them must find."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from metric_tables import WARD, evaluation, subset, ward
from synthward.benchmarks.catalogue import metrics_of
from synthward.benchmarks.schema import Column, Rule, TableSchema
from synthward.metrics import Evaluation, get, registry
from synthward.metrics.utility import tabnet
from synthward.results.record import Measurement, Status

METRICS = sorted(registry())
OURS = [name for name in METRICS if not registry()[name].card.published_in]  # the others keep the defects of a paper
FIDELITY = [name for name in OURS if registry()[name].card.family == "fidelity"]
SUITES = Path(__file__).parent.parent / "conf" / "metrics"

pytestmark = pytest.mark.filterwarnings("error")

NUMERIC_TARGET = {"tstr_r2", "trtr_r2"}


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """TabNet promises the same after a few epochs."""
    monkeypatch.setattr(tabnet, "EPOCHS", 2)


def measure(name: str, evaluation: Evaluation) -> dict[str, Measurement]:
    """Measurements of a metric by variant, each checked against what all metrics promise."""
    metric = get(name)
    found = {m.variant: m for m in metric.measure(evaluation)}
    card = metric.card
    assert found
    for measurement in found.values():
        assert measurement.status is not Status.ERROR, measurement.reason
        assert (measurement.metric, measurement.version) == (card.name, card.version)
        assert json.loads(measurement.model_dump_json())["metric"] == card.name
        numbers = [n for n in (measurement.low, measurement.value, measurement.high) if n is not None]
        assert numbers == sorted(numbers)
        if measurement.value is None:
            assert measurement.reason
            assert measurement.status is Status.UNSUPPORTED
            continue
        assert math.isfinite(measurement.value)
        for number in numbers + [b for b in measurement.breakdown.values() if b is not None and card.upper == 1.0]:
            assert card.lower is None or number >= card.lower - 1e-12
            assert card.upper is None or number <= card.upper + 1e-12
    return found


def value(name: str, evaluation: Evaluation, variant: str = "") -> float:
    found = measure(name, evaluation)[variant].value
    assert found is not None
    return found


# What every metric promises


@pytest.mark.parametrize("name", OURS)
def test_card_is_complete(name: str) -> None:
    card = registry()[name].card
    assert card.name == name
    assert card.definition.endswith(".")
    assert len(card.definition) > 30
    assert card.version >= 1
    assert card.ideal is not None
    assert card.lower is None or card.lower <= card.ideal
    assert card.upper is None or card.ideal <= card.upper
    if card.direction == "max":
        assert card.ideal == card.upper
    if card.direction == "min":
        assert card.ideal == card.lower


TABLES = {
    "with a class target": WARD,
    "without a target": subset(WARD, [n for n in WARD.names if n != "died"]),
    "with a number as target": TableSchema(columns=WARD.columns, target="age", task="regression"),
    "numeric only": subset(WARD, list(WARD.numeric)),
    "categorical only": subset(WARD, list(WARD.categorical)),
    "a single column": subset(WARD, ["died"]),
    "a single number": subset(WARD, ["lactate"]),
}


@pytest.mark.parametrize("kind", TABLES)
def test_measures_or_explains_on_any_schema(kind: str) -> None:
    evaluated = evaluation(ward(100, 4), TABLES[kind])
    for name in METRICS:
        measure(name, evaluated)


def test_full_table_leaves_nothing_undefined() -> None:
    """But what asks for a language model, for the rows that one was shown, for another target or for an extra."""
    evaluated = evaluation(ward(120, 4))
    for name in set(METRICS) - {"example_copying", "memorisation", "tstr_tabnet", "tstr_tabnet_brier"} - NUMERIC_TARGET:
        assert {m.status for m in measure(name, evaluated).values()} == {Status.OK}


def changed(table: pd.DataFrame, **columns: object) -> pd.DataFrame:
    return WARD.canonical(table.assign(**columns))


def odd_tables() -> dict[str, pd.DataFrame]:
    table = ward(100, 4)
    infinite = table.copy()
    infinite.loc[:3, ["age", "lactate"]] = [np.inf, -np.inf]
    return {
        "empty": table.iloc[:0],
        "one row": table.iloc[:1],
        "two equal rows": table.iloc[[0, 0]].reset_index(drop=True),
        "missing numbers": changed(table, lactate=np.nan),
        "missing labels": changed(table, unit=None),
        "missing target": changed(table, died=None),
        "everything missing": changed(table, **dict.fromkeys(WARD.names, None)),
        "constant columns": changed(table, age=50.0, unit="general"),
        "constant target": changed(table, died="no"),
        "unseen labels": changed(table, unit="moon", died=["no", "yes", "maybe", "no"] * 25),
        "infinities": infinite,
        "huge numbers": changed(table, age=table["age"] * 1e300, systolic=np.resize([1e308, -1e308], 100)),
    }


@pytest.mark.parametrize("side", ["synthetic", "real"])
@pytest.mark.parametrize("kind", odd_tables())
def test_odd_tables_are_measured_or_explained(kind: str, side: str) -> None:
    odd = odd_tables()[kind]
    real = dict.fromkeys(("train", "control", "test"), odd) if side == "real" else {}
    evaluated = evaluation(ward(100, 4) if real else odd, **real)
    for name in METRICS:
        measure(name, evaluated)


def test_empty_table_has_no_value_but_its_cost() -> None:
    evaluated = evaluation(ward(0, 4))
    for name in set(METRICS) - NUMERIC_TARGET - {"usd_per_1000_rows"}:
        for variant, measurement in measure(name, evaluated).items():
            reference = name.startswith("trtr") or variant == "control" or registry()[name].card.family == "cost"
            assert (measurement.value is not None) == reference


def shuffled(table: pd.DataFrame, seed: int) -> pd.DataFrame:
    return table.sample(frac=1, random_state=seed).reset_index(drop=True)


def test_order_of_rows_and_columns_does_not_matter() -> None:
    """Control has fewer rows than train, so that the subsample of train is put to the test too."""
    tables = {"train": ward(120, 1), "control": ward(90, 2), "test": ward(120, 3)}
    schema = TableSchema(**{**dict(WARD), "columns": tuple(reversed(WARD.columns))})
    plain = evaluation(ward(110, 4), **tables)
    mixed = {part: shuffled(table, i)[list(schema.names)] for i, (part, table) in enumerate(tables.items())}
    other = evaluation(shuffled(ward(110, 4), 9), schema, **mixed)
    for name in OURS:
        found = measure(name, other)
        for variant, measurement in measure(name, plain).items():
            assert found[variant].value == pytest.approx(measurement.value, abs=1e-12), name
            assert found[variant].breakdown == pytest.approx(measurement.breakdown, abs=1e-12), name


def test_pure_functions_of_the_evaluation() -> None:
    """The same values twice and in any order of metrics, no table changed, no global random state touched."""
    tables = {"train": ward(80, 1), "control": ward(60, 2), "test": ward(80, 3)}
    synthetic = ward(80, 4)
    before = {part: table.copy() for part, table in tables.items()}
    state = np.random.get_state()[1].copy()
    one, two = evaluation(synthetic, **tables), evaluation(synthetic, **tables)
    first = {name: measure(name, one) for name in METRICS}
    second = {name: measure(name, two) for name in reversed(METRICS)}
    for name in METRICS:
        assert {v: m.value for v, m in first[name].items()} == {v: m.value for v, m in second[name].items()}
    assert (np.random.get_state()[1] == state).all()
    pd.testing.assert_frame_equal(synthetic, ward(80, 4))
    for part, table in tables.items():
        pd.testing.assert_frame_equal(table, before[part])


@pytest.mark.parametrize("path", sorted(SUITES.glob("*.yaml")), ids=lambda p: p.stem)
def test_suites_name_metrics_that_exist(path: Path) -> None:
    suite = yaml.safe_load(path.read_text())
    assert suite["name"] == path.stem
    assert len(set(suite["names"])) == len(suite["names"])
    families = {get(name).card.family for name in metrics_of(suite["names"])}
    if path.stem in ("fidelity", "utility", "privacy"):
        assert families == {path.stem}


def test_suites_leave_no_metric_out() -> None:
    suites = ["complete", "llm", "text_to_tabular_2024", "neurosurgery_2025"]
    assert set(metrics_of(suites)) == set(METRICS)
    assert metrics_of(["valid_rows", "privacy", "dcr", "mine.own"])[:2] == ["valid_rows", "dcr_share"]
    assert metrics_of(["mine.own", "mine.own"]) == ["mine.own"]


# Extremes


# Their levels of support lie between the shares that a finite number of rows can make up.
WITHIN_A_ROW = {"alpha_precision", "beta_recall"}


@pytest.mark.parametrize("name", FIDELITY)
def test_test_rows_themselves_are_perfectly_faithful(name: str) -> None:
    test = ward(150, 3)
    tolerance = 2 / len(test) if name in WITHIN_A_ROW else 1e-12
    for measurement in measure(name, evaluation(test.copy(), test=test)).values():
        assert measurement.value == pytest.approx(registry()[name].card.ideal, abs=tolerance)


@pytest.mark.parametrize("name", FIDELITY)
def test_independent_columns_are_less_faithful_than_patients(name: str) -> None:
    """In whatever the metric looks at: pairs for the correlations, marginals for a shifted table."""
    real, rng = ward(600, 4), np.random.default_rng(0)
    poor = pd.DataFrame({c: real[c].to_numpy()[rng.permutation(len(real))] for c in real})
    poor = changed(poor, age=poor["age"] / 2, sex="f", lactate=poor["lactate"].fillna(0))
    faithful = measure(name, evaluation(real, test=ward(600, 3)))
    unfaithful = measure(name, evaluation(poor, test=ward(600, 3)))
    better = 1 if registry()[name].card.direction == "max" else -1
    for variant, measurement in faithful.items():
        assert better * (measurement.value - unfaithful[variant].value) > 0.02


def test_disjoint_columns_score_zero() -> None:
    table = ward(50, 3)
    other = changed(table, age=table["age"] + 1000, sex="x")
    found = measure("column_shapes", evaluation(other, test=table))[""].breakdown
    assert found["age"] == pytest.approx(0)
    # The pseudo-count of an unseen label, which SDMetrics gives, keeps this from being exact.
    assert found["sex"] == pytest.approx(0, abs=1e-6)


def test_undefined_columns_are_named_and_left_out() -> None:
    found = measure("column_shapes", evaluation(changed(ward(50, 4), lactate=np.nan)))[""]
    assert found.status is Status.PARTIAL
    assert found.n == len(WARD.columns) - 1
    assert "lactate" in found.reason
    assert found.breakdown["lactate"] is None


def test_breakdown_of_pairs_keeps_the_ten_worst() -> None:
    found = measure("column_pair_trends", evaluation(ward(100, 4)))["all_pairs"]
    assert found.n == 28
    assert len(found.breakdown) == 10
    assert max(found.breakdown.values()) <= found.value


def test_missingness_sees_rates_and_joint_gaps() -> None:
    test = ward(400, 3)
    gaps = test["unit"].isna()
    test = changed(test, lactate=test["lactate"].fillna(1.0).where(~gaps))
    same = evaluation(test.copy(), test=test)
    assert value("missingness", same, "rate") == 1
    filled = measure("missingness", evaluation(changed(test, lactate=1.0), test=test))
    assert filled["rate"].breakdown["lactate"] == pytest.approx(1 - gaps.mean())
    # Of three pairs of indicators, lactate and unit correlate perfectly in the test rows and not at all here.
    assert filled["correlation"].value == pytest.approx(1 - 0.5 / 3, abs=0.03)
    complete = ward(50, 3).dropna().reset_index(drop=True)
    found = measure("missingness", evaluation(complete, test=complete))
    assert found["rate"].value == 1
    assert found["correlation"].reason


def test_report_without_a_related_pair_says_so() -> None:
    schema = subset(WARD, ["age", "sex"])
    found = measure("column_pair_trends", evaluation(ward(300, 4), schema, n=300))
    assert "related" in found[""].reason
    assert found["all_pairs"].n == 1


def test_wide_joint_tables_are_counted_by_occupied_cells() -> None:
    """Labels by the thousand: a dense joint table of these two columns would have four million cells."""
    n = 2000
    codes = [str(i) for i in range(n)]
    schema = TableSchema(columns=tuple(Column(name=c, kind="categorical", codes=codes) for c in "ab"))
    real = pd.DataFrame({"a": codes, "b": codes}, dtype=object)
    half = pd.DataFrame({"a": codes, "b": codes[: n // 2] + codes[n // 2 :][::-1]}, dtype=object)
    evaluated = Evaluation(schema, train=real, control=real, test=real, synthetic=half)
    assert value("contingency_similarity", evaluated) == pytest.approx(0.5)
    assert value("column_pair_trends", evaluated) == pytest.approx(0.5)


# Validity and cost


def test_valid_rows_counts_each_fault() -> None:
    table = ward(10, 4).assign(diastolic=60.0, systolic=120.0, unit="general")
    table.loc[0, "age"] = 50.5
    table.loc[1, "systolic"] = 500.0
    table.loc[2, "sex"] = "x"
    table.loc[3, "diastolic"] = 130.0
    table.loc[3, "stage"] = None
    found = measure("valid_rows", evaluation(WARD.canonical(table)))[""]
    assert found.value == pytest.approx(0.6)
    assert found.n == 10
    assert found.breakdown == {
        "age: not an integer": 0.1,
        "systolic: out of bounds": 0.1,
        "sex: unknown code": 0.1,
        "stage: missing": 0.1,
        "rule pressure": 0.1,
    }


def test_clinical_rules_together_and_one_by_one() -> None:
    rules = (*WARD.rules, Rule(name="adult", left="age", op=">=", right=18))
    schema = TableSchema(**{**dict(WARD), "rules": rules})
    table = ward(10, 4).assign(diastolic=60.0, systolic=120.0, age=40.0)
    table.loc[0, "age"] = 3
    table.loc[1, "systolic"] = 50
    table.loc[2, "diastolic"] = np.nan
    found = measure("clinical_rules", evaluation(table, schema))[""]
    assert found.value == pytest.approx(0.8)
    assert found.breakdown == pytest.approx({"pressure": 0.9, "adult": 0.9})


def test_costs_are_passed_on() -> None:
    costs = {name: value(name, evaluation(ward(5, 4))) for name in ("fit_seconds", "sample_seconds", "peak_memory")}
    assert costs == {"fit_seconds": 1.5, "sample_seconds": 0.5, "peak_memory": 200.0}
