"""How rows are written for a language model and read from its replies: CSV lines, JSON objects, JSON arrays.

The three are interchangeable and differ in tokens and in how well a model keeps to them. Columns come in the
order of the prompt, which is not that of the schema. Replies are read by :mod:`.parsing`.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any, Final, Protocol

from ...benchmarks.columns import Column, Kind, label
from .exchange import Form
from .grammar import Rules, choice, literal, number, written
from .judging import RawRow
from .parsing import FENCE, Columns, csv_rows, json_rows
from .settings import RowFormat


class Format(Protocol):
    """One way to write rows."""

    def header(self, columns: Columns) -> str:
        """The line that names the columns, for the prompt; empty where every row names them."""

    def write(self, row: Mapping[str, Any], columns: Columns) -> str:
        """One row on one line, but for line breaks within a code, with numbers rounded as its form would have them.

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
    missing one. In a table of a single column a missing value is a blank line, and is not read back.
    """

    def header(self, columns: Columns) -> str:
        return ",".join(_quoted(c.name) for c in columns)

    def write(self, row: Mapping[str, Any], columns: Columns) -> str:
        fields = []
        for column in columns:
            value = row[column.name]
            missing = _is_missing(value)
            fields.append("" if missing else written(value, column) if column.numeric else _quoted(value))
        return ",".join(fields)

    def form(self, columns: Columns, rows: int) -> Form:
        rules = Rules()
        fields = []
        for column in columns:
            name = rules.name(number(column) if column.numeric else choice(map(_quoted, column.codes)))
            fields.append(f"{name}?" if column.missing else name)
        return Form(grammar=rules.lines(' "," '.join(fields), rows))

    def read(self, text: str, columns: Columns, *, cut: bool = False) -> list[RawRow]:
        return csv_rows(text, columns, cut=cut)


def _quoted(text: str) -> str:
    plain = text and text == text.strip() and not text.startswith(FENCE) and not any(c in text for c in ',"\r\n')
    return text if plain else '"' + text.replace('"', '""') + '"'


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
        return json_rows(text, columns, arrays=False)


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
        return json_rows(text, columns, arrays=True)


def _json(value: Any) -> str:
    """JSON with a space after commas and colons: models have seen more of it, and compact JSON biases values."""
    return json.dumps(value, ensure_ascii=False)


def _json_value(value: Any, column: Column) -> str:
    if _is_missing(value):
        return "null"
    if column.numeric:
        return written(value, column)
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


_BARE: Final = re.compile(r"-?(?:0|[1-9][0-9]{0,14})(?:\.[0-9]{1,6})?")


# ------------------------------------------------------------------------------------------------ shared


def _is_missing(value: Any) -> bool:
    return value is None or value != value  # NaN


FORMATS: Final[Mapping[RowFormat, Format]] = {"csv": Csv(), "json": JsonObjects(), "array": JsonArrays()}
