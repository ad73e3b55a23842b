"""What generators that learn from rows share: constant columns held out, values finished alike."""

from __future__ import annotations

import contextlib
import random
from abc import abstractmethod
from typing import TYPE_CHECKING, Any, Self

from ..benchmarks.schema import Kind, TableSchema
from .base import Generator
from .view import TrainView

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd


class TableModel(Generator):
    """A generator that fits a model to all train rows.

    Columns that hold one value in every train row (or none in any) are kept from the model, which
    could only learn to repeat them and often fails on them, and are put back after sampling.
    """

    def fit(self, view: TrainView, seed: int) -> Self:
        rows = view.rows()
        self._schema = view.schema
        self._constants = constants(rows)
        varying = rows.drop(columns=list(self._constants))
        self._empty = varying.columns.empty
        if not self._empty:
            self._fit_rows(varying, seed)
        return self

    def sample(self, n: int, seed: int) -> pd.DataFrame:
        import pandas as pd

        table = pd.DataFrame(index=range(n)) if self._empty else self._sample_rows(n, seed)
        return finish(table, self._schema, self._constants)

    @abstractmethod
    def _fit_rows(self, rows: pd.DataFrame, seed: int) -> None:
        """Fit the model to a canonical table without constant columns."""

    @abstractmethod
    def _sample_rows(self, n: int, seed: int) -> pd.DataFrame:
        """Make at most ``n`` rows of the columns that ``_fit_rows`` was given."""


def constants(rows: pd.DataFrame) -> dict[str, Any]:
    """Columns in which all rows are alike, a missing value being a value, and what they hold."""
    return {str(name): values.iloc[0] for name, values in rows.items() if values.nunique(dropna=False) == 1}


def finish(table: pd.DataFrame, schema: TableSchema, constant: dict[str, Any]) -> pd.DataFrame:
    """Make the output of a model readable as rows of the schema.

    Integers are rounded to whole numbers and continuous values to the decimals of the card, as the
    table's own values are recorded. Nothing is clipped to the card's bounds: a value beyond them is
    the model's own fault, and the share of valid rows should show it.

    Args:
        table: the model's rows; numeric columns may hold any number type.
        schema: the card.
        constant: columns that the model was not given, and their one value.

    Returns:
        A table of the same rows with all columns of the schema in order.
    """
    import pandas as pd

    columns: dict[str, Any] = {}
    for column in schema.columns:
        if column.name in constant:
            columns[column.name] = pd.Series([constant[column.name]] * len(table), dtype=object)
            if column.numeric:
                columns[column.name] = columns[column.name].astype("float64")
            continue
        values = table[column.name].reset_index(drop=True)
        if column.numeric:
            values = pd.to_numeric(values).astype("float64")
            decimals = 0 if column.kind is Kind.INTEGER else column.decimals
            values = values if decimals is None else values.round(decimals)
        columns[column.name] = values
    return pd.DataFrame(columns)


@contextlib.contextmanager
def global_seeds(seed: int) -> Iterator[None]:
    """Run a block with the global generators of random, NumPy and torch seeded, and restore them after.

    For libraries that take no seed or only half obey it.
    """
    import numpy as np
    import torch

    before = random.getstate(), np.random.get_state(), torch.get_rng_state()
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
    try:
        yield
    finally:
        random.setstate(before[0])
        np.random.set_state(before[1])
        torch.set_rng_state(before[2])
