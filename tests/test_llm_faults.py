"""The LLM client against an endpoint that misbehaves: a clear end, in bounded time, after boundedly many requests."""

import logging
import os
import socket
import time
import traceback
from pathlib import Path

import pytest
from llm_endpoint import (
    Endpoint,
    Raw,
    breaks_off,
    completion,
    drips,
    fails,
    hangs_up,
    json_answer,
    one_choice,
    says,
    sends,
    settings_for,
)
from synthward.generators.llm import sender
from synthward.generators.llm.budget import at_most
from synthward.generators.llm.client import Client
from synthward.generators.llm.exchange import Form
from synthward.generators.llm.failures import DeadlineError, EndpointError, Secrets, retry_after
from synthward.results.errors import UserError
from test_llm_client import FORM, request, requests

KEY = "sk-proj-Zx81kQ0987secretsecret"
SECONDS = 20  # more than any of these may take, on a busy machine


@pytest.fixture
def endpoint(monkeypatch):
    monkeypatch.setattr(sender, "FIRST_PAUSE", 0.01)
    with Endpoint() as endpoint:
        yield endpoint


@pytest.fixture(autouse=True)
def bounded():
    start = time.monotonic()
    yield
    assert time.monotonic() - start < SECONDS


def outcome(settings, *asked):
    """The one-line error of asking, and the client."""
    client = Client(settings)
    with pytest.raises(UserError) as caught:
        client.complete(asked or [request(settings)])
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 600
    return caught.value, client


# --- what may pass


@pytest.mark.parametrize(
    "fault",
    [
        fails(429, "slow down"),
        fails(429, "slow down", retry_after="0.05"),
        fails(408),
        fails(409),
        fails(500),
        fails(503, retry_after_ms="20"),
        breaks_off,
        hangs_up,
        sends(b'{"choices": [{"mess'),
        sends(b""),
        sends(b"<html>"),
        sends(b"[" * 100_000),
        sends(b'{"choices": []}'),
        sends(b'{"choices": null}'),
        sends(b'{"choices": [{"message": 5}]}'),
        sends(b'{"choices": [{"index": ' + 9999 * b"1" + b"}]}"),
        sends(b'"choices"'),
        sends(b'{"error": {"message": "overloaded"}}'),
        says("x" * 10 * 2**20),
        sends(b"not gzip", headers={"content-encoding": "gzip"}),
        lambda _: Raw(status=502, chunks=(b"<html>" + b"x" * 10 * 2**20,)),
    ],
)
def test_what_may_pass_is_tried_again_a_bounded_number_of_times(endpoint, fault):
    settings = settings_for(endpoint, retries=2)
    endpoint.script.extend([fault, fault])
    client = Client(settings)
    assert client.complete([request(settings)])[0].choices[0].text == "row 0 0"
    assert client.usage.retries == 2
    assert sum(client.usage.statuses.values()) == 3
    endpoint.always = fault
    error, client = outcome(settings)
    assert isinstance(error, EndpointError)
    assert "(3 attempts)" in str(error)
    assert len(endpoint.received) == 6
    assert client.usage.calls == 0


def test_a_storm_of_429_ends_and_keeps_what_came(endpoint):
    settings = settings_for(endpoint, retries=2, concurrency=4)
    endpoint.script.extend([says("one"), says("two")])
    endpoint.always = fails(429, "slow down")
    error, client = outcome(settings, *requests(settings, 50))
    assert "answers 429: slow down" in str(error)
    assert sum(r is not None for r in error.replies) == 2 == client.usage.calls
    assert len(endpoint.received) <= 2 + 4 * 3


@pytest.mark.parametrize(("kind", "asked"), [("openai", [{}] * 8), ("ollama", [{"draws": 8}])])
def test_the_pause_that_is_asked_for_is_kept_by_all_who_queue(endpoint, kind, asked):
    settings = settings_for(endpoint, endpoint=kind, concurrency=2)
    came = []
    answers = one_choice(endpoint, pause=0.1)

    def behaviour(received):
        came.append(time.monotonic())
        return fails(429, retry_after="0.4")(received) if len(came) == 1 else answers(received)

    endpoint.always = behaviour
    Client(settings).complete([request(settings, i, **more) for i, more in enumerate(asked)])
    assert len(came) == 9
    assert came[1] - came[0] < 0.4  # had left already
    assert min(came[2:]) - came[0] > 0.4


