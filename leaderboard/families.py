"""What the metrics of a family come to, and where each generator stands by it. Families are never merged."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from ..results.record import Family, MetricCard
from . import bootstrap, rank
from .board import Column, FamilyScores, Imputed, Mark, Score, Standing
from .naming import is_reference
from .normalise import combined, scaled
from .scoring import Cells, loss

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    Bools = npt.NDArray[np.bool_]

ELO_DRAWS = 200
IDEAL = "the ideal value"
REAL = "real"
# The reference rows between which metrics are scaled. Privacy is measured against control rows, and those are what the
# reference "real" hands out: its values say nothing, and the ceiling is the ideal value of each metric's card.
SCALES: dict[Family, tuple[str, str]] = {
    "fidelity": ("uniform", REAL),
    "utility": ("uniform", REAL),
    "privacy": ("copy", IDEAL),
}


@dataclass(frozen=True)
class _Grid:
    """What is scored as one metric: values of shape ``(generators, cells)``, and the rest as in ``FamilyScores``."""

    card: MetricCard
    values: Floats
    aspects: dict[str, tuple[str, ...]] = field(default_factory=dict)
    floor: str = ""
    ceiling: str = ""
    at_floor: dict[str, float] = field(default_factory=dict)


def family_scores(
    cells: Cells,
    columns: Sequence[Column],
    values: Mapping[str, Floats],
    undefined: Mapping[str, Bools],
    rows: Floats,
) -> list[FamilyScores]:
    """The scores of all families that have one, and the cost.

    Args:
        cells: of the section.
        columns: its metrics.
        values: by metric, shape ``(generators, cells)``, NaN where there is none.
        undefined: by metric, whether there is none because the metric does not apply to the synthetic table.
        rows: number of synthetic rows, shape ``(generators, cells)``.
    """
    found = (*(_family(cells, family, columns, values, undefined) for family in SCALES), _cost(values, rows))
    grids = [grid for grid in found if grid is not None]
    scored = cells.score_all([(grid.card, "", grid.values) for grid in grids])
    pairs = list(zip(grids, scored, strict=True))
    with ThreadPoolExecutor() as threads:  # most of the time goes to arrays, for which threads wait for nobody
        return list(threads.map(lambda pair: _compared(cells, pair[0], *pair[1]), pairs))


def _compared(cells: Cells, grid: _Grid, column: Column, by_row: Sequence[Score]) -> FamilyScores:
    """A score over datasets, and who is ahead by it if it is ranked."""
    labels = [label for g, label in enumerate(cells.generators) if cells.complete[g] and 0 < by_row[g].n == by_row[g].k]
    standings, pairwise, friedman = _standings(cells, labels if column.ranked else [], grid.values)
    marks = _marks(standings)
    return FamilyScores(
        column,
        grid.aspects,
        grid.floor,
        grid.ceiling,
        {label: s._replace(mark=marks.get(label, "")) for label, s in zip(cells.generators, by_row, strict=True)},
        _by_dataset(cells, grid.values),
        _covered(cells, grid.values),
        _imputed(cells, grid.card, grid.values) if grid.floor else {},
        grid.at_floor,
        standings,
        pairwise,
        friedman,
    )


def _family(
    cells: Cells,
    family: Family,
    columns: Sequence[Column],
    values: Mapping[str, Floats],
    undefined: Mapping[str, Bools],
) -> _Grid | None:
    """All ranked metrics of a family as one; ``None`` without a metric that has a scale."""
    floor, ceiling = SCALES[family]
    found: list[tuple[MetricCard, Floats, Bools]] = []
    at_floor, entries = np.zeros(len(cells.generators)), 0
    for card in (c.card for c in columns if c.ranked and c.card.family == family):
        score = _scaled(cells, card, values[card.name])
        lost: Bools = undefined[card.name] & ~np.isnan(score).all(axis=0)
        if ceiling == IDEAL:
            score[:, _datasets_with(cells, lost)] = np.nan
        else:
            score[lost] = 0.0
            at_floor += lost[:, cells.counted].sum(axis=1)
        scale: Bools = np.any(~np.isnan(score), axis=0)
        if scale[cells.counted].any():
            entries += int(scale[cells.counted].sum())
            found.append((card, score, scale))
    if not found:
        return None
    names = [card.aspect or card.name for card, _, _ in found]
    grid = combined([score for _, score, _ in found], [scale for _, _, scale in found], names)
    if ceiling == IDEAL:
        grid[_references(cells, REAL)] = np.nan
    whole = MetricCard(name=family, family=family, direction="max", ideal=1.0, definition=f"{family} score")
    return _Grid(
        whole,
        grid,
        {a: tuple(c.name for (c, _, _), name in zip(found, names, strict=True) if name == a) for a in names},
        floor,
        ceiling,
        {label: float(at_floor[g] / entries) for g, label in enumerate(cells.generators) if at_floor[g]},
    )


def _marks(standings: Mapping[str, Standing]) -> dict[str, Mark]:
    """Best is who has the best mean rank, tied are the others of the first rank group."""
    best = min((s.mean_rank for s in standings.values()), default=0.0)
    return {g: "best" if s.mean_rank == best else "tied" for g, s in standings.items() if s.group == 1}


def _datasets_with(cells: Cells, lost: Bools) -> Bools:
    """The cells of datasets on which a competitor lost a metric, shape ``(cells,)``.

    What says nothing of one says nothing of how it compares with the others. Only competitors that are compared have a
    voice here.
    """
    where = cells.counted & lost[cells.complete].any(axis=0)
    return np.isin(cells.dataset, cells.dataset[where])


def _scaled(cells: Cells, card: MetricCard, values: Floats) -> Floats:
    """A metric between its floor and its ceiling; see :func:`synthward.leaderboard.normalise.scaled`."""
    floor, ceiling = SCALES[card.family]
    losses = loss(card, values)
    ideal = np.full(losses.shape[1], float(loss(card, np.array(card.ideal or 0.0))))
    extent = None if card.lower is None or card.upper is None else card.upper - card.lower
    above = ideal if ceiling == IDEAL else _reference(cells, ceiling, losses)
    return scaled(losses, _reference(cells, floor, losses), above, cells.dataset, extent)


def _reference(cells: Cells, name: str, losses: Floats) -> Floats:
    """The losses of a reference row, NaN if there is none."""
    found = _references(cells, name)
    return losses[found[0]] if found else np.full(losses.shape[1], np.nan)


def _references(cells: Cells, name: str) -> list[int]:
    """Numbers of the reference rows of a name."""
    return [g for g, facts in enumerate(cells.facts) if is_reference(facts) and facts.name == name]


def _cost(values: Mapping[str, Floats], rows: Floats) -> _Grid | None:
    """Processor seconds per 1,000 rows; ``None`` where they were not measured."""
    if not {"fit_seconds", "sample_seconds"} <= set(values):
        return None
    card = MetricCard(
        name="cost",
        family="cost",
        direction="min",
        ideal=0.0,
        lower=0.0,
        unit="s per 1,000 rows",
        definition="Processor seconds of fitting and sampling for each 1,000 synthetic rows.",
        ranked=False,
    )
    seconds = values["fit_seconds"] + values["sample_seconds"]
    return _Grid(card, np.divide(1000 * seconds, rows, out=np.full(rows.shape, np.nan), where=rows > 0))


def _by_dataset(cells: Cells, grid: Floats) -> dict[str, dict[str, float]]:
    """Means over the seeds of each dataset, by generator and dataset label.

    Args:
        cells: of the section.
        grid: shape ``(generators, cells)``, NaN where there is no value.
    """
    means = bootstrap.known_by_dataset(grid, cells.dataset, len(cells.datasets)).tolist()
    return {
        label: {name: mean for name, mean in zip(cells.datasets, own, strict=True) if not math.isnan(mean)}
        for label, own in zip(cells.generators, means, strict=True)
    }


def _covered(cells: Cells, grid: Floats) -> dict[str, dict[str, tuple[int, int]]]:
    """On how many cells of each dataset a generator has a score, and how many count there."""
    where = _applies(cells, grid)
    count = np.bincount(cells.dataset[where], minlength=len(cells.datasets)).tolist()
    known = ~np.isnan(grid[:, where])
    covered = [np.bincount(cells.dataset[where][own], minlength=len(cells.datasets)).tolist() for own in known]
    return {
        label: {name: (k, n) for name, k, n in zip(cells.datasets, own, count, strict=True) if n}
        for label, own in zip(cells.generators, covered, strict=True)
    }


def _imputed(cells: Cells, whole: MetricCard, grid: Floats) -> dict[str, Imputed]:
    """The score of every competitor if its missing cells counted as the floor.

    Args:
        cells: of the section.
        whole: card of the score.
        grid: shape ``(generators, cells)``, NaN where there is no score.
    """
    where = _applies(cells, grid)
    rivals = [g for g, facts in enumerate(cells.facts) if not is_reference(facts)]
    if not rivals or not where.any():
        return {}
    filled = np.full((len(rivals), len(where)), np.nan)
    filled[:, where] = np.nan_to_num(grid[rivals][:, where], nan=0.0)
    missing = np.isnan(grid[rivals][:, where]).mean(axis=1).tolist()
    _, scores = replace(cells, complete=np.zeros(len(rivals), bool)).score(whole, "", filled)
    return {cells.generators[g]: Imputed(score, rate) for g, score, rate in zip(rivals, scores, missing, strict=True)}


def _applies(cells: Cells, grid: Floats) -> Bools:
    """The cells that count, of datasets where anybody has a score, shape ``(cells,)``."""
    where = cells.counted & ~np.isnan(grid).all(axis=0)
    return cells.counted & np.isin(cells.dataset, cells.dataset[where])


def _standings(
    cells: Cells, labels: Sequence[str], grid: Floats
) -> tuple[dict[str, Standing], dict[tuple[str, str], float], rank.Friedman | None]:
    """Compare generators over datasets.

    Args:
        cells: of the section.
        labels: of those that have a score in every cell where any has one.
        grid: scores of all, shape ``(generators, cells)``.
    """
    if len(labels) < 2:
        return {}, {}, None
    values = grid[[cells.generators.index(label) for label in labels]]
    applies = cells.counted & ~np.isnan(values).any(axis=0)
    values, dataset = values[:, applies], cells.dataset[applies]
    losses = 1 - bootstrap.by_dataset(values, dataset)
    bounds: list[tuple[float | None, float | None]] = [(None, None)] * len(labels)
    if bootstrap.basis(dataset):
        drawn = 1 - bootstrap.Draws(dataset, min(cells.draws, ELO_DRAWS), cells.seed).by_dataset(values)
        bounds = list(zip(*(ends.tolist() for ends in bootstrap.interval(rank.elo(drawn))), strict=True))
    mean_ranks = rank.ranks(losses).mean(axis=1)
    win_rate, elo, improvability = rank.win_rate(losses), rank.elo(losses), rank.improvability(losses)
    groups = rank.groups(mean_ranks, rank.differ(losses))
    standings = {
        label: Standing(
            mean_rank=float(mean_ranks[g]),
            win_rate=float(win_rate[g]),
            elo=float(elo[g]),
            elo_low=bounds[g][0],
            elo_high=bounds[g][1],
            improvability=float(improvability[g]),
            group=int(groups[g]),
        )
        for label, g in sorted(zip(labels, range(len(labels)), strict=True), key=lambda at: mean_ranks[at[1]])
    }
    p = rank.holm(rank.wilcoxon(losses)).tolist()
    pairwise = {(a, b): p[g][h] for g, a in enumerate(labels) for h, b in enumerate(labels) if g != h}
    return standings, pairwise, rank.friedman(losses)
