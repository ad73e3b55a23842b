"""What the metrics cost on a large table: 1,000,000 synthetic rows of 50 columns against 100,000 real ones.

Prints seconds and memory of every metric of the default suite, from how many rows it drew where it does not look at
all of them, and how the cost of marginals, correlations and duplicates grows with the rows. Exits with status 1 if the
process needs more than 10 GB at its peak, if a metric fails, or if one of those three grows faster than n log n, with a
half more for noise.

Run: ``python tests/bench/bench_metrics_million.py [--rows 1000000] [--suite default]``
"""

from __future__ import annotations

import argparse
import math
import resource
import sys
import time
import warnings

from bench_metrics import schema, table
from synthward.benchmarks.catalogue import metrics_of
from synthward.metrics import Costs, Evaluation, get
from synthward.metrics.encoding import encoded
from synthward.results.record import Measurement, Status

COLUMNS = 50
REAL = 100_000
MEMORY_GB = 10.0
GROWTH = ("column_shapes", "column_pair_trends", "correlation_similarity", "duplicates", "near_duplicates")
STEPS = (16, 4, 1)  # the rows of the growth runs are these parts of all
NOISE = 1.5


def evaluation(rows: int) -> Evaluation:
    """Real rows in three parts, and so many synthetic ones."""
    train, control, test = (table(part, COLUMNS, seed) for seed, part in enumerate((REAL, REAL, REAL // 2)))
    return Evaluation(schema(COLUMNS), train, control, test, table(rows, COLUMNS, 3), costs=Costs(1.0, 1.0, 1.0))


def peak_gb() -> float:
    """Most memory that this process has held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def measured(name: str, given: Evaluation) -> tuple[float, list[Measurement]]:
    """Seconds of a metric, and what it gave."""
    start = time.perf_counter()
    found = get(name).measure(given)
    return time.perf_counter() - start, found


def suite(name: str, given: Evaluation) -> bool:
    """Print the cost of every metric of a suite, shared work counted where it is first needed; whether none failed."""
    print(f"{'metric':24} {'seconds':>8} {'peak GB':>8}  drawn")
    failed = []
    total = 0.0
    for metric in metrics_of([name]):
        seconds, found = measured(metric, given)
        total += seconds
        drawn = sorted({f"{m.n:,} of {m.population:,}" for m in found if m.population is not None})
        print(f"{metric:24} {seconds:8.1f} {peak_gb():8.1f}  {'; '.join(drawn)}", flush=True)
        failed += [f"{metric}: {m.reason}" for m in found if m.status is Status.ERROR]
    print(f"{'all':24} {total:8.1f} {peak_gb():8.1f}  (bar {MEMORY_GB:.0f} GB)")
    for reason in failed:
        print(f"  failed: {reason}")
    return not failed


def growth(given: Evaluation) -> bool:
    """Print how the cost grows with the synthetic rows; whether it does so no faster than n log n."""
    rows = [len(given.synthetic) // step for step in STEPS]
    good = True
    for name in GROWTH:
        seconds = []
        for n in rows:
            part = Evaluation(**{**vars(given), "synthetic": given.synthetic.head(n), "shared": {}})
            encoded(part, "synthetic")  # shared by all metrics, and the cost of none
            seconds.append(measured(name, part)[0])
        ratio = seconds[-1] / seconds[0]
        allowed = NOISE * rows[-1] * math.log(rows[-1]) / (rows[0] * math.log(rows[0]))
        costs = ", ".join(f"{n:,}: {s:.2f} s" for n, s in zip(rows, seconds, strict=True))
        print(
            f"{name:24} {costs}; {ratio:.1f} x for {rows[-1] / rows[0]:.0f} x the rows (bar {allowed:.1f} x)",
            flush=True,
        )
        good &= ratio <= allowed
    return good


def main() -> int:
    """Print the costs; 1 if a bar is missed."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--rows", type=int, default=1_000_000)
    options.add_argument("--suite", default="default")
    chosen = options.parse_args()
    warnings.simplefilter("ignore")
    given = evaluation(chosen.rows)
    print(f"{chosen.rows:,} x {COLUMNS} synthetic, {REAL:,} train rows; tables and libraries {peak_gb():.1f} GB")
    complete = suite(chosen.suite, given)
    return int(not growth(given) or not complete or peak_gb() > MEMORY_GB)


if __name__ == "__main__":
    sys.exit(main())