def test_a_pause_beyond_the_deadline_is_not_begun(endpoint):
    settings = settings_for(endpoint, cell_seconds=30)
    endpoint.always = fails(429, retry_after="3600")
    error, _ = outcome(settings)
    assert isinstance(error, DeadlineError)
    assert len(endpoint.received) == 1


@pytest.mark.parametrize("fault", [drips, lambda _: Raw(length=100, chunks=(b" ",), pause=1.5)])
def test_a_reply_that_never_ends_is_cut_by_the_wall_clock(endpoint, fault):
    settings = settings_for(endpoint, request_seconds=0.3, retries=1)
    endpoint.always = fault
    error, client = outcome(settings)
    assert "no whole reply within llm.request_seconds=0.3" in str(error)
    assert client.usage.statuses == {"timeout": 2}


def test_a_reply_that_never_ends_does_not_outlast_the_cell(endpoint):
    settings = settings_for(endpoint, cell_seconds=0.4)
    endpoint.always = drips
    assert isinstance(outcome(settings)[0], DeadlineError)


def test_replies_that_broke_off_count_in_the_budget(endpoint):
    settings = settings_for(endpoint, retries=50, max_tokens=300)
    endpoint.always = breaks_off
    error, client = outcome(settings)
    assert "llm.max_tokens=300" in str(error)
    attempts = len(endpoint.received)
    assert attempts >= 2
    assert 300 >= client.usage.lost_tokens == attempts * at_most(endpoint.bodies[0]).total


# --- what is said for good


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (fails(401, "Incorrect API key"), "refuses access (401)"),
        (fails(403), "refuses access (403)"),
        (fails(404, "model 'x' not found, try pulling it first"), "no model 'test-model'"),
        (fails(400, "maximum context length is 8192 tokens"), "answers 400: maximum context length"),
        (fails(429, "You exceeded your current quota", code="insufficient_quota"), "no quota left"),
        (fails(418, "\x1b[31mtea\x00\n" + "pot " * 5000), "answers 418:"),
        (lambda _: json_answer({"detail": "Not Found"}, 404), "(404): Not Found"),
        (lambda _: json_answer(["odd"], 400), "answers 400: ['odd']"),
        (lambda _: Raw(status=400, chunks=(b"\xff\xfe",)), "answers 400"),
    ],
)
def test_what_will_not_pass_ends_at_once(endpoint, fault, told):
    endpoint.always = fault
    settings = settings_for(endpoint, concurrency=1)
    error, _ = outcome(settings, *requests(settings, 10))
    assert told in str(error)
    assert all(c.isprintable() for c in str(error))
    assert len(endpoint.received) == 1


def test_no_endpoint_at_all_ends_at_once():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with Endpoint() as other:
        settings = settings_for(other, base_url=f"http://127.0.0.1:{port}/v1", concurrency=1)
    error, client = outcome(settings, *requests(settings, 10))
    assert f"127.0.0.1:{port}/v1: nothing answers there" in str(error)
    assert client.usage.statuses == {"connection": 1}


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_redirects_are_not_followed(endpoint, status):
    with Endpoint() as elsewhere:
        endpoint.always = lambda _: Raw(status, headers={"location": elsewhere.url + "/chat/completions"})
        error, _ = outcome(settings_for(endpoint))
        assert "redirects elsewhere" in str(error)
        assert not elsewhere.received


def test_proxies_of_the_environment_see_nothing_of_what_is_local(endpoint, monkeypatch):
    with Endpoint() as proxy:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy.url.removesuffix("/v1"))
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.delenv("no_proxy", raising=False)
        settings = settings_for(endpoint)
        Client(settings, "local-only", "rows").complete([request(settings)])
        assert not proxy.received


# --- what an endpoint does not know


