"""What language models cost: from the account of a generator, which nobody vouches for, to a metric."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from faulty import Fine
from metric_tables import COSTS, WARD, evaluation, ward
from synthward.benchmarks.cell import Limits, plan_cell
from synthward.benchmarks.isolation import Worker
from synthward.benchmarks.runner import _usage, run_cell
from synthward.metrics import Costs, Evaluation, get
from synthward.metrics.base import ModelUsage
from synthward.results.record import Measurement, Record, Status
from synthward.results.store import Store

OF_MODELS = ("model_calls", "prompt_tokens", "completion_tokens", "usd_per_1000_rows", "cached_share")
ACCOUNT = {
    "model": {"endpoint": "openai", "model": "test"},
    "calls": 12,
    "prompt_tokens": 3000,
    "completion_tokens": 1000,
    "cost_usd": 0.06,
    "paid": {"calls": 9, "tokens": 3000, "cached_tokens": 1000, "cost_usd": 0.045},
}


def measure(name: str, evaluation: Evaluation) -> Measurement:
    (measurement,) = get(name).measure(evaluation)
    return measurement


def asked(rows: int = 100, **usage: Any) -> Evaluation:
    table = ward(rows, 4).assign(systolic=120.0, diastolic=60.0, unit="general")
    return replace(evaluation(WARD.canonical(table)), costs=Costs(1.0, 1.0, 1.0, ModelUsage(**usage)))


def read(llm: Any) -> dict[str, float | None] | None:
    return _usage(cast(Record, SimpleNamespace(details={} if llm is None else {"llm": llm})))


def test_account_becomes_metrics() -> None:
    evaluated = asked(50, **read(ACCOUNT))
    values = {name: measure(name, evaluated).value for name in OF_MODELS}
    assert values == {
        "model_calls": 12,
        "prompt_tokens": 3000,
        "completion_tokens": 1000,
        "usd_per_1000_rows": pytest.approx(1.2),
        "cached_share": 0.25,
    }


class Accounting(Fine):
    """Says that it asked a language model."""

    def details(self) -> dict[str, Any]:
        return {"llm": ACCOUNT}


@pytest.mark.parametrize(("generator", "calls"), [("test_metrics_cost.Accounting", 12), ("faulty.Fine", None)])
def test_cell_hands_the_account_of_its_generator_over(
    small_card: dict[str, Any], tmp_path: Path, worker: Worker, generator: str, calls: int | None
) -> None:
    config = {"dataset": small_card, "generator": {"_target_": generator}, "protocol": {}, "seed": 0}
    limits = Limits(generate_seconds=60, evaluate_seconds=60, memory_mb=4096)
    record = run_cell(plan_cell(config), ["model_calls"], Store(tmp_path / "runs"), worker, limits)
    assert [m.value for m in record.measurements] == [calls]


def test_money_is_for_valid_rows() -> None:
    evaluated = asked(50, cost_usd=0.06)
    table = evaluated.synthetic
    half = replace(evaluated, synthetic=table.assign(sex=["x"] * 25 + ["f"] * 25))
    assert measure("usd_per_1000_rows", half).value == pytest.approx(2.4)
    assert measure("usd_per_1000_rows", half).n == 25
    none = replace(evaluated, synthetic=table.assign(sex="x"))
    assert "conforms" in measure("usd_per_1000_rows", none).reason
    assert "no rows" in measure("usd_per_1000_rows", asked(0, cost_usd=0.06)).reason


def test_cache_changes_no_cost() -> None:
    paid = {**ACCOUNT, "paid": {"calls": 0, "tokens": 0, "cached_tokens": 4000, "cost_usd": 0.0}}
    fresh = {**ACCOUNT, "paid": {"calls": 12, "tokens": 4000, "cached_tokens": 0, "cost_usd": 0.06}}
    one, two = (asked(50, **read(account)) for account in (paid, fresh))
    for name in OF_MODELS[:-1]:
        assert measure(name, one).value == measure(name, two).value
    assert [measure("cached_share", e).value for e in (one, two)] == [1.0, 0.0]


def test_generators_that_ask_no_model_are_told_apart() -> None:
    evaluated = replace(evaluation(ward(20, 4)), costs=replace(COSTS, usage=None))
    for name in OF_MODELS:
        measurement = measure(name, evaluated)
        assert measurement.status is Status.UNSUPPORTED
        assert measurement.reason == "needs a language model's account: there is none"


def test_what_an_account_does_not_say_is_told() -> None:
    """Fine-tuned models have no price and no calls."""
    fine_tuned = asked(20, **read({"prompt_tokens": 10, "completion_tokens": 20}))
    assert measure("completion_tokens", fine_tuned).value == 20
    assert "how many calls" in measure("model_calls", fine_tuned).reason
    assert "price" in measure("usd_per_1000_rows", fine_tuned).reason
    assert "cache" in measure("cached_share", fine_tuned).reason
    silent = asked(20, calls=0, prompt_tokens=0, completion_tokens=0, cached_tokens=0)
    assert "was not asked" in measure("cached_share", silent).reason


@pytest.mark.parametrize("llm", [None, [], "much", 7, True])
def test_no_account_is_no_usage(llm: Any) -> None:
    assert read(llm) is None


@pytest.mark.parametrize("odd", ["many", None, -1, float("nan"), float("inf"), 10**400, True, [3], {"calls": 3}])
def test_accounts_are_not_trusted(odd: Any) -> None:
    names = ("calls", "prompt_tokens", "completion_tokens", "cost_usd")
    usage = read({**dict.fromkeys(names, odd), "paid": {"cached_tokens": odd}})
    assert usage == dict.fromkeys((*names, "cached_tokens"))
    assert read({"paid": odd}) == usage
    for name in OF_MODELS:
        assert measure(name, asked(20, **usage)).status is Status.UNSUPPORTED
