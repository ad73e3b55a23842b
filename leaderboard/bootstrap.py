"""Means, intervals and ties over a grid of datasets and seeds. Pure functions of arrays."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    from .board import Basis

    Floats = npt.NDArray[np.float64]
    Ints = npt.NDArray[np.intp]

LEVEL = 0.95


def basis(dataset: Ints) -> Basis:
    """What there is to resample in cells that belong to these datasets.

    Args:
        dataset: the dataset of each cell, shape ``(cells,)``.
    """
    _, seeds = np.unique(dataset, return_counts=True)
    if len(seeds) > 1:
        return "datasets and seeds" if seeds.max() > 1 else "datasets"
    return "seeds only" if len(seeds) and seeds[0] > 1 else ""


def by_dataset(values: Floats, dataset: Ints) -> Floats:
    """Average the seeds of each dataset.

    Args:
        values: shape ``(generators, cells)``, no NaN.
        dataset: the dataset of each cell, shape ``(cells,)``.

    Returns:
        Shape ``(generators, datasets)``, in ascending order of the dataset's number.
    """
    return np.stack([values[:, dataset == d].mean(axis=1) for d in np.unique(dataset)], axis=1)


def known_by_dataset(values: Floats, dataset: Ints, datasets: int) -> Floats:
    """Average the known values of each dataset.

    Args:
        values: shape ``(generators, cells)``, NaN where there is none.
        dataset: the dataset of each cell, shape ``(cells,)``.
        datasets: number of datasets.

    Returns:
        Shape ``(generators, datasets)``, NaN where there is none.
    """
    found = np.full((len(values), datasets), np.nan)
    for d in range(datasets):
        own = values[:, dataset == d]
        known = ~np.isnan(own)
        np.divide(np.where(known, own, 0).sum(axis=1), known.sum(axis=1), out=found[:, d], where=known.any(axis=1))
    return found


class Draws:
    """Datasets drawn with replacement and, within each drawn dataset, seeds with replacement.

    All generators, and all metrics over the same cells, share the draws, so that differences between them are paired.

    Args:
        dataset: the dataset of each cell, shape ``(cells,)``.
        draws: number of bootstrap samples.
        seed: seed of the draws.
    """

    def __init__(self, dataset: Ints, draws: int, seed: int) -> None:
        rng = np.random.default_rng(seed)
        names = np.unique(dataset)
        drawn = rng.integers(0, len(names), (draws, len(names)))
        self._shape = drawn.shape
        self._cells = [np.flatnonzero(dataset == name) for name in names]
        times = np.bincount(drawn.ravel(), minlength=len(names))
        # Of each dataset the flat numbers of the draws and places in which it was drawn, and the seeds drawn there.
        small = drawn.astype(np.min_scalar_type(len(names)))  # of 8 or 16 bits, which numpy sorts by radix
        self._where = np.split(np.argsort(small, axis=None, kind="stable"), np.cumsum(times)[:-1])
        self._seeds = [rng.integers(0, len(c), (t, len(c))) for t, c in zip(times, self._cells, strict=True)]

    @cached_property
    def _weights(self) -> Floats:
        """What each cell weighs in each draw, shape ``(cells, draws)``."""
        draws, datasets = self._shape
        weights = np.empty((sum(map(len, self._cells)), draws))
        for cells, where, seeds in zip(self._cells, self._where, self._seeds, strict=True):
            at = seeds * draws + (where // datasets)[:, None]
            counts = np.bincount(at.ravel(), minlength=len(cells) * draws).reshape(len(cells), draws)
            weights[cells] = counts / (len(cells) * datasets)
        return weights

    @cached_property
    def _shares(self) -> list[Floats]:
        """Of each dataset, how often each seed was drawn as a share, shape ``(times drawn, seeds)``."""
        shares = []
        for cells, seeds in zip(self._cells, self._seeds, strict=True):
            at = seeds + len(cells) * np.arange(len(seeds))[:, None]
            shares.append(np.bincount(at.ravel(), minlength=seeds.size).reshape(seeds.shape) / len(cells))
        return shares

    def means(self, values: Floats) -> Floats:
        """Means over datasets.

        Args:
            values: shape ``(generators, cells)``, no NaN.

        Returns:
            Shape ``(generators, draws)``.
        """
        found: Floats = values @ self._weights
        return found

    def by_dataset(self, values: Floats) -> Floats:
        """Means over the seeds of each drawn dataset.

        Args:
            values: shape ``(generators, cells)``, no NaN.

        Returns:
            Shape ``(generators, draws, datasets drawn)``.
        """
        draws, datasets = self._shape
        means = np.empty((len(values), draws * datasets))
        for cells, where, shares in zip(self._cells, self._where, self._shares, strict=True):
            means[:, where] = values[:, cells] @ shares.T
        return means.reshape(len(values), draws, datasets)


def interval(means: Floats) -> tuple[Floats, Floats]:
    """Percentile interval of bootstrap means.

    Args:
        means: shape ``(generators, draws)``.

    Returns:
        Lower and upper bounds, each of shape ``(generators,)``.
    """
    tail = (1 - LEVEL) / 2
    # The quantiles of numpy, which take several times as long to find as all draws take to sort.
    ordered = np.sort(means, axis=1)
    place = np.array([tail, 1 - tail]) * (means.shape[1] - 1)
    below, above = ordered[:, np.floor(place).astype(int)], ordered[:, np.ceil(place).astype(int)]
    low, high = (below + (above - below) * (place % 1)).T
    return low, high


def tied_with(best: int, losses: Floats) -> npt.NDArray[np.bool_]:
    """Which generators cannot be told from the best: the interval of the paired difference holds 0.

    Args:
        best: number of the best generator.
        losses: bootstrap losses, shape ``(generators, draws)``.

    Returns:
        Shape ``(generators,)``; true for the best itself.
    """
    low, high = interval(losses - losses[best])
    return (low <= 0) & (high >= 0)
