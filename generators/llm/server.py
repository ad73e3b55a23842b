"""The embedded model: one server process for a model and its runtime settings, shared by all who need it here.

Whoever wants the server calls :func:`serve`, which finds the running one or starts it. They meet in a folder of
the cache, one for each host and :class:`Runtime`, open to its owner alone:

=============  =====================================================================================
``lease``      every client holds it shared for as long as it lives; the kernel lets go for the dead
``start``      held by the one who starts the server
``turn``       held by the one whose request is under way, see :func:`turn`
``address``    where the server listens, and the key that it wants
``log.txt``    what it had to say
=============  =====================================================================================

The server leaves a few seconds after nobody holds the lease, and when ``address`` no longer names it. It is no
descendant of who started it, so that it outlives the cell, the worker and, if another sweep has come, the sweep.
"""

from __future__ import annotations

import contextlib
import fcntl
import http.client
import importlib.metadata
import importlib.util
import json
import os
import platform
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

from pydantic import Field

from ...results.errors import UserError
from ...results.record import Frozen, sha256_json
from ...results.store import file_name
from .exchange import Form
from .models import cache_root, context_of, digest_of, locate
from .settings import LLMSettings

LOAD_SECONDS = 180.0
PROBE_SECONDS = 30.0  # a machine under load is slow to answer; a port that nobody listens at refuses at once
IDLE_SECONDS = 120.0
TURN_PAUSE = 0.01
# The server looks for lost clients when it has told nobody anything for a second: asking more often would keep it
# from noticing.
IDLE_PAUSE = 1.5
ANSWER_BYTES = 2**20

_leases: dict[Path, IO[str]] = {}  # held until the process ends; a fork holds its parent's as well


class Connection(Frozen):
    """The way to a running server, as it writes it into ``address`` when it is ready.

    Attributes:
        base_url: ``http://127.0.0.1:PORT/v1``.
        key: bearer token, without which the server answers nobody: other users share its host.
        pid: of the server, whose processor time is the cost of a reply.
    """

    base_url: str
    key: str = Field(repr=False)
    pid: int = 0


