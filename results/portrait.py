"""The portrait of a cell: its synthetic table beside the real one, as shares, strengths and distances, without a row.

It is made where the tables are, at evaluation, kept beside the record of a public table, and all that a board needs to
draw the cell. Everything in a file of it is from outside: bounded, and refused in one line where it does not add up.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Annotated, Final, Literal, Self

from pydantic import Field, ValidationError, model_validator

from .errors import UserError, first_fault
from .reading import PORTRAIT_NAME, RECORD_NAME
from .record import Frozen, Measurement, MetricCard, Record

PORTRAIT_VERSION: Final = 1
LARGEST = 4 * 2**20  # bytes of a file that is read
LONGEST = 300  # characters of a name or a label
ROUNDING = 2e-3  # by which shares of four digits may miss a sum of 1

Share = Annotated[float, Field(ge=0, le=1)]
Strength = Annotated[float, Field(ge=-1, le=1)]
Name = Annotated[str, Field(max_length=LONGEST)]
Shares = Annotated[tuple[Share, ...], Field(max_length=64)]
Edges = Annotated[tuple[float, ...], Field(max_length=65)]
Triangle = tuple[tuple[Strength | None, ...], ...]


class DamagedPortraitError(UserError):
    """A portrait is truncated, was changed, or does not add up."""


class Side(Frozen):
    """How the rows of one table spread over the bins or categories of a column.

    Attributes:
        shares: of all rows, by bin or category.
        other: of all rows, those of the categories that are not named.
        missing: of all rows, those without a value.
    """

    shares: Shares
    other: Share = 0.0
    missing: Share = 0.0

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if abs(sum(self.shares) + self.other + self.missing - 1) > ROUNDING:
            raise ValueError("the shares do not sum to 1")
        return self


class Marginal(Frozen):
    """One column in both tables.

    Attributes:
        name: of the column.
        kind: its measurement level.
        edges: of the bins of a numeric column, ascending; a bin holds its lower edge, and the first and last one
            hold what lies beyond.
        categories: labels of any other column, in the order to show them.
        real, synthetic: of the train rows and of the synthetic ones.
    """

    name: Name
    kind: Literal["continuous", "integer", "categorical", "ordinal"]
    edges: Edges = ()
    categories: tuple[Name, ...] = ()
    real: Side
    synthetic: Side

    @property
    def numeric(self) -> bool:
        """Whether it has bins rather than categories."""
        return self.kind in ("continuous", "integer")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        _ascending(self.edges)
        bins = len(self.edges) - 1 if self.numeric else len(self.categories)
        if (self.categories if self.numeric else self.edges) or {len(self.real.shares), len(self.synthetic.shares)} != {
            bins
        }:
            raise ValueError("the shares are not those of its bins or categories")
        return self


class Associations(Frozen):
    """How strongly any two columns are related in both tables, see the metric ``association_distance``.

    Attributes:
        names: of the columns.
        real, synthetic: of the train rows and of the synthetic ones, the part of the symmetric matrix below its
            diagonal: row ``i`` has the strengths with columns 0 to ``i - 1``; ``None`` where there is none to tell.
        left_out: columns that are not among the names, as there are too many.
    """

    names: Annotated[tuple[Name, ...], Field(min_length=2, max_length=64)]
    real: Triangle
    synthetic: Triangle
    left_out: tuple[Name, ...] = ()

    @model_validator(mode="after")
    def _square(self) -> Self:
        wanted = list(range(len(self.names)))
        if [len(row) for row in self.real] != wanted or [len(row) for row in self.synthetic] != wanted:
            raise ValueError("the strengths are not those of its pairs of columns")
        return self

    def pairs(self) -> list[tuple[str, str, float | None, float | None]]:
        """Every two names with their strength in the real and in the synthetic rows."""
        return [
            (self.names[j], self.names[i], self.real[i][j], self.synthetic[i][j])
            for i in range(len(self.names))
            for j in range(i)
        ]


class Distances(Frozen):
    """Gower distances of synthetic rows to their nearest real one, see the metric ``dcr``.

    Attributes:
        edges: of the bins, ascending; the last one holds what lies beyond.
        train, control: shares of the synthetic rows by the distance to the nearest row of either.
        rows: synthetic rows behind the shares.
        among: rows of train, and as many of control, that the nearest was sought among.
    """

    edges: Edges
    train: Shares
    control: Shares
    rows: int = Field(ge=1)
    among: int = Field(ge=1)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        _ascending(self.edges)
        for side in (self.train, self.control):
            if len(side) != len(self.edges) - 1 or abs(sum(side) - 1) > ROUNDING:
                raise ValueError("the shares are not those of its bins")
        return self


class Breakdown(Frozen):
    """The values of a measurement by column, class or pair."""

    metric: str
    variant: str = ""
    parts: dict[str, float | None]


class Drawn(Frozen):
    """How many rows of a table stand behind marginals and associations, and how many it has."""

    rows: int
    of: int


class Portrait(Frozen):
    """What a board shows of one cell beside its record. Numbers have four significant digits.

    Attributes:
        version: of this format.
        real, synthetic: rows behind it; of large tables, rows are drawn by the seed of the evaluation.
        seed: of the draws.
        columns: the marginal of every column.
        left_out: columns without one, as there are too many.
        associations: ``None`` where there are no two columns.
        distances: ``None`` where there are no control rows.
        breakdowns: of the record's measurements.
    """

    version: Literal[1] = PORTRAIT_VERSION
    real: Drawn
    synthetic: Drawn
    seed: int
    columns: Annotated[tuple[Marginal, ...], Field(max_length=512)]
    left_out: tuple[Name, ...] = ()
    associations: Associations | None = None
    distances: Distances | None = None
    breakdowns: tuple[Breakdown, ...] = ()

    def to_json(self) -> str:
        """The portrait as it is stored: one line."""
        text = self.model_dump_json(exclude_defaults=True, exclude={"version"})
        return f'{{"version":{self.version},{text[1:]}\n'

    def with_breakdowns(self, breakdowns: Iterable[Breakdown], renewed: Collection[str]) -> Portrait:
        """The portrait with the breakdowns of some metrics in the place of what it had of them.

        Args:
            breakdowns: to add.
            renewed: names of metrics of which none is kept.
        """
        kept = (b for b in self.breakdowns if b.metric not in renewed)
        return self.model_copy(update={"breakdowns": (*kept, *breakdowns)})


def significant(value: float) -> float:
    """A number with its first four digits."""
    return float(f"{value:.4g}")


def divided(
    measurements: Iterable[Measurement], cards: Mapping[str, MetricCard]
) -> tuple[tuple[Measurement, ...], tuple[Breakdown, ...]]:
    """Part measurements from their breakdowns: these are of use beside the tables' portrait alone.

    What is said of the language model rather than of the table stays with its measurement: a board holds the value
    against it.

    Args:
        measurements: of one record.
        cards: of their metrics.
    """
    kept, parts = [], []
    for measured in measurements:
        if measured.breakdown and "language model" not in cards[measured.metric].needs:
            rounded = {name[:LONGEST]: None if v is None else significant(v) for name, v in measured.breakdown.items()}
            parts.append(Breakdown(metric=measured.metric, variant=measured.variant, parts=rounded))
            measured = measured.model_copy(update={"breakdown": {}})
        kept.append(measured)
    return tuple(kept), tuple(parts)


def portrait_path(file: Path) -> Path:
    """Where the portrait of a record stands, by the record's own file in a store or where it is published."""
    return file.with_name(PORTRAIT_NAME) if file.name == RECORD_NAME else file.with_suffix(f".{PORTRAIT_NAME}")


