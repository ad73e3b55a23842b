"""Distances between the distributions of single columns in the synthetic and in the test rows."""

from __future__ import annotations

import math

import numpy as np

from ..base import Evaluation, Value, best_at_zero, metric
from ..encoding import encoded
from ..summary import mean_value
from .marginals import NO_VALUES

BINS = 10  # between the deciles of the test values


@metric(
    family="fidelity",
    aspect="marginals",
    direction="min",
    ideal=0.0,
    lower=0.0,
    definition="Mean over numeric columns of the 1-Wasserstein distance between synthetic and test values, in standard "
    "deviations of the test values, missing values left out; for a column that is constant in the test rows 0 if it "
    "is the same constant in the synthetic rows, and else undefined.",
    citation="Vaserstein 1969, Problems of Information Transmission 5:47; SciPy: wasserstein_distance",
    needs=("numeric",),
)
def wasserstein(evaluation: Evaluation) -> Value:
    """Earth mover's distance, by numeric column."""
    test, synthetic = encoded(evaluation, "test").numbers, encoded(evaluation, "synthetic").numbers
    names = evaluation.schema.numeric
    scores = {name: _wasserstein(test[:, j], synthetic[:, j]) for j, name in enumerate(names)}
    return mean_value(scores, "columns", f"{NO_VALUES}, infinite ones, or a constant in the test rows alone")


@best_at_zero(
    family="fidelity",
    aspect="marginals",
    definition="Mean over columns of the Jensen-Shannon distance (the root of the divergence to base 2) between "
    "synthetic and test rows: of the label shares, or of the shares in the ten bins between the deciles of the test "
    "values, where the outer bins are open and a value that is several deciles at once has a bin of its own; missing "
    "values left out.",
    citation="Lin 1991, IEEE Transactions on Information Theory 37:145; Endres and Schindelin 2003, IEEE Transactions "
    "on Information Theory 49:1858",
)
def jensen_shannon(evaluation: Evaluation) -> Value:
    """Jensen-Shannon distance of the marginals, by column."""
    schema = evaluation.schema
    test, synthetic = encoded(evaluation, "test"), encoded(evaluation, "synthetic")
    scores = {}
    for j, name in enumerate(schema.numeric):
        reference, other = (table.numbers[~np.isnan(table.numbers[:, j]), j] for table in (test, synthetic))
        cuts = decile_cuts(reference)
        binned = (np.searchsorted(cuts, values, side="right") for values in (reference, other))
        scores[name] = _jensen_shannon(*(np.bincount(bins, minlength=len(cuts) + 1) for bins in binned))
    for j, name in enumerate(schema.categorical):
        codes = (table.codes[table.codes[:, j] >= 0, j] for table in (test, synthetic))
        scores[name] = _jensen_shannon(*(np.bincount(labels, minlength=test.levels[j]) for labels in codes))
    return mean_value({name: scores[name] for name in schema.names}, "columns", NO_VALUES)


def decile_cuts(values: np.ndarray) -> np.ndarray:
    """Where to cut the line into bins between the deciles of ``values``; a bin begins with its cut.

    Deciles are values themselves, not between two. One that occurs twice among them, such as the zeros of a count, is
    cut on both sides, or it would share its bin with whatever lies above it.

    Args:
        values: shape ``(rows,)``, none missing.

    Returns:
        Ascending cuts, shape ``(bins - 1,)``; none without values.
    """
    if not len(values):
        return values
    places = np.maximum(-(-np.arange(BINS + 1) * len(values) // BINS) - 1, 0)
    deciles, count = np.unique(np.sort(values)[places], return_counts=True)
    repeated = deciles[count > 1]
    return np.unique(np.concatenate([deciles[1:-1], repeated, np.nextafter(repeated, np.inf)]))


def _wasserstein(reference: np.ndarray, other: np.ndarray) -> float:
    from scipy.stats import wasserstein_distance

    reference, other = (np.sort(values[~np.isnan(values)]) for values in (reference, other))
    if not len(reference) or not len(other) or not np.isfinite([*reference[[0, -1]], *other[[0, -1]]]).all():
        return math.nan
    if reference[0] == reference[-1]:
        return 0.0 if other[0] == other[-1] == reference[0] else math.nan
    scale = np.abs(reference[[0, -1]]).max()
    with np.errstate(over="ignore", invalid="ignore"):  # beyond the largest float, the distance is undefined
        reference, other = reference / scale, other / scale
        return float(wasserstein_distance(reference, other) / reference.std())


def _jensen_shannon(counts: np.ndarray, other: np.ndarray) -> float:
    """The distance of two distributions given as counts; NaN where one is empty."""
    from scipy.special import rel_entr

    if not counts.any() or not other.any():
        return math.nan
    p, q = counts / counts.sum(), other / other.sum()
    middle = (p + q) / 2
    divergence = (rel_entr(p, middle).sum() + rel_entr(q, middle).sum()) / 2 / math.log(2)
    # Rounding takes the divergence of nearly equal distributions below 0, and of disjoint ones above 1.
    return math.sqrt(min(1.0, max(0.0, float(divergence))))
