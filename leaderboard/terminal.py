"""The board in a terminal of 80 columns: the leading metrics of four families, costs without interval."""

from __future__ import annotations

from textwrap import fill
from typing import TYPE_CHECKING

from rich import box
from rich.console import Group
from rich.table import Table
from rich.text import Text

from . import text
from .contamination import counted
from .naming import BY_MODEL, plain

if TYPE_CHECKING:
    from .board import Board, Kind, Row, Score, Section

STYLES = {"complete": "", "reference": "dim italic", "incomplete": "dim"}
LABEL, NUMBER = 21, 7  # characters: of a label's line, and of a column of numbers at least
KINDS: tuple[Kind, ...] = ("complete", "reference", "incomplete")


def terminal_summary(board: Board) -> Group:
    """One table per protocol, to be printed by :class:`rich.console.Console`."""
    parts = [part for section in board.sections for part in (_table(section), _notes(section, board.draws))]
    return Group(*parts, *([Text(text.left_out(board), style="italic")] if board.left_out else []))


def _notes(section: Section, draws: int) -> Text:
    notes = [text.basis(section, draws)]
    if section.of_kind("incomplete"):
        notes.append("Rows at the end lack cells and are not compared.")
    if section.failures:
        notes.append(f"{text.plural(sum(f.count for f in section.failures), 'cell')} failed: see the page.")
    lines = [" ".join(notes), *_memorised(section), *filter(None, [plain(text.embedded(section))])]
    return Text("\n".join(lines) + "\n", style="italic")


def _memorised(section: Section) -> list[str]:
    """One line a model: how many tables it knows by heart, and which."""
    lines = []
    for model in dict.fromkeys(c.model for c in section.contamination):
        own = {c.dataset: c.memorised for c in section.contamination if c.model == model}
        names = ", ".join(dataset for dataset, memorised in own.items() if memorised)
        which = f" ({names})" if names else ""
        lines.append(plain(f"Memorised by {model}: {text.memory(counted(own.values()))}{which}."))
    return lines


def _table(section: Section) -> Table:
    columns = section.headlines()
    title = f"Protocol {plain(section.name)}" if section.name else "Results"
    table = Table(box=box.SIMPLE_HEAD, title=Text(title), title_justify="left")
    table.add_column("generator\nmay see, cells", min_width=LABEL, no_wrap=True)
    for column, _ in columns:
        heading = plain(text.heading(column))
        # A number that is cut off is worse than none: what gets narrow is folded.
        table.add_column(Text(heading.replace(" ", "\n", 1)), justify="right", min_width=NUMBER, overflow="fold")
    for kind in KINDS:
        for row in section.of_kind(kind):
            name, _, model = row.label.partition(BY_MODEL)
            below = "\n".join(filter(None, [fill(model, LABEL), f"{plain(row.facts.access)}, {row.k}/{row.n}"]))
            label = Text(fill(name, LABEL)).append(f"\n{below}", style="dim")
            scores = (_score(s[row.label], row, interval=c.card.family != "cost") for c, s in columns)
            table.add_row(label, *scores, style=STYLES[kind])
        table.add_section()
    return table


def _score(score: Score, row: Row, *, interval: bool) -> Text:
    value = Text(text.number(score.mean), style="bold" if score.mark else "")
    if score.mark:
        value.append(f" {score.mark}")
    for part in (text.bounds(score) if interval else "", text.coverage(score, row)):
        if part:
            value.append(f"\n{part}", style="dim")
    return value
