"""Membership attacks: the area under the ROC curve, its interval, and what they must find."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from metric_tables import WARD, damaged, evaluation, ward
from sklearn.metrics import roc_auc_score
from synthward.metrics import Evaluation, get
from synthward.metrics.privacy import membership
from synthward.metrics.privacy.gower import gower_spaces, nearest
from synthward.metrics.privacy.membership import auc
from synthward.results.record import Measurement

SCORES = st.lists(st.sampled_from([-1.0, 0.0, 0.25, 0.5, 3.0]), min_size=2, max_size=12)
VARIANTS = ("distance", "density")

pytestmark = pytest.mark.filterwarnings("error")


def measure(evaluated: Evaluation) -> dict[str, Measurement]:
    return {m.variant: m for m in get("membership").measure(evaluated)}


def world(seed: int, n: int = 300) -> dict[str, pd.DataFrame]:
    return {part: ward(n, 100 * seed + k) for k, part in enumerate(("train", "control", "test", "synthetic"), start=1)}


@given(SCORES, SCORES)
@settings(max_examples=60, deadline=None, derandomize=True)
def test_area_and_its_variance_are_the_naive_ones(members: list[float], others: list[float]) -> None:
    """Variance as DeLong et al. 1988 define it: of the structural components of either side."""
    wins = np.array([[(x > y) + 0.5 * (x == y) for y in others] for x in members])
    area, variance = auc(np.array(members), np.array(others))
    truth = [1] * len(members) + [0] * len(others)
    assert area == pytest.approx(roc_auc_score(truth, [*members, *others]), abs=1e-12)
    expected = np.var(wins.mean(axis=1), ddof=1) / len(members) + np.var(wins.mean(axis=0), ddof=1) / len(others)
    assert variance == pytest.approx(expected, abs=1e-12)


def test_area_of_single_rows_has_no_variance() -> None:
    area, variance = auc(np.array([1.0]), np.array([0.0, 1.0]))
    assert (area, math.isnan(variance)) == (0.75, True)


def test_attacks_are_those_of_the_naive_search() -> None:
    """Distance to the nearest synthetic row, and in relation to it that to the fifth nearest test row."""
    evaluated = evaluation(damaged(WARD, ward(60, 4)), train=ward(40, 1), control=ward(30, 2))
    spaces = gower_spaces(evaluated)
    reference = gower_spaces(evaluation(evaluated.test, train=evaluated.train, control=evaluated.control))
    near = [nearest(spaces[side], spaces["synthetic"])[:, 0] for side in ("train", "control")]
    far = [nearest(reference[side], reference["synthetic"], 5)[:, 4] for side in ("train", "control")]
    truth = [1] * 40 + [0] * 30
    found = measure(evaluated)
    assert found["distance"].value == pytest.approx(roc_auc_score(truth, -np.concatenate(near)), abs=1e-9)
    ratio = (np.concatenate(far) + 1e-9) / (np.concatenate(near) + 1e-9)
    assert found["density"].value == pytest.approx(roc_auc_score(truth, ratio), abs=1e-9)
    assert found["distance"].n == 70


def test_copy_and_real_are_the_extremes() -> None:
    tables = world(0)
    copy, real = (measure(evaluation(**tables | {"synthetic": tables[part]})) for part in ("train", "control"))
    for variant in VARIANTS:
        assert (copy[variant].value, real[variant].value) == (1.0, 0.0)
        # All pairs are in the same order: their variance is 0, and says nothing.
        assert copy[variant].low is None


@pytest.mark.parametrize("rate", [0.05, 0.2])
def test_planted_leak_is_found_at_about_its_rate(rate: float) -> None:
    """Pasted train rows are above all others, and add half their share to the area; moved by 0.5 % too."""
    gains: dict[tuple[str, str], list[float]] = {}
    for seed in range(4):
        tables = world(seed)
        leaked = int(rate * 300)
        pasted = pd.concat([tables["train"].iloc[:leaked], tables["synthetic"].iloc[leaked:]], ignore_index=True)
        moved, noise = pasted.copy(), np.random.default_rng(seed).normal(1, 0.005, (leaked, len(WARD.numeric)))
        moved.loc[: leaked - 1, list(WARD.numeric)] *= noise
        clean = measure(evaluation(**tables))
        for kind, synthetic in (("pasted", pasted), ("moved", moved)):
            for variant, found in measure(evaluation(**tables | {"synthetic": synthetic})).items():
                gains.setdefault((kind, variant), []).append(2 * (found.value - clean[variant].value))
    for case, found in gains.items():
        assert np.mean(found) == pytest.approx(rate, abs=0.03), case


def test_intervals_cover_one_half_on_independent_rows() -> None:
    """In 20 worlds, and the mean area is one half, also where control is half as large as train."""
    missed, areas = dict.fromkeys(VARIANTS, 0), []
    for seed in range(20):
        tables = world(seed + 10, 100)
        for variant, found in measure(evaluation(**tables | {"control": tables["control"].head(50)})).items():
            missed[variant] += not found.low <= 0.5 <= found.high
            areas.append(found.value)
    assert max(missed.values()) <= 3
    assert np.mean(areas) == pytest.approx(0.5, abs=0.03)


def test_drawn_rows_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(membership, "ROWS", 50)
    for found in measure(evaluation(ward(100, 4), train=ward(90, 1), control=ward(40, 2))).values():
        assert (found.n, found.population, found.sample_seed) == (90, 130, 0)


def test_without_test_rows_there_is_no_density() -> None:
    found = measure(evaluation(ward(30, 4), test=ward(0, 3)))
    assert found["distance"].value is not None
    assert "no test rows" in found["density"].reason
