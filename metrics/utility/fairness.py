"""Fairness: is the synthetic table as good for every group of patients?"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from ..base import Evaluation, Value, best_at_zero
from ..encoding import encoded
from ..fidelity.marginals import column_scores
from ..summary import mean_value
from .predictions import Predictions, learner_value, mean_of_learners, predictions
from .scores import auroc

SMALLEST = 20  # rows of a subgroup: with fewer, chance decides which is worst


@dataclass(frozen=True)
class Subgroup:
    """The rows of two tables that share a value of a sensitive column.

    Attributes:
        name: the column and the value.
        column: the sensitive column.
        test, synthetic: row numbers.
    """

    name: str
    column: str
    test: np.ndarray
    synthetic: np.ndarray


@best_at_zero(
    family="utility",
    aspect="fairness",
    definition="Score of the best minus that of the worst subgroup that the sensitive columns of the schema card name, "
    "one subgroup a label, and two a number, up to the median of the train rows and above: mean of column_shapes over "
    "the other columns ('column_shapes') and tstr_auroc on the subgroup's test rows, mean over the learners "
    f"('tstr_auroc'); the breakdown gives the score of each, and those with fewer than {SMALLEST} rows in the test or "
    "the synthetic table are left out.",
    needs=("sensitive column",),
)
def subgroup_gap(evaluation: Evaluation) -> list[Value]:
    """How much better the table serves the best subgroup than the worst."""
    groups = list(_subgroups(evaluation))
    small = [g.name for g in groups if min(len(g.test), len(g.synthetic)) < SMALLEST]
    groups = [g for g in groups if g.name not in small]
    shapes = {g.name: _shapes(evaluation, g) for g in groups}
    why = f"fewer than {SMALLEST} rows on a side"
    return [_gap("column_shapes", shapes, small, why), _auroc_gap(evaluation, groups, small, f"{why}, or one class")]


def _auroc_gap(evaluation: Evaluation, groups: list[Subgroup], small: list[str], why: str) -> Value:
    if evaluation.schema.task not in ("binary", "multiclass"):
        return Value(None, "tstr_auroc", reason="needs a class target: there is none")
    predicted = predictions(evaluation, "synthetic")
    if isinstance(predicted, str):
        return Value(None, "tstr_auroc", reason=predicted)
    return _gap("tstr_auroc", {g.name: _auroc(evaluation, g, predicted) for g in groups}, small, why)


def _gap(variant: str, scores: dict[str, float], small: list[str], why: str) -> Value:
    """Best minus worst, with a reason that names what is left out."""
    mean = mean_value(scores | dict.fromkeys(small, math.nan), "subgroups", why)
    known = [score for score in scores.values() if math.isfinite(score)]
    if len(known) < 2:
        reason = "fewer than two subgroups to compare" + (f"; {mean.reason}" if mean.reason else "")
        return replace(mean, value=None, variant=variant, reason=reason)
    return replace(mean, value=max(known) - min(known), variant=variant)


def _shapes(evaluation: Evaluation, group: Subgroup) -> float:
    """Mean column_shapes score of a subgroup over the columns that do not define it; NaN if none has one."""
    tables = {"test": encoded(evaluation, "test").take(group.test)}
    tables["synthetic"] = encoded(evaluation, "synthetic").take(group.synthetic)
    scores = column_scores(replace(evaluation, shared={"encoded": tables}))
    known = [score for name, score in scores.items() if name != group.column and math.isfinite(score)]
    return math.fsum(known) / len(known) if known else math.nan


def _auroc(evaluation: Evaluation, group: Subgroup, predicted: Predictions) -> float:
    """Mean AUROC of the learners on the test rows of a subgroup; NaN if they hold one class only."""
    own = np.isin(predicted.rows, group.test)
    if np.count_nonzero(own) < SMALLEST:
        return math.nan
    of_group = replace(
        predicted,
        truth=predicted.truth[own],
        by_learner={name: p if isinstance(p, str) else p[own] for name, p in predicted.by_learner.items()},
    )
    mean = mean_of_learners([learner_value(evaluation, of_group, name, auroc) for name in of_group.by_learner])
    return math.nan if mean.value is None else mean.value


def _subgroups(evaluation: Evaluation) -> Iterator[Subgroup]:
    """All subgroups. Rows without a known value of the sensitive column belong to none."""
    schema = evaluation.schema
    for name in sorted(schema.sensitive):
        test, synthetic = evaluation.test[name], evaluation.synthetic[name]
        if not schema[name].numeric:
            for code in schema[name].codes:
                rows = (np.flatnonzero(side == code) for side in (test, synthetic))
                yield Subgroup(f"{name} = {code}", name, *rows)
            continue
        known = evaluation.train[name].to_numpy(dtype=float)
        known = known[np.isfinite(known)]
        if not len(known):
            continue
        median = float(np.median(known))
        yield Subgroup(f"{name} <= {median:g}", name, *(np.flatnonzero(side <= median) for side in (test, synthetic)))
        yield Subgroup(f"{name} > {median:g}", name, *(np.flatnonzero(side > median) for side in (test, synthetic)))
