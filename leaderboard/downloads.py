"""What can be taken away from the site: its tables, all values in one file, and how to cite them."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import yaml

from .export import file, latex, tidy
from .naming import plain
from .views import views

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from .board import Board, Section
    from .links import Links

MAX_TEXT = 1000


def tables(board: Board, section: Section, links: Links) -> Iterator[tuple[str, bytes]]:
    """Path and content of every table of a section: CSV of all, LaTeX of those that have a caption."""
    for name, view in views(section).items():
        path = links.table(section, name)
        yield f"{path}.csv", file(tidy(view), "csv")
        if not name.startswith("dataset-"):
            yield f"{path}.tex", latex(view, board).encode()
    for family in section.families:
        if family.pairwise:
            pairs = [{"generator": g, "other": h, "p_corrected": p} for (g, h), p in family.pairwise.items()]
            yield f"{links.table(section, f'pairs-{family.column.card.name}')}.csv", _csv(pairs)
    yield f"{links.table(section, 'failures')}.csv", _csv(map(asdict, section.failures))
    yield f"{links.table(section, 'missing')}.csv", _csv(map(asdict, section.holes))
    tests = (
        {"model": c.model, "dataset": c.dataset, "test": name, **asdict(test), "memorised": test.memorised}
        for c in section.contamination
        for name, test in c.tests.items()
    )
    yield f"{links.table(section, 'contamination')}.csv", _csv(tests)


def _csv(rows: Iterable[dict[str, Any]]) -> bytes:
    return file(pa.Table.from_pylist(list(rows)), "csv")


def citation(board: Board) -> str:
    """How to cite the board and what stands behind it, in the Citation File Format 1.2.0."""
    tables = {t.label: t.facts for section in board.sections for t in section.datasets}
    return yaml.safe_dump(
        {
            "cff-version": "1.2.0",
            "message": "Cite these results as below, and the tables that they rest on.",
            "type": "dataset",
            "title": f"synthward leaderboard: {board.records:,} records of {board.generators} generators on "
            f"{board.datasets} clinical tables",
            "authors": [{"name": "The synthward developers"}],
            "version": ", ".join(board.software.get("commit", ())) or "unknown",
            "license": "Apache-2.0",
            "references": [
                {
                    "type": "data",
                    "title": plain(facts.title or label, MAX_TEXT),
                    "authors": [{"name": plain(facts.citation, MAX_TEXT) or "unknown"}],
                    "license": plain(facts.licence, MAX_TEXT) or "unknown",
                }
                for label, facts in sorted(tables.items())
            ],
        },
        sort_keys=False,
        allow_unicode=True,
        width=100,
    )
