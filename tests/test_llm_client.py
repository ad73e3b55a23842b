"""The LLM client against an endpoint that behaves: requests, cache, budget, transcripts, batches."""

import asyncio
import contextlib
import gzip
import importlib
import json
import os
import subprocess
import sys
import threading
import time
from dataclasses import asdict
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from llm_endpoint import Endpoint, completion, drips, fails, json_answer, one_choice, says, settings_for
from synthward.generators.llm import endpoints, sender, server, transcript, transport
from synthward.generators.llm.budget import at_most
from synthward.generators.llm.cache import Cache
from synthward.generators.llm.client import Client
from synthward.generators.llm.exchange import Choice, Exchange, Form, Message, Reply, Request, Usage
from synthward.generators.llm.failures import DeadlineError, EndpointError
from synthward.generators.llm.settings import LLMSettings
from synthward.generators.llm.transcript import SUFFIX, Transcripts, defining_of, dump
from synthward.results.errors import UserError

SCHEMA = {"type": "object", "properties": {"age": {"type": "integer"}}}
FORM = Form(grammar='root ::= "1"', json_schema=SCHEMA)


@pytest.fixture
def endpoint():
    with Endpoint() as endpoint:
        yield endpoint


def request(settings, index=0, **more):
    fields = {"max_tokens": 50, "seed": 10 * index} | more
    return Request(model=settings.defining, messages=(Message(role="user", content="rows!"),), index=index, **fields)


def requests(settings, count, **more):
    return [request(settings, i, **more) for i in range(count)]


def exchange(settings, index=0, text="1,2"):
    asked = request(settings, index)
    return Exchange(request=asked, reply=Reply(key=asked.key, choices=(Choice(text=text),)))


# --- what is sent, and what comes back


def test_replies_come_in_the_order_of_their_requests(endpoint):
    settings = settings_for(endpoint, concurrency=4)
    client = Client(settings)
    replies = client.complete(list(reversed(requests(settings, 9))))
    assert [r.choices[0].text for r in replies] == [f"row {10 * i} 0" for i in reversed(range(9))]
    assert [e.request.index for e in client.exchanges] == list(range(9))
    assert replies[0].model == "test-model"
    assert replies[0].seconds > 0


def test_a_request_is_asked_once_even_without_a_cache(endpoint):
    settings = settings_for(endpoint)
    client = Client(settings)
    twice = client.complete([request(settings), request(settings)])
    assert twice[0] == twice[1] == client.complete([request(settings)])[0]
    assert len(endpoint.bodies) == 1


def test_concurrency_is_bounded(endpoint):
    settings = settings_for(endpoint, concurrency=2)
    endpoint.delay = 0.05
    start = time.monotonic()
    Client(settings).complete(requests(settings, 6))
    assert time.monotonic() - start >= 3 * 0.05


@pytest.mark.parametrize(
    ("kind", "sent", "unsent"),
    [
        ("openai", {"response_format", "n", "temperature", "top_p"}, {"grammar", "top_k"}),
        ("vllm", {"structured_outputs", "n", "temperature", "min_p"}, {"response_format", "grammar"}),
        ("llama_cpp", {"grammar", "n", "top_k", "min_p", "top_p"}, {"response_format"}),
        ("ollama", {"response_format", "temperature", "top_p"}, {"grammar", "n"}),
    ],
)
def test_each_kind_of_endpoint_is_sent_what_it_understands(endpoint, kind, sent, unsent):
    settings = settings_for(endpoint, endpoint=kind)
    reply = Client(settings).complete([request(settings, draws=3, form=FORM)])[0]
    assert len(reply.choices) == 3
    for body in endpoint.bodies:
        assert sent <= set(body)
        assert not unsent & set(body)


def test_where_draws_are_several_requests_each_has_its_own_seed(endpoint):
    settings = settings_for(endpoint, endpoint="ollama")
    reply = Client(settings).complete([request(settings, index=1, draws=3)])[0]
    assert sorted(body["seed"] for body in endpoint.bodies) == [10, 11, 12]
    assert [c.text for c in reply.choices] == ["row 10 0", "row 11 0", "row 12 0"]
    assert reply.usage == Usage(prompt_tokens=300, completion_tokens=9)


def test_all_models_that_answered_the_draws_of_a_request_are_told(endpoint):
    endpoint.script.append(says("1", model="other.gguf"))
    endpoint.always = says("2", model="one.gguf")
    settings = settings_for(endpoint, endpoint="ollama")
    assert Client(settings).complete([request(settings, draws=3)])[0].model == "one.gguf, other.gguf"


