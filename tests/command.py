"""The real command, and what can be said of the records it leaves."""

import contextlib
import io
import json
import os
import subprocess
import sys
import tempfile
import time
import traceback

import psutil
from synthward.benchmarks.cli import main
from synthward.results.store import Store

VOLATILE = ("seconds", "cpu_seconds", "peak_memory_mb", "provenance", "digest")
COSTS = ("fit_seconds", "sample_seconds", "peak_memory")
COMMAND = (sys.executable, "-m", "synthward.benchmarks.cli")


def environment(**more):
    return os.environ | {"OMP_NUM_THREADS": "1", "COLUMNS": "200"} | more


def synthward(folder, *arguments, timeout=240, **env):
    """Run ``synthward`` in a folder, as a user does."""
    command = [*COMMAND, *arguments]
    return subprocess.run(
        command, cwd=folder, env=environment(**env), capture_output=True, text=True, timeout=timeout, check=False
    )


def called(folder, *arguments):
    """As :func:`synthward`, in this process: for what draws plots, whose threads do not survive a fork."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.chdir(folder), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            status = main(arguments)
        except SystemExit as end:
            status = end.code
    return subprocess.CompletedProcess(["synthward", *arguments], status, out.getvalue(), err.getvalue())


def forked(folder, *arguments):
    """As :func:`synthward`, in a fork of this process: a second less of imports, for what starts no worker."""
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                os.dup2(out.fileno(), 1)
                os.dup2(err.fileno(), 2)
                sys.stdout, sys.stderr = os.fdopen(1, "w", closefd=False), os.fdopen(2, "w", closefd=False)
                os.chdir(folder)
                status = main(arguments)
            except SystemExit as end:
                status = end.code
            except BaseException:
                traceback.print_exc()
            finally:
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(status)
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        out.seek(0)
        err.seek(0)
        return subprocess.CompletedProcess(["synthward", *arguments], status, out.read(), err.read())


def swept(folder, *overrides, **env):
    """Run a sweep over ``small.csv`` that must end well; returns what it printed."""
    table = () if any(o.startswith(("dataset=", "experiment=")) for o in overrides) else ("dataset=file", "target=died")
    path = () if not table or any(o.startswith("path=") for o in overrides) else ("path=small.csv",)
    done = synthward(folder, "sweep", *table, *path, *overrides, **env)
    assert done.returncode == 0, f"{done.args} failed:\n{done.stdout}\n{done.stderr}"
    return done


def records(folder, store="results/runs"):
    return list(Store(folder / store).records())


def content(record):
    """What of a record must be the same in every run: all but times, memory and the machine."""
    plain = json.loads(record.model_dump_json(exclude=set(VOLATILE)))
    plain["measurements"] = [
        {k: v for k, v in m.items() if k != "seconds"} for m in plain["measurements"] if m["metric"] not in COSTS
    ]
    return plain


def contents(folder, store="results/runs"):
    return {record.id: content(record) for record in records(folder, store)}


def all_ended(tag):
    """Processes of a sweep that are left after the moment that they have to see that it is gone."""
    end = time.monotonic() + 15
    while (left := _alive(tag)) and time.monotonic() < end:
        time.sleep(0.1)
    return left


def _alive(tag):
    """Processes that inherited ``TAG=tag`` from a command and have not ended."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.status() != psutil.STATUS_ZOMBIE and process.environ().get("TAG") == tag:
                found.append(" ".join(process.cmdline())[-120:])
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return found
