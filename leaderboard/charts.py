"""Plots as SVG, drawn by Vega-Lite when the page is built: without scripts, in the page's colours.

Those of a section are here; those of a cell are in :mod:`.portraits`, which draws with :func:`drawn`, too. Every
string of a record enters a plot as data, never as an expression or as markup.
"""

from __future__ import annotations

import json
import math
import os
import re
import xml.etree.ElementTree as ET
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
from markupsafe import Markup

from .naming import may_see, plain, printable
from .rank import cliques
from .text import number

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from types import ModuleType

    from .board import FamilyScores, Section

# Vega calculates with colours and so knows no variables: each stands for one of the style sheet, put in afterwards.
INK, DIM, LINE, ACCENT, PANEL = "#010101", "#010102", "#010103", "#010104", "#010105"
BELOW, STEPS = "#010110", ("#010111", "#010112", "#010113", "#010114", "#010115")
REAL, WEAK = "#010106", "#010120"
POSITIVE = ("#010121", "#010122", "#010123", "#010124", "#010125")  # from weak to strong
NEGATIVE = ("#010131", "#010132", "#010133", "#010134", "#010135")
COLOURS = {
    INK: "var(--ink)",
    DIM: "var(--dim)",
    LINE: "var(--line)",
    ACCENT: "var(--accent)",
    PANEL: "var(--panel)",
    BELOW: "color-mix(in srgb, var(--warn) 25%, var(--panel))",
    # No darker than leaves the numbers on them readable.
    **{step: f"color-mix(in srgb, var(--accent) {9 * n}%, var(--panel))" for n, step in enumerate(STEPS)},
    REAL: "var(--real)",
    WEAK: "var(--soft)",
    **{step: f"var(--positive-{n})" for n, step in enumerate(POSITIVE, 1)},
    **{step: f"var(--negative-{n})" for n, step in enumerate(NEGATIVE, 1)},
}
THRESHOLDS = (0.0, 0.25, 0.5, 0.75, 0.9)
WIDTH, HEIGHT = 460, 340  # of a plot of points, and of a letter on it, in pixels
LETTER, LINE_HEIGHT = 6.5, 14
MOST_LABELS = 25  # points, of more only those on the front are named
MOST_NUMBERS = 1000  # cells of a heat map, of more none has its number
LABEL = 34  # characters of a generator's label
# What Vega says of every part of a plot, which has one name as a whole and its numbers in a table, and how it names
# the parts and their letters, which are the page's.
NEEDLESS = {"role", "class", "font-family", "version"}
DEFAULTS = {("transform", "translate(0,0)"), ("text-anchor", "start"), ("opacity", "1")}
ALIKE = {"d", "fill", "stroke", "stroke-width"}  # paths that say no more are one where all but the first are equal
DECIMALS = re.compile(r"\d+\.\d{3,}")  # more than a screen shows
SVG = "http://www.w3.org/2000/svg"
FONTS = "FONTCONFIG_FILE"  # names where fonts are; a file without any folder would stand for the usual ones
NO_FONTS = "<fontconfig><dir>/nowhere</dir></fontconfig>"
CONFIG = {
    "aria": False,
    "background": None,
    "padding": {"left": 5, "top": 5, "bottom": 5, "right": 40},  # browsers' letters are wider than Vega's guess
    "font": "system-ui, sans-serif",
    "view": {"stroke": None},
    "axis": {
        "labelColor": DIM,
        "titleColor": INK,
        "gridColor": LINE,
        "domainColor": LINE,
        "tickColor": LINE,
        "labelFontSize": 12,
        "titleFontSize": 12,
        "labelLimit": 260,
    },
    "legend": {
        "orient": "bottom",
        "labelColor": DIM,
        "titleColor": INK,
        "symbolFillColor": DIM,
        "symbolStrokeColor": DIM,
        "labelLimit": 260,
        "columns": 3,
        "columnPadding": 30,
    },
    "text": {"color": INK, "fontSize": 12},
    "rule": {"color": ACCENT},
}


