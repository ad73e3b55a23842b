"""Univariate inference: would a study of the synthetic rows report the means and proportions of the test rows?

A parameter is the mean of a numeric column, or the proportion of a label of the test rows in a categorical one. Of two
labels only the second is a parameter, since the first says the same.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from heapq import nsmallest

import numpy as np

from ..base import Evaluation, Value, best_at_one
from ..encoding import encoded
from ..summary import WORST, mean_value, share_value

SIGNIFICANCE = 0.05  # and intervals cover the rest
UNDEFINED = "no known label, fewer than two known numbers, or infinite ones on one side"
BARR = "Barr, Quan, Guo and Sezgin 2025, Frontiers in Artificial Intelligence 8:1533508"


@best_at_one(
    family="fidelity",
    aspect="marginals",
    definition="Share of parameters whose 95 % confidence intervals from synthetic and from test rows overlap: the "
    "mean of every numeric column (t interval) and the proportion of every label of the test rows (Wilson interval; "
    "of two labels the second), missing values left out; intervals shrink as rows grow in number, so that a larger "
    "table has to come nearer.",
    citation=f"{BARR}; interval of a proportion: Wilson 1927, JASA 22:209",
)
def mean_ci_overlap(evaluation: Evaluation) -> Value:
    """Overlap of confidence intervals; the breakdown holds 1 or 0 by parameter, first those without overlap."""
    overlaps = {name: found.overlap for name, found in comparisons(evaluation).items()}
    return mean_value(overlaps, "parameters", UNDEFINED, worst=WORST)


@best_at_one(
    family="fidelity",
    aspect="marginals",
    definition="Share of parameters that do not differ significantly (p of 0.05 or above) between synthetic and test "
    "rows: the mean of every numeric column (Welch's t test) and the proportion of every label of the test rows "
    "(two-proportion z test; of two labels the second), missing values left out, with p as it is (variant 'raw') and "
    "adjusted for the number of parameters (variant 'holm'); the larger a table, the smaller the differences that are "
    "significant.",
    citation=f"{BARR}; Welch 1947, Biometrika 34:28; Holm 1979, Scandinavian Journal of Statistics 6:65",
)
def univariate_tests(evaluation: Evaluation) -> list[Value]:
    """Tests of univariate differences; the breakdown holds the lowest p values."""
    raw = {name: found.p_value for name, found in comparisons(evaluation).items()}
    return [_not_significant(raw, "raw"), _not_significant(holm(raw), "holm")]


@dataclass(frozen=True)
class Comparison:
    """One parameter of the synthetic rows beside that of the test rows; NaN what is undefined.

    Attributes:
        overlap: 1 if their 95 % confidence intervals overlap, else 0.
        p_value: two-sided, of no difference.
    """

    overlap: float
    p_value: float


def comparisons(evaluation: Evaluation) -> dict[str, Comparison]:
    """All parameters of an evaluation, by ``column`` or ``column=label``."""
    return evaluation.once("univariate comparisons", lambda: _comparisons(evaluation))


def compare_means(reference: np.ndarray, other: np.ndarray) -> Comparison:
    """Compare the means of two samples: t intervals and Welch's t test.

    Of two constant samples p is 1 if they are equal, and else 0.

    Args:
        reference: shape ``(rows,)``, NaN for missing.
        other: likewise, of another number of rows.
    """
    from scipy.special import stdtr, stdtrit

    (n, mean, variance), (n_other, mean_other, variance_other) = _moments(reference), _moments(other)
    squared = variance / max(1, n), variance_other / max(1, n_other)  # standard errors
    total = sum(squared)
    gap = abs(mean - mean_other)
    if not math.isfinite(total + gap):
        return Comparison(math.nan, math.nan)
    if total == 0:
        return Comparison(float(gap == 0), float(gap == 0))
    half, half_other = stdtrit(np.array([n - 1, n_other - 1]), 1 - SIGNIFICANCE / 2) * np.sqrt(squared)
    # Shares of the total, because the squares of its parts may be too small or too large for a float.
    shares = squared[0] / total, squared[1] / total
    degrees = 1 / (shares[0] ** 2 / (n - 1) + shares[1] ** 2 / (n_other - 1))
    return Comparison(float(gap <= half + half_other), float(2 * stdtr(degrees, -gap / math.sqrt(total))))


def compare_proportions(hits: int, n: int, hits_other: int, n_other: int) -> Comparison:
    """Compare two proportions: Wilson intervals and the two-proportion z test with pooled variance.

    p is 1 if all rows of both samples are hits, or none is.

    Args:
        hits: of the reference.
        n: rows of the reference.
        hits_other: of the other sample.
        n_other: rows of the other sample.
    """
    from scipy.special import ndtr

    if not n or not n_other:
        return Comparison(math.nan, math.nan)
    (low, high), (low_other, high_other) = _wilson(hits, n), _wilson(hits_other, n_other)
    overlap = float(low <= high_other and low_other <= high)
    pooled = (hits + hits_other) / (n + n_other)
    if pooled in (0, 1):
        return Comparison(overlap, 1.0)
    error = math.sqrt(pooled * (1 - pooled) * (1 / n + 1 / n_other))
    return Comparison(overlap, float(2 * ndtr(-abs(hits / n - hits_other / n_other) / error)))


def holm(p_values: Mapping[str, float]) -> dict[str, float]:
    """Holm's step-down adjustment of p values for their number; an undefined one stays so and does not count."""
    adjusted = dict.fromkeys(p_values, math.nan)
    ascending = sorted((p, name) for name, p in p_values.items() if not math.isnan(p))
    least = 0.0
    for rank, (p, name) in enumerate(ascending):
        least = max(least, min(1.0, p * (len(ascending) - rank)))
        adjusted[name] = least
    return adjusted


