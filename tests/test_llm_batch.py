"""OpenAI's Batch API, on an endpoint on loopback that speaks it."""

import asyncio
import json
from pathlib import Path

import pytest
from llm_endpoint import Endpoint, fails, hangs_up, settings_for
from synthward.generators.llm import batch
from synthward.generators.llm.budget import Budget, BudgetSpentError, at_most
from synthward.generators.llm.client import Client
from synthward.generators.llm.exchange import Usage
from synthward.generators.llm.failures import EndpointError
from synthward.generators.llm.settings import Price
from synthward.results.errors import StoppedError, UserError
from test_llm_client import request, requests


@pytest.fixture
def endpoint():
    with Endpoint() as endpoint:
        yield endpoint


@pytest.fixture
def batched(endpoint, tmp_path, monkeypatch):
    monkeypatch.setenv("SOME_KEY", "s3cret")
    return settings_for(endpoint, batch=True, batch_poll_seconds=0.02, cache=str(tmp_path), key_env="SOME_KEY")


def bodies_of(endpoint, file):
    return [json.loads(line)["body"] for line in endpoint.files[file].splitlines()]


def test_a_batch_answers_all_requests_that_are_not_cached(endpoint, batched):
    Client(batched.model_copy(update={"batch": False})).complete([request(batched)])
    client = Client(batched.model_copy(update={"price": Price(prompt=10, completion=0)}))
    replies = client.complete(requests(batched, 5, draws=1))
    assert [r.choices[0].text for r in replies] == [f"row {10 * i} 0" for i in range(5)]
    assert len(endpoint.bodies) == 1
    assert len(endpoint.batches) == 1
    assert len(endpoint.files["file-0"].splitlines()) == 4
    assert client.usage.calls == 4
    assert client.usage.cost_usd == pytest.approx(4 * 100 * 10 / 1e6 / 2)
    assert not list(Path(batched.cache, "batches").glob("*.json"))


def test_an_interrupted_batch_is_found_again_and_not_submitted_twice(endpoint, batched):
    endpoint.batch_status = "in_progress"
    short = batched.model_copy(update={"cell_seconds": 0.5})
    with pytest.raises(StoppedError, match="run the same command again"):
        Client(short).complete(requests(batched, 5))
    endpoint.batch_status = "completed"
    assert len(Client(batched).complete(requests(batched, 8))) == 8
    assert [len(endpoint.files[f"file-{i}"].splitlines()) for i in range(2)] == [5, 3]
    assert len(endpoint.batches) == 2


def test_a_batch_is_found_again_even_if_its_name_was_not_yet_written_down(endpoint, batched):
    endpoint.batch_status = "in_progress"
    with pytest.raises(StoppedError):
        Client(batched.model_copy(update={"cell_seconds": 0.5})).complete(requests(batched, 3))
    (state,) = Path(batched.cache, "batches").glob("*.json")
    state.write_text(json.dumps(json.loads(state.read_text()) | {"id": ""}))
    endpoint.batch_status = "completed"
    assert len(Client(batched).complete(requests(batched, 3))) == 3
    assert len(endpoint.batches) == 1


def test_lines_that_fail_go_into_another_batch(endpoint, batched):
    endpoint.failing.extend([500, 200, 429])
    assert len(Client(batched).complete(requests(batched, 4))) == 4
    assert [len(endpoint.files[f"file-{i}"].splitlines()) for i in range(2)] == [4, 2]


def test_lines_that_fail_again_and_again_end_it_with_what_came(endpoint, batched):
    endpoint.failing.extend([200] + [500] * 50)
    with pytest.raises(EndpointError, match="again and again: not now") as caught:
        Client(batched.model_copy(update={"retries": 2})).complete(requests(batched, 3))
    assert [r is not None for r in caught.value.replies] == [True, False, False]
    assert len(endpoint.batches) == 3


