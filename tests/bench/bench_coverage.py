"""Do the 95 % intervals of the metrics cover what they should, 95 times in 100? On simulated patients.

Every world draws its own train, control, test and synthetic rows from one population. In the first kind of world the
synthetic rows are patients that nobody has seen; in the second each is a train row with a chance of one in five; in
the third each is damaged with a chance of one in ten; in the fourth there are ten times as many as train rows. Where
the true value is known it is held against every interval, else the mean over all worlds.

Prints a line a metric and variant, with the interval (Wilson) of the coverage itself. Exits with status 1 if an
interval covers too little, which is to say if all of that interval is below 95 %, with a hundredth to spare for bounds
that were rounded to whole rows.

Run: ``PYTHONPATH=tests python tests/bench/bench_coverage.py [--worlds 400] [--rows 300]``
"""

from __future__ import annotations

import argparse
import sys
import warnings
from collections import defaultdict

import numpy as np
import pandas as pd
from metric_tables import WARD, ward
from synthward.metrics import Costs, Evaluation, get, registry
from synthward.metrics.summary import share_value

LEAK, DAMAGE = 0.2, 0.1
NOMINAL, SLACK = 0.95, 0.01
KINDS = ("independent", "leaking", "damaged", "amplified")

# Known by construction; what is not here is estimated by the mean over the worlds.
TRUTH = {
    ("independent", "dcr_share", ""): 0.5,
    ("amplified", "dcr_share", ""): 0.5,
    ("amplified", "membership", "distance"): 0.5,
    ("independent", "membership", "distance"): 0.5,
    ("independent", "membership", "density"): 0.5,
    ("independent", "linkability", ""): 0.0,
    ("independent", "inference", ""): 0.0,
    ("independent", "singling_out", "univariate"): 0.0,
    ("independent", "singling_out", "multivariate"): 0.0,
    ("independent", "attribute_disclosure", "risk"): 0.0,
    ("leaking", "duplicates", "train"): LEAK,
    ("leaking", "near_duplicates", "train"): LEAK,
    ("damaged", "valid_rows", ""): 1 - DAMAGE,
}


def world(kind: str, rows: int, seed: int) -> Evaluation:
    """Four tables of a population."""
    sizes = (rows, rows, rows, 10 * rows if kind == "amplified" else rows)
    train, control, test, synthetic = (_patients(size, 4 * seed + part) for part, size in enumerate(sizes))
    rng = np.random.default_rng(seed)
    if kind == "leaking":
        leaked = rng.random(rows) < LEAK
        synthetic = pd.concat([train[leaked], synthetic[~leaked]], ignore_index=True)
    if kind == "damaged":
        synthetic = synthetic.assign(age=synthetic["age"].mask(rng.random(rows) < DAMAGE, 500.0))
    return Evaluation(WARD, train, control, test, synthetic, seed=seed, costs=Costs(1.0, 1.0, 1.0))


def _patients(rows: int, seed: int) -> pd.DataFrame:
    """Patients who obey the card: those of :func:`metric_tables.ward` with pressures in order."""
    table = ward(rows, seed)
    return table.assign(diastolic=table["diastolic"].clip(upper=table["systolic"] - 1))


def main() -> int:
    """Print the coverage; 1 if an interval is too narrow."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--worlds", type=int, default=400)
    options.add_argument("--rows", type=int, default=300)
    chosen = options.parse_args()
    warnings.simplefilter("ignore")
    names = [name for name, metric in registry().items() if metric.card.family in ("privacy", "validity", "fidelity")]
    names = [name for name in names if name != "detection"]  # trains models, and gives no interval
    found: dict[tuple[str, str, str], list[tuple[float, float, float]]] = defaultdict(list)
    for kind in KINDS:
        for seed in range(chosen.worlds):
            evaluation = world(kind, chosen.rows, seed)
            for name in names:
                for m in get(name).measure(evaluation):
                    if m.value is not None and m.low is not None and m.high is not None:
                        found[kind, name, m.variant].append((m.low, m.value, m.high))
    print(f"{chosen.worlds} worlds of {chosen.rows} rows; nominal {NOMINAL:.0%}")
    good = True
    for (kind, name, variant), intervals in found.items():
        low, value, high = np.array(intervals).T
        truth = TRUTH.get((kind, name, variant), float(value.mean()))
        covered = int(((low <= truth + 1e-12) & (truth - 1e-12 <= high)).sum())
        share = share_value(covered, len(intervals))
        assert share.high is not None
        narrow = share.high < NOMINAL - SLACK
        good &= not narrow
        known = "known" if (kind, name, variant) in TRUTH else "mean "
        print(
            f"{kind:12} {name:22} {variant:20} truth {truth:.3f} ({known})  covered {share.value:.3f} "
            f"[{share.low:.3f}, {share.high:.3f}]  mean width {np.mean(high - low):.3f}{'  TOO NARROW' * narrow}"
        )
    return int(not good)


if __name__ == "__main__":
    sys.exit(main())
