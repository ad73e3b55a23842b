"""Rows drawn from large tables, for metrics whose cost grows faster than the number of rows.

A metric that draws says so: it gives the number of all rows as :attr:`.base.Value.population`.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from .base import Evaluation
from .encoding import Part, encoded

ODD = np.uint64(0x9E3779B97F4A7C15)  # of no meaning; pandas' hash of 0 is 0, and a row of zeros would always win


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
        lots = pd.util.hash_array((lots ^ pd.util.hash_array(columns[name] + 0.0)) + ODD)
    order = np.argsort(lots, kind="stable")
    ordered = lots[order]
    first = np.searchsorted(ordered, ordered)
    lots[order] = pd.util.hash_array((ordered ^ (np.arange(len(order)) - first).astype(np.uint64)) + ODD)
    return np.sort(np.argpartition(lots, most)[:most])
