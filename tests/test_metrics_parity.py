"""Agreement to 1e-9 with the libraries that define the same metrics, on real and on generated tables.

SynthEval 1.7 is not among them. Its Kolmogorov-Smirnov statistic is scipy's, which SDMetrics takes too. The others that
sound like ours are defined otherwise there: the total variation distance is rounded to four digits, Cramer's V and the
correlation ratio are squares (and the former has no correction for bias), Gower's distance is scaled by the range of
both tables in single precision, and its median distance is divided by that among the real rows.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from functools import cache
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from metric_tables import damaged, real_table
from scipy.stats import pearsonr, spearmanr
from sdmetrics.column_pairs import ContingencySimilarity, CorrelationSimilarity
from sdmetrics.errors import ConstantInputError, IncomputableMetricError
from sdmetrics.reports.single_table import QualityReport
from sdmetrics.single_column import KSComplement, TVComplement
from sdmetrics.single_table import NewRowSynthesis
from sdmetrics.single_table.privacy.dcr_utils import calculate_dcr
from synthward.benchmarks.dataset import Split
from synthward.benchmarks.schema import Column, TableSchema
from synthward.metrics import Evaluation, get
from synthward.metrics.fidelity.coefficients import pearson, spearman
from synthward.metrics.fidelity.correlations import pair_scores
from synthward.metrics.fidelity.marginals import column_scores
from synthward.metrics.privacy.gower import gower_spaces, nearest

TOLERANCE = 1e-9

# Rows and columns are few where SDMetrics is slow, not where we are.
REAL = {
    "pbc": (418, 13),
    "covid": (1000, 99),
    "rhc": (600, 12),
    "breast_cancer": (569, 10),
    "diabetes": (442, 99),
}
KINDS = ("control", "damaged", "damaged reference")

pytestmark = pytest.mark.filterwarnings("ignore")


@cache
def split_of(name: str) -> tuple[TableSchema, Split]:
    return real_table(name, *REAL[name])


def sides(name: str, kind: str) -> tuple[TableSchema, pd.DataFrame, pd.DataFrame]:
    """Schema, reference and synthetic rows."""
    schema, split = split_of(name)
    if kind == "control":
        return schema, split.test, split.control
    poor = damaged(schema, split.control)
    return (schema, split.test, poor) if kind == "damaged" else (schema, poor, split.test)


def evaluate(schema: TableSchema, reference: pd.DataFrame, synthetic: pd.DataFrame) -> Evaluation:
    return Evaluation(schema, train=reference, control=reference, test=reference, synthetic=synthetic)


def values(name: str, evaluation: Evaluation) -> dict[str, float | None]:
    return {m.variant: m.value for m in get(name).measure(evaluation)}


def assert_same(ours: float | None, theirs: float) -> None:
    """Equal to the tolerance; a value that is undefined there is undefined here."""
    if math.isnan(theirs):
        assert ours is None or math.isnan(ours)
    else:
        assert ours == pytest.approx(theirs, abs=TOLERANCE)


def metadata(schema: TableSchema) -> dict[str, object]:
    return {"columns": {c.name: {"sdtype": "numerical" if c.numeric else "categorical"} for c in schema.columns}}


def report(
    schema: TableSchema, reference: pd.DataFrame, synthetic: pd.DataFrame, thresholds: bool = True
) -> QualityReport:
    quality = QualityReport()
    if not thresholds:
        quality.real_correlation_threshold = quality.real_association_threshold = 0
    quality.generate(reference, synthetic, metadata(schema), verbose=False)
    return quality


def score(quality: QualityReport, part: str) -> float:
    return float(quality.get_properties().set_index("Property")["Score"][part])


def sdmetrics_pair(metric: type, reference: pd.DataFrame, synthetic: pd.DataFrame, **options: str) -> float:
    try:
        return float(metric.compute(reference, synthetic, **options))
    except (ConstantInputError, ValueError):  # constant, or fewer than two rows with both values
        return math.nan


def sdmetrics_column(schema: TableSchema, name: str, reference: pd.DataFrame, synthetic: pd.DataFrame) -> float:
    metric = KSComplement if schema[name].numeric else TVComplement
    try:
        return float(metric.compute(reference[name], synthetic[name]))
    except IncomputableMetricError:  # no known value on one side
        return math.nan


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", REAL)
def test_single_columns_equal_sdmetrics(name: str, kind: str) -> None:
    schema, reference, synthetic = sides(name, kind)
    evaluation = evaluate(schema, reference, synthetic)
    theirs = {c: sdmetrics_column(schema, c, reference, synthetic) for c in schema.names}
    for column, ours in column_scores(evaluation).items():
        assert_same(ours, theirs[column])
    for metric, columns in (("ks_complement", schema.numeric), ("tv_complement", schema.categorical)):
        if columns:
            assert_same(values(metric, evaluation)[""], float(np.nanmean([theirs[c] for c in columns])))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", REAL)
def test_quality_report_is_equal(name: str, kind: str) -> None:
    schema, reference, synthetic = sides(name, kind)
    evaluation = evaluate(schema, reference, synthetic)
    quality = report(schema, reference, synthetic)
    assert_same(values("column_shapes", evaluation)[""], score(quality, "Column Shapes"))
    assert_same(values("column_pair_trends", evaluation)[""], score(quality, "Column Pair Trends"))
    every = report(schema, reference, synthetic, thresholds=False)
    assert_same(values("column_pair_trends", evaluation)["all_pairs"], score(every, "Column Pair Trends"))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", REAL)
def test_correlation_similarity_equals_sdmetrics(name: str, kind: str) -> None:
    schema, reference, synthetic = sides(name, kind)
    ours = values("correlation_similarity", evaluate(schema, reference, synthetic))
    for coefficient in ("Pearson", "Spearman"):
        theirs = [
            sdmetrics_pair(CorrelationSimilarity, reference[[*p]], synthetic[[*p]], coefficient=coefficient)
            for p in combinations(schema.numeric, 2)
        ]
        assert_same(ours[coefficient.lower()], float(np.nanmean(theirs)))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", [n for n in REAL if n not in ("breast_cancer", "diabetes")])
def test_contingency_similarity_equals_sdmetrics(name: str, kind: str) -> None:
    schema, reference, synthetic = sides(name, kind)
    ours = values("contingency_similarity", evaluate(schema, reference, synthetic))[""]
    pairs = combinations(schema.categorical, 2)
    theirs = [sdmetrics_pair(ContingencySimilarity, reference[[*p]], synthetic[[*p]]) for p in pairs]
    assert_same(ours, float(np.mean(theirs)))


@pytest.mark.parametrize("name", ["pbc", "covid", "rhc", "diabetes"])
def test_near_duplicates_equal_new_row_synthesis(name: str) -> None:
    """On train rows whose numbers moved by up to 1.2 %, so that some of them still match."""
    schema, split = split_of(name)
    rng = np.random.default_rng(0)
    train, control = split.train.head(60), split.control.head(30)
    moved = train.iloc[rng.integers(0, len(train), 30)].reset_index(drop=True)
    for i, column in enumerate(schema.numeric):
        # Few numbers move, or no row of a wide table would match.
        if i % 4 == 0:
            moved[column] *= 1 + rng.uniform(-0.012, 0.012, len(moved))
    evaluation = Evaluation(schema, train=train, control=control, test=split.test, synthetic=moved)
    theirs = 1 - NewRowSynthesis.compute(train, moved, metadata(schema))
    ours = values("near_duplicates", evaluation)
    assert 0 < theirs < 1
    assert_same(ours["train"], theirs)
    assert_same(ours["control"], 1 - NewRowSynthesis.compute(train, control, metadata(schema)))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["pbc", "rhc", "diabetes"])
def test_distances_to_the_closest_record_equal_sdmetrics(name: str, kind: str) -> None:
    schema, reference, synthetic = sides(name, kind)
    spaces = gower_spaces(evaluate(schema, reference, synthetic))
    theirs = calculate_dcr(synthetic, reference, metadata(schema))
    np.testing.assert_allclose(nearest(spaces["synthetic"], spaces["train"])[:, 0], theirs, atol=TOLERANCE)


@pytest.mark.parametrize("coefficient", [pearson, spearman])
def test_correlations_of_ill_conditioned_pairs_equal_scipy(coefficient: Callable[[np.ndarray], np.ndarray]) -> None:
    """Nearly all of a column's variance, or all of it, lies in rows where the other column is missing."""
    rng = np.random.default_rng(0)
    x, y, z, c = (rng.normal(size=40) for _ in range(4))
    x[:3], y[:3] = [1e8, 3e8, 2e8], np.nan
    z, c[3:] = z + 1e6, 0.1
    table = np.column_stack([x, y, z, c])
    theirs = {pearson: pearsonr, spearman: spearmanr}[coefficient]
    found = coefficient(table)
    for i, j in combinations(range(4), 2):
        both = ~np.isnan(table[:, [i, j]]).any(axis=1)
        assert_same(float(found[i, j]), float(theirs(table[both, i], table[both, j])[0]))
    assert math.isnan(found[1, 3])


