"""Reading a language model's replies: lenient about what surrounds a row, strict about what stands in it."""

from __future__ import annotations

import json
import math
import re
import time
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from synthward.benchmarks.columns import Column, Kind
from synthward.benchmarks.schema import TableSchema
from synthward.generators.llm.formats import FORMATS
from synthward.generators.llm.grammar import written
from synthward.generators.llm.judging import Accepted, Reason, accept
from synthward.generators.llm.parsing import MOST_CHARACTERS
from test_llm_formats import CARD, NASTY, ROW, column_lists, grammar_regex, tables

SCHEMA = TableSchema(columns=tuple(CARD))
NAMES = sorted(FORMATS)
each_format = pytest.mark.parametrize("name", NAMES)
OTHER = {"age": 40.0, "bili": None, "sex": "m", "stage": None}


def replied(text: str, name: Any, schema: TableSchema = SCHEMA, *, cut: bool = False) -> Accepted:
    """What becomes of a reply, with the books balanced."""
    accepted = accept(FORMATS[name].read(text, schema.columns, cut=cut), schema)
    assert accepted.total == len(accepted.table) + sum(accepted.rejects.values())
    assert len(accepted.kept) == len(accepted.table)
    assert schema.conform(accepted.table).valid.all()
    return accepted


def canonical(rows: list[dict[str, Any]], schema: TableSchema) -> pd.DataFrame:
    return schema.canonical(pd.DataFrame(rows, columns=list(schema.names), dtype=object))


def assert_read(accepted: Accepted, rows: list[dict[str, Any]], rejects: dict[str, int] | None = None) -> None:
    pd.testing.assert_frame_equal(accepted.table, canonical(rows, SCHEMA))
    assert accepted.rejects == (rejects or {})


# ------------------------------------------------------------------------------------------- round trip


@settings(deadline=None, max_examples=200)
@given(st.data(), tables(), st.sampled_from(NAMES))
def test_what_is_written_is_read_back(data: st.DataObject, table: Any, name: Any) -> None:
    columns, rows = table
    schema = TableSchema(columns=tuple(columns))
    order = data.draw(st.permutations(columns))
    form = FORMATS[name]
    lines = [form.write(row, order) for row in rows]
    if any(c.name not in c.codes and not (c.numeric and judged(c.name, c) != "not a number") for c in order):
        lines.insert(0, form.header(order))  # else the header would be a row, too
    text = "\n".join(lines)
    if data.draw(st.booleans()):
        text = f"Here you go:\n```{name}\n{text}\n```\nLet me know!"
    accepted = accept(form.read(text, order), schema)
    assert accepted.rejects == {}, text
    rounded = [row | {c.name: float(written(row[c.name], c)) for c in known(row, columns)} for row in rows]
    pd.testing.assert_frame_equal(accepted.table, canonical(rounded, schema), check_exact=True)


def known(row: dict[str, Any], columns: list[Column]) -> list[Column]:
    return [c for c in columns if c.numeric and not math.isnan(row[c.name])]


@settings(deadline=None)
@given(st.data(), column_lists(), st.sampled_from(NAMES), st.integers(1, 3))
def test_whatever_a_grammar_lets_through_is_accepted(data: st.DataObject, columns: Any, name: Any, rows: int) -> None:
    schema = TableSchema(columns=tuple(columns))
    order = data.draw(st.permutations(columns))
    grammar = FORMATS[name].form(order, rows).grammar
    assert grammar is not None
    text = data.draw(st.from_regex(re.compile(grammar_regex(grammar).pattern, re.ASCII), fullmatch=True))
    accepted = accept(FORMATS[name].read(text, order), schema)
    assert (len(accepted.table), accepted.rejects) == (rows, {}), text


# --------------------------------------------------------------------------------------------- leniency

FIRST, SECOND = (
    '{"age": 63, "bili": 1.5, "sex": "f", "stage": 2}',
    '{"age": 40, "bili": null, "sex": "m", "stage": null}',
)


