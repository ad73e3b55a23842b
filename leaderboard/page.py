"""The page: one HTML file without scripts, without anything loaded from elsewhere.

Records may come from strangers, so every string is escaped, none becomes a link, and a content
security policy allows no more than the page's own style sheet, by its hash.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from . import charts, text
from .contamination import counted
from .naming import may_see, printable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .board import Board, Column, Score, Section

KINDS = {
    "complete": "",
    "reference": "Reference rows: yardsticks, not competitors",
    "incomplete": "Incomplete: lacks cells that count, so shown on its own cells and not compared",
}


def render(board: Board) -> str:
    """Render a board as one HTML document."""
    return document(
        "index.html.j2",
        board=board,
        may_see=may_see,
        kinds=KINDS,
        families=families,
        charts=charts,
        bar=bar,
        counted=counted,
    )


def document(template: str, **context: Any) -> str:
    """Render a template with the house's style, under a policy that allows this style alone."""
    environment = Environment(
        loader=PackageLoader("synthward.leaderboard"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_printable,
    )
    # Globals, because macros do not see the context.
    environment.globals |= {"text": text, **context}
    environment.filters["breakable"] = breakable
    environment.filters["json"] = lambda value: json.dumps(value, ensure_ascii=False, sort_keys=True)
    style = environment.get_template("style.css.j2").render()
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return environment.get_template(template).render(style=Markup(style), style_hash=digest)


def families(section: Section) -> dict[str, list[Column]]:
    """A section's columns by family, in order."""
    names = dict.fromkeys(column.card.family for column in section.columns)
    return {name: [column for column in section.columns if column.card.family == name] for name in names}


def bar(score: Score, scores: Iterable[Score]) -> tuple[int, int, int] | None:
    """Where to draw a score between the least and the largest value of its column, in percent.

    Args:
        score: to draw.
        scores: of the column.

    Returns:
        Left end and width of the interval, and the place of the mean; ``None`` without a value or a range.
    """
    known = [v for s in scores for v in (s.mean, s.low, s.high) if v is not None]
    if score.mean is None or min(known) == max(known):
        return None

    def place(value: float) -> int:
        return round(100 * (value - min(known)) / (max(known) - min(known)))

    low = place(score.mean if score.low is None else score.low)
    high = place(score.mean if score.high is None else score.high)
    return low, high - low, place(score.mean)


def breakable(name: str) -> Markup:
    """A name, escaped, that a narrow column breaks after an underscore or before a capital first."""
    return Markup("<wbr>").join(re.split(r"(?<=_)|(?<=[a-z])(?=[A-Z])", printable(name)))


def _printable(value: Any) -> Any:
    """Clean every string that is not markup of our own."""
    return printable(value) if type(value) is str else value
