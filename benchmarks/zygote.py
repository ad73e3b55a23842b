"""The process that cells are forked from: heavy libraries are imported here once, not once a cell.

``python -m synthward.benchmarks.zygote`` obeys JSON lines on standard input and answers on standard
output::

    {"op": "preload", "modules": [...], "dataset": {...}} -> {"preloaded": [...]}
    {"op": "run", "stage": "...", "job": {...},
     "folder": "..."}                                     -> {"pid": 1}, then {"exit": 0}

One cell runs at a time. Every process that a cell leaves behind is killed before the next one, also
one that moved to a session of its own. When standard input ends, because the runner closed it or
died, the running cell is killed and the zygote exits: nothing outlives a sweep.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import importlib
import json
import os
import selectors
import signal
import sys
from pathlib import Path
from typing import Any, NoReturn

import psutil

from ..results.store import DISK_FULL

PR_SET_CHILD_SUBREAPER = 36


def main() -> NoReturn:
    """Serve until standard input ends."""
    replies = _private_stdout()
    adopt_orphans()
    reader = os.fdopen(0, "rb", buffering=0)
    wake_reader, wake_writer = os.pipe()
    os.set_blocking(wake_writer, False)
    os.set_blocking(wake_reader, False)
    signal.set_wakeup_fd(wake_writer)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    buffer = b""
    while True:
        chunk = reader.read(65536)
        if not chunk:
            os._exit(0)
        buffer += chunk
        while b"\n" in buffer:
            line, buffer = buffer.split(b"\n", 1)
            request = json.loads(line)
            if request["op"] == "preload":
                _answer(replies, {"preloaded": [m for m in request["modules"] if _import(m)]})
                _load(request["dataset"])
            else:
                _serve(request, reader.fileno(), replies, (wake_reader, wake_writer))


def _serve(request: dict[str, Any], stdin: int, replies: int, wake: tuple[int, int]) -> None:
    gc.collect()
    gc.freeze()
    pid = os.fork()
    if pid == 0:
        _become_cell(request, (stdin, replies, *wake))
    _answer(replies, {"pid": pid})
    code = _wait(pid, stdin, wake[0])
    kill_descendants()
    _answer(replies, {"exit": code})


def _wait(pid: int, stdin: int, wake_reader: int) -> int:
    """Wait for a process to end, and for the runner to vanish."""
    with selectors.DefaultSelector() as selector:
        selector.register(stdin, selectors.EVENT_READ)
        selector.register(wake_reader, selectors.EVENT_READ)
        while True:
            done, status = os.waitpid(pid, os.WNOHANG)
            if done:
                return os.waitstatus_to_exitcode(status)
            for key, _ in selector.select():
                if key.fd == wake_reader:
                    os.read(wake_reader, 4096)
                else:  # requests never overlap, so that input now means its end
                    kill_descendants()
                    os._exit(1)


def _become_cell(request: dict[str, Any], inherited: tuple[int, ...]) -> NoReturn:
    """Turn a fresh fork into the cell's own process, run its stage, and end."""
    code = 1
    try:
        os.setsid()
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        folder = Path(request["folder"])
        log = os.open(folder / "log.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
        os.dup2(log, 1)
        os.dup2(log, 2)
        for handle in inherited:
            os.close(handle)
        os.open(os.devnull, os.O_RDONLY)  # takes the place of standard input
        from .stages import STAGES

        STAGES[request["stage"]](request["job"], folder)
        code = 0
    except BaseException as error:
        import traceback

        traceback.print_exc()
        if isinstance(error, OSError) and error.errno in DISK_FULL:
            code = os.EX_IOERR
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def adopt_orphans() -> None:
    """Make processes whose parent ends children of this one, where the system can (Linux)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def kill_descendants() -> None:
    """Kill every process below this one, until none is left, and reap them."""
    me = psutil.Process()
    while children := me.children(recursive=True):
        for child in children:
            try:
                child.kill()
            except psutil.NoSuchProcess:
                continue
        psutil.wait_procs(children, timeout=1)
        while True:
            try:
                if os.waitpid(-1, os.WNOHANG)[0] == 0:
                    break
            except ChildProcessError:
                break


def _private_stdout() -> int:
    """Keep standard output for answers alone: what libraries print goes to standard error."""
    private = os.dup(1)
    os.set_inheritable(private, False)
    os.dup2(2, 1)
    return private


def _answer(replies: int, answer: dict[str, Any]) -> None:
    os.write(replies, json.dumps(answer).encode() + b"\n")


def _import(module: str) -> bool:
    try:
        importlib.import_module(module)
    except Exception:  # the cell that needs it will say so
        return False
    return True


def _load(dataset: dict[str, Any]) -> None:
    """Load a dataset into this process's cache, which every fork shares."""
    from .sources import load_dataset

    with contextlib.suppress(Exception):  # the cell that needs it will say so
        load_dataset(dataset)


if __name__ == "__main__":
    main()
