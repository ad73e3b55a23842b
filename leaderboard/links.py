"""Where every page, table and file of the site stands, as paths from its root."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING

from ..results.record import canonical_json, sha256_json

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .board import Board, Section

INDEX = "index.html"
COMPARE = "compare.html"
METRICS = "metrics.html"
PAPERS = "papers.html"
HELP = "how-to-read.html"
RESULTS = "results.parquet"
CITATION = "CITATION.cff"
LONGEST = 60


class Links:
    """Paths by label. A label is text from outside: it never is a path, and no two share one."""

    def __init__(self, board: Board) -> None:
        self._protocols = slugs({_facts(section): section.name for section in board.sections})
        self._datasets = slugs({table.label: table.label for section in board.sections for table in section.datasets})
        self._generators = slugs({row.label: row.label for section in board.sections for row in section.rows})
        shown = [c.card.name for section in board.sections for c in section.columns]
        remembered = [section.memory_card.name for section in board.sections if section.memory_card]
        self._metrics = slugs({name: name for name in (*shown, *remembered)})

    def slug(self, section: Section) -> str:
        """The name of a section in paths."""
        return self._protocols[_facts(section)]

    def protocol(self, section: Section) -> str:
        """The page of all metrics, ranks and failures of a section."""
        return self.protocol_of(self.slug(section))

    @staticmethod
    def protocol_of(slug: str) -> str:
        """The same, by the section's slug."""
        return f"protocols/{slug}.html"

    def dataset(self, label: str) -> str:
        """The page of a dataset."""
        return f"datasets/{self._datasets[label]}.html"

    def generator(self, label: str) -> str:
        """The page of a generator."""
        return f"generators/{self._generators[label]}.html"

    def cell(self, generator: str, dataset: str) -> str:
        """The page of a generator on a dataset."""
        return f"cells/{self._datasets[dataset]}/{self._generators[generator]}.html"

    def table(self, section: Section, view: str) -> str:
        """A table to take away, without the ending of its form."""
        kind, _, label = view.partition("dataset-")
        name = slug(view) if kind else f"dataset-{self._datasets[label]}"
        return f"tables/{self.slug(section)}/{name}"

    def metric(self, section: Section, metric: str) -> str:
        """The values of a metric, dataset by dataset, for the scripts of the site."""
        return f"data/{self.slug(section)}/{self._metrics[metric]}.js"

    def anchor(self, metric: str) -> str:
        """Where a metric stands on the page of all metrics."""
        return self._metrics[metric]


def slug(text: str) -> str:
    """Text as the name of a file: lower-case letters, digits and hyphens, never empty."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:LONGEST].strip("-") or "x"


def slugs(texts: Mapping[str, str]) -> dict[str, str]:
    """A slug for each key, of its text; where two would share one, digits of their key's hash tell them apart."""
    named = {key: slug(text) for key, text in texts.items()}
    count = Counter(named.values())
    return {key: s if count[s] == 1 else f"{s}-{sha256_json(key)[:8]}" for key, s in named.items()}


def _facts(section: Section) -> str:
    return canonical_json({"track": section.track, "protocol": section.protocol})
