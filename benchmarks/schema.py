"""Schema cards: what every column of a table is, independent of any row of it.

A schema comes from a codebook (documentation and clinical knowledge), never from training rows: a
generator whose access is ``description`` sees exactly this and nothing else.

A *canonical* table has the schema's columns in order; numeric columns are ``float64`` with NaN for
missing, categorical ones are ``object`` columns of ``str`` codes with ``None`` for missing.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from ..results.errors import UserError
from ..results.record import Frozen

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

Task = Literal["binary", "multiclass", "regression"]


class Kind(StrEnum):
    """Measurement level of a column."""

    CONTINUOUS = "continuous"
    INTEGER = "integer"
    CATEGORICAL = "categorical"
    ORDINAL = "ordinal"


class TableError(UserError):
    """A table does not have the shape or the types that its schema asks for."""


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


COMPARISONS: dict[str, Callable[[Any, Any], Any]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}


class Rule(Frozen):
    """A clinical rule that a row satisfies or breaks, such as diastolic below systolic pressure.

    Declarative, so that a card can never execute anything. A row in which a value that the rule
    mentions is missing satisfies it.

    Attributes:
        name: short name of the rule.
        left: a column.
        op: one of ``< <= > >= == !=``.
        right: a column, a code of ``left``, or a number.
        when: column to code: the rule holds only for rows with these codes.
    """

    name: str
    left: str
    op: Literal["<", "<=", ">", ">=", "==", "!="]
    right: str | float
    when: dict[str, str] = Field(default_factory=dict)

    @field_validator("when", mode="before")
    @classmethod
    def _text_codes(cls, when: Any) -> Any:
        return {k: label(v) for k, v in when.items()} if isinstance(when, dict) else when

    def satisfied(self, table: pd.DataFrame) -> np.ndarray:
        """Boolean array of shape ``(rows,)``: which rows of a canonical table satisfy the rule."""
        left = table[self.left]
        is_column = isinstance(self.right, str) and self.right in table.columns
        right = table[self.right] if is_column else self.right
        holds = COMPARISONS[self.op](left, right).to_numpy(dtype=bool)
        known = left.notna().to_numpy()
        if is_column:
            known = known & table[self.right].notna().to_numpy()
        for column, code in self.when.items():
            known = known & (table[column] == code).to_numpy(dtype=bool)
        satisfied: np.ndarray = holds | ~known
        return satisfied


@dataclass(frozen=True)
class Conformity:
    """Which rows of a table conform to its schema, and why the others do not.

    Attributes:
        valid: boolean array of shape ``(rows,)``.
        reasons: reason to number of rows; a row with two faults is counted under both.
    """

    valid: np.ndarray
    reasons: dict[str, int]


class TableSchema(Frozen):
    """The columns of a table, its prediction target and the rules its rows obey.

    Attributes:
        columns: in order.
        target: column that utility metrics predict; ``None`` if the table has none.
        task: kind of the prediction.
        positive: code of the positive class of a binary target.
        sensitive: columns that name groups or secrets, for privacy and fairness.
        rules: clinical rules.
    """

    columns: tuple[Column, ...]
    target: str | None = None
    task: Task | None = None
    positive: str | None = None
    sensitive: tuple[str, ...] = ()
    rules: tuple[Rule, ...] = ()

    @field_validator("columns", mode="before")
    @classmethod
    def _named(cls, columns: Any) -> Any:
        """Accept the card's mapping of name to column."""
        if isinstance(columns, dict):
            return tuple({"name": str(name), **spec} for name, spec in columns.items())
        return columns

    @field_validator("positive", mode="before")
    @classmethod
    def _text_code(cls, positive: Any) -> Any:
        return None if positive is None else label(positive)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        names = [c.name for c in self.columns]
        twice = sorted({n for n in names if names.count(n) > 1})
        if twice:
            raise ValueError(f"duplicated column names: {', '.join(twice)}")
        used = [*self.sensitive, *(r.left for r in self.rules), *(c for r in self.rules for c in r.when)]
        codes = {c.name: c.codes for c in self.columns}
        used += [r.right for r in self.rules if isinstance(r.right, str) and r.right not in codes.get(r.left, {})]
        unknown = sorted({c for c in used if c not in names})
        if unknown:
            raise ValueError(f"not a column of the table: {', '.join(unknown)}")
        if self.target is None:
            return self
        if self.target not in names:
            raise ValueError(f"target '{self.target}' is not a column of the table: {', '.join(names)}")
        target = self[self.target]
        if self.task is None:
            raise ValueError("a table with a target needs a task: binary, multiclass or regression")
        if (self.task == "regression") != target.numeric:
            raise ValueError(f"task '{self.task}' does not fit the {target.kind} target '{self.target}'")
        if self.task == "binary":
            if len(target.codes) != 2:
                raise ValueError(f"a binary target has two codes, '{self.target}' has {len(target.codes)}")
            if self.positive not in target.codes:
                raise ValueError(f"positive must be one of the target's codes: {', '.join(target.codes)}")
        return self

    def __getitem__(self, name: str) -> Column:
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(name)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all columns, in order."""
        return tuple(c.name for c in self.columns)

    @property
    def numeric(self) -> tuple[str, ...]:
        """Names of the numeric columns."""
        return tuple(c.name for c in self.columns if c.numeric)

    @property
    def categorical(self) -> tuple[str, ...]:
        """Names of the categorical and ordinal columns."""
        return tuple(c.name for c in self.columns if not c.numeric)

    @property
    def features(self) -> tuple[str, ...]:
        """Names of all columns but the target."""
        return tuple(c.name for c in self.columns if c.name != self.target)

    def canonical(self, table: pd.DataFrame) -> pd.DataFrame:
        """Bring a table to canonical form without changing any value.

        Args:
            table: any table of shape ``(rows, columns)`` that has the schema's columns, in any order.

        Returns:
            A new table of the same rows with a fresh index.

        Raises:
            TableError: columns are missing, unknown or doubled, or a numeric column holds text.
        """
        import pandas as pd

        found = [str(c) for c in table.columns]
        twice = sorted({c for c in found if found.count(c) > 1})
        lacking = [c for c in self.names if c not in found]
        unknown = [c for c in found if c not in self.names]
        if twice:
            raise TableError(f"duplicated column names: {', '.join(twice)}")
        if lacking or unknown:
            parts = [f"lacks {', '.join(lacking)}"] if lacking else []
            parts += [f"has unknown {', '.join(unknown)}"] if unknown else []
            raise TableError(f"the table {' and '.join(parts)}")
        table = table.set_axis(found, axis=1)
        columns = {c.name: _canonical(table[c.name], c) for c in self.columns}
        return pd.DataFrame(columns).reset_index(drop=True)

    def conform(self, table: pd.DataFrame) -> Conformity:
        """Check every row of a canonical table against kinds, codes, bounds, missingness and rules."""
        import numpy as np

        valid = np.ones(len(table), dtype=bool)
        reasons: dict[str, int] = {}

        def reject(bad: np.ndarray, reason: str) -> None:
            nonlocal valid
            if bad.any():
                reasons[reason] = int(bad.sum())
                valid &= ~bad

        for column in self.columns:
            values = table[column.name]
            missing = values.isna().to_numpy()
            if not column.missing:
                reject(missing, f"{column.name}: missing")
            if not column.numeric:
                reject(~missing & ~values.isin(list(column.codes)).to_numpy(), f"{column.name}: unknown code")
                continue
            numbers = values.to_numpy(dtype=float)
            if column.kind is Kind.INTEGER:
                with np.errstate(invalid="ignore"):
                    reject(~missing & (numbers != np.round(numbers)), f"{column.name}: not an integer")
            if column.bounds is not None:
                low, high = column.bounds
                reject(~missing & ((numbers < low) | (numbers > high)), f"{column.name}: out of bounds")
        for rule in self.rules:
            reject(~rule.satisfied(table), f"rule {rule.name}")
        return Conformity(valid, reasons)


def label(value: Any) -> str:
    """The text of a code: ``1``, ``1.0``, ``True`` and ``"1"`` are the same code ``"1"``."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def _canonical(values: pd.Series, column: Column) -> pd.Series:
    import pandas as pd

    if column.numeric:
        if values.dtype == object:  # NaT among numbers is missing, too
            values = values.where(values.notna(), None)
        try:
            return pd.to_numeric(values).astype("float64")
        except (TypeError, ValueError):
            raise TableError(f"column '{column.name}' is {column.kind} but holds values that are no numbers") from None
    uniques = values.dropna().unique()
    plain = {v: label(v.item() if hasattr(v, "item") else v) for v in uniques}
    return values.astype(object).map(plain).astype(object).where(values.notna(), None)
