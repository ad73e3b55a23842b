"""Numbers and notes in words, the same on the page, in Markdown and in the terminal."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from .naming import plain

if TYPE_CHECKING:
    from ..results.record import Measurement
    from .board import Board, Column, FamilyScores, Memory, MemoryTest, Row, Score, Section

NONE = "–"
# The least number of datasets at which agreement in sign on all of them is significant at 5 %, two-sided: 2 / 2**6.
FEW_DATASETS = 6
FIRST_REASONS = 3
ROUNDING = 1e-12

MEMORY = {True: "memorised", False: "no sign of memory", None: "memory not tested"}
MEMORY_RULE = (
    "A language model counts as having memorised a table if the lower end of the 95 % interval of any of four tests "
    "lies above its baseline, the share of requests that is met without any memory of the table: the commonest answer, "
    "or the row before. No correction is made for the number of tests."
)
MEMORY_CAVEAT = (
    "What was asked about is the prepared table, written as CSV, and not the publisher's file: a model that knows the "
    "file with columns that the preparation leaves out, in another order or format, is found out less often. No sign "
    "of memory is no proof that there is none."
)
MEMORY_NOTE = (
    "how many of the tables tested the language model was found to know by heart (in any of four tests the lower end "
    "of the interval is above what is reached without memory). It was asked about the prepared tables, not the "
    "publishers' files: none is no proof."
)
NOT_MEASURED = "No record holds the metric memorisation: metrics=llm asks for it."
CITED = "As published in papers: not recomputed, not ranked, other tables and protocols than ours"
# The size that makers put into a model's name, such as 135m or 1.5b.
SIZE = re.compile(r"(?<![A-Za-z0-9.])(\d+(?:\.\d+)?)([mb])(?![A-Za-z0-9])", re.IGNORECASE)


def number(value: float | None) -> str:
    """Three decimals up to ten, three digits above, one digit of what would read as zero; a dash for none.

    A whole number is a count, and printed as it is. From a billion on, three digits and a power of ten. What is left of
    a sum that comes to nothing is zero.
    """
    if value is None:
        return NONE
    if isinstance(value, int):
        return f"{value:,}"
    size = abs(value)
    if size < ROUNDING:
        return "0.000"
    if 0.0005 <= size < 10:  # almost all
        said = f"{value:.3f}"
    elif size < 10:
        said = f"{value:.1g}"
    elif size >= 1e9:
        said = f"{value:.3g}"
    else:
        said = f"{value:,.{max(0, 3 - len(f'{size:.0f}'))}f}"
    return said.replace("-", "−")


def exact(value: float | None) -> str:
    """A number for a program to sort by; nothing for none."""
    return "" if value is None else f"{value:.12g}"


def bounds(score: Score | MemoryTest | Measurement) -> str:
    """The interval in brackets, or nothing."""
    return "" if score.low is None else f"[{number(score.low)}, {number(score.high)}]"


def coverage(score: Score, row: Row) -> str:
    """``k/n`` where a score lacks more cells than its row, or nothing."""
    return f"{score.k}/{score.n} cells" if score.mean is not None and score.n - score.k > row.n - row.k else ""


def heading(column: Column) -> str:
    """Name, variant, unit and direction of a metric."""
    variant = f" ({column.variant})" if column.variant else ""
    unit = f" [{column.card.unit}]" if column.card.unit else ""
    return f"{column.card.name.replace('_', ' ')}{variant}{unit} {column.card.arrow}"


def direction(column: Column) -> str:
    """The direction in words."""
    compared = column.card.ranked and column.ranked
    return column.card.better if compared else "shown for reference, not compared"


def family(scores: FamilyScores) -> str:
    """What a family's score is made of."""
    if not scores.floor:
        return scores.column.card.definition
    aspects = "; ".join(f"{a} ({', '.join(names)})" for a, names in scores.aspects.items())
    return (
        f"0 is {scores.floor}, 1 is {scores.ceiling}, of the same dataset. "
        f"The mean of {plural(len(scores.aspects), 'aspect')}, each the mean of its metrics: {aspects}."
    )


