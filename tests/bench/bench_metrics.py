"""How fast the metrics are, beside the library that defines some of them.

Prints one line per bar and exits with status 1 if one is missed:

- column shapes and column pair trends on 10,000 x 20, against the SDMetrics quality report on the same
  tables in the same process: median of three alternating runs, equal values asserted;
- all default metrics but those that train models, on 1,000 x 20.

Run: ``python tests/bench/bench_metrics.py``
"""

from __future__ import annotations

import sys
import time
import warnings
from collections.abc import Callable
from statistics import median

import numpy as np
import pandas as pd
from synthward.benchmarks.schema import Column, TableSchema
from synthward.metrics import Costs, Evaluation, get, registry

REPEATS = 3
SPEED_UP = 10.0
SUITE_SECONDS = 1.0

NUMERIC = [f"x{i}" for i in range(10)]
CATEGORICAL = [f"k{i}" for i in range(10)]
SCHEMA = TableSchema(
    columns=(
        *(Column(name=name, kind="continuous", missing=True) for name in NUMERIC),
        *(Column(name=name, kind="categorical", codes=list("abcdef"), missing=True) for name in CATEGORICAL),
    ),
    target="k0",
    task="multiclass",
)


def table(rows: int, seed: int) -> pd.DataFrame:
    """Ten numeric and ten categorical columns, correlated, with 5 % of the values missing."""
    rng = np.random.default_rng(seed)
    shared = rng.normal(size=(rows, 1))
    numbers = shared + rng.normal(size=(rows, 10))
    codes = np.digitize(shared + rng.normal(size=(rows, 10)), [-2, -1, 0, 1, 2])
    labels = np.array(list("abcdef"), dtype=object)[codes]
    columns = {name: numbers[:, i] for i, name in enumerate(NUMERIC)}
    columns |= {name: labels[:, i] for i, name in enumerate(CATEGORICAL)}
    frame = pd.DataFrame(columns)
    return SCHEMA.canonical(frame.mask(rng.random(frame.shape) < 0.05))


def evaluation(rows: int) -> Evaluation:
    """Four independent tables of so many rows."""
    train, control, test, synthetic = (table(rows, seed) for seed in range(4))
    return Evaluation(SCHEMA, train, control, test, synthetic, costs=Costs(1.0, 1.0, 1.0))


def timed(function: Callable[[], list[float | None]]) -> tuple[float, list[float | None]]:
    """Seconds that a call took, and what it returned."""
    start = time.perf_counter()
    found = function()
    return time.perf_counter() - start, found


def ours(given: Evaluation) -> list[float | None]:
    """Column shapes and pair trends, from nothing: no intermediate is kept from an earlier call."""
    fresh = Evaluation(**{**vars(given), "shared": {}})
    return [get(name).measure(fresh)[0].value for name in ("column_shapes", "column_pair_trends")]


def theirs(given: Evaluation) -> list[float | None]:
    """The same of the SDMetrics quality report."""
    from sdmetrics.reports.single_table import QualityReport

    metadata = {"columns": {c.name: {"sdtype": "numerical" if c.numeric else "categorical"} for c in SCHEMA.columns}}
    report = QualityReport()
    report.generate(given.test, given.synthetic, metadata, verbose=False)
    return [float(score) for score in report.get_properties()["Score"]]


def suite(given: Evaluation) -> list[float | None]:
    """All metrics of the default suite that train no model."""
    fresh = Evaluation(**{**vars(given), "shared": {}})
    plain = [metric for metric in registry().values() if metric.card.family != "utility"]
    return [measurement.value for metric in plain for measurement in metric.measure(fresh)]


def main() -> int:
    """Print the bars; 1 if one is missed."""
    warnings.simplefilter("ignore")
    large, small = evaluation(10_000), evaluation(1_000)
    ours(small), theirs(small)  # imports are not what is measured
    seconds: dict[str, list[float]] = {"ours": [], "theirs": []}
    for _ in range(REPEATS):
        took, found = timed(lambda: ours(large))
        seconds["ours"].append(took)
        took, expected = timed(lambda: theirs(large))
        seconds["theirs"].append(took)
        np.testing.assert_allclose(np.array(found, dtype=float), np.array(expected, dtype=float), rtol=0, atol=1e-9)
    fast, slow = median(seconds["ours"]), median(seconds["theirs"])
    ratio = slow / fast
    print(f"shapes and pair trends, 10,000 x 20: {fast:.3f} s, SDMetrics {slow:.2f} s")
    print(f"  {ratio:.0f} x as fast (bar {SPEED_UP:.0f} x)")
    suite_seconds = median(timed(lambda: suite(small))[0] for _ in range(REPEATS))
    print(f"default metrics without learners, 1,000 x 20: {suite_seconds:.3f} s (bar {SUITE_SECONDS:.0f} s)")
    return int(ratio < SPEED_UP or suite_seconds > SUITE_SECONDS)


if __name__ == "__main__":
    sys.exit(main())
