"""Budgets of tokens and of money: what stops a sweep, and what the ledger remembers."""

import asyncio
import contextlib

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as profile
from hypothesis import strategies as st
from llm_endpoint import Endpoint, completion, json_answer, settings_for
from synthward.generators.llm.budget import Budget, BudgetSpentError
from synthward.generators.llm.client import Client
from synthward.generators.llm.exchange import Form, Message, Request, Usage
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
        client.complete(requests(settings, 50, max_tokens=200))
    # A request is reserved at some 300 tokens and costs 103: after seven, at 721, the eighth might not fit.
    assert len(endpoint.bodies) == 7
    assert len(client.exchanges) == client.usage.calls == len(endpoint.bodies)


def test_the_budget_counts_what_other_processes_spent(endpoint, tmp_path):
    settings = settings_for(endpoint, max_tokens=400, ledger=str(tmp_path / "deep" / "ledger"))
    Client(settings).complete(requests(settings, 2))
    with pytest.raises(StoppedError):
        Client(settings).complete(requests(settings, 5)[2:])
    assert len(endpoint.bodies) == 3
    larger = settings.model_copy(update={"max_tokens": 10_000})
    assert len(Client(larger).complete(requests(settings, 5))) == 5


def test_half_a_line_in_the_ledger_harms_nothing(tmp_path):
    ledger = tmp_path / "ledger"
    settings = LLMSettings(max_tokens=300, ledger=str(ledger), request_seconds=0.01)
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


# --- a reservation is a bound


def bills(tokens_per_character, written=40):
    """Behaviour: an answer that costs so many tokens for each character of the request's body."""

    def behaviour(received):
        usage = {"prompt_tokens": round(len(received.content) * tokens_per_character), "completion_tokens": written}
        return json_answer(completion("x") | {"usage": usage})

    return behaviour


def spent_of(endpoint, settings, asked):
    """Tokens that asking cost, up to the end of the budget."""
    client = Client(settings)
    with contextlib.suppress(BudgetSpentError):
        client.complete(asked)
    assert endpoint.received, "a budget that lets nothing through would pass any test"
    return client.usage.prompt_tokens + client.usage.completion_tokens


SCHEMA = {"type": "object", "properties": {f"c{i}": {"enum": ["a" * 20] * 10} for i in range(60)}}


def test_the_schema_of_a_request_counts(endpoint, tmp_path):
    settings = settings_for(endpoint, concurrency=8, max_tokens=40_000, ledger=str(tmp_path / "ledger"))
    endpoint.always = bills(1 / 2)
    assert spent_of(endpoint, settings, requests(settings, 50, form=Form(json_schema=SCHEMA))) <= 40_000
    assert len(endpoint.bodies) > 2


texts = st.text(max_size=1500) | st.text("0123456789.,-; \n", max_size=1500) | st.text('abc éß漢🩺"\\', max_size=1500)


@profile(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(prompts=st.lists(texts, min_size=1, max_size=3), enum=texts, limit=st.integers(3000, 30_000))
def test_no_request_exceeds_its_reservation(tmp_path_factory, prompts, enum, limit):
    with Endpoint() as endpoint:
        ledger = tmp_path_factory.mktemp("budget") / "ledger"
        settings = settings_for(endpoint, concurrency=8, max_tokens=limit, ledger=str(ledger))
        endpoint.always = bills(1 / 2)
        client = Client(settings)
        asked = [
            Request(
                model=settings.defining,
                messages=(Message(role="user", content=prompts[i % len(prompts)]),),
                form=Form(json_schema={"enum": [enum]}),
                max_tokens=40,
                index=i,
            )
            for i in range(24)
        ]
        with contextlib.suppress(BudgetSpentError):
            client.complete(asked)
        assert client.usage.prompt_tokens + client.usage.completion_tokens <= limit


def test_only_a_first_request_can_exceed_all_that_could_be_known(endpoint, tmp_path):
    settings = settings_for(endpoint, concurrency=8, max_tokens=3000, ledger=str(tmp_path / "ledger"))
    endpoint.always = bills(5, written=500)
    asked = requests(settings, 20)
    spent_of(endpoint, settings.model_copy(update={"max_tokens": 300}), asked)
    assert len(endpoint.bodies) == 1  # though there was room for two at their bounds
    assert spent_of(endpoint, settings, asked) <= 3000  # by another client, which knows it from the ledger


def test_what_an_endpoint_does_not_tell_counts_as_reserved(endpoint, tmp_path):
    settings = settings_for(endpoint, max_tokens=2000, ledger=str(tmp_path / "ledger"))
    endpoint.always = lambda _: json_answer(completion("word", usage=False))
    client = Client(settings)
    with pytest.raises(BudgetSpentError):
        client.complete(requests(settings, 100, max_tokens=200))
    assert 2 <= len(endpoint.bodies) <= 10
    assert client.usage.completion_tokens < 200


# --- several who spend


def reserved(settings, tokens):
    return asyncio.run(Budget(settings).reserve(Usage(prompt_tokens=tokens)))


def test_what_was_in_flight_at_a_kill_is_known_though_there_was_no_limit(tmp_path):
    unlimited = LLMSettings(ledger=str(tmp_path / "ledger"), request_seconds=0.01)
    reserved(unlimited, 100)
    with pytest.raises(BudgetSpentError, match="leaves 50 tokens"):
        reserved(unlimited.model_copy(update={"max_tokens": 150}), 51)


def test_each_model_has_its_own_account(tmp_path):
    free = LLMSettings(ledger=str(tmp_path / "ledger"), model="free", max_tokens=1000, request_seconds=0.01)
    paid = free.model_copy(update={"endpoint": "openai", "model": "paid"})
    Budget(free).settle(reserved(free, 900), Usage(prompt_tokens=900))
    Budget(paid).settle(reserved(paid, 800), Usage(prompt_tokens=700))
    with pytest.raises(BudgetSpentError, match="leaves 300 tokens"):
        reserved(paid, 301)
    with pytest.raises(BudgetSpentError, match="leaves 100 tokens"):
        reserved(free, 101)
    reserved(paid.model_copy(update={"endpoint": "vllm"}), 1000)


def test_an_older_ledger_counts_for_every_model(tmp_path):
    ledger = tmp_path / "ledger"
    ledger.write_text('["a", 500, 0.5]\n["a", 100, 0.1]\n["b", 200, 0.2]\n["c"]\n{"d": 1}\n[1e999, 1e999, 2]\n\n')
    for model in ("one", "other"):
        settings = LLMSettings(model=model, ledger=str(ledger), max_tokens=1000, request_seconds=0.01)
        with pytest.raises(BudgetSpentError, match="leaves 700 tokens"):
            reserved(settings, 701)


def test_who_finds_no_room_waits_for_others_in_flight(tmp_path):
    settings = LLMSettings(ledger=str(tmp_path / "ledger"), max_tokens=100)
    one, other = Budget(settings), Budget(settings)

    async def both():
        ticket = await one.reserve(Usage(prompt_tokens=80))
        waiting = asyncio.create_task(other.reserve(Usage(prompt_tokens=80)))
        await asyncio.sleep(0.1)
        assert not waiting.done()
        one.settle(ticket, Usage(prompt_tokens=20))
        await asyncio.wait_for(waiting, 5)

    asyncio.run(both())