def trade_off(section: Section, x: FamilyScores, y: FamilyScores) -> Markup:
    """Generators by two of their scores, with intervals, and the front of those that none beats in both.

    Args:
        section: of the board.
        x: what to draw from left to right; a cost on a scale of powers of ten.
        y: what to draw upwards, more of it being better.
    """
    names = _short(row.label for row in section.rows)
    points: list[dict[str, Any]] = []
    for row in section.rows:
        across, up = x.scores[row.label], y.scores[row.label]
        if across.mean is None or up.mean is None or (x.column.card.family == "cost" and across.mean <= 0):
            continue
        points.append(
            {
                "label": names[row.label],
                "sees": may_see(row.facts),
                "kind": row.kind,
                "x": across.mean,
                "y": up.mean,
                "x_low": across.mean if across.low is None else across.low,
                "x_high": across.mean if across.high is None else across.high,
                "y_low": up.mean if up.low is None else up.low,
                "y_high": up.mean if up.high is None else up.high,
            }
        )
    sign = -1 if x.column.card.direction == "min" else 1
    competitors = [p for p in points if p["kind"] == "complete"]
    front = [p for p in competitors if not any(_beats(q, p, sign) for q in competitors)]
    logarithmic = x.column.card.family == "cost"
    across_axis = {"field": "x", "type": "quantitative", "title": _title(x), **_axis("x", points, logarithmic)}
    up_axis = {"field": "y", "type": "quantitative", "title": _title(y), **_axis("y", points)}
    named = points if len(points) <= MOST_LABELS else front
    _place_labels(named, points, across_axis["scale"]["domain"], up_axis["scale"]["domain"], logarithmic)
    tiers = list(dict.fromkeys(may_see(row.facts) for row in section.rows))
    opacity = {"condition": {"test": "datum.kind == 'complete'", "value": 1}, "value": 0.5}
    layers = [
        {
            "data": {"values": front},
            "mark": {"type": "line", "color": ACCENT, "strokeDash": [4, 3]},
            "encoding": {"x": across_axis, "y": up_axis, "order": {"field": "x"}},
        },
        {
            "mark": {"type": "rule", "opacity": 0.4},
            "encoding": {"x": {**across_axis, "field": "x_low"}, "x2": {"field": "x_high"}, "y": up_axis},
        },
        {
            "mark": {"type": "rule", "opacity": 0.4},
            "encoding": {"y": {**up_axis, "field": "y_low"}, "y2": {"field": "y_high"}, "x": across_axis},
        },
        {
            "mark": {"type": "point", "filled": True, "size": 70, "color": ACCENT},
            "encoding": {
                "x": across_axis,
                "y": up_axis,
                "opacity": opacity,
                "shape": {"field": "sees", "type": "nominal", "title": "may see", "scale": {"domain": tiers}},
            },
        },
        {
            "data": {"values": named},
            "mark": {"type": "text", "align": "left"},
            "encoding": {
                "x": {**across_axis, "field": "label_x"},
                "y": {**up_axis, "field": "label_y"},
                "text": {"field": "label"},
            },
        },
    ]
    said = f"{_title(y)} against {_title(x)}; on the front: {', '.join(p['label'] for p in front) or 'nobody'}"
    return drawn({"data": {"values": points}, "width": WIDTH, "height": HEIGHT, "layer": layers}, said)


