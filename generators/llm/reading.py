"""Which of the rows that a language model wrote are rows of the table: judged one by one, and never repaired."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from ...benchmarks.columns import Column, Kind, label

if TYPE_CHECKING:
    import pandas as pd

    from ...benchmarks.schema import TableSchema


class Reason(StrEnum):
    """Why a row was rejected. A broken rule of the card is a reason, too: ``rule: <name>``."""

    UNREADABLE = "unreadable"  # cut off, or not in the form that was asked for
    REPEATED_COLUMN = "repeated column"
    MISSING_COLUMN = "missing column"
    UNKNOWN_COLUMN = "unknown column"
    NESTED_VALUE = "nested value"
    MISSING_VALUE = "missing value"
    NOT_A_NUMBER = "not a number"
    NOT_FINITE = "not finite"
    NOT_WHOLE = "not whole"
    OUT_OF_BOUNDS = "out of bounds"
    UNKNOWN_CODE = "unknown code"


RawRow = dict[str, Any] | Reason
"""A row as it was read, column to text or JSON value, ``None`` for missing; or why it could not be read."""

NUMBER: Final = re.compile(r"[+-]?(?:[0-9]++(?:\.[0-9]*+)?|\.[0-9]++)(?:[eE][+-]?[0-9]++)?")
NOT_FINITE: Final = re.compile(r"[+-]?(?:nan|inf|infinity)", re.IGNORECASE)

TOLERANCE: Final = 1e-9
"""Share of a column's range by which a continuous value may lie outside and is read as the bound itself."""


@dataclass(frozen=True)
class Accepted:
    """What became of the rows that were read.

    Attributes:
        table: the valid ones, in order: a canonical table.
        kept: number of each valid row among those read.
        rejects: reason to number of rows; a row counts under the first of its reasons.
        total: number of rows read: the valid and the rejected ones.
    """

    table: pd.DataFrame
    kept: tuple[int, ...]
    rejects: dict[str, int]
    total: int


def accept(rows: Sequence[RawRow], schema: TableSchema) -> Accepted:
    """Judge rows by the schema card; never raises, whatever they hold.

    A row has every column of the table and no other. A number is a JSON number or the text of one in decimal
    digits, with a point and an exponent at most: no units, words, separators or booleans. A continuous value
    that exceeds a bound by the noise of binary fractions, 0.30000000000000004 for 0.3, is the bound; no other
    value is changed. A code is that of the card, but for spaces around it; a JSON number or boolean stands for
    the code of which it is a label (``1``, ``1.0`` and ``true`` for ``"1"``).

    Args:
        rows: as read by a format, of one reply or of several.
        schema: of the table.
    """
    import numpy as np
    import pandas as pd

    rejects: Counter[str] = Counter()
    kept: list[int] = []
    values: list[list[float | str | None]] = []
    for i, row in enumerate(rows):
        judged = _values(row, schema.columns)
        if isinstance(judged, Reason):
            rejects[judged.value] += 1
        else:
            kept.append(i)
            values.append(judged)

    parts = zip(*values, strict=True) if values else ((),) * len(schema.columns)
    table = pd.DataFrame(
        {
            column.name: np.array(part, dtype=float) if column.numeric else pd.Series(part, dtype=object)
            for column, part in zip(schema.columns, parts, strict=True)
        }
    )
    valid = np.ones(len(table), dtype=bool)
    for rule in schema.rules:
        breaks = valid & ~rule.satisfied(table, schema)
        if breaks.any():
            rejects[f"rule: {rule.name}"] += int(breaks.sum())
            valid &= ~breaks
    return Accepted(
        table=table[valid].reset_index(drop=True),
        kept=tuple(i for i, ok in zip(kept, valid, strict=True) if ok),
        rejects=dict(rejects),
        total=len(rows),
    )


def _values(row: RawRow, columns: Sequence[Column]) -> list[float | str | None] | Reason:
    """The canonical values of a row, in the order of the schema, or the first reason against it."""
    if isinstance(row, Reason):
        return row
    lacking = sum(column.name not in row for column in columns)
    if len(row) + lacking > len(columns):
        return Reason.UNKNOWN_COLUMN
    if lacking:
        return Reason.MISSING_COLUMN
    values: list[float | str | None] = []
    for column in columns:
        value = _value(row[column.name], column)
        if isinstance(value, Reason):
            return value
        values.append(value)
    return values


def _value(raw: Any, column: Column) -> float | str | Reason | None:
    if raw is None:
        return (math.nan if column.numeric else None) if column.missing else Reason.MISSING_VALUE
    if isinstance(raw, (list, dict)):
        return Reason.NESTED_VALUE
    return _number(raw, column) if column.numeric else _code(raw, column)


def _number(raw: Any, column: Column) -> float | Reason:
    if isinstance(raw, bool):
        return Reason.NOT_A_NUMBER
    if isinstance(raw, str):
        raw = raw.strip()
        if not NUMBER.fullmatch(raw):
            return Reason.NOT_FINITE if NOT_FINITE.fullmatch(raw) else Reason.NOT_A_NUMBER
    try:
        value = float(raw) + 0.0  # no negative zero
    except OverflowError:
        return Reason.NOT_FINITE
    if not math.isfinite(value):
        return Reason.NOT_FINITE
    whole = column.kind is Kind.INTEGER
    if whole and not value.is_integer():
        return Reason.NOT_WHOLE
    if column.bounds is None:
        return value
    low, high = column.bounds
    bound = min(max(value, low), high)
    if value != bound and (whole or abs(value - bound) > TOLERANCE * high - TOLERANCE * low):
        return Reason.OUT_OF_BOUNDS
    return bound


def _code(raw: Any, column: Column) -> str | Reason:
    if isinstance(raw, float) and not math.isfinite(raw):
        return Reason.NOT_FINITE
    text = label(raw)
    if text in column.codes:
        return text
    text = text.strip()
    return text if text in column.codes else Reason.UNKNOWN_CODE