@pytest.mark.parametrize(
    "text",
    [
        f"{FIRST}\n{SECOND}",
        f"{FIRST}{SECOND}",
        f"\n\n{FIRST}\n\n\n{SECOND}\n\n",
        f"[{FIRST}, {SECOND}]",
        f"[{FIRST}, {SECOND},]",
        f'{{"rows": [{FIRST}, {SECOND}]}}',
        f'{{"count": 2, "rows": [{FIRST}, {SECOND}], "note": "[fictitious]"}}',
        f'{{"0": {FIRST}, "1": {SECOND}}}',
        f'{{"patients": {{"rows": [{FIRST}]}}, "more": {SECOND}}}',
        f'Sure! The patient\'s "data" [as asked] (see below):\n```json\n{FIRST}\n{SECOND}\n```\nHope [this] helps',
        f'Rows [the first] "{FIRST},\n and "{SECOND}',
        f"1. {FIRST}\n2. {SECOND}\n3. }} ] done",
        '{"stage": 2, "sex": "f", "age": 63, "bili": 1.5,}{"sex":"m","age":40,"stage":null,"bili":null}',
        FIRST.replace("63", "6.3e1").replace('"f"', '"\\u0066"').replace(" 2", ' "2"').replace("1.5", '"1.5"') + SECOND,
        json.dumps([json.loads(FIRST), json.loads(SECOND)], indent=4).replace("\n", "\r\n"),
        f"\ufeff{FIRST}\u2028{SECOND}",
    ],
)
def test_objects_are_found_in_any_wrapping(text: str) -> None:
    assert_read(replied(text, "json"), [ROW, OTHER])
    assert_read(replied(text, "array"), [ROW, OTHER])


@pytest.mark.parametrize(
    "text",
    [
        '[63, 1.5, "f", 2]\n[40, null, "m", null]',
        '["age", "bili", "sex", "stage"]\n[63, 1.5, "f", 2]\n["age", "bili", "sex", "stage"]\n[40, null, "m", null]',
        '["stage", "sex", "bili", "age"]\n[2, "f", 1.5, 63]\n[null, "m", null, 40]',
        '[[63, 1.5, "f", 2], [40, null, "m", null],]',
        '{"columns": ["age", "bili", "sex", "stage"], "rows": [[63, 1.5, "f", 2], [40, null, "m", null]]}',
        '{"0": [63, 1.5, "f", 2], "1": [40, null, "m", null]}',
        'Rows:\n```json\n[63,1.5,"f","2"]\n\n[40,null,"m",null]\n```',
    ],
)
def test_arrays_are_found_in_any_wrapping(text: str) -> None:
    assert_read(replied(text, "array"), [ROW, OTHER])


@pytest.mark.parametrize(
    "text",
    [
        "63,1.5,f,2\n40,,m,",
        "63,1.5,f,2\r\n40,,m,\r\n",
        "\n\n  63, 1.5, f, 2\n\n\n40 ,, m ,\t\n\n",
        "age,bili,sex,stage\n63,1.5,f,2\nage,bili,sex,stage\n40,,m,",
        "stage,sex,bili,age\n2,f,1.5,63\n,m,,40",
        '"63","1.5","f","2"\n40,,"m",',
        "Here are two patients:\n63,1.5,f,2\n40,,m,\nDone!",
        "As you asked, two rows:\n```csv\nage,bili,sex,stage\n63,1.5,f,2\n40,,m,\n```\nAges, sexes, a, b",
        "63,1.5,f,2\n40,,m,\n```\n",
        "```\n63,1.5,f,2\n40,,m,",
    ],
)
def test_lines_are_found_in_any_wrapping(text: str) -> None:
    assert_read(replied(text, "csv"), [ROW, OTHER])


@each_format
def test_an_empty_reply_holds_nothing(name: str) -> None:
    for text in ("", " \n\n", "I am sorry, I cannot help with that.", "```\n```", "[]", "{}"):
        accepted = replied(text, name)
        assert_read(accepted, [])
        assert accepted.total == 0


def test_a_code_that_is_the_name_of_its_column_is_no_header() -> None:
    columns = [Column(name=n, kind=Kind.CATEGORICAL, codes=["a", "b"]) for n in ("a", "b")]
    for name in ("csv", "array"):
        text = "\n".join(FORMATS[name].write(row, columns) for row in ({"a": "a", "b": "b"}, {"a": "b", "b": "a"}))
        assert len(FORMATS[name].read(text, columns)) == 2


