"""Rows drawn from large tables, for metrics whose cost grows faster than the number of rows.

A metric that draws says so: it gives the number of all rows as :attr:`.base.Value.population`.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from .base import Evaluation
from .encoding import Part, encoded


def drawn(evaluation: Evaluation, part: Part, most: int) -> np.ndarray:
    """Draw rows of a table at random without replacement; all of them where they are few enough.

    The draw depends on the values of the rows and the evaluation's seed alone, and not on the order of rows or
    columns: each row gets a pseudorandom number from what it holds, equal rows each their own, and the lowest win.

    Args:
        evaluation: the evaluation.
        part: which of its tables.
        most: rows to draw.

    Returns:
        Ascending row numbers, shape ``(min(most, rows),)``.
    """
    return evaluation.once(("drawn", part, most), lambda: _drawn(evaluation, part, most))


def _drawn(evaluation: Evaluation, part: Part, most: int) -> np.ndarray:
    table, schema = encoded(evaluation, part), evaluation.schema
    if len(table) <= most:
        return np.arange(len(table))
    columns = dict(zip(schema.numeric, table.numbers.T, strict=True))
    columns |= dict(zip(schema.categorical, table.codes.T, strict=True))
    lots = np.full(len(table), np.uint64(evaluation.seed % 2**64))
    for name in sorted(columns):
        # + 0.0 makes one of the two zeros, which are equal but have other bits.
        lots = _mixed(lots ^ pd.util.hash_array(columns[name] + 0.0))
    order = np.argsort(lots, kind="stable")
    ordered = lots[order]
    first = np.searchsorted(ordered, ordered)
    lots[order] = _mixed(ordered ^ (np.arange(len(order)) - first).astype(np.uint64))
    return np.sort(np.argpartition(lots, most)[:most])


def _mixed(numbers: np.ndarray) -> np.ndarray:
    """The finaliser of SplitMix64 (Steele, Lea and Flood 2014): neighbouring numbers come out unlike each other."""
    mixed = numbers + np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    result: np.ndarray = mixed ^ (mixed >> np.uint64(31))
    return result
