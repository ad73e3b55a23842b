"""Nearest and near-equal rows: the queries behind the privacy metrics, in bounded memory."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .base import Evaluation
from .encoding import Encoded, Part, encoded, group_keys

BLOCK = 4_000_000  # distances or candidate pairs held at once
TOLERANCE = 0.01  # of the queried value, in either direction


def near_equal(queries: Encoded, rows: Encoded) -> np.ndarray:
    """Which queries have a row that agrees with them in all columns, within a tolerance for numbers.

    A number agrees if it lies within 1 % of the query's; labels must be equal; missing agrees with
    missing alone. Rows are first grouped by labels and missing values; within a group, the numeric
    column that leaves the fewest candidates to a query pairs it with them, and those are compared in full.

    Args:
        queries: shape ``(queries, columns)``.
        rows: shape ``(rows, columns)``.

    Returns:
        Boolean array of shape ``(queries,)``.
    """
    keys = _agreement_groups(queries, rows)
    query_keys, row_keys = keys[: len(queries)], keys[len(queries) :]
    found = np.isin(query_keys, row_keys)
    if not queries.numbers.shape[1]:
        return found
    row_order = np.argsort(row_keys, kind="stable")
    sorted_keys = row_keys[row_order]
    query_order = np.argsort(query_keys, kind="stable")
    query_order = query_order[found[query_order]]
    for members in np.split(query_order, np.flatnonzero(np.diff(query_keys[query_order])) + 1):
        if not len(members):
            continue
        key = query_keys[members[0]]
        group = row_order[np.searchsorted(sorted_keys, key) : np.searchsorted(sorted_keys, key, side="right")]
        found[members] = _near_numbers(queries.numbers[members], rows.numbers[group])
    return found


def _agreement_groups(queries: Encoded, rows: Encoded) -> np.ndarray:
    """One number per query, then per row, that is equal where labels and missing values are."""
    codes = np.concatenate([queries.codes, rows.codes]) + 1
    missing = np.isnan(np.concatenate([queries.numbers, rows.numbers]))
    columns = [*codes.T, *missing.T.astype(np.int64)]
    return group_keys(columns) if columns else np.zeros(len(queries) + len(rows), dtype=np.int64)


def _near_numbers(queries: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Which queries have a row within tolerance in every number; both have the same columns missing."""
    present = ~np.isnan(queries[0])
    if not present.any():
        return np.ones(len(queries), dtype=bool)
    distinct, back = np.unique(queries[:, present], axis=0, return_inverse=True)
    rows = np.unique(rows[:, present], axis=0)
    slack = np.abs(TOLERANCE * distinct)
    order = np.argsort(rows, axis=0)
    first, last = np.empty(distinct.shape, dtype=np.int64), np.empty(distinct.shape, dtype=np.int64)
    # The windows are a little too wide, so that rounding cannot cut off a row that the comparison below would take.
    reach = slack * (1 + 1e-9) + np.abs(distinct) * 1e-12
    for j in range(distinct.shape[1]):
        values = rows[order[:, j], j]
        first[:, j] = np.searchsorted(values, distinct[:, j] - reach[:, j], side="left")
        last[:, j] = np.searchsorted(values, distinct[:, j] + reach[:, j], side="right")
    best = np.argmin(last - first, axis=1)
    start = first[np.arange(len(distinct)), best]
    count = last[np.arange(len(distinct)), best] - start
    found = np.zeros(len(distinct), dtype=bool)
    for block in _blocks(count):
        query = np.repeat(block, count[block])
        offset = np.arange(len(query)) - np.repeat(np.cumsum(count[block]) - count[block], count[block])
        row = order[start[query] + offset, best[query]]
        for j in range(distinct.shape[1]):
            near = np.abs(rows[row, j] - distinct[query, j]) <= slack[query, j]
            query, row = query[near], row[near]
        found[query] = True
    answer: np.ndarray = found[back]
    return answer


def _blocks(count: np.ndarray) -> list[np.ndarray]:
    """Split places into runs whose counts sum to about ``BLOCK`` at most."""
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
    train = np.where(np.isfinite(encoded(evaluation, "train").numbers), encoded(evaluation, "train").numbers, np.nan)
    known = ~np.isnan(train)
    low = np.where(known, train, np.inf).min(axis=0, initial=np.inf)
    high = np.where(known, train, -np.inf).max(axis=0, initial=-np.inf)
    return {part: _space(encoded(evaluation, part), low, high) for part in ("train", "control", "synthetic")}


def _space(table: Encoded, low: np.ndarray, high: np.ndarray) -> Space:
    missing = ~np.isfinite(table.numbers)
    constant = low >= high  # or without any known value
    offset = np.where(np.isfinite(low), low, 0.0)
    scale = np.where(constant, 1.0, high - low)
    numbers = (np.where(missing, 0.0, table.numbers) - offset) / scale
    numbers = np.where(constant, numbers != 0, numbers)
    return Space(np.where(missing, 0.0, numbers), missing.astype(float), table.codes.astype(float))
