"""Vega-Lite plots as SVG: without scripts, in the page's colours, with the letters of the page.

Every string of a record enters a plot as data, never as an expression or as markup.
"""

from __future__ import annotations

import json
import os
import re
import xml.etree.ElementTree as ET
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from .naming import plain, printable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import ModuleType

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
