"""From records to a :class:`~synthward.leaderboard.board.Board`: what is compared, and with what.

The rules, which the page states too:

* nothing is compared across protocols: each has its own section;
* a cell is a dataset with a seed, of the split and of the generator; it counts if more than half of the
  competing generators were tried on it (the settings of one generator vote as one) and at least one of
  them made a table there;
* a competitor with a table in every such cell is complete and is compared; others stand apart;
* a metric applies to a dataset if any generator has a value there; who lacks one of its cells is not
  compared on that metric;
* a metric is shown by the card and the variant that most records carry: values by another card, outside
  the card's bounds or too large to average are left out and listed;
* what the metrics of a family come to is the mean of their places between a floor and a ceiling, aspects of the
  family weighing alike; families are never merged;
* seeds are averaged within a dataset first, so that every dataset weighs the same;
* what a language model knows of a table by heart is a fact of the two, told apart from the scores.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, get_args

import numpy as np
import pandas as pd

from ..results.errors import UserError
from ..results.record import USABLE, Family, MetricCard, Status, canonical_json
from .board import Board, DatasetTable, Kind, Row, Score, Section
from .cards import headline_variants, judged, shown_cards
from .cited import load_cited
from .contamination import METRIC as MEMORISATION
from .contamination import TESTS, by_generator, contamination, counted
from .failures import failures, holes
from .families import family_scores
from .frame import MAX_MESSAGE, by_section, frame, one_per_cell, protocol, unfit
from .naming import is_reference, language_models, plain, tier_order
from .scoring import Cells
from .software import software
from .text import plural

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import numpy.typing as npt

    from ..results.record import Record

    Floats = npt.NDArray[np.float64]
    Bools = npt.NDArray[np.bool_]

DRAWS = 2000
CELL = ["dataset", "split_seed", "seed"]
FAMILIES = get_args(Family)
KINDS: tuple[Kind, ...] = ("complete", "reference", "incomplete")


def summarise(records: Iterable[Record], *, draws: int = DRAWS, seed: int = 0) -> Board:
    """Aggregate records into a board.

    Args:
        records: verified records, in any order of generators, datasets and protocols.
        draws: number of bootstrap samples behind each interval.
        seed: seed of the bootstrap: the same records give the same board.

    Raises:
        UserError: there is no record, or none that can be shown.
    """
    given = list(records)
    if not given:
        raise UserError("there is no record to show: run a sweep first, for example `synthward sweep experiment=quick`")
    faults = [(record, unfit(record)) for record in given]
    left_out = tuple(sorted(plain(f"record {r.id} {fault}", MAX_MESSAGE) for r, fault in faults if fault))
    kept = one_per_cell(record for record, fault in faults if not fault)
    if not kept:
        raise UserError(f"of {plural(len(given), 'record')} none can be shown; the first: {left_out[0]}")
    values = frame(kept)
    sections = [
        _Builder(group, values[values["section"] == key], draws, seed).section()
        for key, group in by_section(kept).items()
    ]
    return Board(
        sections=tuple(sorted(sections, key=lambda s: (-s.cells * len(s.rows), canonical_json(s.protocol)))),
        records=len(kept),
        generators=values["generator"].nunique(),
        datasets=len({r.dataset.fingerprint for r in kept}),
        seeds=values["seed"].nunique(),
        statuses=dict(sorted(Counter(str(r.status) for r in kept).items())),
        draws=draws,
        seed=seed,
        left_out=left_out,
        software=software(kept),
        cited=load_cited(),
    )


class _Builder:
    """Builds one section from the records of one protocol and their part of the frame."""

    def __init__(self, records: Sequence[Record], values: pd.DataFrame, draws: int, seed: int) -> None:
        self.cards = shown_cards(values)
        self.values, self.draws, self.seed = judged(values, self.cards), draws, seed
        self.records = {record.id: record for record in records}
        cells = values.drop_duplicates("id")
        facts = {str(g): self.records[i].generator for g, i in zip(cells["generator"], cells["id"], strict=True)}
        order = sorted(facts, key=lambda g: (tier_order(facts[g].access), g))
        self.generators, self.facts = order, [facts[g] for g in order]
        self.index = pd.MultiIndex.from_frame(cells[CELL].drop_duplicates().sort_values(CELL))
        numbers, names = pd.factorize(self.index.get_level_values("dataset"))
        self.dataset: npt.NDArray[np.intp] = numbers
        self.datasets = [str(name) for name in names]
        status = self._grid(cells, "cell_status")
        self.tried = status.notna().to_numpy()
        self.done = status.isin(USABLE).to_numpy()
        self.partial = (status == Status.PARTIAL).to_numpy()
        self.rival = np.array([not is_reference(f) for f in self.facts])
        self.counted = self._counted()
        self.complete = self.rival & self.done[:, self.counted].all(axis=1)
        self.contamination = contamination(self.values)
        self.memorised = by_generator(self.values, self.contamination)

    def section(self) -> Section:
        cells = Cells(
            generators=self.generators,
            facts=self.facts,
            datasets=self.datasets,
            dataset=self.dataset,
            counted=self.counted,
            complete=self.complete,
            draws=self.draws,
            seed=self.seed,
        )
        columns, scores = [], []
        values: dict[str, Floats] = {}
        undefined: dict[str, Bools] = {}
        for metric, card, variant in self._headlines():
            chosen = self._choose(metric, variant)
            values[metric] = self._grid(chosen, "value").to_numpy(dtype=float)
            undefined[metric] = np.isnan(values[metric]) & self._unsupported(metric)
            column, by_row = cells.score(card, variant, values[metric])
            columns.append(column)
            scores.append(by_row)
        rows_made = self._grid(self.values.drop_duplicates("id"), "rows").to_numpy(dtype=float)
        first = next(iter(self.records.values()))
        models = language_models(self.records.values())
        rows = [
            self._row(g, {c.card.name: s[g] for c, s in zip(columns, scores, strict=True)})
            for g in range(len(self.generators))
        ]
        return Section(
            name=", ".join(sorted({r.protocol for r in self.records.values() if r.protocol})),
            track=first.track,
            protocol=protocol(first),
            cells=int(self.counted.sum()),
            uncounted=int((~self.counted).sum()),
            counted_datasets=len(np.unique(self.dataset[self.counted])),
            columns=tuple(columns),
            rows=tuple(sorted(rows, key=lambda r: KINDS.index(r.kind))),
            datasets=self._datasets(values),
            families=tuple(family_scores(cells, columns, values, undefined, rows_made)),
            failures=failures(self.values),
            holes=holes(self.values),
            contamination=self.contamination,
            memory_card=self.cards.get(MEMORISATION),
            embedded=tuple(sorted({m.name for m in models.values() if m.endpoint == "embedded"})),
        )

    def _grid(self, part: pd.DataFrame, column: str) -> pd.DataFrame:
        """Generators x cells of one column of the frame."""
        wide = part.pivot(index="generator", columns=CELL, values=column)
        return wide.reindex(index=self.generators, columns=self.index)

    def _counted(self) -> Bools:
        voters = self.rival if self.rival.any() else ~self.rival
        names = np.array([f.name for f in self.facts])
        votes = np.array([self.tried[voters & (names == name)].any(axis=0) for name in np.unique(names[voters])])
        counted: Bools = (votes.mean(axis=0) > 0.5) & self.done[voters].any(axis=0)
        tried: Bools = np.any(self.tried, axis=0)
        return counted if counted.any() else tried

    def _headlines(self) -> list[tuple[str, MetricCard, str]]:
        """Name, card and headline variant of every metric with a value, family by family."""
        headlines = headline_variants(self.values).items()
        shown = [(n, self.cards[n], v) for n, v in headlines if not (n == MEMORISATION and v in TESTS)]
        return sorted(shown, key=lambda s: FAMILIES.index(s[1].family))

    def _choose(self, metric: str, variant: str) -> pd.DataFrame:
        v = self.values
        same = (v["metric"] == metric) & (v["variant"] == variant)
        return v[same & v["value"].notna()].drop_duplicates("id", keep="last")

    def _unsupported(self, metric: str) -> Bools:
        """Where a metric does not apply to the synthetic table, shape ``(generators, cells)``."""
        v = self.values
        found = v[(v["metric"] == metric) & (v["status"] == Status.UNSUPPORTED)].drop_duplicates("id")
        unsupported: Bools = self._grid(found, "status").notna().to_numpy()
        return unsupported

    def _row(self, g: int, scores: dict[str, Score]) -> Row:
        kind: Kind = "complete" if self.complete[g] else "incomplete" if self.rival[g] else "reference"
        k, partial = (int(grid[g, self.counted].sum()) for grid in (self.done, self.partial))
        label = self.generators[g]
        memory = counted(self.memorised[label].values()) if label in self.memorised else None
        return Row(label, self.facts[g], kind, k, int(self.counted.sum()), partial, scores, memory)

    def _datasets(self, values: dict[str, Floats]) -> tuple[DatasetTable, ...]:
        """Tables by dataset, of all cells, those included that count for nothing above.

        Args:
            values: by metric, shape ``(generators, cells)``, NaN where there is none.
        """
        tables = []
        for label, part in self.values.drop_duplicates("id").groupby("dataset", sort=True):
            record = self.records[part["id"].iloc[-1]]
            outcomes = {str(g): dict(Counter(p["cell_status"])) for g, p in part.groupby("generator")}
            means: dict[str, dict[str, float]] = {g: {} for g in self.generators if g in outcomes}
            here = self.index.get_level_values("dataset") == label
            for metric, grid in values.items():
                for generator, seeds in zip(self.generators, grid[:, here], strict=True):
                    if not np.isnan(seeds).all():
                        means[generator][metric] = float(np.nanmean(seeds))
            known = {g: self.memorised[g][str(label)] for g in outcomes if g in self.memorised}
            repeats, asked = int(here.sum()), record.rows_requested
            tables.append(DatasetTable(str(label), record.dataset, asked, repeats, outcomes, means, known))
        return tuple(tables)