@pytest.mark.parametrize(
    ("fault", "field"),
    [
        (fails(400, "Unknown parameter: 'response_format'.", param="response_format"), "response_format"),
        (fails(400, "json_schema is not supported by this model"), "response_format"),
        (fails(422, "seed: Extra inputs are not permitted"), "seed"),
        (fails(400, "Unrecognized request argument supplied: 'seed'"), "seed"),
        (fails(400, "Only one completion choice is allowed"), "n"),
        (fails(400, "'n' must be 1"), "n"),
        (fails(400, "Use 'max_completion_tokens' instead.", param="max_tokens"), "max_tokens"),
        (fails(400, "Unsupported parameter: 'temperature' is not supported with this model."), "temperature"),
        (fails(400, "Unsupported parameter.", param="top_p"), "top_p"),
    ],
)
def test_a_field_that_is_not_known_is_dropped_and_stays_so(endpoint, fault, field):
    endpoint.script.append(fault)
    settings = settings_for(endpoint, concurrency=1)
    client = Client(settings)
    replies = client.complete(requests(settings, 2, draws=2, form=FORM))
    client.complete([request(settings, 5, draws=2, form=FORM)])
    assert all(r.dropped == (field,) and len(r.choices) == 2 for r in replies)
    first, *others = endpoint.bodies
    assert field in first
    assert not any(field in body for body in others)
    assert {*first} - {*others[0]} == {field}
    assert len(others) == (6 if field == "n" else 3)
    assert client.usage.retries == 0
    if field == "max_tokens":
        assert others[0]["max_completion_tokens"] == 50


def test_an_endpoint_that_refuses_whatever_is_sent_ends(endpoint):
    endpoint.always = fails(400, "unknown: response_format, seed, 'n'")
    settings = settings_for(endpoint)
    error, _ = outcome(settings, request(settings, draws=2, form=FORM))
    assert "answers 400" in str(error)
    assert len(endpoint.received) <= 5


def test_a_temperature_that_is_refused_is_not_left_out(endpoint):
    endpoint.always = fails(400, "'temperature' does not support 0.5 with this model.", param="temperature")
    error, _ = outcome(settings_for(endpoint, temperature=0.5))
    assert "answers 400: 'temperature' does not support 0.5" in str(error)
    assert len(endpoint.received) == 1


def test_a_grammar_that_llama_cpp_cannot_parse_is_not_left_out(endpoint):
    endpoint.always = fails(400, "failed to parse grammar")
    settings = settings_for(endpoint, endpoint="llama_cpp")
    error, _ = outcome(settings, request(settings, form=Form(grammar="root ::=")))
    assert "failed to parse grammar" in str(error)


def test_fewer_choices_than_drawn_are_a_reply(endpoint):
    settings = settings_for(endpoint)
    endpoint.always = says("only one")
    assert len(Client(settings).complete([request(settings, draws=4)])[0].choices) == 1


def test_draws_that_came_are_kept_when_others_fail(endpoint):
    settings = settings_for(endpoint, endpoint="ollama", retries=0, concurrency=1)
    endpoint.script.extend([says("one"), says("two")])
    endpoint.always = fails(500)
    error, client = outcome(settings, request(settings, draws=4))
    assert [c.text for c in client.exchanges[0].reply.choices] == ["one", "two"]
    assert error.replies[0] == client.exchanges[0].reply


# --- what a reply may hold


@pytest.mark.parametrize(
    ("fault", "choice"),
    [
        (says("", usage=False), {"text": ""}),
        (says(None, refusal="I cannot invent patients."), {"text": "", "refusal": "I cannot invent patients."}),
        (says("part", finish="length"), {"text": "part", "finish": "length"}),
        (says("NaN, Infinity, five mg"), {"text": "NaN, Infinity, five mg"}),
        (
            fails(400, "filtered", code="content_filter"),
            {"text": "", "finish": "content_filter", "refusal": "filtered"},
        ),
        (sends(b'{"choices": [{"message": {"content": "a\xff\xfeb"}}]}'), {"text": "a\ufffd\ufffdb"}),
        (sends(b'{"choices": [{"message": {"content": "a\\ud800b"}}]}'), {"text": "a?b"}),
        (sends(b'{"choices": [{"message": {"content": "a\\u0000b"}}]}'), {"text": "a\0b"}),
        (sends(b'{"choices": [{"message": {"content": {"a": [1]}}}]}'), {"text": ""}),
    ],
)
def test_odd_replies_are_replies_and_are_cached_as_such(endpoint, tmp_path, fault, choice):
    endpoint.always = fault
    settings = settings_for(endpoint, cache=str(tmp_path))
    reply = Client(settings).complete([request(settings)])[0]
    assert reply.choices[0].model_dump() == {"finish": "stop", "refusal": ""} | choice
    assert Client(settings).complete([request(settings)]) == [reply]
    assert len(endpoint.received) == 1
    Client(settings).complete([request(settings, 1)])  # a new draw is a new request
    assert len(endpoint.received) == 2


