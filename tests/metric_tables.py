"""Tables for the tests of metrics: a generated ward, and real tables with damaged counterparts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import yaml
from synthward.benchmarks.dataset import Dataset, DatasetCard, Protocol, Split
from synthward.benchmarks.schema import Column, Rule, TableSchema
from synthward.benchmarks.sources import load_dataset
from synthward.metrics import Costs, Evaluation
from synthward.metrics.base import ModelUsage

CARDS = Path(__file__).parent.parent / "conf" / "dataset"

WARD = TableSchema(
    columns=(
        Column(name="age", kind="integer", bounds=(0, 120)),
        Column(name="systolic", kind="continuous", bounds=(40, 300), decimals=0),
        Column(name="diastolic", kind="continuous", bounds=(20, 200), decimals=0, missing=True),
        Column(name="lactate", kind="continuous", bounds=(0, 30), missing=True),
        Column(name="sex", kind="categorical", codes=["f", "m"]),
        Column(name="unit", kind="categorical", codes=["cardiac", "general", "surgical"], missing=True),
        Column(name="stage", kind="ordinal", codes=[1, 2, 3, 4]),
        Column(name="died", kind="categorical", codes=["no", "yes"]),
    ),
    target="died",
    task="binary",
    positive="yes",
    sensitive=("sex",),
    rules=(Rule(name="pressure", left="diastolic", op="<", right="systolic"),),
)

COSTS = Costs(1.5, 0.5, 200.0, ModelUsage(10, 3000, 1000, 1000, 0.06))


def ward(n: int, seed: int = 0) -> pd.DataFrame:
    """A canonical table of ``n`` patients with correlations, gaps and an outcome that can be learnt."""
    rng = np.random.default_rng(seed)
    severity = rng.normal(size=n)
    unmonitored = rng.random(n) < 0.1
    systolic = np.round(120 - 12 * severity + rng.normal(0, 8, n))
    table = pd.DataFrame(
        {
            "age": np.round(60 + 8 * severity + rng.normal(0, 8, n)).clip(0, 110),
            "systolic": systolic,
            "diastolic": np.where(unmonitored, np.nan, np.round(0.6 * systolic + rng.normal(0, 3, n))),
            "lactate": np.where(
                unmonitored | (rng.random(n) < 0.1), np.nan, np.exp(0.5 * severity + rng.normal(0, 0.3, n))
            ),
            "sex": rng.choice(["f", "m"], n),
            "unit": np.where(rng.random(n) < 0.1, None, rng.choice(["cardiac", "general", "surgical"], n)),
            "stage": np.digitize(severity, [-1, 0, 1]) + 1,
            "died": np.where(severity + rng.normal(0, 0.7, n) > 0.8, "yes", "no"),
        }
    )
    return WARD.canonical(table)


def subset(schema: TableSchema, names: list[str]) -> TableSchema:
    """The schema of some columns, without a target unless it is among them."""
    columns = tuple(schema[name] for name in names)
    if schema.target not in names:
        return TableSchema(columns=columns)
    return TableSchema(columns=columns, target=schema.target, task=schema.task, positive=schema.positive)


def evaluation(synthetic: pd.DataFrame, schema: TableSchema = WARD, n: int = 120, **tables: pd.DataFrame) -> Evaluation:
    """An evaluation of ward rows; train, control and test can be given instead."""
    names = list(schema.names)
    parts = {part: ward(n, seed)[names] for seed, part in enumerate(("train", "control", "test"), start=1)} | tables
    return Evaluation(schema=schema, synthetic=synthetic[names], costs=COSTS, **parts)


def real_table(name: str, rows: int, columns: int = 99) -> tuple[TableSchema, Split]:
    """A split of a real table, capped to a random sample of rows and to its first columns."""
    dataset = _sklearn(name) if name in ("breast_cancer", "diabetes") else _card(name)
    schema = subset(dataset.schema, list(dataset.schema.names[:columns]))
    dataset = Dataset(DatasetCard(name=name, schema_=schema), dataset.table[list(schema.names)])
    return schema, dataset.split(Protocol(max_rows=rows))


def damaged(schema: TableSchema, table: pd.DataFrame, seed: int = 0) -> pd.DataFrame:
    """A poor synthetic table: every column shuffled on its own, and odd ones among them.

    Numeric columns: the first is constant, the second all missing, the third has gaps. Categorical
    ones: the first gets a label that nobody knows, the second is constant, the third all missing.
    """
    rng = np.random.default_rng(seed)
    table = pd.DataFrame({name: table[name].to_numpy()[rng.permutation(len(table))] for name in table})
    gaps = rng.random(len(table)) < 0.4
    for name, change in zip(schema.numeric, ("constant", "missing", "gaps"), strict=False):
        values = {"constant": 1.0, "missing": np.nan, "gaps": table[name].where(~gaps)}
        table[name] = values[change]
    for name, change in zip(schema.categorical, ("unseen", "constant", "missing"), strict=False):
        known = table[name].dropna().iloc[0]
        values = {"unseen": table[name].where(gaps, "unseen"), "constant": known, "missing": None}
        table[name] = values[change]
    return schema.canonical(table)


def _card(name: str) -> Dataset:
    return load_dataset(yaml.safe_load((CARDS / f"{name}.yaml").read_text()))


def _sklearn(name: str) -> Dataset:
    from sklearn.datasets import load_breast_cancer, load_diabetes

    frame = (load_breast_cancer if name == "breast_cancer" else load_diabetes)(as_frame=True).frame
    codes = {c: [0, 1] for c in frame if frame[c].nunique() == 2}
    columns = tuple(
        Column(name=c, kind="categorical", codes=sorted(frame[c].unique()))
        if c in codes
        else Column(name=c, kind="continuous")
        for c in frame
    )
    schema = TableSchema(columns=columns)
    return Dataset(DatasetCard(name=name, schema_=schema), schema.canonical(frame))
