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
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from .board import Column, FamilyScores, Repeat, Row, Score, Standing
    from .cells import Cell
    from .page import Place

    Extent = tuple[float, float]

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


def score(
    found: Score,
    within: Extent | None,
    row: Row,
    *,
    starts: bool = False,
    standing: Standing | None = None,
    at_floor: float = 0.0,
    family: str = "",
) -> Markup:
    """A cell with a score: its interval, where it stands, and what it lacks.

    Args:
        found: the score.
        within: what :func:`extent` says of its column.
        row: of the generator.
        starts: whether a group of columns starts here.
        standing: of the generator by this score, if that is told.
        at_floor: share of what counts as the floor, for want of a value.
        family: by which scripts find the cell, if they are to.
    """
    kind = f"num {found.mark} {'starts' if starts else ''}"
    named = Markup(' data-family="{}"').format(family) if family else ""
    over = f' title="95 % interval over {found.basis}, {found.k} of {found.n} cells"' if found.basis else ""
    said = "".join(_said(found, within, row, standing, at_floor))
    return Markup(f'<td class="{kind}" data-sort="{text.exact(found.mean)}"{named}{over}>{said}</td>')


def _said(found: Score, within: Extent | None, row: Row, standing: Standing | None, at_floor: float) -> Iterator[str]:
    if found.mean is None:
        yield f'<span class="value dim">{text.NONE}</span>'
        return
    yield f'<span class="value">{text.number(found.mean)}'
    if standing:
        group, place = " group" * (standing.group > 1), text.ordinal(standing.group)
        yield f'<span class="mark{group}">{place}<span class="sr"> rank group</span></span>'
    elif found.mark:
        yield f'<span class="mark">{found.mark}</span>'
    yield "</span>"
    if found.low is not None:
        yield f'<span class="dim">{text.bounds(found)}</span>'
    if found.distance is not None:
        yield f' <span class="dim">off by {text.number(found.distance)}</span>'
    if at_floor:
        yield f' <span class="dim missing">{text.percent(at_floor)} at the floor</span>'
    if lacking := text.coverage(found, row):
        yield f' <span class="dim missing">{lacking}</span>'
    if drawn := _bar(found, within):
        band = f'<i class="band x{drawn[0]} w{drawn[1]}"></i>' if found.low is not None else ""
        yield f'<span class="bar" aria-hidden="true">{band}<i class="dot x{drawn[2]}"></i></span>'


def family_score(
    family: FamilyScores, extents: Mapping[str, Extent | None], row: Row, *, chosen: bool = False
) -> Markup:
    """A cell with a generator's score of a family; ``chosen`` where scripts show another choice of datasets."""
    name, label = family.column.card.name, row.label
    return score(
        family.scores[label],
        extents[name],
        row,
        starts=True,
        standing=family.standings.get(label),
        at_floor=family.at_floor.get(label, 0.0),
        family=name if chosen else "",
    )


def extent(scores: Iterable[Score]) -> Extent | None:
    """The least and the largest value of a column, intervals included; ``None`` without a range."""
    known = [v for s in scores for v in (s.mean, s.low, s.high) if v is not None]
    return (min(known), max(known)) if known and min(known) < max(known) else None


def _bar(score: Score, within: Extent | None) -> tuple[int, int, int] | None:
    """Where to draw a score between the least and the largest value of its column, in percent.

    Args:
        score: to draw.
        within: what :func:`extent` says of its column.

    Returns:
        Left end and width of the interval, and the place of the mean; ``None`` without a value or a range.
    """
    if score.mean is None or within is None:
        return None
    least, most = within

    def place(value: float) -> int:
        return round(100 * (value - least) / (most - least))

    low = place(score.mean if score.low is None else score.low)
    high = place(score.mean if score.high is None else score.high)
    return low, high - low, place(score.mean)


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
    status = _escaped(repeat.status if repeat.phase == "done" else f"{repeat.status} in {repeat.phase}")
    memory = text.number(repeat.peak_memory_mb) + " MB" * (repeat.peak_memory_mb is not None)
    return (
        f'<tr><th scope="row">{repeat.seed}</th>{split}<td>{status}</td><td class="num">{repeat.rows:,}</td>'
        f'<td class="num" data-sort="{repeat.seconds}">{text.number(repeat.seconds)} s</td>'
        f'<td class="num" data-sort="{text.exact(repeat.peak_memory_mb)}">{memory}</td>'
        f"<td><code>{_escaped(repeat.id)}</code></td><td>{_escaped(repeat.message) or text.NONE}</td></tr>\n"
    )


def _escaped(value: str) -> str:
    return escape(cleaned(value)) if value else ""