def _not_significant(p_values: Mapping[str, float], variant: str) -> Value:
    passed = {name: p if math.isnan(p) else float(p >= SIGNIFICANCE) for name, p in p_values.items()}
    lowest = nsmallest(WORST, ((p, name) for name, p in p_values.items() if not math.isnan(p)))
    value = mean_value(passed, "parameters", UNDEFINED, variant=variant)
    return replace(value, breakdown={name: p for p, name in lowest})


def _comparisons(evaluation: Evaluation) -> dict[str, Comparison]:
    schema = evaluation.schema
    test, synthetic = encoded(evaluation, "test"), encoded(evaluation, "synthetic")
    found = {name: compare_means(test.numbers[:, j], synthetic.numbers[:, j]) for j, name in enumerate(schema.numeric)}
    for j, name in enumerate(schema.categorical):
        # The labels of the test rows alone: others would let the synthetic table add parameters that are easily met.
        codes, first, hits = np.unique(test.codes[:, j], return_index=True, return_counts=True)
        known = codes >= 0
        labels = [f"{name}={label}" for label in evaluation.test[name].to_numpy()[first[known]]]
        codes, hits = codes[known], hits[known]
        hits_other = np.bincount(synthetic.codes[:, j] + 1, minlength=synthetic.levels[j] + 1)[1:]
        sizes = int(hits.sum()), int(hits_other.sum())
        rows = list(zip(labels, hits.tolist(), hits_other[codes].tolist(), strict=True)) or [(name, 0, 0)]
        for label, hit, hit_other in rows[1:] if len(rows) == 2 else rows:
            found[label] = compare_proportions(hit, sizes[0], hit_other, sizes[1])
    return found


def _wilson(hits: int, n: int) -> tuple[float, float]:
    value = share_value(hits, n)
    assert value.low is not None
    assert value.high is not None
    return value.low, value.high


def _moments(values: np.ndarray) -> tuple[int, float, float]:
    """Number of the known values, their mean and their variance; NaN where these are undefined."""
    # Sorted, because the rounding error of a sum depends on the order of its terms.
    known = np.sort(values[~np.isnan(values)])
    if len(known) < 2 or not np.isfinite(known[[0, -1]]).all():
        return len(known), math.nan, math.nan
    if known[0] == known[-1]:  # the mean would be rounded
        return len(known), float(known[0]), 0.0
    with np.errstate(over="ignore", invalid="ignore"):  # what is beyond the largest float counts as infinite
        return len(known), float(known.mean()), float(known.var(ddof=1))
