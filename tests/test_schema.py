"""Schema cards and the three-way split: canonical form, conformity, clinical rules, and who gets which row."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from synthward.benchmarks.dataset import Dataset, DatasetCard, DatasetError, Protocol, Split
from synthward.benchmarks.schema import TableError, TableSchema, label

COLUMNS: dict[str, dict[str, Any]] = {
    "age": {"kind": "integer", "bounds": [0, 120]},
    "lactate": {"kind": "continuous", "bounds": [0, 30], "missing": True},
    "sex": {"kind": "categorical", "codes": {0: "female", 1: "male"}},
    "born": {"kind": "categorical", "codes": {0: "female", 1: "male"}, "missing": True},
    "ward": {"kind": "categorical", "codes": ["ICU", "surgery", "sex"]},
    # As text, I < IV < IX < V and 10 < 8 < 9.
    "stage": {"kind": "ordinal", "codes": ["I", "IV", "V", "IX"], "missing": True},
    "stage_after": {"kind": "ordinal", "codes": ["I", "IV", "V", "IX"], "missing": True},
    "pain": {"kind": "ordinal", "codes": [8, 9, 10]},
}
ROW = {
    "age": 60,
    "lactate": 2.5,
    "sex": "0",
    "born": "0",
    "ward": "ICU",
    "stage": "I",
    "stage_after": "I",
    "pain": "8",
}


def schema_with(*rules: dict[str, Any]) -> TableSchema:
    named = [{"name": f"rule {i}"} | rule for i, rule in enumerate(rules)]
    return DatasetCard.parse({"name": "ward", "columns": COLUMNS, "rules": named}).schema_


def rows(n: int, **columns: Any) -> pd.DataFrame:
    return schema_with().canonical(pd.DataFrame([ROW] * n).assign(**columns))


def holds(rule: dict[str, Any], **columns: Any) -> list[bool]:
    """Whether each row satisfies a rule; the rows differ in the given columns only."""
    schema = schema_with(rule)
    return schema.rules[0].satisfied(rows(len(next(iter(columns.values()))), **columns), schema).tolist()


# ------------------------------------------------------------------------------------------ canonical form


@pytest.mark.parametrize(
    ("value", "text"),
    [("1", "1"), (1, "1"), (1.0, "1"), (True, "1"), (False, "0"), (0.5, "0.5"), (-0.0, "0"), ("1.0", "1.0"), ("", "")],
)
def test_a_label_is_the_same_however_the_code_is_typed(value: object, text: str) -> None:
    assert label(value) == text


@settings(deadline=None)
@given(st.integers(-(2**53), 2**53))
def test_integers_floats_and_texts_are_the_same_code(number: int) -> None:
    assert label(number) == label(float(number)) == label(str(number))


def test_canonical_orders_columns_and_types_values() -> None:
    schema = schema_with()
    table = pd.DataFrame(
        {
            "pain": [10, 9.0],
            "stage_after": pd.Categorical(["IX", None]),
            "stage": ["I", np.nan],
            "ward": ["ICU", "surgery"],
            "born": pd.array([1, None], dtype="Int64"),
            "sex": [True, False],
            "lactate": ["2.5", None],
            "age": [60, 61],
        },
        index=[7, 7],
    )
    found = schema.canonical(table)
    assert tuple(found.columns) == schema.names
    assert found.index.tolist() == [0, 1]
    assert {str(found[c].dtype) for c in schema.numeric} == {"float64"}
    assert {str(found[c].dtype) for c in schema.categorical} == {"object"}
    assert found["lactate"].isna().tolist() == [False, True]
    codes = found[list(schema.categorical)].to_numpy().tolist()
    assert codes == [["1", "1", "ICU", "I", "IX", "10"], ["0", None, "surgery", None, None, "9"]]
    assert table["sex"].tolist() == [True, False], "the caller's table was changed"


cells = {
    "age": st.none() | st.integers(-5, 200),
    "lactate": st.none() | st.floats(allow_nan=False, width=32),
    "sex": st.sampled_from([0, 1, 1.0, True, "1", None, "unheard of"]),
    "stage": st.sampled_from(["I", "IX", None]),
}


@settings(deadline=None)
@given(st.lists(st.fixed_dictionaries(cells), min_size=1, max_size=12), st.randoms(use_true_random=False))
def test_canonical_keeps_every_value_and_is_idempotent(drawn: list[dict[str, Any]], random: Any) -> None:
    """Values that do not conform are kept too: it is for `conform` to count them."""
    schema = schema_with()
    table = pd.DataFrame([ROW | row for row in drawn], dtype=object)
    found = schema.canonical(table[random.sample(list(table), k=len(COLUMNS))])
    for name in ("age", "lactate"):
        wanted = [np.nan if row[name] is None else float(row[name]) for row in drawn]
        np.testing.assert_array_equal(found[name], wanted)
    for name in ("sex", "stage"):
        assert found[name].tolist() == [None if row[name] is None else label(row[name]) for row in drawn]
    pd.testing.assert_frame_equal(schema.canonical(found), found)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.drop(columns="age"), "the table lacks age"),
        (lambda t: t.assign(id=1), "the table has unknown id"),
        (lambda t: t.drop(columns="age").assign(id=1), "the table lacks age and has unknown id"),
        (lambda t: pd.concat([t, t[["age"]]], axis=1), "duplicated column names: age"),
        (lambda t: t.assign(age="old"), "column 'age' is integer but holds values that are no numbers"),
    ],
)
def test_canonical_refuses_a_table_of_another_shape(change: Any, message: str) -> None:
    with pytest.raises(TableError) as caught:
        schema_with().canonical(change(rows(2)))
    assert str(caught.value) == message


# ------------------------------------------------------------------------------------------ conformity


def test_conform_counts_every_fault_and_a_row_with_two_under_both() -> None:
    table = rows(
        10,
        age=[60, 60.5, 120, 121, -1, None, 0, 60, 60, 200],
        lactate=[None, 0, 30, 2, 2, 2, 2, 30.1, 2, -1],
        sex=["0", "1", "0", "1", "0", "1", "0", "1", "2", "9"],
        born=[None, "1", "0", "1", "0", "1", "0", "1", "2", "0"],
    )
    found = schema_with({"name": "as born", "left": "sex", "op": "==", "right": "born"}).conform(table)
    assert found.valid.tolist() == [True, False, True, False, False, False, True, False, False, False]
    assert found.reasons == {
        "age: missing": 1,
        "age: not an integer": 1,
        "age: out of bounds": 3,
        "lactate: out of bounds": 2,
        "sex: unknown code": 2,
        "born: unknown code": 1,
        "rule as born": 1,
    }


def test_rows_of_a_table_without_faults_are_all_valid() -> None:
    found = schema_with().conform(rows(3))
    assert found.valid.tolist() == [True, True, True]
    assert found.reasons == {}


# ------------------------------------------------------------------------------------------ rules


@pytest.mark.parametrize("right", [0, 0.0, "0", False])
def test_a_rule_means_the_code_however_the_card_types_it(right: object) -> None:
    rule = {"left": "sex", "op": "==", "right": right}
    assert schema_with(rule).rules[0].right == "0"
    assert holds(rule, sex=[0, 1, "0", "1"]) == [True, False, True, False]
    assert holds(rule | {"op": "!="}, sex=[0, 1, "0", "1"]) == [False, True, False, True]
    assert schema_with(rule) == TableSchema.model_validate_json(schema_with(rule).model_dump_json())


@pytest.mark.parametrize(
    ("op", "right", "expected"),
    [
        ("<", "V", [True, True, False, False]),
        ("<=", "V", [True, True, True, False]),
        (">", "IV", [False, False, True, True]),
        (">=", "IX", [False, False, False, True]),
        ("==", "IX", [False, False, False, True]),
    ],
)
def test_ordinal_codes_compare_in_the_order_of_the_card(op: str, right: str, expected: list[bool]) -> None:
    rule = {"left": "stage", "op": op, "right": right}
    assert holds(rule, stage=["I", "IV", "V", "IX"]) == expected
    assert holds({"left": "pain", "op": "<", "right": 10}, pain=[8, 9, 10]) == [True, True, False]


OPERATORS = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}
codes = st.lists(st.text("IVX019", min_size=1, max_size=3), unique=True, min_size=2, max_size=6)


@settings(deadline=None)
@given(codes, st.sampled_from(sorted(OPERATORS)), st.data())
def test_ordinal_columns_compare_by_the_positions_of_their_codes(order: list[str], op: str, data: Any) -> None:
    columns = {c: {"kind": "ordinal", "codes": order, "missing": True} for c in ("before", "after")}
    rule = {"name": "course", "left": "before", "op": op, "right": "after"}
    schema = DatasetCard.parse({"name": "course", "columns": columns, "rules": [rule]}).schema_
    pairs = data.draw(st.lists(st.tuples(*[st.sampled_from([*order, None])] * 2), min_size=1, max_size=8))
    table = schema.canonical(pd.DataFrame(pairs, columns=["before", "after"], dtype=object))
    expected = [
        None in pair or bool(OPERATORS[op](order.index(str(pair[0])), order.index(str(pair[1])))) for pair in pairs
    ]
    assert schema.rules[0].satisfied(table, schema).tolist() == expected


def test_a_row_that_lacks_a_value_satisfies_and_one_with_an_unknown_code_does_not() -> None:
    for op in ("<", ">=", "=="):
        assert holds({"left": "stage", "op": op, "right": "I"}, stage=[None, "unheard of"]) == [True, False]
        assert holds({"left": "stage", "op": op, "right": "stage_after"}, stage_after=[None, "unheard of"]) == [
            True,
            False,
        ]
    assert holds({"left": "lactate", "op": "<", "right": "age"}, lactate=[None, 61, 59]) == [True, False, True]


def test_a_rule_holds_for_the_rows_with_its_codes() -> None:
    rule = {"left": "age", "op": ">=", "right": 18, "when": {"sex": 1, "ward": "surgery"}}
    sex, ward = [1, 1, 0, 1], ["surgery", "ICU", "surgery", "surgery"]
    assert holds(rule, age=[17, 17, 17, 18], sex=sex, ward=ward) == [False, True, True, True]


@pytest.mark.parametrize(
    ("left", "op", "right", "message"),
    [
        ("sex", "==", 2, "'2' is neither a column nor a code of 'sex' (0, 1)"),
        ("sex", "==", "male", "'male' is neither a column nor a code of 'sex' (0, 1)"),
        ("stage", "<", "VI", "'VI' is neither a column nor a code of 'stage' (I, IV, V, IX)"),
        ("sex", "<", 1, "'sex' is categorical, not ordinal: its codes have no order for '<'"),
        ("sex", ">=", "born", "'sex' is categorical, not ordinal: its codes have no order for '>='"),
        ("stage", "<", "sex", "'sex' is categorical, not ordinal: its codes have no order for '<'"),
        ("stage", "<", "pain", "'stage' and 'pain' do not have the same codes in the same order for '<'"),
        ("sex", "==", "stage", "'sex' and 'stage' have no code in common"),
        ("sex", "==", "age", "'age' holds numbers and 'sex' codes: they cannot be compared"),
        ("age", "<", "pain", "'age' holds numbers and 'pain' codes: they cannot be compared"),
        ("age", "<", "old", "'old' is neither a column nor a number"),
        ("age", "<", "65", "'65' is neither a column nor a number"),
        ("ward", "==", "sex", "'sex' is both a column and a code of 'ward': rename the column"),
        ("height", "<", 3, "not a column of the table: height"),
    ],
)
def test_a_rule_that_cannot_compare_is_refused_with_the_card(left: str, op: str, right: object, message: str) -> None:
    with pytest.raises(DatasetError) as caught:
        schema_with({"left": left, "op": op, "right": right})
    assert str(caught.value) == f"the card of dataset 'ward' is wrong at rules: rule 'rule 0': {message}"


@pytest.mark.parametrize(
    ("when", "message"),
    [
        ({"sex": 2}, "when: '2' is no code of 'sex'"),
        ({"age": 18}, "when: '18' is no code of 'age'"),
        ({"height": 2}, "not a column of the table: height"),
    ],
)
def test_a_condition_that_no_row_can_meet_is_refused(when: dict[str, int], message: str) -> None:
    with pytest.raises(DatasetError, match=message):
        schema_with({"left": "age", "op": ">", "right": 18, "when": when})


def test_two_rules_of_one_name_are_refused() -> None:
    """Measurements are given by rule: the second would replace the first."""
    rule = {"name": "adult", "left": "age", "op": ">=", "right": 18}
    with pytest.raises(DatasetError, match="two rules are called 'adult'"):
        schema_with(rule, rule | {"right": 16})


# ------------------------------------------------------------------------------------------ split


def patients(classes: list[int]) -> Dataset:
    """Patients who are told apart by a number, with a class each."""
    columns = {
        "number": {"kind": "integer"},
        "outcome": {"kind": "categorical", "codes": [0, 1, 2]},
    }
    card = DatasetCard.parse({"name": "p", "columns": columns, "target": "outcome", "task": "multiclass"})
    table = card.schema_.canonical(pd.DataFrame({"number": range(len(classes)), "outcome": classes}))
    return Dataset(card, table)


def numbers(split: Split) -> list[list[int]]:
    return [part["number"].astype(int).tolist() for part in (split.train, split.control, split.test)]


protocols = st.builds(
    lambda shares, seed, cap: Protocol(
        train=shares[0], control=shares[1], test=shares[2], split_seed=seed, max_rows=cap
    ),
    st.sampled_from([(0.4, 0.4, 0.2), (0.6, 0.2, 0.2), (0.34, 0.33, 0.33), (0.3, 0.3, 0.2)]),
    st.integers(0, 2**31),
    st.none() | st.integers(20, 150),
)


@settings(deadline=None)
@given(
    st.lists(st.sampled_from([0, 0, 0, 1, 1, 2]), min_size=10, max_size=200).map(lambda c: [0, 0, 0, 1, 1, 1, *c]),
    protocols,
)
def test_parts_are_disjoint_of_the_right_size_and_alike(classes: list[int], protocol: Protocol) -> None:
    dataset = patients(classes)
    split = dataset.split(protocol)
    parts = numbers(split)
    n = min(len(classes), protocol.max_rows or len(classes))
    sizes = [len(part) for part in parts]
    assert sizes[:2] == [round(n * protocol.train), round(n * protocol.control)]
    assert sizes[2] == min(round(n * protocol.test), n - sum(sizes[:2]))
    together = [row for part in parts for row in part]
    assert len(set(together)) == len(together)
    for part, frame in zip(parts, (split.train, split.control, split.test), strict=True):
        pd.testing.assert_frame_equal(frame, dataset.table.iloc[part].reset_index(drop=True))
    # How far dealing in turn can be off, in rows: half a row for a part's own place at each end of a class, and as
    # much for each other part's, in proportion. The cap before it adds at most one row of each class.
    dealt = 3 + (sum(sizes) < n)
    cap = len(classes) > n
    for part in parts:
        share = len(part) / n
        off = 1 + share * (dealt - 2) + cap * share
        for code in set(classes):
            wanted = classes.count(code) / len(classes) * len(part)
            assert abs(sum(classes[row] == code for row in part) - wanted) <= off + 1e-9


def test_two_equal_classes_are_shared_out_exactly() -> None:
    split = patients([0, 1] * 50).split(Protocol())
    counted = [part["outcome"].value_counts().to_dict() for part in (split.train, split.control, split.test)]
    assert counted == [{"0": 20, "1": 20}, {"0": 20, "1": 20}, {"0": 10, "1": 10}]


def test_the_cap_keeps_a_rare_class() -> None:
    split = patients([1] * 40 + [0] * 960).split(Protocol(max_rows=100))
    assert [len(part) for part in numbers(split)] == [40, 40, 20]
    rare = sum(int((part["outcome"] == "1").sum()) for part in (split.train, split.control, split.test))
    assert rare == 4


@pytest.mark.parametrize("max_rows", [None, 60])
def test_the_seed_alone_decides_the_split(max_rows: int | None) -> None:
    dataset = patients([0, 0, 1] * 40)
    drawn = [numbers(dataset.split(Protocol(split_seed=seed, max_rows=max_rows))) for seed in range(6)]
    again = [numbers(patients([0, 0, 1] * 40).split(Protocol(split_seed=seed, max_rows=max_rows))) for seed in range(6)]
    assert drawn == again
    assert len({tuple(sorted(split[0])) for split in drawn}) == 6, "two seeds drew the same train rows"
    assert drawn[0][0] != sorted(drawn[0][0]), "the rows of a part stand in the order of the source"


def test_a_table_too_small_for_three_parts_is_refused() -> None:
    with pytest.raises(DatasetError, match="dataset 'p' has 6 rows: too few to split"):
        patients([0, 1] * 3).split(Protocol())
    with pytest.raises(DatasetError, match="hold one class of 'outcome' only"):
        patients([0] * 30).split(Protocol())
