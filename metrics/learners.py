"""The learners of the utility metrics, and the encoding of a table for them."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

    from ..benchmarks.schema import TableSchema


def _logistic_regression(seed: int) -> Any:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(max_iter=1000, random_state=seed)


def _decision_tree(seed: int) -> Any:
    from sklearn.tree import DecisionTreeClassifier

    return DecisionTreeClassifier(random_state=seed)


def _random_forest(seed: int) -> Any:
    from sklearn.ensemble import RandomForestClassifier

    return RandomForestClassifier(n_jobs=1, random_state=seed)


def _xgboost(seed: int) -> Any:
    from xgboost import XGBClassifier

    return XGBClassifier(n_jobs=1, random_state=seed, verbosity=0)


# With the defaults of their libraries: tuning on the real table would favour tables that resemble it.
LEARNERS: dict[str, Callable[[int], Any]] = {
    "logistic_regression": _logistic_regression,
    "decision_tree": _decision_tree,
    "random_forest": _random_forest,
    "xgboost": _xgboost,
}


@dataclass
class Encoder:
    """Turns the features of a canonical table into numbers, knowing the training side alone.

    Numbers: missing ones are set to the training median, with an indicator column where the training
    side has gaps, and all are standardised. Labels: one column per label of the training side, and one for
    missing; a label that it does not have is all zeros. Columns are taken in the order of their
    names, so that the order of a table's columns does not matter to a learner.

    Attributes:
        schema: the schema card.
    """

    schema: TableSchema
    _numeric: list[str] = field(init=False)
    _labels: dict[str, list[str]] = field(init=False)

    def fit(self, table: pd.DataFrame) -> Self:
        """Learn medians, scales and labels from a table of shape ``(rows, columns)``."""
        features = set(self.schema.features)
        self._numeric = sorted(features & set(self.schema.numeric))
        self._labels = {
            name: sorted(table[name].dropna().unique()) for name in sorted(features & set(self.schema.categorical))
        }
        numbers = self._numbers(table)
        known = ~np.isnan(numbers)
        self._gaps = ~known.all(axis=0)
        self._median = np.array([np.median(x[k]) if k.any() else 0.0 for x, k in zip(numbers.T, known.T, strict=True)])
        # Sorted, because the rounding error of a sum depends on the order of its terms.
        filled = np.sort(np.where(known, numbers, self._median), axis=0)
        with np.errstate(over="ignore", invalid="ignore"):
            self._mean = filled.mean(axis=0)
            spread = filled.std(axis=0)
        self._scale = np.where(np.isfinite(spread) & (spread > 0), spread, 1.0)
        return self

    def transform(self, table: pd.DataFrame) -> np.ndarray:
        """Encode a table: float array of shape ``(rows, encoded columns)`` without missing values."""
        numbers = self._numbers(table)
        missing = np.isnan(numbers)
        blocks = [(np.where(missing, self._median, numbers) - self._mean) / self._scale, missing[:, self._gaps]]
        for name, labels in self._labels.items():
            values = table[name]
            blocks.append(values.to_numpy(dtype=object)[:, None] == np.array(labels, dtype=object)[None, :])
            blocks.append(values.isna().to_numpy()[:, None])
        return np.concatenate([block.astype(float) for block in blocks], axis=1)

    def _numbers(self, table: pd.DataFrame) -> np.ndarray:
        """Numeric features of shape ``(rows, numeric features)``; infinite values count as missing."""
        numbers = table[self._numeric].to_numpy(dtype=float)
        return np.where(np.isfinite(numbers), numbers, np.nan)


@dataclass(frozen=True)
class Predictions:
    """What learners trained on one table predict for the test rows with a known target.

    Attributes:
        truth: number of the class of every row, shape ``(rows,)``.
        probabilities: learner to array of shape ``(rows, classes)``, classes in the order of the
            target's codes; a class that the training side lacks has probability 0. An exception's
            text stands in for a learner that failed.
        note: what limits the predictions: a training side with a single class.
    """

    truth: np.ndarray
    probabilities: dict[str, np.ndarray | str]
    note: str = ""


class UntrainableError(ValueError):
    """There is nothing to train on or nothing to test on; the message says which."""


def predict(schema: TableSchema, train: pd.DataFrame, test: pd.DataFrame, seed: int) -> Predictions:
    """Train every learner on one table and predict the classes of another.

    Rows without a target, or with one that is not in the schema, are left out on both sides.

    Args:
        schema: a schema with a class target.
        train: canonical training rows.
        test: canonical test rows.
        seed: seed of the learners.

    Raises:
        UntrainableError: one of the tables has no row with a known target.
    """
    assert schema.target is not None
    classes = {code: k for k, code in enumerate(schema[schema.target].codes)}
    test = test[test[schema.target].isin(list(classes))]
    train = train[train[schema.target].isin(list(classes))]
    if train.empty:
        raise UntrainableError("no row of the training side has a known target")
    if test.empty:
        raise UntrainableError("no test row has a known target")
    encoder = Encoder(schema).fit(train)
    x, x_test = encoder.transform(train), encoder.transform(test)
    y = train[schema.target].map(classes).to_numpy(dtype=np.int64)
    truth = test[schema.target].map(classes).to_numpy(dtype=np.int64)
    # Learners that draw rows at random would otherwise depend on the order of the rows.
    order = np.lexsort([*x.T, y])
    x, y = x[order], y[order]
    present = np.unique(y)
    if len(present) == 1:
        constant = np.zeros((len(truth), len(classes)))
        constant[:, present[0]] = 1.0
        note = f"the training side holds the class '{list(classes)[present[0]]}' only: a constant prediction"
        return Predictions(truth, dict.fromkeys(LEARNERS, constant), note)
    probabilities: dict[str, np.ndarray | str] = {}
    for name, build in LEARNERS.items():
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of convergence: the score shows what it costs
                known = build(seed).fit(x, np.searchsorted(present, y)).predict_proba(x_test)
        except Exception as error:  # one learner's failure must not take the others with it
            probabilities[name] = f"{type(error).__name__}: {error}"
            continue
        of_all = np.zeros((len(truth), len(classes)))
        of_all[:, present] = known
        probabilities[name] = of_all
    return Predictions(truth, probabilities)
