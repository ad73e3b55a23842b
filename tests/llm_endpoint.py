"""An OpenAI-compatible endpoint on loopback, under the test's control: records what it gets, misbehaves on demand.

    with Endpoint(lambda body, choice: "63,1\\n") as endpoint:
        Client(settings_for(endpoint)).complete(...)
        assert endpoint.bodies[0]["seed"] == 5

Requests are answered by ``endpoint.script`` first, one behaviour each, then by ``endpoint.always``, then by the
callable. A behaviour is a function of the request that returns a :class:`Raw`; those below are ready-made. It also
speaks the Files and Batch API. Run as a script, it serves until it is killed and prints its URL.
"""

import email.parser
import email.policy
import json
import sys
import threading
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

from synthward.generators.llm.settings import LLMSettings


@dataclass(frozen=True)
class Received:
    """A request as it came; header names in lower case."""

    method: str
    path: str
    headers: dict
    content: bytes

    @property
    def body(self):
        return json.loads(self.content)


@dataclass(frozen=True)
class Raw:
    """An answer: the head is sent with a content length unless ``length`` says otherwise, then the chunks."""

    status: int = 200
    chunks: tuple = ()
    headers: dict = field(default_factory=dict)
    length: int | None = None
    pause: float = 0.0  # before each chunk
    close: bool = False


def json_answer(data, status=200, **headers):
    return Raw(status, (json.dumps(data).encode(),), {"content-type": "application/json"} | headers)


def completion(*texts, finish="stop", refusal=None, usage=True, model="test-model"):
    """The data of a chat completion. Prompts have 100 tokens, choices one a word."""
    choices = [
        {"index": i, "finish_reason": finish, "message": {"role": "assistant", "content": text, "refusal": refusal}}
        for i, text in enumerate(texts)
    ]
    data = {"id": "x", "object": "chat.completion", "created": 0, "model": model, "choices": choices}
    if usage:
        words = sum(len((text or "").split()) for text in texts)
        data["usage"] = {"prompt_tokens": 100, "completion_tokens": words, "total_tokens": 100 + words}
    return data


def says(*texts, **options):
    """Behaviour: these choices."""
    return lambda _: json_answer(completion(*texts, **options))


def fails(status, message="no", code=None, param=None, **headers):
    """Behaviour: an error in OpenAI's form. Header names with underscores for hyphens."""
    headers = {k.replace("_", "-"): v for k, v in headers.items()}
    return lambda _: json_answer(error(message, code, param), status, **headers)


def error(message="no", code=None, param=None):
    """The data of an error."""
    return {"error": {"message": message, "type": "error", "code": code, "param": param}}


def breaks_off(_):
    """Behaviour: promises a body, sends a part of it and hangs up."""
    return Raw(chunks=(b'{"choices": [',), length=500, close=True)


def hangs_up(_):
    """Behaviour: no answer at all."""
    return


def drips(_):
    """Behaviour: a body of blanks that never ends, a few bytes at a time."""
    return Raw(chunks=(b" " * 4 for _ in iter(int, 1)), length=10**9, pause=0.02)


def sends(content, **options):
    """Behaviour: these bytes with status 200."""
    return lambda _: Raw(chunks=(content,), **options)


def one_choice(endpoint, pause=0.0):
    """Behaviour: what the endpoint answers, after a pause in seconds, to requests that ask for one choice only."""

    def behaviour(received):
        if "n" in received.body:
            return fails(400, "'n' must be 1", param="n")(received)
        return replace(json_answer(endpoint.completion(received.body)), pause=pause)

    return behaviour


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256  # connections of a whole sweep may come at once


