"""Shared fixtures: a small table that needs no package, and a worker that runs real child processes."""

import os
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

HERE = str(Path(__file__).parent)
sys.path.insert(0, HERE)  # the plugins of the tests, here and in child processes
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [HERE, os.environ.get("PYTHONPATH", "")]))


def small_table(rows: int = 120, seed: int = 0) -> pd.DataFrame:
    """A mixed table with missing values and a target that can be predicted."""
    rng = np.random.default_rng(seed)
    age = rng.integers(20, 90, rows)
    pressure = np.round(rng.normal(120, 15, rows) + age / 5, 1)
    sex = rng.choice(["f", "m"], rows)
    ward = rng.choice(["icu", "surgery", "medicine"], rows, p=[0.2, 0.3, 0.5]).astype(object)
    died = (rng.random(rows) < 1 / (1 + np.exp(-(age - 60) / 8))).astype(int)
    table = pd.DataFrame({"age": age, "pressure": pressure, "sex": sex, "ward": ward, "died": died})
    table.loc[rng.choice(rows, rows // 10, replace=False), "pressure"] = np.nan
    table.loc[rng.choice(rows, rows // 20, replace=False), "ward"] = None
    return table


CARD = """
name: small
version: 1
source: {{_target_: synthward.benchmarks.sources.file.read, path: '{path}'}}
sharing: local-only
target: died
task: binary
positive: 1
sensitive: [sex]
columns:
  age: {{kind: integer, meaning: Age, unit: years, bounds: [18, 110]}}
  pressure: {{kind: continuous, meaning: Systolic pressure, unit: mmHg, bounds: [40, 260], missing: true, decimals: 1}}
  sex: {{kind: categorical, meaning: Sex, codes: {{f: female, m: male}}}}
  ward: {{kind: categorical, meaning: Ward, codes: {{icu: ICU, surgery: Surgery, medicine: Medicine}}, missing: true}}
  died: {{kind: categorical, meaning: Died in hospital, codes: {{0: no, 1: yes}}}}
"""


@pytest.fixture
def small_card(tmp_path):
    """Path of a CSV, and the configuration of a dataset that reads it."""
    import yaml

    path = tmp_path / "small.csv"
    small_table().to_csv(path, index=False)
    return yaml.safe_load(CARD.format(path=path))


@pytest.fixture(scope="session")
def worker():
    """One worker for the session: its zygote imports what is needed once."""
    from synthward.benchmarks.isolation import Worker

    worker = Worker()
    yield worker
    worker.close()


@pytest.fixture(scope="module")
def browser():
    """A real browser, closed before the next module: while it is open, nothing else may run an event loop."""
    from browsing import chromium

    yield from chromium()