@pytest.mark.parametrize("status", ["failed", "expired", "cancelled"])
def test_a_batch_that_ends_otherwise_is_one_line_and_the_next_run_submits_anew(endpoint, batched, status):
    endpoint.batch_status = status
    endpoint.failing.extend([200, 429])
    with pytest.raises(EndpointError, match=rf"batch-0 {status} with \d of 2 requests unanswered") as caught:
        Client(batched).complete(requests(batched, 2))
    assert "\n" not in str(caught.value)
    assert (caught.value.replies[0] is not None) == (status == "expired")
    endpoint.batch_status = "completed"
    endpoint.failing.clear()
    assert len(Client(batched).complete(requests(batched, 2))) == 2
    assert len(endpoint.batches) == 2


def test_a_batch_needs_openai_and_a_cache(endpoint):
    for more in ({}, {"endpoint": "vllm", "cache": "x"}):
        with pytest.raises(UserError, match=r"llm\.batch=true needs"):
            Client(settings_for(endpoint, batch=True, **more))


# --- nothing is paid for twice


@pytest.fixture
def losing(endpoint, monkeypatch):
    """Lose answers to the creation of a batch, as many as the list holds entries; each entry is how."""
    monkeypatch.setattr(batch, "FIRST_PAUSE", 0.01)
    losses, answer = [], endpoint._batch_api

    def api(received, parts):
        found = answer(received, parts)
        return losses.pop()(received) if received.method == "POST" and parts == ["batches"] and losses else found

    endpoint._batch_api = api
    return losses


@pytest.mark.parametrize("loss", [hangs_up, fails(503)])
def test_a_batch_whose_creation_went_unanswered_is_not_created_again(endpoint, batched, losing, loss):
    def crowd(received):
        """Batches of others, made meanwhile: ours is not on the first page of the list."""
        endpoint.files["none"] = b""
        for index in range(5):
            endpoint.batches[f"other-{index}"] = {"id": f"other-{index}", "input_file_id": "none"}
        return loss(received)

    losing.append(crowd)
    assert len(Client(batched).complete(requests(batched, 4))) == 4
    assert sorted(endpoint.batches) == ["batch-0", *(f"other-{i}" for i in range(5))]


def test_a_batch_that_was_refused_is_created_again(endpoint, batched, losing):
    answer = endpoint._batch_api
    refusals = [fails(429), fails(500)]

    def api(received, parts):
        if received.method == "POST" and parts == ["batches"] and refusals:
            return refusals.pop()(received)
        return answer(received, parts)

    endpoint._batch_api = api
    assert len(Client(batched).complete(requests(batched, 4))) == 4
    assert len(endpoint.batches) == 1


def test_what_was_not_even_uploaded_is_not_reserved(endpoint, batched, tmp_path):
    settings = batched.model_copy(update={"max_tokens": 1000, "ledger": str(tmp_path / "ledger")})
    answer = endpoint._batch_api
    endpoint._batch_api = lambda received, parts: fails(401)(received)
    with pytest.raises(EndpointError, match="refuses access"):
        Client(settings).complete(requests(settings, 3))
    endpoint._batch_api = answer
    assert asyncio.run(Budget(settings).reserve(Usage(prompt_tokens=1000)))


# --- a batch that the endpoint has lost


def test_a_batch_that_the_endpoint_no_longer_knows_is_submitted_anew(endpoint, batched, tmp_path):
    settings = batched.model_copy(update={"max_tokens": 10_000, "ledger": str(tmp_path / "ledger")})
    endpoint.batch_status = "in_progress"
    with pytest.raises(StoppedError):
        Client(settings.model_copy(update={"cell_seconds": 0.5})).complete(requests(settings, 3))
    endpoint.batches["elsewhere"] = endpoint.batches.pop("batch-0")
    endpoint.batch_status = "completed"
    assert len(Client(settings).complete(requests(settings, 3))) == 3
    assert len(endpoint.batches) == 2
    assert not list(Path(batched.cache, "batches").glob("*.json"))
    lost = sum(at_most(body).total for body in bodies_of(endpoint, "file-0"))
    with pytest.raises(BudgetSpentError, match=f"leaves {10_000 - lost - 309:,} tokens"):
        asyncio.run(Budget(settings).reserve(Usage(prompt_tokens=10_000)))


# --- what an endpoint refuses


