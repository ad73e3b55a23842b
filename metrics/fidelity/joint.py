"""Fidelity of whole rows: can they be told from test rows, and do they fill the same part of space?

As many test as synthetic rows are compared: the larger side is drawn down, and both are where they are very large.
"""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd

from ...benchmarks.schema import TableSchema
from ..base import Evaluation, Value, best_at_one
from ..encoding import Part
from ..sampling import drawn
from ..utility.learners import LEARNERS, Encoder

ROWS = 10_000  # of each side: neighbours cost the square of it, and an AUC has settled by then
SIDES: tuple[Part, ...] = ("test", "synthetic")
CLASSIFIERS = {"logistic": "logistic_regression", "trees": "xgboost"}
FOLDS = 3
RARE = 10  # a label of fewer rows is too rare to be learnt, and is pooled with others that are
LEVELS = np.linspace(0, 1, 30)  # of support, as in the code of Alaa et al.
FAR = 1000.0  # standard deviations: what lies further would overflow a squared distance

SIZES = f"as many rows of each, at most {ROWS:,} (drawn at random)"
ALAA = "Alaa et al. 2022, ICML, PMLR 162:290; synthcity: AlphaPrecision, variant 'naive'"
EMBEDDING = "in the space of standardised numbers and one-hot labels fitted on train rows"


@best_at_one(
    family="fidelity",
    aspect="joint",
    definition="1 - (2 AUC - 1), and 1 for an AUC below one half, where the AUC is the mean over three folds with "
    "which a classifier tells unseen synthetic from unseen test rows: logistic regression (variant 'logistic') and "
    f"gradient-boosted trees (variant 'trees'); {SIZES}.",
    citation="Lopez-Paz and Oquab 2017, ICLR, arXiv:1610.06545; SDMetrics: LogisticDetection",
)
def detection(evaluation: Evaluation) -> list[Value]:
    """Classifier two-sample test.

    A row that is on both sides, such as a copied one, is told wrong where its equal was learnt: that takes the AUC
    below one half, which is no failure of the synthetic rows. SDMetrics lifts every fold to one half before it takes
    the mean, so that rows nobody can tell apart score below 1; it also compares sides of unequal size.
    """
    rows = _balanced(evaluation)
    size = len(rows["test"])
    if size < FOLDS:
        return [
            Value(None, variant, reason=f"there are fewer than {FOLDS} test or synthetic rows")
            for variant in CLASSIFIERS
        ]
    with np.errstate(over="ignore", invalid="ignore"):  # what cannot be scaled fails in the learner
        x = _pooled(evaluation, rows)
    x = np.concatenate([_sorted(x[:size]), _sorted(x[size:])])
    y = np.repeat([0, 1], size)
    # Each side is dealt out on its own: if rows of equal rank shared a fold, what differs by chance in the others would
    # differ in the held-out one, too.
    rng = np.random.default_rng(evaluation.seed)
    fold = np.concatenate([rng.permutation(size) % FOLDS for _ in SIDES])
    return [_detection(evaluation, variant, x, y, fold) for variant in CLASSIFIERS]


@best_at_one(
    family="fidelity",
    aspect="joint",
    definition="1 - twice the mean over alpha of the difference between alpha and the share of synthetic rows within "
    f"the ball about the test rows' centre that holds a share alpha of test rows, {EMBEDDING}; {SIZES}.",
    citation=ALAA,
)
def alpha_precision(evaluation: Evaluation) -> Value:
    """Whether synthetic rows are as typical, and as atypical, as real ones."""
    return _supports(evaluation)[0]


@best_at_one(
    family="fidelity",
    aspect="joint",
    definition="1 - twice the mean over beta of the difference between beta and the share of test rows that have, not "
    "further than the nearest other test row, a nearest synthetic row among the innermost share beta of such rows, "
    f"{EMBEDDING}; {SIZES}. Of other rows of the same patients about one half is covered, which gives about 0.5; only "
    "copies of the test rows reach 1.",
    citation=ALAA,
)
def beta_recall(evaluation: Evaluation) -> Value:
    """Whether synthetic rows cover real ones, the rare as well as the common."""
    return _supports(evaluation)[1]


def integrated_alpha_precision(reference: np.ndarray, synthetic: np.ndarray) -> float:
    """Integrated alpha precision of points about the centre of the reference (Alaa et al. 2022).

    Args:
        reference: shape ``(rows, dimensions)``.
        synthetic: likewise.
    """
    centre = reference.mean(axis=0)
    radii = np.quantile(np.linalg.norm(reference - centre, axis=1), LEVELS)
    return _integrated(np.linalg.norm(synthetic - centre, axis=1), radii, len(synthetic))


