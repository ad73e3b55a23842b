"""Nearest and near-equal rows: the queries behind the privacy metrics, in bounded memory."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .base import Evaluation
from .encoding import Encoded, Part, encoded, group_keys

BLOCK = 500_000  # distances or candidate pairs held at once: 4 MB an array
TOLERANCE = 0.01


def near_equal(queries: Encoded, rows: Encoded, tolerance: float = TOLERANCE) -> np.ndarray:
    """Which queries have a row that agrees with them in all columns, within a tolerance for numbers.

    A number agrees if it lies within the tolerance of the query's; labels must be equal; missing agrees with
    missing alone. Rows are grouped by labels and missing values, and each group is sorted by each
    numeric column. The column that leaves a query the fewest candidates in its group names them, and those are
    compared in full.

    Args:
        queries: shape ``(queries, columns)``; faster without repeated rows.
        rows: shape ``(rows, columns)``; likewise.
        tolerance: as a share of the query's number, in either direction.

    Returns:
        Boolean array of shape ``(queries,)``.
    """
    query_groups, row_groups = _groups(queries, rows)
    found = np.isin(query_groups, row_groups)
    n_columns = queries.numbers.shape[1]
    if not n_columns:
        return found
    places = np.flatnonzero(found)
    numbers, query_groups = queries.numbers[places], query_groups[places]
    slack = np.abs(tolerance * numbers)
    order = np.empty(rows.numbers.shape, dtype=np.int64)
    first, last = np.empty(numbers.shape, dtype=np.int64), np.empty(numbers.shape, dtype=np.int64)
    for j in range(n_columns):
        order[:, j], first[:, j], last[:, j] = _windows(
            rows.numbers[:, j], row_groups, numbers[:, j], slack[:, j], query_groups
        )
    best = np.argmin(last - first, axis=1)
    start = first[np.arange(len(places)), best]
    count = last[np.arange(len(places)), best] - start
    for block in _blocks(count):
        query = np.repeat(block, count[block])
        offset = np.arange(len(query)) - np.repeat(np.cumsum(count[block]) - count[block], count[block])
        row = order[start[query] + offset, best[query]]
        for j in range(n_columns):
            # Within a group, a number is missing in all rows or in none: such a column agrees.
            with np.errstate(over="ignore", invalid="ignore"):
                gap = np.abs(rows.numbers[row, j] - numbers[query, j])
            near = np.isnan(numbers[query, j]) | (gap <= slack[query, j])
            query, row = query[near], row[near]
        count[query] = -1
    found[places] = count == -1
    return found


def _groups(queries: Encoded, rows: Encoded) -> tuple[np.ndarray, np.ndarray]:
    """One number per query and one per row, equal where all labels and the missing columns are."""
    codes = np.concatenate([queries.codes, rows.codes]) + 1
    missing = np.isnan(np.concatenate([queries.numbers, rows.numbers]))
    keys = group_keys([*codes.T, *missing.T.astype(np.int64)])
    return keys[: len(queries)], keys[len(queries) :]


def _windows(
    values: np.ndarray, groups: np.ndarray, queries: np.ndarray, slack: np.ndarray, query_groups: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sort rows by group and value, and find the run of each query's candidates.

    Returns:
        Row numbers in sorted order, then first and one past the last place in that order for every query.
    """
    missing = np.isnan(values)
    distinct = np.unique(values[~missing])
    span = len(distinct) + 1
    place = groups * span + np.searchsorted(distinct, np.where(missing, -np.inf, values))
    order = np.argsort(place, kind="stable")
    anywhere = np.isnan(queries)
    # The full comparison asks for |row - query| <= slack. Floats this near to each other subtract without
    # rounding, so that no row which passes it lies outside the window.
    with np.errstate(all="ignore"):  # an infinite query has no window, and finds nothing
        low = np.where(anywhere, 0, np.searchsorted(distinct, queries - slack, side="left"))
        high = np.where(anywhere, span, np.searchsorted(distinct, queries + slack, side="right"))
    first = np.searchsorted(place[order], query_groups * span + low)
    last = np.searchsorted(place[order], query_groups * span + high)
    return order, first, last


def _blocks(count: np.ndarray) -> list[np.ndarray]:
    """Split the places with candidates into runs of about ``BLOCK`` candidates."""
    places = np.flatnonzero(count)
    run = np.cumsum(count[places]) // BLOCK
    return np.split(places, np.flatnonzero(np.diff(run)) + 1) if len(places) else []


@dataclass(frozen=True)
class Space:
    """A table in Gower's space, in which the distance of two rows is the mean over columns of a difference.

    That difference is the absolute one divided by the train rows' range for two known numbers (1 for
    unequal numbers in a column that is constant there), 0 or 1 for two labels, 0 for two missing
    values and 1 for a missing and a known one.

    Attributes:
        numbers: scaled numbers of shape ``(rows, numeric columns)``, 0 where missing.
        missing: float 0/1 array of the same shape.
        codes: float codes of shape ``(rows, categorical columns)``.
    """

    numbers: np.ndarray
    missing: np.ndarray
    codes: np.ndarray


def gower_spaces(evaluation: Evaluation) -> dict[Part, Space]:
    """Train, control and synthetic rows in one Gower space. Infinite values count as missing there."""
    return evaluation.once("gower spaces", lambda: _gower_spaces(evaluation))


def nearest(queries: Space, rows: Space) -> np.ndarray:
    """Gower distance of every query to the nearest row, shape ``(queries,)`` (Gower 1971, Biometrics 27)."""
    from scipy.spatial.distance import cdist

    n_columns = rows.numbers.shape[1] + rows.codes.shape[1]
    distances = np.empty(len(queries.numbers))
    gaps = bool(queries.missing.any() or rows.missing.any())
    known_rows = (1 - rows.missing) * (1 - np.abs(rows.numbers))
    size = max(1, BLOCK // max(1, len(rows.numbers)))
    for start in range(0, len(distances), size):
        block = slice(start, start + size)
        total = np.zeros((len(distances[block]), len(rows.numbers)))
        if rows.numbers.shape[1]:
            total += cdist(queries.numbers[block], rows.numbers, "cityblock")
        if rows.codes.shape[1]:
            total += cdist(queries.codes[block], rows.codes, "hamming") * rows.codes.shape[1]
        if gaps:
            # A missing number stands as 0 above: lift its difference from a known x, |x| so far, to 1.
            missing = queries.missing[block]
            total += missing @ known_rows.T
            total += ((1 - missing) * (1 - np.abs(queries.numbers[block]))) @ rows.missing.T
        distances[block] = total.min(axis=1) / n_columns
    return distances


def _gower_spaces(evaluation: Evaluation) -> dict[Part, Space]:
    schema = evaluation.schema
    # In the order of the names, so that nothing depends on the order of the table's columns.
    numeric = np.argsort(np.array(schema.numeric, dtype=object))
    categorical = np.argsort(np.array(schema.categorical, dtype=object))
    train = encoded(evaluation, "train").numbers
    known = np.isfinite(train)
    low = np.where(known, train, np.inf).min(axis=0, initial=np.inf)
    high = np.where(known, train, -np.inf).max(axis=0, initial=-np.inf)
    parts: tuple[Part, ...] = ("train", "control", "synthetic")
    spaces = {}
    for part in parts:
        table = encoded(evaluation, part)
        numbers, missing = _scaled(table.numbers, low, high)
        columns = numbers[:, numeric], missing[:, numeric], table.codes[:, categorical].astype(float)
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
    return np.where(missing, 0.0, scaled), missing.astype(float)
