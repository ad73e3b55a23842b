"""Agreement of conclusions: do models of the synthetic rows say the same of the columns as models of real patients?"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from ..base import Evaluation, Value, best_at_one, metric
from .learners import LEARNERS, UntrainableError, ordered_rows, targets
from .logit import Fit, NoFitError, fit, independent
from .predictions import MOST_ROWS, Side, Tested, mean_of_learners, model, rows_to_predict, training
from .references import kept
from .scores import UndefinedScoreError, auroc

if TYPE_CHECKING:
    import pandas as pd

    from ...benchmarks.schema import TableSchema

EXPLAINED = ("random_forest", "xgboost")
SHUFFLES = 5  # of every column, as in scikit-learn
IMPORTANCE_ROWS = 2_000  # test rows that are shuffled and predicted, five times a column
FEWEST_FEATURES = 3  # two are in the same order or the reverse by chance
RARE = 5  # test rows of either class below which a label has no log-odds of its own: they might well be infinite

Term = tuple[str, Callable[["pd.DataFrame"], np.ndarray]]


@metric(
    family="utility",
    aspect="agreement",
    direction="max",
    ideal=1.0,
    lower=-1.0,
    upper=1.0,
    definition="Spearman correlation over the features between their permutation importances (mean fall of the area "
    f"under the ROC curve on the test rows, {IMPORTANCE_ROWS:,} at most, when the feature is shuffled, {SHUFFLES} "
    "times) to a model trained on the synthetic rows and to one trained on the train rows; random forest and XGBoost "
    "(first their mean); the breakdown gives the difference of importances.",
    citation="Breiman 2001, Machine Learning 45:5; scikit-learn: permutation_importance",
    needs=("class target",),
)
def importance_agreement(evaluation: Evaluation) -> list[Value]:
    """Whether models of synthetic rows rely on the same features."""
    values = [_importance_agreement(evaluation, learner) for learner in EXPLAINED]
    return [mean_of_learners(values), *values]


@best_at_one(
    family="utility",
    aspect="agreement",
    definition="Logistic regression of a binary target on all features, fitted to the synthetic and to the test rows: "
    "share of log-odds whose 95 % confidence intervals overlap ('overlap') and that have the same sign ('sign'); "
    "numbers are centred and scaled, their gaps set to the median and marked, all by the test rows, labels and gaps "
    f"that fewer than {RARE} test rows of either class have count as the most frequent label or are not marked, "
    "log-odds that the synthetic rows cannot give count as different, and of tables larger than "
    f"{MOST_ROWS:,} rows as many are drawn.",
    citation="Karr et al. 2006, The American Statistician 60:224 (overlap of confidence intervals)",
    needs=("binary target",),
)
def inference_agreement(evaluation: Evaluation) -> list[Value]:
    """Whether an analysis of the synthetic rows comes to the conclusions of one of the test rows."""
    try:
        return _inference_agreement(evaluation)
    except (UntrainableError, NoFitError) as error:
        return [Value(None, variant, reason=str(error)) for variant in ("overlap", "sign")]


def _importance_agreement(evaluation: Evaluation, learner: str) -> Value:
    from scipy.stats import spearmanr

    features = sorted(evaluation.schema.features)
    if len(features) < FEWEST_FEATURES:
        return Value(None, learner, reason=f"the table has fewer than {FEWEST_FEATURES} features to put in order")
    try:
        rows, population = rows_to_predict(evaluation, "test", IMPORTANCE_ROWS)
        real, synthetic = (_importances(evaluation, side, learner, features) for side in ("train", "synthetic"))
    except (UntrainableError, UndefinedScoreError) as error:
        return Value(None, learner, reason=str(error))
    except Exception as error:  # one learner's failure must not take the other with it
        return Value(None, learner, reason=f"{type(error).__name__}: {error}")
    n = len(rows)
    for side, importances in (("train", real), ("synthetic", synthetic)):
        if (importances == importances[0]).all():
            reason = f"to the model of the {side} rows all features are equally important"
            return Value(None, learner, n=n, population=population, reason=reason)
    difference = dict(zip(features, (synthetic - real).tolist(), strict=True))
    # The correlation of equal vectors may exceed 1 by a rounding error.
    value = float(np.clip(spearmanr(real, synthetic).statistic, -1.0, 1.0))
    return Value(value, learner, n=n, population=population, breakdown=dict(difference))


def _importances(evaluation: Evaluation, side: Side, learner: str, features: list[str]) -> np.ndarray:
    """Permutation importance of every feature to a learner trained on one table, shape ``(features,)``."""

    def compute() -> np.ndarray:
        return _permutation_importances(evaluation, side, learner, features)

    if side == "train":
        return kept(evaluation, f"importances of {learner}", (len(features),), compute)
    return compute()


def _permutation_importances(evaluation: Evaluation, side: Side, learner: str, features: list[str]) -> np.ndarray:
    schema, seed = evaluation.schema, evaluation.seed
    test = evaluation.test.iloc[rows_to_predict(evaluation, "test", IMPORTANCE_ROWS)[0]]
    # Which row gets which value must depend on neither the order of the rows nor the side.
    test = test.iloc[ordered_rows(schema, test)]
    truth = targets(schema, test)
    encoder, fitted = training(evaluation, side).encoder, model(evaluation, side, learner, LEARNERS[learner])
    x, origins = encoder.transform(test), encoder.origins
    whole = auroc(schema, truth, fitted.predict(x))[0]
    rng = np.random.default_rng(seed)
    shuffles = np.concatenate([rng.permutation(len(x)) for _ in range(SHUFFLES)])
    falls = np.empty((len(features), SHUFFLES))
    for j, feature in enumerate(features):
        shuffled = np.tile(x, (SHUFFLES, 1))
        shuffled[:, origins == feature] = x[shuffles][:, origins == feature]
        for i, predicted in enumerate(np.split(fitted.predict(shuffled), SHUFFLES)):
            falls[j, i] = whole - auroc(schema, truth, predicted)[0]
    importances: np.ndarray = falls.mean(axis=1)
    return importances


def _inference_agreement(evaluation: Evaluation) -> list[Value]:
    schema = evaluation.schema
    test, synthetic = _analysed(evaluation, "test"), _analysed(evaluation, "synthetic")
    terms = list(_terms(schema, test))
    x, x_synthetic = _design(terms, test), _design(terms, synthetic)
    known = independent(x)
    terms = [term for term, keep in zip(terms, known[1:], strict=True) if keep]
    x, x_synthetic = x[:, known], x_synthetic[:, known]
    if not terms:
        raise NoFitError("no feature varies in the test rows")
    if not np.isfinite(x_synthetic).all():
        raise NoFitError("the synthetic rows hold numbers that are too large to be scaled")
    shared = independent(x_synthetic)
    real = fit(x[:, shared], _positive(schema, test))
    other = fit(x_synthetic[:, shared], _positive(schema, synthetic))
    overlap, sign = np.zeros(len(terms)), np.zeros(len(terms))
    overlap[shared[1:]] = ((real.low <= other.high) & (other.low <= real.high))[1:]
    sign[shared[1:]] = (np.sign(real.coefficients) == np.sign(other.coefficients))[1:]
    reason = _separation(test=real, synthetic=other)
    names = [name for name, _ in terms]
    return [
        Value(
            float(hits.mean()),
            variant,
            n=len(terms),
            breakdown=dict(zip(names, hits.tolist(), strict=True)),
            reason=reason,
        )
        for variant, hits in (("overlap", overlap), ("sign", sign))
    ]


def _analysed(evaluation: Evaluation, part: Tested) -> pd.DataFrame:
    """The rows of a table with a known target, in the order of their values.

    Raises:
        UntrainableError: there is none.
        NoFitError: they hold one class only.
    """
    table: pd.DataFrame = getattr(evaluation, part).iloc[rows_to_predict(evaluation, part, MOST_ROWS)[0]]
    positive = _positive(evaluation.schema, table)
    if (positive == positive[0]).all():
        raise NoFitError(f"the {part} rows hold one class only")
    return table.iloc[ordered_rows(evaluation.schema, table)]


def _positive(schema: TableSchema, table: pd.DataFrame) -> np.ndarray:
    """1 in rows of the positive class and 0 in others."""
    assert schema.target is not None
    return (table[schema.target] == schema.positive).to_numpy(dtype=float)


def _terms(schema: TableSchema, test: pd.DataFrame) -> Iterator[Term]:
    """The terms of the regression, each with its column of a design matrix, in the order of the features' names."""
    positive = _positive(schema, test) > 0
    for name in sorted(schema.features):
        if schema[name].numeric:
            yield from _number_terms(name, test, positive)
        else:
            yield from _label_terms(name, sorted(schema[name].codes), test, positive)


