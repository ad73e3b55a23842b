"""Agreement to 1e-9 of distances, tests, associations and supports with the libraries that define them."""

from __future__ import annotations

import math
import warnings
from itertools import combinations, pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from metric_tables import damaged, real_table
from scipy.spatial.distance import jensenshannon
from scipy.stats import (
    binomtest,
    chi2_contingency,
    f_oneway,
    pearsonr,
    t,
    ttest_ind,
    wasserstein_distance,
)
from sdmetrics.single_table import LogisticDetection
from sklearn.datasets import load_breast_cancer, load_diabetes
from synthward.benchmarks.schema import TableSchema
from synthward.metrics import Evaluation, get
from synthward.metrics.fidelity.associations import associations
from synthward.metrics.fidelity.distances import decile_cuts
from synthward.metrics.fidelity.joint import integrated_alpha_precision, integrated_beta_recall
from synthward.metrics.fidelity.univariate import compare_proportions, comparisons, holm
from synthward.metrics.utility.learners import Encoder
from test_metrics_parity import KINDS, REAL, SCHEMA, TABLES, assert_same, evaluate, metadata, sides

pytestmark = pytest.mark.filterwarnings("ignore")


def breakdown(name: str, evaluation: Evaluation) -> dict[str, float | None]:
    return get(name).measure(evaluation)[0].breakdown


def wasserstein_in_sd(reference: np.ndarray, other: np.ndarray) -> float:
    """NaN as our definition has it: without values, and for a constant that is not matched."""
    if not len(reference) or not len(other):
        return math.nan
    distance = wasserstein_distance(reference, other)
    if reference.min() == reference.max():
        return 0.0 if distance == 0 else math.nan
    return float(distance / reference.std())


def shares(values: np.ndarray, cuts: np.ndarray) -> list[int]:
    edges = [-np.inf, *cuts, np.inf]
    return [int(((values >= low) & (values < high)).sum()) for low, high in pairwise(edges)]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", REAL)
def test_distances_equal_scipy(name: str, kind: str) -> None:
    schema, reference, synthetic = sides(name, kind)
    evaluation = evaluate(schema, reference, synthetic)
    ours, divergences = breakdown("wasserstein", evaluation), breakdown("jensen_shannon", evaluation)
    for column in schema.names:
        known = [table[column].dropna().to_numpy() for table in (reference, synthetic)]
        if schema[column].numeric:
            assert_same(ours[column], wasserstein_in_sd(*known))
            counts = [shares(values, decile_cuts(known[0])) for values in known]
        else:
            labels = sorted({*known[0], *known[1]})
            counts = [[int((values == label).sum()) for label in labels] for values in known]
        theirs = jensenshannon(*counts, base=2) if all(map(len, known)) else math.nan
        if math.isnan(theirs) and counts[0] == counts[1] and any(counts[0]):
            theirs = 0.0  # SciPy takes the root of a rounded zero
        assert_same(divergences[column], float(theirs))


def welch(reference: pd.Series, synthetic: pd.Series) -> float:
    """NaN where SciPy has nan; it is also undefined there for two equal constants, which we call equal."""
    if len(reference) > 1 and len(synthetic) > 1 and reference.nunique() == synthetic.nunique() == 1:
        return float(reference.iloc[0] == synthetic.iloc[0])
    return float(ttest_ind(reference, synthetic, equal_var=False).pvalue)


def two_proportions(hits: int, n: int, hits_other: int, n_other: int) -> float:
    """The z test with pooled variance is the chi-squared test of the two by two table."""
    if hits + hits_other in (0, n + n_other):
        return 1.0
    table = [[hits, n - hits], [hits_other, n_other - hits_other]]
    return float(chi2_contingency(table, correction=False).pvalue)


def overlaps(a: tuple[float, float], b: tuple[float, float]) -> float:
    return math.nan if math.isnan(a[0] + b[0]) else float(max(a[0], b[0]) <= min(a[1], b[1]))


def t_interval(values: pd.Series) -> tuple[float, float]:
    if len(values) < 2:
        return math.nan, math.nan
    if values.nunique() == 1:
        return values.iloc[0], values.iloc[0]
    return t.interval(0.95, len(values) - 1, values.mean(), values.sem())


