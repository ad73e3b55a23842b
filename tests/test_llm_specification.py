"""Distribution specifications: read as untrusted data, held against the card, sampled; and their generator."""

from __future__ import annotations

import json
import re
from importlib import resources
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from llm_endpoint import Endpoint, says
from llm_rows import group
from synthward.benchmarks.columns import Column
from synthward.benchmarks.dataset import DatasetCard, Split
from synthward.benchmarks.schema import TableSchema
from synthward.generators import TrainView
from synthward.generators.checks import check_generator, specimen
from synthward.generators.llm.copula import sample
from synthward.generators.llm.distribution import MAX_CORRELATIONS, Specification, counted
from synthward.generators.llm.margins import COUNTS, FAMILIES, Shape, fit, lattice
from synthward.generators.llm.specification import LLMSpecification
from synthward.generators.llm.specification_check import validate
from synthward.generators.llm.specification_form import columns_form, columns_tokens, correlations_form
from synthward.generators.llm.specification_reading import (
    MAX_CHARACTERS,
    decode,
    read_columns,
    read_correlations,
    read_specification,
)
from synthward.generators.llm.ties import nearest_correlation, tie
from synthward.generators.summary import associate
from synthward.results.errors import UserError
from test_llm_formats import grammar_regex

NEUROSURGERY = Path(__file__).with_name("neurosurgery_specification.json")
WARD = {
    "age": {"family": "normal", "mean": 62, "sd": 12},
    "creatinine": {"family": "lognormal", "mean": 1.2, "sd": 0.6},
    "albumin": {"family": "beta", "mean": 3.8, "sd": 0.6, "missing": 20},
    "bilirubin": {"family": "gamma", "mean": 1.6, "sd": 1.3, "missing": 20},
    "sex": {"percent": {"f": 50, "m": 50}},
    "ward": {"percent": {"medical": 50, "surgical": 30, "other": 20}, "missing": 20},
    "stage": {"percent": {"1": 20, "2": 40, "3": 30, "4": 10}},
    "died": {"percent": {"0": 70, "1": 30}},
}


@pytest.fixture(scope="module")
def ward():
    return specimen()[0]


def specification(schema, columns, *correlations):
    """A specification that is in order."""
    pairs = [{"a": a, "b": b, "r": r} for a, b, r in correlations]
    parsed, problems = read_specification(json.dumps({"columns": columns, "correlations": pairs}))
    assert parsed is not None, problems
    checked, problems = validate(parsed, schema)
    assert [p for p in problems if not p.repaired] == []
    return checked


def problems_of(schema, columns, *correlations):
    pairs = [{"a": a, "b": b, "r": r} for a, b, r in correlations]
    parsed, problems = read_specification(json.dumps({"columns": columns, "correlations": pairs}))
    return counted(problems if parsed is None else validate(parsed, schema)[1])


# ------------------------------------------------------------------------------------------- families


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(("mean", "sd", "low", "high"), [(12, 6, 0, 100), (4, 2.2, 0, 100), (4, 2.5, 1, 9)])
def test_moments_are_those_of_the_values_however_they_are_cut(family, mean, sd, low, high):
    decimals = 0 if family in COUNTS else None
    if family == "poisson":
        sd = mean**0.5
    found = fit(Shape(family, mean, sd, low, high, decimals))
    u = (np.arange(200_000) + 0.5) / 200_000
    values = found.quantile(u)
    assert (np.diff(values) >= 0).all()
    assert low <= values.min()
    assert values.max() <= high
    off = max(abs(values.mean() - mean), abs(values.std() - sd)) / sd
    assert off == pytest.approx(found.gap, abs=0.15)  # what cannot be reached is said
    if (low, high) == (0, 100):
        assert off < 0.05


def test_nothing_piles_up_where_a_distribution_is_cut():
    values = fit(Shape("normal", 71, 4, 64, 86)).quantile(np.random.default_rng(0).random(50_000))
    assert np.mean(values < 64.2) < 0.03
    assert len(np.unique(values)) > 49_000


def test_a_family_that_cannot_have_the_moments_says_how_far_off_it_is():
    assert fit(Shape("normal", 5, 9, 0, 365)).gap > 0.1
    assert fit(Shape("poisson", 3, 9, 0, 365, 0)).gap > 0.1
    assert fit(Shape("lognormal", 5, 9, 0, 365)).gap < 0.01


@given(st.floats(-1e4, 1e4), st.floats(0, 1e3), st.integers(0, 4))
@example(1.1, 1.2, 1)
@example(0.25000000001, 0.5, 2)
def test_the_ends_of_the_lattice_are_decimal_numbers_inside(low, width, decimals):
    inside = lattice(low, low + width, decimals)
    if inside is None:
        assert width < 10.0**-decimals
        return
    assert all(low <= x <= low + width and x == round(x, decimals) for x in inside)
    step = 10.0**-decimals
    assert inside[0] - low < step * 1.001
    assert low + width - inside[1] < step * 1.001


# ------------------------------------------------------------------------------------------ correlation


