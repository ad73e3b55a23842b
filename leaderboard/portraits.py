"""Plots of a portrait: marginals, associations and distances of one cell, drawn by Vega-Lite as all plots are.

A page has one for every column, so that they are of few kinds, each compiled once, and of few marks: a histogram is
one path. Colours are never the only sign: real rows are filled and synthetic ones outlined, negative associations have
a dash.
"""

from __future__ import annotations

import itertools
from functools import cache
from typing import TYPE_CHECKING, Any

from .drawing import ACCENT, DIM, LINE, NEGATIVE, PANEL, POSITIVE, REAL, WEAK, drawn
from .naming import plain

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from markupsafe import Markup

    from ..results.portrait import Associations, Breakdown, Distances, Marginal, Portrait

WIDTH, HEIGHT = 200, 64  # of the bars of a numeric column, in pixels
MISSING = 1.075, 1.15  # where the bar of missing values stands beside them, of their width
ROW, LABELS, WORDS = 14, 90, 68  # height of a category, and widths of its label and of its shares in words
CELL, NAMES = 10, 96  # of a heat map: side of a cell, and room for the last name
STEPS = (0.05, 0.15, 0.3, 0.5, 0.7)  # of strengths, at which the colour changes
LABEL, CATEGORY = 17, 14  # characters of a name and of a label
DISTANCES = 360, 130

DIFFER = (
    "Columns differ by the share of rows that would have to change place for both tables to have the same shares, of "
    "the bins or categories that are drawn (total variation)."
)


def apart(column: Marginal) -> float:
    """Total variation between the real and the synthetic shares of a column, those missing included."""
    return sum(abs(real - made) for _, real, made in shares(column)) / 2


def shares(column: Marginal) -> list[tuple[str, float, float]]:
    """What a marginal is drawn from: label, real and synthetic share, of every bin or category."""
    labels = bins(column.edges) if column.numeric else [plain(c) or "''" for c in column.categories]
    rows = list(zip(labels, column.real.shares, column.synthetic.shares, strict=True))
    if not column.numeric and (column.real.other or column.synthetic.other):
        rows.append(("all others", column.real.other, column.synthetic.other))
    if column.real.missing or column.synthetic.missing:
        rows.append(("missing", column.real.missing, column.synthetic.missing))
    return rows


def bins(edges: Sequence[float]) -> list[str]:
    """Bins in words: the ends hold what lies beyond, and edges halfway between whole numbers stand for these."""
    whole = _whole(edges)
    words = []
    for low, high in itertools.pairwise(edges):
        first, last = (low + 0.5, high - 0.5) if whole else (low, high)
        words.append(f"{first:.12g}" if whole and first == last else f"{first:.12g} to {last:.12g}")
    if len(words) > 1:
        words[0] = f"{edges[1] - 0.5:.12g} or less" if whole else f"below {edges[1]:.12g}"
        words[-1] = f"{edges[-2] + 0.5:.12g} or more" if whole else f"{edges[-2]:.12g} or more"
    return [word.replace("-", "−") for word in words]


def percent(share: float) -> str:
    """A share in percent, with a word for what would read as nothing."""
    text = f"{100 * share:.1f}"
    return f"{text} %" if share == 0 or text != "0.0" else "< 0.1 %"


def marginal(column: Marginal) -> Markup:
    """One column: the real rows as filled bars, the synthetic ones as an outline."""
    said = f"{column.name}: shares of real and synthetic rows, which differ by {percent(apart(column))}"
    if not column.numeric:
        return drawn(_bars(), said, {"shares": _categories(shares(column))})
    top = max(*column.real.shares, *column.synthetic.shares)
    inwards = 0.5 if _whole(column.edges) else 0.0
    low, high = _plain(column.edges[0] + inwards), _plain(column.edges[-1] - inwards)
    points = _steps(column.real.shares, column.synthetic.shares, top or 1.0)
    frame: list[dict[str, Any]] = [{"x": 0, "y": 0}, {"x": 1, "y": 0}]
    words = [_word(0, 3, percent(top)), _word(0, -11, low), _word(1, -11, high, "right")]
    missing = column.real.missing, column.synthetic.missing
    if any(missing):  # of all rows, as the frame is, or the many would hide how the few are spread
        left, right = MISSING
        points += [{"x": None}, *_steps(missing[:1], missing[1:], 1.0, left, right)]
        corners = [(left, 0), (left, 1), (right, 1), (right, 0), (left, 0)]
        frame += [{"x": None}, *({"x": x, "y": y} for x, y in corners)]
        words.append(_word(right, 3, "missing", "right"))
    return drawn(_histogram(WIDTH, HEIGHT, MISSING[1], 9), said, {"points": points, "frame": frame, "words": words})


