"""A scorecard: what was measured of one synthetic table, in the terminal, as JSON and as one HTML page."""

from __future__ import annotations

from collections.abc import Iterator

from rich import box
from rich.console import Group
from rich.table import Table
from rich.text import Text

from ..results.record import Frozen, Measurement, MetricCard
from . import page, text
from .cards import PREFERRED
from .naming import plain


class TableFacts(Frozen):
    """One of the tables behind a scorecard: what it was used as, its file and its size."""

    role: str
    file: str
    rows: int
    sha256: str


class ColumnFacts(Frozen):
    """One column as it was read: its kind, and its codes or bounds in words."""

    name: str
    kind: str
    values: str
    missing: bool


class Scorecard(Frozen):
    """All that was measured of one synthetic table.

    Attributes:
        tables: what was compared.
        columns: how it was read.
        inferred: whether that was read off the rows, and is no card's word.
        target: the column that learners predict.
        seed: of learners and draws.
        notes: what to know before the values are read.
        measurements: in the order of the suite.
        cards: of their metrics, by name.
        software: versions behind the values.
    """

    tables: tuple[TableFacts, ...]
    columns: tuple[ColumnFacts, ...]
    inferred: bool
    target: str | None
    seed: int
    notes: tuple[str, ...]
    measurements: tuple[Measurement, ...]
    cards: dict[str, MetricCard]
    software: dict[str, str]

    def families(self) -> Iterator[tuple[str, list[Measurement]]]:
        """Measurements by family, in the order in which the families first appear."""
        family = {m.metric: self.cards[m.metric].family for m in self.measurements}
        for name in dict.fromkeys(family.values()):
            yield name, [m for m in self.measurements if family[m.metric] == name]


def headlines(measurements: list[Measurement]) -> list[Measurement]:
    """Of every metric the one value that stands for all its variants, or all of them where none does."""
    kept = []
    for name in dict.fromkeys(m.metric for m in measurements):
        own = [m for m in measurements if m.metric == name]
        kept += [m for m in own if m.variant in PREFERRED][:1] or own
    return kept


def terminal(card: Scorecard) -> Group:
    """The scorecard for a terminal: how the columns were read if that was a guess, the values, and what to know."""
    values = Table(box=box.SIMPLE_HEAD)
    values.add_column("metric", no_wrap=True)
    values.add_column("value", justify="right", no_wrap=True)
    values.add_column("of", justify="right", no_wrap=True)
    values.add_column("95 % interval, remark", style="dim", overflow="fold")
    for family, measurements in card.families():
        values.add_row(Text(family, style="bold"))
        for m in headlines(measurements):
            variant = f" ({m.variant})" if m.variant else ""
            named = f"{m.metric.replace('_', ' ')}{variant} {card.cards[m.metric].arrow}"
            rows = "" if m.n is None else f"{m.n:,}"
            remark = "; ".join(filter(None, [text.bounds(m), _remark(m)]))
            cells = (named, text.number(m.value), rows, remark)
            values.add_row(*(Text(plain(cell)) for cell in cells), style="" if m.value is not None else "dim")
        values.add_section()
    notes = [Text(plain(note) + "\n", style="italic") for note in card.notes]
    return Group(*([_columns(card)] if card.inferred else []), values, *notes)


def _columns(card: Scorecard) -> Table:
    table = Table(box=box.SIMPLE_HEAD)
    for heading in ("column", "kind", "codes or bounds", "missing"):
        table.add_column(heading, overflow="fold")
    for column in card.columns:
        name = column.name + " (target)" * (column.name == card.target)
        cells = (name, column.kind, column.values, "yes" if column.missing else "")
        table.add_row(*(Text(plain(cell)) for cell in cells))
    return table


def html(card: Scorecard) -> str:
    """The scorecard as one HTML document, without scripts and without anything loaded from elsewhere."""
    return page.document("scorecard.html.j2", card=card, families=list(card.families()), remark=_remark)


def _remark(measurement: Measurement) -> str:
    """Why there is no value, or what limits it."""
    drawn = f"of {measurement.population:,} rows, drawn" if measurement.population is not None else ""
    return "; ".join(filter(None, [measurement.reason, drawn]))
