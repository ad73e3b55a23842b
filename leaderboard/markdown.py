"""The board as Markdown: one table per protocol and family of metrics, or one short table for a README."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from . import text
from .board import Score
from .naming import may_see, plain

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .board import Board, Column, MemoryTest, Row, Section
    from .cited import CitedTable

NOTE = (
    "Mean over datasets [95 % interval]; **best**; (tied): not told from the best; italics: reference rows; "
    "incomplete rows lack cells and are not compared."
)


def render(board: Board) -> str:
    """Render a board as Markdown, with every metric."""
    sections = [_section(section, board.draws) for section in board.sections]
    return _render(board, [*sections, f"### {text.CITED}\n", *map(_cited, board.cited)])


def render_summary(board: Board) -> str:
    """Render one table per protocol, with the leading metric of each family."""
    sections = [
        "\n".join([*_opening(section, board.draws), *table(section, section.headlines()), ""])
        for section in board.sections
    ]
    memory = (
        [f"Memorised: {escape(text.MEMORY_NOTE)}\n"] if any(section.contamination for section in board.sections) else []
    )
    return _render(board, [*sections, *memory, f"{escape(text.cited(board))}\n"])


def _render(board: Board, parts: list[str]) -> str:
    left_out = [f"{escape(text.left_out(board))}\n"] if board.left_out else []
    return "\n".join([*parts, *left_out, NOTE, ""])


def _section(section: Section, draws: int) -> str:
    lines = _opening(section, draws)
    for family in dict.fromkeys(column.card.family for column in section.columns):
        columns = [(c, section.scores(c)) for c in section.columns if c.card.family == family]
        lines += [f"**{family.capitalize()}**", "", *table(section, columns), ""]
    if section.contamination:
        rule = escape(f"{text.MEMORY_RULE} {text.MEMORY_CAVEAT}")
        lines += ["**What the language models know by heart**", "", *_contamination(section), "", rule, ""]
    if section.failures:
        failed = sum(f.count for f in section.failures)
        lines += [f"{text.plural(failed, 'cell')} gave no table; the page lists them with their messages.", ""]
    return "\n".join(lines)


def _opening(section: Section, draws: int) -> list[str]:
    title = f"Protocol {escape(section.name)}" if section.name else "Results"
    embedded = [escape(text.embedded(section)), ""] if section.embedded else []
    return [f"### {title}", "", f"{escape(text.protocol(section))}. {text.basis(section, draws)}", "", *embedded]


def _contamination(section: Section) -> list[str]:
    tests = list(section.contamination[0].tests)
    heads = ["Language model", "Table", *(escape(test.replace("_", " ")) for test in tests)]
    rows = [[c.model, c.dataset, *map(_share, c.tests.values())] for c in section.contamination]
    return [_line(heads), _line(["---"] * len(heads)), *(_line([escape(cell) for cell in row]) for row in rows)]


def _share(test: MemoryTest) -> str:
    if test.value is None:
        return f"{test.status}: {test.reason}" if test.reason else test.status
    parts = [text.number(test.value), "above" * bool(test.memorised), text.bounds(test), text.memory_basis(test)]
    return " ".join(filter(None, parts))


def _cited(table: CitedTable) -> str:
    opening = f"{table.system}, on {table.dataset}. Cited from {table.source.full}; {table.place}. {table.note}"
    heads = [escape(head) for head in ("Metric", *table.models)]
    rows = [_line([escape(cell) for cell in (figure.metric, *figure.values)]) for figure in table.figures]
    lines = [escape(opening), "", _line(heads), _line(["---"] + ["---:"] * len(table.models)), *rows, ""]
    return "\n".join(lines)


def table(section: Section, columns: Sequence[tuple[Column, dict[str, Score]]]) -> list[str]:
    """A table of all generators by these columns, each with its scores by generator label, line by line."""
    facts = ["Generator", "May see", "Coverage", *["Memorised"] * bool(section.contamination)]
    rows = [
        _row(row, [scores.get(row.label, Score(None)) for _, scores in columns], memory=bool(section.contamination))
        for row in section.rows
    ]
    heads = [*facts, *(escape(text.heading(c)) for c, _ in columns)]
    return [_line(heads), _line(["---"] * len(facts) + ["---:"] * len(columns)), *rows]


def _row(row: Row, scores: list[Score], *, memory: bool) -> str:
    label = escape(row.label)
    name = {"complete": label, "reference": f"*{label}*", "incomplete": f"{label} (incomplete)"}[row.kind]
    cells = [_score(score, row) for score in scores]
    memorised = [text.memory(row.memory) if row.memory else text.NONE] * memory
    return _line([name, escape(may_see(row.facts)), f"{row.k}/{row.n}", *memorised, *cells])


def _score(score: Score, row: Row) -> str:
    value = text.number(score.mean)
    value = {"best": f"**{value}**", "tied": f"{value} (tied)", "": value}[score.mark]
    return " ".join(part for part in (value, text.bounds(score), text.coverage(score, row)) if part)


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def escape(value: str) -> str:
    """Text that Markdown prints as it is: no markup, no HTML, no break of a table, no address made a link."""
    return re.sub(
        r"([\\`*{}\[\]<>()#!|~&@]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])|:(?=//)|(?<=www)\.)", r"\\\1", plain(value)
    )
