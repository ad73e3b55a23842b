"""Means, intervals and ties over a grid of datasets and seeds. Pure functions of arrays."""

from __future__ import annotations

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


def resample(values: Floats, dataset: Ints, draws: int, seed: int) -> Floats:
    """Draw datasets with replacement and, within each drawn dataset, seeds with replacement.

    All generators share the draws, so that differences between them are paired.

    Args:
        values: shape ``(generators, cells)``, no NaN.
        dataset: the dataset of each cell, shape ``(cells,)``.
        draws: number of bootstrap samples.
        seed: seed of the draws.

    Returns:
        Means over seeds, shape ``(generators, draws, datasets drawn)``.
    """
    rng = np.random.default_rng(seed)
    names = np.unique(dataset)
    drawn = rng.integers(0, len(names), (draws, len(names)))
    means = np.empty((len(values), *drawn.shape))
    for d, name in enumerate(names):
        here = drawn == d
        cells = values[:, dataset == name]
        seeds = rng.integers(0, cells.shape[1], (int(here.sum()), cells.shape[1]))
        means[:, here] = cells[:, seeds].mean(axis=2)
    return means


def interval(means: Floats) -> tuple[Floats, Floats]:
    """Percentile interval of bootstrap means.

    Args:
        means: shape ``(generators, draws)``.

    Returns:
        Lower and upper bounds, each of shape ``(generators,)``.
    """
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(means, [tail, 1 - tail], axis=1)
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
