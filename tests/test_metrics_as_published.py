"""Metrics as papers computed them: the same computation, and the defect in it that ours mends."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from metric_tables import WARD, evaluation, subset, ward
from scipy.spatial.distance import cdist, jensenshannon
from scipy.stats import wasserstein_distance
from sdmetrics.single_table import CategoricalCAP, NewRowSynthesis
from synthward.benchmarks.schema import Column, TableSchema
from synthward.metrics import Evaluation, get, registry

PUBLISHED = sorted(name for name, metric in registry().items() if metric.card.published_in)

# A score as target, with features that have nothing to do with it.
NOISE = TableSchema(
    columns=tuple(Column(name=name, kind="continuous") for name in ("score", "a", "b")),
    target="score",
    task="regression",
)


def values(name: str, evaluated: Evaluation) -> dict[str, float | None]:
    return {m.variant: m.value for m in get(name).measure(evaluated)}


def complete(seed: int) -> pd.DataFrame:
    return ward(150, seed).dropna().reset_index(drop=True)


@pytest.fixture(scope="module")
def wards() -> Evaluation:
    return evaluation(complete(4), train=complete(1), control=complete(2), test=complete(3))


def test_none_of_them_is_ranked() -> None:
    assert len(PUBLISHED) == 12
    assert not any(registry()[name].card.ranked for name in PUBLISHED)


@pytest.mark.parametrize("name", PUBLISHED)
def test_every_one_has_values_on_a_plain_table(name: str, wards: Evaluation) -> None:
    assert None not in values(name, wards).values()


def test_wasserstein_is_decided_by_the_unit(wards: Evaluation) -> None:
    names = list(WARD.numeric)
    expected = np.mean([wasserstein_distance(wards.train[n], wards.synthetic[n]) for n in names])
    assert values("text_to_tabular_wasserstein", wards)["train"] == pytest.approx(expected, rel=1e-12)
    grams = [table.assign(lactate=table["lactate"] * 1e6) for table in (wards.synthetic, wards.train, wards.test)]
    other = evaluation(grams[0], train=grams[1], test=grams[2], control=wards.control)
    assert values("text_to_tabular_wasserstein", other)["train"] > 1000 * expected
    assert values("wasserstein", other)[""] == pytest.approx(values("wasserstein", wards)[""])


def test_jensen_shannon_pairs_unrelated_rows(wards: Evaluation) -> None:
    schema = subset(WARD, ["age", "systolic"])
    names = list(schema.names)
    tables = {part: getattr(wards, part)[names] for part in ("train", "control", "test")}
    plain = evaluation(wards.synthetic, schema, **tables)
    rows = min(len(plain.synthetic), len(plain.test))
    expected = np.mean([jensenshannon(plain.test[n][:rows], plain.synthetic[n][:rows]) for n in names])
    found = values("text_to_tabular_jensen_shannon", plain)["test"]
    assert found == pytest.approx(expected, abs=1e-12)
    turned = evaluation(wards.synthetic.sort_values("age", ignore_index=True), schema, **tables)
    assert values("text_to_tabular_jensen_shannon", turned)["test"] != pytest.approx(found, abs=1e-4)
    assert values("jensen_shannon", turned) == pytest.approx(values("jensen_shannon", plain))


def test_distances_do_not_see_a_shift(wards: Evaluation) -> None:
    """Of real rows to synthetic ones, each table standardised by itself."""
    schema = subset(WARD, ["age", "systolic", "diastolic"])
    names = list(schema.names)
    tables = {part: getattr(wards, part)[names] for part in ("train", "control", "test")}
    plain = evaluation(wards.synthetic, schema, **tables)
    scaled = [(t - t.mean()) / t.std(ddof=0) for t in (plain.train, plain.synthetic)]
    nearest = np.sort(cdist(*scaled), axis=1)
    found = values("text_to_tabular_dcr", plain)["train"], values("text_to_tabular_nndr", plain)["train"]
    ratios = nearest[:, 0] / nearest[:, 1]
    assert found == pytest.approx((np.percentile(nearest[:, 0], 5), np.percentile(ratios, 5)), abs=1e-9)
    moved = evaluation(wards.synthetic.assign(age=wards.synthetic["age"] + 500), schema, **tables)
    assert values("text_to_tabular_dcr", moved)["train"] == pytest.approx(found[0], abs=1e-9)
    assert values("dcr", moved)["train_median"] > 10 * values("dcr", plain)["train_median"]


def test_copies_are_counted_among_test_rows_too(wards: Evaluation) -> None:
    metadata = {"columns": {c.name: {"sdtype": "numerical" if c.numeric else "categorical"} for c in WARD.columns}}
    copied = evaluation(wards.test.copy(), train=wards.train, control=wards.control, test=wards.test)
    found = values("text_to_tabular_new_rows", copied)
    assert found["test"] == 0
    assert found["train"] == pytest.approx(NewRowSynthesis.compute(wards.train, wards.test, metadata))
    keys = sorted(set(WARD.categorical) - set(WARD.sensitive))
    for part in ("train", "test"):
        tables = getattr(wards, part), wards.synthetic
        expected = CategoricalCAP.compute(*tables, key_fields=keys, sensitive_fields=list(WARD.sensitive))
        assert values("text_to_tabular_cap", wards)[part] == pytest.approx(expected, abs=1e-9)


def noise(n: int, shift: float, seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    table = pd.DataFrame(rng.normal(size=(n, 3)), columns=["score", "a", "b"])
    return table.assign(score=table["score"] + shift)


def test_a_number_cut_at_its_median_gives_itself_away() -> None:
    """Features of pure noise: F1 depends only on how far the synthetic median is off."""
    real = {part: noise(400, 0, i) for i, part in enumerate(("train", "control", "test"))}
    found = [
        values("text_to_tabular_tstr_f1", Evaluation(NOISE, synthetic=noise(400, shift, 9), **real))["test"]
        for shift in (0.0, 0.3, 0.6)
    ]
    assert found[0] > 0.93
    assert found[0] > found[1] + 0.05 > found[2] + 0.1


def test_augmentation_predicts_the_rows_it_was_trained_on() -> None:
    """Rows without a signal, memorised where trees are deep enough; AdaBoost's are not, but they see the answer."""
    shifted = Evaluation(
        NOISE,
        synthetic=noise(100, 2.0, 9),
        **{part: noise(400, 0, i) for i, part in enumerate(("train", "control", "test"))},
    )
    alone, together = (values(f"text_to_tabular_{name}_f1", shifted)["test"] for name in ("tstr", "tatr"))
    assert together > alone + 0.2


def test_neurosurgical_evaluation_is_ours_on_the_rows_behind_the_statistics(wards: Evaluation) -> None:
    told = evaluation(wards.synthetic, train=wards.train, control=wards.train, test=wards.train)
    assert values("neurosurgery_ci_overlap", wards)[""] == values("mean_ci_overlap", told)[""]
    assert values("neurosurgery_tests", wards)[""] == values("univariate_tests", told)["raw"]
    assert values("neurosurgery_tstr_f1", wards)[""] == values("tstr_f1", told)["mean"]
    statistics = evaluation(wards.train.copy(), train=wards.train, control=wards.control, test=wards.test)
    assert values("neurosurgery_ci_overlap", statistics)[""] == 1
