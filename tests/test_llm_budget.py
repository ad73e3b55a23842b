"""Budgets of tokens and of money: what stops a sweep, and what the ledger remembers."""

import asyncio

import pytest
from llm_endpoint import Endpoint, settings_for
from synthward.generators.llm.budget import Budget, BudgetSpentError
from synthward.generators.llm.client import Client
from synthward.generators.llm.exchange import Usage
from synthward.generators.llm.settings import LLMSettings
from synthward.results.errors import StoppedError, UserError
from test_llm_client import requests


@pytest.fixture
def endpoint():
    with Endpoint() as endpoint:
        yield endpoint


def test_the_budget_of_tokens_stops_before_the_request_that_would_break_it(endpoint, tmp_path):
    settings = settings_for(endpoint, concurrency=4, max_tokens=1000, ledger=str(tmp_path / "ledger"))
    client = Client(settings)
    with pytest.raises(
        BudgetSpentError, match=r"llm\.max_tokens=1,000 leaves \d+ tokens .* run the same command again"
    ):
        client.complete(requests(settings, 50, max_tokens=150))
    # A request is estimated at 152 tokens and costs 103: after nine, at 927, the tenth might not fit.
    assert len(endpoint.bodies) == 9
    assert len(client.exchanges) == client.usage.calls == len(endpoint.bodies)


def test_the_budget_counts_what_other_processes_spent(endpoint, tmp_path):
    settings = settings_for(endpoint, max_tokens=300, ledger=str(tmp_path / "deep" / "ledger"))
    Client(settings).complete(requests(settings, 2))
    with pytest.raises(StoppedError):
        Client(settings).complete(requests(settings, 5)[2:])
    assert len(endpoint.bodies) == 3
    larger = settings.model_copy(update={"max_tokens": 10_000})
    assert len(Client(larger).complete(requests(settings, 5))) == 5


def test_half_a_line_in_the_ledger_harms_nothing(tmp_path):
    ledger = tmp_path / "ledger"
    settings = LLMSettings(max_tokens=300, ledger=str(ledger))
    asyncio.run(Budget(settings).reserve(Usage(prompt_tokens=100)))
    with ledger.open("ab") as file:
        file.write(b'["abc", 1')
    asyncio.run(Budget(settings).reserve(Usage(prompt_tokens=100)))
    with pytest.raises(BudgetSpentError, match="leaves 100 tokens"):
        asyncio.run(Budget(settings).reserve(Usage(prompt_tokens=101)))


def test_the_budget_of_money_and_the_cost_in_the_usage(endpoint):
    settings = settings_for(endpoint, price={"prompt": 10, "completion": 100}, max_cost_usd=0.01, concurrency=1)
    client = Client(settings)
    with pytest.raises(BudgetSpentError, match=r"llm\.max_cost_usd=0\.01"):
        client.complete(requests(settings, 50))
    each = (100 * 10 + 3 * 100) / 1e6
    assert client.usage.cost_usd == pytest.approx(client.usage.calls * each)
    assert client.usage.cost_usd <= 0.01


def test_a_budget_of_money_needs_a_price():
    with pytest.raises(UserError, match=r"llm\.price"):
        Client(LLMSettings(endpoint="openai", model="new", base_url="http://localhost/v1", max_cost_usd=1))


def test_what_comes_from_the_cache_costs_nothing_of_the_budget(endpoint, tmp_path):
    settings = settings_for(endpoint, cache=str(tmp_path))
    Client(settings).complete(requests(settings, 20))
    tight = settings.model_copy(update={"max_tokens": 10})
    assert len(Client(tight).complete(requests(settings, 20))) == 20
