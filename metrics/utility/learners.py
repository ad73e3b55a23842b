"""The learners of the utility metrics, the encoding of a table for them, and what is trained of both."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

    from ...benchmarks.schema import TableSchema

Builder = Callable[[int], Any]


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


def _ridge_regression(seed: int) -> Any:
    from sklearn.linear_model import Ridge

    return Ridge(random_state=seed)


def _regression_tree(seed: int) -> Any:
    from sklearn.tree import DecisionTreeRegressor

    return DecisionTreeRegressor(random_state=seed)


def _regression_forest(seed: int) -> Any:
    from sklearn.ensemble import RandomForestRegressor

    return RandomForestRegressor(n_jobs=1, random_state=seed)


def _xgboost_regression(seed: int) -> Any:
    from xgboost import XGBRegressor

    return XGBRegressor(n_jobs=1, random_state=seed, verbosity=0)


# With the defaults of their libraries: tuning on the real table would favour tables that resemble it.
LEARNERS: dict[str, Builder] = {
    "logistic_regression": _logistic_regression,
    "decision_tree": _decision_tree,
    "random_forest": _random_forest,
    "xgboost": _xgboost,
}
# Their counterparts for numbers; ridge, because the logistic regression has the same penalty.
REGRESSORS: dict[str, Builder] = {
    "ridge_regression": _ridge_regression,
    "decision_tree": _regression_tree,
    "random_forest": _regression_forest,
    "xgboost": _xgboost_regression,
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

    @property
    def origins(self) -> np.ndarray:
        """Name of the feature that each encoded column comes from, shape ``(encoded columns,)``."""
        gappy = [name for name, gaps in zip(self._numeric, self._gaps, strict=True) if gaps]
        labels = [name for name, labels in self._labels.items() for _ in (*labels, None)]
        return np.array([*self._numeric, *gappy, *labels], dtype=object)

    def _numbers(self, table: pd.DataFrame) -> np.ndarray:
        """Numeric features of shape ``(rows, numeric features)``; infinite values count as missing."""
        numbers = table[self._numeric].to_numpy(dtype=float)
        return np.where(np.isfinite(numbers), numbers, np.nan)


class UntrainableError(ValueError):
    """There is nothing to train on or nothing to predict; the message says which."""


@dataclass(frozen=True)
class Training:
    """The rows of one table whose target is known, as learners see them.

    Attributes:
        encoder: encodes other tables likewise.
        x: encoded features, shape ``(rows, encoded columns)``.
        y: number of the class, or the target itself where it is a number, shape ``(rows,)``.
        classes: how many the target has; 0 for a number.
    """

    encoder: Encoder
    x: np.ndarray
    y: np.ndarray
    classes: int

    @classmethod
    def of(cls, schema: TableSchema, table: pd.DataFrame) -> Self:
        """Encode a canonical table.

        Raises:
            UntrainableError: it has no row with a known target.
        """
        y = targets(schema, table)
        known = ~np.isnan(y)
        if not known.any():
            raise UntrainableError("no row of the training side has a known target")
        encoder = Encoder(schema).fit(table[known])
        x, y = encoder.transform(table[known]), y[known]
        # Learners that draw rows at random would otherwise depend on the order of the rows.
        order = np.lexsort([*x.T, y])
        return cls(encoder, x[order], y[order], _classes(schema))

    def fit(self, build: Builder, seed: int) -> Model:
        """Train a learner. A training side with a single class makes a constant prediction."""
        if not self.classes:
            return Model(_fitted(build(seed), self.x, self.y), np.empty(0, dtype=np.int64), 0)
        present = np.unique(self.y).astype(np.int64)
        learner = _fitted(build(seed), self.x, np.searchsorted(present, self.y)) if len(present) > 1 else None
        return Model(learner, present, self.classes)


@dataclass(frozen=True)
class Model:
    """A learner that was trained on one table.

    Attributes:
        learner: ``None`` for a constant prediction.
        present: numbers of the classes that the training side has.
        classes: how many the target has; 0 for a number.
    """

    learner: Any
    present: np.ndarray
    classes: int

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Predict rows of shape ``(rows, encoded columns)``.

        Returns:
            Probabilities of shape ``(rows, classes)``, classes in the order of the target's codes, 0 for one that the
            training side lacks; where the target is a number, that number for every row, shape ``(rows,)``.
        """
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of numbers that overflow: the score shows what it costs
            if not self.classes:
                return np.asarray(self.learner.predict(x), dtype=float)
            probabilities = np.zeros((len(x), self.classes))
            probabilities[:, self.present] = 1.0 if self.learner is None else self.learner.predict_proba(x)
        return probabilities


def targets(schema: TableSchema, table: pd.DataFrame) -> np.ndarray:
    """The target of every row as a number, shape ``(rows,)``.

    Returns:
        The number of its class in the order of the target's codes, or the target itself where it is a number; NaN
        where it is missing, infinite, or no code of the schema.
    """
    assert schema.target is not None
    column = table[schema.target]
    if _classes(schema):
        numbers = column.map({code: k for k, code in enumerate(schema[schema.target].codes)})
        return numbers.to_numpy(dtype=float)
    values = column.to_numpy(dtype=float)
    return np.where(np.isfinite(values), values, np.nan)


def _classes(schema: TableSchema) -> int:
    assert schema.target is not None
    return 0 if schema.task == "regression" else len(schema[schema.target].codes)


def _fitted(learner: Any, x: np.ndarray, y: np.ndarray) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of convergence: the score shows what it costs
        return learner.fit(x, y)


def ordered_rows(schema: TableSchema, table: pd.DataFrame) -> np.ndarray:
    """Row numbers of a canonical table in the order of its values, columns by name; shape ``(rows,)``.

    Two tables that hold the same rows give the same table in this order.
    """
    import pandas as pd

    labels = set(schema.categorical)
    columns = [
        pd.factorize(table[name].to_numpy(dtype=object), sort=True)[0] if name in labels else table[name].to_numpy()
        for name in sorted(schema.names)
    ]
    order: np.ndarray = np.lexsort(columns)
    return order
