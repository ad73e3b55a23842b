"""Throughput beside SDGym: the same tables, generators, epochs, rows and quality score, in one run.

The grid is a Gaussian copula, CTGAN, TVAE and one baseline (SDGym always adds its uniform one; ours is
``marginals``) on two tables. Both sides train on exactly the same rows, sample as many, and compare them with
a real table of that size: SDGym gets our train rows, and our split is .45 train, .1 control, .45 test, so that
neither side fits or scores more rows than the other. SDGym computes the SDMetrics quality report; ours is
``metrics=fidelity``, which holds the report's two parts (column shapes, column pair trends) and more. Both are
held to two cores, and both are timed as a user would see it: wall seconds of one command, imports included.

SDGym needs an SDV older than ours, so that it lives in an environment of its own under ``build/``, which the
first run installs (minutes). The sides alternate. At the end our last sweep is run again with nothing to do.

Bars: 3 x SDGym's throughput; a re-run 100 x faster than its first run.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import venv
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pandas as pd
from sklearn.datasets import load_breast_cancer
from synthward.benchmarks.dataset import Protocol
from synthward.benchmarks.sources import build_dataset

ROOT = Path(__file__).parents[2]
HOME = ROOT / "build" / "sdgym"
PINNED = ("sdgym==0.15.1", "sdv==1.38.5", "torch>=2.12,<2.14")
PROTOCOL = {"train": 0.45, "control": 0.1, "test": 0.45}
TARGET = "outcome"
OURS = {"gaussian_copula": "GaussianCopulaSynthesizer", "bench_ctgan": "Variant:ctgan", "bench_tvae": "Variant:tvae"}


def breast_cancer() -> pd.DataFrame:
    """569 x 31: thirty measurements and a diagnosis."""
    bunch = load_breast_cancer(as_frame=True)
    return bunch.data.assign(**{TARGET: np.where(bunch.target == 1, "benign", "malignant")})


def mixed(rows: int = 4444) -> pd.DataFrame:
    """Six numbers and six codes that share a latent factor; .45 of the rows are about 2,000."""
    rng = np.random.default_rng(0)
    latent = rng.normal(size=rows)
    table = {f"number_{i}": np.round(latent * rng.uniform(0.2, 1) + rng.normal(size=rows), 3) for i in range(6)}
    for i, levels in enumerate((2, 3, 4, 5, 8)):
        cuts = np.linspace(-1.5, 1.5, levels - 1)
        table[f"code_{i}"] = np.array(list("abcdefgh"))[np.digitize(latent + rng.normal(size=rows), cuts)]
    table[TARGET] = np.where(latent + rng.normal(size=rows) > 0.8, "died", "alive")
    return pd.DataFrame(table)


TABLES = {"breast_cancer": breast_cancer, "mixed": mixed}


def sdgym_python() -> Path:
    """The interpreter of SDGym's environment, which is made if it is not there."""
    python = HOME / "venv" / "bin" / "python"
    if not (HOME / ".installed").exists():
        print(f"installing {' '.join(PINNED)} into {HOME.relative_to(ROOT)}: minutes, once", flush=True)
        venv.create(HOME / "venv", with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *PINNED], check=True)
        (HOME / ".installed").touch()
    return python


def lay_out(folder: Path, epochs: int) -> list[Path]:
    """Write the tables for both sides, and our two generators with the number of epochs.

    Returns:
        The CSV files of our side.
    """
    paths = []
    for name, make in TABLES.items():
        table = make()
        paths.append(folder / f"{name}.csv")
        table.to_csv(paths[-1], index=False)
        train = build_dataset(table, {"name": name, "target": TARGET}).split(Protocol(**PROTOCOL)).train
        place = folder / "single_table" / name
        place.mkdir(parents=True)
        kinds = {c: "numerical" if train[c].dtype.kind == "f" else "categorical" for c in train}
        columns = {c: {"sdtype": kind} for c, kind in kinds.items()}
        card = {"METADATA_SPEC_VERSION": "V1", "tables": {name: {"columns": columns}}, "relationships": []}
        (place / "metadata.json").write_text(json.dumps(card))
        with ZipFile(place / "data.zip", "w") as archive:
            archive.writestr(f"{name}.csv", train.to_csv(index=False))
    own = folder / "conf" / "generator"
    own.mkdir(parents=True)
    for name in ("ctgan", "tvae"):
        text = f"defaults: [{name}, _self_]\nname: bench_{name}\nepochs: {epochs}\n"
        (own / f"bench_{name}.yaml").write_text(text)
    return paths