def distances(found: Distances) -> Markup:
    """Distances of synthetic rows: to the nearest control row filled, to the nearest train row as an outline."""
    width, height = DISTANCES
    top = max(*found.train, *found.control)
    first, last = found.edges[0], found.edges[-1]
    words = [_word(0, 4, percent(top), height=height)]
    for edge in found.edges[:: max(1, len(found.edges) // 6)]:
        at = (edge - first) / (last - first)
        align = "center" if 0 < at < 1 else "right" if at else "left"
        words.append(_word(at, -15, f"{edge:.3g}", align, height))
    said = "Distances of synthetic rows to their nearest train and control row; the numbers stand in the table below"
    data = {
        "points": _steps(found.control, found.train, top or 1.0),
        "frame": [{"x": 0, "y": 0}, {"x": 1, "y": 0}],
        "words": words,
    }
    return drawn(_histogram(width, height, 1.0, 11), said, data)


def associations(found: Associations) -> Iterator[tuple[str, Markup]]:
    """Titles and heat maps: strengths in the real rows, in the synthetic ones, and their differences."""
    differences = [
        [None if a is None or b is None else b - a for a, b in zip(*rows, strict=True)]
        for rows in zip(found.real, found.synthetic, strict=True)
    ]
    names = [{"row": n, "column": n, "name": plain(name, LABEL)} for n, name in enumerate(found.names)]
    for title, triangle in (("Real", found.real), ("Synthetic", found.synthetic), ("Synthetic − real", differences)):
        said = f"{title}: associations of {len(names)} columns with each other; the numbers stand in the table below"
        yield title, drawn(_heat_map(NAMES), said, {"cells": _cells(triangle), "names": names})


@cache
def scale() -> list[tuple[Markup, str]]:
    """The legend of the heat maps: a cell and the strengths that it stands for."""
    ends = [*(-step for step in reversed(STEPS)), *STEPS]
    middles = [-1.0, *((low + high) / 2 for low, high in itertools.pairwise(ends)), 1.0]
    words = [f"below {ends[0]:g}", *(f"{a:g} to {b:g}" for a, b in itertools.pairwise(ends)), f"above {ends[-1]:g}"]
    words.append("undefined, such as of a constant column")
    cells = [drawn(_heat_map(0), "", {"cells": _cells([[value]]), "names": []}) for value in (*middles, None)]
    return [(cell, word.replace("-", "−")) for cell, word in zip(cells, words, strict=True)]


def pairs(found: Associations) -> list[tuple[str, str, float | None, float | None, float | None]]:
    """Two names, their real and synthetic strength and the difference: the largest first, then what has none."""
    known = [(a, b, x, y, None if x is None or y is None else y - x) for a, b, x, y in found.pairs()]
    return sorted(known, key=lambda pair: (pair[4] is None, -abs(pair[4] or 0)))


def breakdowns(portrait: Portrait) -> list[tuple[str, list[Breakdown]]]:
    """Breakdowns by metric."""
    names = dict.fromkeys(b.metric for b in portrait.breakdowns)
    return [(name, [b for b in portrait.breakdowns if b.metric == name]) for name in names]


def parts(found: Sequence[Breakdown]) -> list[str]:
    """Names of the parts of one metric's values."""
    return list(dict.fromkeys(part for breakdown in found for part in breakdown.parts))


def _whole(edges: Sequence[float]) -> bool:
    return all(edge % 1 == 0.5 for edge in edges)


def _plain(edge: float) -> str:
    return f"{edge:.6g}".replace("-", "−")


def _word(x: float, above: float, text: str, align: str = "left", height: float = HEIGHT) -> dict[str, Any]:
    """A word beside a histogram: some pixels above its top, or, if negative, below its bottom."""
    return {"x": x, "y": above / height + (above > 0), "text": text, "align": align}


def _steps(
    filled: Sequence[float], outlined: Sequence[float], top: float, left: float = 0.0, right: float = 1.0
) -> list[dict[str, Any]]:
    """Shares over bins of equal width, of the highest one, as the corners of stairs that begin and end at nothing."""
    ends = [left + (right - left) * n / len(filled) for n in range(len(filled) + 1)]
    heights = [(round(one / top, 4), round(other / top, 4)) for one, other in zip(filled, outlined, strict=True)]
    stairs = zip((left, *ends), ((0, 0), *heights, (0, 0)), strict=True)
    return [{"x": round(x, 6), "filled": one, "outlined": other} for x, (one, other) in stairs]


def _histogram(width: int, height: int, right: float, size: int) -> dict[str, Any]:
    """Of ``points``, what is filled and what is outlined; beside them the ``frame`` and ``words``."""
    x = {"field": "x", "type": "quantitative", "axis": None, "scale": {"domain": [0, right], "nice": False}}
    y = {"type": "quantitative", "axis": None, "scale": {"domain": [0, 1], "nice": False}}
    line = {"type": "line", "order": None}
    stairs = {**line, "interpolate": "step-after"}
    return {
        "width": round(width * right),
        "height": height,
        **_margins(1, size + 5, 1, size + 8),
        "encoding": {"x": x},
        "layer": [
            # A filled line rather than an area, whose path has each corner a second time, on the ground.
            {
                "data": {"name": "points"},
                "mark": {**stairs, "fill": REAL, "stroke": None},
                "encoding": {"y": {**y, "field": "filled"}},
            },
            {
                "data": {"name": "points"},
                "mark": {**stairs, "color": ACCENT, "strokeWidth": 1.5},
                "encoding": {"y": {**y, "field": "outlined"}},
            },
            {
                "data": {"name": "frame"},
                "mark": {**line, "color": DIM, "strokeWidth": 0.75},
                "encoding": {"y": {**y, "field": "y"}},
            },
            {
                "data": {"name": "words"},
                "mark": {**_letters(size), "align": {"expr": "datum.align"}, "baseline": "alphabetic"},
                "encoding": {"y": {**y, "field": "y"}, "text": {"field": "text"}},
            },
        ],
    }


def _categories(rows: Sequence[tuple[str, float, float]]) -> list[dict[str, Any]]:
    top = max(max(real, made) for _, real, made in rows) or 1.0
    return [
        {
            "row": n,
            "label": plain(label, CATEGORY),
            "real": round(real / top, 4),
            "made": round(made / top, 4),
            "end": round(max(real, made) / top, 4),
            "words": f"{100 * real:.0f} → {100 * made:.0f} %",
        }
        for n, (label, real, made) in enumerate(rows)
    ]


def _bars() -> dict[str, Any]:
    """Of the rows ``shares``, each a category: a filled and an outlined bar between its label and words."""
    x = {"type": "quantitative", "axis": None, "stack": None, "scale": {"domain": [0, 1], "nice": False}}
    bar = {"type": "bar", "height": ROW - 4}
    return {
        "data": {"name": "shares"},
        "width": round(WIDTH * MISSING[1]) - LABELS - WORDS,
        "height": {"step": ROW},
        **_margins(LABELS, 0, WORDS, 4),
        "encoding": {
            "y": {"field": "row", "type": "ordinal", "axis": None, "scale": {"padding": 0}},
        },
        "layer": [
            {"mark": {**bar, "fill": REAL}, "encoding": {"x": {**x, "field": "real"}}},
            {
                "mark": {**bar, "fill": None, "stroke": ACCENT, "strokeWidth": 1.5},
                "encoding": {"x": {**x, "field": "made"}},
            },
            {
                "mark": {**_letters(9), "align": "right"},
                "encoding": {"x": {"value": -4}, "text": {"field": "label"}},
            },
            {
                "mark": {**_letters(9), "align": "left", "dx": 4},
                "encoding": {"x": {**x, "field": "end"}, "text": {"field": "words"}},
            },
        ],
    }


def _cells(triangle: Sequence[Sequence[float | None]]) -> list[dict[str, Any]]:
    """Cells by strength, so that those of one colour follow each other and are drawn as one path."""
    cells = [{"row": n, "column": m, "strength": s} for n, line in enumerate(triangle) for m, s in enumerate(line)]
    return sorted(cells, key=lambda cell: -2.0 if cell["strength"] is None else cell["strength"])


def _heat_map(margin: int) -> dict[str, Any]:
    """The ``cells`` below a diagonal, on which ``names`` stand: of the row beside, and the column below."""
    place = {
        name: {"field": field, "type": "ordinal", "axis": None, "scale": {"padding": 0}}
        for name, field in (("x", "column"), ("y", "row"))
    }
    cell = {"type": "rect", "width": CELL - 1, "height": CELL - 1}
    colours = {
        "type": "threshold",
        "domain": [*(-step for step in reversed(STEPS)), *STEPS],
        "range": [*reversed(NEGATIVE), WEAK, *POSITIVE],
    }
    return {
        "data": {"name": "cells"},
        "width": {"step": CELL},
        "height": {"step": CELL},
        **_margins(0, 0, margin, 0),
        "encoding": place,
        "layer": [
            {
                "transform": [{"filter": "isValid(datum.strength)"}],
                "mark": cell,
                "encoding": {
                    "fill": {"field": "strength", "type": "quantitative", "scale": colours, "legend": None},
                },
            },
            {
                "transform": [{"filter": "!isValid(datum.strength)"}],
                "mark": {**cell, "fill": None, "stroke": LINE},
            },
            {
                "transform": [{"filter": f"isValid(datum.strength) && datum.strength < {-STEPS[0]}"}],
                "mark": {
                    "type": "tick",
                    "orient": "horizontal",
                    "size": 4,
                    "thickness": 2,
                    "color": PANEL,
                    "opacity": 1,
                },
            },
            {
                "data": {"name": "names"},
                "mark": {**_letters(9), "align": "left", "dx": 3},
                "encoding": {"x": {**place["x"], "bandPosition": 0}, "text": {"field": "name"}},
            },
        ],
    }


def _letters(size: int) -> dict[str, Any]:
    return {"type": "text", "color": DIM, "fontSize": size}


def _margins(left: int, top: int, right: int, bottom: int) -> dict[str, Any]:
    """Of a size that the letters do not change, so that figures beside each other have one scale."""
    return {"autosize": "none", "padding": {"left": left, "top": top, "right": right, "bottom": bottom}}