def _number_terms(name: str, test: pd.DataFrame, positive: np.ndarray) -> Iterator[Term]:
    values = _finite(test[name])
    known = values[~np.isnan(values)]
    if not len(known):
        return
    median = float(np.median(known))
    with np.errstate(all="ignore"):
        mean, spread = float(known.mean()), float(known.std())
    if not np.isfinite(spread) or not spread:
        return

    def scaled(table: pd.DataFrame) -> np.ndarray:
        values = _finite(table[name])
        with np.errstate(all="ignore"):
            scaled: np.ndarray = (np.where(np.isnan(values), median, values) - mean) / spread
        return scaled

    yield name, scaled
    if _common(np.isnan(values), positive):
        yield f"{name} missing", lambda table: np.isnan(_finite(table[name])).astype(float)


def _label_terms(name: str, codes: list[str], test: pd.DataFrame, positive: np.ndarray) -> Iterator[Term]:
    counts = {code: int((test[name] == code).sum()) for code in codes}
    usual = max(counts, key=lambda code: counts[code])
    for code in codes:
        if code != usual and _common((test[name] == code).to_numpy(), positive):
            yield f"{name} = {code}", partial(_indicator, name, code)
    if _common(test[name].isna().to_numpy(), positive):
        yield f"{name} missing", lambda table: table[name].isna().to_numpy(dtype=float)


def _common(rows: np.ndarray, positive: np.ndarray) -> bool:
    """Whether enough rows of both classes are among these."""
    return bool(min(np.count_nonzero(rows & positive), np.count_nonzero(rows & ~positive)) >= RARE)


def _indicator(name: str, code: str, table: pd.DataFrame) -> np.ndarray:
    return (table[name] == code).to_numpy(dtype=float)


def _finite(values: pd.Series) -> np.ndarray:
    """Numbers, infinite ones as missing."""
    numbers = values.to_numpy(dtype=float)
    return np.where(np.isfinite(numbers), numbers, np.nan)


def _design(terms: list[Term], table: pd.DataFrame) -> np.ndarray:
    """The design matrix of shape ``(rows, 1 + terms)``, the intercept first."""
    return np.column_stack([np.ones(len(table)), *(column(table) for _, column in terms)])


def _separation(**fits: Fit) -> str:
    sides = [f"the {side} rows" for side, found in fits.items() if found.separated]
    if not sides:
        return ""
    return f"features separate the classes of {' and '.join(sides)}: a small ridge keeps the log-odds finite"
