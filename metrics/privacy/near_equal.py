"""Near-equal rows: which rows of one table has another within a tolerance, in bounded memory."""

from __future__ import annotations

import numpy as np

from ..encoding import Encoded, group_keys

BLOCK = 500_000  # candidate pairs held at once: 4 MB an array
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