def critical_differences(family: FamilyScores) -> Markup:
    """Mean ranks on a line; a bar joins generators that are not told apart (Demšar 2006)."""
    assert family.friedman is not None
    ranked = sorted(family.standings.items(), key=lambda item: item[1].mean_rank)
    names = _short(label for label, _ in ranked)
    points: list[dict[str, Any]] = [
        {"label": names[label], "rank": s.mean_rank, "place": n} for n, (label, s) in enumerate(ranked)
    ]
    bars = [
        {"from": points[first]["rank"], "to": points[last]["rank"], "place": len(points) + 0.6 * n}
        for n, (first, last) in enumerate(
            cliques(np.array([s.mean_rank for _, s in ranked]), family.friedman.critical_difference)
        )
    ]
    axis = {
        "type": "quantitative",
        "scale": {"domain": [1, len(points)], "nice": False},
        "axis": {"orient": "top", "grid": False, "tickMinStep": 1},
        "title": f"mean rank by {_title(family)}, 1 is best",
    }
    place = {
        "type": "quantitative",
        "axis": None,
        "scale": {"domain": [-1, len(points) + 0.6 * len(bars)], "reverse": True},
    }
    layers = [
        {
            "mark": {"type": "rule", "color": LINE},
            "encoding": {
                "x": {**axis, "field": "rank"},
                "y": {**place, "field": "top"},
                "y2": {"field": "place"},
            },
        },
        {
            "mark": {"type": "point", "filled": True, "size": 50, "color": ACCENT},
            "encoding": {"x": {**axis, "field": "rank"}, "y": {**place, "field": "place"}},
        },
        {
            "mark": {"type": "text", "align": "left", "dx": 8},
            "encoding": {"x": {**axis, "field": "rank"}, "y": {**place, "field": "place"}, "text": {"field": "label"}},
        },
        {
            "data": {"values": bars},
            "mark": {"type": "rule", "strokeWidth": 4, "strokeCap": "round"},
            "encoding": {
                "x": {**axis, "field": "from"},
                "x2": {"field": "to"},
                "y": {**place, "field": "place"},
            },
        },
    ]
    height = 24 * (len(points) + 1) + 14 * len(bars)
    said = ", ".join(f"{p['label']} {number(p['rank'])}" for p in points)
    return drawn({"data": {"values": points}, "width": 420, "height": height, "layer": layers}, f"Mean ranks: {said}")


def heat_map(section: Section, family: FamilyScores) -> Markup:
    """A family's score of every generator on every dataset, as a number on a colour."""
    names = _short(row.label for row in section.rows)
    datasets = _short(table.label for table in section.datasets)
    values = [
        {"generator": name, "dataset": datasets[dataset], "score": score, "text": f"{score:.2f}".replace("-", "−")}
        for label, name in names.items()
        for dataset, score in family.by_dataset.get(label, {}).items()
    ]
    fill = {"type": "threshold", "domain": list(THRESHOLDS), "range": [BELOW, *STEPS]}
    position = {
        "x": {"field": "dataset", "type": "nominal", "title": None, "axis": {"orient": "top", "labelAngle": -40}},
        "y": {
            "field": "generator",
            "type": "nominal",
            "title": None,
            "sort": list(names.values()),
        },
    }
    layers = [
        {
            "mark": {"type": "rect", "stroke": PANEL},
            "encoding": {
                **position,
                "color": {"field": "score", "type": "quantitative", "scale": fill, "legend": None},
            },
        },
        {"mark": {"type": "text", "fontSize": 11}, "encoding": {**position, "text": {"field": "text"}}},
    ]
    size = {"width": {"step": 46}, "height": {"step": 24}}
    if len(values) > MOST_NUMBERS:
        layers, size = layers[:1], {"width": {"step": 14}, "height": {"step": 14}}
    said = f"{_title(family)} by generator and dataset; the numbers stand in the tables by dataset"
    return drawn({"data": {"values": values}, **size, "layer": layers}, said)


def _short(labels: Iterable[str]) -> dict[str, str]:
    """Labels cut to a length that a plot has room for, and still one for each."""
    short: dict[str, str] = {}
    for label in labels:
        cut = plain(label, LABEL)
        short[label] = cut if cut not in short.values() else f"{cut} #{len(short)}"
    return short