def assert_comparisons_equal_scipy(schema: TableSchema, reference: pd.DataFrame, synthetic: pd.DataFrame) -> None:
    found = comparisons(evaluate(schema, reference, synthetic))
    seen = 0
    for name in schema.names:
        known = [table[name].dropna() for table in (reference, synthetic)]
        if schema[name].numeric:
            assert_same(found[name].p_value, welch(*known))
            assert_same(found[name].overlap, overlaps(*map(t_interval, known)))
            seen += 1
            continue
        labels = sorted(known[0].unique())
        if not labels:
            assert math.isnan(found[name].p_value)
            seen += 1
        for label in labels[1:] if len(labels) == 2 else labels:
            ours = found[f"{name}={label}"]
            seen += 1
            if not len(known[1]):
                assert math.isnan(ours.p_value)
                assert math.isnan(ours.overlap)
                continue
            counts = [(int((values == label).sum()), len(values)) for values in known]
            assert_same(ours.p_value, two_proportions(*counts[0], *counts[1]))
            assert_same(ours.overlap, overlaps(*(binomtest(*c).proportion_ci(method="wilson") for c in counts)))
    assert len(found) == seen


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", REAL)
def test_univariate_inference_equals_scipy(name: str, kind: str) -> None:
    assert_comparisons_equal_scipy(*sides(name, kind))


def test_proportions_and_holm_equal_statsmodels() -> None:
    """statsmodels 0.15: proportions_ztest and multipletests."""
    assert compare_proportions(12, 80, 30, 120).p_value == pytest.approx(0.08894805314589892, abs=1e-9)
    assert compare_proportions(0, 40, 3, 70).p_value == pytest.approx(0.1843316924253433, abs=1e-9)
    assert compare_proportions(50, 50, 45, 50).p_value == pytest.approx(0.021781462791119557, abs=1e-9)
    p = dict(zip("abcdefg", [0.01, 0.04, 0.03, 0.005, 0.5, 0.6, math.nan], strict=True))
    found = list(holm(p).values())
    assert found[:6] == pytest.approx([0.05, 0.12, 0.12, 0.03, 1, 1], abs=1e-9)
    assert math.isnan(found[6])


def bergsma(x: pd.Series, y: pd.Series) -> float:
    """Bias-corrected Cramer's V as the paper writes it, on SciPy's chi squared."""
    table = pd.crosstab(x, y).to_numpy()
    (r, k), n = table.shape, int(table.sum())
    if min(r, k, n) < 2 or max(r, k) == n:
        return math.nan
    phi2 = max(0.0, chi2_contingency(table, correction=False).statistic / n - (r - 1) * (k - 1) / (n - 1))
    # The root magnifies rounding just above independence.
    phi2 = 0.0 if phi2 < 1e-13 else phi2
    r_corrected, k_corrected = r - (r - 1) ** 2 / (n - 1), k - (k - 1) ** 2 / (n - 1)
    return math.sqrt(phi2 / (min(r_corrected, k_corrected) - 1))


def eta(labels: pd.Series, numbers: pd.Series) -> float:
    """From SciPy's analysis of variance."""
    groups = [group.to_numpy() for _, group in numbers.groupby(labels)]
    k, n = len(groups), len(numbers)
    if k < 2 or numbers.nunique() < 2:
        return math.nan
    if all(len(set(group)) == 1 for group in groups):
        return 1.0
    ratio = f_oneway(*groups).statistic * (k - 1)
    return math.sqrt(ratio / (ratio + n - k))


def assert_associations_equal_scipy(schema: TableSchema, table: pd.DataFrame) -> None:
    found = associations(evaluate(schema, table, table), "test")
    assert len(found) == math.comb(len(schema.names), 2)
    for a, b in combinations(sorted(schema.names), 2):
        both = table[[a, b]].dropna()
        numeric = [name for name in (a, b) if schema[name].numeric]
        if len(numeric) == 2:
            constant = len(both) < 2 or both[a].nunique() < 2 or both[b].nunique() < 2
            theirs = math.nan if constant else float(pearsonr(both[a], both[b])[0])
        elif numeric:
            theirs = eta(both[b if a in numeric else a], both[numeric[0]])
        else:
            theirs = bergsma(both[a], both[b])
        assert_same(found[f"{a}|{b}"], theirs)


