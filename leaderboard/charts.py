"""Plots of a section, drawn by Vega-Lite when the page is built; those of a cell are in :mod:`.portraits`."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from markupsafe import Markup

from .drawing import ACCENT, BELOW, LINE, PANEL, STEPS, drawn
from .naming import may_see, plain
from .rank import cliques
from .text import number

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from .board import FamilyScores, Section

THRESHOLDS = (0.0, 0.25, 0.5, 0.75, 0.9)
WIDTH, HEIGHT = 460, 340  # of a plot of points, and of a letter on it, in pixels
LETTER, LINE_HEIGHT = 6.5, 14
MOST_LABELS = 25  # points, of more only those on the front are named
MOST_NUMBERS = 1000  # cells of a heat map, of more none has its number
LABEL = 34  # characters of a generator's label


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
