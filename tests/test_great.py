"""GReaT: rows as sentences and back, and one short training of the real model."""

from __future__ import annotations

import importlib.util
import math
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pandas as pd
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from synthward.benchmarks.dataset import Split
from synthward.benchmarks.schema import Column, TableSchema
from synthward.generators import Access, TrainView, great
from synthward.generators.checks import specimen
from synthward.generators.great import GReaT, decode, encode
from synthward.generators.llm.judging import accept
from synthward.generators.llm.zero_shot import ZeroShot
from synthward.generators.spec import GeneratorSpec
from synthward.results.errors import UserError

CONF = Path(__file__).parents[1] / "conf"
EMBEDDED = yaml.safe_load((CONF / "llm" / "embedded.yaml").read_text())
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
    config = yaml.safe_load((CONF / "generator" / "great.yaml").read_text()) | {"llm": EMBEDDED}
    built = GeneratorSpec.parse(config).build()
    assert isinstance(built, GReaT)
    assert all(getattr(built, field.name) == config[field.name] for field in fields(GReaT))
    assert built.access is Access.ROWS


def test_what_is_asked_is_the_base_model_of_the_rows_beside_it() -> None:
    """The same requests as by any generator of the same model, so that a cache serves all; they decide no row."""
    ours, theirs = (generator(llm=EMBEDDED).language_model() for generator in (GReaT, ZeroShot))
    assert vars(ours) == vars(theirs)
    for llm in (
        None,
        {"endpoint": "replay"},
        {"endpoint": "openai"},
        EMBEDDED | {"model": "qwen2.5-coder-1.5b-instruct"},
    ):
        assert GReaT(llm=llm).language_model() is None
    assert GReaT.defining({"llm": EMBEDDED, "steps": 9}) == {"steps": 9}


class Letters:
    """A tokenizer by which every byte is a token."""

    eos_token_id = 256

    def __call__(self, text: str, add_special_tokens: bool) -> dict[str, list[int]]:
        return {"input_ids": list(text.encode())}

    def batch_decode(self, ids, skip_special_tokens: bool) -> list[str]:
        return [bytes(i for i in row.tolist() if i < 256).decode(errors="replace") for row in ids]


def tiny(rank: int):
    """In place of the real model: one layer, random weights."""
    import torch

    with great._without_torchvision():
        from peft import LoraConfig, get_peft_model
        from transformers import LlamaConfig, LlamaForCausalLM

    size = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1}
    model = LlamaForCausalLM(LlamaConfig(vocab_size=257, **size)).to(torch.bfloat16)
    return Letters(), get_peft_model(model, LoraConfig(**great.lora(rank), task_type="CAUSAL_LM"))


def test_the_record_says_what_was_trained_how_and_what_it_took(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(great, "_load", tiny)
    schema = TableSchema(
        columns={"a": {"kind": "integer", "bounds": [0, 9]}, "y": {"kind": "categorical", "codes": ["p", "q"]}},
        target="y",
        task="binary",
        positive="p",
    )
    table = schema.canonical(pd.DataFrame({"a": range(10), "y": ["p", "q"] * 5}))
    generator = GReaT(steps=3, batch_size=2, rank=4, attempts=1, temperature=0.5)
    generator.fit(TrainView(schema, Split(table, table, table), generator.access), 1).sample(6, 2)
    facts = generator.details()
    model, account, training = facts["llm"]["model"], facts["llm"], facts["training"]
    same = {name: value for name, value in ZeroShot(EMBEDDED).model.defining.items() if name in model}
    assert model == same | {"temperature": 0.5}
    assert len(model["digest"]) == 64
    assert training["lora"] == {"r": 4, "lora_alpha": 8, "target_modules": "all-linear"}
    assert (training["steps"], training["batch_size"], training["learning_rate"]) == (3, 2, 1e-3)
    assert training["tokens"] == 3 * 2 * (len("a is 1, y is p") + 1)
    assert 0 < training["seconds_per_step"] < 60
    assert account["rows_read"] == 6
    assert sum(account["rejects"].values()) == 6  # random weights write nothing of use
    assert account["tokens_per_valid_row"] is account["seconds_per_valid_row"] is None
    assert account["prompt_tokens"] >= 6 * len("y is p,")
    assert account["completion_tokens"] > 0
    assert account["seconds"] > 0


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
    rejects = sum(details["llm"]["rejects"].values())
    assert rejects < 8
    assert details["training"]["final_loss"] < 1.5
    assert 10 < details["llm"]["tokens_per_valid_row"] < 200
    assert details["llm"]["rows_read"] == len(table) + rejects
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
