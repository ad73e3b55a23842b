"""Fidelity of single columns: does each column of the synthetic table look like that of the test rows?"""

from __future__ import annotations

import numpy as np

from ..base import Evaluation, Value, best_at_one
from ..encoding import encoded
from ..summary import mean_value

SDMETRICS = "SDMetrics, DataCebo, https://docs.sdv.dev/sdmetrics"
NO_VALUES = "no known value on one side"

# What SDMetrics does before it compares: decimals kept of a number, and the count given to a label
# that only the synthetic table has. Both are far below any difference that matters.
DECIMALS = 14
UNSEEN_COUNT = 1e-6


@best_at_one(
    family="fidelity",
    aspect="marginals",
    definition="Mean over numeric columns of 1 - the two-sample Kolmogorov-Smirnov statistic between synthetic and "
    "test values, missing values left out.",
    citation=f"{SDMETRICS}: KSComplement",
    needs=("numeric",),
)
def ks_complement(evaluation: Evaluation) -> Value:
    """1 - Kolmogorov-Smirnov statistic, by numeric column."""
    scores = column_scores(evaluation)
    return mean_value({name: scores[name] for name in evaluation.schema.numeric}, "columns", NO_VALUES)


@best_at_one(
    family="fidelity",
    aspect="marginals",
    definition="Mean over categorical columns of 1 - half the sum of absolute differences between the label shares of "
    "synthetic and test rows, missing values left out.",
    citation=f"{SDMETRICS}: TVComplement",
    needs=("categorical",),
)
def tv_complement(evaluation: Evaluation) -> Value:
    """1 - total variation distance, by categorical column."""
    scores = column_scores(evaluation)
    return mean_value({name: scores[name] for name in evaluation.schema.categorical}, "columns", NO_VALUES)


@best_at_one(
    family="fidelity",
    aspect="marginals",
    definition="Mean over all columns of ks_complement for numeric and tv_complement for categorical ones.",
    citation=f"{SDMETRICS}: QualityReport, Column Shapes",
)
def column_shapes(evaluation: Evaluation) -> Value:
    """The Column Shapes score of the SDMetrics quality report."""
    return mean_value(column_scores(evaluation), "columns", NO_VALUES)


@best_at_one(
    family="fidelity",
    aspect="marginals",
    definition="1 - the mean absolute difference between synthetic and test rows of the columns' missing rates "
    "(variant 'rate'), and 1 - half that of the correlations between missing indicators that vary in the test rows "
    "(variant 'correlation'; an indicator that is constant in the synthetic rows correlates with nothing).",
)
def missingness(evaluation: Evaluation) -> list[Value]:
    """Whether values are missing as often, and together with the same others, as in the test rows."""
    if not len(evaluation.synthetic) or not len(evaluation.test):
        return [Value(None, variant, reason="a table has no rows") for variant in ("rate", "correlation")]
    names = list(evaluation.schema.names)
    test = evaluation.test[names].isna().to_numpy(dtype=float)
    synthetic = evaluation.synthetic[names].isna().to_numpy(dtype=float)
    rates = 1 - np.abs(test.mean(axis=0) - synthetic.mean(axis=0))
    rate = mean_value(dict(zip(names, rates.tolist(), strict=True)), "columns", NO_VALUES, variant="rate")
    varies = np.flatnonzero(test.std(axis=0) > 0)
    if len(varies) < 2:
        reason = "fewer than two columns of the test rows have both known and missing values"
        return [rate, Value(None, "correlation", reason=reason)]
    pairs = np.triu_indices(len(varies), 1)
    gap = np.abs(_indicator_correlations(test[:, varies]) - _indicator_correlations(synthetic[:, varies]))[pairs]
    return [rate, Value(float(1 - gap.mean() / 2), "correlation", n=len(gap))]


def column_scores(evaluation: Evaluation) -> dict[str, float]:
    """Score of every column in the order of the schema; NaN where one side has no known value."""
    return evaluation.once("column scores", lambda: _column_scores(evaluation))


def _column_scores(evaluation: Evaluation) -> dict[str, float]:
    schema = evaluation.schema
    test, synthetic = encoded(evaluation, "test"), encoded(evaluation, "synthetic")
    scores = {name: _ks(test.numbers[:, j], synthetic.numbers[:, j]) for j, name in enumerate(schema.numeric)}
    for j, name in enumerate(schema.categorical):
        scores[name] = _tv(test.codes[:, j], synthetic.codes[:, j], int(test.levels[j]))
    return {name: scores[name] for name in schema.names}


def _ks(reference: np.ndarray, other: np.ndarray) -> float:
    reference, other = _known(reference), _known(other)
    if not len(reference) or not len(other):
        return float("nan")
    values = np.concatenate([reference, other])
    below = np.searchsorted(reference, values, side="right") / len(reference)
    below_other = np.searchsorted(other, values, side="right") / len(other)
    return float(1 - np.abs(below - below_other).max())


def _known(values: np.ndarray) -> np.ndarray:
    """The values that are not missing, rounded and sorted."""
    values = values[~np.isnan(values)]
    with np.errstate(over="ignore", invalid="ignore"):
        rounded = np.round(values, DECIMALS)
    # Rounding overflows on numbers near the largest float, which have no decimals to lose.
    return np.sort(np.where(np.isfinite(rounded), rounded, values))


def _tv(reference: np.ndarray, other: np.ndarray, levels: int) -> float:
    p = np.bincount(reference + 1, minlength=levels + 1)[1:].astype(float)
    q = np.bincount(other + 1, minlength=levels + 1)[1:].astype(float)
    if not p.any() or not q.any():
        return float("nan")
    p[(p == 0) & (q > 0)] = UNSEEN_COUNT
    return float(1 - 0.5 * np.abs(p / p.sum() - q / q.sum()).sum())


def _indicator_correlations(missing: np.ndarray) -> np.ndarray:
    """Correlation matrix of 0/1 columns; 0 where a column is constant."""
    centred = missing - missing.mean(axis=0)
    norm = np.sqrt((centred**2).sum(axis=0))
    scaled = centred / np.where(norm > 0, norm, 1.0)
    correlations: np.ndarray = scaled.T @ scaled
    return correlations
