"""The server process of the embedded model: ``python -m synthward.generators.llm.serve``, started by ``server``.

Arguments: the :class:`~.server.Runtime` as JSON, the model's file, the folder where clients meet the server, and
a descriptor on which to tell the process id and, by an empty line, that requests are welcome.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import sys
import time
from pathlib import Path
from typing import Any, NoReturn

from ...results.store import write_atomically
from .server import Connection, Runtime, read_address

POLL_SECONDS = 1.0
LINGER = 3  # polls without a client, after which the server leaves
LOG_BYTES = 256 * 1024
WARNINGS = 2  # llama.cpp's log level; the next one tells of every request


def main() -> NoReturn:
    """Become a process of its own, load the model, and serve until nobody needs it."""
    runtime = Runtime.model_validate_json(sys.argv[1])
    file, folder, ready = Path(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4])
    if os.fork():  # the parent ends, so that the server is nobody's descendant and nobody's zombie
        os._exit(0)
    os.umask(0o077)
    os.write(ready, f"{os.getpid()}\n".encode())
    key = secrets.token_urlsafe(32)
    server = _load(runtime, file, key)
    own = Connection(base_url=f"{server.listening_address}/v1", key=key, pid=os.getpid())
    write_atomically(folder / "address", own.model_dump_json())
    os.write(ready, b"\n")
    os.close(ready)
    os.chdir("/")  # keep no folder of the caller's in use
    _watch(folder, own)
    os._exit(0)


def _load(runtime: Runtime, file: Path, key: str) -> Any:
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = str(file)
    params.model_alias = {Path(runtime.model).name}
    params.hostnames, params.port = ["127.0.0.1"], 0
    params.api_keys = [key]
    params.cors_origins = "localhost"
    params.ui = False
    params.verbosity = WARNINGS
    # One thread for a single choice, more for prompts and for choices that are generated side by side.
    params.cpuparams.n_threads = runtime.threads
    params.cpuparams_batch.n_threads = max(2, runtime.threads)
    params.n_gpu_layers = 0  # a GPU would give other bits, and is what llm=vllm is for
    params.n_parallel, params.n_ctx = runtime.slots, runtime.window
    params.kv_unified, params.kv_unified_per_slot = True, runtime.context  # choices share their prompt in memory
    params.fit_params = False  # to the memory that happens to be free
    params.cache_ram_mib, params.cache_idle_slots = 0, False
    return xllamacpp.Server(params)


def _watch(folder: Path, own: Connection) -> None:
    """Return when no client has held the lease for a while, or another server has taken over."""
    log, polls = folder / "log.txt", 0
    try:
        with (folder / "lease").open("a") as lease:
            while polls < LINGER:
                time.sleep(POLL_SECONDS)
                if read_address(folder) != own:
                    return
                if log.stat().st_size > LOG_BYTES:
                    os.truncate(log, 0)
                try:
                    fcntl.flock(lease, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    polls = 0
                    continue
                polls += 1
                if polls < LINGER:
                    fcntl.flock(lease, fcntl.LOCK_UN)
            # A client that comes now waits for the lease, which is held until this process has ended.
            (folder / "address").unlink()
            os._exit(0)
    except FileNotFoundError:  # the folder was deleted
        return


if __name__ == "__main__":
    main()