def test_a_code_that_begins_like_a_code_fence_is_none() -> None:
    columns = [Column(name=n, kind=Kind.CATEGORICAL, codes=["```", "a"]) for n in ("first", "second")]
    row = {"first": "```", "second": "a"}
    assert FORMATS["csv"].read(FORMATS["csv"].write(row, columns), columns) == [row]


# ------------------------------------------------------------------------------------------ broken rows


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{"age": 63, "bili": 1.5, "sex": "f", "sta', Reason.UNREADABLE),
        ('{"age": 63', Reason.UNREADABLE),
        ('{"rows": [{"age": 63, "bili": 1.5, "sex"]}', Reason.UNREADABLE),
        ('{"age": sixty-three, "bili": 1.5, "sex": "f", "stage": 2}', Reason.UNREADABLE),
        ('{"age": 63 years, "bili": 1.5, "sex": "f", "stage": 2}', Reason.UNREADABLE),
        ('{"age": 63 "bili": 1.5, "sex": "f", "stage": 2}', Reason.UNREADABLE),
        ("{'age': 63, 'bili': 1.5, 'sex': 'f', 'stage': 2}", Reason.UNREADABLE),
        ('{"age": 1,200, "bili": 1.5, "sex": "f", "stage": 2}', Reason.UNREADABLE),
        ('{"age": 63, "bili": 1.5, "sex": "\\x66", "stage": 2}', Reason.UNREADABLE),
        ('{"age": 63, "bili": 1.5, "sex": "f", "stage": 2]', Reason.UNREADABLE),
        ('{"age": 63, "bili": 1.5, "sex": "f", "stage": 02}', Reason.UNREADABLE),
        ('[{"age": 63, "bili": 1.5, "sex": "f", "stage": 2]', Reason.UNREADABLE),
        ('{"age": 63, "age": 64, "bili": 1.5, "sex": "f", "stage": 2}', Reason.REPEATED_COLUMN),
        ('{"age": 63, "bili": 1.5, "sex": ["f"], "stage": 2}', Reason.NESTED_VALUE),
        ('{"age": 63, "bili": 1.5, "sex": {}, "stage": 2}', Reason.NESTED_VALUE),
        ('{"age": 63, "bili": 1.5, "sex": {"code": "f"}, "stage": 2}', Reason.UNKNOWN_COLUMN),
        ('{"age": 63, "bili": 1.5, "sex": "f"}', Reason.MISSING_COLUMN),
        ('{"age": 63, "bili": 1.5, "sex": "f", "stage": 2, "name": "Ann"}', Reason.UNKNOWN_COLUMN),
        ('{"Age": 63, "Bili": 1.5, "Sex": "f", "Stage": 2}', Reason.UNKNOWN_COLUMN),
    ],
)
def test_a_broken_object_is_counted_once_and_spares_the_others(text: str, reason: Reason) -> None:
    assert_read(replied(text, "json"), [], {reason: 1})
    if "]}" not in text:  # after a bracket that closes nothing, the rest is still read
        assert_read(replied(f"{SECOND}\n{text}", "json"), [OTHER], {reason: 1})
    if text.endswith("}"):
        assert_read(replied(f"[{text}, {SECOND}]", "json"), [OTHER], {reason: 1})


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('[63, 1.5, "f"', Reason.UNREADABLE),
        ('[63, 1.5, "f"]', Reason.MISSING_COLUMN),
        ('[63, 1.5, "f", 2, 3]', Reason.UNKNOWN_COLUMN),
        ('[1,063, 1.5, "f", 2]', Reason.UNREADABLE),
        ('[63,, "f", 2]', Reason.UNREADABLE),
        ("[63, 1.5, f, 2]", Reason.UNREADABLE),
        ('[63, 120-80, "f", 2]', Reason.UNREADABLE),
        ('[63, 1.5, ["f"], 2]', Reason.MISSING_COLUMN),
    ],
)
def test_a_broken_array_is_counted_once(text: str, reason: Reason) -> None:
    assert_read(replied(text, "array"), [], {reason: 1})
    assert_read(replied(f'[40, null, "m", null]\n{text}', "array"), [OTHER], {reason: 1})


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("63,1.5,f", Reason.MISSING_COLUMN),
        ("63,1.5,f,2,3,4,5", Reason.UNKNOWN_COLUMN),
        ("1,063,1.5,f,2", Reason.UNKNOWN_COLUMN),
        ('63,1.5,"f', Reason.MISSING_COLUMN),
        ('63,1.5,"f,2', Reason.UNKNOWN_CODE),
        ('63,1.5,"f"f,2', Reason.UNKNOWN_CODE),
        ('63,"",f,2', Reason.NOT_A_NUMBER),
    ],
)
def test_a_broken_line_is_counted_once_and_spares_the_others(text: str, reason: Reason) -> None:
    assert_read(replied(f"40,,m,\n{text}\n63,1.5,f,2\n", "csv"), [OTHER, ROW], {reason: 1})


