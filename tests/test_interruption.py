"""Sweeps that are killed, interrupted, or run beside each other end with the records of an undisturbed one."""

import os
import random
import signal
import subprocess
import time
import uuid
from functools import partial

import psutil
import pytest
from command import COMMAND, all_ended, contents, environment, records, swept
from conftest import small_table

MINE = """
import os
import time
from pathlib import Path
from synthward.generators import Generator

class Counted(Generator):
    '''Draws train rows in its own time, and notes each time that it does.'''

    version = "1"

    def __init__(self, seconds=0.1):
        self.seconds = seconds

    def fit(self, view, seed):
        time.sleep(self.seconds)
        self.rows = view.rows()
        return self

    def sample(self, n, seed):
        with open("made.txt", "a") as file:
            file.write(f"{seed}\\n")
        return self.rows.sample(n, replace=True, random_state=seed)
"""


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """A folder with a table and a generator, and what a sweep there leaves that nobody disturbs."""
    folder = tmp_path_factory.mktemp("undisturbed")
    fill(folder)
    swept(folder, *GRID, "hydra/launcher=basic")
    found = contents(folder)
    assert len(found) == CELLS
    return found


CELLS = 16
GRID = ("generator=mine.Counted,copy", "seed=range(0,8)", "metrics.names=[valid_rows,duplicates,fit_seconds]")


def fill(folder):
    small_table().to_csv(folder / "small.csv", index=False)
    (folder / "mine.py").write_text(MINE)


def start(folder, *overrides, tag="", **options):
    """Start a sweep in a session of its own."""
    command = [*COMMAND, "sweep", "dataset=file", "path=small.csv", "target=died", *overrides]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "start_new_session": True}
    return subprocess.Popen(command, cwd=folder, env=environment(TAG=tag), **pipes, **options)


def wait_until(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "nothing came of it"
        time.sleep(0.02)


def entries(folder):
    """What is in a folder, replaced entries included."""
    return {(p.name, p.stat().st_ino) for p in folder.iterdir()} if folder.exists() else set()


def has_new(folder, before, sweep):
    try:
        return bool(entries(folder) - before) or sweep.poll() is not None
    except FileNotFoundError:  # an entry went while it was looked at
        return False


@pytest.mark.parametrize("kills", [6, pytest.param(20, marks=pytest.mark.slow)])
def test_kills_at_random_moments_change_no_record(undisturbed, tmp_path, kills):
    """Each kill is followed by a re-run: the next sweep, under the other launcher."""
    fill(tmp_path)
    dice = random.Random(kills)
    tag = uuid.uuid4().hex
    at_work = 0
    store = tmp_path / "results/runs"
    for number in range(kills):
        # It starts, has planned, has begun a cell and loads what that needs, has finished one.
        places = [None, store / "sweeps", store / "work", store / "cells"]
        place = dice.choices(places, weights=[1, 1, 2, 4])[0]
        before = entries(place) if place else set()
        sweep = start(tmp_path, *GRID, f"hydra/launcher={('basic', 'joblib')[number % 2]}", tag=tag)
        if place:
            wait_until(partial(has_new, place, before, sweep))
        time.sleep(dice.uniform(0, 0.8))
        at_work += sweep.poll() is None
        sweep.kill()
        sweep.wait()
        assert all_ended(tag) == []
        assert set(contents(tmp_path)) <= set(undisturbed)
    assert at_work > kills // 2
    assert contents(tmp_path), "no kill came late enough to leave anything"
    (store / "work" / f"{next(iter(undisturbed))}-left").mkdir()  # a kill can leave that of a cell that is done
    swept(tmp_path, *GRID)
    assert contents(tmp_path) == undisturbed
    assert list((store / "work").iterdir()) == []
    for cell in (store / "cells").iterdir():
        assert {p.name for p in cell.iterdir()} == {"record.json", "synthetic.parquet", "log.txt"}
    assert not (store / "quarantine").exists()


def test_two_sweeps_on_one_store_share_the_work(undisturbed, tmp_path):
    fill(tmp_path)
    sweeps = [start(tmp_path, *GRID, f"hydra/launcher={launcher}") for launcher in ("basic", "joblib")]
    for sweep in sweeps:
        out, err = sweep.communicate(timeout=240)
        assert sweep.returncode == 0, err
        assert f"{CELLS} ok" in out
    assert contents(tmp_path) == undisturbed
    made = (tmp_path / "made.txt").read_text().split()
    assert len(made) == len(set(made)) == CELLS // 2, "each cell is generated once"


@pytest.mark.parametrize("launcher", ["basic", "joblib"])
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_an_interrupted_sweep_ends_at_once_and_goes_on_later(undisturbed, tmp_path, launcher, name):
    fill(tmp_path)
    tag = uuid.uuid4().hex
    sweep = start(tmp_path, *GRID, f"hydra/launcher={launcher}", tag=tag)
    wait_until(lambda: records(tmp_path))
    before = time.monotonic()
    if name == "SIGINT":  # Ctrl-C reaches the whole group, a scheduler's SIGTERM the command alone
        os.killpg(sweep.pid, signal.SIGINT)
    else:
        sweep.terminate()
    _, err = sweep.communicate(timeout=60)
    assert time.monotonic() - before < 10
    assert sweep.returncode == 130
    (line,) = [line for line in err.splitlines() if not line.startswith("[")]
    assert line == "synthward: interrupted; what is recorded is safe, the same command goes on from there"
    assert all_ended(tag) == []
    done = contents(tmp_path)
    assert 0 < len(done) < CELLS
    for cell, found in done.items():  # the cell at work may have its table, and no measurement yet
        unscored = {"measurements": [], "cards": {}} if not found["measurements"] else {}
        assert found == undisturbed[cell] | unscored
    if name == "SIGINT" and launcher == "joblib":
        swept(tmp_path, *GRID)
        assert contents(tmp_path) == undisturbed


def test_a_worker_killed_from_outside_is_one_line(tmp_path):
    fill(tmp_path)
    tag = uuid.uuid4().hex
    sweep = start(tmp_path, *GRID, "generator.seconds=0.3,0.2", "generator=mine.Counted", tag=tag)
    wait_until(lambda: records(tmp_path))
    workers = [p for p in psutil.Process(sweep.pid).children() if "LokyProcess" in " ".join(p.cmdline())]
    workers[0].kill()
    _, err = sweep.communicate(timeout=60)
    assert sweep.returncode == 2
    (line,) = [line for line in err.splitlines() if not line.startswith("[")]
    assert line.startswith("synthward: a worker process was killed from outside")
    assert all_ended(tag) == []
