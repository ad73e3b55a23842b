"""The real command, and what can be said of the records it leaves."""

import json
import os
import subprocess
import sys

import psutil
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


def alive(tag):
    """Processes that inherited ``TAG=tag`` from a command and have not ended."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.status() != psutil.STATUS_ZOMBIE and process.environ().get("TAG") == tag:
                found.append(" ".join(process.cmdline())[-120:])
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return found