def test_tokens_of_all_draws_are_counted_where_llama_cpp_tells_those_of_one(endpoint):
    settings = settings_for(endpoint, endpoint="llama_cpp")
    endpoint.script.append(
        lambda _: json_answer(completion("a b", "c d e") | {"usage": {"prompt_tokens": 7, "completion_tokens": 2}})
    )
    reply = Client(settings).complete([request(settings, draws=2)])[0]
    assert reply.usage == Usage(prompt_tokens=7, completion_tokens=5)
    assert endpoint.received[-1].path == "/tokenize"


def test_query_parameters_and_azures_header(endpoint, monkeypatch):
    monkeypatch.setenv("SOME_KEY", "s3cret")
    settings = settings_for(endpoint, query={"api-version": "2026-01-01"}, key_env="SOME_KEY")
    Client(settings).complete([request(settings)])
    assert endpoint.received[0].path == "/v1/chat/completions?api-version=2026-01-01"
    assert endpoint.received[0].headers["authorization"] == "Bearer s3cret"
    assert "api-key" not in endpoint.received[0].headers
    for host, sent in (("ward.openai.azure.com", True), ("ward.azure-api.net", True), ("azure.com.example.org", False)):
        assert (asyncio.run(api_key_header(f"https://{host}/v1")) == "s3cret") == sent


async def api_key_header(url):
    async with transport.connected(url, "s3cret", {}, 5) as sdk:
        return sdk.default_headers.get("api-key")


def test_works_in_a_fork_of_a_process_that_has_used_it(endpoint):
    settings = settings_for(endpoint)
    client = Client(settings)
    client.complete([request(settings)])
    pid = os.fork()
    if pid == 0:
        os._exit(int(len(client.complete(requests(settings, 3))) != 3))
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert len(client.complete(requests(settings, 5))) == 5


def test_a_request_for_another_model_never_enters_the_cache(endpoint):
    settings = settings_for(endpoint)
    with pytest.raises(ValueError, match="another model"):
        Client(settings_for(endpoint, temperature=0.5)).complete([request(settings)])
    assert not endpoint.received


# --- the embedded server


@pytest.fixture
def embedded(endpoint, monkeypatch):
    """Settings of an embedded model whose server is the endpoint, and a list of what is done with its turn."""
    turns = []

    @contextlib.contextmanager
    def turn(settings):
        turns.append("begins")
        yield
        time.sleep(0.02)  # the next request waits for this as well
        turns.append("ends")

    monkeypatch.setattr(server, "serve", lambda settings: server.Connection(base_url=endpoint.url, key="its-key"))
    monkeypatch.setattr(server, "turn", turn)
    return LLMSettings(endpoint="embedded", concurrency=8), turns


def test_the_embedded_model_is_asked_one_request_at_a_time(endpoint, embedded):
    settings, turns = embedded
    Client(settings, "local-only", "rows").complete(requests(settings, 4, form=FORM))
    assert turns == ["begins", "ends"] * 4
    assert endpoint.received[0].headers["authorization"] == "Bearer its-key"
    assert endpoint.bodies[0].keys() >= {"grammar", "cache_prompt", "top_k"}
    assert "response_format" not in endpoint.bodies[0]
    Client(settings).complete([request(settings, 9, form=Form(json_schema=SCHEMA))])
    assert "response_format" in endpoint.bodies[-1]


def test_a_turn_that_does_not_come_ends_with_the_cell(endpoint, embedded, monkeypatch):
    settings, _ = embedded
    release = threading.Event()

    @contextlib.contextmanager
    def blocked(settings):
        release.wait()
        yield

    monkeypatch.setattr(server, "turn", blocked)
    with pytest.raises(DeadlineError):
        Client(settings.model_copy(update={"cell_seconds": 0.3})).complete([request(settings)])
    release.set()
    assert not endpoint.received


def test_an_error_in_taking_a_turn_is_told(embedded, monkeypatch):
    settings, _ = embedded

    @contextlib.contextmanager
    def broken(settings):
        raise UserError("the model file is gone")
        yield

    monkeypatch.setattr(server, "turn", broken)
    with pytest.raises(UserError, match="file is gone"):
        Client(settings).complete([request(settings)])