def drawn(spec: dict[str, Any], said: str, data: Mapping[str, Sequence[Mapping[str, Any]]] | None = None) -> Markup:
    """A Vega-Lite plot as SVG in the page's colours.

    Args:
        spec: without ``$schema`` and ``config``.
        said: what it shows, for who cannot see it; nothing if words beside it say so.
        data: rows of the data that the spec names, for a plot that is drawn often: it is compiled once.
    """
    schema = "https://vega.github.io/schema/vega-lite/v6.json"  # the name of the language; nothing is fetched
    whole = json.dumps(_printable({"$schema": schema, "config": CONFIG, **spec}))
    root = ET.fromstring(_svg(whole) if data is None else _svg_of(_compiled(whole), _printable(data)))
    _simplify(root)
    named = {"role": "img", "aria-label": plain(said)} if said else {"aria-hidden": "true"}
    root.attrib = {"xmlns": SVG, **named, **root.attrib}
    return Markup(ET.tostring(root, encoding="unicode"))


def _printable(value: Any) -> Any:
    """The same without control characters, of which a single one aborts the process in which text is measured."""
    if isinstance(value, str):
        return value if value.isprintable() else printable(value)
    if isinstance(value, dict):
        return {name: _printable(part) for name, part in value.items()}
    return [_printable(part) for part in value] if isinstance(value, list | tuple) else value


@cache
def _library() -> ModuleType:
    """The library that draws, on Linux with no other font than the one that it brings.

    It would open a font of this machine again for every word whose width it measures, which takes up to three quarters
    of the time, and plots would depend on which fonts there are. Signs that its own font lacks, such as Chinese ones,
    count as narrower than they are.
    """
    import vl_convert

    before = os.environ.get(FONTS)
    with TemporaryDirectory() as folder:
        none = Path(folder) / "fonts.conf"
        none.write_text(NO_FONTS)
        os.environ[FONTS] = str(none)
        try:  # it looks for fonts at its first word, and never again
            vl_convert.vegalite_to_svg({"data": {"values": [{}]}, "mark": {"type": "text", "text": "a"}})
        finally:
            if before is None:
                del os.environ[FONTS]
            else:
                os.environ[FONTS] = before
    return vl_convert


@cache
def _svg(spec: str) -> str:
    svg: str = _library().vegalite_to_svg(spec)
    return svg


@cache
def _compiled(spec: str) -> dict[str, Any]:
    """A Vega-Lite plot in Vega, whose drawing takes a third of the time."""
    vega: dict[str, Any] = _library().vegalite_to_vega(spec)
    return vega


def _svg_of(vega: Mapping[str, Any], data: Mapping[str, Sequence[Mapping[str, Any]]]) -> str:
    filled = [{**d, "values": data[d["name"]]} if d["name"] in data else d for d in vega["data"]]
    svg: str = _library().vega_to_svg({**vega, "data": filled})
    return svg


def _simplify(element: ET.Element) -> None:
    """Leave what a page shows: no names of parts, no groups of nothing; colours of the style sheet.

    Attributes alone are read and written: what a record says is text, and stays as it is.
    """
    element.tag = element.tag.removeprefix(f"{{{SVG}}}")
    element.attrib = {
        name: DECIMALS.sub(lambda digits: f"{float(digits[0]):.2f}".rstrip("0").rstrip("."), COLOURS.get(value, value))
        for name, value in element.attrib.items()
        if name not in NEEDLESS and not name.startswith("aria-") and (name, value) not in DEFAULTS
    }
    parts: list[ET.Element] = []
    for part in list(element):
        _simplify(part)
        if part.tag == "g" and not part.attrib:
            parts += part
        elif part.tag == "path" and parts and _alike(parts[-1], part):
            parts[-1].set("d", parts[-1].get("d", "") + part.get("d", ""))
        elif _visible(part):
            parts.append(part)
    element[:] = parts


def _visible(part: ET.Element) -> bool:
    if part.tag == "path":
        return not {"fill", "stroke"}.isdisjoint(part.attrib)
    return part.tag != "g" or len(part) > 0


