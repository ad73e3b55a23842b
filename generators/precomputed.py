"""Rows that were made elsewhere, so that any generator can be judged without code."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

from ..benchmarks.schema import label
from ..results.errors import UserError
from .base import Generator
from .view import Access, TrainView

if TYPE_CHECKING:
    import pandas as pd

    from ..benchmarks.schema import Column

BLANK = ("", "NA", "N/A", "NaN", "nan", "NULL", "null", "None", "<NA>")


@dataclass(eq=False)
class Precomputed(Generator):
    """Draws rows without replacement from a CSV or Parquet file of synthetic rows.

    It asks the view for nothing, but is declared as ``rows``: nobody can tell what the maker of the
    file has seen, and the board must not credit it with less than it may have had. To compare
    fairly, make the file from the train rows of the same split.

    Attributes:
        path: file with the schema's columns, in any order, and at least as many rows as asked for;
            with fewer, the cell is partial. ``.parquet`` and ``.pq`` are read as Parquet, any other
            as CSV in UTF-8.
    """

    access = Access.ROWS
    version: ClassVar[str | None] = "1"

    path: str

    def fit(self, view: TrainView, seed: int) -> Self:
        path = Path(self.path).expanduser()
        try:
            content = path.read_bytes()
        except OSError as error:
            raise UserError(f"cannot read the rows of 'precomputed' from {path}: {error.strerror}") from None
        self._sha256 = hashlib.sha256(content).hexdigest()
        self._rows = view.schema.canonical(_read(path, view.schema.columns))
        return self

    def sample(self, n: int, seed: int) -> pd.DataFrame:
        import numpy as np

        chosen = np.random.default_rng(seed).permutation(len(self._rows))[:n]
        return self._rows.iloc[chosen].reset_index(drop=True)

    def details(self) -> dict[str, Any]:
        return {"file_sha256": self._sha256, "file_rows": len(self._rows)}


def _read(path: Path, columns: tuple[Column, ...]) -> pd.DataFrame:
    import pandas as pd

    try:
        if path.suffix.lower() in (".parquet", ".pq"):
            return pd.read_parquet(path)
        # As text, because a code may read 01, and "None" may be a level rather than a gap.
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
    except (ValueError, OSError) as error:
        raise UserError(f"{path} is no readable table: {' '.join(str(error).split())}") from None
    for column in columns:
        if column.name in table.columns:
            table[column.name] = _values(table[column.name].str.strip(), column)
    return table


def _values(text: pd.Series, column: Column) -> pd.Series:
    if column.numeric:
        return text.where(~text.isin(BLANK))
    return text.map(lambda value: _code(value, column)).astype(object)


def _code(value: str, column: Column) -> str | None:
    """The code that a text stands for: itself, ``1`` for ``1.0``, or none."""
    if value in column.codes:
        return value
    if value in BLANK:
        return None
    try:
        number = label(float(value))
    except ValueError:
        return value
    return number if number in column.codes else value
