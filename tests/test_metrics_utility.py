"""Utility metrics: scores equal scikit-learn's, and nothing of the test side reaches a learner."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from metric_tables import WARD, evaluation, real_table, ward
from sklearn.metrics import average_precision_score, brier_score_loss, f1_score, r2_score, roc_auc_score
from synthward.benchmarks.schema import Column, TableSchema
from synthward.metrics import Evaluation, get
from synthward.metrics.sampling import drawn
from synthward.metrics.utility import learners as learners_module
from synthward.metrics.utility import predictions as predictions_module
from synthward.metrics.utility import tabnet
from synthward.metrics.utility.learners import LEARNERS, REGRESSORS, Encoder
from synthward.metrics.utility.predictions import Predictions, predictions
from synthward.metrics.utility.references import References
from synthward.results.record import Measurement, Status

STAGED = TableSchema(columns=WARD.columns, target="stage", task="multiclass")
AGED = TableSchema(columns=WARD.columns, target="age", task="regression")
SCORES = ("f1", "auroc", "auprc", "brier")


def measure(name: str, evaluation: Evaluation) -> dict[str, Measurement]:
    return {m.variant: m for m in get(name).measure(evaluation)}


def predicted(evaluation: Evaluation, side: str = "synthetic") -> Predictions:
    found = predictions(evaluation, side)
    assert isinstance(found, Predictions)
    return found


@pytest.mark.parametrize("name", [f"{kind}_{score}" for kind in ("tstr", "trtr") for score in SCORES])
def test_mean_comes_first_and_is_the_mean_of_the_learners(name: str) -> None:
    found = measure(name, evaluation(ward(150, 4)))
    assert list(found) == ["mean", *LEARNERS]
    assert found["mean"].value == pytest.approx(np.mean([found[learner].value for learner in LEARNERS]))
    assert get(name).card.ranked == name.startswith("tstr")


@pytest.mark.filterwarnings("ignore:The y_prob values do not sum to one")  # those of XGBoost are of single precision
@pytest.mark.parametrize("schema", [WARD, STAGED], ids=["binary", "multiclass"])
def test_scores_equal_scikit_learn(schema: TableSchema) -> None:
    evaluated = evaluation(ward(200, 4), schema, n=200)
    found = predicted(evaluated)
    truth = found.truth
    codes = list(schema[schema.target].codes)
    for learner, probabilities in found.by_learner.items():
        likeliest = probabilities.argmax(axis=1)
        if schema is WARD:
            k = codes.index("yes")
            theirs = {
                "f1": f1_score(truth, likeliest, pos_label=k),
                "auroc": roc_auc_score(truth, probabilities[:, k]),
                "auprc": average_precision_score(truth == k, probabilities[:, k]),
                "brier": brier_score_loss(truth == k, probabilities[:, k]),
            }
        else:
            theirs = {
                "f1": f1_score(truth, likeliest, average="macro"),
                "auroc": roc_auc_score(truth, probabilities, multi_class="ovr", average="macro"),
                "auprc": average_precision_score(np.eye(len(codes))[truth.astype(int)], probabilities, average="macro"),
                "brier": brier_score_loss(truth, probabilities, labels=range(len(codes))),
            }
        for score, value in theirs.items():
            assert measure(f"tstr_{score}", evaluated)[learner].value == pytest.approx(value, abs=1e-12), score


def test_scores_of_several_classes_add_up() -> None:
    evaluated = evaluation(ward(200, 4), STAGED, n=200)
    for score, whole in (("f1", np.mean), ("auprc", np.mean), ("brier", np.sum)):
        for measurement in measure(f"tstr_{score}", evaluated).values():
            assert set(measurement.breakdown) == set(STAGED["stage"].codes)
            assert measurement.value == pytest.approx(whole(list(measurement.breakdown.values())))


def test_train_rows_as_synthetic_give_the_reference() -> None:
    train = ward(150, 1)
    evaluated = evaluation(train.copy(), train=train)
    for score in SCORES:
        ours = {v: m.value for v, m in measure(f"tstr_{score}", evaluated).items()}
        assert ours == {v: m.value for v, m in measure(f"trtr_{score}", evaluated).items()}
    for score in ("f1", "auroc"):
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
        for score, expected_of_all in (("auprc", share), ("brier", share if code == "no" else 1 - share)):
            for measurement in measure(f"tstr_{score}", evaluated).values():
                assert measurement.value == pytest.approx(expected_of_all)
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
    assert {m.value for m in measure("tstr_brier", evaluated).values()} == {0.0}
    for measurement in [*measure("tstr_auroc", evaluated).values(), *measure("tstr_auprc", evaluated).values()]:
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
    test = ward(60, 3)
    together = predicted(evaluation(ward(150, 4), test=test))
    alone = predicted(evaluation(ward(150, 4), test=test.iloc[:7]))
    for learner in LEARNERS:
        np.testing.assert_array_equal(together.by_learner[learner][:7], alone.by_learner[learner])


def test_models_of_synthetic_rows_know_nothing_of_train() -> None:
    synthetic = ward(120, 4)
    for name in ("tstr_f1", "tstr_auroc"):
        one, two = (measure(name, evaluation(synthetic, train=ward(120, s)))["mean"].value for s in (1, 8))
        assert one == two


def test_seed_reaches_the_learners() -> None:
    evaluated = evaluation(ward(150, 4))
    other = replace(evaluated, seed=1, shared={})
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
    assert encoder.origins.tolist() == ["x", "y", "y", "k", "k", "k"]
    assert encoder.transform(train).std(axis=0)[:2] == pytest.approx([1, 1])


# Both tables together, and the other way round


def test_augmentation_is_the_gain_over_the_train_rows_alone() -> None:
    synthetic, train, test = ward(150, 4), ward(60, 1), ward(200, 3)
    evaluated = evaluation(synthetic, train=train, test=test)
    both = evaluation(pd.concat([train, synthetic], ignore_index=True), train=train, test=test)
    for score in ("f1", "auroc"):
        gain, more, less = (
            measure(name, e)
            for name, e in zip(
                (f"tatr_{score}", f"tstr_{score}", f"trtr_{score}"), (evaluated, both, both), strict=True
            )
        )
        assert list(gain) == ["mean", *LEARNERS]
        for variant, measurement in gain.items():
            assert measurement.value == pytest.approx(more[variant].value - less[variant].value, abs=1e-12)


def test_more_patients_help_and_patients_with_the_wrong_outcome_harm() -> None:
    synthetic = ward(600, 4)
    flipped = synthetic.assign(died=synthetic["died"].map({"yes": "no", "no": "yes"}))
    few = {"train": ward(60, 1), "test": ward(400, 3)}
    assert measure("tatr_auroc", evaluation(synthetic, **few))["mean"].value > 0.01
    assert measure("tatr_auroc", evaluation(flipped, **few))["mean"].value < -0.2


@pytest.mark.parametrize("synthetic", [ward(0, 4), ward(50, 4).assign(died=None)], ids=["no rows", "no target"])
def test_nothing_to_add_is_no_gain_of_zero(synthetic: pd.DataFrame) -> None:
    for name in ("tatr_f1", "trts_auroc"):
        for measurement in measure(name, evaluation(synthetic)).values():
            assert measurement.value is None
            assert "no synthetic row" in measurement.reason


def test_synthetic_rows_are_scored_by_what_their_label_means() -> None:
    synthetic, train = ward(400, 4), ward(400, 1)
    flipped = synthetic.assign(died=synthetic["died"].map({"yes": "no", "no": "yes"}))
    swapped = evaluation(train, test=synthetic)
    for score in ("f1", "auroc"):
        found = measure(f"trts_{score}", evaluation(synthetic, train=train))
        assert found["mean"].n == 400
        assert {v: m.value for v, m in found.items()} == {
            v: m.value for v, m in measure(f"tstr_{score}", swapped).items()
        }
    assert measure("trts_auroc", evaluation(synthetic, train=train))["mean"].value > 0.8
    assert measure("trts_auroc", evaluation(flipped, train=train))["mean"].value < 0.2


# Numbers


def test_numeric_target_is_scored_as_scikit_learn_does() -> None:
    schema, split = real_table("diabetes", 400)
    schema = TableSchema(columns=schema.columns, target="target", task="regression")
    evaluated = Evaluation(schema, split.train, split.control, split.test, split.control)
    found, measured = predicted(evaluated), measure("tstr_r2", evaluated)
    assert list(measured) == ["mean", *REGRESSORS]
    for learner, numbers in found.by_learner.items():
        assert measured[learner].value == pytest.approx(r2_score(found.truth, numbers), abs=1e-12)
    assert measured["ridge_regression"].value > 0.3
    assert measured["mean"].value == pytest.approx(np.mean([measured[v].value for v in REGRESSORS]))
    same = replace(evaluated, synthetic=split.train, shared={})
    assert measure("tstr_r2", same)["mean"].value == measure("trtr_r2", same)["mean"].value


def test_numeric_target_that_says_nothing_is_explained() -> None:
    for test, reason in (
        (ward(50, 3).assign(age=61.0), "does not vary"),
        (ward(50, 3).assign(age=np.inf), "no test row"),
    ):
        for measurement in measure("tstr_r2", evaluation(ward(80, 4), AGED, test=test)).values():
            assert measurement.value is None
            assert reason in measurement.reason
    assert "numeric target" in measure("tstr_r2", evaluation(ward(50, 4)))[""].reason
    assert "class target" in measure("tstr_auprc", evaluation(ward(50, 4), AGED))[""].reason


# Large tables


def test_large_tables_are_drawn_from_and_the_test_rows_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(predictions_module, "MOST_ROWS", 60)
    evaluated = evaluation(ward(150, 4), test=ward(90, 3).assign(stage="1"))
    fewer = {part: getattr(evaluated, part).iloc[drawn(evaluated, part, 60)] for part in ("synthetic", "train", "test")}
    small = replace(evaluated, **fewer, shared={})
    for name in ("tstr_auroc", "trtr_brier", "tatr_f1"):
        found, expected = measure(name, evaluated)["mean"], measure(name, small)["mean"]
        assert found.value == pytest.approx(expected.value, abs=1e-12)
        assert (found.n, found.population, found.sample_seed) == (60, 90, evaluated.seed)
    assert measure("trts_f1", evaluated)["mean"].population == 150


def test_reference_of_a_large_table_is_the_same_beside_any_synthetic_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """A label that only one synthetic table has would shift the codes by which rows are drawn."""
    monkeypatch.setattr(predictions_module, "MOST_ROWS", 60)
    one, two = (evaluation(ward(80, seed).assign(unit=unit)) for seed, unit in ((4, "general"), (5, "aaa")))
    assert measure("trtr_auroc", one)["mean"].value == measure("trtr_auroc", two)["mean"].value


# TabNet


def test_tabnet_learns_and_knows_its_reference(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import torch

    monkeypatch.setattr(tabnet, "EPOCHS", 20)
    state, threads = torch.random.get_rng_state(), torch.get_num_threads()
    train = ward(400, 1)
    evaluated = replace(evaluation(train.copy(), train=train, test=ward(300, 3)), references=References(tmp_path, {}))
    found = measure("tstr_tabnet", evaluated) | measure("tstr_tabnet_brier", evaluated)
    assert set(found) == {"f1", "auroc", "auprc", ""}
    assert found["auroc"].value > 0.6  # chance is 0.5, give or take 0.03; training differs by processor
    for measurement in found.values():
        assert measurement.breakdown == {tabnet.REFERENCE: measurement.value}
    again = replace(evaluated, references=None, shared={})
    assert {v: m.value for v, m in measure("tstr_tabnet", again).items()} == {v: m.value for v, m in found.items() if v}
    assert (torch.random.get_rng_state() == state).all()
    assert torch.get_num_threads() == threads


def test_tabnet_that_is_not_installed_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pytorch_tabnet.tab_model", None)
    found = measure("tstr_tabnet", evaluation(ward(50, 4))) | measure("tstr_tabnet_brier", evaluation(ward(50, 4)))
    for measurement in found.values():
        assert measurement.status is Status.UNSUPPORTED
        assert "pip install 'synthward[tabnet]'" in measurement.reason
