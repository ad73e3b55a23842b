"""The board as Markdown: one table per protocol and family of metrics, or one short table for a README."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from . import text
from .naming import may_see, plain

if TYPE_CHECKING:
    from .board import Board, Column, Row, Score, Section

NOTE = (
    "Mean over datasets [95 % interval]; **best**; (tied): not told from the best; italics: reference rows; "
    "incomplete rows lack cells and are not compared."
)


def render(board: Board) -> str:
    """Render a board as Markdown, with every metric."""
    return _render(board, [_section(section, board.draws) for section in board.sections])


def render_summary(board: Board) -> str:
    """Render one table per protocol, with the leading metric of each family."""
    sections = [
        "\n".join([*_opening(section, board.draws), *_table(section, section.leading()), ""])
        for section in board.sections
    ]
    return _render(board, sections)


def _render(board: Board, parts: list[str]) -> str:
    left_out = [f"{_escape(text.left_out(board))}\n"] if board.left_out else []
    return "\n".join([*parts, *left_out, NOTE, ""])


def _section(section: Section, draws: int) -> str:
    lines = _opening(section, draws)
    for family in dict.fromkeys(column.card.family for column in section.columns):
        columns = [column for column in section.columns if column.card.family == family]
        lines += [f"**{family.capitalize()}**", "", *_table(section, columns), ""]
    if section.failures:
        failed = sum(f.count for f in section.failures)
        lines += [f"{text.plural(failed, 'cell')} gave no table; the page lists them with their messages.", ""]
    return "\n".join(lines)


def _opening(section: Section, draws: int) -> list[str]:
    title = f"Protocol {_escape(section.name)}" if section.name else "Results"
    return [f"### {title}", "", f"{_escape(text.protocol(section))}. {text.basis(section, draws)}", ""]


def _table(section: Section, columns: list[Column]) -> list[str]:
    heads = ["Generator", "May see", "Coverage", *(_escape(text.heading(c)) for c in columns)]
    rows = [_row(row, columns) for row in section.rows]
    return [_line(heads), _line(["---"] * 3 + ["---:"] * len(columns)), *rows]


def _row(row: Row, columns: list[Column]) -> str:
    label = _escape(row.label)
    name = {"complete": label, "reference": f"*{label}*", "incomplete": f"{label} (incomplete)"}[row.kind]
    cells = [_score(row.scores[c.card.name], row) for c in columns]
    return _line([name, _escape(may_see(row.facts)), f"{row.k}/{row.n}", *cells])


def _score(score: Score, row: Row) -> str:
    value = text.number(score.mean)
    value = {"best": f"**{value}**", "tied": f"{value} (tied)", "": value}[score.mark]
    return " ".join(part for part in (value, text.bounds(score), text.coverage(score, row)) if part)


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _escape(value: str) -> str:
    """Text that Markdown prints as it is: no markup, no HTML, no break of a table, no address made a link."""
    return re.sub(
        r"([\\`*{}\[\]<>()#!|~&@]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])|:(?=//)|(?<=www)\.)", r"\\\1", plain(value)
    )
