"""What a generator may see of the real table, and the only door through which it sees it."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any

from ..results.errors import UserError

if TYPE_CHECKING:
    import pandas as pd

    from ..benchmarks.dataset import Split
    from ..benchmarks.schema import TableSchema


class Access(StrEnum):
    """What a generator is allowed to see of the real table, from least to most."""

    DESCRIPTION = "description"  # the schema card only
    STATISTICS = "statistics"  # and summary statistics of the train rows
    EXAMPLES = "examples"  # and some train rows, each of them logged
    ROWS = "rows"  # and all train rows
    REFERENCE = "reference"  # and the control rows: for the reference generator `real` alone


TIERS = tuple(Access)


class AccessDeniedError(UserError):
    """A generator asked for more than its declared access allows."""


class TrainView:
    """What one generator may see of one split, by the tier that it declares.

    The view *holds* no more than the tier allows: with ``description`` access there is no row in it.

    Attributes:
        schema: the schema card, open to every tier.
        access: the tier.
        shown: numbers of the train rows that were handed out as examples, in order, for the record.
    """

    def __init__(self, schema: TableSchema, split: Split, access: Access) -> None:
        self.schema = schema
        self.access = access
        self.shown: list[int] = []
        self._rows: pd.DataFrame | None = split.train if self._allows(Access.EXAMPLES) else None
        self._control: pd.DataFrame | None = split.control if self._allows(Access.REFERENCE) else None
        self._statistics = _summary(split.train, schema) if self._allows(Access.STATISTICS) else None

    def rows(self) -> pd.DataFrame:
        """All train rows: a canonical table of shape ``(train rows, columns)``, yours to change.

        Raises:
            AccessDeniedError: below ``rows`` access.
        """
        self._require(Access.ROWS)
        assert self._rows is not None
        return self._rows.copy()

    def control(self) -> pd.DataFrame:
        """All control rows, for the reference generator ``real`` alone.

        Raises:
            AccessDeniedError: below ``reference`` access.
        """
        self._require(Access.REFERENCE)
        assert self._control is not None
        return self._control.copy()

    def examples(self, k: int, seed: int) -> pd.DataFrame:
        """Draw ``k`` train rows without replacement and log them in ``shown``.

        Raises:
            AccessDeniedError: below ``examples`` access.
        """
        import numpy as np

        self._require(Access.EXAMPLES)
        assert self._rows is not None
        chosen = np.random.default_rng(seed).permutation(len(self._rows))[:k]
        self.shown.extend(int(i) for i in chosen)
        return self._rows.iloc[chosen].reset_index(drop=True)

    def statistics(self) -> dict[str, dict[str, Any]]:
        """Summary of every column of the train rows.

        Returns:
            Column name to ``missing`` (share) and either ``mean``, ``sd``, ``min``, ``max`` and
            ``quantiles`` (at 5, 25, 50, 75 and 95 %) or ``shares`` (code to share of known values).

        Raises:
            AccessDeniedError: below ``statistics`` access.
        """
        self._require(Access.STATISTICS)
        assert self._statistics is not None
        return self._statistics

    def _allows(self, tier: Access) -> bool:
        return TIERS.index(self.access) >= TIERS.index(tier)

    def _require(self, tier: Access) -> None:
        if not self._allows(tier):
            raise AccessDeniedError(
                f"a generator with '{self.access}' access asked for '{tier}': declare `access = Access.{tier.name}`"
            )


def _summary(rows: pd.DataFrame, schema: TableSchema) -> dict[str, dict[str, Any]]:
    summary: dict[str, dict[str, Any]] = {}
    for column in schema.columns:
        values = rows[column.name]
        facts: dict[str, Any] = {"missing": float(values.isna().mean())}
        known = values.dropna()
        if not column.numeric:
            facts["shares"] = {str(k): float(v) for k, v in known.value_counts(normalize=True).items()}
        elif len(known):
            facts |= {"mean": float(known.mean()), "sd": float(known.std(ddof=0))}
            facts |= {"min": float(known.min()), "max": float(known.max())}
            facts["quantiles"] = [float(q) for q in known.quantile([0.05, 0.25, 0.5, 0.75, 0.95])]
        summary[column.name] = facts
    return summary
