"""The facts of a board: what the page, the Markdown table and the terminal all print."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from ..results.record import DatasetFacts, GeneratorFacts, MetricCard, Record
from .cited import CitedTable
from .rank import Friedman

if TYPE_CHECKING:
    from .section import Table

Floats = npt.NDArray[np.float64]
Mark = Literal["", "best", "tied"]
Kind = Literal["complete", "incomplete", "reference"]
Basis = Literal["datasets and seeds", "datasets", "seeds only", ""]


class Score(NamedTuple):
    """One generator on one metric, over the cells that count.

    Attributes:
        mean: seeds averaged within a dataset, then datasets averaged; ``None`` without a value.
        low, high: 95 % interval, ``None`` where one value leaves nothing to resample.
        basis: what was resampled for the interval.
        k, n: cells with a value, and cells in which the metric applies.
        distance: of a metric that aims at a value, the distance from it averaged over datasets:
            what the comparison goes by.
        mark: ``best``, ``tied`` with the best, or nothing.
    """

    mean: float | None
    low: float | None = None
    high: float | None = None
    basis: Basis = ""
    k: int = 0
    n: int = 0
    distance: float | None = None
    mark: Mark = ""


@dataclass(frozen=True)
class Column:
    """One headline metric of a section.

    Attributes:
        card: the card that most of the section's records carry.
        variant: which of the metric's values is shown: the headline of most records.
        datasets: number of datasets in which the metric applies.
        basis: what the intervals of complete rows resample.
        compared: how many competitors have a value in all cells.
    """

    card: MetricCard
    variant: str
    datasets: int
    basis: Basis
    compared: int

    @property
    def ranked(self) -> bool:
        """Whether better and worse are defined."""
        return self.card.ranked and not (self.card.direction == "target" and self.card.ideal is None)


@dataclass(frozen=True)
class MemoryTest:
    """One test of what a language model knows of a table by heart.

    Attributes:
        value: share of requests that were met; ``None`` without one.
        low, high: its 95 % interval.
        n: number of requests that were answered.
        baseline: share that is met without any memory of the table.
        distinct: share of distinct values in the column that was asked for, where a test asks for one.
        status, reason: why there is no value, or not the whole of it.
        dissent: number of cells whose records say otherwise.
    """

    value: float | None = None
    low: float | None = None
    high: float | None = None
    n: int | None = None
    baseline: float | None = None
    distinct: float | None = None
    status: str = ""
    reason: str = ""
    dissent: int = 0

    @property
    def memorised(self) -> bool | None:
        """Whether the interval, or a value without one, lies above the baseline; ``None`` where that is not known."""
        low = self.value if self.low is None else self.low
        return None if low is None or self.baseline is None else low > self.baseline


@dataclass(frozen=True)
class Contamination:
    """What a language model knows of a table by heart.

    Attributes:
        model: its label.
        dataset: its label.
        tests: by name, every test.
    """

    model: str
    dataset: str
    tests: dict[str, MemoryTest]

    @property
    def memorised(self) -> bool | None:
        """Whether any test says so; ``None`` where none says anything."""
        said = [test.memorised for test in self.tests.values() if test.memorised is not None]
        return any(said) if said else None


@dataclass(frozen=True)
class Memory:
    """Of the tables that a generator ran on: how many its language model knows by heart, and how many were tested."""

    memorised: int
    tested: int
    tables: int


@dataclass(frozen=True)
class Row:
    """One generator at one setting.

    Attributes:
        label: its name, with the settings that tell it from its namesakes.
        facts: name, target, version, access, parameters.
        kind: ``complete`` competitors are compared; ``incomplete`` ones and references are not.
        k, n: cells with a table, and cells that count.
        partial: how many of the ``k`` hold fewer rows than asked.
        scores: by metric name, aligned with the section's columns.
        memory: what its language model knows by heart, where one stands behind it.
        verified: how many of the ``k`` were recomputed from their tables, and agreed.
    """

    label: str
    facts: GeneratorFacts
    kind: Kind
    k: int
    n: int
    partial: int
    scores: dict[str, Score]
    memory: Memory | None = None
    verified: int = 0


@dataclass(frozen=True)
class DatasetTable:
    """Means over seeds on one dataset.

    Attributes:
        label: the dataset's name, with what tells it from its namesakes.
        facts: the dataset as the records describe it.
        rows_requested: number of synthetic rows asked for.
        repeats: number of seeds, of split and generator, that any generator was tried with.
        outcomes: by generator label, how its cells ended, such as ``{"ok": 2, "timeout": 1}``.
        means: by generator label and metric name.
        memorised: by generator label, whether its language model knows the table by heart; ``None`` where
            that was not tested.
    """

    label: str
    facts: DatasetFacts
    rows_requested: int
    repeats: int
    outcomes: dict[str, dict[str, int]]
    means: dict[str, dict[str, float]]
    memorised: dict[str, bool | None]


@dataclass(frozen=True)
class Failure:
    """Cells that gave no table, or values that are missing, alike in all but their seed.

    Attributes:
        generator: its label, or those of several.
        dataset: its label.
        metric: the metric without a value; empty for a cell without a table.
        status, phase, message: why.
        count: number of cells.
    """

    generator: str
    dataset: str
    metric: str
    status: str
    phase: str
    message: str
    count: int


@dataclass(frozen=True)
class Standing:
    """Where a generator stands among those that it is compared with, over datasets.

    Attributes:
        mean_rank: 1 is best.
        win_rate: share of its comparisons with the others, dataset by dataset, that it wins.
        elo, elo_low, elo_high: its strength in points around 1,000, with a 95 % interval where there is one.
        improvability: share of its distance from the ceiling that it would save, were it the best on every dataset.
        group: number of its rank group, from 1.
    """

    mean_rank: float
    win_rate: float
    elo: float
    elo_low: float | None
    elo_high: float | None
    improvability: float
    group: int


class Repeat(NamedTuple):
    """One record of a generator on a dataset.

    Attributes:
        id: of the cell.
        split_seed, seed: what tells it from the other repeats: the seed of the split, if the protocol has one, and
            that of the cell.
        status, phase, message: how it ended.
        rows: of the synthetic table, 0 without one.
        seconds: wall clock of all its phases.
        peak_memory_mb: what its process grew by, where that was measured.
        digest: of the record's text; empty for a record that was never sealed.
        origin: path of the record's file, or the record itself where it came from no file.
    """

    id: str
    split_seed: str
    seed: int
    status: str
    phase: str
    message: str
    rows: int
    seconds: float
    peak_memory_mb: float | None
    digest: str
    origin: str | Record

    @property
    def source(self) -> Path | Record:
        """The record's file, or the record itself where it came from no file."""
        return Path(self.origin) if isinstance(self.origin, str) else self.origin


