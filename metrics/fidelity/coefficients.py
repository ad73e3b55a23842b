"""Correlation matrices of columns with missing values, pair by pair over the rows where both are known."""

from __future__ import annotations

import numpy as np

# Below this share of a column's variance, what a pair's rows keep of it is too near to the rounding
# error of the one-pass formula: such pairs are computed again in two passes.
KEPT_VARIANCE = 1e-3


def pearson(columns: np.ndarray) -> np.ndarray:
    """Pearson correlations over pairwise complete rows.

    All pairs at once from masked matrix products; only ill-conditioned pairs are visited one by one.

    Args:
        columns: shape ``(rows, columns)``, NaN for missing.

    Returns:
        Shape ``(columns, columns)``; NaN where a column is constant, infinite or known in fewer than two of the rows.
    """
    n_columns = columns.shape[1]
    result = np.full((n_columns, n_columns), np.nan)
    known = ~np.isnan(columns)
    usable = np.array([_varies(columns[known[:, j], j]) for j in range(n_columns)], dtype=bool)
    if not usable.any():
        return result
    part, mask = columns[:, usable], known[:, usable]
    with np.errstate(all="ignore"):
        scaled = part / np.nanmax(np.abs(part), axis=0)
        scaled = scaled - np.nanmean(scaled, axis=0)
        scaled = np.where(mask, scaled / np.sqrt(np.nanmean(scaled**2, axis=0)), 0.0)
        weight = mask.astype(float)
        n = weight.T @ weight
        sums = scaled.T @ weight  # [i, j]: sum of column i over the rows where j is known
        squares = (scaled**2).T @ weight
        variance = squares - sums**2 / n
        covariance = scaled.T @ scaled - sums * sums.T / n
        r = np.clip(covariance / np.sqrt(variance * variance.T), -1, 1)
        poor = ~(variance > KEPT_VARIANCE * np.maximum(squares, n))
    for i, j in zip(*np.nonzero(np.triu(poor | poor.T, 1)), strict=True):
        both = mask[:, i] & mask[:, j]
        r[i, j] = r[j, i] = _two_pass(part[both, i], part[both, j])
    result[np.ix_(usable, usable)] = r
    return result


def spearman(columns: np.ndarray) -> np.ndarray:
    """Spearman correlations over pairwise complete rows; arguments and result as in :func:`pearson`."""
    known = ~np.isnan(columns)
    places = np.zeros(columns.shape, dtype=np.int64)  # of each value among the distinct ones of its column
    ranks = np.full(columns.shape, np.nan)
    for j in range(columns.shape[1]):
        places[known[:, j], j] = np.unique(columns[known[:, j], j], return_inverse=True)[1]
        ranks[known[:, j], j] = _ranks(places[known[:, j], j])
    result = pearson(ranks)
    # Leaving out rows changes the ranks of those that stay, so that gaps need ranks of their own.
    gaps = ~known.all(axis=0)
    for i, j in zip(*np.nonzero(np.triu(gaps[:, None] | gaps, 1)), strict=True):
        both = known[:, i] & known[:, j]
        result[i, j] = result[j, i] = _two_pass(_ranks(places[both, i]), _ranks(places[both, j]))
    return result


def _ranks(places: np.ndarray) -> np.ndarray:
    """Mean ranks of values given by their places among some distinct ones, without sorting; shape ``(rows,)``."""
    counts = np.bincount(places)
    ranks: np.ndarray = (np.cumsum(counts) - (counts - 1) / 2)[places]
    return ranks


def _varies(values: np.ndarray) -> bool:
    """Whether known values are finite and not all the same."""
    return len(values) > 1 and bool(np.isfinite(values).all()) and bool(values.min() < values.max())


def _two_pass(x: np.ndarray, y: np.ndarray) -> float:
    if not _varies(x) or not _varies(y):
        return float("nan")
    x, y = x / np.abs(x).max(), y / np.abs(y).max()
    x, y = x - x.mean(), y - y.mean()
    return float(np.clip((x / np.linalg.norm(x)) @ (y / np.linalg.norm(y)), -1, 1))
