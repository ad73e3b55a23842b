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

from collections import Counter, defaultdict
from dataclasses import replace
from functools import cached_property
from importlib import import_module
from threading import Thread
from typing import TYPE_CHECKING, get_args

import numpy as np

from ..results.errors import UserError
from ..results.record import Family, MetricCard, Status, canonical_json
from . import bootstrap, collecting
from .board import Board, DatasetTable, Evidence, Kind, Repeat, Row, Score, Section
from .cards import headline_variants, judged, shown_cards
from .cited import load_cited
from .contamination import TESTS, by_generator, contamination, counted
from .failures import failures, holes
from .families import family_scores
from .frame import MEMORISATION
from .gather import from_folders, from_records
from .naming import is_reference
from .scoring import Cells
from .section import Labels, one_per_cell, tables
from .software import software
from .text import plural

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    import numpy.typing as npt

    from ..results.reading import DamagedRecordError
    from ..results.record import Record
    from .gather import Gathered
    from .section import Table

    Floats = npt.NDArray[np.float64]
    Bools = npt.NDArray[np.bool_]

DRAWS = 2000
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
    return board_of(from_records(records), draws, seed)


def summarise_folders(
    folders: Iterable[Path],
    report: Callable[[DamagedRecordError], object] = lambda _: None,
    *,
    draws: int = DRAWS,
    seed: int = 0,
) -> Board:
    """Aggregate all records below folders into a board, as :func:`summarise` does, and several times as fast.

    Args:
        folders: stores, or folders of published records; of two records of a cell that of the later folder stands.
        report: called with the reason for each file that is left out.
        draws: number of bootstrap samples behind each interval.
        seed: seed of the bootstrap.

    Raises:
        UserError: there is no record, or none that can be shown.
    """
    with collecting.paused():
        return board_of(from_folders(folders, report), draws, seed)


def board_of(gathered: Gathered, draws: int = DRAWS, seed: int = 0) -> Board:
    """Aggregate columns of records into a board; see :func:`summarise`."""
    results, left_out = gathered.results, tuple(sorted(gathered.left_out))
    if not results.cells and not left_out:
        raise UserError("there is no record to show: run a sweep first, for example `synthward sweep experiment=quick`")
    if not results.cells:
        raise UserError(f"of {plural(len(left_out), 'record')} none can be shown; the first: {left_out[0]}")
    # Ranks need it, and it loads slowly: while arrays are sorted, another core is free.
    Thread(target=import_module, args=("scipy.stats",)).start()
    kept = one_per_cell(results, gathered.doubles)
    labels = Labels(results, kept)
    found = [_Builder(table, gathered.verified, draws, seed).section() for table in tables(results, kept, labels)]
    found.sort(key=lambda pair: (-pair[0].cells * len(pair[0].rows), canonical_json(pair[0].protocol)))
    sections = tuple(section for section, _ in found)
    cells = [results.cells[n] for n in kept.tolist()]
    stated = np.unique(results.codes["provenance"][kept]).tolist()
    return Board(
        sections=sections,
        evidence=tuple(evidence for _, evidence in found),
        records=len(kept),
        generators=len({row.label for section in sections for row in section.rows}),
        datasets=len({results.distinct.dataset[d].fingerprint for d in np.unique(results.codes["dataset"][kept])}),
        seeds=len({cell.seed for cell in cells}),
        statuses=dict(sorted(Counter(cell.status for cell in cells).items())),
        draws=draws,
        seed=seed,
        left_out=left_out,
        software=software(results.distinct.provenance[n] for n in stated),
        cited=load_cited(),
    )


