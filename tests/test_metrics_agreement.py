"""Agreement of conclusions: importances against a brute force, log-odds against statsmodels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from metric_tables import WARD, damaged, evaluation, real_table, subset, ward
from scipy.stats import spearmanr
from sklearn.ensemble import RandomForestClassifier
from sklearn.inspection import permutation_importance
from sklearn.metrics import roc_auc_score
from synthward.benchmarks.schema import Column, TableSchema
from synthward.metrics import Evaluation, get
from synthward.metrics.utility import agreement, logit
from synthward.metrics.utility import learners as learners_module
from synthward.metrics.utility.learners import Encoder, ordered_rows, targets
from synthward.metrics.utility.predictions import model
from synthward.results.record import Measurement, Status

STAGED = TableSchema(columns=WARD.columns, target="stage", task="multiclass")
REAL = ("support2", "rhc", "std", "nhefs")


def measure(name: str, evaluation: Evaluation) -> dict[str, Measurement]:
    return {m.variant: m for m in get(name).measure(evaluation)}


def real_evaluation(name: str, rows: int = 900) -> Evaluation:
    schema, split = real_table(name, rows)
    return Evaluation(schema, split.train, split.control, split.test, split.control)


# Importances


def test_same_rows_rely_on_the_same_features() -> None:
    train = ward(200, 1)
    for schema in (WARD, STAGED):
        found = measure("importance_agreement", evaluation(train.copy(), schema, train=train))
        assert list(found) == ["mean", *agreement.EXPLAINED]
        for measurement in found.values():
            assert measurement.value == pytest.approx(1.0, abs=1e-12)
            assert set(measurement.breakdown) == set(schema.features)
            assert set(measurement.breakdown.values()) == {0.0}


def test_importance_is_the_mean_fall_of_the_area_when_a_feature_is_shuffled() -> None:
    """With its labels, and its gaps, before any encoding."""
    evaluated = evaluation(ward(150, 4))
    features = sorted(WARD.features)
    ours = agreement._importances(evaluated, "synthetic", "random_forest", features)
    encoder = Encoder(WARD).fit(evaluated.synthetic)
    fitted = model(evaluated, "synthetic", "random_forest", learners_module.LEARNERS["random_forest"])
    test = evaluated.test.iloc[ordered_rows(WARD, evaluated.test)].reset_index(drop=True)

    def area(table: pd.DataFrame) -> float:
        return roc_auc_score(test["died"] == "yes", fitted.predict(encoder.transform(table))[:, 1])

    rng = np.random.default_rng(evaluated.seed)
    shuffles = [rng.permutation(len(test)) for _ in range(agreement.SHUFFLES)]
    for name, importance in zip(features, ours, strict=True):
        falls = [area(test) - area(test.assign(**{name: test[name].to_numpy()[rows]})) for rows in shuffles]
        assert importance == pytest.approx(np.mean(falls), abs=1e-12), name


def test_importances_are_near_those_of_scikit_learn() -> None:
    """Which shuffles otherwise, and knows numbers alone."""
    numbers = subset(WARD, ["age", "systolic", "diastolic", "lactate", "died"])
    complete = ward(900, 1).dropna().reset_index(drop=True)
    evaluated = evaluation(
        complete, numbers, train=complete[list(numbers.names)], test=ward(700, 3).dropna()[list(numbers.names)]
    )
    features = sorted(numbers.features)
    ours = agreement._importances(evaluated, "train", "random_forest", features)
    encoder = Encoder(numbers).fit(evaluated.train)
    forest = RandomForestClassifier(random_state=0).fit(
        encoder.transform(evaluated.train), targets(numbers, evaluated.train)
    )
    theirs = permutation_importance(
        forest,
        encoder.transform(evaluated.test),
        targets(numbers, evaluated.test),
        scoring="roc_auc",
        n_repeats=agreement.SHUFFLES,
        random_state=0,
    )
    assert encoder.origins.tolist() == features
    assert ours == pytest.approx(theirs.importances_mean, abs=0.03)
    assert max(ours) > 0.1


def test_features_that_no_longer_tell_anything_are_found() -> None:
    rng = np.random.default_rng(0)
    synthetic, test = ward(600, 4), ward(400, 3)
    shuffled = synthetic.assign(**{name: synthetic[name].to_numpy()[rng.permutation(600)] for name in WARD.features})
    tables = {"train": ward(600, 1), "test": test}
    good, poor = (measure("importance_agreement", evaluation(t, **tables))["mean"] for t in (synthetic, shuffled))
    assert good.value > 0.6
    assert poor.value < good.value - 0.2
    assert good.n == 400


def test_difference_of_importances_names_the_feature() -> None:
    synthetic = ward(500, 4)
    synthetic = synthetic.assign(lactate=np.where(synthetic["died"] == "yes", 1.5, 0.5))
    found = measure("importance_agreement", evaluation(synthetic, train=ward(500, 1), test=ward(300, 3)))
    assert max(found["xgboost"].breakdown, key=found["xgboost"].breakdown.get) == "lactate"


def test_models_without_a_preference_are_explained() -> None:
    constant = measure("importance_agreement", evaluation(ward(100, 4).assign(died="no")))
    assert "equally important" in constant["mean"].reason
    assert "synthetic" in constant["mean"].reason
    of_test = measure("importance_agreement", evaluation(ward(100, 4), test=ward(60, 3).assign(died="no")))
    assert "one class" in of_test["mean"].reason
    few = measure("importance_agreement", evaluation(ward(100, 4), subset(WARD, ["age", "sex", "died"])))
    assert "fewer than 3 features" in few["mean"].reason


def test_failing_learner_leaves_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(seed: int) -> object:
        raise RuntimeError("no such device")

    monkeypatch.setitem(learners_module.LEARNERS, "xgboost", broken)
    found = measure("importance_agreement", evaluation(ward(100, 4)))
    assert "no such device" in found["xgboost"].reason
    assert found["mean"].value == found["random_forest"].value


def test_test_rows_are_drawn_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agreement, "IMPORTANCE_ROWS", 50)
    found = measure("importance_agreement", evaluation(ward(100, 4)))["mean"]
    assert (found.n, found.population) == (50, 120)


# Log-odds


@pytest.mark.parametrize("name", REAL)
def test_log_odds_and_intervals_equal_statsmodels(name: str) -> None:
    import statsmodels.api as statsmodels  # takes seconds

    evaluated = real_evaluation(name, 4000 if name != "std" else 900)
    schema = evaluated.schema
    table = agreement._analysed(evaluated, "test")
    terms = list(agreement._terms(schema, table))[:25]
    x = agreement._design(terms, table)
    x = x[:, logit.independent(x)]
    y = agreement._positive(schema, table)
    ours = logit.fit(x, y)
    theirs = statsmodels.Logit(y, x).fit(disp=0, method="newton", maxiter=100, tol=1e-14)
    assert not ours.separated
    assert x.shape[1] > 10
    np.testing.assert_allclose(ours.coefficients, theirs.params, atol=1e-9, rtol=1e-9)
    np.testing.assert_allclose(np.column_stack([ours.low, ours.high]), theirs.conf_int(), atol=1e-9, rtol=1e-9)


@pytest.mark.parametrize("name", REAL)
def test_test_rows_themselves_come_to_the_same_conclusions(name: str) -> None:
    evaluated = real_evaluation(name)
    for measurement in measure("inference_agreement", replace(evaluated, synthetic=evaluated.test.copy())).values():
        assert measurement.value == 1
    schema = evaluated.schema
    poor = replace(evaluated, synthetic=damaged(schema, evaluated.control), shared={})
    for measurement in measure("inference_agreement", poor).values():
        assert measurement.value is None or measurement.value < 1


def linear(n: int, seed: int, **odds: float) -> pd.DataFrame:
    """Independent columns with known log-odds of the target."""
    rng = np.random.default_rng(seed)
    table = pd.DataFrame({name: rng.normal(size=n) for name in odds})
    logits = table.to_numpy() @ np.array(list(odds.values()))
    return table.assign(y=np.where(rng.random(n) < 1 / (1 + np.exp(-logits)), "1", "0").astype(object))


LINEAR = TableSchema(
    columns=(
        *(Column(name=c, kind="continuous", missing=True) for c in "abcd"),
        Column(name="y", kind="categorical", codes=["0", "1"]),
    ),
    target="y",
    task="binary",
    positive="1",
)


def test_planted_log_odds_are_told_apart() -> None:
    test = linear(2000, 1, a=1.0, b=-1.0, c=0.5, d=1.5)
    synthetic = linear(2000, 2, a=1.0, b=-1.0, c=-0.5, d=0.2)
    found = measure("inference_agreement", Evaluation(LINEAR, test, test, test, synthetic))
    assert found["overlap"].breakdown == {"a": 1.0, "b": 1.0, "c": 0.0, "d": 0.0}
    assert found["sign"].breakdown == {"a": 1.0, "b": 1.0, "c": 0.0, "d": 1.0}
    assert (found["overlap"].value, found["sign"].value) == (0.5, 0.75)
    assert found["sign"].n == 4


def test_log_odds_that_synthetic_rows_cannot_give_count_as_different() -> None:
    test = linear(800, 1, a=1.0, b=-1.0, c=0.5, d=0.5)
    synthetic = linear(800, 2, a=1.0, b=-1.0, c=0.5, d=0.5).assign(c=0.0)
    synthetic["d"] = 2 * synthetic["a"] + 1
    found = measure("inference_agreement", Evaluation(LINEAR, test, test, test, synthetic))["sign"]
    assert found.breakdown == {"a": 1.0, "b": 1.0, "c": 0.0, "d": 0.0}
    assert found.status is Status.OK


def test_terms_are_those_that_the_test_rows_can_tell() -> None:
    test = ward(600, 3)
    rare = test["died"].eq("yes").cumsum().le(4) & test["died"].eq("yes")
    test = test.assign(unit=np.where(rare, "cardiac", "general"), lactate=test["lactate"].fillna(1.0))
    found = measure("inference_agreement", evaluation(ward(600, 4), test=test))["sign"]
    terms = set(found.breakdown)
    assert {"age", "systolic", "diastolic", "diastolic missing", "lactate", "sex = m"} <= terms
    assert not {"unit = cardiac", "lactate missing", "unit missing"} & terms
    assert len({"stage = 1", "stage = 2", "stage = 3", "stage = 4"} & terms) <= 3


def test_separated_classes_have_finite_log_odds_and_are_told() -> None:
    test = linear(300, 1, a=1.0, b=1.0, c=0.0, d=0.0)
    synthetic = test.assign(y=np.where(test["a"] > 0, "1", "0").astype(object))
    found = measure("inference_agreement", Evaluation(LINEAR, test, test, test, synthetic))["overlap"]
    assert found.status is Status.PARTIAL
    assert "separate the classes of the synthetic rows" in found.reason
    x = np.column_stack([np.ones(300), test["a"]])
    fitted = logit.fit(x, (test["a"] > 0).to_numpy(dtype=float))
    assert fitted.separated
    assert np.isfinite(fitted.errors).all()
    assert fitted.coefficients[1] > 5


def test_dependent_columns_are_found_in_order() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 50))
    x = np.column_stack([np.ones(50), a, 3 * a - 2, b, a + b, np.zeros(50), 1e-7 * rng.normal(size=50)])
    assert logit.independent(x).tolist() == [True, True, False, True, False, False, True]
    assert np.linalg.matrix_rank(x[:, :6]) == 3


@pytest.mark.parametrize(
    ("synthetic", "reason"),
    [
        (ward(80, 4).assign(died="no"), "the synthetic rows hold one class only"),
        (ward(80, 4).assign(died=None), "no synthetic row has a known target"),
        (ward(0, 4), "no synthetic row has a known target"),
    ],
    ids=["one class", "no target", "no rows"],
)
def test_rows_without_an_outcome_to_explain_have_no_log_odds(synthetic: pd.DataFrame, reason: str) -> None:
    for measurement in measure("inference_agreement", evaluation(synthetic)).values():
        assert measurement.value is None
        assert reason in measurement.reason
    assert "binary target" in measure("inference_agreement", evaluation(ward(50, 4), STAGED))[""].reason


def test_order_of_rows_is_that_of_their_values() -> None:
    table = ward(200, 4)
    mixed = table.sample(frac=1, random_state=3).reset_index(drop=True)
    columns = TableSchema(**{**dict(WARD), "columns": tuple(reversed(WARD.columns))})
    one, two = table.iloc[ordered_rows(WARD, table)], mixed.iloc[ordered_rows(columns, mixed[list(columns.names)])]
    pd.testing.assert_frame_equal(one.reset_index(drop=True), two.reset_index(drop=True))


def test_spearman_is_that_of_scipy() -> None:
    evaluated = evaluation(ward(150, 4))
    features = sorted(WARD.features)
    real, synthetic = (agreement._importances(evaluated, s, "xgboost", features) for s in ("train", "synthetic"))
    found = measure("importance_agreement", evaluated)["xgboost"]
    assert found.value == pytest.approx(spearmanr(real, synthetic).statistic)
    assert list(found.breakdown.values()) == pytest.approx(list(synthetic - real))