@dataclass(frozen=True)
class Imputed:
    """A family's score if every missing cell counted as its floor.

    Attributes:
        score: over all cells where anybody has a score.
        rate: share of these cells that were missing.
    """

    score: Score
    rate: float


@dataclass(frozen=True)
class FamilyScores:
    """All ranked metrics of a family as one score, or what generators cost.

    Attributes:
        column: the score as a column of the board.
        aspects: names of its metrics, by the aspect that they belong to.
        floor, ceiling: what 0 and 1 stand for; empty where the score is no place between them.
        scores: by generator label.
        by_dataset: by generator label and dataset label, where it has a value.
        covered: by generator label and dataset label, on how many cells it has a score, and how many count there.
        imputed: by label of every competitor, complete or not; empty where the score has no floor.
        at_floor: by generator label, the share of its metrics and cells that count as the floor because the metric does
            not apply to what it made.
        standings: by generator label, of those that are compared, the best mean rank first.
        pairwise: by two of these labels, the p value of their difference over datasets, corrected for all pairs.
        friedman: whether any of them differs from the others; ``None`` where there are too few.
    """

    column: Column
    aspects: dict[str, tuple[str, ...]]
    floor: str
    ceiling: str
    scores: dict[str, Score]
    by_dataset: dict[str, dict[str, float]]
    covered: dict[str, dict[str, tuple[int, int]]]
    imputed: dict[str, Imputed]
    at_floor: dict[str, float]
    standings: dict[str, Standing]
    pairwise: dict[tuple[str, str], float]
    friedman: Friedman | None


