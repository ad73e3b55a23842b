"""What the scripts of the site read: the scores of every generator on every dataset, and metrics one by one.

The tables of the pages are there without it. Numbers are cut to what a page prints and a reader can tell apart.
"""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

from . import text
from .naming import may_see, plain

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .board import Board, Column, Section
    from .links import Links

DIGITS = 4
LONGEST = 80  # letters of a domain or a task
# Rows of a table, the bounds between which clinical tables are called small, middling and large.
SIZES = {"up to 500 rows": 500, "501 to 2,000 rows": 2000, "more than 2,000 rows": math.inf}


def index(board: Board, links: Links) -> dict[str, Any]:
    """Generators, datasets and family scores of all sections; metrics by the file that holds them."""
    return {"sections": [_section(section, links) for section in board.sections]}


def metric(section: Section, column: Column) -> dict[str, Any]:
    """The values of one metric, over all datasets as the page has them, and dataset by dataset."""
    scores = section.scores(column)
    return {
        **_column(column),
        "family": column.card.family,
        "whole": [
            {
                "mean": rounded(score.mean),
                "mark": score.mark,
                "bounds": None if score.low is None else [rounded(score.low), rounded(score.high)],
                "of": text.coverage(score, row),
            }
            for row in section.rows
            for score in (scores[row.label],)
        ],
        "values": [
            [rounded(table.means.get(row.label, {}).get(column.card.name)) for table in section.datasets]
            for row in section.rows
        ],
    }


def choices(board: Board) -> dict[str, dict[str, str] | list[str]]:
    """What can be chosen on the index: value to label, for each of its groups of boxes."""
    rows = [row for section in board.sections for row in section.rows]
    facts = [table.facts for section in board.sections for table in section.datasets]
    families = [family for section in board.sections for family in section.families]
    return {
        "sees": _same(may_see(row.facts) for row in rows),
        "families": _same(family.column.card.name for family in families),
        "domains": _same(sorted(plain(f.domain, LONGEST) for f in facts)),
        "tasks": _same(sorted(plain(f.task, LONGEST) for f in facts)),
        "sizes": _same(size for size in SIZES if size in {_size(f.n_rows) for f in facts}),
        "datasets": _same(table.label for section in board.sections for table in section.datasets),
        "metrics": list(_same(c.card.name for section in board.sections for c in section.columns)),
        "weighed": list(_same(family.column.card.name for family in families if family.floor)),
    }


def script(path: str, content: dict[str, Any]) -> str:
    """A file that hands its content over when the page loads it: pages opened from a disk may load no other kind."""
    return f"synthward.loaded[{json.dumps(path)}] = {dumped(content)};\n"


def dumped(content: Any) -> str:
    """JSON that may stand within a page: nothing in it ends a script or begins a comment."""
    return json.dumps(content, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")


def rounded(value: float | None) -> float | None:
    """A value cut to the digits that are kept; ``None`` stays."""
    return None if value is None else float(f"{value:.{DIGITS}g}")


def _section(section: Section, links: Links) -> dict[str, Any]:
    return {
        "slug": links.slug(section),
        "name": section.name or "results",
        "generators": [{"label": row.label, "sees": may_see(row.facts), "kind": row.kind} for row in section.rows],
        "datasets": [
            {
                "label": t.label,
                "domain": plain(t.facts.domain, LONGEST),
                "task": plain(t.facts.task, LONGEST),
                "size": _size(t.facts.n_rows),
            }
            for t in section.datasets
        ],
        "families": [
            {
                **_column(family.column),
                "name": family.column.card.name,
                "weighed": bool(family.floor),
                "ranked": bool(family.floor),
                "values": [
                    [rounded(family.by_dataset.get(row.label, {}).get(t.label)) for t in section.datasets]
                    for row in section.rows
                ],
            }
            for family in section.families
        ],
        "metrics": {c.card.name: {"file": links.metric(section, c.card.name)} for c in section.columns},
    }


def _column(column: Column) -> dict[str, Any]:
    return {
        "heading": text.heading(column),
        "better": text.direction(column),
        "direction": column.card.direction,
        "ideal": column.card.ideal,
        "ranked": column.ranked,
    }


def _size(rows: int) -> str:
    return next(name for name, most in SIZES.items() if rows <= most)


def _same(values: Iterable[str]) -> dict[str, str]:
    """Distinct values that say something, each its own label."""
    return {value: value for value in values if value}
