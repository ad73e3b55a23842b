"""Queries for rows with certain values: drawn from the synthetic rows that they single out, and counted in others."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ..base import Evaluation
from ..encoding import Part, encoded
from ..sampling import drawn

ROWS = 100_000  # synthetic rows that queries are drawn from
CONDITIONS = 3  # of a query over several columns
BATCH = 2_000  # queries drawn at once
ATTEMPTS = 20_000  # queries drawn at most in search of those that single out
FIRST = 256  # rows that a query is tried on first
RARE = 16  # rows found at most by a query that may find exactly one in half of them: more are left with one in 4,000
DEALS = 200
BLOCK = 2**17  # values compared at once: as many as stay in a processor's cache


@dataclass(frozen=True)
class Ranks:
    """The distinct rows of tables, by the ranks of their values.

    Attributes:
        tables: int array of shape ``(columns, distinct rows)`` per table, columns and rows in an order that depends
            on names and values alone. A value has the rank, from 1, that it takes among the values of its column in
            all tables; missing is 0.
        ordered: which columns are numeric, shape ``(columns,)``.
        top: highest rank of each column, shape ``(columns,)``.
    """

    tables: dict[Part, np.ndarray]
    ordered: np.ndarray
    top: np.ndarray


@dataclass(frozen=True)
class Queries:
    """Conjunctions of conditions, all arrays of shape ``(queries, conditions)``.

    Attributes:
        columns: number of the column that a condition asks for.
        low, high: first and last rank that meet the condition, (0, 0) for missing.
        negated: whether it is the other known values that meet it.
    """

    columns: np.ndarray
    low: np.ndarray
    high: np.ndarray
    negated: np.ndarray

    def __len__(self) -> int:
        return len(self.columns)

    def take(self, queries: np.ndarray) -> Queries:
        """The queries with these numbers, in this order."""
        return Queries(self.columns[queries], self.low[queries], self.high[queries], self.negated[queries])


def ranked(evaluation: Evaluation) -> Ranks:
    """Ranks of the train, control and synthetic rows, of the latter at most ``ROWS`` drawn ones."""
    return evaluation.once("ranks", lambda: _ranks(evaluation))


def matches(table: np.ndarray, queries: Queries) -> np.ndarray:
    """How many rows of a table, an array of ranks, each query finds; shape ``(queries,)``."""
    counts = [np.count_nonzero(met, axis=1) for _, met in _met(table, queries)]
    return np.concatenate([np.empty(0, dtype=np.int64), *counts])


def variance_of_difference(ranks: Ranks, queries: Queries, rng: np.random.Generator) -> float:
    """How much chance moves the difference between train and control in queries that find exactly one row.

    Queries find the same rows, and so succeed together: the difference varies more than one of as many independent
    attempts. This is its variance when each row of either table is dealt to one of two at random, ``DEALS`` times.
    """
    from scipy.sparse import csr_array

    table = np.concatenate([ranks.tables["train"], ranks.tables["control"]], axis=1)
    counts = matches(table, queries)
    rare = np.flatnonzero((counts > 0) & (counts <= RARE))
    places = [np.nonzero(met) + np.array([[start], [0]]) for start, met in _met(table, queries.take(rare))]
    query, row = np.concatenate([np.empty((2, 0), dtype=np.int64), *places], axis=1)
    rows, row = np.unique(row, return_inverse=True)
    finds = csr_array((np.ones(len(query)), (query, row)), shape=(len(rare), len(rows)))
    first = finds @ rng.integers(2, size=(len(rows), DEALS))
    second = counts[rare, None] - first
    difference = np.count_nonzero(first == 1, axis=0) - np.count_nonzero(second == 1, axis=0)
    return float(np.mean(difference**2))


def singled_out(counts: np.ndarray, rows: int, size: int) -> float:
    """How many queries would find exactly one row of a table of another size, from the counts in one that is there.

    Exact in expectation for a smaller table: a random part of the one that is there. For a larger one by the model of
    Giomi et al. 2023: the weights of queries, the shares of patients they find, are spread evenly from 0
    up to some weight. That weight is the one that gives the successes in a random half.

    Args:
        counts: rows that each query finds, shape ``(queries,)``.
        rows: rows of the table, at least 1.
        size: rows of the other one, at least 1.

    Returns:
        A number of queries, at most all.
    """
    from scipy.optimize import brentq

    found = _in_part(counts, rows, size if size < rows else rows)
    half = rows // 2
    if size <= rows or not found or not half:
        return found
    ratio = _in_part(counts, rows, half) / found

    def excess(log_weight: float) -> float:
        return _modelled(half, np.exp(log_weight)) / _modelled(rows, np.exp(log_weight)) - ratio

    # Below the least weight, the number grows like the table; at weight 1 a query finds any number of rows.
    ends = np.log(1e-3 / rows), 0.0
    signs = excess(ends[0]), excess(ends[1])
    weight = float(np.exp(brentq(excess, *ends) if signs[0] < 0 < signs[1] else ends[int(signs[1] <= 0)]))
    return min(found * _modelled(size, weight) / _modelled(rows, weight), float(len(counts)))


def extreme_and_unique_values(ranks: Ranks, n: int, rng: np.random.Generator) -> tuple[Queries, int]:
    """Draw queries of one condition that single out a synthetic row.

    They ask for a value that one row alone has, missing included, or for a number up to the lowest or from the highest
    one on, if one row alone has it.

    Returns:
        At most ``n`` queries, and how many there are.
    """
    found = []
    for j, values in enumerate(ranks.tables["synthetic"]):
        counts = np.bincount(values, minlength=2)
        unique = np.flatnonzero(counts == 1)
        conditions = [np.stack([unique, unique])]
        known = np.flatnonzero(counts[1:]) + 1
        if ranks.ordered[j] and len(known):
            ends = np.array([[1, known[-1]], [known[0], ranks.top[j]]])
            conditions.append(ends[:, counts[known[[0, -1]]] == 1])
        low, high = np.concatenate(conditions, axis=1)
        found.append(np.stack([np.full(len(low), j), low, high]))
    columns, low, high = np.concatenate(found, axis=1)[:, :, None]
    chosen = rng.permutation(len(columns))[:n]
    return Queries(columns, low, high, np.zeros(columns.shape, bool)).take(chosen), len(columns)


def combined_values(ranks: Ranks, n: int, rng: np.random.Generator) -> Queries:
    """Draw queries over several columns that single out a synthetic row, at most ``n`` in ``ATTEMPTS`` attempts.

    Each describes a random row in random columns: the label it has, that its value is missing, or that its number is
    at least as far on its side of the median.
    """
    table = ranks.tables["synthetic"]
    shuffled = table[:, rng.permutation(table.shape[1])]  # so that the first rows stand for all
    middle = np.array([_lower_median(values) for values in table])
    kept = np.empty((0, 3, min(CONDITIONS, len(table))), dtype=np.int64)
    for _ in range(ATTEMPTS // BATCH):
        columns = _random_columns(len(table), BATCH, rng)
        values = table[columns, rng.integers(table.shape[1], size=BATCH)[:, None]]
        above = values > middle[columns]
        far = ranks.ordered[columns] & (values > 0)
        low = np.where(far & ~above, 1, values)
        high = np.where(far & above, ranks.top[columns], values)
        queries = Queries(columns, low, high, np.zeros(columns.shape, bool))
        found = queries.take(np.flatnonzero(_single_out(shuffled, queries)))
        kept = np.concatenate([kept, np.stack([found.columns, found.low, found.high], axis=1)])
        kept = kept[np.sort(np.unique(kept, axis=0, return_index=True)[1])]
        if len(kept) >= n:
            break
    columns, low, high = kept[:n].transpose(1, 0, 2)
    return Queries(columns, low, high, np.zeros(columns.shape, bool))


def random_conditions(ranks: Ranks, n: int, conditions: int, rng: np.random.Generator) -> Queries:
    """Draw ``n`` queries of random conditions: a random value of a random column, with any operator."""
    columns = _random_columns(len(ranks.tables["synthetic"]), n, rng, conditions)
    values, lots = np.empty_like(columns), rng.random(columns.shape)
    for j, column in enumerate(ranks.tables["synthetic"]):
        present = np.unique(column)
        values[columns == j] = present[(lots[columns == j] * len(present)).astype(np.int64)]
    top, ones = ranks.top[columns], np.ones_like(values)
    # Equal, unequal, and for numbers at least, at most, above and below.
    operators = np.where(
        ranks.ordered[columns], rng.integers(6, size=columns.shape), rng.integers(2, size=columns.shape)
    )
    low = np.choose(operators, [values, values, values, ones, values + 1, ones])
    high = np.choose(operators, [values, values, top, values, top, values - 1])
    known = (values == 0) & (operators > 0)
    low, high = np.where(known, 1, low), np.where(known, top, high)
    return Queries(columns, low, high, (operators == 1) & ~known)


def _ranks(evaluation: Evaluation) -> Ranks:
    schema = evaluation.schema
    parts: tuple[Part, ...] = ("train", "control", "synthetic")
    tables = {part: encoded(evaluation, part) for part in parts}
    tables["synthetic"] = tables["synthetic"].take(drawn(evaluation, "synthetic", ROWS))
    ends = np.cumsum([len(table) for table in tables.values()])[:-1]
    columns = {}
    for j, name in enumerate(schema.numeric):
        columns[name] = pd.factorize(np.concatenate([t.numbers[:, j] for t in tables.values()]), sort=True)[0] + 1
    for j, name in enumerate(schema.categorical):
        columns[name] = np.concatenate([t.codes[:, j] for t in tables.values()]) + 1
    names = sorted(columns)
    rows = np.stack([columns[name] for name in names], axis=1)
    top = rows.max(axis=0, initial=0)
    rows = rows.astype(np.int16 if top.max() < np.iinfo(np.int16).max else np.int32)  # half the bytes, twice the speed
    distinct = (np.unique(block, axis=0) for block in np.split(rows, ends))
    return Ranks(
        {part: np.ascontiguousarray(block.T) for part, block in zip(parts, distinct, strict=True)},
        np.array([schema[name].numeric for name in names]),
        top,
    )


def _met(table: np.ndarray, queries: Queries) -> Iterator[tuple[int, np.ndarray]]:
    """Which rows meet all conditions, in blocks: number of the first query, array of shape ``(queries, rows)``."""
    size = max(1, BLOCK // max(1, table.shape[1]))
    for start in range(0, len(queries), size):
        block = queries.take(np.arange(start, min(start + size, len(queries))))
        met = np.ones((len(block), table.shape[1]), dtype=bool)
        low, high = block.low.astype(table.dtype), block.high.astype(table.dtype)
        for k in range(block.columns.shape[1]):
            values = table[block.columns[:, k]]
            inside = (values >= low[:, k, None]) & (values <= high[:, k, None])
            if block.negated[:, k].any():
                inside = np.where(block.negated[:, k, None], ~inside & (values > 0), inside)
            met &= inside
        yield start, met


def _lower_median(values: np.ndarray) -> int:
    """Rank of the lower median of the known values: what is above it is above the median too."""
    known = np.sort(values[values > 0])
    return int(known[(len(known) - 1) // 2]) if len(known) else 0


def _random_columns(n_columns: int, n: int, rng: np.random.Generator, conditions: int = CONDITIONS) -> np.ndarray:
    """Distinct columns for each of ``n`` queries, ascending, shape ``(n, conditions or all columns)``."""
    return np.sort(rng.random((n, n_columns)).argsort(axis=1)[:, :conditions], axis=1)


def _single_out(table: np.ndarray, queries: Queries) -> np.ndarray:
    """Which queries find exactly one row of a table in random order, shape ``(queries,)``."""
    counts = np.zeros(len(queries), dtype=np.int64)
    start, size, left = 0, FIRST, np.arange(len(queries))
    while start < table.shape[1]:
        counts[left] += matches(table[:, start : start + size], queries.take(left))
        # Most queries find a second row soon, and need not be tried on the rest.
        left = left[counts[left] < 2]
        start, size = start + size, size * 2
    found: np.ndarray = counts == 1
    return found


def _in_part(counts: np.ndarray, rows: int, size: int) -> float:
    """Expected number of queries that find exactly one of ``size`` random rows, finding ``counts`` of all ``rows``."""
    from scipy.stats import hypergeom

    if size == rows:
        return float(np.count_nonzero(counts == 1))
    return float(hypergeom.pmf(1, rows, counts[counts > 0], size).sum())


def _modelled(rows: int, weight: float) -> float:
    """Proportional to the chance of one match among ``rows``, of a query of even weight in 0 to ``weight``.

    The integral of n w (1 - w)^(n - 1) over w.
    """
    return float(1 - (rows * weight + 1) * (1 - weight) ** rows) / (rows + 1)
