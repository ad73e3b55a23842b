"""A distribution specification held against the schema card: what is amiss is repaired or refused, and listed.

*Repaired* is what has one remedy that leaves no doubt; anything else costs the column, which is *refused*.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ...benchmarks.schema import Column, TableSchema
from .distribution import (
    LIMIT,
    CodeColumn,
    Codes,
    Columns,
    Correlation,
    Given,
    NumberColumn,
    Numbers,
    Problem,
    Specification,
    shape,
    terms,
)
from .margins import COUNTS, POSITIVE, REACHED, fit, lattice
from .ties import tie

Notes = list[tuple[str, bool]]  # reason, and whether it was repaired


def validate(specification: Specification, schema: TableSchema) -> tuple[Specification, list[Problem]]:
    """Hold a specification against a card.

    Args:
        specification: as it was read.
        schema: of the table.

    Returns:
        The specification without what was refused, in the order of the card and with nothing left open
        (bounds, decimals, percentages that sum to 100), and the problems. It can be sampled from if
        no problem is left unrepaired.
    """
    problems = [Problem("", "unknown column", True) for name in specification.columns if name not in schema.names]
    columns: Columns = {}
    for column in schema.columns:
        stated = specification.columns.get(column.name)
        if stated is None:
            problems.append(Problem(column.name, "not specified", False))
            continue
        checked, found = check(stated, column, schema)
        problems += found
        if checked is not None:
            columns[column.name] = checked
    whole, found = tied(columns, specification.correlations, schema)
    return whole, problems + found


def tied(
    columns: Columns, correlations: tuple[Correlation, ...], schema: TableSchema
) -> tuple[Specification, list[Problem]]:
    """Put columns that were checked one by one together.

    Returns:
        The specification without what was refused, and the problems between columns.
    """
    cyclic = sorted(_in_cycles(columns))
    problems = [Problem(name, "depends on itself by way of its parents", False) for name in cyclic]
    remaining = {name: columns[name] for name in schema.names if name in columns and name not in cyclic}
    while orphans := [name for name, column in remaining.items() if _parent(column) not in (None, *remaining)]:
        problems += [Problem(name, "depends on a column that is not specified", False) for name in orphans]
        remaining = {name: column for name, column in remaining.items() if name not in orphans}
    kept, found = _pairs(correlations, remaining, schema)
    specification = Specification(columns=remaining, correlations=kept)
    return specification, problems + found + tie(specification, schema).problems


def check(
    stated: NumberColumn | CodeColumn, column: Column, schema: TableSchema
) -> tuple[NumberColumn | CodeColumn | None, list[Problem]]:
    """Hold one column against the card.

    Returns:
        The column with nothing left open, or ``None`` if it is refused; and the problems.
    """
    notes: Notes = []
    checked = _margin(stated, column, notes)
    if stated.missing and not column.missing:
        notes.append(("missing values where the card has none", True))
        checked = checked and checked.model_copy(update={"missing": 0.0})
    elif stated.missing == 100:
        notes.append(("missing in every row", False))
        checked = None
    if stated.given is not None:
        given = _given(stated.given, column, schema, notes)
        checked = given and checked and checked.model_copy(update={"given": given})
    return checked, [Problem(column.name, reason, repaired) for reason, repaired in notes]


def _margin(stated: Any, column: Column, notes: Notes) -> Any:
    """A margin with nothing left open, of the type that it came in; ``None`` if it is refused."""
    if isinstance(stated, Numbers) != column.numeric:
        wanted = "a distribution of numbers" if column.numeric else "percentages of codes"
        notes.append((f"not {wanted}, which its kind asks for", False))
        return None
    return _numbers(stated, column, notes) if column.numeric else _codes(stated, column, notes)


def _numbers(stated: Numbers, column: Column, notes: Notes) -> Numbers | None:
    low, high = column.bounds or (-LIMIT, LIMIT)
    least = low if stated.min is None else stated.min
    most = high if stated.max is None else stated.max
    if least < low or most > high:
        notes.append(("range wider than the card's bounds", True))
        least, most = max(least, low), min(most, high)
    decimals = 0 if column.kind == "integer" else column.decimals
    if decimals is None:
        decimals = stated.decimals
    elif stated.decimals is not None and stated.decimals > decimals:
        notes.append(("more decimals than the card", True))
    elif stated.decimals is not None:
        decimals = stated.decimals
    family = stated.family
    if family == "negative_binomial" and stated.sd**2 <= stated.mean:
        notes.append(("negative binomial without more variance than mean: Poisson", True))
        family = "poisson"
    checked = stated.model_copy(update={"family": family, "min": least, "max": most, "decimals": decimals})
    if stated.zeros and not low <= 0 <= least:
        notes.append(("extra zeros where the card or the range has none, or among negative values", False))
        return None
    fault = _fault(checked.model_copy(update={"zeros": 0.0}))
    if fault is None and checked.zeros and (_fault(checked) is not None or shape(checked).constant):
        notes.append(("more zeros than mean and standard deviation allow: none but the family's", True))
        checked = checked.model_copy(update={"zeros": 0.0})
    if fault is not None:
        notes.append((fault, False))
        return None
    made = shape(checked)
    if made.constant:
        notes.append(("standard deviation of zero: a constant", True))
    found = fit(made)
    if found is None:
        notes.append(("next to no mass within the range", False))
        return None
    if found.gap > REACHED:
        notes.append(("mean and standard deviation beyond the family's reach within the range", True))
    return checked


def _fault(numbers: Numbers) -> str | None:
    """Why no such distribution exists."""
    assert numbers.min is not None
    assert numbers.max is not None
    if numbers.min > numbers.max:
        return "empty range"
    if lattice(numbers.min, numbers.max, numbers.decimals) is None:
        return "no value with so many decimals within the range"
    made = shape(numbers)
    low, high = (made.low, made.high) if numbers.zeros else (numbers.min, numbers.max)
    if not low <= made.mean <= high:
        return "mean outside the range"
    if made.sd**2 > (made.mean - low) * (high - made.mean) * (1 + 1e-9):  # Bhatia and Davis 2000
        return "standard deviation larger than the range allows"
    if numbers.family in POSITIVE and made.mean <= 0:
        return "mean not positive, as its family asks for"
    if numbers.family in COUNTS and numbers.decimals != 0:
        return "counts for a column that holds no whole numbers"
    return None


def _codes(stated: Codes, column: Column, notes: Notes) -> Codes | None:
    percent = {code: stated.percent.get(code, 0.0) for code in column.codes}
    if stated.percent.keys() - percent:
        notes.append(("unknown code", True))
    if percent.keys() - stated.percent:
        notes.append(("code without a percentage: zero", True))
    total = sum(percent.values())
    if not total > 0:
        notes.append(("no percentage above zero", False))
        return None
    if abs(total - 100) > 1:
        notes.append(("percentages that do not sum to 100", True))
    return stated.model_copy(update={"percent": {code: 100 * p / total for code, p in percent.items()}})


def _given(stated: Given, column: Column, schema: TableSchema, notes: Notes) -> Given | None:
    if stated.parent not in schema.names or schema[stated.parent].numeric or stated.parent == column.name:
        notes.append(("depends on what is no other column with codes", False))
        return None
    codes = schema[stated.parent].codes
    if stated.cases.keys() - codes:
        notes.append(("unknown code of the parent", True))
    cases = {code: _margin(case, column, notes) for code, case in stated.cases.items() if code in codes}
    return None if None in cases.values() else Given(parent=stated.parent, cases=cases)


def _parent(column: NumberColumn | CodeColumn) -> str | None:
    return column.given.parent if column.given else None


def _in_cycles(columns: Mapping[str, NumberColumn | CodeColumn]) -> set[str]:
    """Columns whose chain of parents does not end."""

    def ancestors(name: str) -> Iterator[str]:
        seen: set[str] = set()
        while name in columns and (parent := _parent(columns[name])) is not None and name not in seen:
            seen.add(name)
            name = parent
            yield name

    return {name for name in columns if name in set(ancestors(name))}


def _pairs(
    stated: tuple[Correlation, ...], columns: Columns, schema: TableSchema
) -> tuple[tuple[Correlation, ...], list[Problem]]:
    """Correlations of what can be correlated, by the one name that each has, each pair once."""
    known = terms(schema)
    kept: dict[frozenset[str], Correlation] = {}
    problems = []
    for pair in stated:
        a, b = known.get(pair.a), known.get(pair.b)
        if {pair.a, pair.b} & (columns.keys() - known):
            reason = "correlation of a column whose codes have no order"
        elif a is None or b is None or a.column not in columns or b.column not in columns:
            reason = "correlation of an unknown column"
        elif a.column == b.column:
            reason = "correlation of a column with itself"
        elif _parent(columns[a.column]) == b.column or _parent(columns[b.column]) == a.column:
            reason = "correlation of a column with its parent"
        elif frozenset((a.name, b.name)) in kept:
            reason = "correlation stated twice"
        else:
            kept[frozenset((a.name, b.name))] = Correlation(a=a.name, b=b.name, r=a.sign * b.sign * pair.r)
            continue
        problems.append(Problem("", reason, True))
    return tuple(kept.values()), problems
