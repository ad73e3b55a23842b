"""The embedded model: its file, its server, and replies that can be had again to the last bit."""

import contextlib
import hashlib
import http.client
import importlib
import json
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, HTTPServer
from multiprocessing import get_context
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest
from synthward.generators.llm import models, server
from synthward.generators.llm.exchange import Form
from synthward.generators.llm.models import ModelFile, Part, digest_of, locate
from synthward.generators.llm.server import Connection, Runtime, extra_body, find, serve, turn
from synthward.generators.llm.settings import LLMSettings
from synthward.results.errors import UserError

SMOLLM = "smollm2-135m-instruct"
SETTINGS = LLMSettings(model=SMOLLM, draws=4, slots=4, context=1024)


# The file.


@pytest.fixture
def site(tmp_path, monkeypatch):
    """A folder that packages are installed in, and a cache of its own."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setenv("SYNTHWARD_CACHE", str(tmp_path / "cache"))
    return folder


def install(site, name, path, content):
    info = site / f"{name.replace('-', '_')}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    file = site / path
    file.parent.mkdir(parents=True)
    file.write_bytes(content)
    (site / path.split("/")[0] / "__init__.py").write_text("raise SystemExit('models are data')")
    importlib.invalidate_caches()
    return file


def publish(monkeypatch, *contents):
    """Make a model known that comes in so many parts."""
    whole = b"".join(contents)
    parts = tuple(Part(f"model-part{i}", f"model_part{i}/data.bin") for i in range(len(contents)))
    digest = hashlib.sha256(whole).hexdigest()
    known = ModelFile(parts, digest, len(whole), 512, "MIT", "https://example.org", "pip install the-parts")
    monkeypatch.setitem(models.MODELS, "model", known)
    return whole


def cached():
    return sorted(p.suffix for p in (models.cache_root() / "models").iterdir())


def test_a_file_is_found_without_importing_its_package(site, monkeypatch):
    publish(monkeypatch, b"weights")
    file = install(site, "model-part0", "model_part0/data.bin", b"weights")
    assert locate("model") == file
    assert "model_part0" not in sys.modules


def test_a_file_that_was_exchanged_is_not_used(site, monkeypatch):
    publish(monkeypatch, b"weights")
    install(site, "model-part0", "model_part0/data.bin", b"weightz")
    with pytest.raises(UserError, match=r"^what is installed as model is not its maker's file .*reinstall.*$") as error:
        locate("model")
    assert "\n" not in str(error.value)


def test_what_is_missing_says_how_to_get_it(site, monkeypatch):
    publish(monkeypatch, b"one", b"two", b"three")
    with pytest.raises(UserError, match=r"^the model model is not here, 3 of its 3 .*: pip install the-parts$"):
        locate("model")
    install(site, "model-part1", "model_part1/data.bin", b"two")
    install(site, "model-part2", "model_part2/data.bin", b"two").unlink()
    with pytest.raises(UserError, match="2 of its 3 packages"):
        locate("model")


@pytest.fixture
def parts(site, monkeypatch):
    contents = [bytes([i]) * (2**20 + i) for i in range(3)]
    files = [install(site, f"model-part{i}", f"model_part{i}/data.bin", c) for i, c in enumerate(contents)]
    return publish(monkeypatch, *contents), files


def test_parts_are_put_together_once(parts, site):
    whole, files = parts
    first = locate("model")
    assert first.read_bytes() == whole
    made = first.stat().st_ino
    for file in files:
        file.unlink()
    assert locate("model").stat().st_ino == made


def test_a_damaged_copy_is_made_again(parts):
    whole, _ = parts
    locate("model").write_bytes(b"something else")
    assert locate("model").read_bytes() == whole


def test_a_truncated_part_leaves_nothing_behind(parts):
    _, files = parts
    os.truncate(files[1], 1000)
    with pytest.raises(UserError, match="SHA-256 differs"):
        locate("model")
    assert cached() == [".lock"]


def test_what_a_killed_process_left_is_overwritten(parts):
    whole, _ = parts
    folder = models.cache_root() / "models"
    folder.mkdir(parents=True)
    (folder / f"{digest_of('model')}.partial").write_bytes(b"x" * (len(whole) + 1))
    assert locate("model").read_bytes() == whole
    assert cached() == [".gguf", ".lock"]


def _locate_with_little_room(pipe):
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**20, 2**20))
    try:
        locate("model")
    except UserError as error:
        pipe.send((str(error), cached()))


def test_no_room_is_one_line(parts):
    context = get_context("fork")
    here, there = context.Pipe()
    child = context.Process(target=_locate_with_little_room, args=(there,))
    child.start()
    child.join(60)
    assert here.poll()
    message, left = here.recv()
    assert "cannot be put together" in message
    assert "it needs 3 MB there, or another folder by SYNTHWARD_CACHE=" in message
    assert "\n" not in message
    assert left == [".lock"]


def _locate(_):
    return locate("model").stat().st_ino


def test_processes_that_come_together_share_one_copy(parts):
    with get_context("fork").Pool(4) as pool:
        assert len(set(pool.map(_locate, range(8), chunksize=1))) == 1
    assert cached() == [".gguf", ".lock"]


def test_a_file_of_ones_own(tmp_path, monkeypatch):
    file = tmp_path / "own.gguf"
    file.write_bytes(b"one")
    assert locate(str(file)) == file
    assert digest_of(str(file)) == hashlib.sha256(b"one").hexdigest()
    file.write_bytes(b"another")
    assert digest_of(str(file)) == hashlib.sha256(b"another").hexdigest()
    with pytest.raises(UserError, match=r"there is no model file .*other\.gguf"):
        locate(str(tmp_path / "other.gguf"))
    with pytest.raises(UserError, match=r"llm\.model=gpt-9 is not known: choose smollm2-135m-instruct, .*\.gguf file"):
        digest_of("gpt-9")


def test_the_cache_is_where_the_user_wants_it(monkeypatch):
    monkeypatch.delenv("SYNTHWARD_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", "/var/some")
    assert models.cache_root() == Path("/var/some/synthward")
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert models.cache_root() == Path.home() / ".cache" / "synthward"
    monkeypatch.setenv("SYNTHWARD_CACHE", "~/own")
    assert models.cache_root() == Path.home() / "own"


# What a server is asked for.


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"draws": 5}, r"llm\.slots=5"),
        ({"context": 10_000}, "at most 8192"),
        ({"digest": "0" * 64}, r"not the one that llm\.digest names"),
        ({"model": "nothing"}, "is not known"),
    ],
)
def test_settings_that_cannot_be_served(tmp_path, monkeypatch, change, words):
    monkeypatch.setenv("SYNTHWARD_CACHE", str(tmp_path))
    with pytest.raises(UserError, match=words):
        serve(SETTINGS.model_copy(update=change))


def test_a_missing_runtime_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "xllamacpp", None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"pip install 'synthward\[llm\]'"):
        serve(SETTINGS)


def test_a_folder_of_somebody_else_is_not_used(tmp_path, monkeypatch):
    monkeypatch.setenv("SYNTHWARD_CACHE", str(tmp_path))
    monkeypatch.setattr(os, "getuid", lambda: 12345)
    with pytest.raises(UserError, match="belongs to another user"):
        serve(SETTINGS)


def test_servers_are_told_apart_by_what_changes_replies_or_speed():
    folders = {
        Runtime.of(SETTINGS.model_copy(update=change)).folder
        for change in ({}, {"temperature": 0.5}, {"exact": False}, {"slots": 8}, {"context": 512}, {"threads": 2})
    }
    assert len(folders) == 5


def test_only_replies_to_be_had_again_go_without_the_prompt_cache():
    assert extra_body(SETTINGS, Form(grammar='root ::= "x"')) == {
        "top_k": 0,
        "min_p": 0.0,
        "cache_prompt": False,
        "id_slot": 0,
        "grammar": 'root ::= "x"',
    }
    assert extra_body(SETTINGS.model_copy(update={"exact": False}), Form()) == {
        "top_k": 0,
        "min_p": 0.0,
        "cache_prompt": True,
    }


# The server.

GRAMMAR = 'root ::= [2-9] [0-9] "," ("Male" | "Female") "," [0-9] "." [0-9] "\\n"'
PROMPT = "Invent a patient in intensive care as one line of CSV: age, sex, creatinine (mg/dL)."
LONG = {"n": 4, "prompt": "Tell me a story.", "grammar": None, "max_tokens": 900, "ignore_eos": True}

CLIENT = """
import sys
from synthward.generators.llm.server import serve
from synthward.generators.llm.settings import LLMSettings
print(serve(LLMSettings.model_validate_json(sys.argv[1])).base_url, flush=True)
sys.stdin.read()
"""


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """A cache for the tests that do their server no harm."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def running(shared, monkeypatch):
    """A running server's connection; its clients are this process and its children."""
    monkeypatch.setenv("SYNTHWARD_CACHE", str(shared))
    return serve(SETTINGS)


