"""The board from 25,000, 50,000 and 100,000 records: 100 generators on 50 datasets with 5, 10 and 20 seeds.

The records are shaped like published ones (see tests/many_records.py), are written before and are not measured. Each
build is a process of its own, as a user would start it, imports included. First, for whoever looks for seconds, its
phases one by one in another process: reading, aggregation, files.

Then the same number of records that have the measurements of fidelity alone, a sixth of them, to show what follows the
records and what their measurements.

Bars for 100,000 records: 15 s, and 2 GB at the peak of all processes together; twice the records take at most 2.3
times as long. The first page transfers at most 1.5 MB, and answers within a second of being asked for, in headless
Chromium. Exits with status 1 where one is missed.

Run: ``PYTHONPATH=tests python tests/bench/bench_leaderboard.py [--seeds 5 10 20] [--folder KEPT]``
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import math
import subprocess
import sys
import tempfile
import time
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import get_args

import psutil
from browsing import chromium
from many_records import write_records
from synthward.results.record import Family

GENERATORS, DATASETS = 100, 50
SECONDS, MEMORY_GB, GROWTH = 15.0, 2.0, 2.3
TRANSFERRED_MB, ANSWERS_IN = 1.5, 1.0
EVERY = 0.5  # seconds between two looks at the memory: each costs what it looks at
PHASES = """
import sys, time
from pathlib import Path
start = time.perf_counter()
from synthward.leaderboard import aggregate, build, collecting
from synthward.leaderboard.gather import from_folders
said = [f"imports {time.perf_counter() - start:.1f}"]
paused = collecting.paused()
paused.__enter__()
for name, step in (
    ("reading", lambda _: from_folders([Path(sys.argv[1])], sys.exit)),
    ("aggregation", lambda gathered: aggregate.board_of(gathered)),
    ("files", lambda board: build.write(board, Path(sys.argv[2]))),
):
    start = time.perf_counter()
    made = step(made if len(said) > 1 else None)
    said.append(f"{name} {time.perf_counter() - start:.1f}")
print("  phases in s:", ", ".join(said))
"""


def resident(process: psutil.Process) -> int:
    """Bytes that a process and all below it hold."""
    total = 0
    with contextlib.suppress(psutil.Error):
        for each in (process, *process.children(recursive=True)):
            with contextlib.suppress(psutil.Error):
                total += each.memory_info().rss
    return total


def built(records: Path, out: Path) -> tuple[float, float]:
    """Seconds of the command that builds a board, and GB at its peak."""
    command = ["leaderboard", "--records", str(records), "--out", str(out)]
    start, peak = time.perf_counter(), 0
    child = psutil.Popen(
        [sys.executable, "-m", "synthward.benchmarks.cli", *command], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    while child.poll() is None:
        peak = max(peak, resident(child))
        with contextlib.suppress(subprocess.TimeoutExpired, psutil.TimeoutExpired):
            child.wait(EVERY)
    seconds = time.perf_counter() - start
    if child.returncode != 0:
        sys.exit(child.stderr.read().decode())
    return seconds, peak / 1e9


def first_page(site: Path) -> tuple[float, dict[str, float]]:
    """MB that the first page transfers, and the seconds until it can be used, sorts and has scored another choice."""
    transferred: list[int] = []
    browsers = chromium()
    page = next(browsers).new_page()
    page.on("response", lambda response: transferred.append(len(response.body())))
    seconds = {}
    start = time.perf_counter()
    page.goto((site / "index.html").as_uri())
    page.wait_for_selector("#controls:not([hidden])")
    seconds["usable"] = time.perf_counter() - start
    megabytes = sum(transferred) / 1e6
    start = time.perf_counter()
    page.locator("table.sortable th", has_text="fidelity").first.click()
    page.wait_for_url("**sort=**")
    seconds["sorted"] = time.perf_counter() - start
    page.evaluate("document.querySelector('#controls details').open = true")
    start = time.perf_counter()
    page.locator("input[name=dataset]").nth(3).check()
    page.wait_for_selector("p.view:not([hidden])")
    seconds["another choice scored"] = time.perf_counter() - start
    browsers.close()
    return megabytes, seconds


@contextlib.contextmanager
def place(kept: Path | None) -> Iterator[Path]:
    """The folder to write records to: one that is kept, and used again, or one that goes."""
    if kept is not None:
        yield kept
        return
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


def measured(
    folder: Path, name: str, seeds: int, families: Collection[str] = get_args(Family)
) -> tuple[int, float, float]:
    """Number of records, seconds and GB of a build; the records are written if they are not there."""
    records, board, count = folder / name, folder / "board", GENERATORS * DATASETS * seeds
    if not records.exists():
        write_records(records, GENERATORS, DATASETS, seeds, families)
    size = next(records.glob("*/*.json")).stat().st_size
    subprocess.run([sys.executable, "-c", PHASES, str(records), str(board)], check=True)
    seconds, gigabytes = built(records, board)
    print(f"{count:7,} records of {size / 1e3:.0f} kB: {seconds:5.1f} s, {gigabytes:.2f} GB at the peak", flush=True)
    return count, seconds, gigabytes


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[5, 10, 20])
    parser.add_argument("--folder", type=Path, help="keep the records here for another run")
    options = parser.parse_args()
    with place(options.folder) as folder:
        found = [measured(folder, f"{seeds}-seeds", seeds) for seeds in options.seeds]
        megabytes, answers = first_page(folder / "board")
        measured(folder, f"{options.seeds[-1]}-seeds-of-fidelity", options.seeds[-1], ["fidelity"])
        said = ", ".join(f"{name} {took:.2f} s" for name, took in answers.items())
        print(f"first page of {GENERATORS} generators and {DATASETS} datasets: {megabytes:.2f} MB; {said}")
    missed = [f"{count:,} records: over {SECONDS:g} s" for count, seconds, _ in found if seconds > SECONDS]
    missed += [f"{count:,} records: over {MEMORY_GB:g} GB" for count, _, gb in found if gb > MEMORY_GB]
    missed += [f"first page: over {TRANSFERRED_MB:g} MB"] * (megabytes > TRANSFERRED_MB)
    missed += [f"first page {name}: over {ANSWERS_IN:g} s" for name, took in answers.items() if took > ANSWERS_IN]
    for (few, short, _), (many, long, _) in itertools.pairwise(found):
        ratio = (long / short) ** (math.log(2) / math.log(many / few))
        print(f"{few:,} to {many:,} records: {ratio:.2f} x the time for twice the records (bar: {GROWTH:g})")
        missed += [f"{few:,} to {many:,} records: more than {GROWTH:g} x"] * (ratio > GROWTH)
    sys.exit("\n".join(missed) or None)


if __name__ == "__main__":
    main()