def test_an_embedded_server_that_was_stopped_is_started_again(endpoint, embedded, monkeypatch):
    settings, _ = embedded
    monkeypatch.setattr(sender, "FIRST_PAUSE", 0.01)
    places = iter(["http://127.0.0.1:9/v1", endpoint.url])
    monkeypatch.setattr(server, "serve", lambda settings: server.Connection(base_url=next(places), key="its-key"))
    assert Client(settings).complete([request(settings)])
    assert next(places, None) is None


# --- who may be sent what


@pytest.mark.parametrize("sends", ["statistics", "examples", "rows"])
@pytest.mark.parametrize(
    "place",
    [
        {"endpoint": "openai", "base_url": "https://api.example.com/v1"},
        {"endpoint": "vllm", "base_url": "http://127.0.0.1.example.com/v1"},
        {"endpoint": "ollama", "base_url": "http://127.0.0.1:11434/v1", "model": "gpt-oss:120b-cloud"},
    ],
)
def test_what_is_local_stays_on_this_machine(place, sends):
    settings = LLMSettings(**place)
    with pytest.raises(UserError, match=r"local-only .* llm\.allow_remote=true"):
        Client(settings, "local-only", sends)
    Client(settings, "local-only", "description")
    Client(settings, "public", sends)
    Client(settings.model_copy(update={"allow_remote": True}), "local-only", sends)


def test_a_model_on_this_machine_may_see_local_rows(endpoint):
    Client(settings_for(endpoint), "local-only", "rows")
    Client(LLMSettings(endpoint="embedded"), "local-only", "rows")


@pytest.mark.parametrize(
    ("url", "why"),
    [
        (None, "needs the address"),
        ("api.example.com/v1", "no address"),
        ("ftp://example.com", "no address"),
        ("http://[::1", "no address"),
        ("http://host:99999/v1", "no address"),
        ("https://me:hunter2@example.com/v1", "key_env"),
        ("https://example.com/v1?code=hunter2", "key_env"),
        ("https://example.com/v1#hunter2", "query"),
    ],
)
def test_an_address_that_is_none_is_one_line_without_a_password(url, why):
    with pytest.raises(UserError, match=why) as caught:
        Client(LLMSettings.parse({"endpoint": "openai", "base_url": url}))
    assert "hunter2" not in str(caught.value)


def test_a_key_where_its_variable_should_be_named_is_not_told():
    with pytest.raises(UserError, match=r"llm\.key_env: is the name of the variable") as caught:
        LLMSettings.parse({"endpoint": "openai", "key_env": "sk-hunter2"})
    assert "hunter2" not in str(caught.value)


# --- the cache


def test_a_second_client_pays_nothing(endpoint, tmp_path):
    settings = settings_for(endpoint, cache=str(tmp_path))
    first = Client(settings)
    replies = first.complete(requests(settings, 5))
    second = Client(settings)
    assert second.complete(requests(settings, 5)) == replies
    assert len(endpoint.bodies) == 5
    assert second.exchanges == first.exchanges
    assert asdict(second.usage) == asdict(Client(settings).usage) | {"cached_tokens": 5 * 103}
    assert (first.usage.calls, first.usage.prompt_tokens, first.usage.completion_tokens) == (5, 500, 15)
    assert not list(tmp_path.rglob("*.lock"))


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: b"",
        lambda data: data[: len(data) // 2],
        lambda data: data.replace(b"row 0", b"row 1"),
        lambda data: b"\xff" + data,
        lambda data: b"[" * 100_000,
    ],
)
def test_a_damaged_file_is_a_miss_and_is_replaced(endpoint, tmp_path, damage):
    settings = settings_for(endpoint, cache=str(tmp_path))
    replies = Client(settings).complete([request(settings)])
    (path,) = tmp_path.rglob("*.json")
    path.write_bytes(damage(path.read_bytes()))
    assert Client(settings).complete([request(settings)])[0].choices == replies[0].choices
    assert len(endpoint.bodies) == 2
    Client(settings).complete([request(settings)])
    assert len(endpoint.bodies) == 2


def test_a_file_under_a_foreign_key_is_a_miss(endpoint, tmp_path):
    settings = settings_for(endpoint)
    cache, one, other = Cache(tmp_path), exchange(settings, 0), exchange(settings, 1)
    cache.put(one)
    target = tmp_path / other.request.key[:2] / f"{other.request.key}.json"
    target.parent.mkdir(exist_ok=True)
    next(tmp_path.rglob("*.json")).rename(target)
    assert cache.get(other.request) is None


