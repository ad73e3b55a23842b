"""Runs a stage in a process of its own, within limits of time and memory.

Isolation does not depend on the launcher: whatever runs the sweep's jobs, each has one
:class:`Worker`, and each cell is a fork of the worker's zygote.
"""

from __future__ import annotations

import atexit
import errno
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from ..results.record import Status
from ..results.store import LOG_NAME

ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS", "LOKY_MAX_CPU_COUNT"), "1"
)
LOG_LIMIT = 256 * 1024  # bytes of a cell's output that are kept


@dataclass(frozen=True)
class Exit:
    """How a stage's process ended.

    Attributes:
        status: ``ok`` if it ran to its end, else ``timeout``, ``oom`` or ``crashed``.
        message: one line for people.
        seconds: wall clock.
        peak_mb: highest resident memory seen of the process tree, in MB of 2**20 bytes.
    """

    status: Status
    message: str
    seconds: float
    peak_mb: float


class Worker:
    """Owns one zygote; starts it when first needed and again should it die."""

    def __init__(self) -> None:
        self._zygote: subprocess.Popen[bytes] | None = None
        self._preloaded: set[str] = set()
        atexit.register(self.close)

    def preload(self, modules: Iterable[str], dataset: Mapping[str, Any]) -> None:
        """Import modules and load a dataset in the zygote, so that later cells have them for nothing."""
        new = [m for m in modules if m not in self._preloaded]
        self._ask({"op": "preload", "modules": new, "dataset": dataset})
        self._receive()
        self._preloaded.update(new)

    def run(
        self,
        stage: str,
        job: Mapping[str, Any],
        folder: Path,
        seconds: float,
        memory_mb: float,
        steps: Path | None = None,
    ) -> Exit:
        """Run a stage to its end or to its limit.

        Args:
            stage: a key of ``stages.STAGES``.
            job: what the stage is told, as JSON.
            folder: where it works; its output goes to ``log.txt`` there.
            seconds: wall-clock limit; of the whole stage, or of each step where it has ``steps``.
            memory_mb: limit of resident memory of the process tree.
            steps: a file that the stage adds to after each step.

        Raises:
            OSError: the disk was full (``ENOSPC``).
        """
        self._ask({"op": "run", "stage": stage, "job": job, "folder": str(folder)})
        started = self._receive()
        if started is None:
            return self._died(0.0, 0.0)
        return self._watch(int(started["pid"]), folder / LOG_NAME, seconds, memory_mb, steps)

    def close(self) -> None:
        """End the zygote and with it whatever it runs."""
        if self._zygote is None:
            return
        zygote, self._zygote = self._zygote, None
        self._preloaded.clear()
        for pipe in (zygote.stdin, zygote.stdout):
            if pipe is not None:
                pipe.close()
        try:
            zygote.wait(timeout=10)
        except subprocess.TimeoutExpired:
            zygote.kill()
            zygote.wait()

    def _watch(self, pid: int, log: Path, seconds: float, memory_mb: float, steps: Path | None) -> Exit:
        start = step_start = time.monotonic()
        written = 0
        peak, pause = 0.0, 0.02
        verdict: tuple[Status, str] | None = None
        while True:
            answer = self._receive(timeout=pause)
            elapsed = time.monotonic() - start
            if answer is None:
                return self._died(elapsed, peak)
            _cap(log)
            if answer:
                if verdict is not None:
                    return Exit(verdict[0], verdict[1], elapsed, peak)
                code = int(answer["exit"])
                if code == os.EX_IOERR:
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(log.parent))
                if code == 0:
                    return Exit(Status.OK, "", elapsed, peak)
                return Exit(Status.CRASHED, _describe_exit(code), elapsed, peak)
            if steps is not None and steps.exists() and steps.stat().st_size > written:
                written, step_start = steps.stat().st_size, time.monotonic()
            in_step = time.monotonic() - step_start
            resident = _tree_mb(pid)
            peak = max(peak, resident)
            if verdict is None and resident > memory_mb:
                verdict = (
                    Status.OOM,
                    f"killed at {resident:,.0f} MB: the limit is {memory_mb:,.0f} MB (limits.memory_mb)",
                )
            elif verdict is None and in_step > seconds:
                verdict = (Status.TIMEOUT, f"killed after {in_step:,.1f} s: the limit is {seconds:g} s")
            if verdict is not None:
                _kill(pid)
            pause = min(pause * 1.5, 0.2)

    def _died(self, elapsed: float, peak: float) -> Exit:
        """The zygote itself is gone, most likely killed by the system for memory."""
        self.close()
        return Exit(
            Status.CRASHED, "the worker process was killed from outside, perhaps for lack of memory", elapsed, peak
        )

    def _ask(self, request: Mapping[str, Any]) -> None:
        line = json.dumps(request).encode() + b"\n"
        try:
            self._write(line)
        except BrokenPipeError:  # it died since the last cell: start afresh
            self.close()
            self._write(line)

    def _write(self, line: bytes) -> None:
        if self._zygote is None:
            self._zygote = subprocess.Popen(
                [sys.executable, "-m", "synthward.benchmarks.zygote"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env={**os.environ, **ONE_THREAD},
                start_new_session=True,  # Ctrl-C is for the runner, which then ends the zygote
                bufsize=0,
            )
        assert self._zygote.stdin is not None
        self._zygote.stdin.write(line)

    def _receive(self, timeout: float | None = None) -> dict[str, Any] | None:
        """One answer; empty if none came in time, ``None`` if the zygote is gone."""
        assert self._zygote is not None
        assert self._zygote.stdout is not None
        ready, _, _ = select.select([self._zygote.stdout], [], [], timeout)
        if not ready:
            return {}
        line = self._zygote.stdout.readline()
        if not line:
            return None
        answer: dict[str, Any] = json.loads(line)
        return answer


def _tree_mb(pid: int) -> float:
    """Resident memory of a process and all below it; shared pages count once for each."""
    total = 0.0
    try:
        process = psutil.Process(pid)
        for each in [process, *process.children(recursive=True)]:
            try:
                total += each.memory_info().rss
            except psutil.NoSuchProcess:
                continue
    except psutil.NoSuchProcess:
        return 0.0
    return total / 2**20


def _kill(pid: int) -> None:
    """Kill a cell's process group; the zygote then kills what left the group."""
    for kill in (os.killpg, os.kill):
        try:
            kill(pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            continue


def _cap(log: Path) -> None:
    """Cut a log that grew past its limit down to its tail; the cell has it open for appending."""
    try:
        if log.stat().st_size <= LOG_LIMIT:
            return
        with log.open("rb+") as file:
            file.seek(-LOG_LIMIT // 2, os.SEEK_END)
            tail = file.read(LOG_LIMIT // 2)
            file.truncate(0)
            file.seek(0)
            file.write(tail)
    except FileNotFoundError:
        return


def _describe_exit(code: int) -> str:
    if code >= 0:
        return f"the process ended by itself with exit status {code}"
    name = signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}"
    hint = " (a segmentation fault in a library)" if name == "SIGSEGV" else ""
    return f"the process died of {name}{hint}"
