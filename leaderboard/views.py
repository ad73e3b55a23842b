"""The tables of a section that can be taken away: scores, metrics of a family, ranks, one dataset."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..results.record import USABLE, MetricCard
from .board import Column, Score
from .text import plural

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from .board import DatasetTable, FamilyScores, Section

SCORES = "scores"
IMPUTED = "imputed"


@dataclass(frozen=True)
class View:
    """A table of generators by columns.

    Attributes:
        name: by which it is asked for.
        title: what it shows, in a few words.
        scope: what its values are means over.
        section: that it belongs to.
        columns: each with its scores by generator label, where there are any.
    """

    name: str
    title: str
    scope: str
    section: Section
    columns: tuple[tuple[Column, dict[str, Score]], ...]


def views(section: Section) -> dict[str, View]:
    """All tables of a section by name."""
    return {view.name: view for view in _views(section)}


def _views(section: Section) -> Iterator[View]:
    repeats = max((table.repeats for table in section.datasets), default=0)
    scope = f"means over {plural(section.counted_datasets, 'dataset')} with up to {plural(repeats, 'repeat')}"
    yield View(SCORES, "scores of the families and the cost", scope, section, tuple(section.headlines()))
    for family in dict.fromkeys(column.card.family for column in section.columns):
        own = tuple((c, section.scores(c)) for c in section.columns if c.card.family == family)
        yield View(family, f"metrics of {family}", scope, section, own)
    for scores in section.families:
        if scores.standings:
            name = scores.column.card.name
            yield View(f"ranks-{name}", f"ranks by {name}", scope, section, _ranks(scores))
    imputed = tuple(
        (f.column, {label: found.score for label, found in f.imputed.items()}) for f in section.families if f.imputed
    )
    if imputed:
        title = "scores of the families, with missing cells as the worst reference"
        yield View(IMPUTED, title, scope, section, imputed)
    for table in section.datasets:
        known = {metric for means in table.means.values() for metric in means}
        usable = {label: sum(counts.get(status, 0) for status in USABLE) for label, counts in table.outcomes.items()}
        own = tuple((c, _means(table, c, usable)) for c in section.columns if c.card.name in known)
        scope = f"means over {plural(table.repeats, 'repeat')}"
        yield View(f"dataset-{table.label}", f"means on {table.label}", scope, section, own)


def _means(table: DatasetTable, column: Column, usable: Mapping[str, int]) -> dict[str, Score]:
    """A metric on one dataset, by label of the generators that were tried there, with their numbers of tables."""
    name, n = column.card.name, table.repeats
    return {label: Score(own[name], k=usable[label], n=n) for label, own in table.means.items() if name in own}


def _ranks(scores: FamilyScores) -> tuple[tuple[Column, dict[str, Score]], ...]:
    """The standings by a family's score as columns."""
    card = {"family": scores.column.card.family, "definition": f"by the {scores.column.card.name} score"}

    def column(name: str, direction: str, values: dict[str, Score]) -> tuple[Column, dict[str, Score]]:
        made = MetricCard.model_validate({**card, "name": name, "direction": direction, "ranked": False})
        return Column(made, "", scores.column.datasets, scores.column.basis, len(scores.standings)), values

    standings = scores.standings.items()
    return (
        column("rank group", "min", {label: Score(s.group) for label, s in standings}),
        column("mean rank", "min", {label: Score(s.mean_rank) for label, s in standings}),
        column("win rate", "max", {label: Score(s.win_rate) for label, s in standings}),
        column("elo", "max", {label: Score(s.elo, s.elo_low, s.elo_high) for label, s in standings}),
        column("improvability", "min", {label: Score(s.improvability) for label, s in standings}),
    )