def timed(command: list[str | Path], folder: Path) -> tuple[float, str]:
    """Wall seconds and standard output of a command."""
    start = time.perf_counter()
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    seconds = time.perf_counter() - start
    if done.returncode:
        raise SystemExit(f"{command} failed:\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}")
    return seconds, done.stdout


def our_scores(store: Path) -> dict[str, float]:
    """Quality score, the mean of column shapes and column pair trends, by table and generator."""
    scores = {}
    for path in store.rglob("record.json"):
        record = json.loads(path.read_text())
        values = {m["metric"]: m["value"] for m in record["measurements"] if not m.get("variant") and "value" in m}
        generator = record["generator"]["name"]
        if record.get("status", "ok") != "ok":
            raise SystemExit(f"{record['dataset']['name']}/{generator}: {record.get('message')}")
        quality = statistics.mean([values["column_shapes"], values["column_pair_trends"]])
        scores[f"{record['dataset']['name']}/{generator}"] = quality
    return scores


def main() -> None:
    """Run both sides and print seconds, scores and ratios."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=300, help="of CTGAN and TVAE (%(default)s, the default of both)")
    parser.add_argument("--rounds", type=int, default=1, help="how often both sides are run (%(default)s)")
    options = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:2])
    python = sdgym_python()
    folder = Path(tempfile.mkdtemp(prefix="bench_sdgym_"))
    paths = lay_out(folder, options.epochs)
    sweep: list[str | Path] = [
        Path(sys.executable).with_name("synthward"),
        "sweep",
        "dataset=file",
        f"path={','.join(map(str, paths))}",
        f"target={TARGET}",
        f"generator={','.join([*OURS, 'marginals'])}",
        "metrics=fidelity",
        "protocol.split_seed=0",
        *(f"protocol.{part}={share}" for part, share in PROTOCOL.items()),
    ]
    grid: list[str | Path] = [python, Path(__file__).with_name("sdgym_grid.py"), folder, str(options.epochs)]
    theirs, ours, quality = [], [], {}
    for turn in range(options.rounds):
        seconds, printed = timed(grid, folder / "single_table")
        theirs.append(seconds)
        quality = json.loads(printed.splitlines()[-1])
        seconds, _ = timed([*sweep, f"store=runs_{turn}"], folder)
        ours.append(seconds)
        print(f"round {turn + 1}: sdgym {theirs[-1]:.1f} s, synthward {ours[-1]:.1f} s", flush=True)
    again, _ = timed([*sweep, f"store=runs_{options.rounds - 1}"], folder)
    scores = our_scores(folder / f"runs_{options.rounds - 1}")
    print(f"\n{'quality score':32} {'sdgym':>8} {'synthward':>10}")
    for table in TABLES:
        for name, synthesizer in OURS.items():
            print(f"{table + ' ' + name:32} {quality[f'{table}/{synthesizer}']:8.3f} {scores[f'{table}/{name}']:10.3f}")
    ratio = statistics.median(theirs) / statistics.median(ours)
    print(f"\nthroughput against SDGym: {ratio:.1f} x (bar: 3 x), {options.epochs} epochs, 8 cells each")
    print(f"re-run of the completed sweep: {again:.2f} s, {ours[-1] / again:.0f} x faster (bar: 100 x)")
    shutil.rmtree(folder)


if __name__ == "__main__":
    main()
