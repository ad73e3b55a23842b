"""How good predictions are: scores of a model on rows whose target is known.

Each takes the schema, the truth of shape ``(rows,)`` and the predictions, and gives the score and, where there are
more than two classes, that of each. Classes are numbered in the order of the target's codes, and probabilities have
shape ``(rows, classes)``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from ...benchmarks.schema import TableSchema

Scored = tuple[float, dict[str, float]]
Score = Callable[["TableSchema", np.ndarray, np.ndarray], Scored]


class UndefinedScoreError(ValueError):
    """A score is not defined on these rows; the message says why."""


def f1(schema: TableSchema, truth: np.ndarray, probabilities: np.ndarray) -> Scored:
    """F1 of the most probable class: of the positive class, or macro over the classes in ``truth``.

    A class that is neither predicted nor there has F1 0. Of equally probable classes the first is predicted.
    """
    predicted = probabilities.argmax(axis=1)
    scores = {}
    for code, k in _scored_classes(schema, truth).items():
        hits = np.count_nonzero((predicted == k) & (truth == k))
        either = np.count_nonzero(predicted == k) + np.count_nonzero(truth == k)
        scores[code] = 2 * hits / either if either else 0.0
    return _macro(schema, scores)


def auroc(schema: TableSchema, truth: np.ndarray, probabilities: np.ndarray) -> Scored:
    """Area under the ROC curve: binary, or macro one-versus-rest over the classes in ``truth``.

    Raises:
        UndefinedScoreError: the rows hold one class only.
    """
    from scipy.stats import rankdata

    _several_classes(truth)
    scores = {}
    for code, k in _scored_classes(schema, truth).items():
        positive = truth == k
        n, m = np.count_nonzero(positive), np.count_nonzero(~positive)
        # Mann-Whitney: the share of (positive, negative) pairs in the right order, ties half.
        above = rankdata(probabilities[:, k])[positive].sum() - n * (n + 1) / 2
        scores[code] = float(above / (n * m))
    return _macro(schema, scores)


def auprc(schema: TableSchema, truth: np.ndarray, probabilities: np.ndarray) -> Scored:
    """Average precision: binary, or macro one-versus-rest over the classes in ``truth``.

    Raises:
        UndefinedScoreError: the rows hold one class only.
    """
    from sklearn.metrics import average_precision_score

    _several_classes(truth)
    return _macro(
        schema,
        {
            code: float(average_precision_score(truth == k, probabilities[:, k]))
            for code, k in _scored_classes(schema, truth).items()
        },
    )


def brier(schema: TableSchema, truth: np.ndarray, probabilities: np.ndarray) -> Scored:
    """Mean squared error of the probabilities: of the positive class, or summed over all classes of the schema."""
    assert schema.target is not None
    errors = {
        code: float(np.mean((probabilities[:, k] - (truth == k)) ** 2))
        for k, code in enumerate(schema[schema.target].codes)
    }
    if schema.task == "binary":
        assert schema.positive is not None
        return errors[schema.positive], {}
    return float(sum(errors.values())), errors


def r2(schema: TableSchema, truth: np.ndarray, predicted: np.ndarray) -> Scored:
    """Share of the variance of a number that its prediction explains, 1 - squared error / variance.

    Raises:
        UndefinedScoreError: the number does not vary, or is too large to be squared.
    """
    if (truth == truth[0]).all():
        raise UndefinedScoreError("the target does not vary in the rows to predict")
    with np.errstate(all="ignore"):
        score = float(1 - np.sum((truth - predicted) ** 2) / np.sum((truth - truth.mean()) ** 2))
    if not np.isfinite(score):
        raise UndefinedScoreError("the errors of the predictions are too large to be squared")
    return score, {}


def _several_classes(truth: np.ndarray) -> None:
    if (truth == truth[0]).all():
        raise UndefinedScoreError("the rows to predict hold one class only")


def _scored_classes(schema: TableSchema, truth: np.ndarray) -> dict[str, int]:
    """Code to number of the classes that a score is computed for."""
    assert schema.target is not None
    codes = list(schema[schema.target].codes)
    if schema.task == "binary":
        assert schema.positive is not None
        return {schema.positive: codes.index(schema.positive)}
    return {codes[k]: k for k in np.unique(truth).astype(int).tolist()}


def _macro(schema: TableSchema, scores: dict[str, float]) -> Scored:
    mean = float(np.mean(list(scores.values())))
    return mean, {} if schema.task == "binary" else scores
