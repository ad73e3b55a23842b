"""Utility metrics: scores equal scikit-learn's, and nothing of the test side reaches a learner."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from metric_tables import WARD, evaluation, ward
from sklearn.metrics import f1_score, roc_auc_score
from synthward.benchmarks.schema import Column, TableSchema
from synthward.metrics import Evaluation, get
from synthward.metrics import learners as learners_module
from synthward.metrics.learners import LEARNERS, Encoder, predict
from synthward.metrics.utility import auroc, f1
from synthward.results.record import Measurement, Status

STAGED = TableSchema(columns=WARD.columns, target="stage", task="multiclass")


def measure(name: str, evaluation: Evaluation) -> dict[str, Measurement]:
    return {m.variant: m for m in get(name).measure(evaluation)}


@pytest.mark.parametrize("name", ["tstr_f1", "tstr_auroc", "trtr_f1", "trtr_auroc"])
def test_mean_comes_first_and_is_the_mean_of_the_learners(name: str) -> None:
    found = measure(name, evaluation(ward(150, 4)))
    assert list(found) == ["mean", *LEARNERS]
    assert found["mean"].value == pytest.approx(np.mean([found[learner].value for learner in LEARNERS]))
    assert get(name).card.ranked == name.startswith("tstr")


@pytest.mark.parametrize("schema", [WARD, STAGED], ids=["binary", "multiclass"])
def test_scores_equal_scikit_learn(schema: TableSchema) -> None:
    evaluated = evaluation(ward(200, 4), schema, n=200)
    found = predict(schema, evaluated.synthetic, evaluated.test, 0)
    codes = list(schema[schema.target].codes)
    for learner, probabilities in found.probabilities.items():
        predicted = probabilities.argmax(axis=1)
        if schema is WARD:
            k = codes.index("yes")
            theirs = f1_score(found.truth, predicted, pos_label=k), roc_auc_score(found.truth, probabilities[:, k])
        else:
            theirs = (
                f1_score(found.truth, predicted, average="macro"),
                roc_auc_score(found.truth, probabilities, multi_class="ovr", average="macro"),
            )
        ours = f1(evaluated, found.truth, probabilities)[0], auroc(evaluated, found.truth, probabilities)[0]
        assert ours == pytest.approx(theirs, abs=1e-12)
        assert measure("tstr_f1", evaluated)[learner].value == pytest.approx(theirs[0], abs=1e-12)
        assert measure("tstr_auroc", evaluated)[learner].value == pytest.approx(theirs[1], abs=1e-12)


def test_scores_of_several_classes_have_a_breakdown() -> None:
    found = measure("tstr_auroc", evaluation(ward(200, 4), STAGED, n=200))
    for measurement in found.values():
        assert set(measurement.breakdown) == set(STAGED["stage"].codes)
        assert measurement.value == pytest.approx(np.mean(list(measurement.breakdown.values())))


def test_train_rows_as_synthetic_give_the_reference() -> None:
    train = ward(150, 1)
    evaluated = evaluation(train.copy(), train=train)
    for score in ("f1", "auroc"):
        ours = {v: m.value for v, m in measure(f"tstr_{score}", evaluated).items()}
        assert ours == {v: m.value for v, m in measure(f"trtr_{score}", evaluated).items()}
        assert measure("tstr_ratio", evaluated)[score].value == 1


def test_signal_is_found_and_its_reversal_too() -> None:
    synthetic = ward(400, 4)
    flipped = synthetic.assign(died=synthetic["died"].map({"yes": "no", "no": "yes"}))
    noise = synthetic.assign(died=synthetic["died"].sample(frac=1, random_state=0).to_numpy())
    test = {"test": ward(400, 3)}
    assert measure("tstr_auroc", evaluation(synthetic, **test))["random_forest"].value > 0.8
    assert measure("tstr_auroc", evaluation(flipped, **test))["random_forest"].value < 0.2
    assert measure("tstr_auroc", evaluation(noise, **test))["random_forest"].value == pytest.approx(0.5, abs=0.12)


def test_single_class_gives_a_constant_prediction_and_says_so() -> None:
    for code, expected in (("no", 0.0), ("yes", None)):
        evaluated = evaluation(ward(100, 4).assign(died=code))
        share = (evaluated.test["died"] == "yes").mean()
        for variant, measurement in measure("tstr_f1", evaluated).items():
            assert measurement.status is Status.PARTIAL
            assert f"'{code}' only" in measurement.reason
            assert measurement.value == pytest.approx(2 * share / (1 + share) if expected is None else expected), (
                variant
            )
        assert {m.value for m in measure("tstr_auroc", evaluated).values()} == {0.5}
        assert measure("trtr_f1", evaluated)["mean"].status is Status.OK


def test_class_that_is_absent_has_probability_zero() -> None:
    synthetic = ward(300, 4)
    synthetic = synthetic[synthetic["stage"] != "4"].reset_index(drop=True)
    evaluated = evaluation(synthetic, STAGED, n=300)
    assert (evaluated.test["stage"] == "4").any()
    assert {m.breakdown["4"] for m in measure("tstr_f1", evaluated).values()} == {0.0}
    assert {m.breakdown["4"] for m in measure("tstr_auroc", evaluated).values()} == {0.5}


def test_rows_without_a_target_are_left_out() -> None:
    synthetic, test = ward(150, 4), ward(120, 3)
    gaps = ward(30, 5).assign(died=None)
    plain = evaluation(synthetic, test=test)
    gappy = evaluation(pd.concat([synthetic, gaps]), test=pd.concat([test, gaps], ignore_index=True))
    assert measure("tstr_f1", gappy)["mean"].value == measure("tstr_f1", plain)["mean"].value
    assert measure("tstr_f1", gappy)["mean"].n == 120


def test_test_rows_of_one_class_have_no_ranking() -> None:
    evaluated = evaluation(ward(100, 4).assign(died="no"), test=ward(50, 3).assign(died="no"))
    assert {m.value for m in measure("tstr_f1", evaluated).values()} == {0.0}
    for measurement in measure("tstr_auroc", evaluated).values():
        assert measurement.value is None
        assert "one class" in measurement.reason


def test_ratio_to_nothing_is_explained() -> None:
    found = measure("tstr_ratio", evaluation(ward(100, 4), train=ward(100, 1).assign(died="no")))
    assert found["f1"].value is None
    assert "score 0" in found["f1"].reason


def test_failing_learner_does_not_take_the_others_along(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(seed: int) -> object:
        raise RuntimeError("no such device")

    monkeypatch.setitem(learners_module.LEARNERS, "xgboost", broken)
    found = measure("tstr_f1", evaluation(ward(100, 4)))
    assert found["xgboost"].value is None
    assert found["mean"].status is Status.PARTIAL
    assert "no such device" in found["mean"].reason
    rest = [found[v].value for v in LEARNERS if v != "xgboost"]
    assert found["mean"].value == pytest.approx(np.mean(rest))


# No leakage


def test_each_prediction_depends_on_its_own_row_alone() -> None:
    train, test = ward(150, 1), ward(60, 3)
    together = predict(WARD, train, test, 0)
    alone = predict(WARD, train, test.iloc[:7], 0)
    for learner in LEARNERS:
        np.testing.assert_array_equal(together.probabilities[learner][:7], alone.probabilities[learner])


def test_models_of_synthetic_rows_know_nothing_of_train() -> None:
    synthetic = ward(120, 4)
    for name in ("tstr_f1", "tstr_auroc"):
        one, two = (measure(name, evaluation(synthetic, train=ward(120, s)))["mean"].value for s in (1, 8))
        assert one == two


def test_seed_reaches_the_learners() -> None:
    evaluated = evaluation(ward(150, 4))
    other = Evaluation(**{**vars(evaluated), "seed": 1, "shared": {}})
    assert (
        measure("tstr_auroc", evaluated)["random_forest"].value != measure("tstr_auroc", other)["random_forest"].value
    )


def test_encoder_knows_the_training_side_alone() -> None:
    schema = TableSchema(
        columns=(
            Column(name="k", kind="categorical", codes=["a", "b", "c"], missing=True),
            Column(name="x", kind="continuous", missing=True),
            Column(name="y", kind="continuous", missing=True),
            Column(name="t", kind="categorical", codes=["0", "1"]),
        ),
        target="t",
        task="binary",
        positive="1",
    )
    train = schema.canonical(
        pd.DataFrame({"k": ["a", "b", None, "b"], "x": [1, 2, 3, 6], "y": [1, 3, None, 100], "t": 0})
    )
    other = schema.canonical(pd.DataFrame({"k": ["c", None], "x": [None, np.inf], "y": [None, 3], "t": 1}))
    encoder = Encoder(schema).fit(train)
    encoded = encoder.transform(other)
    # Columns: x and y standardised, the gaps of y (x has none in training), k = a, k = b, k missing.
    median_of_x = (2.5 - 3.0) / np.std([1, 2, 3, 6])
    median_of_y = (3 - np.mean([1, 3, 3, 100])) / np.std([1, 3, 3, 100])
    expected = [[median_of_x, median_of_y, 1, 0, 0, 0], [median_of_x, median_of_y, 0, 0, 0, 1]]
    np.testing.assert_allclose(encoded, expected)
    assert encoder.transform(train).std(axis=0)[:2] == pytest.approx([1, 1])
