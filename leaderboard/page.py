"""Pages as HTML: real tables, readable without scripts, nothing loaded from elsewhere.

Names come from strangers, so every string is escaped, none becomes a link but to a page of the site, and a content
security policy allows no style and no script but the site's own.
"""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from . import charts, fragments, links, portraits, text
from .contamination import counted
from .naming import may_see, tier_order

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .board import Column, Section
    from .links import Links

KINDS = {
    "complete": "",
    "reference": "Reference rows: yardsticks, not competitors",
    "incomplete": "Incomplete: lacks cells that count, so shown on its own cells and not compared",
}
MOST_PAIRS = 25  # generators for which a page shows the differences of all pairs


@dataclass(frozen=True)
class Place:
    """Where a page stands, and how it leads to others.

    Attributes:
        here: path of the page from the site's root.
        links: paths of the other pages.
        assets: paths of styles and scripts by name.
        records: how many the site is built from.
    """

    here: str
    links: Links
    assets: Mapping[str, str]
    records: int

    def metric(self, name: str) -> str:
        """The way to the definition of a metric."""
        return f"{self.root}{links.METRICS}#{self.links.anchor(name)}"

    @property
    def root(self) -> str:
        """The way from the page to the site's root."""
        return "../" * self.here.count("/")


def render(template: str, **context: Any) -> str:
    """Render a page from its template."""
    return _environment().get_template(template).render(context)


def style() -> str:
    """The house's style sheet."""
    return _environment().get_template("style.css.j2").render()


def document(template: str, **context: Any) -> str:
    """Render a page that stands alone, with the style in it, under a policy that allows this style and nothing else."""
    sheet = style()
    digest = base64.b64encode(hashlib.sha256(sheet.encode()).digest()).decode()
    return render(template, style=Markup(sheet), style_hash=digest, **context)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("synthward.leaderboard"),
        autoescape=True,
        auto_reload=False,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=fragments.cleaned,
    )
    # Globals, because macros do not see the context.
    environment.globals |= {
        "text": text,
        "paths": links,
        "charts": charts,
        "portraits": portraits,
        "kinds": KINDS,
        "families": families,
        "may_see": may_see,
        "tier_order": tier_order,
        "counted": counted,
        "fragments": fragments,
        "MOST_PAIRS": MOST_PAIRS,
    }
    environment.filters["breakable"] = fragments.breakable
    environment.filters["json"] = lambda value: json.dumps(value, ensure_ascii=False, sort_keys=True)
    return environment


def families(section: Section) -> dict[str, list[Column]]:
    """A section's columns by family, in order."""
    names = dict.fromkeys(column.card.family for column in section.columns)
    return {name: [column for column in section.columns if column.card.family == name] for name in names}