def portrait_digest(record: Record) -> str:
    """SHA-256 of the portrait that a record was stored with; empty if it has none."""
    return next((attached.sha256 for attached in record.attachments if attached.path == PORTRAIT_NAME), "")


def read_portrait(path: Path, sha256: str) -> Portrait:
    """Read and verify a portrait.

    Args:
        path: its file, see :func:`portrait_path`.
        sha256: what its record says of it.

    Raises:
        DamagedPortraitError: the file is missing, is not the one that was recorded, or is no portrait.
    """
    try:
        if path.stat().st_size > LARGEST:
            raise DamagedPortraitError(f"{path} is no portrait: it is larger than {LARGEST:,} bytes")
        data = path.read_bytes().replace(b"\r\n", b"\n")  # git may have checked it out with the line ends of Windows
    except OSError as error:
        raise DamagedPortraitError(f"{path} cannot be read ({error.strerror}): copy it beside its record") from None
    if hashlib.sha256(data).hexdigest() != sha256:
        raise DamagedPortraitError(f"{path} is not the portrait that its record was stored with")
    try:
        return Portrait.model_validate_json(data)
    except ValidationError as error:
        fault = first_fault(error)
        raise DamagedPortraitError(f"{path} is no portrait: {fault.place or 'the whole'}: {fault.text}") from None


def _ascending(edges: tuple[float, ...]) -> None:
    if any(low >= high for low, high in itertools.pairwise(edges)):
        raise ValueError("its edges do not ascend")
