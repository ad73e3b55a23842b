"""How rows are written for a language model and read from its replies: CSV lines, JSON objects, JSON arrays.

The three are interchangeable and differ in tokens and in how well a model keeps to them. Columns come in the
order of the prompt, which is not that of the schema. Reading is lenient about what surrounds a row - prose,
code fences, a repeated header, wrappers - and leaves it to :mod:`.reading` to judge what stands in it. Time
and memory are linear in a reply, of which no more than ``MOST_CHARACTERS`` are looked at.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final, Protocol

from ...benchmarks.columns import Column, Kind, label
from .exchange import Form
from .grammar import Rules, choice, decimals, literal, number
from .reading import NUMBER, RawRow, Reason
from .settings import RowFormat

MOST_CHARACTERS: Final = 1_000_000
"""Of a reply: a thousand rows of forty columns as JSON objects stay below."""

DEEPEST: Final = 32
"""Brackets open at a time in a reply; what is nested deeper is no table."""

Columns = Sequence[Column]


class Format(Protocol):
    """One way to write rows."""

    def header(self, columns: Columns) -> str:
        """The line that names the columns, for the prompt; empty where every row names them."""

    def write(self, row: Mapping[str, Any], columns: Columns) -> str:
        """One row on one line, but for line breaks within a code.

        Args:
            row: column to canonical value: a number, a code, ``None`` or NaN for missing.
            columns: in the order to write them.
        """

    def form(self, columns: Columns, rows: int) -> Form:
        """What holds a reply to exactly ``rows`` valid rows; rules between columns are beyond it.

        Raises:
            UserError: a column cannot hold any valid value.
        """

    def read(self, text: str, columns: Columns, *, cut: bool = False) -> list[RawRow]:
        """Read a reply; never raises.

        Args:
            text: of the reply, whatever it is.
            columns: in the order of the prompt.
            cut: whether the reply ended for its length: the last line may then lack its end.

        Returns:
            Rows in order, and in place of what looks like a row but could not be read, why.
        """


# -------------------------------------------------------------------------------------------------- CSV


class Csv:
    """Comma-separated lines under one header.

    A missing value is an empty field. Quotes set apart what would be read otherwise, and an empty code from a
    missing one. In a table of a single column a missing value is a blank line, and is not read back. Where there
    are code fences, rows stand within them; a line with half of the fields or fewer is prose.
    """

    def header(self, columns: Columns) -> str:
        return ",".join(_quoted(c.name) for c in columns)

    def write(self, row: Mapping[str, Any], columns: Columns) -> str:
        fields = []
        for column in columns:
            value = row[column.name]
            missing = _is_missing(value)
            fields.append("" if missing else _number(value, column) if column.numeric else _quoted(value))
        return ",".join(fields)

    def form(self, columns: Columns, rows: int) -> Form:
        rules = Rules()
        fields = []
        for column in columns:
            name = rules.name(number(column) if column.numeric else choice(map(_quoted, column.codes)))
            fields.append(f"{name}?" if column.missing else name)
        return Form(grammar=rules.lines(' "," '.join(fields), rows))

    def read(self, text: str, columns: Columns, *, cut: bool = False) -> list[RawRow]:
        reply = text[:MOST_CHARACTERS]
        cut = cut or len(text) > MOST_CHARACTERS
        order = list(columns)
        lines: list[tuple[bool, RawRow]] = []  # and whether the line stands within a code fence
        fenced = False
        place = _past(_BLANK, reply, 0)
        while place < len(reply):
            if reply.startswith(_FENCE, place):
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


_FENCE: Final = "```"
_BLANK: Final = re.compile(r"\s*+")
_FIELD: Final = re.compile(r'[ \t]*+(?:"((?:[^"]++|"")*+)"[ \t]*+(?=[,\r\n]|\Z)|([^,\r\n]*+))')


def _quoted(text: str) -> str:
    plain = text and text == text.strip() and not text.startswith(_FENCE) and not any(c in text for c in ',"\r\n')
    return text if plain else '"' + text.replace('"', '""') + '"'


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


class JsonObjects:
    """One JSON object a line. A missing value is ``null``."""

    def header(self, columns: Columns) -> str:
        return ""

    def write(self, row: Mapping[str, Any], columns: Columns) -> str:
        return "{" + ", ".join(f"{_json(c.name)}: {_json_value(row[c.name], c)}" for c in columns) + "}"

    def form(self, columns: Columns, rows: int) -> Form:
        rules = Rules()
        parts = []
        for i, column in enumerate(columns):
            parts += [literal(f"{', ' if i else '{'}{_json(column.name)}: "), _json_rule(column, rules)]
        row = _closed({c.name: _json_schema(c) for c in columns})
        return Form(grammar=rules.lines(" ".join([*parts, literal("}")]), rows), json_schema=_rows_schema(row, rows))

    def read(self, text: str, columns: Columns, *, cut: bool = False) -> list[RawRow]:
        return _JsonReader(columns, arrays=False).read(text)


class JsonArrays:
    """One JSON array a line, under an array of the columns' names. A missing value is ``null``.

    The JSON schema says of the values no more than that they are numbers, texts or ``null``: endpoints do not
    understand one that tells the elements of an array apart.
    """

    def header(self, columns: Columns) -> str:
        return _json([c.name for c in columns])

    def write(self, row: Mapping[str, Any], columns: Columns) -> str:
        return "[" + ", ".join(_json_value(row[c.name], c) for c in columns) + "]"

    def form(self, columns: Columns, rows: int) -> Form:
        rules = Rules()
        values = ' ", " '.join(_json_rule(c, rules) for c in columns)
        length = len(columns)
        value = {"type": ["number", "string", "null"]}
        row = {"type": "array", "items": value, "minItems": length, "maxItems": length}
        return Form(grammar=rules.lines(f'"[" {values} "]"', rows), json_schema=_rows_schema(row, rows))

    def read(self, text: str, columns: Columns, *, cut: bool = False) -> list[RawRow]:
        return _JsonReader(columns, arrays=True).read(text)


def _json(value: Any) -> str:
    """JSON with a space after commas and colons: models have seen more of it, and compact JSON biases values."""
    return json.dumps(value, ensure_ascii=False)


def _json_value(value: Any, column: Column) -> str:
    if _is_missing(value):
        return "null"
    if column.numeric:
        return _number(value, column)
    return str(value) if _has_bare_codes(column) else _json(value)


def _json_rule(column: Column, rules: Rules) -> str:
    if column.numeric:
        value = number(column)
    else:
        value = choice(column.codes if _has_bare_codes(column) else map(_json, column.codes))
    name = rules.name(value)
    return f'({name} | "null")' if column.missing else name


def _json_schema(column: Column) -> dict[str, Any]:
    """JSON schema of one value, in the subset that strict structured output understands."""
    null = ["null"] * column.missing
    if column.numeric:
        schema: dict[str, Any] = {"type": ["integer" if column.kind is Kind.INTEGER else "number", *null]}
        if column.bounds is not None:
            low, high = column.bounds
            whole = column.kind is Kind.INTEGER
            schema |= {"minimum": math.ceil(low) if whole else low, "maximum": math.floor(high) if whole else high}
    else:
        bare = _has_bare_codes(column)
        codes = [json.loads(code) for code in column.codes] if bare else list(column.codes)
        schema = {"type": ["number" if bare else "string", *null], "enum": codes + [None] * column.missing}
    if not null:
        schema["type"] = schema["type"][0]
    return schema


def _closed(properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


def _rows_schema(row: dict[str, Any], rows: int) -> dict[str, Any]:
    return _closed({"rows": {"type": "array", "items": row, "minItems": rows, "maxItems": rows}})


def _has_bare_codes(column: Column) -> bool:
    """Whether all codes are numbers in JSON, too, which saves the tokens of their quotes."""
    return all(_BARE.fullmatch(code) and label(json.loads(code)) == code for code in column.codes)


_STRING: Final = r'"(?:[^"\\\n]|\\.)*+"'
_JSON_NUMBER: Final = r"-?(?:0|[1-9][0-9]*+)(?:\.[0-9]++)?(?:[eE][+-]?[0-9]++)?"
_VALUE: Final = (
    rf"(?:(?P<value>{_STRING}|{_JSON_NUMBER}|true|false|null|NaN|-?Infinity)\s*+(?:,|(?=[\]}}]))|(?=[\[{{]))"
)
_BARE: Final = re.compile(r"-?(?:0|[1-9][0-9]{0,14})(?:\.[0-9]{1,6})?")
_OPENING: Final = re.compile(r"[\[{]")
_MEMBER: Final = re.compile(rf"\s*+(?P<key>{_STRING})\s*+:\s*+{_VALUE}")
_ELEMENT: Final = re.compile(rf"\s*+{_VALUE}")
_AFTER_BRACKET: Final = re.compile(r"\s*+,?+")
# A quote that is never closed takes the rest of its line, so that no character is looked at twice.
_JUNK: Final = re.compile(r'(?:"(?:[^"\\\n]|\\.)*+"?+|[^"\[\]{}]++)*+')
_CONSTANTS: Final = {"true": True, "false": False, "null": None}
_LONGEST_INT: Final = 300  # digits; any longer number is infinite as a float


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


def _is_missing(value: Any) -> bool:
    return value is None or value != value  # NaN


def _number(value: float, column: Column) -> str:
    """Shortest text that is read as the same number, with the card's decimals if it has no more than those."""
    places = decimals(column)
    if column.kind is Kind.INTEGER or column.decimals is not None:
        text = f"{value:.{places}f}"
        if float(text) == value:
            return text.removeprefix("-") if value == 0 else text
    return f"{Decimal(repr(float(value))):f}".removesuffix(".0")  # without an exponent


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


FORMATS: Final[Mapping[RowFormat, Format]] = {"csv": Csv(), "json": JsonObjects(), "array": JsonArrays()}