def test_the_last_line_of_a_reply_cut_short_is_dropped() -> None:
    text = "63,1.5,f,2\n40,,m,1"  # of what might have become a 12
    assert replied(text, "csv").total == len(replied(text, "csv").table) == 2
    assert_read(replied(text, "csv", cut=True), [ROW], {Reason.UNREADABLE: 1})
    assert_read(replied("63,1.5,f,2\n", "csv", cut=True), [ROW])


# ----------------------------------------------------------------------------------------------- values


def judged(value: Any, column: Column) -> Any:
    """The canonical value of one raw value, or the reason against it."""
    schema = TableSchema(columns=(column,))
    accepted = accept([{column.name: value}], schema)
    return next(iter(accepted.rejects)) if accepted.rejects else accepted.table[column.name].iloc[0]


AGE = Column(name="age", kind=Kind.INTEGER, bounds=(0, 2000))
LEVEL = Column(name="level", kind=Kind.CONTINUOUS, bounds=(-0.1, 0.3), decimals=1)
FREE = Column(name="free", kind=Kind.CONTINUOUS)


@pytest.mark.parametrize(
    ("raw", "column", "value"),
    [
        ("63", AGE, 63.0),
        (" 63.0 ", AGE, 63.0),
        ("+63", AGE, 63.0),
        ("1e3", AGE, 1000.0),
        (63, AGE, 63.0),
        (63.0, AGE, 63.0),
        ("-0", AGE, 0.0),
        (".25", LEVEL, 0.25),  # more decimals than the card has, and left as they are
        (0.1 + 0.2, LEVEL, 0.3),
        (-0.1 - 1e-12, LEVEL, -0.1),
        ("1e300", FREE, 1e300),
    ],
)
def test_numbers_are_read(raw: Any, column: Column, value: float) -> None:
    read = judged(raw, column)
    assert read == value
    assert not np.signbit(read) or value < 0


@pytest.mark.parametrize(
    ("raw", "column", "reason"),
    [
        *((raw, AGE, "not a number") for raw in ("sixty-three", "63 years", "1,200", "63%", "", "NA", "null", "0x3f")),
        *((raw, AGE, "not a number") for raw in ("٦٣", "６３", "1_000", "6 3", "--6", "1e", ".", True, False)),
        *((raw, AGE, "not finite") for raw in ("NaN", "nan", "-inf", "Infinity", "1e999", math.nan, math.inf, 10**400)),
        *((raw, AGE, "not whole") for raw in ("63.5", 63.5, "63.0000000001")),
        *((raw, AGE, "out of bounds") for raw in ("-1", 2001, "1e300")),
        (1e308, Column(name="wide", kind=Kind.CONTINUOUS, bounds=(-1.5e308, 1e307)), "out of bounds"),
        *((raw, LEVEL, "out of bounds") for raw in (0.30001, "-0.1000001")),
        *((raw, AGE, "nested value") for raw in ([63], {"value": 63}, [], {})),
        (None, AGE, "missing value"),
        (10**400, FREE, "not finite"),
    ],
)
def test_what_is_no_number_is_rejected(raw: Any, column: Column, reason: str) -> None:
    assert judged(raw, column) == reason


def coded(*codes: Any, missing: bool = False) -> Column:
    return Column(name="code", kind=Kind.CATEGORICAL, codes=codes, missing=missing)


