"""The site: which pages there are, and what each of them shows."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from dataclasses import replace
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from . import data, downloads, links
from .cells import Source, pages, sources
from .fragments import extent
from .page import Place, render, style
from .writing import MANY, Job

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ..results.record import MetricCard
    from .board import Board, Column, Evidence, Section

STATIC = files("synthward.leaderboard") / "static"
MOST_PAGES = 25  # of cells in a job
# In the order in which the browser is to run them.
SITE_SCRIPTS = ("vendor/sortable.js", "vendor/sortable.a11y.js", "common.js", "takeaway.js", "board.js")


class Site:
    """All files of the site of a board: path from the root and content.

    Attributes:
        board: that is shown, without its evidence, as other processes are handed the site.
        links: where everything stands.
    """

    def __init__(self, board: Board) -> None:
        self.board = replace(board, evidence=())
        self.links = links.Links(board)
        self._files = _assets()
        self._assets = {name: path for name, (path, _) in self._files.items()}
        self._extents = {self.links.slug(s): _extents(s) for s in board.sections}

    def files(self) -> Iterator[tuple[str, bytes]]:
        """The pages that there are few of, the plots among them."""
        yield from self._files.values()
        yield links.CITATION, downloads.citation(self.board).encode()
        yield self._page(
            links.INDEX,
            "index.html.j2",
            data=Markup(data.dumped(data.index(self.board, self.links))),
            choices=data.choices(self.board),
            extents=self._extents,
        )
        yield self._page(links.METRICS, "metrics.html.j2", metrics=_cards(self.board))
        yield self._page(links.PAPERS, "papers.html.j2", ours=self._ours())
        yield self._page(links.HELP, "how-to-read.html.j2")
        yield self._page(links.COMPARE, "compare.html.j2", data=Markup(data.dumped(data.index(self.board, self.links))))
        for section in self.board.sections:
            extents = self._extents[self.links.slug(section)]
            yield self._page(self.links.protocol(section), "protocol.html.j2", section=section, extents=extents)

    def jobs(self, evidence: Sequence[Evidence]) -> list[Job]:
        """All other pages and tables, in parts that may be made elsewhere: the large ones first, then single cells.

        Args:
            evidence: of the sections.
        """
        found: dict[tuple[str, str], list[Source]] = defaultdict(list)
        for section, behind in zip(self.board.sections, evidence, strict=True):
            for pair, known in sources(section, behind, self.links.slug(section)).items():
                found[pair].append(known)
        pairs, place = list(found.items()), self._place("")
        size = max(1, min(MOST_PAGES, len(pairs) // MANY))
        return [
            *(Job(made, (self,)) for made in (Site._tables, Site._datasets, Site._generators)),
            *(Job(pages, (place, pairs[at : at + size])) for at in range(0, len(pairs), size)),
        ]

    def _tables(self) -> Iterator[tuple[str, bytes]]:
        for section in self.board.sections:
            for column in section.columns:
                path = self.links.metric(section, column.card.name)
                yield path, data.script(path, data.metric(section, column)).encode()
            yield from downloads.tables(self.board, section, self.links)

    def _datasets(self) -> Iterator[tuple[str, bytes]]:
        for label, found in self._found("datasets").items():
            yield self._page(self.links.dataset(label), "dataset.html.j2", label=label, found=found)

    def _generators(self) -> Iterator[tuple[str, bytes]]:
        places = {self.links.slug(s): _places(s) for s in self.board.sections}
        for label, found in self._found("rows").items():
            yield self._page(
                self.links.generator(label),
                "generator.html.j2",
                label=label,
                found=found,
                places=places,
                extents=self._extents,
            )

    def _page(self, path: str, template: str, **context: Any) -> tuple[str, bytes]:
        return path, render(template, board=self.board, site=self._place(path), **context).encode()

    def _place(self, path: str) -> Place:
        return Place(path, self.links, self._assets, self.board.records)

    def _found(self, what: str) -> dict[str, list[tuple[Section, Any]]]:
        """By label every section that a dataset or a generator stands in, with its facts there."""
        found: dict[str, list[tuple[Section, Any]]] = {}
        for section in self.board.sections:
            for one in getattr(section, what):
                found.setdefault(one.label, []).append((section, one))
        return found

    def _ours(self) -> dict[str, list[str]]:
        """By name of a generator the labels of its rows."""
        named: dict[str, list[str]] = {}
        for label, found in self._found("rows").items():
            named.setdefault(found[0][1].facts.name, []).append(label)
        return named


def _assets() -> dict[str, tuple[str, bytes]]:
    """Styles and scripts, each under a name that changes with its content, so that no browser shows an old one."""
    content = {
        "style.css": style(),
        "site.js": "\n".join((STATIC / name).read_text(encoding="utf-8") for name in SITE_SCRIPTS),
        "compare.js": (STATIC / "compare.js").read_text(encoding="utf-8"),
    }
    found = {}
    for name, text in content.items():
        stem, _, ending = name.partition(".")
        digest = hashlib.sha256(text.encode()).hexdigest()[:8]
        found[name] = (f"assets/{stem}-{digest}.{ending}", text.encode())
    return found


def _extents(section: Section) -> dict[str, tuple[float, float] | None]:
    """Least and largest value of every column of a section, by name."""
    columns = {c.card.name: section.scores(c).values() for c in section.columns}
    return {
        name: extent(scores)
        for name, scores in (columns | {f.column.card.name: f.scores.values() for f in section.families}).items()
    }


def _places(section: Section) -> dict[str, dict[str, int]]:
    """By metric the place of every generator that is compared on it, from 1."""
    return {c.card.name: _place(section, c) for c in section.columns if c.ranked}


def _place(section: Section, column: Column) -> dict[str, int]:
    scores = {row.label: row.scores[column.card.name] for row in section.of_kind("complete")}
    sign = -1 if column.card.direction == "max" else 1
    losses = {
        label: s.distance if s.distance is not None else sign * s.mean
        for label, s in scores.items()
        if s.mean is not None and s.k == s.n
    }
    return {label: 1 + sum(other < loss for other in losses.values()) for label, loss in losses.items()}


def _cards(board: Board) -> Mapping[str, list[MetricCard]]:
    """The cards of all metrics of a board by family, each as the largest section has it."""
    found: dict[str, MetricCard] = {}
    for section in board.sections:
        memory = [section.memory_card] if section.memory_card else []
        for card in [*(c.card for c in section.columns), *memory]:
            found.setdefault(card.name, card)
    families: dict[str, list[MetricCard]] = {}
    for card in found.values():
        families.setdefault(card.family, []).append(card)
    return families