class Endpoint:
    """The endpoint; a context manager.

    Attributes:
        url: base URL.
        received: all requests, in the order they came.
        script: behaviours for the next requests.
        always: behaviour once the script is through.
        batch_status: what a batch is said to be.
        failing: status of the first answer to each of the first lines of a batch, in order.
        refuses: what is wrong with a body in a batch's line, as keywords of :func:`error`; ``None`` if nothing is.
    """

    def __init__(self, answer=lambda body, choice: f"row {body.get('seed')} {choice}", delay=0.0):
        self.answer, self.delay = answer, delay
        self.received, self.script, self.always = [], deque(), None
        self.batch_status, self.failing, self.refuses = "completed", deque(), lambda body: None
        self.files, self.batches = {}, {}
        self._lock = threading.Lock()
        self._server = Server(("127.0.0.1", 0), _handler(self))
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1"

    def __enter__(self):
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()

    @property
    def bodies(self):
        """JSON bodies of the chat completions that were asked for."""
        return [r.body for r in self.received if r.path.split("?")[0].endswith("/chat/completions")]

    def behave(self, received):
        with self._lock:
            self.received.append(received)
            path = received.path.split("?")[0]
            chat = path.endswith("/chat/completions")
            if chat and (self.script or self.always):
                return (self.script.popleft() if self.script else self.always)(received)
        if chat:
            if self.delay:
                time.sleep(self.delay)
            return json_answer(self.completion(received.body))
        if path == "/tokenize":
            return json_answer({"tokens": received.body["content"].split()})
        with self._lock:
            return self._batch_api(received, path.removeprefix("/v1/").split("/"))

    def completion(self, body):
        return completion(*(self.answer(body, choice) for choice in range(body.get("n", 1))))

    def _batch_api(self, received, parts):
        match received.method, parts:
            case "POST", ["files"]:
                name = f"file-{sum(n.startswith('file-') for n in self.files)}"
                self.files[name] = _uploaded(received)
                return json_answer({"id": name, "object": "file", "purpose": "batch"})
            case "GET", ["files", name, "content"]:
                return Raw(chunks=(self.files[name],))
            case "POST", ["batches"]:
                name = f"batch-{len(self.batches)}"
                self.batches[name] = received.body | {"id": name, "object": "batch"}
                return json_answer(self._batch(name))
            case "GET", ["batches"]:  # two on a page, the latest first
                after = parse_qs(urlsplit(received.path).query).get("after")
                names = [*reversed(self.batches)]
                names = names[names.index(after[0]) + 1 :] if after else names
                page = [*map(self._batch, names[:2])]
                return json_answer({"object": "list", "has_more": len(names) > 2, "data": page})
            case "GET", ["batches", name] if name in self.batches:
                return json_answer(self._batch(name))
        return json_answer(error(f"no such place {parts}"), 404)

    def _answer(self, body):
        if wrong := self.refuses(body):
            return 400, error(**wrong)
        status = self.failing.popleft() if self.failing else 200
        return status, self.completion(body) if status == 200 else error("not now")

    def _batch(self, name):
        batch = self.batches[name] | {"status": self.batch_status}
        if self.batch_status in ("completed", "expired") and "output_file_id" not in batch:
            out, wrong = [], []
            for line in map(json.loads, self.files[batch["input_file_id"]].splitlines()):
                status, answer = self._answer(line["body"])
                entry = {"custom_id": line["custom_id"], "response": {"status_code": status, "body": answer}}
                (out if status == 200 else wrong).append(json.dumps(entry | {"error": None}))
            for kind, lines in (("output", out), ("error", wrong)):
                if lines:
                    self.files[f"{name}-{kind}"] = "\n".join(lines).encode()
                    self.batches[name][f"{kind}_file_id"] = f"{name}-{kind}"
            batch |= self.batches[name]
        if self.batch_status == "failed":
            batch["errors"] = {"object": "list", "data": [{"code": "invalid", "message": "line 1 is no request"}]}
        return batch


def settings_for(served, **more):
    """Settings of a client of the endpoint; ``endpoint="openai"`` unless another kind is given."""
    return LLMSettings(**{"endpoint": "openai", "model": "test-model", "base_url": served.url} | more)


def _uploaded(received):
    """The file in a multipart form."""
    head = b"content-type: " + received.headers["content-type"].encode() + b"\r\n\r\n"
    form = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(head + received.content)
    return next(p.get_payload(decode=True) for p in form.iter_parts() if p.get_filename())


def _handler(endpoint):
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self):
            length = int(self.headers.get("content-length", 0))
            content = self.rfile.read(length)
            if len(content) < length:  # the client was killed as it sent: nobody was asked anything
                self.close_connection = True
                return
            headers = {k.lower(): v for k, v in self.headers.items()}
            raw = endpoint.behave(Received(self.command, self.path, headers, content))
            with suppress(OSError):  # the client hung up
                self._write(raw)

        do_GET = do_POST  # noqa: N815

        def _write(self, raw):
            if raw is None or raw.close:
                self.close_connection = True
            if raw is None:
                return
            chunks = iter(raw.chunks)
            length = raw.length
            if length is None:
                body = b"".join(chunks)
                length, chunks = len(body), iter((body,))
            head = {"content-length": str(length)} | raw.headers
            lines = [f"HTTP/1.1 {raw.status} -", *(f"{k}: {v}" for k, v in head.items()), "", ""]
            first = b"" if raw.pause else next(chunks, b"")
            self.wfile.write("\r\n".join(lines).encode("latin-1") + first)
            for chunk in chunks:
                time.sleep(raw.pause)
                self.wfile.write(chunk)

        def log_message(self, *_):
            pass

    return Handler


if __name__ == "__main__":
    with Endpoint(delay=float(sys.argv[1]) if len(sys.argv) > 1 else 0.0) as served:
        print(served.url, flush=True)
        threading.Event().wait()
