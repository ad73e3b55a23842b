"""Generators on one metric over the cells that count: means, intervals, and who is ahead."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from . import bootstrap
from .board import Column, Mark, Score

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy.typing as npt

    from ..results.record import GeneratorFacts, MetricCard
    from .board import Basis

    Floats = npt.NDArray[np.float64]
    Ints = npt.NDArray[np.intp]
    Bools = npt.NDArray[np.bool_]
    Member = tuple[int, Ints, Bools]  # of a group: number of a metric, its generators there, who is compared on it

AT_ONCE = 10  # generators; 80 MB for 100 datasets and 10,000 draws
ROWS_AT_ONCE = 50  # for which a matrix product costs little more than for one


@dataclass(frozen=True)
class Cells:
    """The cells of a section, and which generators are compared over them.

    Attributes:
        generators: labels of all generators.
        facts: of the generators.
        datasets: labels of all datasets.
        dataset: number of the dataset of each cell, shape ``(cells,)``.
        counted: whether a cell counts, shape ``(cells,)``.
        complete: which generators are competitors with a table in every cell that counts, shape ``(generators,)``.
        draws, seed: of the bootstrap.
    """

    generators: Sequence[str]
    facts: Sequence[GeneratorFacts]
    datasets: Sequence[str]
    dataset: npt.NDArray[np.intp]
    counted: Bools
    complete: Bools
    draws: int
    seed: int

    def score(self, card: MetricCard, variant: str, values: Floats) -> tuple[Column, list[Score]]:
        """Score all generators on one metric; see :meth:`score_all`."""
        (scored,) = self.score_all([(card, variant, values)])
        return scored

    def score_all(self, metrics: Sequence[tuple[MetricCard, str, Floats]]) -> list[tuple[Column, list[Score]]]:
        """Score all generators on several metrics.

        Args:
            metrics: of each its card, which of its values these are, and the values of shape ``(generators, cells)``,
                NaN where there is none.

        Returns:
            Of each metric its column, and the scores of all generators.
        """
        scored: list[tuple[Column, list[Score]]] = []
        groups: dict[bytes, list[Member]] = defaultdict(list)
        for number, (card, variant, values) in enumerate(metrics):
            known = ~np.isnan(values)
            applies = self.counted & np.isin(self.dataset, self.dataset[self.counted & known.any(axis=0)])
            n, where = int(applies.sum()), self.dataset[applies]
            full = known[:, applies].all(axis=1) & (n > 0)
            compared = full & self.complete
            column = Column(card, variant, len(np.unique(where)), bootstrap.basis(where), int(compared.sum()))
            scored.append((column, [Score(None, k=0, n=n)] * len(values)))
            if full.any():
                groups[applies.tobytes()].append((number, np.flatnonzero(full), compared))
            for g in np.flatnonzero(~full & known[:, applies].any(axis=1)):
                groups[(applies & known[g]).tobytes()].append((number, np.array([g]), compared))
        for mask, members in groups.items():  # the draws are made once for all metrics over the same cells
            cells = np.frombuffer(mask, bool)
            dataset = self.dataset[cells]
            basis = bootstrap.basis(dataset)
            draws = bootstrap.Draws(dataset, self.draws, self.seed) if basis else None
            for batch in _batches(members):
                values = np.concatenate([metrics[number][2][np.ix_(own, cells)] for number, own, _ in batch])
                means = bootstrap.by_dataset(values, dataset)
                drawn = np.empty((len(values), 0)) if draws is None else draws.means(values)
                ends = np.cumsum([len(own) for _, own, _ in batch])[:-1]
                parts = (np.split(rows, ends) for rows in (values, means, drawn))
                for (number, generators, compared), *own in zip(batch, *parts, strict=True):
                    column, by_row = scored[number]
                    scores = _scores(column, by_row[0].n, basis, compared[generators], draws, *own)
                    for g, score in zip(generators.tolist(), scores, strict=True):
                        by_row[g] = score
        return scored


def _batches(members: Sequence[Member]) -> Iterator[list[Member]]:
    """Members that have at least ``ROWS_AT_ONCE`` generators together, but for the last."""
    batch: list[Member] = []
    for member in members:
        batch.append(member)
        if sum(len(generators) for _, generators, _ in batch) >= ROWS_AT_ONCE:
            yield batch
            batch = []
    if batch:
        yield batch


def _scores(
    column: Column,
    n: int,
    basis: Basis,
    compared: Bools,
    draws: bootstrap.Draws | None,
    values: Floats,
    means: Floats,
    drawn: Floats,
) -> list[Score]:
    """Score generators that have a value in all of the same cells.

    Args:
        column: the metric.
        n: number of cells in which the metric applies.
        basis: what there is to resample in the cells that have values.
        compared: which of the generators are compared, shape ``(generators,)``.
        draws: of these cells; ``None`` where there is nothing to resample.
        values: shape ``(generators, cells)``, no NaN.
        means: their means by dataset, shape ``(generators, datasets)``.
        drawn: their means by draw, shape ``(generators, draws)``; not looked at without draws.
    """
    losses = loss(column.card, means).mean(axis=1) if column.ranked else np.zeros(len(values))
    bounds: list[tuple[float | None, float | None]] = [(None, None)] * len(values)
    marks: list[Mark] = [""] * len(values)
    if draws is not None:
        bounds = list(zip(*(ends.tolist() for ends in bootstrap.interval(drawn)), strict=True))
        if column.ranked and compared.sum() > 1:
            marks = _marks(losses, _drawn_losses(column.card, values, drawn, draws), compared)
    aims = column.ranked and column.card.direction == "target"
    distances = losses.tolist() if aims else [None] * len(values)
    return [
        Score(mean, low, high, basis, values.shape[1], n, distance, mark)
        for mean, (low, high), distance, mark in zip(means.mean(axis=1).tolist(), bounds, distances, marks, strict=True)
    ]


def _drawn_losses(card: MetricCard, values: Floats, drawn: Floats, draws: bootstrap.Draws) -> Floats:
    """Bootstrap losses, shape ``(generators, draws)``; where they are distances, a few generators at a time."""
    if card.direction != "target":
        return loss(card, drawn)
    blocks = range(0, len(values), AT_ONCE)
    parts = [loss(card, draws.by_dataset(values[at : at + AT_ONCE])).mean(axis=2) for at in blocks]
    return np.concatenate(parts)


def loss(card: MetricCard, values: Floats) -> Floats:
    """What is to be small: by direction, per dataset, so that errors of opposite sign do not cancel."""
    if card.direction == "target":
        assert card.ideal is not None
        return np.abs(values - card.ideal)
    return values if card.direction == "min" else -values


def _marks(losses: Floats, drawn: Floats, compared: Bools) -> list[Mark]:
    """Mark the best of the compared generators and those that cannot be told from it.

    Args:
        losses: shape ``(generators,)``.
        drawn: bootstrap losses, shape ``(generators, draws)``.
        compared: shape ``(generators,)``.
    """
    best = int(np.argmin(np.where(compared, losses, np.inf)))
    tied = bootstrap.tied_with(best, drawn)
    # Equal values may differ in the last bits, by the order of summation.
    equal = np.isclose(losses, losses[best], rtol=1e-12, atol=1e-15)
    return [("best" if e else "tied" if t else "") if c else "" for e, t, c in zip(equal, tied, compared, strict=True)]
