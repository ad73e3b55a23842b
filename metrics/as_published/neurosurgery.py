"""As published: the evaluation of the zero-shot neurosurgical tables, as far as its papers describe it.

Barr et al. compare a synthetic table with the whole real one: here that is the train rows, from whose statistics the
synthetic ones were made, and never rows that nobody saw. Their test of exact copies is our metric duplicates, which
finds nothing among numbers with many decimals.
"""

from __future__ import annotations

from ..base import Evaluation, Value
from ..fidelity.univariate import mean_ci_overlap, univariate_tests
from ..utility.classification import tstr_f1
from .base import against, one_of, published

BARR = "Barr et al. 2025, arXiv:2502.09566, and Frontiers in Artificial Intelligence 8:1533508"


@published(
    BARR,
    "fidelity",
    "max",
    "Share of means and proportions whose 95 % confidence intervals from synthetic and from train rows overlap: "
    "mean_ci_overlap, compared with the rows whose means and proportions the generator may have been told.",
)
def neurosurgery_ci_overlap(evaluation: Evaluation) -> Value:
    """Overlap of confidence intervals with those of the train rows."""
    return one_of(mean_ci_overlap, against(evaluation, "train"), "", "")


@published(
    BARR,
    "fidelity",
    "max",
    "Share of means and proportions that do not differ significantly (two-sample t test, two-proportion z test, p of "
    "0.05 or above, not adjusted for their number) between synthetic and train rows: the fewer rows, the better.",
)
def neurosurgery_tests(evaluation: Evaluation) -> Value:
    """Tests of univariate differences from the train rows."""
    return one_of(univariate_tests, against(evaluation, "train"), "raw", "")


@published(
    BARR,
    "utility",
    "max",
    "F1 score on the train rows of models trained on the synthetic rows, mean of our four learners, since we know of "
    "no statement of theirs: tested on the rows of which the generator may have seen statistics.",
)
def neurosurgery_tstr_f1(evaluation: Evaluation) -> Value:
    """Train on synthetic, test on the real rows behind the statistics: F1."""
    if evaluation.schema.task not in ("binary", "multiclass"):
        return Value(None, reason="needs a class target: there is none")
    return one_of(tstr_f1, against(evaluation, "train"), "mean", "")