def reasons(body):
    """A model that thinks before it answers, as OpenAI's do: two of the fields are refused, one after the other."""
    if "max_tokens" in body:
        return {
            "message": "Use 'max_completion_tokens' instead.",
            "code": "unsupported_parameter",
            "param": "max_tokens",
        }
    if "seed" in body:
        return {"message": "Unsupported parameter", "param": "seed"}
    return None


def test_lines_go_without_what_the_model_refuses(endpoint, batched):
    endpoint.refuses = reasons
    client = Client(batched.model_copy(update={"retries": 0}))
    replies = client.complete(requests(batched, 3))
    assert all(r.dropped == ("max_tokens", "seed") for r in replies)
    assert len(endpoint.batches) == 3
    assert {"max_completion_tokens"} < {*bodies_of(endpoint, "file-2")[0]}
    client.complete(requests(batched, 5))
    assert len(endpoint.batches) == 4  # what was learned holds for later batches


def test_a_batch_that_is_found_again_is_known_to_go_without_a_field(endpoint, batched):
    endpoint.refuses = reasons
    Client(batched).complete(requests(batched, 1))
    endpoint.batch_status = "in_progress"
    short = Client(batched.model_copy(update={"cell_seconds": 0.5}))
    short._learned.dropped |= {"max_tokens", "seed"}
    with pytest.raises(StoppedError):
        short.complete(requests(batched, 4)[1:])
    endpoint.batch_status = "completed"
    assert all(r.dropped == ("max_tokens", "seed") for r in Client(batched).complete(requests(batched, 5)))
    assert len(endpoint.batches) == 5


def test_draws_are_lines_of_their_own_where_the_model_gives_one_choice(endpoint, batched):
    endpoint.refuses = lambda body: {"message": "'n' must be 1", "param": "n"} if "n" in body else None
    client = Client(batched)
    replies = client.complete(requests(batched, 2, draws=3))
    assert [[c.text for c in r.choices] for r in replies] == [
        [f"row {10 * i + d} 0" for d in range(3)] for i in range(2)
    ]
    assert [e.reply for e in client.exchanges] == replies
    assert [len(bodies_of(endpoint, f"file-{i}")) for i in range(2)] == [2, 6]
    assert [r.choices for r in Client(batched).complete(requests(batched, 2, draws=3))] == [r.choices for r in replies]
    assert len(endpoint.batches) == 2


def test_lines_that_fail_for_good_end_it_at_once_with_what_came(endpoint, batched):
    endpoint.refuses = lambda body: {"message": "maximum context length is 8192"} if body["seed"] == 10 else None
    with pytest.raises(EndpointError, match="answers 400: maximum context length") as caught:
        Client(batched).complete(requests(batched, 3))
    assert [r is not None for r in caught.value.replies] == [True, False, True]
    assert len(endpoint.batches) == 1
    assert not list(Path(batched.cache, "batches").glob("*.json"))


def test_what_a_filter_refuses_is_a_reply(endpoint, batched):
    endpoint.refuses = lambda body: {"message": "filtered", "code": "content_filter"} if body["seed"] == 10 else None
    replies = Client(batched).complete(requests(batched, 2))
    assert replies[1].choices[0].finish == "content_filter"
    assert len(endpoint.batches) == 1


# --- the budget


def test_of_a_batch_that_does_not_fit_the_first_requests_are_sent(endpoint, batched, tmp_path):
    settings = batched.model_copy(update={"max_tokens": 1200, "ledger": str(tmp_path / "ledger")})
    client = Client(settings)
    with pytest.raises(BudgetSpentError, match=r"llm\.max_tokens=1,200 leaves \d+ tokens"):
        client.complete(requests(settings, 25))
    answered = [e.request.index for e in client.exchanges]
    assert answered == list(range(len(answered)))
    assert 8 <= len(answered) <= 11  # of 103 tokens each
    assert len(endpoint.batches) > 1  # what a batch left over went into the next
    larger = settings.model_copy(update={"max_tokens": 100_000})
    assert len(Client(larger).complete(requests(settings, 25))) == 25
    assert sum(len(bodies_of(endpoint, f"file-{i}")) for i in range(len(endpoint.batches))) == 25
