"""Reference generators: the ceilings and floors between which every other generator is read.

``real`` is the ceiling of fidelity and utility, ``copy`` the floor of privacy, ``marginals`` has no
correlation between columns, and ``uniform`` has nothing but the schema card.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Self

from .base import Generator
from .view import Access, TrainView

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from ..benchmarks.schema import Column, TableSchema


class Real(Generator):
    """Emits rows of the control part: what a perfect generator would give.

    It is the ceiling of fidelity and utility. In privacy it stands as near to control as ``copy`` stands
    to train, and says nothing.
    """

    access = Access.REFERENCE
    reference = True
    version: ClassVar[str | None] = "1"

    def fit(self, view: TrainView, seed: int) -> Self:
        self._rows = view.control()
        return self

    def sample(self, n: int, seed: int) -> pd.DataFrame:
        return _in_turn(self._rows, n, seed)


class Copy(Generator):
    """Emits the train rows themselves: faithful, useful, and without any privacy."""

    access = Access.ROWS
    reference = True
    version: ClassVar[str | None] = "1"

    def fit(self, view: TrainView, seed: int) -> Self:
        self._rows = view.rows()
        return self

    def sample(self, n: int, seed: int) -> pd.DataFrame:
        return _in_turn(self._rows, n, seed)


class Marginals(Generator):
    """Draws every column on its own from the train rows, missing values included."""

    access = Access.ROWS
    reference = True
    version: ClassVar[str | None] = "1"

    def fit(self, view: TrainView, seed: int) -> Self:
        self._rows = view.rows()
        return self

    def sample(self, n: int, seed: int) -> pd.DataFrame:
        import numpy as np
        import pandas as pd

        rng = np.random.default_rng(seed)
        columns = {name: values.to_numpy()[rng.integers(0, len(values), n)] for name, values in self._rows.items()}
        return pd.DataFrame(columns)


class Uniform(Generator):
    """Draws every value uniformly from the bounds or codes of the schema card; sees no row.

    Missing values are not made: a description does not say how many there are.
    """

    access = Access.DESCRIPTION
    reference = True
    version: ClassVar[str | None] = "1"
    missing = "imputed"

    def supports(self, schema: TableSchema) -> str | None:
        unbounded = [c.name for c in schema.columns if c.numeric and c.bounds is None]
        if unbounded:
            return f"the card gives no bounds for {', '.join(unbounded)}"
        return None

    def fit(self, view: TrainView, seed: int) -> Self:
        self._columns = view.schema.columns
        return self

    def sample(self, n: int, seed: int) -> pd.DataFrame:
        import numpy as np
        import pandas as pd

        rng = np.random.default_rng(seed)
        return pd.DataFrame({c.name: _uniform(c, n, rng) for c in self._columns})


def _in_turn(rows: pd.DataFrame, n: int, seed: int) -> pd.DataFrame:
    """Rows in random order, each used once before any is used again."""
    import numpy as np

    return rows.iloc[np.resize(np.random.default_rng(seed).permutation(len(rows)), n)].reset_index(drop=True)


def _uniform(column: Column, n: int, rng: np.random.Generator) -> np.ndarray:
    if not column.numeric:
        return rng.choice(list(column.codes), n)
    assert column.bounds is not None
    low, high = column.bounds
    if column.kind == "integer":
        return rng.integers(int(low), int(high) + 1, n).astype(float)
    values = rng.uniform(low, high, n)
    return values if column.decimals is None else values.round(column.decimals)