class _Builder:
    """Builds one section from the records of one protocol."""

    def __init__(self, table: Table, verified: Mapping[str, str], draws: int, seed: int) -> None:
        self.table, self.draws, self.seed = table, draws, seed
        self.cards = shown_cards(table.values)
        self.values = judged(table.values, self.cards)
        numbers = {label: n for n, label in enumerate(table.datasets)}
        self.dataset: npt.NDArray[np.intp] = np.array([numbers[dataset] for dataset, *_ in table.keys], np.intp)
        status = np.array([cell.status for cell in table.cells])
        self.tried = self._where(np.ones(len(status), bool))
        self.done = self._where(table.usable)
        self.partial = self._where(status == Status.PARTIAL)
        self.verified = self.done & self._where(
            np.array([verified.get(cell.id, "no") == cell.digest for cell in table.cells], bool)
        )
        self.rival = np.array([not is_reference(f) for f in table.facts])
        self.counted = self._counted()
        self.complete = self.rival & self.done[:, self.counted].all(axis=1)
        self.contamination = contamination(table, self.values)
        self.memorised = by_generator(table, self.values, self.contamination)

    def section(self) -> tuple[Section, Evidence]:
        table = self.table
        cells = Cells(
            generators=table.generators,
            facts=table.facts,
            datasets=table.datasets,
            dataset=self.dataset,
            counted=self.counted,
            complete=self.complete,
            draws=self.draws,
            seed=self.seed,
        )
        headlines = self._headlines()
        values = {metric: self._chosen(metric, variant) for metric, _, variant in headlines}
        undefined = {metric: np.isnan(grid) & self._unsupported(metric) for metric, grid in values.items()}
        scored = cells.score_all([(card, variant, values[metric]) for metric, card, variant in headlines])
        made = [cell.asked if cell.rows is None else cell.rows for cell in table.cells]
        rows = [
            self._row(g, {column.card.name: scores[g] for column, scores in scored})
            for g in range(len(table.generators))
        ]
        columns = tuple(column for column, _ in scored)
        section = Section(
            name=", ".join(sorted({cell.protocol for cell in table.cells if cell.protocol})),
            track=table.protocol.track,
            protocol=table.protocol.compared,
            cells=int(self.counted.sum()),
            uncounted=int((~self.counted).sum()),
            counted_datasets=len(np.unique(self.dataset[self.counted])),
            columns=columns,
            rows=tuple(sorted(rows, key=lambda r: KINDS.index(r.kind))),
            datasets=self._datasets(values),
            families=tuple(family_scores(cells, columns, values, undefined, table.grid(np.array(made, float)))),
            failures=failures(table),
            holes=holes(table, self.values),
            contamination=self.contamination,
            memory_card=self.cards.get(MEMORISATION),
            embedded=tuple(table.embedded),
        )
        return section, Evidence(
            repeats=self._repeats(),
            generators=tuple(table.generators),
            keys=tuple(table.keys),
            values=values,
            table=replace(table, values=self.values),
        )

    def _where(self, said: Bools) -> Bools:
        """What is said of records, as an array of shape ``(generators, cells)``; false where there is no record."""
        grid = np.zeros((len(self.table.generators), len(self.table.keys)), bool)
        grid[self.table.generator, self.table.key] = said
        return grid

    def _counted(self) -> Bools:
        voters = self.rival if self.rival.any() else ~self.rival
        names = np.array([f.name for f in self.table.facts])
        votes = np.array([self.tried[voters & (names == name)].any(axis=0) for name in np.unique(names[voters])])
        counted: Bools = (votes.mean(axis=0) > 0.5) & self.done[voters].any(axis=0)
        tried: Bools = np.any(self.tried, axis=0)
        return counted if counted.any() else tried

    def _headlines(self) -> list[tuple[str, MetricCard, str]]:
        """Name, card and headline variant of every metric with a value, family by family."""
        headlines = headline_variants(self.values).items()
        shown = [(n, self.cards[n], v) for n, v in headlines if not (n == MEMORISATION and v in TESTS)]
        return sorted(shown, key=lambda s: FAMILIES.index(s[1].family))

    def _chosen(self, metric: str, variant: str) -> Floats:
        """Values of one variant of a metric, shape ``(generators, cells)``, NaN where there is none."""
        own = self.values.metrics[metric]
        same = (self._variant == variant)[self.values.kind[own]]
        known = own.start + np.flatnonzero(same & ~np.isnan(self.values.value[own]))
        return self.table.grid(self.values.value[known], self.values.record[known])

    def _unsupported(self, metric: str) -> Bools:
        """Where a metric does not apply to the synthetic table, shape ``(generators, cells)``."""
        own = self.values.metrics[metric]
        said = (self._status == Status.UNSUPPORTED)[self.values.kind[own]]
        found = np.zeros(len(self.table.cells), bool)
        found[self.values.record[own][said]] = True
        return self._where(found)

    @cached_property
    def _variant(self) -> npt.NDArray[np.object_]:
        return np.array([variant for _, _, variant, *_ in self.values.kinds], object)

    @cached_property
    def _status(self) -> npt.NDArray[np.object_]:
        return np.array([status for *_, status, _ in self.values.kinds], object)

    def _row(self, g: int, scores: dict[str, Score]) -> Row:
        kind: Kind = "complete" if self.complete[g] else "incomplete" if self.rival[g] else "reference"
        k, partial, verified = (int(grid[g, self.counted].sum()) for grid in (self.done, self.partial, self.verified))
        label = self.table.generators[g]
        memory = counted(self.memorised[label].values()) if label in self.memorised else None
        return Row(label, self.table.facts[g], kind, k, int(self.counted.sum()), partial, scores, memory, verified)

    def _repeats(self) -> dict[tuple[str, str], tuple[Repeat, ...]]:
        """Every record by generator and dataset, in order of the seeds."""
        table = self.table
        found: dict[tuple[int, int], list[Repeat]] = defaultdict(list)
        order = np.lexsort((table.key, table.dataset, table.generator))
        columns = (order, table.generator[order], table.dataset[order])
        for n, g, d in zip(*(column.tolist() for column in columns), strict=True):
            cell = table.cells[n]
            found[g, d].append(
                Repeat(
                    id=cell.id,
                    split_seed=table.split_seeds[n],
                    seed=cell.seed,
                    status=cell.status,
                    phase=cell.phase,
                    message=cell.message,
                    rows=cell.rows or 0,
                    seconds=cell.seconds,
                    peak_memory_mb=cell.peak_memory_mb,
                    digest=cell.digest,
                    origin=cell.origin,
                )
            )
        return {(table.generators[g], table.datasets[d]): tuple(own) for (g, d), own in found.items()}

    def _datasets(self, values: dict[str, Floats]) -> tuple[DatasetTable, ...]:
        """Tables by dataset, of all cells, those included that count for nothing above.

        Args:
            values: by metric, shape ``(generators, cells)``, NaN where there is none.
        """
        table = self.table
        outcomes: list[dict[str, Counter[str]]] = [defaultdict(Counter) for _ in table.datasets]
        asked = [0] * len(table.datasets)
        for cell, g, d in zip(table.cells, table.generator.tolist(), table.dataset.tolist(), strict=True):
            outcomes[d][table.generators[g]][cell.status] += 1
            asked[d] = cell.asked
        means: list[dict[str, dict[str, float]]] = [
            {g: {} for g in table.generators if g in tried} for tried in outcomes
        ]
        for metric, grid in values.items():
            by_dataset = bootstrap.known_by_dataset(grid, self.dataset, len(table.datasets))
            for g, d in np.argwhere(~np.isnan(by_dataset)).tolist():
                means[d][table.generators[g]][metric] = float(by_dataset[g, d])
        repeats = np.bincount(self.dataset, minlength=len(table.datasets)).tolist()
        return tuple(
            DatasetTable(
                label=label,
                facts=table.dataset_facts[d],
                rows_requested=asked[d],
                repeats=repeats[d],
                outcomes={g: dict(outcomes[d][g]) for g in sorted(outcomes[d])},
                means=means[d],
                memorised={g: self.memorised[g][label] for g in sorted(outcomes[d]) if g in self.memorised},
            )
            for d, label in enumerate(table.datasets)
        )
