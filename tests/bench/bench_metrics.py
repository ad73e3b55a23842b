"""How fast the metrics are, beside the library that defines some of them.

Prints one line per bar and exits with status 1 if one is missed:

- column shapes and column pair trends on 10,000 x 20, against the SDMetrics quality report on the same
  tables in the same process: median of three alternating runs, equal values asserted;
- duplicates and near duplicates on 10,000 x 20, against NewRowSynthesis of SDMetrics, which answers for the near ones
  alone: equal values asserted;
- distances to the closest record on 10,000 x 20, against those of SDMetrics: equal distances asserted, and their
  seconds for all rows reckoned from a tenth of the queries, to which they are proportional;
- all proximity metrics on 32,000 x 30, exact, in a process of its own: seconds, and memory at the peak;
- all default metrics but those that train models, on 1,000 x 20.

Run: ``python tests/bench/bench_metrics.py``
"""

from __future__ import annotations

import resource
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from statistics import median

import numpy as np
import pandas as pd
from synthward.benchmarks.catalogue import metrics_of
from synthward.benchmarks.schema import Column, TableSchema
from synthward.metrics import Costs, Evaluation, get
from synthward.metrics.privacy.gower import gower_spaces, nearest

REPEATS = 3
ROWS, PART = 10_000, 1_000  # rows of the comparisons, and of those that SDMetrics answers for where it takes minutes
LARGE = 32_000
MEMORY_MB = 2048
SUITE_SECONDS = 1.0

Values = list[float | None]


