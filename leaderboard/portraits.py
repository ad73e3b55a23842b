"""Plots of a portrait as SVG: marginals, associations and distances of one cell.

They are written here rather than by Vega-Lite, as the other charts are: a page has one for every column, for which
Vega-Lite takes half a second and a megabyte. Colours are classes of the style sheet, and never the only sign: real
rows are filled and synthetic ones outlined, negative associations have a dash.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from markupsafe import Markup, escape

from .naming import plain

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ..results.portrait import Associations, Breakdown, Distances, Marginal, Portrait

WIDTH, HEIGHT = 200, 64  # of the bars of a numeric column, in units of the drawing
GUTTER = 30  # of the bar of missing values, beside them
ROW, LABELS = 14, 82  # height of a category, and width of the labels
CELL, NAMES = 10, 96  # of a heat map: side of a cell, and width of the names
STEPS = (0.05, 0.15, 0.3, 0.5, 0.7)  # of strengths, at which the colour changes
LABEL, CATEGORY = 17, 14  # characters of a name and of a label
DISTANCES = 420, 150

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
        return _categories(shares(column), said)
    top = max(*column.real.shares, *column.synthetic.shares)
    body = _histogram(column.real.shares, column.synthetic.shares, top, WIDTH, HEIGHT) + _text(0, -3, percent(top))
    inwards = 0.5 if _whole(column.edges) else 0.0
    ends = column.edges[0] + inwards, column.edges[-1] - inwards
    body += _text(0, HEIGHT + 11, _plain(ends[0])) + _text(WIDTH, HEIGHT + 11, _plain(ends[1]), "end")
    missing = column.real.missing, column.synthetic.missing
    if any(missing):  # of all rows, as the frame is, or the many would hide how the few are spread
        bar = _histogram(missing[:1], missing[1:], 1.0, GUTTER / 2, HEIGHT)
        frame = f'<path class="frame" d="M0 0h{GUTTER / 2:g}v{HEIGHT}h-{GUTTER / 2:g}z"/>'
        body += f'<g transform="translate({WIDTH + GUTTER / 2:g} 0)">{frame}{bar}</g>'
        body += _text(WIDTH + GUTTER, -3, "missing", "end")
    return _svg(WIDTH + GUTTER + 1, HEIGHT + 28, body, said, top=-12)


def distances(found: Distances) -> Markup:
    """Distances of synthetic rows: to the nearest control row filled, to the nearest train row as an outline."""
    width, height = DISTANCES
    top = max(*found.train, *found.control)
    body = _histogram(found.control, found.train, top, width, height) + _text(0, -4, percent(top))
    for edge in found.edges[:: max(1, len(found.edges) // 6)]:
        at = width * (edge - found.edges[0]) / (found.edges[-1] - found.edges[0])
        body += _text(at, height + 15, f"{edge:.3g}", "middle" if 0 < at < width else "start" if not at else "end")
    said = "Distances of synthetic rows to their nearest train and control row; the numbers stand in the table below"
    return _svg(width + 1, height + 36, body, said, top=-16)


def associations(found: Associations) -> Iterator[tuple[str, Markup]]:
    """Titles and heat maps: strengths in the real rows, in the synthetic ones, and their differences."""
    differences = [
        [None if a is None or b is None else b - a for a, b in zip(*rows, strict=True)]
        for rows in zip(found.real, found.synthetic, strict=True)
    ]
    drawn = (("Real", found.real), ("Synthetic", found.synthetic), ("Synthetic − real", differences))
    for title, triangle in drawn:
        yield title, _heat_map(title, found.names, triangle)


def scale() -> list[tuple[Markup, str]]:
    """The legend of the heat maps: a cell and the strengths that it stands for."""
    ends = [*(-step for step in reversed(STEPS)), *STEPS]
    middles = [-1.0, *((low + high) / 2 for low, high in itertools.pairwise(ends)), 1.0]
    words = [f"below {ends[0]:g}", *(f"{a:g} to {b:g}" for a, b in itertools.pairwise(ends)), f"above {ends[-1]:g}"]
    cells = [(_svg(CELL, CELL, _cells([(0, 0, value)]), ""), word) for value, word in zip(middles, words, strict=True)]
    cells.append((_svg(CELL, CELL, _cells([(0, 0, None)]), ""), "undefined, such as of a constant column"))
    return [(cell, word.replace("-", "−")) for cell, word in cells]


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


def _categories(rows: Sequence[tuple[str, float, float]], said: str) -> Markup:
    top = max(max(real, made) for _, real, made in rows) or 1.0
    width = WIDTH + GUTTER - LABELS - 58
    body = []
    for n, (label, real, made) in enumerate(rows):
        y = n * ROW
        body += [
            _text(LABELS - 4, y + 10, plain(label, CATEGORY), "end"),
            f'<path class="real" d="M{LABELS} {y + 2}h{width * real / top:.1f}v{ROW - 4}H{LABELS}z"/>',
            f'<path class="made" d="M{LABELS} {y + 2}h{width * made / top:.1f}v{ROW - 4}H{LABELS}"/>',
            _text(LABELS + width * max(real, made) / top + 4, y + 10, f"{100 * real:.0f} → {100 * made:.0f} %"),
        ]
    return _svg(WIDTH + GUTTER, len(rows) * ROW + 4, "".join(body), said)


def _histogram(filled: Sequence[float], outlined: Sequence[float], top: float, width: float, height: float) -> str:
    """Bars and the outline of others over the same bins of equal width, on a line."""
    step, unit = width / len(filled), height / (top or 1.0)
    bars = "".join(
        f"M{n * step:.4g} {height}v-{share * unit:.4g}h{step:.4g}V{height}" for n, share in enumerate(filled)
    )
    outline = "".join(f"V{height - share * unit:.4g}h{step:.4g}" for share in outlined)
    return (
        f'<path class="real" d="{bars}"/><path class="made" d="M0 {height}{outline}V{height}"/>'
        f'<path class="axis" d="M0 {height}h{width:g}"/>'
    )


def _heat_map(title: str, names: Sequence[str], triangle: Sequence[Sequence[float | None]]) -> Markup:
    """The part of a matrix below its diagonal, on which the names stand: of the row beside, and the column below."""
    body = _cells((row, column, value) for row, line in enumerate(triangle) for column, value in enumerate(line))
    for n, name in enumerate(names):
        body += _text(n * CELL + 3, n * CELL + 8, plain(name, LABEL))
    size = len(names) * CELL
    said = f"{title}: associations of {len(names)} columns with each other; the numbers stand in the table below"
    return _svg(size + NAMES, size + 2, body, said, fixed=True)


def _cells(cells: Iterator[tuple[int, int, float | None]] | Sequence[tuple[int, int, float | None]]) -> str:
    """Cells by row, column and strength; those of one colour are one path."""
    paths: dict[str, list[str]] = {}
    for row, column, value in cells:
        x, y, side = column * CELL + 0.5, row * CELL + 0.5, CELL - 1
        colour = "none" if value is None else f"{'n' if value < 0 else 'p'}{sum(abs(value) >= s for s in STEPS)}"
        paths.setdefault(colour, []).append(f"M{x:g} {y:g}h{side}v{side}h-{side}z")
        if colour.startswith("n") and colour not in ("n0", "none"):
            paths.setdefault("minus", []).append(f"M{x + 2.5:g} {y + side / 2:g}h{side - 5}")
    order = sorted(paths, key=lambda colour: colour == "minus")
    return "".join(f'<path class="{colour}" d="{"".join(paths[colour])}"/>' for colour in order)


def _text(x: float, y: float, text: str, anchor: str = "") -> str:
    placed = f' text-anchor="{anchor}"' if anchor and anchor != "start" else ""
    return f'<text x="{x:.4g}" y="{y:.4g}"{placed}>{escape(text)}</text>'


def _svg(width: float, height: float, body: str, said: str, top: float = 0, fixed: bool = False) -> Markup:
    """A drawing. One without words is beside them."""
    role = f'role="img" aria-label="{escape(plain(said))}"' if said else 'aria-hidden="true"'
    size = f' width="{width:g}" height="{height:g}"' if fixed or not said else ""
    return Markup(f'<svg {role} viewBox="0 {top:g} {width:g} {height:g}"{size}>{body}</svg>')
