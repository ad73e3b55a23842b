"""Numbers and notes in words, the same on the page, in Markdown and in the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .board import Board, Column, Row, Score, Section

NONE = "–"
SIGNS = {"max": "↑", "min": "↓", "target": "◎"}
# The least number of datasets at which agreement in sign on all of them is significant at 5 %, two-sided: 2 / 2**6.
FEW_DATASETS = 6
FIRST_REASONS = 3


def number(value: float | None) -> str:
    """Three decimals up to ten, three digits above, one digit of what would read as zero; a dash for none.

    From a billion on, three digits and a power of ten.
    """
    if value is None:
        return NONE
    if 0 < abs(value) < 0.0005:
        return f"{value:.1g}".replace("-", "−")
    if abs(value) >= 1e9:
        return f"{value:.3g}".replace("-", "−")
    places = max(0, 3 - len(f"{abs(value):.0f}")) if abs(value) >= 10 else 3
    text = f"{value:,.{places}f}"
    return text.replace("-", "−")


def bounds(score: Score) -> str:
    """The interval in brackets, or nothing."""
    return "" if score.low is None else f"[{number(score.low)}, {number(score.high)}]"


def coverage(score: Score, row: Row) -> str:
    """``k/n`` where a score lacks more cells than its row, or nothing."""
    return f"{score.k}/{score.n} cells" if score.mean is not None and score.n - score.k > row.n - row.k else ""


def heading(column: Column) -> str:
    """Name, variant, unit and direction of a metric."""
    variant = f" ({column.variant})" if column.variant else ""
    unit = f" [{column.card.unit}]" if column.card.unit else ""
    return f"{column.card.name.replace('_', ' ')}{variant}{unit} {sign(column)}"


def sign(column: Column) -> str:
    """Arrow of the direction, with the ideal of a target."""
    card = column.card
    if card.direction == "target" and card.ideal is not None:
        return f"{SIGNS['target']} {card.ideal:g}"
    return SIGNS[card.direction]


def direction(column: Column) -> str:
    """The direction in words."""
    card = column.card
    if not card.ranked or not column.ranked:
        return "shown for reference, not compared"
    return {"max": "higher is better", "min": "lower is better"}.get(
        card.direction
    ) or f"nearest to {card.ideal:g} is best"


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
