"""OpenAI's Batch API, on an endpoint on loopback that speaks it."""

import json
from pathlib import Path

import pytest
from llm_endpoint import Endpoint, settings_for
from synthward.generators.llm.client import Client
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