NUMBERS = (
    st.none()
    | st.sampled_from([-2.0, 0.0, 0.5, 3.0])
    | st.floats(-1e4, 1e4, allow_nan=False).map(lambda x: round(x, 3))
)
LABELS = st.none() | st.sampled_from(["a", "b", "c"])
SCHEMA = TableSchema(
    columns=(
        Column(name="x", kind="continuous", missing=True),
        Column(name="k", kind="categorical", codes=["a", "b"], missing=True),
        Column(name="y", kind="continuous", missing=True),
        Column(name="m", kind="categorical", codes=["a", "b"], missing=True),
    )
)
TABLES = st.lists(st.tuples(NUMBERS, LABELS, NUMBERS, LABELS), min_size=1, max_size=14).map(
    lambda rows: SCHEMA.canonical(pd.DataFrame(rows, columns=["x", "k", "y", "m"]))
)


@given(TABLES, TABLES)
@settings(max_examples=30, deadline=None, derandomize=True)
def test_generated_tables_agree_with_sdmetrics(reference: pd.DataFrame, synthetic: pd.DataFrame) -> None:
    """Column by column and pair by pair, with single rows, constants, unseen labels and gaps of every kind."""
    evaluation = evaluate(SCHEMA, reference, synthetic)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        quality = report(SCHEMA, reference, synthetic)
        every = report(SCHEMA, reference, synthetic, thresholds=False)
    shapes = quality.get_details("Column Shapes").set_index("Column")["Score"]
    for column, ours in column_scores(evaluation).items():
        assert_same(ours, shapes[column])
    trends = every.get_details("Column Pair Trends").set_index(["Column 1", "Column 2"])
    strength = quality.get_details("Column Pair Trends").set_index(["Column 1", "Column 2"])
    for pair in pair_scores(evaluation):
        theirs = trends.loc[(pair.a, pair.b)]
        # SDMetrics leaves out a pair whose correlation is exactly zero in the reference, which rounding
        # decides; we keep it. Rounding also decides whether a strength on a threshold is above it.
        if theirs["Metric"] == "CorrelationSimilarity" and not abs(theirs["Real Correlation"]) > 1e-12:
            continue
        assert_same(pair.score, theirs["Score"])
        found = strength.loc[(pair.a, pair.b)]
        assume(not abs(abs(found["Real Correlation"]) - 0.5) < 1e-12)
        assume(not abs(found["Real Association"] - 0.3) < 1e-12)
        assert pair.related == (found["Meets Threshold?"] is not pd.NA and bool(found["Meets Threshold?"]))