@pytest.fixture
def lonely(tmp_path, monkeypatch):
    """A cache where no server runs yet, and none is left running."""
    monkeypatch.setenv("SYNTHWARD_CACHE", str(tmp_path))
    yield Runtime.of(SETTINGS).folder
    for process in servers(tmp_path):
        process.kill()


def servers(cache):
    """Processes of servers whose folder is in a cache."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            words = process.cmdline()
            if "synthward.generators.llm.serve" in words and any(w.startswith(str(cache)) for w in words):
                found.append(process)
    return found


@contextlib.contextmanager
def client(settings=SETTINGS):
    """A process that needs the server, as soon as it is served; killed with -9 in the end."""
    command = [sys.executable, "-c", CLIENT, settings.model_dump_json()]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def served(process):
    return process.stdout.readline().strip()


def until(condition, seconds=30.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def post(connection, n=4, seed=1, prompt=PROMPT, grammar=GRAMMAR, **more):
    """A completion's choices, in order, with the log-probabilities that betray a change of any bit."""
    fields = {"messages": [{"role": "user", "content": prompt}], "n": n, "seed": seed, "max_tokens": 30}
    fields |= {"logprobs": True, "top_logprobs": 2} | extra_body(SETTINGS, Form(grammar=grammar)) | more
    address = urlsplit(connection.base_url)
    http_connection = http.client.HTTPConnection(address.hostname, address.port, timeout=120)
    headers = {"Authorization": f"Bearer {connection.key}", "Content-Type": "application/json"}
    http_connection.request("POST", "/v1/chat/completions", json.dumps(fields), headers)
    answer = json.load(http_connection.getresponse())
    choices = sorted(answer["choices"], key=lambda c: c["index"])
    return [{"text": c["message"]["content"], "logprobs": c["logprobs"]} for c in choices]