def schema(columns: int) -> TableSchema:
    """As many numeric as categorical columns; the first label is the target."""
    return TableSchema(
        columns=(
            *(Column(name=f"x{i}", kind="continuous", missing=True) for i in range(columns // 2)),
            *(
                Column(name=f"k{i}", kind="categorical", codes=list("abcdef"), missing=True)
                for i in range(columns // 2)
            ),
        ),
        target="k0",
        task="multiclass",
    )


def table(rows: int, columns: int, seed: int) -> pd.DataFrame:
    """Correlated columns with 5 % of the values missing."""
    rng = np.random.default_rng(seed)
    shared = rng.normal(size=(rows, 1))
    numbers = shared + rng.normal(size=(rows, columns // 2))
    codes = np.digitize(shared + rng.normal(size=(rows, columns // 2)), [-2, -1, 0, 1, 2])
    labels = np.array(list("abcdef"), dtype=object)[codes]
    frame = pd.DataFrame(
        {f"x{i}": numbers[:, i] for i in range(columns // 2)} | {f"k{i}": labels[:, i] for i in range(columns // 2)}
    )
    return schema(columns).canonical(frame.mask(rng.random(frame.shape) < 0.05))


def evaluation(rows: int, columns: int = 20) -> Evaluation:
    """Four independent tables of so many rows; a tenth of the synthetic rows are near copies of train rows."""
    train, control, test, synthetic = (table(rows, columns, seed) for seed in range(4))
    copies = train.head(rows // 10).copy()
    copies["x0"] *= 1.004
    synthetic = pd.concat([copies, synthetic.iloc[rows // 10 :]], ignore_index=True)
    return Evaluation(schema(columns), train, control, test, synthetic, costs=Costs(1.0, 1.0, 1.0))


def metadata(given: Evaluation) -> dict[str, object]:
    """What SDMetrics is told of the columns."""
    kinds = {c.name: {"sdtype": "numerical" if c.numeric else "categorical"} for c in given.schema.columns}
    return {"columns": kinds}


def fresh(given: Evaluation) -> Evaluation:
    """The same tables, without an intermediate of an earlier call."""
    return Evaluation(**{**vars(given), "shared": {}})


def timed(function: Callable[[], Values]) -> tuple[float, Values]:
    """Seconds that a call took, and what it returned."""
    start = time.perf_counter()
    found = function()
    return time.perf_counter() - start, found


def measured(given: Evaluation, names: list[str]) -> Values:
    """First values of some metrics, from nothing."""
    start = fresh(given)
    return [get(name).measure(start)[0].value for name in names]


def report(given: Evaluation) -> Values:
    """Column shapes and pair trends of the SDMetrics quality report."""
    from sdmetrics.reports.single_table import QualityReport

    quality = QualityReport()
    quality.generate(given.test, given.synthetic, metadata(given), verbose=False)
    return [float(score) for score in quality.get_properties()["Score"]]


def new_rows(given: Evaluation) -> Values:
    """The share of near copies among the first ``PART`` rows, by SDMetrics."""
    from sdmetrics.single_table import NewRowSynthesis

    return [1 - float(NewRowSynthesis.compute(given.train, given.synthetic.head(PART), metadata(given)))]


def closest(given: Evaluation) -> Values:
    """Distances of all synthetic rows to the closest train row."""
    spaces = gower_spaces(fresh(given))
    return list(nearest(spaces["synthetic"], spaces["train"])[:, 0])


def closest_by_sdmetrics(given: Evaluation) -> Values:
    """The same of the first ``PART`` rows."""
    from sdmetrics.single_table.privacy.dcr_utils import calculate_dcr

    return list(calculate_dcr(given.synthetic.head(PART), given.train, metadata(given)))


def part_of(given: Evaluation) -> Evaluation:
    """The evaluation of the first ``PART`` synthetic rows."""
    return Evaluation(**{**vars(given), "synthetic": given.synthetic.head(PART), "shared": {}})


def suite(given: Evaluation) -> Values:
    """All metrics of the default suite that train no model."""
    start = fresh(given)
    metrics = [get(name) for name in metrics_of(["default"])]
    plain = [metric for metric in metrics if metric.card.family != "utility" and metric.card.name != "detection"]
    return [measurement.value for metric in plain for measurement in metric.measure(start)]


def compare(
    what: str,
    ours: Callable[[], Values],
    theirs: Callable[[], Values],
    bar: float,
    share: float = 1.0,
    repeats: int = REPEATS,
) -> bool:
    """Time both sides in turns, and print the ratio of their medians.

    Args:
        what: is compared.
        ours, theirs: the two sides.
        bar: least ratio.
        share: of our rows, those that the other side answers for; its seconds are divided by it.
        repeats: of each side.

    Returns:
        Whether the bar is met.
    """
    fast = [timed(ours)[0]]
    slow = []
    for _ in range(repeats):
        slow.append(timed(theirs)[0] / share)
        fast.append(timed(ours)[0])
    ratio = median(slow) / median(fast)
    reckoned = f", reckoned from {share:.0%} of the rows" if share < 1 else ""
    print(f"{what}: {median(fast):.3f} s, SDMetrics {median(slow):.1f} s{reckoned}")
    print(f"  {ratio:.0f} x as fast (bar {bar:.0f} x)", flush=True)
    return ratio >= bar


def assert_equal(ours: Values, theirs: Values) -> None:
    """Raise unless values agree to 1e-9."""
    np.testing.assert_allclose(np.array(ours, dtype=float), np.array(theirs, dtype=float), rtol=0, atol=1e-9)


def proximity(rows: int) -> int:
    """Print seconds and memory of the proximity metrics on a large table; 1 if too much of it."""
    given = evaluation(rows, 30)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    seconds, _ = timed(lambda: measured(given, ["dcr", "dcr_share", "nndr"]))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"dcr, dcr_share, nndr, exact, {rows:,} x 30: {seconds:.1f} s")
    print(f"  {peak:.0f} MB at the peak, tables and libraries {before:.0f} MB (bar {MEMORY_MB} MB)", flush=True)
    return int(peak > MEMORY_MB)


def main() -> int:
    """Print the bars; 1 if one is missed."""
    warnings.simplefilter("ignore")
    large, small = evaluation(ROWS), evaluation(PART)
    trends, near = ["column_shapes", "column_pair_trends"], ["near_duplicates", "duplicates"]
    # Equal values first; imports, which are not what is measured, happen here too.
    assert_equal(measured(large, trends), report(large))
    assert_equal(measured(part_of(large), near[:1]), new_rows(large))
    assert_equal(closest(large)[:PART], closest_by_sdmetrics(large))
    met = [
        compare(f"shapes and pair trends, {ROWS:,} x 20", lambda: measured(large, trends), lambda: report(large), 10),
        compare(
            f"duplicates and near duplicates, {ROWS:,} x 20",
            lambda: measured(large, near),
            lambda: new_rows(large),
            bar=50,
            share=PART / ROWS,
            repeats=1,
        ),
        compare(
            f"distances to the closest record, {ROWS:,} x 20",
            lambda: closest(large),
            lambda: closest_by_sdmetrics(large),
            bar=5,
            share=PART / ROWS,
            repeats=1,
        ),
        subprocess.run([sys.executable, __file__, str(LARGE)], check=False).returncode == 0,
    ]
    seconds = median(timed(lambda: suite(small))[0] for _ in range(REPEATS))
    print(f"default metrics without learners, {PART:,} x 20: {seconds:.3f} s (bar {SUITE_SECONDS:.0f} s)")
    return int(not all(met) or seconds > SUITE_SECONDS)


if __name__ == "__main__":
    sys.exit(proximity(int(sys.argv[1])) if len(sys.argv) > 1 else main())