@given(text=st.text(), seed=st.integers(0, 2**31))
def test_whatever_a_model_says_comes_back_from_the_cache(tmp_path_factory, text, seed):
    settings = LLMSettings(endpoint="embedded")
    asked = request(settings, seed=seed)
    reply = Reply(key=asked.key, choices=(Choice(text=text),))
    cache = Cache(tmp_path_factory.mktemp("cache"))
    cache.put(Exchange(request=asked, reply=reply))
    assert cache.get(asked) == Exchange(request=asked, reply=reply)


def test_a_cache_that_cannot_be_written_is_one_line(endpoint, tmp_path):
    (tmp_path / "file").write_text("")
    settings = settings_for(endpoint, cache=str(tmp_path / "file" / "cache"))
    with pytest.raises(UserError, match="cannot be written"):
        Client(settings).complete([request(settings)])


# --- settings


def test_the_price_is_that_of_the_model():
    table = {"a-1.5": {"prompt": 1, "completion": 2}, "b": {"prompt": 3, "completion": 4}}
    assert LLMSettings(model="a-1.5", price=table).price.completion == 2
    assert LLMSettings(model="c", price=table).price is None
    assert LLMSettings(model="c", price={"prompt": 1, "completion": 1}).price.prompt == 1


def test_the_configurations_are_settings():
    import yaml

    for path in sorted((Path(__file__).parent.parent / "conf" / "llm").glob("*.yaml")):
        fields = yaml.safe_load(path.read_text())
        settings = LLMSettings.parse(fields)
        assert settings.endpoint == path.stem or path.stem not in ("openai", "vllm", "ollama", "llama_cpp", "replay")
    openai = yaml.safe_load((path.parent / "openai.yaml").read_text())
    assert all(LLMSettings.parse(openai | {"model": m}).price for m in openai["price"])


# --- the deadline


def test_the_deadline_of_a_cell_ends_it_with_what_came(endpoint):
    settings = settings_for(endpoint, cell_seconds=0.8, concurrency=1)
    endpoint.delay = 0.25
    client = Client(settings)
    start = time.monotonic()
    with pytest.raises(DeadlineError, match=r"llm\.cell_seconds=0\.8") as caught:
        client.complete(requests(settings, 50))
    assert time.monotonic() - start < 10  # of 12.5 without the deadline
    came = [r for r in caught.value.replies if r is not None]
    assert 1 <= len(came) <= 3
    assert len(caught.value.replies) == 50
    assert [e.reply for e in client.exchanges] == came
    with pytest.raises(DeadlineError):  # it is the deadline of all its requests together
        client.complete([request(settings, 99)])


# --- transcripts


def test_a_replay_gives_the_same_replies_and_sends_nothing(endpoint, tmp_path):
    settings = settings_for(endpoint)
    client = Client(settings)
    replies = client.complete(requests(settings, 4, draws=2))
    path = tmp_path / f"cell{SUFFIX}"
    path.write_bytes(dump(client.exchanges))
    assert path.read_bytes() == dump(client.exchanges)
    sent = len(endpoint.received)
    for place in (path, tmp_path):
        replay = Client(LLMSettings(endpoint="replay", transcript=str(place)), "local-only", "rows")
        assert replay.complete(requests(settings, 4, draws=2)) == replies
        assert replay.exchanges == client.exchanges
    assert len(endpoint.received) == sent
    assert defining_of(path) == settings.defining


def test_a_request_that_is_not_in_the_transcript_is_one_line(tmp_path):
    settings = LLMSettings(model="m")
    path = tmp_path / f"a{SUFFIX}"
    path.write_bytes(dump([exchange(settings)]))
    with pytest.raises(UserError, match=rf"{path.name} does not hold request 7"):
        Client(LLMSettings(endpoint="replay", transcript=str(path))).complete([request(settings, 7)])
    with pytest.raises(UserError, match="there is no transcript"):
        Client(LLMSettings(endpoint="replay", transcript=str(tmp_path / "none"))).complete([request(settings)])
    with pytest.raises(UserError, match=r"llm\.transcript="):
        Client(LLMSettings(endpoint="replay"))


def test_transcripts_that_contradict_each_other_are_told(tmp_path):
    settings = LLMSettings(model="m")
    (tmp_path / f"a{SUFFIX}").write_bytes(dump([exchange(settings)]))
    (tmp_path / f"b{SUFFIX}").write_bytes(dump([exchange(settings)]))
    assert Transcripts.read(tmp_path).get(request(settings)).reply.choices[0].text == "1,2"
    (tmp_path / f"c{SUFFIX}").write_bytes(dump([exchange(settings, text="other")]))
    with pytest.raises(UserError, match="differently"):
        Transcripts.read(tmp_path).get(request(settings))


