"""The forms that a language model fills in: a distribution specification as JSON schema and as grammar.

Columns, codes and families are spelled out, so that a constrained decoder cannot invent any, and a model has
little more to write than numbers. The JSON schemas keep to what OpenAI's strict mode knows: every
property required, no other allowed. llama.cpp heeds bounds of numbers in the grammar only.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

from ...benchmarks.columns import Column, Kind
from .exchange import Form
from .grammar import Rules, choice, literal, number
from .margins import COUNTS, FAMILIES, Family

CHARACTERS_PER_TOKEN = 1.5  # fewer than any reply has, so that none is cut off
# What is filled in: a number as a column could hold it, one of some texts, an object of such.
Field: TypeAlias = "Column | list[str] | Mapping[str, Field]"
Fields: TypeAlias = dict[str, Field]

MOST_DECIMALS = 3  # that a model may choose where the card gives none


def columns_form(columns: Sequence[Column], gaps: bool, ranges: bool) -> Form:
    """The form of :func:`.specification_reading.read_columns`.

    Args:
        columns: to be described, in order.
        gaps: whether percentages of missing values are asked for, where the card allows any.
        ranges: whether the smallest and the largest value are asked for; else they are the card's bounds.

    Raises:
        UserError: an integer column's bounds hold no whole number.
    """
    fields: Fields = {c.name: _fields(c, gaps, ranges) for c in columns}
    rules = Rules()
    return Form(grammar=rules.lines(_fragment(fields, rules), 1), json_schema=_schema(fields))


def correlations_form(names: Sequence[Sequence[str]], most: int) -> Form:
    """The form of :func:`.specification_reading.read_correlations`.

    In the grammar, ``b`` comes from a column after that of ``a``: small models like to repeat what they have just
    written.

    Args:
        names: of what can be correlated, by column; two columns at least.
        most: number of pairs at most.
    """
    rules = Rules()
    *earlier, last = (rules.name(choice(map(_quoted, group))) for group in names)
    after, options = last, []
    for group in reversed(earlier):
        options.append(f'{group} ", \\"b\\": " {after}')
        after = rules.name(f"{group} | {after}")
    r = Column(name="r", kind=Kind.CONTINUOUS, bounds=(-1, 1), decimals=2)
    pair = rules.name(f'"{{\\"a\\": " ({" | ".join(reversed(options))}) ", \\"r\\": " {rules.name(number(r))} "}}"')
    root = f'"{{\\"correlations\\": [" ({pair} (", " {pair}){{0,{most - 1}}})? "]}}"'
    every = [name for group in names for name in group]
    listed = {"type": "array", "items": _schema({"a": every, "b": every, "r": r}), "maxItems": most}
    return Form(grammar=rules.lines(root, 1), json_schema=_strict({"correlations": listed}))


def columns_tokens(columns: Iterable[Column]) -> int:
    """Tokens that are enough for a reply in the form of these columns."""
    texts = (c.name + ("" if c.numeric else "".join(c.codes)) for c in columns)
    fixed = (95 if c.numeric else 40 + 14 * len(c.codes) for c in columns)
    return round((sum(map(len, texts)) + sum(fixed)) / CHARACTERS_PER_TOKEN) + 48


def correlations_tokens(names: Sequence[Sequence[str]], most: int) -> int:
    """Tokens that are enough for so many correlations."""
    return round(most * (2 * max(len(name) for group in names for name in group) + 30) / CHARACTERS_PER_TOKEN) + 48


def families(column: Column) -> list[Family]:
    """Families that a column's values may come from."""
    return [f for f in FAMILIES if column.kind is Kind.INTEGER or f not in COUNTS]


def may_be_zero(column: Column) -> bool:
    """Whether 0 is the smallest of a column's values, so that it can stand for none at all."""
    return column.numeric and column.bounds is not None and column.bounds[0] == 0


def _fields(column: Column, gaps: bool, ranges: bool) -> Fields:
    """What is asked for a column, in order.

    The range comes first: the mean that a model writes next then tends to lie in it.
    """
    percent = Column(name="percent", kind=Kind.CONTINUOUS, bounds=(0, 100))
    fields: Fields = {}
    if column.numeric:
        mean = column.model_copy(update={"kind": Kind.CONTINUOUS, "decimals": None})
        low, high = column.bounds or (0.0, 2e9)
        sd = mean.model_copy(update={"bounds": (0.0, (high - low) / 2)})
        fields["family"] = list(families(column))
        fields |= {"min": column, "max": column} if ranges else {}
        fields |= {"mean": mean, "sd": sd}
        fields |= {"zeros": percent} if may_be_zero(column) else {}
        if column.kind is Kind.CONTINUOUS and column.decimals is None:
            fields["decimals"] = Column(name="decimals", kind=Kind.INTEGER, bounds=(0, MOST_DECIMALS))
    else:
        fields["percent"] = dict.fromkeys(column.codes, percent)
    if gaps and column.missing:
        fields["missing"] = percent
    return fields


def _fragment(field: Field, rules: Rules) -> str:
    """A fragment of the grammar."""
    if isinstance(field, Column):
        return rules.name(number(field))
    if isinstance(field, list):
        return rules.name(choice(map(_quoted, field)))
    members = (f"{literal(_quoted(name) + ': ')} {_fragment(inner, rules)}" for name, inner in field.items())
    return '"{" ' + ' ", " '.join(members) + ' "}"'


def _schema(field: Field) -> dict[str, Any]:
    if isinstance(field, Column):
        limits = {"minimum": field.bounds[0], "maximum": field.bounds[1]} if field.bounds else {}
        return {"type": "integer" if field.kind is Kind.INTEGER else "number", **limits}
    if isinstance(field, list):
        return {"type": "string", "enum": field}
    return _strict({name: _schema(inner) for name, inner in field.items()})


def _strict(properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
