"""As published: the evaluation of Tornqvist et al. 2024, computed as its public code does, defects included.

Every table is compared with the train rows (variant 'train') and with the test rows (variant 'test'), of which one
value each stands in the paper. Rows with a missing value are left out, as there. What the paper took from SDMetrics
without a change (KSComplement and the like) is in the suite under our own names, which equal SDMetrics.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..base import Evaluation, Value
from ..encoding import Part
from ..fidelity.joint import detection
from ..privacy.copies import near_duplicates
from ..privacy.disclosure import attribution, sensitive_labels
from .base import against, complete_rows, one_of, published

TORNQVIST = "Tornqvist et al. 2024, arXiv:2412.05153"
PASSES: tuple[Part, ...] = ("train", "test")
QUERIES = 10_000  # real rows at most, whose nearest synthetic rows are searched for
NO_ROWS = "there are no complete rows on one side"


@published(
    TORNQVIST,
    "fidelity",
    "min",
    "Mean over numeric columns of the 1-Wasserstein distance between synthetic and real values on their own scale, so "
    "that the column with the largest unit decides.",
)
def text_to_tabular_wasserstein(evaluation: Evaluation) -> list[Value]:
    """Wasserstein distance, as published."""
    from scipy.stats import wasserstein_distance

    numeric = [i for i, column in enumerate(evaluation.schema.columns) if column.numeric]

    def distance(real: np.ndarray, synthetic: np.ndarray) -> float:
        return float(np.mean([wasserstein_distance(real[:, j], synthetic[:, j]) for j in numeric]))

    return _of_matrices(evaluation, distance, "the table has no numeric column" if not numeric else "")


@published(
    TORNQVIST,
    "fidelity",
    "min",
    "Mean over columns of the Jensen-Shannon distance (base e) between the columns themselves, each taken for a "
    "distribution over row numbers: the first synthetic row is set against the first real one, which have nothing to "
    "do with each other; a column with a negative sum or value is left out.",
)
def text_to_tabular_jensen_shannon(evaluation: Evaluation) -> list[Value]:
    """Jensen-Shannon distance of row i against row i, as published."""
    from scipy.spatial.distance import jensenshannon

    def distance(real: np.ndarray, synthetic: np.ndarray) -> float:
        rows = min(len(real), len(synthetic))
        p, q = real[:rows], synthetic[:rows]
        usable = (p.min(axis=0) >= 0) & (q.min(axis=0) >= 0) & (p.sum(axis=0) > 0) & (q.sum(axis=0) > 0)
        return float(jensenshannon(p[:, usable], q[:, usable]).mean()) if usable.any() else float("nan")

    return _of_matrices(evaluation, distance)


@published(
    TORNQVIST,
    "fidelity",
    "max",
    "1 - (2 AUC - 1), at most 1, of a logistic regression that tells synthetic from real rows: detection, compared "
    "with the train rows too.",
)
def text_to_tabular_detection(evaluation: Evaluation) -> list[Value]:
    """Detection by logistic regression, of train and of test rows."""
    return [one_of(detection, against(evaluation, part), "logistic", part) for part in PASSES]


@published(
    TORNQVIST,
    "privacy",
    "max",
    "Share of synthetic rows without a near-equal real row (1 - near_duplicates), compared with the test rows too, "
    "which no generator could have copied.",
)
def text_to_tabular_new_rows(evaluation: Evaluation) -> list[Value]:
    """New row synthesis, of train and of test rows."""
    found = [one_of(near_duplicates, against(evaluation, part), "train", part) for part in PASSES]
    return [v if v.value is None else Value(1 - v.value, v.variant, n=v.n) for v in found]


@published(
    TORNQVIST,
    "privacy",
    "max",
    "5th percentile over the real rows of the Euclidean distance to the nearest synthetic row, labels taken for "
    "numbers, each of the two tables standardised by its own mean and deviation, which takes a shift or a shrinking "
    "of the synthetic table out of sight.",
)
def text_to_tabular_dcr(evaluation: Evaluation) -> list[Value]:
    """Distance from real rows to their closest synthetic record, as published."""
    return _of_nearest(evaluation, lambda nearest: nearest[:, 0])


@published(
    TORNQVIST,
    "privacy",
    "max",
    "5th percentile over the real rows of the ratio of the distances to the nearest and to the second nearest "
    "synthetic row, in the space of text_to_tabular_dcr.",
)
def text_to_tabular_nndr(evaluation: Evaluation) -> list[Value]:
    """Nearest-neighbour distance ratio of real rows among synthetic ones, as published."""
    return _of_nearest(evaluation, lambda nearest: nearest[:, 0] / np.where(nearest[:, 1] > 0, nearest[:, 1], 1.0))


@published(
    TORNQVIST,
    "privacy",
    "max",
    "CategoricalCAP of SDMetrics: 1 - the mean over real rows whose keys occur of the share of synthetic rows with "
    "these keys that have their sensitive labels, keys and sensitive labels as in attribute_disclosure; compared with "
    "the test rows too, without what chance gives.",
)
def text_to_tabular_cap(evaluation: Evaluation) -> list[Value]:
    """Correct attribution probability, of train and of test rows."""
    schema = evaluation.schema
    sensitive = sensitive_labels(schema)
    keys = sorted(set(schema.categorical) - set(sensitive))
    if not sensitive or not keys:
        return [Value(None, part, reason="there are no sensitive labels, or no keys beside them") for part in PASSES]
    values = []
    for part in PASSES:
        shares = attribution(against(evaluation, part), "train", keys, sensitive)
        known = shares[~np.isnan(shares)]
        reason = "" if len(known) else "no real row has the keys of a synthetic row"
        values.append(Value(1 - float(known.mean()) if len(known) else None, part, n=len(known), reason=reason))
    return values


@published(
    TORNQVIST,
    "utility",
    "max",
    "F1 score on real rows of AdaBoost trained on synthetic rows: of the class target, or where the target is a "
    "number, of its being at least its median in its own table, with that number left among the features, from which "
    "the answer can be read off.",
)
def text_to_tabular_tstr_f1(evaluation: Evaluation) -> list[Value]:
    """Train on synthetic, test on real: F1 of AdaBoost, as published."""
    return [_boosted(evaluation, part, augment=False) for part in PASSES]


@published(
    TORNQVIST,
    "utility",
    "max",
    "As text_to_tabular_tstr_f1, trained on the synthetic rows and on the real rows that are then predicted.",
)
def text_to_tabular_tatr_f1(evaluation: Evaluation) -> list[Value]:
    """Train on synthetic and real, test on the same real rows: F1 of AdaBoost, as published."""
    return [_boosted(evaluation, part, augment=True) for part in PASSES]


def _of_matrices(
    evaluation: Evaluation, compute: Callable[[np.ndarray, np.ndarray], float], lacking: str = ""
) -> list[Value]:
    """One value a pass, of the complete real and synthetic rows."""
    synthetic = complete_rows(evaluation, "synthetic")
    values = []
    for part in PASSES:
        real = complete_rows(evaluation, part)
        if lacking or not len(real) or not len(synthetic):
            values.append(Value(None, part, reason=lacking or NO_ROWS))
            continue
        with np.errstate(all="ignore"):  # numbers too large to be squared give no finite value
            values.append(Value(compute(real, synthetic), part, n=len(synthetic)))
    return values


def _of_nearest(evaluation: Evaluation, score: Callable[[np.ndarray], np.ndarray]) -> list[Value]:
    """The 5th percentile, over real rows, of a score of the distances to the two nearest synthetic rows."""
    from sklearn.neighbors import NearestNeighbors

    synthetic = complete_rows(evaluation, "synthetic")
    values = []
    for part in PASSES:
        real = complete_rows(evaluation, part)
        if not len(real) or len(synthetic) < 2:
            values.append(Value(None, part, reason=f"{NO_ROWS}, or fewer than two synthetic ones"))
            continue
        rng = np.random.default_rng(evaluation.seed)
        queries = rng.permutation(len(real))[:QUERIES]
        with np.errstate(all="ignore"):  # as above
            own = _standardised(real)[queries], _standardised(synthetic)
        if not all(np.isfinite(table).all() for table in own):
            values.append(Value(None, part, reason="a column is too large to be standardised"))
            continue
        nearest = NearestNeighbors(n_neighbors=2).fit(own[1]).kneighbors(own[0])[0]
        value = float(np.percentile(score(nearest), 5))
        values.append(Value(value, part, n=len(queries), population=len(real)))
    return values


def _standardised(matrix: np.ndarray) -> np.ndarray:
    spread = matrix.std(axis=0)
    standardised: np.ndarray = (matrix - matrix.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    return standardised


def _boosted(evaluation: Evaluation, part: Part, *, augment: bool) -> Value:
    from sklearn.ensemble import AdaBoostClassifier
    from sklearn.metrics import f1_score

    schema = evaluation.schema
    if schema.target is None:
        return Value(None, part, reason="the table has no target")
    sides = [complete_rows(evaluation, "synthetic"), complete_rows(evaluation, part)]
    if not all(map(len, sides)):
        return Value(None, part, reason=NO_ROWS)
    place = schema.names.index(schema.target)
    classes = [matrix[:, place] for matrix in sides]
    if schema.task == "regression":
        classes = [(numbers >= np.median(numbers)).astype(float) for numbers in classes]
    else:
        sides = [np.delete(matrix, place, axis=1) for matrix in sides]
    x, y = (np.concatenate(both) if augment else both[0] for both in (sides, classes))
    if not x.shape[1] or len(np.unique(y)) < 2:
        return Value(None, part, reason="there is one class only to train on, or no feature")
    with np.errstate(all="ignore"):  # a single tree of numbers too large to be averaged predicts one class
        predicted = AdaBoostClassifier(random_state=evaluation.seed).fit(x, y).predict(sides[1])
    if schema.task == "multiclass":
        score = f1_score(classes[1], predicted, average="macro", zero_division=0)
    else:
        positive = 1.0
        if schema.task == "binary":
            assert schema.positive is not None
            positive = float(list(schema[schema.target].codes).index(schema.positive))
        score = f1_score(classes[1] == positive, predicted == positive, zero_division=0)
    return Value(float(score), part, n=len(sides[1]))