def friedman(scores: FamilyScores) -> str:
    """Whether the generators of a family's score differ at all, and from which difference of mean ranks on."""
    tested = scores.friedman
    if tested is None:
        return f"{plural(len(scores.standings), 'generator')}: too few for Friedman's test"
    return (
        f"Friedman's test: p {number(tested.p)}; critical difference of mean ranks {number(tested.critical_difference)}"
    )


def percent(share: float) -> str:
    """A share of at least a little, in whole percent."""
    return f"{max(1, round(100 * share))} %"


def ordinal(place: int) -> str:
    """1st, 2nd, 3rd, 4th."""
    ending = "th" if place % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(place % 10, "th")
    return f"{place}{ending}"


def basis(section: Section, draws: int) -> str:
    """What the intervals of a section rest on, and how far to trust them."""
    if not section.columns:
        return "No metric has a value."
    found = sorted({c.basis for c in section.columns if c.basis})
    if not found:
        return "One value a metric: there are no intervals, and nothing is marked best."
    how = " or ".join(found)
    note = (
        f"95 % intervals from {draws:,} bootstrap draws over {how}, on {plural(section.counted_datasets, 'dataset')}."
    )
    if section.counted_datasets == 1:
        return f"{note} One dataset: they say nothing about other tables."
    if section.counted_datasets < FEW_DATASETS:
        return f"{note} So few datasets give intervals that are too narrow: read “best” as a hint."
    return note


def protocol(section: Section) -> str:
    """The protocol on one line."""
    return ", ".join(f"{key.replace('_', ' ')} {NONE if v is None else v}" for key, v in section.protocol.items())


def memory(found: Memory) -> str:
    """How many tables a language model has memorised, of those tested."""
    if not found.tested:
        return "not tested"
    tables = f"{found.memorised or 'none'} of {plural(found.tested, 'table')}"
    untested = found.tables - found.tested
    return f"{tables}, {untested:,} not tested" if untested else tables


def memory_basis(test: MemoryTest) -> str:
    """What a share is to be read against, and how many requests stand behind it."""
    parts = [f"baseline {number(test.baseline)}", f"n {NONE if test.n is None else f'{test.n:,}'}"]
    parts += [f"distinct {number(test.distinct)}"] if test.distinct is not None else []
    parts += [f"{plural(test.dissent, 'cell')} otherwise"] if test.dissent else []
    return ", ".join([*parts, *([test.reason] if test.reason else [])])


def embedded(section: Section) -> str:
    """What the embedded models are whose rows a section holds, and what they do not show; empty if it holds none."""
    if not section.embedded:
        return ""
    named = " and ".join(plain(name, 80) + _parameters(name) for name in section.embedded)
    what = "is an embedded language model" if len(section.embedded) == 1 else "are embedded language models"
    return (
        f"{named} {what}: small enough for the processor of whoever runs the benchmark, and here as a baseline. A "
        "small model is no verdict on the models of the papers; the cited figures say what those reached."
    )


def _parameters(model: str) -> str:
    size = SIZE.search(model)
    if not size:
        return ""
    return f" ({size[1]} {'million' if size[2] in 'mM' else 'billion'} parameters)"


def cited(board: Board) -> str:
    """Whose figures the page cites."""
    sources = ", ".join(dict.fromkeys(table.source.short for table in board.cited))
    return f"{CITED}. The page has the figures of {sources}."


def left_out(board: Board) -> str:
    """How many records are left out, and the first reasons; empty if none is."""
    if not board.left_out:
        return ""
    first, more = board.left_out[:FIRST_REASONS], len(board.left_out) - FIRST_REASONS
    verb = "was" if len(board.left_out) == 1 else "were"
    others = f"; and {more:,} more" if more > 0 else ""
    return f"{plural(len(board.left_out), 'record')} {verb} left out: {'; '.join(first)}{others}."


def plural(count: int, noun: str) -> str:
    """A count with its noun."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"