def test_the_model_of_a_folder_of_transcripts(tmp_path):
    one, other = LLMSettings(model="one"), LLMSettings(model="other")
    for settings in (one, other):
        (tmp_path / f"{settings.model}{SUFFIX}").write_bytes(dump([exchange(settings)]))
    with pytest.raises(UserError, match=r"several models.*one \(embedded.*other"):
        defining_of(tmp_path)
    assert defining_of(tmp_path, "other") == other.defining
    with pytest.raises(UserError, match="'third'"):
        defining_of(tmp_path, "third")


def header(**more):
    return json.dumps({"format": "synthward-transcript", "version": 1, "model": {}} | more).encode() + b"\n"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no gzip",
        gzip.compress(b"")[:-4],
        gzip.compress(b"{}\n"),
        gzip.compress(header(version=2)),
        gzip.compress(header(model=[])),
        gzip.compress(header() + b"{}\n"),
        gzip.compress(header() + b"[" * 100_000),
        gzip.compress(header() + b'{"reply": {"key": "%s"}}\n' % request(LLMSettings()).key.encode()),
        gzip.compress(header() + b" " * (33 * 2**20)),
    ],
)
def test_a_damaged_or_hostile_transcript_is_one_line(tmp_path, content):
    path = tmp_path / f"a{SUFFIX}"
    path.write_bytes(content)
    with pytest.raises(UserError) as caught:
        Transcripts.read(path).get(request(LLMSettings()))
    assert path.name in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_reply_to_another_request_is_no_answer(tmp_path):
    settings = LLMSettings(model="m")
    one, other = exchange(settings, 0), exchange(settings, 1)
    forged = Exchange(request=other.request, reply=one.reply)
    (tmp_path / f"a{SUFFIX}").write_bytes(dump([forged]))
    with pytest.raises(UserError, match="not to its request"):
        Transcripts.read(tmp_path).get(one.request)


def test_a_transcript_that_decompresses_to_too_much_is_not_read(tmp_path, monkeypatch):
    path = tmp_path / f"a{SUFFIX}"
    path.write_bytes(dump([exchange(LLMSettings(), i) for i in range(9)]))
    Transcripts.read(path)
    for bound in ("MAX_BYTES", "MAX_LINE"):
        with monkeypatch.context() as tight:
            tight.setattr(transcript, bound, 300)
            with pytest.raises(UserError, match="larger than any"):
                Transcripts.read(path)


def test_a_transcript_is_of_one_model():
    with pytest.raises(ValueError, match="one model"):
        dump([exchange(LLMSettings(model="a")), exchange(LLMSettings(model="b"))])


# --- several processes

ASK = """
import sys
sys.path.insert(0, {here!r})
from test_llm_client import requests
from synthward.generators.llm.client import Client
from synthward.generators.llm.settings import LLMSettings
settings = LLMSettings.model_validate_json({settings!r})
print(len(Client(settings).complete(requests(settings, {count}, draws={draws}))))
"""


def asking(settings, count, draws=1):
    here = str(Path(__file__).parent)
    code = ASK.format(here=here, settings=settings.model_dump_json(), count=count, draws=draws)
    return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)


def test_two_processes_that_ask_the_same_pay_once(endpoint, tmp_path):
    endpoint.delay = 0.1
    settings = settings_for(endpoint, cache=str(tmp_path), concurrency=2)
    both = [asking(settings, 12) for _ in range(2)]
    assert [p.communicate(timeout=60)[0] for p in both] == ["12\n"] * 2
    assert sorted(body["seed"] for body in endpoint.bodies) == [10 * i for i in range(12)]


def test_a_kill_in_the_middle_loses_no_paid_reply(endpoint, tmp_path):
    endpoint.delay = 0.1
    settings = settings_for(endpoint, cache=str(tmp_path), concurrency=2)
    process = asking(settings, 40)
    while len(endpoint.received) < 11:
        assert process.poll() is None
        time.sleep(0.01)
    process.kill()
    process.wait()
    before = len(endpoint.bodies)
    assert len(Client(settings).complete(requests(settings, 40))) == 40  # no lock is left behind either
    in_flight = before + len(endpoint.bodies[before:]) - 40
    assert before >= 11
    assert 0 <= in_flight <= 2


