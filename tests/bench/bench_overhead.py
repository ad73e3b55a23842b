"""What the sweep itself costs: seconds per trivial cell after the first, and of starting the command.

Bars: 0.25 s per trivial cell (generator ``copy``, 200 synthetic rows, no metric) after the first; 0.5 s
for ``synthward --help`` and ``import synthward.generators``. Both launchers do the same cells on one
worker, in turn; the cost per cell is the slope between a short and a long sweep, so that starting up
is not counted in it.

Usage: python tests/bench/bench_overhead.py [--cells N]
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

SHORT = 2
CARD = """
name: bench
source: {{_target_: synthward.benchmarks.sources.file.read, path: '{path}'}}
target: y
task: binary
positive: 1
columns:
{columns}
  y: {{kind: categorical, codes: {{0: no, 1: yes}}}}
"""


def seconds(*command: str, cwd: Path) -> float:
    start = time.perf_counter()
    subprocess.run(command, cwd=cwd, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - start


def table_of_500_rows(folder: Path) -> None:
    """500 rows, so that the train part has the 200 that are asked for; ten numeric columns and a target."""
    rng = np.random.default_rng(0)
    names = [f"x{i}" for i in range(10)]
    table = pd.DataFrame(rng.normal(size=(500, 10)).round(3), columns=names).assign(y=rng.integers(0, 2, 500))
    table.to_csv(folder / "bench.csv", index=False)
    columns = "\n".join(f"  {name}: {{kind: continuous, bounds: [-10, 10]}}" for name in names)
    (folder / "bench.yaml").write_text(CARD.format(path=folder / "bench.csv", columns=columns))


def sweep(folder: Path, launcher: str, cells: int, run: int) -> float:
    options = ["hydra.launcher.n_jobs=1"] if launcher == "joblib" else []
    command = [sys.executable, "-m", "synthward.benchmarks.cli", "sweep", "dataset=file", "path=bench.csv"]
    command += ["card=bench.yaml", "generator=copy", "metrics=none", f"seed=range(0,{cells})"]
    command += [f"hydra/launcher={launcher}", f"store=runs-{launcher}-{cells}-{run}", *options]
    return seconds(*command, cwd=folder)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cells", type=int, default=42)
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        table_of_500_rows(folder)
        slopes: dict[str, list[float]] = {"basic": [], "joblib": []}
        for run in range(options.runs):
            for launcher, found in slopes.items():
                short, long = (sweep(folder, launcher, n, run) for n in (SHORT, options.cells))
                found.append((long - short) / (options.cells - SHORT))
        for launcher, found in slopes.items():
            spread = f"{min(found):.3f} to {max(found):.3f}"
            print(f"per trivial cell, {launcher:6}: {statistics.median(found):.3f} s ({spread}); bar 0.25 s")
        starts = {
            "python -c pass": [sys.executable, "-c", "pass"],
            "synthward --help": [sys.executable, "-m", "synthward.benchmarks.cli", "--help"],
            "import synthward.generators": [sys.executable, "-c", "import synthward.generators"],
        }
        for label, command in starts.items():
            took = [seconds(*command, cwd=folder) for _ in range(5)]
            print(f"{label:28}: {statistics.median(took):.3f} s ({min(took):.3f} to {max(took):.3f}); bar 0.5 s")


if __name__ == "__main__":
    main()
