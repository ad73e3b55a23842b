"""Gower's distance between rows of mixed columns, and the nearest rows: what the proximity metrics ask.

The distance of two rows is the mean over columns of a difference (Gower 1971, Biometrics 27:857): the absolute one
divided by the train rows' range and at most 1 for two known numbers (1 for unequal ones in a column that is constant
there), 0 or 1 for two labels, 0 for two missing values and 1 for a missing and a known one. So does SDMetrics measure.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..base import Evaluation
from ..encoding import PARTS, Part, encoded

UNIT = 10_000  # a difference of 1 in whole numbers of two bytes; less where many columns are summed
BLOCK = 2**17  # bounds of distances held at once: as much as stays in a processor's cache
BYTE = np.iinfo(np.uint8).max
PAIRS = 2**16  # pairs of rows compared in full at once


@dataclass(frozen=True)
class Space:
    """A table in Gower's space.

    Attributes:
        numbers: numbers on the scale of the train rows' range, shape ``(rows, numeric columns)``, 0 where missing.
        missing: boolean array of the same shape.
        codes: int codes of shape ``(rows, categorical columns)``.
    """

    numbers: np.ndarray
    missing: np.ndarray
    codes: np.ndarray

    def __len__(self) -> int:
        return len(self.codes)

    def take(self, rows: np.ndarray) -> Space:
        """The rows with these numbers, in this order."""
        return Space(self.numbers[rows], self.missing[rows], self.codes[rows])


def gower_spaces(evaluation: Evaluation) -> dict[Part, Space]:
    """The tables of an evaluation in one Gower space. Infinite values count as missing there."""
    return evaluation.once("gower spaces", lambda: _gower_spaces(evaluation))


def nearest(queries: Space, rows: Space, k: int = 1) -> np.ndarray:
    """Gower distances of every query to the nearest rows, see :func:`kneighbors`."""
    return kneighbors(queries, rows, k)[0]


def kneighbors(queries: Space, rows: Space, k: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Gower distances of every query to the nearest rows, exact, and the numbers of these rows.

    A first pass over small whole numbers, of which a processor handles many at once, bounds every distance from below.
    Only pairs whose bound lies below the distance to a promising row are then compared in full.

    Args:
        queries: of shape ``(queries, columns)``.
        rows: of shape ``(rows, columns)``.
        k: how many of the nearest rows, 1 or more.

    Returns:
        Distances and row numbers, each of shape ``(queries, k)``, by ascending distance; infinite and -1 where there
        are fewer than ``k`` rows. Of equally distant rows any is given.
    """
    n_columns = rows.numbers.shape[1] + rows.codes.shape[1]
    unit = min(UNIT, np.iinfo(np.int16).max // n_columns)
    gaps: np.ndarray = np.logical_or(queries.missing.any(axis=0), rows.missing.any(axis=0))
    query_steps, row_steps = _steps(queries, unit), _steps(rows, unit)
    found, numbers = np.full((len(queries), k), np.inf), np.full((len(queries), k), -1)
    size = max(1, BLOCK // max(1, len(rows)))
    for start in range(0, len(queries) if len(rows) else 0, size):
        block = np.arange(start, min(start + size, len(queries)))
        bounds = _bounds(query_steps[:, block], row_steps, gaps, unit)
        _search(queries, rows, block, bounds, unit, found, numbers)
    found /= n_columns
    return found, numbers


def _steps(space: Space, unit: int) -> np.ndarray:
    """The rows in whole numbers, a difference of 1 being ``unit``; shape ``(columns, rows)``, numeric ones first.

    Missing is further than that from any known number. Labels stand for themselves: two that fall together here are
    told apart by the distance itself.
    """
    steps = np.where(space.missing, 2 * unit + 1, np.floor(np.clip(space.numbers, 0, 1) * unit))
    columns = np.concatenate([steps, space.codes % np.iinfo(np.int16).max], axis=1).T
    return np.ascontiguousarray(columns, dtype=np.int16)


def _bounds(queries: np.ndarray, rows: np.ndarray, gaps: np.ndarray, unit: int) -> np.ndarray:
    """Sums over columns of differences in steps, shape ``(queries, rows)``.

    The sum of a pair is below its true one times ``unit`` plus the number of numeric columns, for as each of these
    numbers was rounded down, their difference is less than one step too large.
    """
    shape = queries.shape[1], rows.shape[1]
    bounds, gap, ones = np.zeros(shape, np.int16), np.empty(shape, np.int16), np.full(shape, unit, np.int16)
    pairs = list(zip(queries[:, :, None], rows, strict=True))
    for (query, row), gappy in zip(pairs, gaps, strict=False):
        np.abs(np.subtract(query, row, out=gap), out=gap)
        bounds += np.minimum(gap, ones, out=gap) if gappy else gap
    for start in range(len(gaps), len(pairs), BYTE):
        unequal, differs = np.zeros(shape, np.uint8), np.empty(shape, bool)
        for query, row in pairs[start : start + BYTE]:
            unequal += np.not_equal(query, row, out=differs).view(np.uint8)
        bounds += np.multiply(unequal, ones, out=gap)
    return bounds


def _search(
    queries: Space,
    rows: Space,
    block: np.ndarray,
    bounds: np.ndarray,
    unit: int,
    found: np.ndarray,
    numbers: np.ndarray,
) -> None:
    """Put the sums of differences of the nearest rows to the queries of a block into ``found``; spends ``bounds``."""
    spent = np.iinfo(np.int16).max
    for _ in range(min(found.shape[1], len(rows))):
        promising = bounds.argmin(axis=1)
        bounds[np.arange(len(block)), promising] = spent
        _insert(found, numbers, block, _differences(queries, rows, block, promising), promising)
    limits = np.minimum(found[block, -1] * unit + queries.numbers.shape[1], spent)
    places = _places(bounds < np.ceil(limits).astype(np.int16)[:, None])
    for start in range(0, len(places), PAIRS):
        query, row = np.divmod(places[start : start + PAIRS], bounds.shape[1])
        sums = _differences(queries, rows, block[query], row)
        order = np.lexsort([sums, query])
        query, row, sums = query[order], row[order], sums[order]
        rank = np.arange(len(query)) - np.searchsorted(query, query)
        for k in range(found.shape[1]):
            best = rank == k
            _insert(found, numbers, block[query[best]], sums[best], row[best])


def _places(mask: np.ndarray) -> np.ndarray:
    """What :func:`numpy.flatnonzero` gives, found faster where hardly anything is true: by eight bytes at a time."""
    flat = np.concatenate([mask.ravel(), np.zeros(-mask.size % 8, bool)])
    words = np.flatnonzero(flat.view(np.uint64))
    places = (8 * words[:, None] + np.arange(8)).ravel()
    found: np.ndarray = places[flat[places]]
    return found


def _insert(found: np.ndarray, numbers: np.ndarray, places: np.ndarray, sums: np.ndarray, rows: np.ndarray) -> None:
    """Add one sum and its row to each of some distinct places, and keep those of the lowest sums, ascending."""
    sums, rows = np.column_stack([found[places], sums]), np.column_stack([numbers[places], rows])
    order = np.argsort(sums, axis=1, kind="stable")[:, :-1]
    found[places], numbers[places] = np.take_along_axis(sums, order, 1), np.take_along_axis(rows, order, 1)


def _differences(queries: Space, rows: Space, query: np.ndarray, row: np.ndarray) -> np.ndarray:
    """Sum over columns of the differences of pairs of rows, shape ``(pairs,)``."""
    missing, missing_too = queries.missing[query], rows.missing[row]
    numbers = np.minimum(np.abs(queries.numbers[query] - rows.numbers[row]), 1.0)
    numbers = np.where(missing | missing_too, missing ^ missing_too, numbers)
    total: np.ndarray = numbers.sum(axis=1) + np.count_nonzero(queries.codes[query] != rows.codes[row], axis=1)
    return total


def _gower_spaces(evaluation: Evaluation) -> dict[Part, Space]:
    schema = evaluation.schema
    # In the order of the names, so that nothing depends on the order of the table's columns.
    numeric = np.argsort(np.array(schema.numeric, dtype=object))
    categorical = np.argsort(np.array(schema.categorical, dtype=object))
    train = encoded(evaluation, "train").numbers
    known = np.isfinite(train)
    low = np.where(known, train, np.inf).min(axis=0, initial=np.inf)
    high = np.where(known, train, -np.inf).max(axis=0, initial=-np.inf)
    spaces = {}
    for part in PARTS:
        table = encoded(evaluation, part)
        numbers, missing = _scaled(table.numbers, low, high)
        columns = numbers[:, numeric], missing[:, numeric], table.codes[:, categorical]
        spaces[part] = Space(*(np.ascontiguousarray(block) for block in columns))
    return spaces


def _scaled(numbers: np.ndarray, low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Numbers on the scale of the train rows' range, 0 where missing, and where they are missing."""
    missing = ~np.isfinite(numbers)
    constant = low >= high  # or without any known value
    offset = np.where(np.isfinite(low), low, 0.0)
    # Halves, because the range of the largest floats is not a float.
    with np.errstate(all="ignore"):
        scaled = (np.where(missing, 0.0, numbers) / 2 - offset / 2) / np.where(constant, 1.0, high / 2 - low / 2)
    scaled = np.where(constant, scaled != 0, scaled)
    return np.where(missing, 0.0, scaled), missing