# --- draws that are requests of their own


def seeds_of(endpoint):
    """Seeds of the single draws that were asked for, in the order they came."""
    return [body["seed"] for body in endpoint.bodies if "n" not in body]


@pytest.mark.parametrize("kind", ["openai", "ollama"])
def test_a_kill_loses_no_paid_draw(endpoint, tmp_path, kind):
    endpoint.always = one_choice(endpoint, pause=0.05)
    settings = settings_for(endpoint, endpoint=kind, cache=str(tmp_path), concurrency=2)
    process = asking(settings, 2, draws=8)
    while len(seeds_of(endpoint)) < 11:
        assert process.poll() is None
        time.sleep(0.01)
    process.kill()
    process.wait()
    before = len(seeds_of(endpoint))
    client = Client(settings)
    replies = client.complete(requests(settings, 2, draws=8))
    assert [c.text for r in replies for c in r.choices] == [
        f"row {10 * i + draw} 0" for i in (0, 1) for draw in range(8)
    ]
    in_flight = len(seeds_of(endpoint)) - 16
    assert 0 <= in_flight <= 2
    assert client.usage.calls == len(seeds_of(endpoint)) - before
    assert client.usage.cached_tokens == (before - in_flight) * 103
    sent = len(endpoint.received)
    assert Client(settings).complete(requests(settings, 2, draws=8)) == replies
    assert len(endpoint.received) == sent


@pytest.mark.parametrize("kind", ["openai", "ollama"])
def test_the_deadline_of_a_cell_loses_no_paid_draw(endpoint, tmp_path, kind):
    importlib.import_module("openai")  # now, not within the deadline
    settings = settings_for(endpoint, endpoint=kind, cache=str(tmp_path), concurrency=2)
    answers = one_choice(endpoint)
    endpoint.always = lambda received: (answers if len(seeds_of(endpoint)) < 6 else drips)(received)
    client = Client(settings.model_copy(update={"cell_seconds": 0.6}))
    with pytest.raises(DeadlineError) as caught:
        client.complete([request(settings, draws=8)])
    (reply,) = caught.value.replies
    assert len(reply.choices) == 5
    assert [e.reply for e in client.exchanges] == [reply]
    assert (client.usage.calls, client.usage.prompt_tokens) == (5, 500)
    lost = 2 * at_most(endpoint.bodies[-1]).total  # the two that were under way may have been billed
    assert client.usage.lost_tokens == lost
    endpoint.always = answers
    (whole,) = Client(settings).complete([request(settings, draws=8)])
    assert [c.text for c in whole.choices] == [f"row {draw} 0" for draw in range(8)]
    assert len(seeds_of(endpoint)) == 8 + 2


def test_a_draw_that_fails_for_good_keeps_the_others_from_being_sent(endpoint):
    settings = settings_for(endpoint, endpoint="ollama", concurrency=2)
    endpoint.always = fails(401, "no")
    with pytest.raises(EndpointError, match="401"):
        Client(settings).complete([request(settings, draws=8)])
    assert len(endpoint.received) <= 2


# --- what an endpoint refuses


def test_the_message_of_a_refused_field_is_told_from_others():
    from synthward.generators.llm.failures import Failure

    sent = {"n": 3, "seed": 1, "response_format": {}, "max_tokens": 5, "temperature": 0.5, "top_p": 1.0}
    told = {
        "Unknown parameter: 'n'": "n",
        "only one completion choice is allowed": "n",
        "seed is not supported": "seed",
        "Unsupported parameter: 'max_tokens', use 'max_completion_tokens' instead": "max_tokens",
        "This model does not support response_format json_schema": "response_format",
        "`temperature` and `top_p` cannot both be specified for this model": "top_p",
        "Unsupported value: 'temperature' does not support 0.5 with this model. Only the default (1)": None,
        "context length exceeded in the prompt": None,
        "the number of messages is wrong": None,
    }
    for reason, field in told.items():
        assert endpoints.refused_field(Failure(reason, status=400), sent) == field, reason
    assert endpoints.refused_field(Failure("seed", status=500), sent) is None
    assert endpoints.refused_field(Failure("no", status=422, param="seed"), sent) == "seed"


def test_says_of_the_endpoint_are_used(endpoint):
    settings = settings_for(endpoint)
    endpoint.script.append(says("one", "two", "three", "four"))
    assert [c.text for c in Client(settings).complete([request(settings, draws=3)])[0].choices] == [
        "one",
        "two",
        "three",
    ]
