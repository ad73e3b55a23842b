"""How rows are written for a language model: grammars that hold it to the card, forms, and the text of a row."""

from __future__ import annotations

import itertools
import json
import math
import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from synthward.benchmarks.columns import Column, Kind
from synthward.generators.llm.formats import FORMATS
from synthward.generators.llm.grammar import UNBOUNDED_DIGITS, literal, number, written
from synthward.results.errors import UserError

TOKEN = re.compile(
    r'(?P<text>"(?:[^"\\]|\\.)*")|(?P<set>\[[0-9-]+\])|(?P<repeat>\{[0-9,]+\})|(?P<mark>[()|?])|(?P<name>[a-z0-9]+)|\s+'
)
ESCAPE = re.compile(r"\\(?:x(..)|u(....)|U(.{8})|(.))")
LETTERS = {"n": "\n", "r": "\r", "t": "\t"}


def as_regex(fragment: str, rules: dict[str, str] | None = None) -> str:
    """A Python regular expression for a GBNF fragment of the kind that is written here, which never recurses."""
    parts, place = [], 0
    while place < len(fragment):
        token = TOKEN.match(fragment, place)
        assert token, f"no GBNF: {fragment[place:]!r}"
        place = token.end()
        if token["text"]:
            text = ESCAPE.sub(
                lambda m: LETTERS.get(m[4], m[4]) if m[4] else chr(int(m[1] or m[2] or m[3], 16)), token["text"][1:-1]
            )
            # A group, for a repetition that may follow holds for the whole literal.
            parts.append(f"(?:{re.escape(text)})")
        elif token["name"]:
            parts.append(f"(?:{as_regex((rules or {})[token['name']], rules)})")
        elif token.group().strip():
            parts.append("(?:" if token.group() == "(" else token.group())
    return "".join(parts)


def grammar_regex(grammar: str) -> re.Pattern[str]:
    """A Python regular expression for a whole grammar."""
    rules = dict(line.split(" ::= ", 1) for line in grammar.splitlines())
    return re.compile(as_regex(rules["root"], rules))


def continuous(low: float, high: float, places: int | None = None) -> Column:
    return Column(name="x", kind=Kind.CONTINUOUS, bounds=(low, high), decimals=places)


def integer(low: float, high: float) -> Column:
    return Column(name="x", kind=Kind.INTEGER, bounds=(low, high))


