"""Utility: does a model trained on the synthetic table predict the target of real patients?"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal

import numpy as np

from .base import Evaluation, Value, metric
from .learners import LEARNERS, Predictions, UntrainableError, predict

Side = Literal["synthetic", "train"]
Score = Callable[[Evaluation, np.ndarray, np.ndarray], tuple[float, dict[str, float]]]

ESTEBAN = "Esteban, Hyland and Rätsch 2017, arXiv:1706.02633"
LEARNER_NAMES = "logistic regression, decision tree, random forest and XGBoost (first their mean)"


@metric(
    family="utility",
    direction="max",
    ideal=1.0,
    lower=0.0,
    upper=1.0,
    definition="F1 score on the test rows of models trained on the synthetic rows: of the positive class, or the mean "
    f"over the classes of the test rows if there are more than two; {LEARNER_NAMES}.",
    citation=ESTEBAN,
    needs=("class target",),
)
def tstr_f1(evaluation: Evaluation) -> list[Value]:
    """Train on synthetic, test on real: F1."""
    return _values(evaluation, "synthetic", f1)


@metric(
    family="utility",
    direction="max",
    ideal=1.0,
    lower=0.0,
    upper=1.0,
    definition="Area under the ROC curve on the test rows of models trained on the synthetic rows: binary, or the mean "
    f"of one class against the rest if there are more than two; {LEARNER_NAMES}.",
    citation=ESTEBAN,
    needs=("class target",),
)
def tstr_auroc(evaluation: Evaluation) -> list[Value]:
    """Train on synthetic, test on real: area under the ROC curve."""
    return _values(evaluation, "synthetic", auroc)


@metric(
    family="utility",
    direction="max",
    ideal=1.0,
    lower=0.0,
    upper=1.0,
    definition="tstr_f1 of models trained on the real train rows: the reference that tstr_f1 is read against.",
    citation=ESTEBAN,
    needs=("class target",),
    ranked=False,
)
def trtr_f1(evaluation: Evaluation) -> list[Value]:
    """Train on real, test on real: F1."""
    return _values(evaluation, "train", f1)


@metric(
    family="utility",
    direction="max",
    ideal=1.0,
    lower=0.0,
    upper=1.0,
    definition="tstr_auroc of models trained on the real train rows: the reference that tstr_auroc is read against.",
    citation=ESTEBAN,
    needs=("class target",),
    ranked=False,
)
def trtr_auroc(evaluation: Evaluation) -> list[Value]:
    """Train on real, test on real: area under the ROC curve."""
    return _values(evaluation, "train", auroc)


@metric(
    family="utility",
    direction="target",
    ideal=1.0,
    lower=0.0,
    definition="Mean tstr score over the learners divided by the mean trtr score (variants 'f1' and 'auroc'): below 1 "
    "signal of the real rows is lost, well above 1 signal is invented.",
    citation=ESTEBAN,
    needs=("class target",),
)
def tstr_ratio(evaluation: Evaluation) -> list[Value]:
    """Utility of the synthetic rows relative to that of the real ones."""
    return [_ratio(evaluation, "f1", f1), _ratio(evaluation, "auroc", auroc)]


def f1(evaluation: Evaluation, truth: np.ndarray, probabilities: np.ndarray) -> tuple[float, dict[str, float]]:
    """F1 of the most probable class: of the positive class, or macro over the classes in ``truth``.

    Returns:
        The score, and F1 by class if there are more than two. A class that is neither predicted nor
        there has F1 0. Of equally probable classes the first is predicted.
    """
    predicted = probabilities.argmax(axis=1)
    scores = {}
    for code, k in _scored_classes(evaluation, truth).items():
        hits = np.count_nonzero((predicted == k) & (truth == k))
        either = np.count_nonzero(predicted == k) + np.count_nonzero(truth == k)
        scores[code] = 2 * hits / either if either else 0.0
    return _macro(evaluation, scores)


def auroc(evaluation: Evaluation, truth: np.ndarray, probabilities: np.ndarray) -> tuple[float, dict[str, float]]:
    """Area under the ROC curve: binary, or macro one-versus-rest over the classes in ``truth``.

    Returns:
        The score, NaN if the test rows hold one class only, and that of each class if there are more than two.
    """
    from scipy.stats import rankdata

    scores = {}
    for code, k in _scored_classes(evaluation, truth).items():
        positive = truth == k
        n, m = np.count_nonzero(positive), np.count_nonzero(~positive)
        # Mann-Whitney: the share of (positive, negative) pairs in the right order, ties half.
        above = rankdata(probabilities[:, k])[positive].sum() - n * (n + 1) / 2
        scores[code] = float(above / (n * m)) if n and m else math.nan
    return _macro(evaluation, scores)


def _scored_classes(evaluation: Evaluation, truth: np.ndarray) -> dict[str, int]:
    """Code to number of the classes that a score is computed for."""
    schema = evaluation.schema
    assert schema.target is not None
    codes = list(schema[schema.target].codes)
    if schema.task == "binary":
        assert schema.positive is not None
        return {schema.positive: codes.index(schema.positive)}
    return {codes[k]: int(k) for k in np.unique(truth)}


def _macro(evaluation: Evaluation, scores: dict[str, float]) -> tuple[float, dict[str, float]]:
    mean = float(np.mean(list(scores.values())))
    return mean, {} if evaluation.schema.task == "binary" else scores


def _predictions(evaluation: Evaluation, side: Side) -> Predictions | str:
    """Predictions of all learners trained on one table, or why there are none; shared by all utility metrics."""

    def compute() -> Predictions | str:
        try:
            return predict(evaluation.schema, getattr(evaluation, side), evaluation.test, evaluation.seed)
        except UntrainableError as error:
            return str(error)

    return evaluation.once(("predictions", side), compute)


def _values(evaluation: Evaluation, side: Side, score: Score) -> list[Value]:
    """The mean over learners, then each learner."""
    predictions = _predictions(evaluation, side)
    if isinstance(predictions, str):
        return [Value(None, variant, reason=predictions) for variant in ("mean", *LEARNERS)]
    n = len(predictions.truth)
    values = []
    for learner, probabilities in predictions.probabilities.items():
        if isinstance(probabilities, str):
            values.append(Value(None, learner, n=n, reason=probabilities))
            continue
        value, by_class = score(evaluation, predictions.truth, probabilities)
        if math.isnan(value):
            reason = "the test rows hold one class only"
            values.append(Value(None, learner, n=n, reason=reason))
        else:
            values.append(Value(value, learner, n=n, breakdown=dict(by_class), reason=predictions.note))
    return [_mean(values, n), *values]


def _mean(values: list[Value], n: int) -> Value:
    """Mean over the learners that gave a value, by class too, with the reason of those that did not."""
    known = [v for v in values if v.value is not None]
    reason = next((v.reason for v in values if v.reason), "")
    if not known:
        return Value(None, "mean", n=n, reason=reason)
    by_class = {code: float(np.mean([v.breakdown[code] for v in known])) for code in known[0].breakdown}
    return Value(float(np.mean([v.value for v in known])), "mean", n=n, breakdown=dict(by_class), reason=reason)


def _ratio(evaluation: Evaluation, variant: str, score: Score) -> Value:
    synthetic, real = _values(evaluation, "synthetic", score)[0], _values(evaluation, "train", score)[0]
    if synthetic.value is None or real.value is None:
        return Value(None, variant, n=synthetic.n, reason=synthetic.reason or real.reason)
    if real.value == 0:
        return Value(None, variant, n=synthetic.n, reason="models trained on the real rows score 0")
    return Value(synthetic.value / real.value, variant, n=synthetic.n, reason=synthetic.reason or real.reason)