class Runtime(Frozen):
    """All that decides which server one needs.

    Attributes:
        model: its name or path.
        digest: SHA-256 of its file.
        threads: that generate.
        slots: choices that are generated at a time.
        context: tokens of prompt and reply together, for each choice.
        window: tokens in memory at a time, those of a shared prompt counted once.
        exact: whether replies are to be reproducible; a server for those must not hear other requests.
        version: of the runtime.
    """

    model: str
    digest: str
    threads: int
    slots: int
    context: int
    window: int
    exact: bool
    version: str

    @classmethod
    def of(cls, settings: LLMSettings) -> Runtime:
        """The runtime that settings ask for.

        Raises:
            UserError: it is not installed, or the settings contradict each other or the model.
        """
        if importlib.util.find_spec("xllamacpp") is None:
            raise UserError("the embedded model needs its runtime, not installed here: pip install 'synthward[llm]'")
        trained = context_of(settings.model)
        if trained is not None and settings.context > trained:
            raise UserError(
                f"llm.context={settings.context} is more than {settings.model} was trained for: at most {trained}"
            )
        if settings.draws > settings.slots:
            raise UserError(f"llm.draws={settings.draws} at a time need as many slots: llm.slots={settings.draws}")
        conversations = 1 if settings.exact else settings.slots // settings.draws
        return cls(
            model=settings.model,
            digest=settings.digest or digest_of(settings.model),
            threads=settings.threads,
            slots=settings.slots,
            context=settings.context,
            # Prompts whole, and for every slot an eighth of the context for what it generates.
            window=conversations * settings.context + settings.slots * (settings.context // 8),
            exact=settings.exact,
            version=importlib.metadata.version("xllamacpp"),
        )

    @property
    def folder(self) -> Path:
        """Where its clients and its server meet."""
        return cache_root() / "servers" / f"{file_name(platform.node())}-{sha256_json(self.model_dump())[:16]}"


def serve(settings: LLMSettings) -> Connection:
    """Find the server that settings ask for, or start it, and keep it running until this process ends.

    Cheap when it runs: two requests over loopback. Blocks while it starts: about a second for 100 MB of model.

    Raises:
        UserError: the model or the runtime is not there, is not what it should be, or does not start.
    """
    runtime = Runtime.of(settings)
    folder = _private(runtime.folder)
    _lease(folder / "lease")
    if address := find(folder):
        return address
    with _held(folder / "start"):
        return find(folder) or _start(runtime, folder)


@contextlib.contextmanager
def turn(settings: LLMSettings) -> Iterator[None]:
    """Hold the server for one request where replies are to be reproducible; else do nothing.

    Requests that are computed together change each other's last bits, and with them what is drawn. So one is in
    flight at a time, from whichever process. A request whose sender is gone (killed, out of time) goes on for a
    second or two until the server notices: the next turn begins after that.

    Blocks without bound. May be entered in any thread.

    Raises:
        UserError: as :func:`serve`.
    """
    if not settings.exact:
        yield
        return
    folder = _private(Runtime.of(settings).folder)
    with _held(folder / "turn"):
        _await_idle(folder)
        yield
    time.sleep(TURN_PAUSE)  # who has had its turn lets others go first


def extra_body(settings: LLMSettings, form: Form) -> dict[str, Any]:
    """Fields of a chat completion beyond OpenAI's, for the embedded server.

    - ``top_k`` and ``min_p`` undo the server's own, which cut the tails off every distribution.
    - ``cache_prompt``: a prompt that is read again in part gives other last bits than one read whole. The prompt
      of one request is read once in any case, however many choices it asks for.
    - ``id_slot`` gives a request the same slots, whichever ones its predecessors left: choice ``i`` is in slot
      ``i``, and memory is laid out as in a fresh server.
    - ``grammar``: GBNF, or Lark after a first line ``%llguidance {}``, which is a third faster.

    Choice ``i`` of a request is seeded ``seed + i``, and equals the only choice of a request with that seed. So
    the seeds of requests with one prompt must be ``n`` apart.

    Args:
        settings: of the model.
        form: that the reply is held to. Its JSON schema goes as ``response_format``, which is no extra.
    """
    fields: dict[str, Any] = {"top_k": 0, "min_p": 0.0, "cache_prompt": not settings.exact}
    if settings.exact:
        fields["id_slot"] = 0
    if form.grammar is not None:
        fields["grammar"] = form.grammar
    return fields


def find(folder: Path) -> Connection | None:
    """The address of the server that a folder names, if it is alive and knows its key."""
    address = read_address(folder)
    if address is None:
        return None
    try:
        return address if _ask(address, "/v1/models", PROBE_SECONDS) is not None else None
    except (OSError, http.client.HTTPException):
        return None


def read_address(folder: Path) -> Connection | None:
    """What ``address`` says, ``None`` if it is missing or unreadable."""
    try:
        return Connection.model_validate_json((folder / "address").read_bytes())
    except (OSError, ValueError):
        return None


def _ask(address: Connection, path: str, seconds: float) -> list[Any] | dict[str, Any] | None:
    """The JSON that a server answers a GET with, ``None`` if it is no answer of ours.

    Raises:
        OSError, http.client.HTTPException: nobody answers, or not in time, or not in HTTP.
    """
    parts = urlsplit(address.base_url)
    # By hand and not by urllib, which would follow the proxies of the environment.
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=seconds)
    try:
        connection.request("GET", path, headers={"Authorization": f"Bearer {address.key}"})
        response = connection.getresponse()
        content = response.read(ANSWER_BYTES)
    finally:
        connection.close()
    if response.status != 200:
        return None
    try:
        answer = json.loads(content)
    except ValueError:
        return None
    return answer if isinstance(answer, list | dict) else None