def _alike(one: ET.Element, other: ET.Element) -> bool:
    """Whether two paths can be drawn as one."""
    return one.tag == "path" and set(one.attrib) <= ALIKE and {**one.attrib, "d": ""} == {**other.attrib, "d": ""}


def _axis(name: str, points: Sequence[Mapping[str, Any]], logarithmic: bool = False) -> dict[str, Any]:
    """Scale and axis that hold all points and intervals; a logarithmic one has a line at each power of ten.

    An interval that goes down to 0 ends at the edge of a logarithmic axis.
    """
    ends = ("", "_low", "_high") if not logarithmic else ("", "_high")
    values = [p[f"{name}{end}"] for p in points for end in ends]
    if logarithmic:
        first = math.floor(math.log10(min(values, default=1)))
        last = max(first + 1, math.ceil(math.log10(max(values, default=1))))
        ticks = [10.0**power for power in range(first, last + 1)]
        return {
            "scale": {"type": "log", "domain": [ticks[0], ticks[-1]], "clamp": True},
            "axis": {"values": ticks, "format": "~g"},
        }
    low, high = min(values, default=0), max(values, default=1)
    margin = 0.04 * (high - low) or 0.5
    return {"scale": {"domain": [low - margin, high + margin], "nice": False}}


def _place_labels(
    named: Sequence[dict[str, Any]],
    points: Sequence[dict[str, Any]],
    across: Sequence[float],
    up: Sequence[float],
    logarithmic: bool,
) -> None:
    """Give points a place for their label, as near as there is room: ``label_x`` and ``label_y`` of its left end.

    Args:
        named: points that have a label, with ``x``, ``y`` and ``label``.
        points: all points, which no label is to cover.
        across: domain of the axis from left to right.
        up: domain of the axis upwards.
        logarithmic: whether the first is a scale of powers of ten.
    """
    forth, back = (math.log10, lambda value: 10.0**value) if logarithmic else (float, float)
    left, right = (forth(end) for end in across)

    def place(point: dict[str, Any]) -> tuple[float, float]:
        x, y = (forth(point["x"]) - left) / (right - left), (point["y"] - up[0]) / (up[1] - up[0])
        return WIDTH * x, HEIGHT * y

    taken = [(x - 5, y - 5, x + 5, y + 5) for x, y in map(place, points)]
    for point in named:
        x, y = place(point)
        length = LETTER * len(point["label"])
        places = [
            (x + dx, y + dy)
            for step in range(8)
            for dy in (LINE_HEIGHT * step, -LINE_HEIGHT * step)
            for dx in (8, -8 - length)
        ]
        boxes = [(px, py - LINE_HEIGHT / 2, px + length, py + LINE_HEIGHT / 2) for px, py in places]
        free = [n for n, box in enumerate(boxes) if box[0] > 0 and not any(_overlap(box, other) for other in taken)]
        chosen = free[0] if free else 0
        taken.append(boxes[chosen])
        px, py = places[chosen]
        point["label_x"] = back(left + (right - left) * px / WIDTH)
        point["label_y"] = up[0] + (up[1] - up[0]) * py / HEIGHT


def _overlap(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    """Whether two boxes of left, bottom, right and top have a point in common."""
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _title(family: FamilyScores) -> str:
    unit = family.column.card.unit
    return f"{family.column.card.name} [{unit}]" if unit else family.column.card.name


def _beats(one: dict[str, Any], other: dict[str, Any], sign: int) -> bool:
    """Whether one point is at least as good in both directions, and better in one."""
    across, up = sign * (one["x"] - other["x"]), one["y"] - other["y"]
    return bool(across >= 0 and up >= 0 and (across > 0 or up > 0))


def plotted(families: Sequence[FamilyScores]) -> list[tuple[FamilyScores, FamilyScores]]:
    """Which scores are drawn against which: fidelity against privacy, cost against utility."""
    found = {f.column.card.family: f for f in families}
    pairs = (("privacy", "fidelity"), ("cost", "utility"))
    return [(found[x], found[y]) for x, y in pairs if x in found and y in found]
