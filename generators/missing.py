"""Missing values for models that cannot take any: coded before fitting, decoded after sampling.

A missing category becomes a level of its own. A numeric column with missing values is filled, and
an indicator beside it says which values were; columns that are missing in exactly the same rows
share one indicator. The model learns the indicators like any other category, so that it can
reproduce how often values are missing, together with what, and for whom.

Gaps are filled with values drawn from the known ones of the column ("hot deck"), not with their mean
or median: the filled column keeps its distribution, and no spike of imputed values can leak
into rows that the model calls known.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

KNOWN, MISSING = "known", "missing"


@dataclass(frozen=True)
class MissingCodec:
    """How missing values of one table are coded.

    Attributes:
        columns: columns of the table, in order.
        indicators: name of an indicator column to the numeric columns it stands for.
        levels: categorical column to the level that stands for its missing values.
    """

    columns: tuple[str, ...]
    indicators: dict[str, tuple[str, ...]]
    levels: dict[str, str]

    @classmethod
    def learn(cls, rows: pd.DataFrame) -> Self:
        """Read from a canonical table which codes it needs; no column may be missing in all rows."""
        categorical = [name for name in rows.columns if rows[name].dtype == object]
        levels = {name: _unused(MISSING, set(rows[name].dropna())) for name in categorical if rows[name].isna().any()}
        indicators: dict[str, tuple[str, ...]] = {}
        for names in _same_gaps(rows.drop(columns=categorical)):
            indicator = _unused(f"{MISSING} {names[0]}", {*rows.columns, *indicators})
            indicators[indicator] = tuple(names)
        return cls(tuple(rows.columns), indicators, levels)

    def encode(self, rows: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
        """Code a canonical table.

        Args:
            rows: table of shape ``(rows, columns)``.
            rng: draws the values that fill numeric gaps.

        Returns:
            Table of shape ``(rows, columns + indicators)`` without missing values; indicators are
            categorical (``object``) columns of ``known`` and ``missing``.
        """
        import numpy as np
        import pandas as pd

        coded = rows.copy()
        for name, level in self.levels.items():
            coded[name] = rows[name].where(rows[name].notna(), level)
        coded = fill_gaps(coded, rng)
        flags = {
            indicator: np.where(rows[names[0]].isna(), MISSING, KNOWN).astype(object)
            for indicator, names in self.indicators.items()
        }
        return pd.concat([coded, pd.DataFrame(flags, index=rows.index, dtype=object)], axis=1)

    def decode(self, coded: pd.DataFrame) -> pd.DataFrame:
        """Undo :meth:`encode`, on the same table or on one that a model made in its image."""
        rows = coded[list(self.columns)].copy()
        for name, level in self.levels.items():
            rows[name] = rows[name].where(rows[name] != level, None)
        for indicator, names in self.indicators.items():
            known = coded[indicator] != MISSING
            for name in names:
                rows[name] = rows[name].where(known)
        return rows


def fill_gaps(rows: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Fill every gap with a known value of its column, drawn at random.

    Columns that are missing in the same rows are filled from the same donors, which keeps their
    values together. No column may be missing in all rows.
    """
    import numpy as np

    filled = rows.copy()
    for names in _same_gaps(rows):
        missing = rows[names[0]].isna().to_numpy()
        donors = rng.choice(np.flatnonzero(~missing), missing.sum())
        for name in names:
            filled.loc[missing, name] = rows[name].to_numpy()[donors]
    return filled


def _same_gaps(rows: pd.DataFrame) -> list[list[str]]:
    """Columns with missing values, those that are missing in the same rows together."""
    sharing: dict[bytes, list[str]] = {}
    for name in rows.columns:
        missing = rows[name].isna().to_numpy()
        if missing.any():
            sharing.setdefault(missing.tobytes(), []).append(name)
    return list(sharing.values())


def _unused(name: str, taken: set[str]) -> str:
    while name in taken:
        name += "_"
    return name