LEADING_FAMILIES = ("fidelity", "utility", "privacy", "cost")


@dataclass(frozen=True)
class Section:
    """All records of one protocol: nothing is compared across sections.

    Attributes:
        name: names of the protocol.
        track, protocol: what the records have in common.
        cells: number of dataset x seed cells that count.
        uncounted: cells tried, but by too few competitors or finished by none.
        counted_datasets: datasets with a cell that counts.
        columns, rows, datasets: the tables.
        families: what the columns come to, family by family.
        failures: cells without a table.
        holes: values missing from cells that have a table, or ruled out by their metric's card.
        contamination: what every language model knows of every table that a generator asked it for.
        memory_card: of the metric behind it, if any record carries one.
        embedded: names of the embedded language models that wrote rows.
    """

    name: str
    track: str
    protocol: dict[str, Any]
    cells: int
    uncounted: int
    counted_datasets: int
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    datasets: tuple[DatasetTable, ...]
    families: tuple[FamilyScores, ...]
    failures: tuple[Failure, ...]
    holes: tuple[Failure, ...]
    contamination: tuple[Contamination, ...]
    memory_card: MetricCard | None
    embedded: tuple[str, ...]

    def of_kind(self, kind: Kind) -> list[Row]:
        """The rows of one kind, in order."""
        return [row for row in self.rows if row.kind == kind]

    def headlines(self) -> list[tuple[Column, dict[str, Score]]]:
        """The columns of a short table, with their scores by generator label: of the families, and the cost.

        Where no family has a score: of each family the first metric that is ranked, and of cost all that are seconds.
        """
        if any(family.floor for family in self.families):
            return [(family.column, family.scores) for family in self.families]
        leading: list[Column] = []
        for name in LEADING_FAMILIES:
            ranked = [c for c in self.columns if c.ranked and c.card.family == name]
            leading += [c for c in ranked if c is ranked[0] or (name == "cost" and c.card.unit == "s")]
        return [(column, self.scores(column)) for column in leading]

    def scores(self, column: Column) -> dict[str, Score]:
        """The scores of all rows on one metric, by generator label."""
        return {row.label: row.scores[column.card.name] for row in self.rows}


@dataclass(frozen=True, eq=False)
class Evidence:
    """What stands behind a section, and is many times as large: single records with their values.

    Attributes:
        repeats: by generator label and dataset label every record, in order of the seeds.
        generators: labels of the rows of ``values``.
        keys: dataset label, seed of the split and seed of the columns of ``values``.
        values: by name of the section's metrics, shape ``(generators, keys)``, NaN where there is none.
        table: all measurements.
    """

    repeats: Mapping[tuple[str, str], tuple[Repeat, ...]]
    generators: tuple[str, ...]
    keys: tuple[tuple[str, str, int], ...]
    values: Mapping[str, Floats]
    table: Table


@dataclass(frozen=True)
class Board:
    """Everything that is printed.

    Attributes:
        sections: one per protocol, the largest first.
        evidence: of each of them.
        records, generators, datasets, seeds: how many there are.
        statuses: number of records by status.
        draws, seed: of the bootstrap.
        left_out: why each record is left out that cannot be shown beside others.
        software: package to the versions that the records name.
        cited: figures from papers, which are compared with nothing.
    """

    sections: tuple[Section, ...]
    evidence: tuple[Evidence, ...] = field(repr=False, compare=False)
    records: int
    generators: int
    datasets: int
    seeds: int
    statuses: dict[str, int]
    draws: int
    seed: int
    left_out: tuple[str, ...] = ()
    software: dict[str, tuple[str, ...]] = field(default_factory=dict)
    cited: tuple[CitedTable, ...] = ()
