"""SMOTE as a generator of rows: new rows between near neighbours of one class.

SMOTE (Chawla et al. 2002, arXiv 1106.1813) was made to enlarge small classes. Here it makes *all* rows:
classes are drawn by their share in the train rows, and each row is made inside its class, by
imbalanced-learn's SMOTE-NC for tables of numbers and categories, SMOTE for numbers alone, SMOTEN for
categories alone. Without classes to predict, the table counts as one class.

A row's category is the vote of the neighbours, in which a gap of one in ten would hardly ever win. Gaps
are therefore filled before, and each new row gets the gaps of a real row of its class, drawn at random.

A strong and simple baseline of fidelity and utility, and a weak one of privacy: every number of a
row lies on the line between those of two real patients.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from ..results.errors import UserError
from .codes import CategoryCodes
from .missing import fill_gaps
from .tables import TableModel
from .view import Access

if TYPE_CHECKING:
    import pandas as pd

    from ..benchmarks.schema import TableSchema


@dataclass(eq=False)
class SMOTE(TableModel):
    """SMOTE-NC, SMOTE or SMOTEN, whichever fits the table; numbers are standardised for distances.

    Attributes:
        k_neighbors: neighbours among which one is chosen; fewer in a class that has fewer. A class
            with one member has no neighbours and is left out.
    """

    access = Access.ROWS
    version: ClassVar[str | None] = "1"
    requires = ("imblearn",)
    preload = ("imblearn.over_sampling",)

    k_neighbors: int = 5

    def supports(self, schema: TableSchema) -> str | None:
        if not schema.numeric and schema.target is None:
            return "SMOTEN measures distances between categories by classes, and the table has no target"
        return None

    def _fit_rows(self, rows: pd.DataFrame, seed: int) -> None:
        import numpy as np

        self._gaps = rows.isna()
        filled = fill_gaps(rows, np.random.default_rng(seed))
        self._codes = CategoryCodes.learn(filled, self._schema)
        table = self._codes.encode(filled)
        self._categories = [self._codes.names[name] for name in self._codes.levels]
        target = self._codes.names.get(self._schema.target or "")
        self._target = target if target in self._categories else None
        if self._target is None:
            self._classes = np.zeros(len(table), dtype=int)
            self._features = table
        else:
            self._classes = table[self._target].to_numpy()
            self._features = table.drop(columns=self._target)
            self._categories.remove(self._target)
        numeric = self._features.columns.difference(self._categories, sort=False)
        self._mean = self._features[numeric].mean()
        # A column with gaps may hold a single value beside them.
        self._sd = self._features[numeric].std(ddof=0).replace(0.0, 1.0)
        self._features = self._features.assign(**(self._features[numeric] - self._mean) / self._sd)
        self._counts = np.bincount(self._classes)
        if self._counts.max() < 2:
            raise UserError("SMOTE needs a class with two rows at least: every class has one member only")

    def _sample_rows(self, n: int, seed: int) -> pd.DataFrame:
        import numpy as np
        import pandas as pd

        rng = np.random.default_rng(seed)
        usable = np.where(self._counts >= 2, self._counts, 0)
        asked = rng.multinomial(n, usable / usable.sum())
        parts = [self._of_class(label, int(k), int(rng.integers(2**31))) for label, k in enumerate(asked) if k]
        table = pd.concat(parts, ignore_index=True)
        table = self._codes.decode(table.assign(**table[self._mean.index] * self._sd + self._mean))
        members = [np.flatnonzero(self._classes == label) for label in range(len(asked))]
        donors = np.concatenate([rng.choice(members[label], k) for label, k in enumerate(asked) if k])
        gaps = self._gaps.iloc[donors].reset_index(drop=True)
        with_gaps = {
            name: table[name].where(~gaps[name], None if table[name].dtype == object else np.nan) for name in table
        }
        return pd.DataFrame(with_gaps).iloc[rng.permutation(n)].reset_index(drop=True)

    def _of_class(self, label: int, k: int, seed: int) -> pd.DataFrame:
        """Make ``k`` rows of one class."""
        import numpy as np

        features, classes = self._features, self._classes
        if self._target is None:
            # imbalanced-learn asks for two classes; the second is a row that takes no part.
            features = features.iloc[[*range(len(features)), 0]]
            classes = np.append(classes, 1)
        sampler = self._sampler(
            {label: int(self._counts[label]) + k}, min(self.k_neighbors, self._counts[label] - 1), seed
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            resampled, _ = sampler.fit_resample(features, classes)
        made: pd.DataFrame = resampled.iloc[len(features) :].reset_index(drop=True)
        return made if self._target is None else made.assign(**{self._target: label})

    def _sampler(self, sizes: dict[int, int], k: int, seed: int) -> Any:
        from imblearn import over_sampling

        settings: dict[str, Any] = {"sampling_strategy": sizes, "k_neighbors": int(k), "random_state": seed}
        if not self._categories:
            return over_sampling.SMOTE(**settings)
        if len(self._categories) == self._features.shape[1]:
            return over_sampling.SMOTEN(**settings)
        return over_sampling.SMOTENC(categorical_features=self._categories, **settings)

    def details(self) -> dict[str, Any]:
        if self._empty:
            return {}
        return {"classes_left_out": int((self._counts == 1).sum())}