def symmetric(values, d):
    matrix = np.eye(d)
    matrix[np.triu_indices(d, 1)] = values[: d * (d - 1) // 2]
    return np.triu(matrix) + np.triu(matrix, 1).T


@settings(deadline=None)
@given(st.integers(1, 7), st.lists(st.floats(-1, 1), min_size=21, max_size=21))
def test_the_nearest_correlation_matrix_is_one_and_leaves_those_that_are(d, values):
    matrix = symmetric(values, d)
    nearest = nearest_correlation(matrix)
    assert np.linalg.eigvalsh(nearest).min() > -1e-9
    assert (np.diag(nearest) == 1).all()
    assert (nearest == nearest.T).all()
    assert (nearest_correlation(nearest) == nearest).all() or np.allclose(
        nearest_correlation(nearest), nearest, atol=1e-7
    )
    if np.linalg.eigvalsh(matrix).min() >= 0:
        assert (nearest == matrix).all()


def test_the_nearest_correlation_matrix_is_higham_s():
    """The example of section 4 of Higham 2002, with the unit diagonal that ours always has."""
    matrix = np.array([[1, -1, 0, 0], [-1, 1, -1, 0], [0, -1, 1, -1], [0, 0, -1, 1]], dtype=float)
    expected = [
        [1, -0.8084, 0.1916, 0.1068],
        [-0.8084, 1, -0.6562, 0.1916],
        [0.1916, -0.6562, 1, -0.8084],
        [0.1068, 0.1916, -0.8084, 1],
    ]
    np.testing.assert_allclose(nearest_correlation(matrix), expected, atol=1e-4)


def test_stated_correlations_are_those_of_the_values(ward):
    stated = {
        ("age", "stage"): 0.5,
        ("age", "died"): 0.4,
        ("stage", "died"): 0.3,
        ("age", "bilirubin"): -0.3,
        ("albumin", "bilirubin"): -0.5,
        ("creatinine", "sex"): 0.25,
    }
    made = specification(ward, WARD, *((a, b, r) for (a, b), r in stated.items()))
    found = {pair: r for pair, (r, _) in associate(sample(made, ward, 100_000, 3)[0], ward).items()}
    assert {pair: found[pair] for pair in stated} == pytest.approx(stated, abs=0.015)
    assert abs(found["age", "sex"]) < 0.015


@settings(deadline=None, max_examples=25)
@given(
    st.sampled_from([n for n in WARD if n != "ward"]),
    st.sampled_from([n for n in WARD if n != "ward"]),
    st.floats(-1, 1),
)
def test_the_sign_of_a_correlation_is_kept(a, b, r):
    assume(a != b and abs(r) > 0.05)
    schema = specimen()[0]
    table, _ = sample(specification(schema, WARD, (a, b, r)), schema, 10_000, 1)
    found = {pair: r for pair, (r, _) in associate(table, schema).items()}
    assert np.sign(found.get((a, b), found.get((b, a)))) == np.sign(r)


def test_a_positive_class_that_is_the_first_code_counts_as_high():
    """As it does in the correlations that the model is told."""
    columns = {"x": {"kind": "continuous", "bounds": [0, 9]}, "dead": {"kind": "categorical", "codes": ["yes", "no"]}}
    schema = TableSchema.model_validate({"columns": columns, "target": "dead", "task": "binary", "positive": "yes"})
    stated = {"x": {"family": "normal", "mean": 4, "sd": 1}, "dead": {"percent": {"yes": 50, "no": 50}}}
    table, _ = sample(specification(schema, stated, ("x", "dead", 0.6)), schema, 5_000, 1)
    means = table.groupby("dead")["x"].mean()
    assert means["yes"] > means["no"] + 1


def test_correlations_that_contradict_each_other_are_repaired_and_said_to_be(ward):
    pairs = [("age", "albumin", 0.9), ("age", "bilirubin", 0.9), ("albumin", "bilirubin", -0.9)]
    found = problems_of(ward, WARD, *pairs)
    assert found["repaired"] == {"correlations contradict each other: the nearest valid ones": 1}
    made = specification(ward, WARD, *pairs)
    assert np.linalg.eigvalsh(tie(made, ward).matrix).min() > -1e-9
    assert len(sample(made, ward, 50, 0)[0]) == 50


# --------------------------------------------------------------------------------------------- sampling


CONTINUOUS = [family for family in FAMILIES if family not in COUNTS]


@st.composite
def specifications(draw):
    """A schema with rules, and what a model might write for it that is in order."""
    columns, stated = {}, {}
    for i in range(draw(st.integers(1, 5))):
        name = f"c{i}"
        kind = draw(st.sampled_from(["continuous", "integer", "categorical", "ordinal"]))
        missing = draw(st.booleans())
        columns[name] = {"kind": kind, "missing": missing}
        stated[name] = {"missing": draw(st.floats(0, 99))} if missing else {}
        if kind in ("continuous", "integer"):
            low, width = draw(st.integers(-50, 50)), draw(st.integers(1, 200))
            if draw(st.booleans()):
                columns[name]["bounds"] = [low, low + width]
            columns[name]["decimals"] = draw(st.sampled_from([None, 0, 2])) if kind == "continuous" else None
            place = draw(st.floats(0.05, 0.95))
            stated[name] |= {
                "family": draw(st.sampled_from(FAMILIES if kind == "integer" else CONTINUOUS)),
                "mean": low + place * width,
                "sd": draw(st.floats(0, 1)) * width * (place * (1 - place)) ** 0.5,
                "zeros": draw(st.sampled_from([0, 0, 30])),
            }
        else:
            codes = list("abcd")[: draw(st.integers(1, 4))]
            columns[name]["codes"] = codes
            stated[name]["percent"] = {code: draw(st.floats(0, 100)) for code in codes}
    rules = []
    numeric = [name for name in columns if columns[name]["kind"] in ("continuous", "integer")]
    if len(numeric) > 1 and draw(st.booleans()):
        rules = [{"name": "order", "left": numeric[0], "op": "<=", "right": numeric[1]}]
    coded = [name for name in columns if name not in numeric]
    if coded and numeric and draw(st.booleans()):
        plain = {k: v for k, v in stated[numeric[0]].items() if k != "missing"}
        code = draw(st.sampled_from(columns[coded[0]]["codes"]))
        stated[numeric[0]]["given"] = {"parent": coded[0], "cases": {code: plain}}
    schema = TableSchema.model_validate({"columns": columns, "rules": rules})
    r = st.floats(-1, 1)
    pairs = [{"a": a, "b": b, "r": draw(r)} for a in columns for b in columns if a < b]
    return schema, {"columns": stated, "correlations": pairs}


@settings(deadline=None, max_examples=50)
@given(specifications(), st.integers(0, 200), st.integers(0, 2**31 - 1))
def test_whatever_is_accepted_samples_rows_that_conform(drawn, n, seed):
    schema, stated = drawn
    parsed, problems = read_specification(json.dumps(stated))
    assert parsed is not None, problems
    checked, problems = validate(parsed, schema)
    assume(all(p.repaired for p in problems))
    table, tally = sample(checked, schema, n, seed)
    assert schema.conform(table).reasons == {}
    pd.testing.assert_frame_equal(table, schema.canonical(table), check_exact=True)
    pd.testing.assert_frame_equal(table, sample(checked, schema, n, seed)[0], check_exact=True)
    assert len(table) == n if not schema.rules else len(table) <= n
    assert {*tally.broken, *tally.imposed} <= {rule.name for rule in schema.rules}
    assert tally.drawn >= len(table)
    # What is published is what was sampled from, to the last digit.
    again, _ = read_specification(checked.model_dump_json())
    assert again == checked


def test_shares_means_and_gaps_converge(ward):
    table, _ = sample(specification(ward, WARD), ward, 100_000, 5)
    for name, stated in WARD.items():
        assert table[name].isna().mean() == pytest.approx(stated.get("missing", 0) / 100, abs=0.006)
        if "percent" in stated:
            shares = 100 * table[name].value_counts(normalize=True)
            assert shares.to_dict() == pytest.approx(stated["percent"], abs=0.6)
        else:
            assert table[name].mean() == pytest.approx(stated["mean"], abs=0.02 * stated["sd"])
            assert table[name].std() == pytest.approx(stated["sd"], rel=0.03)


@pytest.mark.parametrize("kind", ["continuous", "integer"])
def test_zeros_are_so_many_and_count_in_mean_and_sd(kind):
    schema = TableSchema(columns=(Column(name="packs", kind=kind, bounds=(0, 150)),))
    stated = {"packs": {"family": "gamma", "mean": 18, "sd": 19, "zeros": 40}}
    packs = sample(specification(schema, stated), schema, 50_000, 1)[0]["packs"]
    assert (packs == 0).mean() == pytest.approx(0.4, abs=0.01)
    assert packs.mean() == pytest.approx(18, rel=0.02)
    assert packs.std() == pytest.approx(19, rel=0.02)


def test_a_distribution_may_depend_on_the_code_of_another_column(ward):
    case = {"family": "lognormal", "mean": 3.0, "sd": 1.0}
    columns = WARD | {
        "creatinine": WARD["creatinine"] | {"given": {"parent": "died", "cases": {"1": case}}},
        "died": WARD["died"] | {"given": {"parent": "ward", "cases": {"surgical": {"percent": {"0": 10, "1": 90}}}}},
    }
    table, _ = sample(specification(ward, columns), ward, 40_000, 1)
    means = table.groupby("died")["creatinine"].mean()
    assert means.to_dict() == pytest.approx({"0": 1.2, "1": 3.0}, rel=0.03)
    assert (table["died"] == "1")[table["ward"] == "surgical"].mean() == pytest.approx(0.9, abs=0.02)
    assert (table["died"] == "1")[table["ward"] == "medical"].mean() == pytest.approx(0.3, abs=0.02)


LEVELS = {
    "p": {"kind": "categorical", "codes": ["0", "1"]},
    "q": {"kind": "categorical", "codes": ["a", "b", "c"]},
    "x": {"kind": "continuous", "bounds": [-50, 50]},
    "y": {"kind": "continuous", "bounds": [-50, 50]},
}
FLAT = {
    "p": {"percent": {"0": 60, "1": 40}},
    "q": {"percent": {"a": 50, "b": 30, "c": 20}},
    "x": {"family": "normal", "mean": 0, "sd": 1},
    "y": {"family": "normal", "mean": 0, "sd": 1},
}


def depends(name, parent, **means):
    """A column whose mean depends on another's code."""
    cases = {code: {"family": "normal", "mean": mean, "sd": 1} for code, mean in means.items()}
    return {name: FLAT[name] | {"given": {"parent": parent, "cases": cases}}}


@pytest.mark.parametrize(
    ("columns", "stated"),
    [
        (depends("x", "p", **{"1": 1.5}), {("x", "y"): 0.6}),
        (depends("x", "p", **{"1": 1.5}) | depends("y", "p", **{"1": -1}), {("x", "y"): 0.3}),
        (depends("x", "p", **{"1": 1.5}), {("p", "y"): 0.4, ("x", "y"): 0.5}),
        (depends("x", "q", b=1, c=-1), {("x", "y"): -0.5, ("y", "q=b"): 0.3}),
        (depends("x", "q", b=1, c=-1) | depends("q", "p") | {"q": FLAT["q"] | {
            "given": {"parent": "p", "cases": {"1": {"percent": {"a": 10, "b": 80, "c": 10}}}}}},
            {("x", "y"): 0.4, ("p", "y"): 0.3}),
    ],
    ids=["one depends", "both depend", "parent is correlated", "on a code", "in two generations"],
)  # fmt: skip
def test_correlations_are_over_all_rows_where_columns_depend_on_others(columns, stated):
    schema = TableSchema.model_validate({"columns": LEVELS})
    made = specification(schema, FLAT | columns, *((a, b, r) for (a, b), r in stated.items()))
    assert tie(made, schema).problems == []
    table, _ = sample(made, schema, 100_000, 1)
    found = {frozenset(pair): r for pair, (r, _) in associate(table, schema).items()}
    assert {pair: found[frozenset(pair)] for pair in stated} == pytest.approx(stated, abs=0.03)
    means = table.groupby("p")["x"].mean()
    if columns.keys() == {"x"} and columns["x"]["given"]["parent"] == "p":
        assert means.to_dict() == pytest.approx({"0": 0, "1": 1.5}, abs=0.03)  # cases stay what they are


def test_a_correlation_beyond_what_cases_leave_is_said_to_be():
    schema = TableSchema.model_validate({"columns": LEVELS})
    made = specification(schema, FLAT | depends("x", "p", **{"1": 9}), ("x", "y", 0.6))
    assert [p.reason for p in tie(made, schema).problems] == [TOO_STRONG]


@pytest.mark.parametrize("order", [1, -1], ids=["in one order", "in two"])
def test_classes_without_an_order_differ_as_stated(order):
    """A class of share p has the mean m + r * sd * sqrt((1 - p) / p) if its indicator is correlated by r."""
    card = {
        "copper": {"kind": "continuous", "bounds": [0, 2000]},
        "bili": {"kind": "continuous", "bounds": [0.1, 50]},
        "edema": {"kind": "ordinal", "codes": ["0", "0.5", "1"]},
        "sex": {"kind": "categorical", "codes": ["m", "f"]},
        "status": {"kind": "categorical", "codes": ["0", "1", "2"]},
    }
    schema = TableSchema.model_validate({"columns": card, "target": "status", "task": "multiclass"})
    columns = {
        "copper": {"family": "lognormal", "mean": 98, "sd": 85},
        "bili": {"family": "gamma", "mean": 3.2, "sd": 4.4},
        "edema": {"percent": {"0": 85, "0.5": 10, "1": 5}},
        "sex": {"percent": {"m": 10, "f": 90}},
        "status": {"percent": {"0": 55.5, "1": 6, "2": 38.5}},
    }
    pair = ("status=0", "copper")[::order]
    stated = [
        *[("status=2", "copper", 0.4), (*pair, -0.38)],
        *[("bili", "status=2", 0.39), ("status=0", "bili", -0.41)],
        *[("edema", "status=2", 0.3), ("sex", "status=1", -0.15), ("copper", "bili", 0.45)],
    ]
    made = specification(schema, columns, *stated)
    assert tie(made, schema).problems == []
    table, _ = sample(made, schema, 100_000, 1)
    found = {frozenset(pair): r for pair, (r, _) in associate(table, schema).items()}
    for a, b, r in stated:
        assert found[frozenset((a, b))] == pytest.approx(r, abs=0.03), (a, b)
    shares = 100 * table["status"].value_counts(normalize=True)
    assert shares.to_dict() == pytest.approx(columns["status"]["percent"], abs=0.6)
    means = table.groupby("status")["copper"].mean()
    assert means["2"] == pytest.approx(98 + 0.4 * 85 * (61.5 / 38.5) ** 0.5, abs=4)
    assert means["0"] == pytest.approx(98 - 0.38 * 85 * (44.5 / 55.5) ** 0.5, abs=4)


def test_codes_without_an_order_go_together_as_stated():
    columns = {
        "group": {"kind": "categorical", "codes": list("abcd")},
        "class": {"kind": "categorical", "codes": list("xyz")},
    }
    schema = TableSchema.model_validate({"columns": columns})
    shares = {"group": {"percent": dict.fromkeys("abcd", 25)}, "class": {"percent": {"x": 40, "y": 40, "z": 20}}}
    stated = {("group=a", "class=x"): 0.35, ("group=b", "class=y"): 0.2, ("group=c", "class=z"): 0.3}
    table, _ = sample(specification(schema, shares, *((a, b, r) for (a, b), r in stated.items())), schema, 50_000, 1)
    found = {pair: r for pair, (r, _) in associate(table, schema).items()}
    assert {pair: found[pair] for pair in stated} == pytest.approx(stated, abs=0.03)


def test_correlations_that_leave_out_a_pair_do_not_contradict_each_other():
    """Of a and b, b and c at .8, that of a and c cannot be 0: it is what it has to be."""
    schema = TableSchema.model_validate({"columns": dict.fromkeys("abc", LEVELS["x"])})
    made = specification(schema, dict.fromkeys("abc", FLAT["x"]), ("a", "b", 0.8), ("b", "c", 0.8))
    assert tie(made, schema).problems == []
    found = sample(made, schema, 50_000, 1)[0].corr()
    assert found.loc["a", "b"] == pytest.approx(0.8, abs=0.01)
    assert found.loc["b", "c"] == pytest.approx(0.8, abs=0.01)
    assert 0.27 < found.loc["a", "c"] < 0.35


@pytest.mark.parametrize(("name", "r"), [("sex", 0.3), ("sex=m", 0.3), ('sex="m"', 0.3), ("sex=f", -0.3)])
def test_one_of_two_codes_means_its_column(name, r, ward):
    made = specification(ward, WARD, ("age", name, 0.3))
    assert [pair.model_dump() for pair in made.correlations] == [{"a": "age", "b": "sex", "r": r}]


# ------------------------------------------------------------------------------------------------- rules

SMOKING = {
    "columns": {
        "smoking": {"kind": "categorical", "codes": ["never", "former", "current"]},
        "packs": {"kind": "continuous", "bounds": [0, 150]},
        "smoker": {"kind": "categorical", "codes": ["no", "yes"]},
        "ever": {"kind": "categorical", "codes": ["no", "yes"]},
        "children": {"kind": "integer", "bounds": [0, 20]},
        "sons": {"kind": "integer", "bounds": [0, 5]},
    },
    "rules": [
        {"name": "ever", "left": "ever", "op": "==", "right": "smoker", "when": {"smoker": "yes"}},
        {"name": "smokers", "left": "smoker", "op": "==", "right": "yes", "when": {"smoking": "current"}},
        {"name": "packs", "left": "packs", "op": "==", "right": 0, "when": {"smoking": "never"}},
        {"name": "sons only", "left": "sons", "op": "==", "right": "children", "when": {"ever": "no"}},
        {"name": "sons", "left": "sons", "op": "<=", "right": "children"},
    ],
}


def test_what_a_rule_says_that_a_value_is_is_put_in_and_no_group_of_rows_disappears():
    schema = TableSchema.model_validate(SMOKING)
    columns = {
        "smoking": {"percent": {"never": 18, "former": 50, "current": 32}},
        "packs": {"family": "gamma", "mean": 22, "sd": 19},
        "smoker": {"percent": {"no": 90, "yes": 10}},
        "ever": {"percent": {"no": 10, "yes": 90}},
        "children": {"family": "poisson", "mean": 2, "sd": 1.4},
        "sons": {"family": "poisson", "mean": 0.5, "sd": 0.7},
    }
    table, tally = sample(specification(schema, columns), schema, 20_000, 1)
    assert len(table) == 20_000
    assert schema.conform(table).reasons == {}
    assert (table["smoking"] == "never").mean() == pytest.approx(0.18, abs=0.01)
    assert set(tally.imposed) == {"packs", "smokers", "ever", "sons only"}
    assert tally.imposed["packs"] == pytest.approx(0.18 * tally.drawn, rel=0.05)
    # More than 5 children, which the other column cannot hold, and more sons than children.
    assert 0 < sum(tally.broken.values()) < 0.15 * tally.drawn
    assert tally.drawn > 20_000


def test_rows_that_break_a_rule_are_drawn_anew_and_counted():
    columns = {"dbp": {"kind": "integer", "bounds": [20, 200]}, "sbp": {"kind": "integer", "bounds": [20, 300]}}
    rules = [{"name": "diastolic below systolic", "left": "dbp", "op": "<", "right": "sbp"}]
    schema = TableSchema.model_validate({"columns": columns, "rules": rules})
    stated = {"dbp": {"family": "normal", "mean": 85, "sd": 20}, "sbp": {"family": "normal", "mean": 85, "sd": 20}}
    table, tally = sample(specification(schema, stated), schema, 3_000, 1)
    assert len(table) == 3_000
    assert schema.conform(table).reasons == {}
    assert tally.broken["diastolic below systolic"] > 1_000
    assert tally.drawn >= 3_000 + tally.broken["diastolic below systolic"]
    hopeless = {"dbp": {"family": "normal", "mean": 190, "sd": 0}, "sbp": {"family": "normal", "mean": 30, "sd": 0}}
    table, tally = sample(specification(schema, hopeless), schema, 100, 1)
    assert len(table) == 0
    assert 0 < tally.broken["diastolic below systolic"] == tally.drawn < 100_000  # it ends


# ------------------------------------------------------------------- the specification behind the published tables


@pytest.fixture(scope="module")
def neurosurgery():
    card = yaml.safe_load((resources.files("synthward.conf") / "dataset/neurosurgery.yaml").read_text())
    schema = DatasetCard.parse(card).schema_
    parsed, _ = read_specification(NEUROSURGERY.read_text())
    checked, problems = validate(parsed, schema)
    assert problems == []
    return checked, schema


# The columns whose real marginals are known; Complications is none of them, and stands in the file as even.
LISTED = ("Sex", "Histology", "MCS", "ASA", "Heart Disease", "Diabetes", "Prev Brain Radiotherapy", "KPS Deterioration")


def total_variation_complement(table, checked):
    scores = []
    for name in LISTED:
        percent = checked.columns[name].percent
        shares = table[name].value_counts(normalize=True).reindex(list(percent), fill_value=0)
        scores.append(1 - 0.5 * float(np.abs(shares - np.array(list(percent.values())) / 100).sum()))
    return float(np.mean(scores))


@pytest.mark.parametrize(("rows", "published", "tables"), [(139, 0.960, 60), (1_390, 0.986, 30)])
def test_samples_are_as_near_to_the_real_marginals_as_the_published_tables(rows, published, tables, neurosurgery):
    """TVComplement, mean of the eight columns: the ten published tables of 139 rows have .960, that of 1,390 rows .986.

    The ten share random streams, so that they say little more than one: theirs must lie where a table of ours may.
    Ours must lie where plain multinomial sampling of the marginals does.
    """
    checked, schema = neurosurgery
    scores = [total_variation_complement(sample(checked, schema, rows, seed)[0], checked) for seed in range(tables)]
    assert abs(published - np.mean(scores)) < 2 * np.std(scores)
    rng = np.random.default_rng(0)
    shares = [np.array(list(checked.columns[name].percent.values())) / 100 for name in LISTED]
    plain = [
        np.mean([1 - 0.5 * np.abs(rng.multinomial(rows, p / p.sum()) / rows - p).sum() for p in shares])
        for _ in range(500)
    ]
    assert np.mean(scores) == pytest.approx(np.mean(plain), abs=3 * np.std(plain) / tables**0.5)
    assert np.std(scores) == pytest.approx(np.std(plain), rel=0.4)


def test_samples_have_the_moments_of_the_published_program(neurosurgery):
    """Which clips normal variables: its log Age is normal(4.26, .06) in [4.17, 4.45], and so on."""
    rng = np.random.default_rng(0)
    program = {
        "Age": np.exp(np.clip(rng.normal(4.26, 0.06, 200_000), 4.17, 4.45)),
        "LOS": np.exp(np.clip(rng.normal(1.76, 0.56, 200_000), 0, 3.47)),
        "BMI": np.clip(rng.normal(26.2, 4.12, 200_000), 17.72, 40),
    }
    table, _ = sample(*neurosurgery, 50_000, 1)
    for name, theirs in program.items():
        ours = table[name]
        assert ours.mean() == pytest.approx(theirs.mean(), abs=0.12 * theirs.std()), name
        assert ours.std() == pytest.approx(theirs.std(), rel=0.06), name
        assert ours.min() >= theirs.min() - 1e-3
        assert ours.max() <= theirs.max() + 1e-3
        assert (ours == ours.min()).sum() == 1, "clipping would pile up mass at the bound"
    small = [sample(*neurosurgery, 139, seed)[0]["BMI"].mean() for seed in range(200)]
    assert np.std(small) == pytest.approx(4.05 / 139**0.5, rel=0.25)  # tables of different seeds are independent


# ------------------------------------------------------------------------------------- what is amiss


def with_age(**changes):
    return WARD | {"age": WARD["age"] | changes}


def without(name):
    return {k: v for k, v in WARD.items() if k != name}


NOT_NUMBERS = "not a distribution of numbers, which its kind asks for"
TOO_STRONG = "correlation stronger than the two distributions allow"
CONSTANT = "correlation of a constant column"
PARENT = "correlation of a column with its parent"
NO_ZEROS = "extra zeros where the card or the range has none, or among negative values"
CASE_OF_CODES = {"parent": "sex", "cases": {"f": {"percent": {"f": 1}}}}
REFUSED = [
    (without("sex"), "not specified"),
    (WARD | {"sex": WARD["age"]}, "not percentages of codes, which its kind asks for"),
    (WARD | {"age": WARD["sex"]}, NOT_NUMBERS),
    (with_age(mean=150), "mean outside the range"),
    (with_age(min=70), "mean outside the range"),
    (with_age(min=80, max=60), "empty range"),
    (with_age(min=62.1, max=62.9, mean=62.5, sd=0.1), "no value with so many decimals within the range"),
    (with_age(sd=60), "standard deviation larger than the range allows"),
    (WARD | {"sex": {"percent": {"f": 0, "m": 0}}}, "no percentage above zero"),
    (WARD | {"creatinine": WARD["creatinine"] | {"zeros": 5}}, NO_ZEROS),
    (WARD | {"albumin": WARD["albumin"] | {"missing": 100}}, "missing in every row"),
    (WARD | {"albumin": {"family": "poisson", "mean": 3, "sd": 1}}, "counts for a column that holds no whole numbers"),
    (with_age(given={"parent": "creatinine", "cases": {}}), "depends on what is no other column with codes"),
    (with_age(given={"parent": "weight", "cases": {}}), "depends on what is no other column with codes"),
    (with_age(given=CASE_OF_CODES), NOT_NUMBERS),
]
REPAIRED = [
    (WARD | {"weight": WARD["age"]}, (), "unknown column"),
    (WARD | {"sex": {"percent": {"f": 50, "m": 50, "x": 1}}}, (), "unknown code"),
    (WARD | {"sex": {"percent": {"f": 100}}}, (), "code without a percentage: zero"),
    (WARD | {"sex": {"percent": {"f": 0.5, "m": 0.5}}}, (), "percentages that do not sum to 100"),
    (with_age(sd=0), (), "standard deviation of zero: a constant"),
    (with_age(min=0), (), "range wider than the card's bounds"),
    (with_age(decimals=2), (), "more decimals than the card"),
    (with_age(missing=5), (), "missing values where the card has none"),
    (with_age(family="poisson", sd=20), (), "mean and standard deviation beyond the family's reach within the range"),
    (
        with_age(family="negative_binomial", sd=2, mean=60),
        (),
        "negative binomial without more variance than mean: Poisson",
    ),
    (with_age(given={"parent": "sex", "cases": {"x": WARD["age"]}}), (), "unknown code of the parent"),
    (WARD, (("age", "age", 1.0),), "correlation of a column with itself"),
    (WARD, (("age", "weight", 0.1),), "correlation of an unknown column"),
    (WARD, (("age", "ward", 0.1),), "correlation of a column whose codes have no order"),
    (WARD, (("age", "sex", 0.1), ("sex", "age", 0.1)), "correlation stated twice"),
    (with_age(sd=0), (("age", "sex", 0.1),), CONSTANT),
    (WARD, (("sex", "died", 0.99),), TOO_STRONG),
    (WARD, (("ward=other", "age", 0.99),), TOO_STRONG),
    (WARD, (("age", "stage=4", 0.1),), "correlation of an unknown column"),
    (WARD, (("ward=other", "ward=medical", 0.1),), "correlation of a column with itself"),
    (WARD | {"ward": {"percent": {"medical": 100}}}, (("age", "ward=other", 0.1),), CONSTANT),
    (with_age(given={"parent": "ward", "cases": {}}), (("ward=other", "age", 0.1),), PARENT),
    (with_age(given={"parent": "sex", "cases": {}}), (("age", "sex", 0.1),), PARENT),
]


@pytest.mark.parametrize(("columns", "reason"), REFUSED, ids=[reason for _, reason in REFUSED])
def test_what_cannot_be_is_refused(columns, reason, ward):
    found = problems_of(ward, columns)
    assert found["refused"] == {reason: 1}


@pytest.mark.parametrize(("columns", "pairs", "reason"), REPAIRED, ids=[reason for *_, reason in REPAIRED])
def test_what_leaves_no_doubt_is_repaired_and_counted(columns, pairs, reason, ward):
    found = problems_of(ward, columns, *pairs)
    assert found["refused"] == {}
    assert found["repaired"][reason] == 1
    table, _ = sample(specification(ward, columns, *pairs), ward, 50, 1)
    assert ward.conform(table).reasons == {}


def test_a_cycle_of_parents_is_refused(ward):
    halves = {"percent": {"f": 50, "m": 50}}, {"percent": {"0": 50, "1": 50}}
    columns = WARD | {
        "sex": WARD["sex"] | {"given": {"parent": "died", "cases": {"0": halves[0]}}},
        "died": WARD["died"] | {"given": {"parent": "sex", "cases": {"f": halves[1]}}},
    }
    assert problems_of(ward, columns)["refused"] == {"depends on itself by way of its parents": 2}


HOSTILE = [
    '{"age": {"family": "normal", "mean": NaN, "sd": 1}}',
    '{"age": {"family": "normal", "mean": Infinity, "sd": 1}}',
    '{"age": {"family": "normal", "mean": 1e400, "sd": 1}}',
    '{"age": {"family": "normal", "mean": 60, "sd": 1e308}}',
    '{"age": {"family": "normal", "mean": ' + "9" * 5_000 + ', "sd": 1}}',
    '{"age": {"family": "normal", "mean": ' + "9" * 400 + ', "sd": 1}}',
    '{"age": {"family": "normal", "mean": 60, "sd": -1}}',
    '{"age": {"family": "normal", "mean": "60", "sd": 1}}',
    '{"age": {"family": "normal", "mean": true, "sd": 1}}',
    '{"age": {"family": "normal", "mean": [60], "sd": 1}}',
    '{"age": {"family": "normal", "mean": 60}}',
    '{"age": {"family": "cauchy", "mean": 60, "sd": 1}}',
    '{"age": {"family": "__import__(\'os\').system(\'true\')", "mean": 60, "sd": 1}}',
    '{"age": {"family": "normal", "mean": 60, "sd": 1, "code": "import os"}}',
    '{"age": {"family": "normal", "mean": 60, "sd": 1, "decimals": 400}}',
    '{"age": {"family": "normal", "mean": 60, "sd": 1, "missing": 101}}',
    '{"age": "normal(60, 1)"}',
    '{"age": null}',
    '{"age": {}, "age": {"family": "normal", "mean": 60, "sd": 1}}',
    '{"age": ' + '{"given": ' * 50 + "{}" + "}" * 50 + "}",
    '{"a": ' * 100_00 + "1" + "}" * 100_00,
    "[" * 200_000,
    '{"age": {"family": "normal", "mean": 60, "sd": 1',
    "import numpy as np; np.random.seed(42)",
    "",
    "{" + "x" * MAX_CHARACTERS,
]


@pytest.mark.parametrize("text", HOSTILE, ids=[text[:60] for text in HOSTILE])
def test_hostile_texts_are_refused_with_a_reason(text, ward):
    accepted, problems = read_columns(text, [ward["age"]], ward)
    assert accepted == {}
    assert [p for p in problems if not p.repaired]
    assert all(len(p.reason) < 100 and "import" not in p.reason for p in problems)


NAMES = st.sampled_from([*WARD, "columns", "correlations", "a", "percent", "given", "mean"])
LEAVES = st.none() | st.booleans() | st.floats() | st.text()


@settings(deadline=None)
@given(st.recursive(LEAVES, lambda inner: st.lists(inner) | st.dictionaries(NAMES, inner)))
def test_no_json_breaks_the_reader(value):
    schema = specimen()[0]
    text = json.dumps(value)
    read_specification(text)
    read_columns(text, schema.columns, schema)
    read_correlations(text)
    decode(text)


def test_correlations_are_read_one_by_one():
    good = {"a": "age", "b": "sex", "r": 0.5}
    entries = [good, {**good, "r": 2}, {**good, "r": "0.5"}, {"a": "age"}, 7]
    pairs, problems = read_correlations(f"Here: {json.dumps({'correlations': entries})} as you asked.")
    assert [p.model_dump() for p in pairs] == [good]
    assert len(problems) == 4
    assert read_correlations('{"correlations": 1}')[0] is None
    assert read_correlations(json.dumps({"correlations": [good] * (MAX_CORRELATIONS + 1)}))[0] is None


# ------------------------------------------------------------------------------------------------ forms


def filled(schema, pick):
    """A value that a JSON schema allows: numbers at their ``pick`` (minimum or maximum), the first of a choice."""
    if schema["type"] == "object":
        assert schema["additionalProperties"] is False, "OpenAI's strict mode asks for it"
        assert schema["required"] == list(schema["properties"])
        return {name: filled(inner, pick) for name, inner in schema["properties"].items()}
    if schema["type"] == "array":
        return [filled(schema["items"], pick)]
    return schema["enum"][0] if "enum" in schema else (schema["minimum"] + schema["maximum"]) * pick


@pytest.mark.parametrize("ranges", [False, True])
def test_what_fits_the_form_of_columns_can_be_read(ward, ranges):
    form = columns_form(ward.columns, True, ranges)
    value = filled(form.json_schema, 0.5)
    for name in ward.numeric:
        value[name]["sd"] = 0.1 * value[name]["mean"]
        if ranges:
            value[name] |= {"min": ward[name].bounds[0], "max": ward[name].bounds[1]}
    accepted, problems = read_columns(json.dumps(value), ward.columns, ward)
    assert set(accepted) == set(ward.names), problems


@pytest.mark.parametrize("ranges", [False, True])
def test_grammar_holds_names_codes_families_and_bounds(ward, ranges):
    pattern = grammar_regex(columns_form(ward.columns, True, ranges).grammar)
    low, high = ('"min": 20, "max": 90, ', '"min": 0.30, "max": 9.00, ') if ranges else ("", "")
    tenth = '"min": 1.5, "max": 5.5, ' if ranges else ""
    text = (
        f'{{"age": {{"family": "normal", {low}"mean": 62.5, "sd": 12}}, '
        f'"creatinine": {{"family": "lognormal", {high}"mean": 1.2, "sd": 0.6}}, '
        f'"albumin": {{"family": "beta", {tenth}"mean": 3.8, "sd": 0.6, "missing": 20}}, '
        f'"bilirubin": {{"family": "gamma", {tenth}"mean": 1.6, "sd": 1.3, "missing": 20.5}}, '
        '"sex": {"percent": {"f": 50, "m": 50}}, '
        '"ward": {"percent": {"medical": 50, "surgical": 30, "other": 20}, "missing": 20}, '
        '"stage": {"percent": {"1": 20, "2": 40, "3": 30, "4": 10}}, "died": {"percent": {"0": 70, "1": 30}}}'
    )
    assert pattern.fullmatch(text)
    assert len(text) / 3 < columns_tokens(ward.columns), "no reply may be cut off"
    for right, wrong in (
        ('"age"', '"years"'),
        ('"normal"', '"cauchy"'),
        ('"normal"', '"Normal"'),
        ("62.5", "620.5"),
        ("62.5", "1e2"),
        ("62.5", '"62.5"'),
        ('"f": 50', '"f": 500'),
        ('"f": 50', '"x": 50'),
        ('"beta"', '"poisson"'),
    ):
        assert right in text
        assert not pattern.fullmatch(text.replace(right, wrong, 1)), (right, wrong)


def test_grammar_of_correlations():
    form = correlations_form([["age"], ["ward=1", "ward=2"], ['a "b"']], 2)
    pattern = grammar_regex(form.grammar)
    pair = '{"a": "age", "b": "ward=2", "r": -0.50}'
    assert pattern.fullmatch(f'{{"correlations": [{pair}]}}')
    assert pattern.fullmatch(f'{{"correlations": [{pair}, {pair}]}}')
    assert pattern.fullmatch('{"correlations": []}')
    assert pattern.fullmatch('{"correlations": [{"a": "ward=1", "b": "a \\"b\\"", "r": 1.00}]}')
    assert pattern.fullmatch('{"correlations": [{"a": "age", "b": "a \\"b\\"", "r": 1.00}]}')
    assert not pattern.fullmatch(f'{{"correlations": [{pair}, {pair}, {pair}]}}')
    for a, b, r in (
        ("age", "weight", "0.50"),
        ("age", "age", "0.50"),
        ("ward=1", "ward=2", "0.50"),
        ("ward=1", "age", "0.50"),
        ("age", "ward=1", "1.50"),
    ):
        assert not pattern.fullmatch(f'{{"correlations": [{{"a": "{a}", "b": "{b}", "r": {r}}}]}}')
    value = filled(form.json_schema, 0.5)
    assert read_correlations(json.dumps(value))[0] is not None


# -------------------------------------------------------------------------------------------- the generator

PAIRS = {"correlations": [{"a": "age", "b": "died", "r": 0.4}]}


def answers(columns=WARD, pairs=PAIRS):
    """An endpoint that gives of the columns those that the prompt asks for, or the correlations."""

    def answer(body, choice):
        prompt = body["messages"][-1]["content"]
        if '"correlations"' in prompt:
            return f"```json\n{json.dumps(pairs)}\n```"
        return json.dumps({name: stated for name, stated in columns.items() if f"- {name}: " in prompt})

    return answer


def view(generator, **more):
    schema, split = specimen()
    facts = {"name": "wards", "title": "Ward admissions", "description": "Adults on a ward.", "sharing": "public"}
    return TrainView(schema, split, generator.access, DatasetCard(**facts | more, schema_=schema))


WITHOUT_GAPS = {name: {k: v for k, v in stated.items() if k != "missing"} for name, stated in WARD.items()}


@pytest.mark.parametrize(("access", "columns"), [("description", WITHOUT_GAPS), ("statistics", WARD)])
def test_contract(access, columns):
    with Endpoint(answers(columns)) as endpoint:
        verdicts = list(check_generator(lambda: LLMSpecification(group(endpoint), access), *specimen()))
    assert [f"{v.name}: {v.message}" for v in verdicts if not v.passed] == []


def test_any_number_of_rows_comes_from_two_calls_and_the_record_holds_the_model(ward):
    with Endpoint(answers()) as endpoint:
        generator = LLMSpecification(group(endpoint))
        plan = generator.estimate(view(generator), 10_000)
        generator.fit(view(generator), 1)
        assert endpoint.bodies == []  # nothing is asked before rows are
        table = generator.sample(10_000, 2)
        generator.sample(50, 3)
        assert len(endpoint.bodies) == plan.calls == 2
    assert ward.conform(table).reasons == {}
    details = json.loads(json.dumps(generator.details()))
    assert details["llm"]["calls"] == 2
    assert details["llm"]["problems"] == {"repaired": {}, "refused": {}}
    published = Specification.model_validate(details["specification"])
    pd.testing.assert_frame_equal(sample(published, ward, 10_000, 2)[0], table)


def test_only_columns_that_were_refused_are_asked_for_again():
    wrong = WARD | {"creatinine": {"family": "normal", "mean": 99, "sd": 1}, "sex": {"percent": {"f": 0, "m": 0}}}
    with Endpoint(answers()) as endpoint:
        endpoint.script.append(says(json.dumps(wrong)))
        generator = LLMSpecification(group(endpoint))
        generator.fit(view(generator), 1).sample(10, 1)
        bodies = endpoint.bodies
    again = bodies[1]["messages"][-1]["content"]
    assert "- creatinine: " in again
    assert "- sex: " in again
    assert "- age: " not in again
    assert len({body["seed"] for body in bodies}) == len(bodies) == 3
    refused = generator.details()["llm"]["problems"]["refused"]
    assert refused == {"mean outside the range": 1, "no percentage above zero": 1}


def test_a_model_that_never_gets_it_right_is_given_up_in_one_line():
    with Endpoint(lambda body, choice: "I would rather not.") as endpoint:
        generator = LLMSpecification(group(endpoint), attempts=3)
        generator.fit(view(generator), 1)
        with pytest.raises(
            UserError, match=r"no valid distribution of age, creat.*no complete JSON object: 6"
        ) as error:
            generator.sample(10, 1)
        assert "\n" not in str(error.value)
        assert len(endpoint.bodies) == 6


def test_without_correlations_columns_are_independent(ward):
    with Endpoint(answers(pairs="none")) as endpoint:
        generator = LLMSpecification(group(endpoint), attempts=2)
        generator.fit(view(generator), 1).sample(10, 1)
        assert generator.details()["llm"]["problems"]["refused"] == {"no complete JSON object": 2}
        asked = len(endpoint.bodies)
        generator = LLMSpecification(group(endpoint), correlations=False)
        generator.fit(view(generator), 1).sample(10, 1)
        assert len(endpoint.bodies) == asked + 1


def test_one_request_asks_for_all_columns_unless_the_model_is_embedded():
    schema = TableSchema(columns=[Column(name=f"c{i}", kind="integer", bounds=(0, 9)) for i in range(40)])
    split = Split(*[pd.DataFrame(columns=schema.names, dtype=float)] * 3)

    def calls(**settings):
        generator = LLMSpecification(settings, correlations=False)
        return generator.estimate(TrainView(schema, split, generator.access), 10).calls

    assert calls(endpoint="ollama", model="m", base_url="http://127.0.0.1:9/v1") == 1
    assert calls(endpoint="embedded", model="m", digest="0") == 3


def test_columns_of_wide_tables_are_asked_for_in_groups():
    with Endpoint(answers()) as endpoint:
        generator = LLMSpecification(group(endpoint), columns_per_request=3, correlations=False)
        generator.fit(view(generator), 1).sample(10, 1)
        asked = [body["messages"][-1]["content"] for body in endpoint.bodies]
    assert sorted(sum(f"- {name}: " in prompt for name in WARD) for prompt in asked) == [2, 3, 3]


def test_the_prompt_tells_what_its_access_allows():
    prompts = {}
    for access in ("description", "statistics"):
        with Endpoint(answers()) as endpoint:
            generator = LLMSpecification(group(endpoint), access)
            shown = view(generator)
            generator.fit(shown, 1).sample(10, 1)
            prompts[access] = "\n".join(body["messages"][-1]["content"] for body in endpoint.bodies)
            assert shown.shown == []
    mean = f"- age: mean {specimen()[1].train['age'].mean():.4g}"
    assert mean not in prompts["description"]
    assert "real patients" not in prompts["description"]
    assert "missing" not in prompts["description"]
    assert mean in prompts["statistics"]
    assert re.search(r"^- died=1 with .*age \+0\.\d\d", prompts["statistics"], re.M)
    assert "the patients who have it: sex=m, ward=other, died=1." in prompts["statistics"]
    assert "first those of died" in prompts["description"]
    assert '"missing"' in prompts["statistics"]


def test_the_model_is_told_the_rules_and_asked_for_zeros_where_there_can_be_any():
    columns = {
        "smoking": {"percent": {"never": 20, "former": 50, "current": 30}},
        "packs": {"family": "gamma", "mean": 22, "sd": 19, "zeros": 18},
        "smoker": {"percent": {"no": 20, "yes": 80}},
        "ever": {"percent": {"no": 20, "yes": 80}},
        "children": {"family": "poisson", "mean": 2, "sd": 1.4},
        "sons": {"family": "poisson", "mean": 0.5, "sd": 0.7},
    }
    schema = TableSchema.model_validate(SMOKING)
    split = Split(*[pd.DataFrame(columns=schema.names, dtype=float)] * 3)
    with Endpoint(answers(columns, {"correlations": [{"a": "smoking=never", "b": "packs", "r": -0.4}]})) as endpoint:
        generator = LLMSpecification(group(endpoint))
        generator.fit(TrainView(schema, split, generator.access), 1).sample(500, 1)
        asked, then = (body["messages"][-1]["content"] for body in endpoint.bodies)
    assert "- packs is 0 if smoking is never" in asked
    assert '"zeros"' in asked
    assert "In every patient" not in then
    details = generator.details()
    assert details["specification"]["columns"]["packs"]["zeros"] == 18
    assert details["specification"]["correlations"] == [{"a": "smoking=never", "b": "packs", "r": -0.4}]
    assert details["rows_drawn"] >= 500 + max(details["rows_drawn_anew"].values())
    assert details["rows_put_right"]["packs"] > 0
    assert "zeros" not in columns_form([Column(name="age", kind="integer", bounds=(18, 95))], True, False).grammar


def test_statistics_of_a_local_table_do_not_leave_this_machine():
    settings = {"endpoint": "openai", "model": "m", "base_url": "https://llm.example.org/v1", "key_env": "NONE"}
    refused = LLMSpecification(settings, "statistics")
    with pytest.raises(UserError, match="local-only"):
        refused.fit(view(refused, sharing="local-only"), 1)
    with pytest.raises(UserError, match="'description' or 'statistics', not 'rows'"):
        LLMSpecification(settings, "rows")