@pytest.mark.parametrize(
    ("raw", "column", "value"),
    [
        ("f", coded("f", "m"), "f"),
        (" f\n", coded("f", "m"), "f"),
        (" f", coded("f", " f"), " f"),
        (1, coded(0, 1), "1"),
        (1.0, coded(0, 1), "1"),
        ("1", coded(0, 1), "1"),
        (True, coded(0, 1), "1"),
        (0.5, coded(0, 0.5), "0.5"),
        ("", coded("", "a", missing=True), ""),
        ("null", coded("null", missing=True), "null"),
        (None, coded("", "null", missing=True), None),
        ("F", coded("f", "m"), "unknown code"),
        ("female", coded("f", "m"), "unknown code"),
        ("1.0", coded(0, 1), "unknown code"),
        ("", coded("f", missing=True), "unknown code"),
        (2, coded(0, 1), "unknown code"),
        (math.nan, coded("nan"), "not finite"),
        (None, coded("", "null"), "missing value"),
        (["f"], coded("f"), "nested value"),
    ],
)
def test_codes_are_those_of_the_card(raw: Any, column: Column, value: str | None) -> None:
    assert judged(raw, column) == value


def test_the_meaning_of_a_code_is_no_code() -> None:
    column = Column(name="sex", kind=Kind.CATEGORICAL, codes={"m": "male", "f": "female"})
    assert judged("male", column) == "unknown code"


def test_a_row_counts_under_the_first_of_its_reasons() -> None:
    schema = TableSchema.model_validate(
        {
            "columns": {
                "low": {"kind": "integer", "bounds": [0, 100], "missing": True},
                "high": {"kind": "integer", "bounds": [0, 100]},
                "sex": {"kind": "categorical", "codes": ["f", "m"]},
            },
            "rules": [
                {"name": "low below high", "left": "low", "op": "<=", "right": "high"},
                {"name": "high of women", "left": "high", "op": ">=", "right": 50, "when": {"sex": "f"}},
            ],
        }
    )
    rows = [
        {"low": 1, "high": 60, "sex": "f"},
        {"low": 9, "high": 2, "sex": "f"},  # breaks both rules
        {"low": 1, "high": 2, "sex": "f"},
        {"low": "many", "high": 200, "sex": "x"},
        Reason.UNREADABLE,
        {"low": 1, "high": None, "sex": "x", "age": 3},
        {"high": 200, "sex": "x"},
        {"low": None, "high": "2", "sex": "m"},
    ]
    accepted = accept(rows, schema)
    assert accepted.kept == (0, 7)
    assert accepted.total == 8
    assert accepted.rejects == {
        "not a number": 1,
        "unreadable": 1,
        "unknown column": 1,
        "missing column": 1,
        "rule: low below high": 1,
        "rule: high of women": 1,
    }
    assert all(type(reason) is str for reason in accepted.rejects), "a reason is plain JSON"
    expected = canonical([rows[0], {"low": None, "high": 2.0, "sex": "m"}], schema)
    pd.testing.assert_frame_equal(accepted.table, expected)


def test_no_rows_are_an_empty_table() -> None:
    rules = ({"name": "r", "left": "age", "op": ">", "right": 20},)
    schema = TableSchema.model_validate(SCHEMA.model_dump() | {"rules": rules})
    accepted = accept([], schema)
    assert (accepted.total, accepted.rejects, accepted.kept) == (0, {}, ())
    pd.testing.assert_frame_equal(accepted.table, canonical([], schema))


# ---------------------------------------------------------------------------------------- hostile replies

scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.sampled_from(NASTY)
keys = st.sampled_from([c.name for c in CARD]) | st.text(max_size=3)
any_json = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=5) | st.dictionaries(keys, inner, max_size=5), max_leaves=20
)
SHARDS = [
    '"',
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "\\",
    "\n",
    "```",
    '"age"',
    '"age": 63',
    FIRST,
    SECOND,
    "63,1.5,f,2",
    "null",
]
SHARDS += ["NaN", "-", "1e5", "\\u", "\ud800", "\x00", "age,bili,sex,stage", '["age", "bili", "sex", "stage"]', " "]


