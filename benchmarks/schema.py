"""Schema cards: what every column of a table is, independent of any row of it.

A schema comes from a codebook (documentation and clinical knowledge), never from training rows: a
generator whose access is ``description`` sees exactly this and nothing else.

A *canonical* table has the schema's columns in order; numeric columns are ``float64`` with NaN for
missing, categorical ones are ``object`` columns of ``str`` codes with ``None`` for missing.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import Field, ValidationInfo, field_validator, model_validator

from ..results.errors import UserError
from ..results.record import Frozen
from .columns import Column, Kind, label

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

__all__ = ["Column", "Conformity", "Kind", "Rule", "TableError", "TableSchema", "Task", "label"]

Task = Literal["binary", "multiclass", "regression"]


class TableError(UserError):
    """A table does not have the shape or the types that its schema asks for."""


COMPARISONS: dict[str, Callable[[Any, Any], Any]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}
ORDERINGS = ("<", "<=", ">", ">=")


class Rule(Frozen):
    """A clinical rule that a row satisfies or breaks, such as diastolic below systolic pressure.

    Declarative, so that a card can never execute anything. A row in which a value that the rule
    mentions is missing satisfies it. Ordinal codes compare by their order in the card; a value that is
    no code of its column has no place in that order and breaks the rule.

    Attributes:
        name: short name of the rule.
        left: a column.
        op: one of ``< <= > >= == !=``.
        right: a column; else a code of ``left`` or, where ``left`` is numeric, a number.
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

    def checked(self, columns: Mapping[str, Column]) -> Self:
        """The rule with the code that ``right`` means as its label, ``"0"`` for ``0``.

        Args:
            columns: those of the table, by name.

        Raises:
            ValueError: the rule names what the table does not have, or compares what cannot be compared.
        """
        lacking = sorted({self.left, *self.when} - set(columns))
        if lacking:
            raise ValueError(f"rule '{self.name}': not a column of the table: {', '.join(lacking)}")
        for name, code in self.when.items():
            if code not in columns[name].codes:
                raise ValueError(f"rule '{self.name}': when: '{code}' is no code of '{name}'")
        left = columns[self.left]
        right = self.right if left.numeric else label(self.right)
        other = columns.get(right) if isinstance(right, str) else None
        fault = _incomparable(left, self.op, right, other)
        if fault:
            raise ValueError(f"rule '{self.name}': {fault}")
        return self.model_copy(update={"right": right})

    def satisfied(self, table: pd.DataFrame, schema: TableSchema) -> np.ndarray:
        """Which rows of a canonical table satisfy the rule.

        Args:
            table: canonical, of shape ``(rows, columns)``.
            schema: of the table; the rule is one of its rules.

        Returns:
            Boolean array of shape ``(rows,)``.
        """
        is_column = self.right in schema.names
        left: pd.Series = table[self.left]
        right: Any = table[self.right] if is_column else self.right
        known = left.notna().to_numpy()
        if is_column:
            known = known & table[self.right].notna().to_numpy()
        for column, code in self.when.items():
            known = known & (table[column] == code).to_numpy(dtype=bool)
        if self.op in ORDERINGS and not schema[self.left].numeric:
            place = {code: i for i, code in enumerate(schema[self.left].codes)}
            left = left.map(place).astype(float)
            right = right.map(place).astype(float) if is_column else place[right]
        holds = COMPARISONS[self.op](left, right).to_numpy(dtype=bool)
        satisfied: np.ndarray = holds | ~known
        return satisfied


def _incomparable(left: Column, op: str, right: str | float, other: Column | None) -> str | None:
    """Why a rule cannot compare a column with a constant or with another column; ``None`` if it can."""
    if other is None:
        if left.numeric:
            return f"'{right}' is neither a column nor a number" if isinstance(right, str) else None
        if right not in left.codes:
            return f"'{right}' is neither a column nor a code of '{left.name}' ({', '.join(left.codes)})"
    elif left.numeric != other.numeric:
        numbers, codes = (left, other) if left.numeric else (other, left)
        return f"'{numbers.name}' holds numbers and '{codes.name}' codes: they cannot be compared"
    elif right in left.codes:
        return f"'{right}' is both a column and a code of '{left.name}': rename the column"
    if left.numeric:
        return None
    sides = [left] if other is None else [left, other]
    if op in ORDERINGS:
        unordered = next((c.name for c in sides if c.kind is not Kind.ORDINAL), None)
        if unordered is not None:
            return f"'{unordered}' is categorical, not ordinal: its codes have no order for '{op}'"
        if list(sides[-1].codes) != list(left.codes):
            return f"'{left.name}' and '{right}' do not have the same codes in the same order for '{op}'"
    elif not left.codes.keys() & sides[-1].codes.keys():
        return f"'{left.name}' and '{right}' have no code in common"
    return None


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

    @field_validator("rules")
    @classmethod
    def _checked(cls, rules: tuple[Rule, ...], info: ValidationInfo) -> tuple[Rule, ...]:
        if "columns" not in info.data:  # refused before
            return rules
        names = [r.name for r in rules]
        twice = sorted({n for n in names if names.count(n) > 1})
        if twice:
            raise ValueError(f"two rules are called '{twice[0]}'")
        columns = {c.name: c for c in info.data["columns"]}
        return tuple(r.checked(columns) for r in rules)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        names = [c.name for c in self.columns]
        twice = sorted({n for n in names if names.count(n) > 1})
        if twice:
            raise ValueError(f"duplicated column names: {', '.join(twice)}")
        unknown = sorted(set(self.sensitive) - set(names))
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
            reject(~rule.satisfied(table, self), f"rule {rule.name}")
        return Conformity(valid, reasons)


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