def _await_idle(folder: Path) -> None:
    """Wait until the server works on nothing. A server that is gone or stuck is for the request to find out."""
    address = read_address(folder)
    if address is None:
        return
    deadline = time.monotonic() + IDLE_SECONDS
    while time.monotonic() < deadline:
        try:
            slots = _ask(address, "/slots", PROBE_SECONDS)
        except (OSError, http.client.HTTPException):
            return
        if not isinstance(slots, list) or not any(slot.get("is_processing") for slot in slots):
            return
        time.sleep(IDLE_PAUSE)


def _start(runtime: Runtime, folder: Path) -> Connection:
    """Start the server and wait until it is ready. For the one who holds ``start``.

    Raises:
        UserError: the model is not what it should be, or the server does not start.
    """
    if runtime.digest != digest_of(runtime.model):
        raise UserError(f"the file of {runtime.model} is not the one that llm.digest names: {runtime.digest}")
    file = locate(runtime.model)
    log = folder / "log.txt"
    reader, writer = os.pipe()
    with open(reader, "rb", buffering=0) as ready, log.open("ab") as output:
        began = output.tell()
        command = [sys.executable, "-m", f"{__package__}.serve", runtime.model_dump_json()]
        try:
            starter = subprocess.Popen(
                [*command, str(file), str(folder), str(writer)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                # Threads that spin while they wait for each other starve on a machine that has other work.
                env=os.environ | {"OMP_WAIT_POLICY": "passive"},
                start_new_session=True,  # Ctrl-C is for the sweep
                pass_fds=[writer],
            )
        finally:
            os.close(writer)
        starter.wait()  # it has forked the server and ended
        failure = _failure(ready)
    address = read_address(folder)
    if failure is not None or address is None:
        raise UserError(f"the server of {runtime.model} {failure or 'left at once'}: {_last_line(log, began)} ({log})")
    return address


def _failure(ready: IO[bytes]) -> str | None:
    """Wait for a server that tells its process id, then an empty line when it is ready. Why it never was, if so."""
    deadline = time.monotonic() + LOAD_SECONDS
    told = b""
    while told.count(b"\n") < 2:
        if not select.select([ready], [], [], max(0.0, deadline - time.monotonic()))[0]:
            with contextlib.suppress(ProcessLookupError, ValueError):
                os.kill(int(told), signal.SIGKILL)
            return f"was not ready after {LOAD_SECONDS:g} s"
        said = ready.read(64)
        if not said:
            return "did not start"
        told += said
    return None


def _last_line(log: Path, began: int) -> str:
    """The last line that a log got since it had so many bytes."""
    with log.open("rb") as file:
        file.seek(began)
        lines = file.read(ANSWER_BYTES).decode(errors="replace").split("\n")
    return next((line.strip()[:300] for line in reversed(lines) if line.strip()), "it said nothing")


def _private(folder: Path) -> Path:
    """Make a folder that only its owner can enter: what lies in it decides where prompts go.

    Raises:
        UserError: it cannot be made, or belongs to somebody else.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        owner = folder.stat().st_uid
        if owner == os.getuid():
            folder.chmod(0o700)
    except OSError as error:
        raise UserError(
            f"{folder} cannot be written ({error.strerror}): choose another folder by SYNTHWARD_CACHE=..."
        ) from None
    if owner != os.getuid():
        raise UserError(f"{folder} belongs to another user: choose a folder of your own by SYNTHWARD_CACHE=...")
    return folder


def _lease(path: Path) -> None:
    """Hold a lease until this process ends. Waits for a server that is leaving."""
    held = _leases.get(path)
    if held is not None and path.exists() and os.path.samestat(os.fstat(held.fileno()), path.stat()):
        return
    file = path.open("a")
    fcntl.flock(file, fcntl.LOCK_SH)
    _leases[path] = file


@contextlib.contextmanager
def _held(path: Path) -> Iterator[None]:
    """Hold a file against other processes and threads; waits for who holds it now. Ends with the process."""
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
