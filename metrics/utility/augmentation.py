"""Augmentation: what do synthetic rows add to the real ones, where there are few of them?"""

from __future__ import annotations

from dataclasses import replace

from ..base import Evaluation, Value, metric
from .classification import CAP, LEARNER_NAMES
from .predictions import mean_of_learners, predictions, score_values
from .scores import Score, auroc, f1


@metric(
    family="utility",
    aspect="augmentation",
    direction="max",
    ideal=1.0,
    lower=-1.0,
    upper=1.0,
    definition="What synthetic rows add to the real ones: F1 score on the test rows of models trained on train and "
    "synthetic rows together, minus that of models trained on the train rows (trtr_f1), 0 if nothing; "
    f"{LEARNER_NAMES}; {CAP}.",
    needs=("class target",),
)
def tatr_f1(evaluation: Evaluation) -> list[Value]:
    """Train on augmented, test on real: gain of F1."""
    return _gain(evaluation, f1)


@metric(
    family="utility",
    aspect="augmentation",
    direction="max",
    ideal=1.0,
    lower=-1.0,
    upper=1.0,
    definition="What synthetic rows add to the real ones: area under the ROC curve on the test rows of models trained "
    "on train and synthetic rows together, minus that of models trained on the train rows (trtr_auroc), 0 if nothing; "
    f"{LEARNER_NAMES}; {CAP}.",
    needs=("class target",),
)
def tatr_auroc(evaluation: Evaluation) -> list[Value]:
    """Train on augmented, test on real: gain of the area under the ROC curve."""
    return _gain(evaluation, auroc)


def _gain(evaluation: Evaluation, score: Score) -> list[Value]:
    """The difference that the synthetic rows make, by learner."""
    alone = score_values(evaluation, predictions(evaluation, "train"), score)
    both = score_values(evaluation, predictions(evaluation, "both"), score)
    gains = [_difference(more, less) for more, less in zip(both, alone, strict=True)][1:]
    return [mean_of_learners(gains), *gains]


def _difference(more: Value, less: Value) -> Value:
    reason = more.reason or less.reason
    if more.value is None or less.value is None:
        return replace(more, value=None, breakdown={}, reason=reason)
    by_class = {code: (value or 0.0) - (less.breakdown[code] or 0.0) for code, value in more.breakdown.items()}
    return replace(more, value=more.value - less.value, breakdown=dict(by_class), reason=reason)
