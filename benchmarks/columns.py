"""Columns of a schema card: measurement levels, codes and bounds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from enum import StrEnum
from typing import Any, Self

from pydantic import Field, field_validator, model_validator

from ..results.record import Frozen

FREE_DECIMALS = 3
"""Most decimals with which a number is written that has neither decimals nor bounds in its card."""


class Kind(StrEnum):
    """Measurement level of a column."""

    CONTINUOUS = "continuous"
    INTEGER = "integer"
    CATEGORICAL = "categorical"
    ORDINAL = "ordinal"


class Column(Frozen):
    """One column of a schema card.

    Attributes:
        name: column name, unique in the schema.
        kind: measurement level; continuous and integer columns are *numeric*.
        meaning: what the column records, in words.
        unit: unit of a numeric column, ``None`` if it has none.
        codes: label to meaning, for categorical and ordinal columns; in order for ordinal ones.
        bounds: lowest and highest plausible value of a numeric column, both included.
        missing: whether a value may be missing.
        decimals: decimals with which a continuous column is recorded, ``None`` if unknown.
    """

    name: str
    kind: Kind
    meaning: str = ""
    unit: str | None = None
    codes: dict[str, str] = Field(default_factory=dict)
    bounds: tuple[float, float] | None = None
    missing: bool = False
    decimals: int | None = None

    @field_validator("codes", mode="before")
    @classmethod
    def _text_codes(cls, codes: Any) -> Any:
        if isinstance(codes, dict):
            return {label(k): str(v) for k, v in codes.items()}
        if isinstance(codes, Sequence) and not isinstance(codes, str):
            return {label(k): "" for k in codes}
        return codes

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.numeric and self.codes:
            raise ValueError(f"column '{self.name}' is {self.kind}: it takes bounds, not codes")
        if not self.numeric and not self.codes:
            raise ValueError(f"column '{self.name}' is {self.kind}: it needs codes")
        if not self.numeric and self.bounds is not None:
            raise ValueError(f"column '{self.name}' is {self.kind}: it takes codes, not bounds")
        if self.bounds is not None and self.bounds[0] > self.bounds[1]:
            raise ValueError(f"column '{self.name}': the lower bound is above the upper bound")
        return self

    @property
    def numeric(self) -> bool:
        """Whether values are numbers rather than codes."""
        return self.kind in (Kind.CONTINUOUS, Kind.INTEGER)

    @property
    def places(self) -> int:
        """Decimals with which a number is written: the card's.

        Where it gives none, as many as cut the column's range into a thousand steps or more, at least one.
        """
        if self.kind is Kind.INTEGER:
            return 0
        if self.decimals is not None:
            return max(0, self.decimals)
        span = self.bounds[1] - self.bounds[0] if self.bounds else 0.0
        return max(1, 3 - math.floor(math.log10(span))) if 0 < span < math.inf else FREE_DECIMALS


def label(value: Any) -> str:
    """The text of a code: ``1``, ``1.0``, ``True`` and ``"1"`` are the same code ``"1"``."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)