def texts(choices):
    return [c["text"] for c in choices]


def busy(connection):
    return any(slot["is_processing"] for slot in server._ask(connection, "/slots", 30))


def test_a_server_is_found_again_and_leaves_after_its_last_client_was_killed(lonely, tmp_path):
    with client() as first:
        url = served(first)
        assert url.startswith("http://127.0.0.1:")
        with client() as second:
            assert served(second) == url
            first.send_signal(signal.SIGKILL)
            first.wait()
            time.sleep(4.5)  # longer than it waits for a client
            assert find(lonely).base_url == url
            assert len(servers(tmp_path)) == 1
    until(lambda: not servers(tmp_path))
    assert not (lonely / "address").exists()


def test_clients_that_come_together_start_one_server(lonely, tmp_path):
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(client()) for _ in range(3)]
        assert len({served(c) for c in clients}) == 1
        (process,) = servers(tmp_path)
        descent = {p.pid for p in process.parents()}
        assert not descent & {c.pid for c in clients}  # who started it may be killed with all its descendants


class Stranger(BaseHTTPRequestHandler):
    """Another program that has got the port of a server that is gone."""

    def do_GET(self):
        answer = b"welcome"
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_):
        pass


def test_an_address_that_nobody_is_at_any_more_is_passed_over(running, lonely):
    lonely.mkdir(parents=True)
    with HTTPServer(("127.0.0.1", 0), Stranger) as stranger:
        threading.Thread(target=stranger.serve_forever, daemon=True).start()
        port = stranger.server_port
        stale = [
            "",
            '{"base_url": "http://127.0.0.1',
            "[1]",
            Connection(base_url=f"http://127.0.0.1:{port}/v1", key="k").model_dump_json(),
            Connection(base_url=running.base_url, key="of another server").model_dump_json(),
        ]
        for content in stale:
            (lonely / "address").write_text(content)
            assert find(lonely) is None
        stranger.shutdown()
    (lonely / "address").write_text(stale[3])
    assert find(lonely) is None
    with client() as late:
        assert served(late) == find(lonely).base_url


def test_a_server_that_died_is_replaced(lonely, tmp_path):
    first = serve(SETTINGS)
    (process,) = servers(tmp_path)
    process.kill()
    process.wait()
    second = serve(SETTINGS)
    assert second.base_url == find(lonely).base_url
    assert second.key != first.key


def test_a_server_that_another_has_replaced_leaves(lonely, tmp_path):
    serve(SETTINGS)
    (lonely / "address").write_text(Connection(base_url="http://127.0.0.1:1/v1", key="").model_dump_json())
    until(lambda: not servers(tmp_path))