@pytest.mark.parametrize("kind", ["control", "damaged"])
@pytest.mark.parametrize("name", REAL)
def test_associations_equal_scipy(name: str, kind: str) -> None:
    schema, _, synthetic = sides(name, kind)
    names = schema.names[:16]
    assert_associations_equal_scipy(TableSchema(columns=tuple(schema[n] for n in names)), synthetic[list(names)])


@given(TABLES, TABLES)
@settings(max_examples=40, deadline=None, derandomize=True)
def test_generated_tables_agree_with_scipy(reference: pd.DataFrame, synthetic: pd.DataFrame) -> None:
    """With single rows, constants, unseen labels and gaps of every kind."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = breakdown("wasserstein", evaluate(SCHEMA, reference, synthetic))
        for column in SCHEMA.numeric:
            known = (table[column].dropna().to_numpy() for table in (reference, synthetic))
            assert_same(found[column], wasserstein_in_sd(*known))
        assert_comparisons_equal_scipy(SCHEMA, reference, synthetic)
        assert_associations_equal_scipy(SCHEMA, reference)


# Of halves of scikit-learn's tables, standardised, and of a noisy second half: delta_precision_alpha and
# delta_coverage_beta of synthcity's AlphaPrecision.metrics (schneiderkamplab-synthcity 0.2.16).
SYNTHCITY = {
    (load_breast_cancer, 0): (0.9470293022502833, 0.5220657276995305),
    (load_breast_cancer, 1): (0.5183665209648697, 0.005399061032864028),
    (load_diabetes, 0): (0.9156082592188068, 0.46546003016591253),
    (load_diabetes, 1): (0.482051282051282, 0.08898944193061842),
}


@pytest.mark.parametrize(("load", "noise"), SYNTHCITY)
def test_supports_equal_recorded_values_of_synthcity(load: object, noise: int) -> None:
    points = load().data
    points = (points - points.mean(axis=0)) / points.std(axis=0)
    half = len(points) // 2
    reference, other = points[:half], points[half : 2 * half]
    other = other + noise * np.sin(np.arange(other.size)).reshape(other.shape)
    precision, recall = SYNTHCITY[load, noise]
    assert integrated_alpha_precision(reference, other) == pytest.approx(precision, abs=1e-9)
    assert integrated_beta_recall(reference, other) == pytest.approx(recall, abs=1e-9)


@pytest.mark.slow
def test_supports_equal_synthcity() -> None:
    """Of real tables with labels and gaps in our embedding; slow to import, not to run."""
    from synthcity.metrics.eval_statistical import AlphaPrecision

    theirs = AlphaPrecision()
    for name in ("pbc", "covid", "rhc"):
        schema, split = real_table(name, *REAL[name])
        encoder = Encoder(TableSchema(columns=schema.columns)).fit(split.train)
        reference = encoder.transform(split.test)
        for table in (split.test, split.control, damaged(schema, split.control)):
            other = encoder.transform(table)[: len(reference)]
            _, _, _, precision, recall, _ = theirs.metrics(reference[: len(other)], other)
            assert integrated_alpha_precision(reference[: len(other)], other) == pytest.approx(precision, abs=1e-9)
            assert integrated_beta_recall(reference[: len(other)], other) == pytest.approx(recall, abs=1e-9)


def test_detection_stays_near_sdmetrics() -> None:
    """Not equal: folds, encoding and the treatment of an AUC below one half differ, as the card says."""
    for name in ("diabetes", "breast_cancer"):
        schema, split = real_table(name, *REAL[name])
        moved = split.control.copy()
        moved[list(schema.numeric)] += 0.7 * moved[list(schema.numeric)].std()
        for table in (split.control, moved):
            np.random.seed(0)  # SDMetrics draws its folds from the global state
            theirs = LogisticDetection.compute(split.test, table, metadata(schema))
            evaluation = Evaluation(schema, split.train, split.control, split.test, table)
            ours = {m.variant: m.value for m in get("detection").measure(evaluation)}["logistic"]
            assert ours == pytest.approx(theirs, abs=0.15)
