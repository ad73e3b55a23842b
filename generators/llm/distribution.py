"""Distribution specifications: a table described by margins and correlations, as data that is never executed.

A specification may come from anywhere, a language model included. Reading one bounds its size, refuses what is
no number, no family, or out of proportion, and holds every column against the schema card. What is amiss
is either *repaired*, where one remedy leaves no doubt, or the column is *refused*; both are listed.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, NoReturn, Self

from pydantic import Field, ValidationError

from ...benchmarks.schema import Column, TableSchema
from ...results.record import Frozen
from .margins import COUNTS, POSITIVE, REACHED, Family, Shape, fit, lattice

MAX_CHARACTERS = 262_144  # of a specification as text
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
        mean, sd: of the values, cut off and rounded; ``sd`` 0 is a constant. Of a Poisson distribution,
            ``sd`` is the root of the mean, whatever is said here.
        min, max: smallest and largest value; the bounds of the card if ``None``, and never beyond them.
        decimals: to which values are rounded; those of the card if ``None``, and never more.
        zeros: percentage of the known values that are exactly 0 besides, which none of the above counts.
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


class NumberColumn(Numbers):
    """A numeric column.

    Attributes:
        missing: percentage of missing values, at random.
        given: where the distribution depends on another column.
    """

    missing: Percent = 0.0
    given: Given | None = None


class CodeColumn(Codes):
    """A categorical or ordinal column.

    Attributes:
        missing: percentage of missing values, at random.
        given: where the distribution depends on another column.
    """

    missing: Percent = 0.0
    given: Given | None = None


class Correlation(Frozen):
    """Pearson correlation ``r`` of two columns, ordered codes counting as their ranks."""

    a: str
    b: str
    r: Annotated[float, Field(strict=True, ge=-1, le=1)]


Columns = dict[str, NumberColumn | CodeColumn]


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


class Specification(Frozen):
    """A distribution of rows: margins, conditional on one other column or not, tied by a Gaussian copula.

    Attributes:
        columns: name to margin.
        correlations: of pairs of columns, over all rows; other pairs are independent given these.
    """

    columns: Columns
    correlations: tuple[Correlation, ...] = Field(default=(), max_length=MAX_CORRELATIONS)

    @classmethod
    def parse(cls, text: str) -> tuple[Self | None, list[Problem]]:
        """Read a whole specification from JSON, without holding it against a card yet."""
        found, problems = decode(text)
        if found is None:
            return None, problems
        try:
            return cls.model_validate(found), []
        except ValidationError as error:
            return None, [Problem("", _reason(error), False)]

    def validate_against(self, schema: TableSchema) -> tuple[Self, list[Problem]]:
        """Hold the specification against a card.

        Args:
            schema: of the table.

        Returns:
            The specification without what was refused, in the order of the card and with nothing left open
            (bounds, decimals, percentages that sum to 100), and the problems. It can be sampled from if
            no problem is left unrepaired.
        """
        problems = [Problem("", "unknown column", True) for name in self.columns if name not in schema.names]
        columns: Columns = {}
        for column in schema.columns:
            stated = self.columns.get(column.name)
            if stated is None:
                problems.append(Problem(column.name, "not specified", False))
                continue
            checked, found = check(stated, column, schema)
            problems += found
            if checked is not None:
                columns[column.name] = checked
        specification, found = self.tied(columns, self.correlations, schema)
        return specification, problems + found

    @classmethod
    def tied(
        cls, columns: Columns, correlations: tuple[Correlation, ...], schema: TableSchema
    ) -> tuple[Self, list[Problem]]:
        """Put columns that were checked one by one together.

        Returns:
            The specification without what was refused, and the problems between columns.
        """
        from .copula import tie

        cyclic = sorted(_in_cycles(columns))
        problems = [Problem(name, "depends on itself by way of its parents", False) for name in cyclic]
        remaining = {name: columns[name] for name in schema.names if name in columns and name not in cyclic}
        kept, found = _pairs(correlations, remaining, schema)
        specification = cls(columns=remaining, correlations=kept)
        return specification, problems + found + tie(specification, schema).problems


def decode(text: str) -> tuple[dict[str, Any] | None, list[Problem]]:
    """The first JSON object of a text, within bounds.

    Returns:
        The object, or ``None`` and why there is none.
    """

    def refuse(_: str) -> NoReturn:
        raise ValueError

    def distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            raise ValueError
        return found

    if len(text) > MAX_CHARACTERS:
        return None, [Problem("", f"longer than {MAX_CHARACTERS} characters", False)]
    decoder = json.JSONDecoder(parse_constant=refuse, object_pairs_hook=distinct)
    try:
        found, _ = decoder.raw_decode(text[text.index("{") :])
    except (ValueError, RecursionError):  # a name that stands twice, NaN and endless digits are ValueErrors too
        return None, [Problem("", "no complete JSON object", False)]
    return found, []


def read_columns(text: str, columns: Iterable[Column], schema: TableSchema) -> tuple[Columns, list[Problem]]:
    """Read the columns of a specification that are in order, for these columns of the card.

    Args:
        text: a JSON object of column name to margin; untrusted.
        columns: those that are asked for.
        schema: of the table.

    Returns:
        Those that were accepted, and the problems of all.
    """
    found, problems = decode(text)
    if found is None:
        return {}, problems
    asked = {column.name: column for column in columns}
    problems = [Problem("", "unknown column", True) for name in found if name not in asked]
    accepted: Columns = {}
    for name, column in asked.items():
        if name not in found:
            problems.append(Problem(name, "not specified", False))
            continue
        try:
            stated = (NumberColumn if column.numeric else CodeColumn).model_validate(found[name])
        except ValidationError as error:
            problems.append(Problem(name, _reason(error), False))
            continue
        checked, amiss = check(stated, column, schema)
        problems += amiss
        if checked is not None:
            accepted[name] = checked
    return accepted, problems


def read_correlations(text: str) -> tuple[tuple[Correlation, ...] | None, list[Problem]]:
    """Read the correlations that are in order from ``{"correlations": [{"a": ..., "b": ..., "r": ...}, ...]}``.

    Returns:
        Those that are well formed, or ``None`` if there is no such list; and the problems.
    """
    found, problems = decode(text)
    if found is None:
        return None, problems
    listed = found.get("correlations")
    if not isinstance(listed, list):
        return None, [Problem("", "no list of correlations", False)]
    if len(listed) > MAX_CORRELATIONS:
        return None, [Problem("", f"more than {MAX_CORRELATIONS} correlations", False)]
    accepted = []
    for entry in listed:
        try:
            accepted.append(Correlation.model_validate(entry))
        except ValidationError as error:
            problems.append(Problem("", f"correlation: {_reason(error)}", True))
    return tuple(accepted), problems


def check(
    stated: NumberColumn | CodeColumn, column: Column, schema: TableSchema
) -> tuple[NumberColumn | CodeColumn | None, list[Problem]]:
    """Hold one column against the card.

    Returns:
        The column with nothing left open, or ``None`` if it is refused; and the problems.
    """
    notes: list[tuple[str, bool]] = []
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


def shape(numbers: Numbers) -> Shape:
    """The shape of a column that was checked."""
    assert numbers.min is not None
    assert numbers.max is not None
    inside = lattice(numbers.min, numbers.max, numbers.decimals)
    assert inside is not None
    return Shape(numbers.family, numbers.mean, numbers.sd, *inside, numbers.decimals)


Notes = list[tuple[str, bool]]


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
    update = {"family": family, "min": least, "max": most, "decimals": decimals}
    checked = stated.model_copy(update=update)
    fault = _fault(checked)
    if stated.zeros and not low <= 0 <= least:
        fault = "extra zeros where the card or the range has none, or among negative values"
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
    mean, sd, low, high = numbers.mean, numbers.sd, numbers.min, numbers.max
    if low > high:
        return "empty range"
    if lattice(low, high, numbers.decimals) is None:
        return "no value with so many decimals within the range"
    if not low <= mean <= high:
        return "mean outside the range"
    if sd**2 > (mean - low) * (high - mean) * (1 + 1e-9):  # Bhatia and Davis 2000
        return "standard deviation larger than the range allows"
    if numbers.family in POSITIVE and mean <= 0:
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


def _in_cycles(columns: Mapping[str, NumberColumn | CodeColumn]) -> set[str]:
    """Columns whose chain of parents does not end."""

    def ancestors(name: str) -> Iterator[str]:
        seen: set[str] = set()
        while name in columns and (given := columns[name].given) is not None and name not in seen:
            seen.add(name)
            name = given.parent
            yield name

    return {name for name in columns if name in set(ancestors(name))}


def ordered(column: Column) -> bool:
    """Whether values of a column have an order, so that it can be correlated."""
    return column.kind != "categorical" or len(column.codes) == 2


def _pairs(
    stated: tuple[Correlation, ...], columns: Columns, schema: TableSchema
) -> tuple[tuple[Correlation, ...], list[Problem]]:
    """Correlations of two columns that can be correlated, each pair once."""
    kept: dict[frozenset[str], Correlation] = {}
    problems = []
    for pair in stated:
        if pair.a not in columns or pair.b not in columns:
            reason = "correlation of an unknown column"
        elif pair.a == pair.b:
            reason = "correlation of a column with itself"
        elif not (ordered(schema[pair.a]) and ordered(schema[pair.b])):
            reason = "correlation of a column whose codes have no order"
        elif frozenset((pair.a, pair.b)) in kept:
            reason = "correlation stated twice"
        else:
            kept[frozenset((pair.a, pair.b))] = pair
            continue
        problems.append(Problem("", reason, True))
    return tuple(kept.values()), problems


def _reason(error: ValidationError) -> str:
    """What pydantic found first, by field and kind of error, without the text that it read."""
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    known = {*NumberColumn.model_fields, *CodeColumn.model_fields, *Correlation.model_fields, "columns", "correlations"}
    field = next((str(part) for part in first["loc"] if part in known), "")
    return f"{field}: {first['type']}".removeprefix(": ").replace("_", " ")
