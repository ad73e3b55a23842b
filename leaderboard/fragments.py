"""Pieces of pages that a site has by the hundreds of thousands: a template would take several times as long.

Every string in them is escaped here, as templates do it of themselves.
"""

from __future__ import annotations

import re
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any

from markupsafe import Markup, escape

from . import text
from .naming import printable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .board import Column, Repeat
    from .cells import Cell
    from .page import Place

LONGEST = 2000  # characters of a text


def cleaned(value: Any) -> Any:
    """Clean every string that is not markup of our own, and cut what nobody would read to the end."""
    if type(value) is not str:
        return value
    said = printable(value[: LONGEST + 1])
    return said if len(said) <= LONGEST else f"{said[:LONGEST]}…"


def breakable(name: str) -> Markup:
    """A name, escaped, that a narrow column breaks after an underscore or before a capital first."""
    return Markup("<wbr>").join(re.split(r"(?<=_)|(?<=[a-z])(?=[A-Z])", printable(name)))


def numbers(*values: float | None, starts: bool = False) -> Markup:
    """Cells with a number each."""
    kind = "num starts" if starts else "num"
    return Markup("".join([f'<td class="{kind}" data-sort="{text.exact(v)}">{text.number(v)}</td>' for v in values]))


@cache
def generator(to: str, label: str) -> Markup:
    """The name of a generator, which leads to its page."""
    return Markup('<a href="{}">{}</a>').format(to, breakable(label))


@cache
def metric(to: str, name: str, variant: str, arrow: str) -> Markup:
    """The name of a metric at the head of a row, which leads to its definition."""
    link = Markup('<a href="{}">{}</a>').format(to, cleaned(name.replace("_", " ")))
    said = Markup(' <span class="dim small">{}</span>').format(cleaned(variant)) if variant else ""
    return Markup('<th scope="row">{} {}{}</th>').format(link, arrow, said)


def means(place: Place, by_generator: Mapping[str, Mapping[str, float]], columns: Sequence[Column]) -> Markup:
    """The rows of generators with their means of some metrics."""
    names = [column.card.name for column in columns]
    rows = [
        f'<tr><th scope="row">{generator(place.root + place.links.generator(label), label)}</th>\n'
        f"{numbers(*map(own.get, names))}\n</tr>\n"
        for label, own in by_generator.items()
    ]
    return Markup("".join(rows))


def head(place: Place, column: Column) -> Markup:
    """A metric at the head of a row."""
    card = column.card
    return metric(place.metric(card.name), card.name, column.variant, card.arrow if column.ranked else "")


def values(place: Place, cell: Cell) -> Markup:
    """The rows of a cell's values: of every metric its mean, and what else the cell has of it."""
    return Markup("".join([f"<tr>{head(place, c)}{numbers(mean, *more)}</tr>\n" for c, mean, more in cell.rows]))


def repeats(cell: Cell) -> Markup:
    """The rows of a cell's repeats."""
    return Markup("".join([_repeat(repeat, cell.split_seeds) for repeat in cell.source.repeats]))


def facts(said: Mapping[str, str]) -> Markup:
    """A list of names with what is said of each."""
    return _facts(tuple(said.items()))


@lru_cache(maxsize=1000)  # where cells were run, many have in common
def _facts(said: tuple[tuple[str, str], ...]) -> Markup:
    listed = Markup("").join(Markup("<dt>{}</dt><dd>{}</dd>\n").format(*map(cleaned, pair)) for pair in said)
    return Markup('<dl class="facts-list small">\n{}</dl>').format(listed)


def _repeat(repeat: Repeat, split_seeds: bool) -> str:
    split = f"<td>{_escaped(repeat.split_seed)}</td>" if split_seeds else ""
    status = repeat.status if repeat.phase == "done" else f"{repeat.status} in {repeat.phase}"
    memory = text.number(repeat.peak_memory_mb) + " MB" * (repeat.peak_memory_mb is not None)
    return (
        f'<tr><th scope="row">{repeat.seed}</th>{split}<td>{status}</td><td class="num">{repeat.rows:,}</td>'
        f'<td class="num" data-sort="{repeat.seconds}">{text.number(repeat.seconds)} s</td>'
        f'<td class="num" data-sort="{text.exact(repeat.peak_memory_mb)}">{memory}</td>'
        f"<td><code>{_escaped(repeat.id)}</code></td><td>{_escaped(repeat.message) or text.NONE}</td></tr>\n"
    )


def _escaped(value: str) -> str:
    return escape(cleaned(value)) if value else ""
