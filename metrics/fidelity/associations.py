"""Fidelity of the association matrix, of mixed columns: how strongly are any two related, on scales from 0 to 1?"""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np

from ..base import Evaluation, Value, metric
from ..encoding import Encoded, Part, encoded
from ..summary import WORST, mean_value
from .coefficients import KEPT_VARIANCE, pearson
from .correlations import DENSE_CELLS, correlations

UNDEFINED = "a column of the test rows is constant, infinite or has as many labels as rows, or none known"


@metric(
    family="fidelity",
    aspect="associations",
    direction="min",
    ideal=0.0,
    lower=0.0,
    upper=2.0,
    definition="Mean over pairs of columns of the absolute difference between their association in synthetic and in "
    "test rows, over rows with both values known: Pearson correlation of two numeric columns, bias-corrected Cramer's "
    "V of two categorical ones, correlation ratio (eta) of a mixed pair; a column that is constant in the synthetic "
    "rows is associated with nothing.",
    citation="Cramer's V: Bergsma 2013, Journal of the Korean Statistical Society 42:323; correlation ratio: "
    "Pearson 1905, Drapers' Company Research Memoirs, Biometric Series II",
)
def association_distance(evaluation: Evaluation) -> Value:
    """Distance of the association matrices; the breakdown holds the pairs that differ most."""
    if not len(evaluation.synthetic):
        return Value(None, reason="there are no synthetic rows")
    test, synthetic = associations(evaluation, "test"), associations(evaluation, "synthetic")
    # What is undefined in the synthetic rows counts as 0, or a collapsed column would be left out of the account.
    gaps = {pair: abs(found - np.nan_to_num(synthetic[pair])) for pair, found in test.items()}
    return mean_value(gaps, "pairs", UNDEFINED, worst=WORST, lower_is_better=True)


def associations(evaluation: Evaluation, part: Part) -> dict[str, float]:
    """Association of every pair of columns in one table, by the two names in order; NaN where it is undefined."""
    return evaluation.once(("associations", part), lambda: _associations(evaluation, part))


def cramers_v(table: Encoded) -> np.ndarray:
    """Cramer's V between categorical columns over pairwise complete rows, corrected for bias (Bergsma 2013).

    Returns:
        Shape ``(categorical columns, categorical columns)``; NaN on the diagonal, where a column has a single label,
        and where one of the two has a label for every row.
    """
    n_columns = table.codes.shape[1]
    result = np.full((n_columns, n_columns), np.nan)
    codes = np.asfortranarray(table.codes + 1)
    for i, j in combinations(range(n_columns), 2):
        counts = _cells(codes[:, i], codes[:, j], int(table.levels[i]) + 1, int(table.levels[j]) + 1)
        result[i, j] = result[j, i] = _cramers_v(*counts)
    return result


def correlation_ratio(table: Encoded) -> np.ndarray:
    """Correlation ratio eta of numeric columns given categorical ones, over pairwise complete rows.

    Its square is the share of the number's variance that lies between labels.

    Returns:
        Shape ``(numeric columns, categorical columns)``; NaN where a column is constant, infinite or known in fewer
        than two of the rows.
    """
    from scipy.sparse import csr_array

    n_rows, n_numeric = table.numbers.shape
    result = np.full((n_numeric, table.codes.shape[1]), np.nan)
    known = ~np.isnan(table.numbers)
    low = table.numbers.min(axis=0, where=known, initial=np.inf)
    high = table.numbers.max(axis=0, where=known, initial=-np.inf)
    usable = np.flatnonzero(np.isfinite(low) & np.isfinite(high) & (low < high))
    if not len(usable):
        return result
    # Row by row in memory, as the products below read them.
    scaled = np.ascontiguousarray(_standardised(table.numbers[:, usable], known[:, usable]))
    squares, weight = scaled**2, np.ascontiguousarray(known[:, usable], dtype=float)
    for j, codes in enumerate(table.codes.T):
        labels = (np.ones(n_rows), codes + 1, np.arange(n_rows + 1))
        by_label = csr_array(labels, shape=(n_rows, int(table.levels[j]) + 1)).T
        counts, sums = (by_label @ weight)[1:], (by_label @ scaled)[1:]
        n = counts.sum(axis=0)
        with np.errstate(divide="ignore", invalid="ignore"):
            means, mean = sums / counts, sums.sum(axis=0) / n
            total = (codes >= 0).astype(float) @ squares - n * mean**2
            between = (counts * (means - mean) ** 2).sum(axis=0, where=counts > 0)
            ratio = np.sqrt(np.minimum(between / total, 1))
        # One pass over the rows has lost the variance of what a label's gaps leave of such a column: take two.
        poor = ~(total > KEPT_VARIANCE * n_rows)
        for i in np.flatnonzero(poor):
            ratio[i] = _two_pass_ratio(table.numbers[:, usable[i]], codes)
        result[usable, j] = np.where(np.count_nonzero(counts, axis=0) > 1, ratio, np.nan)
    return result