def test_a_server_whose_folder_was_deleted_leaves_and_is_replaced(lonely, tmp_path):
    first = serve(SETTINGS)
    lonely.rename(tmp_path / "deleted")
    lonely.mkdir()
    (lonely / "lease").touch()  # by another client
    assert serve(SETTINGS).base_url != first.base_url
    until(lambda: len(servers(tmp_path)) == 1)
    time.sleep(4.5)  # longer than it waits for a client
    assert find(lonely)


def test_a_file_that_is_no_model_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setenv("SYNTHWARD_CACHE", str(tmp_path / "cache"))
    file = tmp_path / "own.gguf"
    file.write_bytes(b"no model" * 1000)
    with pytest.raises(UserError, match=r"^the server of .*own\.gguf did not start: .*log\.txt\)$") as error:
        serve(SETTINGS.model_copy(update={"model": str(file)}))
    assert "\n" not in str(error.value)


def test_nobody_else_can_use_it(running, shared):
    folder = Runtime.of(SETTINGS).folder
    assert folder.stat().st_mode & 0o077 == 0
    assert (folder / "address").stat().st_mode & 0o077 == 0
    assert find(folder) == running
    address = urlsplit(running.base_url)
    for path in ("/v1/models", "/slots", "/props", "/v1/chat/completions"):
        stranger = http.client.HTTPConnection(address.hostname, address.port, timeout=30)
        stranger.request("POST" if "chat" in path else "GET", path, "{}", {"Authorization": "Bearer wrong"})
        assert stranger.getresponse().status == 401
    (process,) = servers(shared)
    assert running.key not in " ".join(process.cmdline()) + repr(running)
    assert running.key not in (folder / "log.txt").read_text()


@pytest.mark.slow
def test_a_request_is_answered_alike_whatever_came_before_it(running):
    # So long that a server left to itself takes another slot for it, and other memory.
    other = {"prompt": "Tell me a long story. " * 120, "grammar": None, "max_tokens": 2}
    post(running, n=1, seed=9, **other)
    asked = {"n": 2, "prompt": "Count: one, two, three. " * 40 + PROMPT}
    first = post(running, **asked)
    assert post(running, **asked) == first
    post(running, n=3, seed=2, **other)
    post(running, n=4, seed=2)
    assert post(running, **asked) == first


def test_a_restarted_server_answers_alike(running, lonely, tmp_path):
    assert post(serve(SETTINGS)) == post(running)


def test_choices_differ_and_are_seeded_one_after_another(running):
    choices = post(running, seed=100)
    assert len(set(texts(choices))) > 1
    assert texts(post(running, seed=101, n=1)) == texts(choices)[1:2]
    assert texts(post(running, seed=103, n=1)) == texts(choices)[3:]
    assert not set(texts(post(running, seed=104))) & set(texts(choices))


def test_a_prompt_is_read_once_for_all_choices(running):
    """The window has room for the choices, and for the prompt once."""
    window = Runtime.of(SETTINGS).window
    prompt = "one two three " * 170
    assert len(texts(post(running, prompt=prompt))) == 4
    assert window < 4 * 510


HOLDER = """
import sys
from synthward.generators.llm.server import turn
from synthward.generators.llm.settings import LLMSettings
with turn(LLMSettings.model_validate_json(sys.argv[1])):
    print("mine", flush=True)
    sys.stdin.read()
"""


def test_turns_exclude_each_other_and_end_with_their_process(running):
    command = [sys.executable, "-c", HOLDER, SETTINGS.model_dump_json()]
    entered = threading.Event()

    def enter():
        with turn(SETTINGS):
            entered.set()

    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert served(holder) == "mine"
        thread = threading.Thread(target=enter)
        thread.start()
        assert not entered.wait(0.5)
        with turn(SETTINGS.model_copy(update={"exact": False})):
            pass  # takes no turn
        holder.kill()
        assert entered.wait(30)
        thread.join()


def test_a_turn_begins_after_an_abandoned_request_has_ended(running):
    pid = os.fork()
    if pid == 0:
        with contextlib.suppress(BaseException), turn(SETTINGS):
            post(running, **LONG)
        os._exit(0)
    until(lambda: busy(running))
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    with turn(SETTINGS):
        assert not busy(running)


def test_threads_take_turns_too(running):
    inside, most = 0, 0

    def enter(_):
        nonlocal inside, most
        with turn(SETTINGS):
            inside += 1
            most = max(most, inside)
            time.sleep(0.05)
            inside -= 1

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(enter, range(4)))
    assert most == 1


def test_the_log_stays_small(running):
    log = Runtime.of(SETTINGS).folder / "log.txt"
    with log.open("a") as file:
        file.write("x" * 300_000)
    until(lambda: log.stat().st_size < 300_000)
