"""Which of the rows that a language model wrote are rows of the table: judged one by one, and never repaired."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
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

Value = float | str | None
"""A canonical value; ``None`` or NaN for missing."""

Judge = Callable[[Any], Value | Reason]

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

    judges = {column.name: _judge(column) for column in schema.columns}
    rejects: Counter[str] = Counter()
    kept: list[int] = []
    values: list[list[Value]] = []
    for i, row in enumerate(rows):
        judged = _values(row, judges)
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


def _values(row: RawRow, judges: Mapping[str, Judge]) -> list[Value] | Reason:
    """The canonical values of a row, in the order of the schema, or the first reason against it."""
    if isinstance(row, Reason):
        return row
    if not row.keys() <= judges.keys():
        return Reason.UNKNOWN_COLUMN
    if len(row) < len(judges):
        return Reason.MISSING_COLUMN
    values: list[Value] = []
    for name, judge in judges.items():
        value = judge(row[name])
        if isinstance(value, Reason):
            return value
        values.append(value)
    return values


def _judge(column: Column) -> Judge:
    """What turns the raw values of a column into canonical ones, or says what is wrong with them."""
    judge_known = _number_judge(column) if column.numeric else _code_judge(column)
    gap: Value | Reason = Reason.MISSING_VALUE
    if column.missing:
        gap = math.nan if column.numeric else None

    def judge(raw: Any) -> Value | Reason:
        if raw is None:
            return gap
        return Reason.NESTED_VALUE if isinstance(raw, (list, dict)) else judge_known(raw)

    return judge


def _number_judge(column: Column) -> Judge:
    whole = column.kind is Kind.INTEGER
    low, high = column.bounds or (-math.inf, math.inf)
    tolerance = 0.0 if whole or column.bounds is None else TOLERANCE * high - TOLERANCE * low

    def judge(raw: Any) -> Value | Reason:
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
        if whole and not value.is_integer():
            return Reason.NOT_WHOLE
        if low <= value <= high:
            return value
        bound = low if value < low else high
        return bound if abs(value - bound) <= tolerance else Reason.OUT_OF_BOUNDS

    return judge


def _code_judge(column: Column) -> Judge:
    codes = column.codes

    def judge(raw: Any) -> Value | Reason:
        if isinstance(raw, float) and not math.isfinite(raw):
            return Reason.NOT_FINITE
        text = label(raw)
        if text in codes:
            return text
        text = text.strip()
        return text if text in codes else Reason.UNKNOWN_CODE

    return judge