def integrated_beta_recall(reference: np.ndarray, synthetic: np.ndarray) -> float:
    """Integrated beta recall (Alaa et al. 2022).

    Args:
        reference: shape ``(rows, dimensions)``, 2 rows or more.
        synthetic: likewise, as many rows.
    """
    from sklearn.neighbors import NearestNeighbors

    other = reference[NearestNeighbors(n_neighbors=1).fit(reference).kneighbors(return_distance=False)[:, 0]]
    nearest = synthetic[
        NearestNeighbors(n_neighbors=1).fit(synthetic).kneighbors(reference, return_distance=False)[:, 0]
    ]
    # Distances once more, because those of the search are rounded where rows are equal, which they often are.
    covered = np.linalg.norm(reference - nearest, axis=1) <= np.linalg.norm(reference - other, axis=1)
    depth = np.linalg.norm(nearest - synthetic.mean(axis=0), axis=1)
    return _integrated(depth[covered], np.quantile(depth, LEVELS), len(reference))


def _balanced(evaluation: Evaluation) -> dict[Part, np.ndarray]:
    """Row numbers of as many test as synthetic rows."""
    most = min(len(evaluation.test), len(evaluation.synthetic), ROWS)
    return {part: drawn(evaluation, part, most) for part in SIDES}


def _value(evaluation: Evaluation, size: int, value: float, variant: str = "") -> Value:
    """The value of ``size`` rows of each side."""
    return Value(value, variant, n=2 * size, population=len(evaluation.test) + len(evaluation.synthetic))


def _pooled(evaluation: Evaluation, rows: dict[Part, np.ndarray]) -> np.ndarray:
    """Test and then synthetic rows, encoded together: an encoding of one side would give the other away."""
    schema = TableSchema(columns=evaluation.schema.columns)  # without a target, which is a column like any other
    test, synthetic = (getattr(evaluation, part).iloc[rows[part]] for part in SIDES)
    pooled = pd.concat([test, synthetic], ignore_index=True)
    for name in schema.numeric:
        known = test[name][np.isfinite(test[name])]
        if len(known):
            # A single number far outside would shrink all others to nothing once they are standardised.
            low, high = known.min(), known.max()
            width = (high - low) or max(1.0, abs(high))
            pooled[name] = pooled[name].clip(low - width, high + width)
    for name in schema.categorical:
        rows_of_label = pooled[name].map(pooled[name].value_counts())
        pooled[name] = pooled[name].mask(rows_of_label < RARE, "rare")
    return Encoder(schema).fit(pooled).transform(pooled)


def _detection(evaluation: Evaluation, variant: str, x: np.ndarray, y: np.ndarray, fold: np.ndarray) -> Value:
    from sklearn.metrics import roc_auc_score

    areas = []
    try:
        for k in range(FOLDS):
            held = fold == k
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of convergence: the score shows what it costs
                model = LEARNERS[CLASSIFIERS[variant]](evaluation.seed).fit(x[~held], y[~held])
            areas.append(roc_auc_score(y[held], model.predict_proba(x[held])[:, 1]))
    except Exception as error:  # one learner's failure must not take the other with it
        return Value(None, variant, reason=f"{type(error).__name__}: {' '.join(str(error).split())}")
    return _value(evaluation, len(y) // 2, min(1.0, 2 - 2 * float(np.mean(areas))), variant)


def _supports(evaluation: Evaluation) -> tuple[Value, Value]:
    """Alpha precision and beta recall, of one embedding."""
    return evaluation.once("supports", lambda: _compute_supports(evaluation))


def _compute_supports(evaluation: Evaluation) -> tuple[Value, Value]:
    rows = _balanced(evaluation)
    size = len(rows["test"])
    reason = (
        "there are fewer than 2 test or synthetic rows"
        if size < 2
        else ""
        if len(evaluation.train)
        else "there are no train rows"
    )
    if reason:
        return Value(None, reason=reason), Value(None, reason=reason)
    with np.errstate(over="ignore", invalid="ignore"):
        encoder = Encoder(TableSchema(columns=evaluation.schema.columns)).fit(evaluation.train)
        encoded = (encoder.transform(getattr(evaluation, part).iloc[rows[part]]) for part in SIDES)
        reference, synthetic = (_sorted(np.clip(x, -FAR, FAR)) for x in encoded)
    if not np.isfinite(reference).all() or not np.isfinite(synthetic).all():
        reason = "numbers of the train rows are too large to be standardised"
        return Value(None, reason=reason), Value(None, reason=reason)
    precision, recall = (f(reference, synthetic) for f in (integrated_alpha_precision, integrated_beta_recall))
    return _value(evaluation, size, precision), _value(evaluation, size, recall)


def _sorted(x: np.ndarray) -> np.ndarray:
    """Rows in the order of their values: ties and rounding would otherwise depend on the order of the table."""
    rows: np.ndarray = x[np.lexsort(x.T)]
    return rows


def _integrated(distances: np.ndarray, radii: np.ndarray, n: int) -> float:
    """1 - twice the mean difference between levels of support and the shares of ``n`` within their radii."""
    shares = np.searchsorted(np.sort(distances), radii, side="right") / n
    # Not below 0 but by rounding.
    return max(0.0, float(1 - np.abs(LEVELS - shares).sum() / LEVELS.sum()))
