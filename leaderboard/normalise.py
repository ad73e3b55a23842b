"""Scores that can be averaged: every metric between a floor and a ceiling of its own dataset.

Pure functions of arrays. What a metric's value means depends on the dataset; how far it lies on the way from the
floor to the ceiling does not, or does so less.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    Ints = npt.NDArray[np.intp]

# A floor nearer to the ceiling than this share of the metric's range is noise, and no scale.
LEAST_SCALE = 0.05
# Beyond the ceiling there is nothing to gain; as far below the floor as the ceiling lies above it is bad enough.
LOWEST, HIGHEST = -1.0, 1.0


def scaled(losses: Floats, floor: Floats, ceiling: Floats, dataset: Ints, extent: float | None) -> Floats:
    """Losses as scores: 0 at the floor, 1 at the ceiling.

    Args:
        losses: of all generators, shape ``(generators, cells)``, NaN where there is no value.
        floor: losses of the reference that 0 stands for, shape ``(cells,)``, averaged over the cells of a dataset.
        ceiling: the same for 1.
        dataset: the dataset of each cell, shape ``(cells,)``.
        extent: the range of the metric; ``None`` where it has none, and the floor itself is taken for it.

    Returns:
        Shape ``(generators, cells)``, between -1 and 1. NaN where there is no value, and throughout a dataset that has
        no scale: where a reference lacks a value, or the floor is hardly worse than the ceiling.
    """
    scores = np.full(losses.shape, np.nan)
    for d in np.unique(dataset):
        here = dataset == d
        low, high = floor[here].mean(), ceiling[here].mean()
        if np.isfinite([low, high]).all() and low - high >= LEAST_SCALE * (abs(low) if extent is None else extent) > 0:
            scores[:, here] = np.clip((low - losses[:, here]) / (low - high), LOWEST, HIGHEST)
    return scores


def combined(scores: Sequence[Floats], scales: Sequence[npt.NDArray[np.bool_]], aspects: Sequence[str]) -> Floats:
    """One score of several metrics: aspects weigh alike, and within an aspect its metrics.

    Args:
        scores: of every metric, shape ``(generators, cells)``.
        scales: of every metric, whether it has a scale in a cell, shape ``(cells,)``.
        aspects: of every metric.

    Returns:
        Shape ``(generators, cells)``; NaN where a generator lacks a metric that has a scale there, and where none has.
    """
    parts, present = [], []
    for aspect in dict.fromkeys(aspects):
        own = [n for n, name in enumerate(aspects) if name == aspect]
        counted = np.array([scales[n] for n in own])
        total = np.where(counted[:, None], np.array([scores[n] for n in own]), 0.0).sum(axis=0)
        count = counted.sum(axis=0)
        parts.append(np.divide(total, count, out=np.zeros_like(total), where=count > 0))
        present.append(count > 0)
    weight = np.sum(present, axis=0)
    mean: Floats = np.divide(np.sum(parts, axis=0), weight, out=np.full(parts[0].shape, np.nan), where=weight > 0)
    return mean