@settings(deadline=None, max_examples=300)
@given(
    st.text() | st.lists(st.sampled_from(SHARDS)).map("".join) | any_json.map(json.dumps) | any_json.map(str),
    st.sampled_from(NAMES),
    st.booleans(),
)
@example('{"age": "\\ud800", "bili": null, "sex": "f", "stage": null}', "json", False)
def test_no_text_raises(text: str, name: str, cut: bool) -> None:
    replied(text, name, cut=cut)


@settings(deadline=None, max_examples=50)
@given(st.lists(st.dictionaries(keys, any_json, max_size=5), max_size=4))
def test_no_row_raises(rows: list[dict[str, Any]]) -> None:
    accepted = accept(rows, SCHEMA)
    assert accepted.total == len(rows) == len(accepted.table) + sum(accepted.rejects.values())


@settings(deadline=None)
@given(st.integers(0, 400), st.sampled_from(NAMES))
def test_a_reply_cut_anywhere_loses_no_whole_row(at: int, name: str) -> None:
    order = list(SCHEMA.columns)
    lines = [FORMATS[name].write(row, order) for row in (ROW, OTHER, ROW)]
    text = "\n".join(lines)[:at]
    whole = len(re.findall(r"[\]}]" if name != "csv" else r"\n", text))
    accepted = replied(text, name, cut=True)
    assert len(accepted.table) == whole
    assert set(accepted.rejects) <= {"unreadable"}
    assert accepted.total <= whole + 1


HOSTILE = {
    "open arrays": "[",
    "open objects": "{",
    "nested": '{"a":[',
    "nested members": '{"age":{"age":',
    "closing": "]}",
    "opened and closed out of turn": "[{]}",
    "quotes": '"',
    "escapes": '"\\',
    "escaped quotes": '{"\\"',
    "objects in strings": '{"a": "{',
    "keys": '"age":1,',
    "unclosed object": '{"age":1,"bili":',
    "numbers": "1",
    "minus": "[-",
    "commas": ",",
    "elements": "[1,",
    "line breaks": "\n",
    "spaces": " ",
    "fields": '"a",',
    "open fields": '"a\n',
    "odd quotes": '"""a\n',
    "quoted then not": '"a"b,\n',
    "fences": "```\n",
    "prose": "a, b\n",
    "backslashes": "\\",
    "escaped in objects": '{"\\\\',
}


@each_format
@pytest.mark.parametrize("kind", HOSTILE)
def test_time_is_linear_in_a_hostile_reply(kind: str, name: str) -> None:
    """Ten times what it takes; were it quadratic, it would take a hundred times as much."""
    unit = HOSTILE[kind]
    for start in ("", '{"age": "', '"'):
        text = start + unit * (100_000 // len(unit))
        began = time.process_time()
        FORMATS[name].read(text, SCHEMA.columns)
        assert time.process_time() - began < 3


@each_format
def test_ten_megabytes_are_read_in_seconds(name: str) -> None:
    text = '{"age":[' * (10**7 // 8)
    began = time.process_time()
    FORMATS[name].read(text, SCHEMA.columns)
    assert time.process_time() - began < 15


@each_format
def test_no_more_is_read_of_a_reply_than_a_table_could_fill(name: str) -> None:
    line = FORMATS[name].write(ROW, SCHEMA.columns) + "\n"
    rows = FORMATS[name].read(line * (2 * MOST_CHARACTERS // len(line)), SCHEMA.columns)
    assert len(rows) == MOST_CHARACTERS // len(line) + 1
    assert rows[-1] is Reason.UNREADABLE


def test_a_thousand_wide_rows_are_judged_in_a_fifth_of_a_second() -> None:
    columns = [c.model_copy(update={"name": f"{c.name}{i}"}) for i in range(10) for c in CARD]
    schema = TableSchema(columns=tuple(columns))
    row = {c.name: ROW[c.name.rstrip("0123456789")] for c in columns}
    rows = FORMATS["json"].read("\n".join([FORMATS["json"].write(row, columns)] * 1000), columns)
    took = []
    for _ in range(3):
        began = time.process_time()
        assert len(accept(rows, schema).table) == 1000
        took.append(time.process_time() - began)
    assert min(took) < 0.2
