"""GReaT: rows as sentences and back, and one short training of the real model."""

from __future__ import annotations

import importlib.util
import math
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from synthward.benchmarks.schema import Column
from synthward.generators import Access, TrainView
from synthward.generators.checks import specimen
from synthward.generators.great import GReaT, decode, encode
from synthward.generators.llm.judging import accept
from synthward.generators.spec import GeneratorSpec
from synthward.results.errors import UserError

COLUMNS = (
    Column(name="age", kind="integer", bounds=(0, 120)),
    Column(name="age at onset", kind="integer", missing=True),
    Column(name="albumin [g/dL]", kind="continuous", decimals=1, missing=True),
    Column(name="x", kind="continuous", missing=True),
    Column(name="sex", kind="categorical", codes=["f", "m"]),
    Column(name="is", kind="categorical", codes=["this is it", "is", "1, 2", "missing"], missing=False),
)
NAMES = [c.name for c in COLUMNS]
ROW = {"age": 63.0, "age at onset": math.nan, "albumin [g/dL]": 3.0, "x": 0.125, "sex": "f", "is": "1, 2"}


def test_a_row_is_a_sentence() -> None:
    assert encode(ROW, COLUMNS, NAMES) == (
        "age is 63, age at onset is missing, albumin [g/dL] is 3.0, x is 0.125, sex is f, is is 1, 2"
    )
    assert encode(ROW, COLUMNS, ["sex", "age"]) == "sex is f, age is 63"


def values(column: Column) -> st.SearchStrategy:
    if not column.numeric:
        known: st.SearchStrategy = st.sampled_from(sorted(column.codes))
    elif column.kind == "integer":
        known = st.integers(0, 120).map(float)
    else:
        known = st.floats(allow_nan=False, allow_infinity=False).map(lambda v: v + 0.0)
    gap = st.just(math.nan if column.numeric else None)
    return st.one_of(known, gap) if column.missing else known


@given(st.fixed_dictionaries({c.name: values(c) for c in COLUMNS}), st.permutations(NAMES))
@settings(max_examples=300, deadline=None, derandomize=True)
def test_rows_come_back_as_they_were(row: dict, order: list[str]) -> None:
    """In any order of columns, whose names begin with one another and whose codes hold the separators."""
    text = decode(encode(row, COLUMNS, order), COLUMNS)
    assert set(text) == set(NAMES)
    for column in COLUMNS:
        found, expected = text[column.name], row[column.name]
        if expected is None or expected != expected:
            assert found is None
        elif column.numeric:
            assert float(found) == expected
        else:
            assert found == expected


@given(st.text(max_size=300))
@settings(max_examples=200, deadline=None, derandomize=True)
def test_any_text_is_read_without_an_error(text: str) -> None:
    found = decode(text, COLUMNS)
    assert set(found) <= set(NAMES)


def test_what_is_no_row_is_read_as_far_as_it_goes() -> None:
    assert decode("sex is f, age is 63, age is 64\nx is 1", COLUMNS) == {"sex": "f", "age": "63"}
    assert decode("sex is f, colour is red, age is 6", COLUMNS) == {"sex": "f, colour is red", "age": "6"}
    assert decode("", COLUMNS) == {}
    assert decode("I cannot help with that", COLUMNS) == {}
    assert decode("age is ", COLUMNS) == {"age": ""}


def test_the_specimen_survives_the_way_into_text_and_back() -> None:
    schema, split = specimen()
    rows = [decode(encode(row, schema.columns, schema.names), schema.columns) for row in split.train.to_dict("records")]
    accepted = accept(rows, schema)
    assert accepted.rejects == {}
    assert accepted.table.equals(split.train)


def test_config_builds_it() -> None:
    config = yaml.safe_load((Path(__file__).parents[1] / "conf" / "generator" / "great.yaml").read_text())
    built = GeneratorSpec.parse(config).build()
    assert isinstance(built, GReaT)
    assert vars(built) == vars(GReaT())
    assert built.access is Access.ROWS


@pytest.fixture(scope="module")
def trained() -> GReaT:
    assert all(importlib.util.find_spec(module) for module in GReaT.requires), "pip install 'synthward[great]'"
    schema, split = specimen()
    return GReaT(steps=40).fit(TrainView(schema, split, Access.ROWS), 1)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_training_teaches_rows(trained: GReaT) -> None:
    schema = specimen()[0]
    table = trained.sample(24, 2)
    details = trained.details()
    assert 18 < len(table) <= 24
    assert schema.conform(schema.canonical(table)).valid.all()
    assert sum(details["rejects"].values()) < 8
    assert details["final_loss"] < 1.5
    assert details["texts"] == len(table) + sum(details["rejects"].values())
    assert 30 < table["age"].mean() < 90
    assert table["age"].nunique() > 5
    assert trained.sample(24, 2).equals(table)
    assert not trained.sample(24, 3).equals(table)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_same_seed_same_adapters() -> None:
    schema, split = specimen()
    fits = [GReaT(steps=2).fit(TrainView(schema, split, Access.ROWS), seed)._loss for seed in (1, 1, 2)]
    assert fits[0] == fits[1] != fits[2]


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_rows_that_are_too_long_are_refused_at_once() -> None:
    schema, split = specimen()
    with pytest.raises(UserError, match="max_length=10"):
        GReaT(max_length=10).fit(TrainView(schema, split, Access.ROWS), 1)


@pytest.mark.slow
def test_the_model_loads_where_transformers_has_looked_for_torchvision_before():
    """As in a worker whose earlier cells imported it."""
    code = """
from transformers.utils import is_torchvision_available
is_torchvision_available()
from synthward.generators.great import _load
_load(rank=2)
"""
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, timeout=300)
