"""Rows found in a language model's reply, whatever surrounds them: prose, code fences, a repeated header, wrappers.

Reading never raises, and leaves it to :mod:`.judging` to say what the rows are worth. Time and memory are linear in a
reply, of which no more than ``MOST_CHARACTERS`` are looked at.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from ...benchmarks.columns import Column
from .judging import NUMBER, RawRow, Reason

MOST_CHARACTERS: Final = 1_000_000
"""Of a reply: a thousand rows of forty columns as JSON objects stay below."""

DEEPEST: Final = 32
"""Brackets open at a time in a reply; what is nested deeper is no table."""

Columns = Sequence[Column]

# -------------------------------------------------------------------------------------------------- CSV

FENCE: Final = "```"
_BLANK: Final = re.compile(r"\s*+")
_FIELD: Final = re.compile(r'[ \t]*+(?:"((?:[^"]++|"")*+)"[ \t]*+(?=[,\r\n]|\Z)|([^,\r\n]*+))')


def csv_rows(text: str, columns: Columns, *, cut: bool = False) -> list[RawRow]:
    """Rows among lines of comma-separated values, see :meth:`.formats.Format.read`.

    Where there are code fences, rows stand within them; a line with half of the fields or fewer is prose.
    """
    reply = text[:MOST_CHARACTERS]
    cut = cut or len(text) > MOST_CHARACTERS
    order = list(columns)
    lines: list[tuple[bool, RawRow]] = []  # and whether the line stands within a code fence
    fenced = False
    place = _past(_BLANK, reply, 0)
    while place < len(reply):
        if reply.startswith(FENCE, place):
            fenced = not fenced
            end = _line_end(reply, place)
        else:
            fields, end = _fields(reply, place, len(order))
            if cut and end == len(reply):
                lines.append((fenced, Reason.UNREADABLE))
            elif header := _as_header(fields, order):
                order = header
            elif 2 * len(fields) > len(order):  # else prose
                lines.append((fenced, _as_row(fields, order)))
        place = _past(_BLANK, reply, end)
    if any(inside for inside, _ in lines):
        return [row for inside, row in lines if inside]
    return [row for _, row in lines]


def _fields(text: str, start: int, expected: int) -> tuple[list[str | None], int]:
    """Fields of the line that starts there, one too many at most, and where the line ends."""
    fields: list[str | None] = []
    while True:
        field = _FIELD.match(text, start)
        assert field is not None  # it matches anywhere
        quoted, plain = field.groups()
        fields.append(plain.strip() or None if quoted is None else quoted.replace('""', '"'))
        start = field.end()
        if not text.startswith(",", start):
            return fields, start
        if len(fields) > expected:
            return fields, _line_end(text, start)
        start += 1


def _line_end(text: str, start: int) -> int:
    end = text.find("\n", start)
    return len(text) if end < 0 else end


# ------------------------------------------------------------------------------------------------- JSON

_STRING: Final = r'"(?:[^"\\\n]|\\.)*+"'
_JSON_NUMBER: Final = r"-?(?:0|[1-9][0-9]*+)(?:\.[0-9]++)?(?:[eE][+-]?[0-9]++)?"
_VALUE: Final = (
    rf"(?:(?P<value>{_STRING}|{_JSON_NUMBER}|true|false|null|NaN|-?Infinity)\s*+(?:,|(?=[\]}}]))|(?=[\[{{]))"
)
_OPENING: Final = re.compile(r"[\[{]")
_MEMBER: Final = re.compile(rf"\s*+(?P<key>{_STRING})\s*+:\s*+{_VALUE}")
_ELEMENT: Final = re.compile(rf"\s*+{_VALUE}")
_AFTER_BRACKET: Final = re.compile(r"\s*+,?+")
# A quote that is never closed takes the rest of its line, so that no character is looked at twice.
_JUNK: Final = re.compile(r'(?:"(?:[^"\\\n]|\\.)*+"?+|[^"\[\]{}]++)*+')
_CONSTANTS: Final = {"true": True, "false": False, "null": None}
_LONGEST_INT: Final = 300  # digits; any longer number is infinite as a float


def json_rows(text: str, columns: Columns, *, arrays: bool) -> list[RawRow]:
    """Rows among JSON objects or, with ``arrays``, among JSON arrays, see :meth:`.formats.Format.read`."""
    return _JsonReader(columns, arrays=arrays).read(text)


@dataclass
class _Open:
    """An object or array whose end has not come yet."""

    bracket: str
    key: str  # under which it stands in the object around it
    rows_before: int
    items: list[Any] = field(default_factory=list)  # members of an object as pairs
    broken: bool = False


class _JsonReader:
    """Finds the rows in a text in one pass.

    An object or array in which rows were found wraps them, such as ``{"rows": [...]}``; any other object, and
    with ``arrays`` any other array, is a row.
    """

    def __init__(self, columns: Columns, *, arrays: bool) -> None:
        self._order = list(columns)
        self._arrays = arrays
        self._rows: list[RawRow] = []
        self._stack: list[_Open] = []

    def read(self, text: str) -> list[RawRow]:
        text = text[:MOST_CHARACTERS]
        place: int | None = 0
        while place is not None:
            place = self._inside(text, place) if self._stack else self._outside(text, place)
        for unfinished in reversed(self._stack):
            if self._is_wrapper(unfinished):
                break
            if self._could_be_row(unfinished):
                self._rows.append(Reason.UNREADABLE)
                break
        return self._rows

    def _outside(self, text: str, place: int) -> int | None:
        opening = _OPENING.search(text, place)
        return self._opened(text, opening.start(), "") if opening else None

    def _inside(self, text: str, place: int) -> int | None:
        """Take the next member or bracket of the innermost bracket. Returns the place behind it."""
        around = self._stack[-1]
        is_object = around.bracket == "{"
        item = (_MEMBER if is_object else _ELEMENT).match(text, place)
        try:
            if item:
                key = _decoded(item["key"]) if is_object else ""
                if item["value"] is None:
                    return self._opened(text, item.end(), key)
                value = _decoded(item["value"])
                around.items.append((key, value) if is_object else value)
                return item.end()
        except ValueError:  # an escape that JSON does not know
            around.broken = True
        bracket = _past(_JUNK, text, place)
        around.broken |= bool(text[place:bracket].strip())
        if bracket == len(text):
            return None
        if text[bracket] in "[{":
            around.broken |= is_object  # it has no key
            return self._opened(text, bracket, "")
        return self._closed(text, bracket)

    def _opened(self, text: str, bracket: int, key: str) -> int:
        if len(self._stack) == DEEPEST:
            self._stack.clear()
            self._rows.append(Reason.UNREADABLE)
        self._stack.append(_Open(text[bracket], key, len(self._rows)))
        return bracket + 1

    def _closed(self, text: str, bracket: int) -> int:
        opening = "{" if text[bracket] == "}" else "["
        if not any(o.bracket == opening for o in self._stack):
            self._stack[-1].broken = True
            return bracket + 1
        while True:
            done = self._stack.pop()
            matches = done.bracket == opening
            done.broken |= not matches
            self._finished(done)
            if matches:
                return _past(_AFTER_BRACKET, text, bracket + 1)

    def _finished(self, done: _Open) -> None:
        if self._stack:
            around = self._stack[-1]
            around.items.append((done.key, done.items) if around.bracket == "{" else done.items)
        if self._is_wrapper(done) or not self._could_be_row(done):
            return
        if done.broken:
            self._rows.append(Reason.UNREADABLE)
        elif done.bracket == "[":
            header = _as_header(done.items, self._order)
            if header:
                self._order = header
            else:
                self._rows.append(_as_row(done.items, self._order))
        else:
            row = dict(done.items)
            self._rows.append(row if len(row) == len(done.items) else Reason.REPEATED_COLUMN)

    def _is_wrapper(self, bracket: _Open) -> bool:
        return len(self._rows) > bracket.rows_before

    def _could_be_row(self, bracket: _Open) -> bool:
        if bracket.bracket == "[":  # without any value it is a remark [such as this]
            return self._arrays and bool(bracket.items)
        return bracket.broken or bool(bracket.items)


def _decoded(token: str) -> Any:
    """The value of a JSON scalar. Raises ValueError for a string with an unknown escape."""
    if token in _CONSTANTS:
        return _CONSTANTS[token]
    if token.startswith('"'):
        return json.loads(token, strict=False)
    return int(token) if len(token) <= _LONGEST_INT and token.lstrip("-").isdigit() else float(token)


# ------------------------------------------------------------------------------------------------ shared


def _past(pattern: re.Pattern[str], text: str, place: int) -> int:
    """Where a pattern that can match nothing at all ends its match."""
    match = pattern.match(text, place)
    return match.end() if match else place


def _as_row(fields: Sequence[Any], order: Columns) -> RawRow:
    if len(fields) != len(order):
        return Reason.MISSING_COLUMN if len(fields) < len(order) else Reason.UNKNOWN_COLUMN
    return {column.name: value for column, value in zip(order, fields, strict=True)}


def _as_header(fields: Sequence[Any], order: list[Column]) -> list[Column] | None:
    """The columns in the order that a header gives them; ``None`` for a line that is, or could be, a row."""
    named = {column.name: column for column in order}
    if len(fields) != len(order) or not all(isinstance(f, str) for f in fields) or set(fields) != set(named):
        return None
    could_be_row = all(
        NUMBER.fullmatch(f) if column.numeric else f in column.codes for f, column in zip(fields, order, strict=True)
    )
    return None if could_be_row else [named[f] for f in fields]