@pytest.mark.parametrize(
    "usage", [None, [], {"prompt_tokens": -5}, {"completion_tokens": "many"}, {"prompt_tokens": 1e99}]
)
def test_a_usage_that_cannot_be_is_replaced_by_an_estimate(endpoint, usage):
    endpoint.always = lambda _: json_answer(completion("word " * 30) | {"usage": usage})
    settings = settings_for(endpoint)
    used = Client(settings).complete([request(settings)])[0].usage
    assert used.prompt_tokens == 2  # of 5 characters
    assert used.completion_tokens == 51  # of 150


# --- keys


def everything_written(folder):
    return b"".join(p.read_bytes() for p in folder.rglob("*") if p.is_file())


def test_a_wrong_key_is_not_repeated_anywhere(endpoint, monkeypatch, tmp_path, caplog):
    monkeypatch.setenv("SOME_KEY", KEY)
    caplog.set_level(logging.DEBUG)
    settings = settings_for(endpoint, key_env="SOME_KEY", cache=str(tmp_path), ledger=str(tmp_path / "l"), retries=0)
    echoes = [fails(s, f"Incorrect API key provided: {KEY}, Bearer {KEY}") for s in (401, 400, 404, 500)]
    for echo in echoes:
        endpoint.always = echo
        client = Client(settings)
        try:
            client.complete([request(settings)])
        except UserError as error:
            told = "".join(traceback.format_exception(error)) + repr(error) + repr(vars(error))
        assert KEY not in told
        assert "[key]" in told or "check the key in SOME_KEY" in told
        assert KEY not in repr(vars(client))
    assert endpoint.received[0].headers["authorization"] == f"Bearer {KEY}"
    endpoint.always = says(f"your key is {KEY}", model=KEY, refusal=KEY)
    client = Client(settings)
    assert client.complete([request(settings)])[0].choices[0].text == "your key is [key]"
    assert KEY not in repr(client.exchanges)
    assert KEY.encode() not in everything_written(tmp_path)
    assert everything_written(tmp_path)
    assert KEY not in caplog.text


@pytest.mark.parametrize(
    ("value", "told"), [(None, "holds no key"), ("  ", "holds no key"), ("a b\nsecret", "is no key")]
)
def test_a_missing_or_odd_key_is_one_line_that_names_the_variable(endpoint, monkeypatch, value, told):
    monkeypatch.delenv("SOME_KEY", raising=False)
    if value is not None:
        monkeypatch.setenv("SOME_KEY", value)
    error, _ = outcome(settings_for(endpoint, key_env="SOME_KEY"))
    assert "SOME_KEY" in str(error)
    assert told in str(error)
    assert "secret" not in str(error)
    assert not endpoint.received


def test_the_key_is_read_when_it_is_used(endpoint, monkeypatch):
    settings = settings_for(endpoint, key_env="SOME_KEY")
    client = Client(settings)
    monkeypatch.setenv("SOME_KEY", KEY)
    assert client.complete([request(settings)])


def test_what_looks_like_a_key_is_taken_out_of_messages():
    line = Secrets("hunter2").line("no: hunter2, sk-abcd****wxyz and Bearer abcdef123\nnext")
    assert line == "no: [key], [key] and [key] next"
    assert len(Secrets().line("x" * 10**6)) <= 300


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "3"}, 3),
        ({"retry-after": "3", "retry-after-ms": "250"}, 0.25),
        ({"retry-after": "-1"}, 0),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0),
    ],
)
def test_what_a_server_asks_to_wait(headers, seconds):
    assert retry_after(headers) == seconds


def test_without_the_openai_package_one_line_says_what_to_install(endpoint, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "openai", None)
    error, _ = outcome(settings_for(endpoint))
    assert "synthward[llm]" in str(error)


def test_nothing_of_the_openai_package_is_loaded_before_a_request_is_sent():
    import subprocess
    import sys

    code = "import sys, synthward.generators.llm.client, synthward.generators.llm.batch; print('openai' in sys.modules)"
    env = os.environ | {"PYTHONPATH": str(Path(__file__).parent)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=env)
    assert done.stdout == "False\n"
