"""Positive controls: what every privacy metric must say of a copy, of new patients, and of leaks that were planted."""

from __future__ import annotations

from functools import cache

import numpy as np
import pandas as pd
import pytest
from metric_tables import evaluation, real_table, ward
from synthward.benchmarks.dataset import Split
from synthward.benchmarks.schema import TableSchema
from synthward.metrics import Evaluation, get, registry
from synthward.results.record import Measurement

ROWS = 500
TABLES = ("ward", "pbc", "rhc")

# Of a copy of the train rows: the least that a metric must say, or for those of distance the most.
LOUD = {
    ("dcr_share", ""): 0.98,
    ("duplicates", "train"): 1.0,
    ("near_duplicates", "train"): 1.0,
    ("membership", "distance"): 0.98,
    ("membership", "density"): 0.98,
    ("singling_out", "univariate"): 0.5,
    ("singling_out", "multivariate"): 0.8,
    ("linkability", ""): 0.8,
    ("inference", ""): 0.8,
}
SILENT = {("dcr", "train_p05"): 0.0, ("dcr", "train_median"): 0.0, ("nndr", "train"): 0.05}
# Metrics with an interval, and what they are where nothing has leaked.
IDEAL = {
    ("dcr_share", ""): 0.5,
    ("membership", "distance"): 0.5,
    ("membership", "density"): 0.5,
    ("singling_out", "univariate"): 0.0,
    ("singling_out", "multivariate"): 0.0,
    ("linkability", ""): 0.0,
    ("inference", ""): 0.0,
    ("attribute_disclosure", "risk"): 0.0,
}

pytestmark = pytest.mark.filterwarnings("ignore")


@cache
def parts(name: str) -> tuple[TableSchema, Split]:
    """Train, control and test rows of a real table, or of the generated ward."""
    if name != "ward":
        return real_table(name, 3 * ROWS, 14)
    base = evaluation(ward(1), n=ROWS)
    return base.schema, Split(base.train, base.control, base.test)


def measured(name: str, synthetic: pd.DataFrame) -> dict[tuple[str, str], Measurement]:
    schema, split = parts(name)
    given = Evaluation(schema, split.train, split.control, split.test, synthetic)
    privacy = [m for n, m in registry().items() if m.card.family == "privacy" and not m.card.published_in]
    wanted = [m for m in privacy if m.card.name not in ("example_copying", "memorisation")]
    return {(m.metric, m.variant): m for metric in wanted for m in metric.measure(given)}


@pytest.mark.parametrize("name", TABLES)
def test_copy_is_told_loudly(name: str) -> None:
    found = measured(name, parts(name)[1].train.copy())
    for key, least in LOUD.items():
        assert found[key].value >= least, key
    for key, most in SILENT.items():
        assert found[key].value <= most, key
    # How much labels betray depends on how many there are: on rhc there is one beside the target.
    risk = found["attribute_disclosure", "risk"].value
    assert risk is None or risk > 0.02


@pytest.mark.parametrize("name", TABLES)
def test_patients_that_nobody_has_seen_are_at_the_ideal(name: str) -> None:
    """The test rows as synthetic ones: neither train nor control. What is exact is as in the control rows."""
    found = measured(name, parts(name)[1].test.copy())
    for key, ideal in IDEAL.items():
        if found[key].value is not None:
            # Three standard errors: of so many intervals some of 95 % would miss.
            slack = 0.6 * (found[key].high - found[key].low) / 2
            assert found[key].low - slack <= ideal <= found[key].high + slack, key
    for metric in ("duplicates", "near_duplicates"):
        assert found[metric, "train"].value == pytest.approx(found[metric, "control"].value, abs=0.02)
    assert found["dcr", "train_median"].value == pytest.approx(found["dcr", "control_median"].value, rel=0.1)
    assert found["nndr", "train"].value == pytest.approx(found["nndr", "control"].value, abs=0.12)


def planted(rate: float, noise: float) -> pd.DataFrame:
    """New patients, of whom some are train rows, with numbers moved by up to a share of their value."""
    train, rng = parts("ward")[1].train, np.random.default_rng(0)
    leaked = train.head(round(rate * ROWS)).copy()
    for column in parts("ward")[0].numeric:
        leaked[column] *= 1 + noise * rng.uniform(-1, 1, len(leaked))
    return pd.concat([leaked, ward(ROWS, 9).iloc[len(leaked) :]], ignore_index=True)


@pytest.mark.parametrize("noise", [0.0, 0.005])
@pytest.mark.parametrize("rate", [0.01, 0.05, 0.2])
def test_planted_leaks_are_found_at_their_rate(rate: float, noise: float) -> None:
    clean, found = measured("ward", planted(0, noise)), measured("ward", planted(rate, noise))
    exact, near = found["duplicates", "train"], found["near_duplicates", "train"]
    assert near.value == pytest.approx(rate, abs=0.005)
    assert near.low <= rate <= near.high
    assert exact.value == (pytest.approx(rate, abs=0.005) if noise == 0 else pytest.approx(0, abs=0.005))
    # A leaked row is nearer to train for certain, and else with one half; a member is known for certain, and else not.
    gain = found["dcr_share", ""].value - clean["dcr_share", ""].value
    assert gain == pytest.approx(rate / 2, abs=0.02)
    member = found["membership", "distance"].value - clean["membership", "distance"].value
    assert member == pytest.approx(rate / 2, abs=0.02)
    if rate == 0.2:
        assert found["dcr_share", ""].low > 0.5
        assert found["membership", "distance"].low > 0.5
        assert found["linkability", ""].value == pytest.approx(rate, abs=0.06)
        # Queries are of exact values, which noise hides, so that linkability finds what singling out misses.
        assert noise > 0 or found["singling_out", "multivariate"].low > 0
        assert found["nndr", "train"].value < 0.2 < clean["nndr", "train"].value


def test_every_privacy_metric_has_its_control() -> None:
    named = {metric for metric, _ in [*LOUD, *SILENT, *IDEAL]}
    ours = {n for n, m in registry().items() if m.card.family == "privacy" and not m.card.published_in}
    assert ours - named == {"example_copying", "memorisation"}
    assert all(get(name).card.family == "privacy" for name in named)
