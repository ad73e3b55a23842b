"""Categories as whole numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    import pandas as pd

    from ..benchmarks.schema import TableSchema


@dataclass(frozen=True)
class CategoryCodes:
    """Neutral column names, and whole numbers for categories, for libraries that ask for them.

    Attributes:
        names: column to its name inside the library.
        levels: categorical column to its levels: those in use, in the order of the card.
    """

    names: dict[str, str]
    levels: dict[str, list[str]]

    @classmethod
    def learn(cls, coded: pd.DataFrame, schema: TableSchema) -> Self:
        """Read the codes of a table without missing values; it may have columns beside the schema's."""
        names = {name: f"c{i}" for i, name in enumerate(coded.columns)}
        levels: dict[str, list[str]] = {}
        for name in coded.columns:
            if coded[name].dtype == object:
                card = list(schema[name].codes) if name in schema.names else []
                used = set(coded[name])
                levels[name] = [code for code in card if code in used] + sorted(used - set(card))
        return cls(names, levels)

    def encode(self, coded: pd.DataFrame) -> pd.DataFrame:
        """Rename the columns and number the categories from 0."""
        numbers = coded.copy()
        for name, levels in self.levels.items():
            numbers[name] = coded[name].map({level: i for i, level in enumerate(levels)}).astype("int64")
        return numbers.rename(columns=self.names)

    def decode(self, numbers: pd.DataFrame) -> pd.DataFrame:
        """Undo :meth:`encode`; a number between two categories becomes the nearer one."""
        coded = numbers[list(self.names.values())].set_axis(list(self.names), axis=1)
        for name, levels in self.levels.items():
            code = coded[name].astype("float64").round().clip(0, len(levels) - 1).astype(int)
            coded[name] = code.map(dict(enumerate(levels))).astype(object)
        return coded