def is_allowed(text: str, column: Column) -> bool:
    """What the grammar promises, said without it."""
    if not re.fullmatch(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?", text) or re.fullmatch(r"-[0.]*", text):
        return False
    shown = len(text.partition(".")[2])
    places = column.places
    if shown > places or (shown < places and column.decimals is not None):
        return False
    if column.bounds is None:
        return abs(Decimal(text)) < 10**UNBOUNDED_DIGITS
    low, high = (Decimal(repr(bound)) for bound in column.bounds)
    return low <= Decimal(text) <= high


# ---------------------------------------------------------------------------------------------- numbers

magnitudes = st.one_of(
    st.integers(-(10**6), 10**6).map(float),
    st.integers(-(10**6), 10**6).map(lambda n: n / 1000),
    st.integers(-150, 150).map(lambda n: n / 10),
)


@st.composite
def numeric_columns(draw: st.DrawFn, name: str = "x") -> Column:
    """A numeric column that can hold a number with its decimals."""
    kind = draw(st.sampled_from([Kind.INTEGER, Kind.CONTINUOUS]))
    places = draw(st.none() | st.integers(0, 4)) if kind is Kind.CONTINUOUS else None
    bounds = draw(st.none() | st.tuples(magnitudes, magnitudes).map(lambda b: (min(b), max(b))))
    if bounds is not None and (kind is Kind.INTEGER or places is not None):
        unit = Decimal(10) ** -(places or 0)
        low, high = (Decimal(repr(bound)) for bound in bounds)
        if math.ceil(low / unit) > math.floor(high / unit):
            bounds = (float(math.floor(low)), float(math.floor(low)))
    return Column(name=name, kind=kind, bounds=bounds, decimals=places, missing=draw(st.booleans()))


@st.composite
def texts_near(draw: st.DrawFn, column: Column) -> str:
    """Texts about the edges of what a column allows."""
    low, high = column.bounds or (-(10.0**UNBOUNDED_DIGITS), 10.0**UNBOUNDED_DIGITS)
    shown = max(0, column.places + draw(st.integers(-2, 1)))
    unit = Decimal(10) ** -shown
    value = Decimal(repr(draw(st.sampled_from([low, high, 0.0, (low + high) / 2]) | st.floats(low, high))))
    text = f"{value + draw(st.integers(-2, 2)) * unit:.{shown}f}"
    prefix = draw(st.sampled_from(["", "", "", "", "0", "-", "+", " "]))
    return prefix + text + draw(st.sampled_from(["", "", "", "", "0", ".", "e0", " "]))


@settings(deadline=None, max_examples=200)
@given(st.data(), numeric_columns())
def test_a_text_matches_the_rule_of_a_column_if_and_only_if_the_column_allows_it(
    data: st.DataObject, column: Column
) -> None:
    rule = re.compile(as_regex(number(column)))
    for text in data.draw(st.lists(texts_near(column), min_size=1, max_size=20)):
        assert bool(rule.fullmatch(text)) == is_allowed(text, column), text
    written = data.draw(st.from_regex(rule, fullmatch=True, alphabet=st.characters(max_codepoint=0x7F)))
    assert is_allowed(written, column), written


@pytest.mark.parametrize(
    "column",
    [
        integer(0, 0),
        integer(0, 9),
        integer(14, 105),
        integer(0, 28),
        integer(31, 1100),
        integer(-5, 12),
        integer(-120, -9),
        integer(0.5, 199.5),
        continuous(0, 1, 1),
        continuous(-0.3, 0.2, 1),
        continuous(-2.5, -0.25, 2),
        continuous(6.5, 7.8, 2),
        continuous(18, 90),
        continuous(-1, 1),
        continuous(9.95, 10.05),
        continuous(0.01, 0.04),
        Column(name="x", kind=Kind.CONTINUOUS),
        Column(name="x", kind=Kind.INTEGER),
    ],
    ids=lambda c: f"{c.kind}-{c.bounds}-{c.decimals}",
)
def test_of_all_short_texts_the_rule_matches_just_those_allowed(column: Column) -> None:
    rule = re.compile(as_regex(number(column)))
    texts = ["".join(t) for size in range(5) for t in itertools.product("-.0123456789", repeat=size)]
    assert [t for t in texts if rule.fullmatch(t)] == [t for t in texts if is_allowed(t, column)]


def test_rules_stay_short() -> None:
    assert number(integer(14, 105)) == '"1" [4-9] | [2-9] [0-9] | "10" [0-5]'
    assert number(integer(0, 99999)) == "[0-9] | [1-9] [0-9]{1,4}"
    assert number(continuous(0.1, 50, 1)) == '"0." [1-9] | [1-9] "." [0-9] | [1-4] [0-9] "." [0-9] | "50.0"'
    assert len(number(continuous(-12345.678, 98765.432, 3))) < 1000


def test_bounds_that_the_decimals_cannot_tell_apart_get_more_of_them() -> None:
    rule = re.compile(as_regex(number(continuous(0.01, 0.04, 1))))
    assert rule.fullmatch("0.03")
    assert not rule.fullmatch("0.0")


def test_an_integer_column_without_a_whole_number_is_refused() -> None:
    with pytest.raises(UserError, match="column 'x' is integer, but no whole number lies within its bounds"):
        number(integer(0.2, 0.8))


@given(st.text(st.characters(exclude_categories=["Cs"])))
@example('a"b\\c\n\t\r]\x00\u00a0\u2028\U0010ffff')
def test_a_literal_is_one_line_and_matches_its_text_alone(text: str) -> None:
    rule = literal(text)
    assert rule.isprintable()
    assert re.fullmatch(as_regex(rule), text)
    assert not re.fullmatch(as_regex(rule), text + "a")


# ---------------------------------------------------------------------------------------------- formats

NASTY = ["", " ", "a, b", 'say "x"', "line\nbreak", "\r", "```", "null", "NaN", "0", "1", "1.0", "-1", "0.5", "<=60"]
NASTY += ["{", "}]", "[", "\\", "\\n", " lead", "trail ", "µg/l", "\u00a0x", "老", "\U0001f600", "true", "a:b", "007"]
nasty_texts = st.sampled_from(NASTY) | st.text(st.characters(exclude_categories=["Cs"]), max_size=6)


@st.composite
def column_lists(draw: st.DrawFn) -> list[Column]:
    """Columns of a table with names and codes that a user might, but should not, choose."""
    columns = []
    for name in draw(st.lists(nasty_texts, min_size=2, max_size=5, unique=True)):
        if draw(st.booleans()):
            columns.append(draw(numeric_columns(name)))
        else:
            codes = draw(st.lists(nasty_texts, min_size=1, max_size=4, unique=True))
            kind = draw(st.sampled_from([Kind.CATEGORICAL, Kind.ORDINAL]))
            columns.append(Column(name=name, kind=kind, codes=codes, missing=draw(st.booleans())))
    return columns


@st.composite
def values_of(draw: st.DrawFn, column: Column) -> float | str | None:
    """A value that the column may hold, with the decimals of its card."""
    if column.missing and draw(st.booleans()):
        return math.nan if column.numeric else None
    if not column.numeric:
        return draw(st.sampled_from(list(column.codes)))
    low, high = column.bounds or (-(10.0**UNBOUNDED_DIGITS) + 1, 10.0**UNBOUNDED_DIGITS - 1)
    if column.kind is Kind.CONTINUOUS and column.decimals is None:
        return draw(st.floats(low, high)) + 0.0
    unit = Decimal(10) ** -column.places
    first, last = math.ceil(Decimal(repr(low)) / unit), math.floor(Decimal(repr(high)) / unit)
    return float(draw(st.integers(first, last)) * unit)


@st.composite
def tables(draw: st.DrawFn) -> tuple[list[Column], list[dict[str, Any]]]:
    """Columns, and valid rows of them."""
    columns = draw(column_lists())
    row = st.fixed_dictionaries({c.name: values_of(c) for c in columns})
    return columns, draw(st.lists(row, min_size=1, max_size=4))


CARD = [
    Column(name="age", kind=Kind.INTEGER, bounds=(18, 90)),
    Column(name="bili", kind=Kind.CONTINUOUS, bounds=(0.1, 50), decimals=1, missing=True),
    Column(name="sex", kind=Kind.CATEGORICAL, codes=["f", "m"]),
    Column(name="stage", kind=Kind.ORDINAL, codes=[1, 2, 3], missing=True),
]
ROW = {"age": 63.0, "bili": 1.5, "sex": "f", "stage": "2"}


def test_the_text_of_a_row() -> None:
    gaps = ROW | {"bili": math.nan, "stage": None}
    csv, objects, arrays = (FORMATS[f] for f in ("csv", "json", "array"))
    assert (csv.header(CARD), csv.write(ROW, CARD)) == ("age,bili,sex,stage", "63,1.5,f,2")
    assert csv.write(gaps, CARD) == "63,,f,"
    assert (objects.header(CARD), objects.write(ROW, CARD)) == ("", '{"age": 63, "bili": 1.5, "sex": "f", "stage": 2}')
    assert objects.write(gaps, CARD[::-1]) == '{"stage": null, "sex": "f", "bili": null, "age": 63}'
    assert (arrays.header(CARD), arrays.write(ROW, CARD)) == ('["age", "bili", "sex", "stage"]', '[63, 1.5, "f", 2]')
    assert arrays.write(gaps, CARD) == '[63, null, "f", null]'


def test_numbers_are_written_as_the_card_records_them() -> None:
    assert written(7.4, continuous(6, 8, 2)) == "7.40"
    assert written(63, continuous(18, 90)) == "63"
    assert written(-0.0, integer(-1, 1)) == "0"


def test_a_number_with_more_decimals_than_its_column_is_rounded_and_stays_within_bounds() -> None:
    """A row with them would be told from all others by any one of its numbers."""
    assert written(7.401, continuous(6, 8, 2)) == "7.40"
    assert written(52.75838466803559, continuous(18, 90)) == "52.76"
    assert written(0.004, continuous(0.001, 600)) == "0.1"  # 0.0 would be invalid
    assert written(89.999, continuous(18, 89.999, 2)) == "89.99"
    assert written(95.004, continuous(18, 90, 2)) == "95.00"  # invalid before


def test_codes_that_are_numbers_are_written_bare_if_all_are() -> None:
    def written(code: str, *codes: object) -> str:
        return FORMATS["json"].write({"x": code}, [Column(name="x", kind=Kind.CATEGORICAL, codes=codes)])

    assert written("0.5", 0, 0.5, 1) == '{"x": 0.5}'
    assert written("1", 1, "unknown") == '{"x": "1"}'
    assert written("1", "1", "1.0") == '{"x": "1"}'
    assert written("007", "007") == '{"x": "007"}'


@settings(deadline=None, max_examples=150)
@given(st.data(), tables(), st.sampled_from(sorted(FORMATS)))
def test_the_grammar_matches_the_rows_that_are_asked_for_and_no_more(
    data: st.DataObject, table: tuple[list[Column], list[dict[str, Any]]], name: Any
) -> None:
    columns, rows = table
    order = data.draw(st.permutations(columns))
    grammar = FORMATS[name].form(order, len(rows)).grammar
    assert grammar is not None
    text = "\n".join(FORMATS[name].write(row, order) for row in rows)
    assert grammar_regex(grammar).fullmatch(text), (grammar, text)
    assert not grammar_regex(grammar).fullmatch(text + "\n" + FORMATS[name].write(rows[0], order)), "one row too many"


def test_columns_alike_share_a_rule() -> None:
    yes_no = [Column(name=f"c{i}", kind=Kind.CATEGORICAL, codes=["No", "Yes"]) for i in range(20)]
    grammar = FORMATS["csv"].form(yes_no, 1).grammar
    assert grammar is not None
    assert grammar.count('"No" | "Yes"') == 1


def walk(schema: Any) -> Iterator[dict[str, Any]]:
    if isinstance(schema, dict):
        yield schema
        for key, value in schema.items():
            for part in value.values() if key == "properties" else [value]:
                yield from walk(part)


STRICT = {"type", "properties", "required", "additionalProperties", "items", "enum"}
STRICT |= {"minimum", "maximum", "minItems", "maxItems"}


@given(column_lists(), st.integers(1, 20))
def test_a_json_schema_keeps_to_what_strict_structured_output_understands(columns: list[Column], rows: int) -> None:
    assert FORMATS["csv"].form(columns, rows).json_schema is None
    for name in ("json", "array"):
        schema = FORMATS[name].form(columns, rows).json_schema
        assert schema is not None
        assert schema["type"] == "object"
        assert schema["properties"]["rows"]["minItems"] == schema["properties"]["rows"]["maxItems"] == rows
        for part in walk(schema):
            assert set(part) <= STRICT
            if part["type"] == "object":
                assert part["additionalProperties"] is False
                assert part["required"] == list(part["properties"])


def test_the_json_schema_of_a_card() -> None:
    schema = FORMATS["json"].form(CARD, 5).json_schema
    assert schema is not None
    assert schema["properties"]["rows"]["items"]["properties"] == {
        "age": {"type": "integer", "minimum": 18, "maximum": 90},
        "bili": {"type": ["number", "null"], "minimum": 0.1, "maximum": 50.0},
        "sex": {"type": "string", "enum": ["f", "m"]},
        "stage": {"type": ["number", "null"], "enum": [1, 2, 3, None]},
    }


@settings(deadline=None)
@given(tables())
def test_a_written_json_row_fulfils_its_json_schema(table: tuple[list[Column], list[dict[str, Any]]]) -> None:
    columns, rows = table
    for name in ("json", "array"):
        schema = FORMATS[name].form(columns, len(rows)).json_schema
        assert schema is not None
        items = schema["properties"]["rows"]["items"]
        for row in rows:
            read = json.loads(FORMATS[name].write(row, columns))
            if name == "array":
                assert len(read) == items["minItems"] == items["maxItems"]
                continue
            assert list(read) == items["required"]
            for key, value in read.items():
                fits(value, items["properties"][key])


TYPES = {"integer": int, "number": (int, float), "string": str, "null": type(None)}


def fits(value: Any, schema: dict[str, Any]) -> None:
    types = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    assert any(isinstance(value, TYPES[t]) for t in types)
    if "enum" in schema:
        assert value in schema["enum"]
    elif value is not None:
        assert schema.get("minimum", -math.inf) <= value <= schema.get("maximum", math.inf)
