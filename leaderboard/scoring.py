"""Generators on one metric over the cells that count: means, intervals, and who is ahead."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from . import bootstrap
from .board import Column, Mark, Score

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from ..results.record import GeneratorFacts, MetricCard

    Floats = npt.NDArray[np.float64]
    Bools = npt.NDArray[np.bool_]


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
        """Score all generators on one metric.

        Args:
            card: the metric's card.
            variant: which of its values these are.
            values: shape ``(generators, cells)``, NaN where there is none.
        """
        known = ~np.isnan(values)
        applies = self.counted & np.isin(self.dataset, self.dataset[self.counted & known.any(axis=0)])
        n, where = int(applies.sum()), self.dataset[applies]
        full = known[:, applies].all(axis=1) & (n > 0)
        compared = full & self.complete
        column = Column(card, variant, len(np.unique(where)), bootstrap.basis(where), int(compared.sum()))
        scores = [Score(None, k=0, n=n)] * len(values)
        for g in np.flatnonzero(~full):
            own = applies & known[g]
            if own.any():
                (scores[g],) = self._scores(column, values[[g]][:, own], self.dataset[own], n, compared[[g]])
        if full.any():
            same_cells = self._scores(column, values[full][:, applies], where, n, compared[full])
            for g, score in zip(np.flatnonzero(full), same_cells, strict=True):
                scores[g] = score
        return column, scores

    def _scores(
        self, column: Column, values: Floats, dataset: npt.NDArray[np.intp], n: int, compared: Bools
    ) -> list[Score]:
        """Score generators that have a value in all of the same cells.

        Args:
            column: the metric.
            values: shape ``(generators, cells)``, no NaN.
            dataset: the dataset of each cell, shape ``(cells,)``.
            n: number of cells in which the metric applies.
            compared: which of the generators are compared, shape ``(generators,)``.
        """
        grid = bootstrap.by_dataset(values, dataset)
        basis = bootstrap.basis(dataset)
        bounds: list[tuple[float | None, float | None]] = [(None, None)] * len(values)
        marks: list[Mark] = [""] * len(values)
        if basis:
            drawn = bootstrap.resample(values, dataset, self.draws, self.seed)
            bounds = list(zip(*(ends.tolist() for ends in bootstrap.interval(drawn.mean(axis=2))), strict=True))
            if column.ranked and compared.sum() > 1:
                losses, drawn_losses = loss(column.card, grid).mean(axis=1), loss(column.card, drawn).mean(axis=2)
                marks = _marks(losses, drawn_losses, compared)
        aims = column.ranked and column.card.direction == "target"
        distances = loss(column.card, grid).mean(axis=1).tolist() if aims else [None] * len(values)
        return [
            Score(mean, low, high, basis, values.shape[1], n, distance, mark)
            for mean, (low, high), distance, mark in zip(
                grid.mean(axis=1).tolist(), bounds, distances, marks, strict=True
            )
        ]


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
