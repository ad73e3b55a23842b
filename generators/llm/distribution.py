"""Distribution specifications: a table described by margins and correlations, as data that is never executed.

What stands here is the vocabulary. :mod:`.specification_reading` reads a specification from text of unknown
origin, :mod:`.specification_check` holds it against a schema card, and :mod:`.copula` draws from it.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, NamedTuple

from pydantic import Field

from ...benchmarks.schema import Column, TableSchema
from ...results.record import Frozen
from ..summary import indicated
from .margins import Family, Shape, lattice

MAX_CORRELATIONS = 2_000
MAX_CODES = 1_000
LIMIT = 1e12  # of any number

Number = Annotated[float, Field(strict=True, ge=-LIMIT, le=LIMIT)]
Percent = Annotated[float, Field(strict=True, ge=0, le=100)]
Decimals = Annotated[int, Field(strict=True, ge=0, le=10)]


class Numbers(Frozen):
    """How the known values of a numeric column are distributed.

    Attributes:
        family: of the distribution before it is cut off at ``min`` and ``max``.
        mean, sd: of the values, cut off and rounded, zeros included; ``sd`` 0 is a constant. Of a Poisson
            distribution, ``sd`` is the root of the mean, whatever is said here.
        min, max: smallest and largest value; the bounds of the card if ``None``, and never beyond them.
        decimals: to which values are rounded; those of the card if ``None``, and never more.
        zeros: percentage of the known values that are exactly 0, such as the pack-years of who never smoked; the
            family is that of the others. With 0 it is that of all values.
    """

    family: Family
    mean: Number
    sd: Annotated[Number, Field(ge=0)]
    min: Number | None = None
    max: Number | None = None
    decimals: Decimals | None = None
    zeros: Percent = 0.0


class Codes(Frozen):
    """How the known values of a categorical or ordinal column are distributed.

    Attributes:
        percent: code to the percentage of the known values; only their ratios count, and a code that is not
            named has none.
    """

    percent: dict[str, Annotated[Number, Field(ge=0)]] = Field(max_length=MAX_CODES)


class Given(Frozen):
    """Another distribution in rows where another column has certain codes.

    Attributes:
        parent: a categorical or ordinal column.
        cases: code of the parent to the distribution in the rows that have it; other rows keep the column's own.
    """

    parent: str
    cases: dict[str, Numbers | Codes] = Field(max_length=MAX_CODES)


class Dependent(Frozen):
    """What a margin has besides, where it is a column.

    Attributes:
        missing: percentage of missing values, at random.
        given: where the distribution depends on another column.
    """

    missing: Percent = 0.0
    given: Given | None = None


class NumberColumn(Dependent, Numbers):
    """A numeric column."""


class CodeColumn(Dependent, Codes):
    """A categorical or ordinal column."""


class Correlation(Frozen):
    """Pearson correlation ``r`` of two columns over all rows.

    Ordered codes count as their ranks. Of codes without an order, each has correlations of its own: ``column=code``
    counts as 1 in the rows that have the code, else as 0, as in :meth:`~..view.TrainView.associations`.
    """

    a: str
    b: str
    r: Annotated[float, Field(strict=True, ge=-1, le=1)]


Columns = dict[str, NumberColumn | CodeColumn]


class Specification(Frozen):
    """A distribution of rows: margins, conditional on one other column or not, tied by a Gaussian copula.

    Which rules the rows keep is said by the card alone.

    Attributes:
        columns: name to margin.
        correlations: of pairs of columns; others are as near to 0 as these leave them. A column that depends on
            a parent owes its correlation with the parent to that alone.
    """

    columns: Columns
    correlations: tuple[Correlation, ...] = Field(default=(), max_length=MAX_CORRELATIONS)


@dataclass(frozen=True)
class Problem:
    """Something amiss in a specification.

    Attributes:
        place: the column, or nothing where it is no column of the table.
        reason: in words of ours: nothing of what was read stands in it.
        repaired: whether it was put right, or what stood there was refused.
    """

    place: str
    reason: str
    repaired: bool


def counted(problems: Iterable[Problem]) -> dict[str, dict[str, int]]:
    """Problems by reason, the repaired and the refused apart, as JSON."""
    counts: dict[str, Counter[str]] = {"repaired": Counter(), "refused": Counter()}
    for problem in problems:
        counts["repaired" if problem.repaired else "refused"][problem.reason] += 1
    return {outcome: dict(reasons) for outcome, reasons in counts.items()}


def shape(numbers: Numbers) -> Shape:
    """The shape of a column whose range was checked; of the values that are not 0, if there are extra zeros."""
    assert numbers.min is not None
    assert numbers.max is not None
    inside = lattice(numbers.min, numbers.max, numbers.decimals)
    assert inside is not None
    mean, sd, (low, high) = numbers.mean, numbers.sd, inside
    if numbers.zeros:
        others = 1 - numbers.zeros / 100
        square = (sd**2 + mean**2) / others if others else 0.0
        mean = mean / others if others else 0.0
        sd = math.sqrt(max(square - mean**2, 0.0))
        low = max(low, 0.0 if numbers.decimals is None else 10.0**-numbers.decimals)
    return Shape(numbers.family, mean, sd, low, high, numbers.decimals)


def ordered(column: Column) -> bool:
    """Whether values of a column have an order; two codes have that of absence and presence."""
    return column.kind != "categorical" or len(column.codes) == 2


class Term(NamedTuple):
    """What a name in a correlation means.

    Attributes:
        column: the column.
        name: the one by which it is kept: that of an ordered column, or ``column=code``.
        sign: of its values; -1 if the name means the absence of what the column tells.
    """

    column: str
    name: str
    sign: int


def terms(schema: TableSchema) -> dict[str, Term]:
    """What can be correlated, by any name that it may have.

    One of two codes means its column: ``died=1`` is ``died``, and ``died=0`` the opposite of it. A code may stand
    in quotes, as in a prompt.
    """
    found: dict[str, Term] = {}
    for column in schema.columns:
        two = len(column.codes) == 2
        if two or not ordered(column):
            for code in column.codes:
                sign = 1 if not two or code == indicated(column, schema) else -1
                name = f"{column.name}={code}"
                term = Term(column.name, column.name if two else name, sign)
                found |= {name: term, f"{column.name}={json.dumps(code, ensure_ascii=False)}": term}
    return found | {column.name: Term(column.name, column.name, 1) for column in schema.columns if ordered(column)}
