"""Fidelity of pairs of columns: are columns related in the synthetic table as they are in the test rows?"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from ..base import Evaluation, Value, best_at_one
from ..encoding import Encoded, Part, encoded
from ..summary import WORST, mean_value
from .coefficients import pearson, spearman
from .marginals import SDMETRICS

UNDEFINED = "a column is constant or has no known values on one side"

# Thresholds and bins of the SDMetrics quality report: a pair enters column_pair_trends if its
# correlation or its Cramer's V in the reference lies above these.
STRONG_CORRELATION = 0.5
STRONG_ASSOCIATION = 0.3
BINS = 10

DENSE_CELLS = 1_000_000  # joint tables with more cells are counted by their occupied cells


@best_at_one(
    family="fidelity",
    aspect="associations",
    definition="Mean over pairs of numeric columns of 1 - half the absolute difference between the correlation "
    "(variants 'pearson' and 'spearman', rows with both values known) in synthetic and in test rows.",
    citation=f"{SDMETRICS}: CorrelationSimilarity",
    needs=("numeric pair",),
)
def correlation_similarity(evaluation: Evaluation) -> list[Value]:
    """Agreement of the correlations of numeric columns."""
    names = evaluation.schema.numeric
    sides: tuple[Part, Part] = ("test", "synthetic")
    linear = [correlations(evaluation, part) for part in sides]
    ranked = [spearman(encoded(evaluation, part).numbers) for part in sides]
    values = []
    for variant, (reference, other) in (("pearson", linear), ("spearman", ranked)):
        similar = 1 - np.abs(reference - other) / 2
        pairs = combinations(range(len(names)), 2)
        scores = {_key(names[i], names[j]): float(similar[i, j]) for i, j in pairs}
        values.append(mean_value(scores, "pairs", UNDEFINED, variant=variant, worst=WORST))
    return values


@best_at_one(
    family="fidelity",
    aspect="associations",
    definition="Mean over pairs of categorical columns of 1 - the total variation distance between the joint tables "
    "of synthetic and of test rows, where missing is a label of its own.",
    citation=f"{SDMETRICS}: ContingencySimilarity",
    needs=("categorical pair",),
)
def contingency_similarity(evaluation: Evaluation) -> Value:
    """Agreement of the joint tables of categorical columns."""
    categorical = set(evaluation.schema.categorical)
    scores = {_key(p.a, p.b): p.score for p in pair_scores(evaluation) if {p.a, p.b} <= categorical}
    return mean_value(scores, "pairs", "a table has no rows", worst=WORST)


@best_at_one(
    family="fidelity",
    aspect="associations",
    definition="Mean similarity of all pairs of columns that are related in the test rows (absolute Pearson "
    "correlation above 0.5, or Cramer's V above 0.3; variant 'all_pairs': of every pair): correlation similarity of "
    "two numeric columns, contingency similarity of any other two, a numeric one cut into 10 equal bins of its own "
    "table's range, where missing counts with the highest.",
    citation=f"{SDMETRICS} 0.32: QualityReport, Column Pair Trends",
)
def column_pair_trends(evaluation: Evaluation) -> list[Value]:
    """The Column Pair Trends score of the SDMetrics quality report, and its form of before the thresholds."""
    pairs = pair_scores(evaluation)
    related = [pair for pair in pairs if pair.related]
    if pairs and not related:
        headline = Value(None, n=0, reason="no pair of columns is related above the thresholds in the test rows")
    else:
        headline = _mean(related, "")
    return [headline, _mean(pairs, "all_pairs")]


@dataclass(frozen=True)
class Pair:
    """Two columns in the order of the schema.

    Attributes:
        a, b: names of the columns.
        score: similarity, NaN where it is undefined.
        related: whether the two are related in the reference above the thresholds.
    """

    a: str
    b: str
    score: float
    related: bool


def correlations(evaluation: Evaluation, part: Part) -> np.ndarray:
    """Pearson correlations of the numeric columns of one table, see :func:`.coefficients.pearson`."""
    return evaluation.once(("pearson", part), lambda: pearson(encoded(evaluation, part).numbers))


def pair_scores(evaluation: Evaluation) -> list[Pair]:
    """All pairs of columns, scored as the SDMetrics quality report does."""
    return evaluation.once("pair scores", lambda: _pair_scores(evaluation))


def _mean(pairs: Iterable[Pair], variant: str) -> Value:
    scores = {_key(pair.a, pair.b): pair.score for pair in pairs}
    return mean_value(scores, "pairs", UNDEFINED, variant=variant, worst=WORST)


def _key(a: str, b: str) -> str:
    """Name of a pair, whatever the order of its columns."""
    return "|".join(sorted((a, b)))


def _pair_scores(evaluation: Evaluation) -> list[Pair]:
    schema = evaluation.schema
    test, synthetic = encoded(evaluation, "test"), encoded(evaluation, "synthetic")
    linear = correlations(evaluation, "test"), correlations(evaluation, "synthetic")
    cells = _cells(test), _cells(synthetic)
    n_numeric = test.numbers.shape[1]
    sizes = [BINS + 2] * n_numeric + [int(n) + 1 for n in test.levels]
    place = {name: i for i, name in enumerate([*schema.numeric, *schema.categorical])}
    pairs = []
    for a, b in combinations(schema.names, 2):
        i, j = place[a], place[b]
        if i < n_numeric and j < n_numeric:
            r, r_synthetic = (float(matrix[i, j]) for matrix in linear)
            pairs.append(Pair(a, b, 1 - abs(r - r_synthetic) / 2, abs(r) > STRONG_CORRELATION))
            continue
        x, y, x_synthetic, y_synthetic = cells[0][i], cells[0][j], cells[1][i], cells[1][j]
        if x is None or y is None or x_synthetic is None or y_synthetic is None:
            pairs.append(Pair(a, b, float("nan"), related=False))
            continue
        joint, joint_synthetic = x * sizes[j] + y, x_synthetic * sizes[j] + y_synthetic
        score, strength = _contingency(joint, joint_synthetic, sizes[i], sizes[j])
        pairs.append(Pair(a, b, score, strength > STRONG_ASSOCIATION))
    return pairs


def _cells(table: Encoded) -> list[np.ndarray | None]:
    """Every column as non-negative codes, numeric ones first; ``None`` where it cannot be binned or has no rows."""
    if not len(table):
        return [None] * (table.numbers.shape[1] + table.codes.shape[1])
    cells: list[np.ndarray | None] = [_binned(values) for values in table.numbers.T]
    return cells + [codes + 1 for codes in table.codes.T]


def _binned(values: np.ndarray) -> np.ndarray | None:
    """Number of the bin between 0 and ``BINS + 1``, as in SDMetrics: missing and the maximum share the last one."""
    known = values[~np.isnan(values)]
    if not np.isfinite(known).all():
        return None
    try:
        with np.errstate(all="ignore"):
            binned: np.ndarray = np.digitize(values, np.histogram_bin_edges(known, bins=BINS))
    except ValueError:  # the range is too wide or too narrow for ten bins of floats
        return None
    return binned


def _contingency(joint: np.ndarray, other: np.ndarray, size_x: int, size_y: int) -> tuple[float, float]:
    """Similarity of two joint tables, and Cramer's V of the first (without bias correction; 0 if a column is constant).

    Args:
        joint: number of the cell, ``x * size_y + y``, of every reference row.
        other: the same of every synthetic row.
        size_x: number of codes of the first column.
        size_y: number of codes of the second column.
    """
    cells = np.arange(size_x * size_y) if size_x * size_y <= DENSE_CELLS else np.unique(np.concatenate([joint, other]))
    if len(cells) < size_x * size_y:
        joint, other = np.searchsorted(cells, joint), np.searchsorted(cells, other)
    counts = np.bincount(joint, minlength=len(cells))
    gaps = np.abs(counts / len(joint) - np.bincount(other, minlength=len(cells)) / len(other))
    similarity = float(1 - 0.5 * gaps.sum())
    x, y = cells // size_y, cells % size_y
    rows, columns = np.bincount(x, counts), np.bincount(y, counts)
    smaller = min(np.count_nonzero(rows), np.count_nonzero(columns))
    if smaller < 2:
        return similarity, 0.0
    occupied = counts > 0
    expected = (rows[x] * columns[y])[occupied]
    phi2 = max(0.0, float((counts[occupied] ** 2 / expected).sum()) - 1)  # chi squared over the number of rows
    return similarity, math.sqrt(phi2 / (smaller - 1))