def association_matrix(table: Encoded, linear: np.ndarray | None = None) -> np.ndarray:
    """Association of any two columns of a table, on the scales of :func:`association_distance`.

    Args:
        table: the table.
        linear: Pearson correlations of its numeric columns, if they are known.

    Returns:
        Symmetric, shape ``(columns, columns)``, numeric columns first; NaN where it is undefined.
    """
    ratio = correlation_ratio(table)
    linear = pearson(table.numbers) if linear is None else linear
    return np.block([[linear, ratio], [ratio.T, cramers_v(table)]])


def _associations(evaluation: Evaluation, part: Part) -> dict[str, float]:
    schema = evaluation.schema
    matrix = association_matrix(encoded(evaluation, part), correlations(evaluation, part))
    place = {name: i for i, name in enumerate([*schema.numeric, *schema.categorical])}
    return {f"{a}|{b}": float(matrix[place[a], place[b]]) for a, b in combinations(sorted(schema.names), 2)}


def _cells(x: np.ndarray, y: np.ndarray, size_x: int, size_y: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Occupied cells of the joint table of two columns where 0 is missing: their two codes and their counts."""
    joint = x * size_y + y
    if size_x * size_y <= DENSE_CELLS:
        counts = np.bincount(joint, minlength=size_x * size_y)
        cells = np.flatnonzero(counts)
        counts = counts[cells]
    else:
        cells, counts = np.unique(joint, return_counts=True)
    x, y = np.divmod(cells, size_y)
    known = (x > 0) & (y > 0)
    return x[known], y[known], counts[known].astype(float)


def _cramers_v(x: np.ndarray, y: np.ndarray, counts: np.ndarray) -> float:
    n = counts.sum()
    in_x, in_y = np.bincount(x, counts), np.bincount(y, counts)
    r, k = np.count_nonzero(in_x), np.count_nonzero(in_y)
    if min(r, k) < 2 or max(r, k) == n:
        return math.nan
    # Chi squared over n; an exact sum, since near independence the root blows up the least of rounding errors.
    phi2 = math.fsum(counts**2 / (in_x[x] * in_y[y])) - 1
    corrected = max(0.0, phi2 - (r - 1) * (k - 1) / (n - 1))
    smaller = min(r - (r - 1) ** 2 / (n - 1), k - (k - 1) ** 2 / (n - 1))
    return math.sqrt(min(1.0, corrected / (smaller - 1)))


def _standardised(numbers: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Columns of mean 0 and variance 1 over their known values; 0 where missing."""
    count = known.sum(axis=0)
    scaled = np.where(known, numbers, 0.0)
    scaled /= np.abs(scaled).max(axis=0)
    scaled -= scaled.sum(axis=0) / count
    scaled *= known
    scaled /= np.sqrt((scaled**2).sum(axis=0) / count)
    return scaled


def _two_pass_ratio(values: np.ndarray, codes: np.ndarray) -> float:
    both = ~np.isnan(values) & (codes >= 0)
    values, codes = values[both], codes[both]
    if len(values) < 2 or values.min() == values.max():
        return math.nan
    values = values / np.abs(values).max()
    values = values - values.mean()
    counts = np.bincount(codes)
    means = np.bincount(codes, values) / np.maximum(counts, 1)
    return math.sqrt(min(1.0, float((counts * means**2).sum() / (values**2).sum())))
