"""Distributions of the rank statistics, so that a board needs no statistics library, which takes longer to load."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

FARTHEST, STEP = 9.0, 0.05  # of a normal variable: beyond it lies 1e-19
LONGEST_RANGE, HALVINGS = 32.0, 60


def chi_squared_tail(value: float, freedom: int) -> float:
    """Probability of a chi-squared variable above a value.

    Args:
        value: 0 or more.
        freedom: degrees of freedom, 1 or more.
    """
    half = value / 2
    if half == 0:
        return 1.0
    # By parts: Q(a + 1, h) = Q(a, h) + h^a exp(-h) / gamma(a + 1), from Q(1/2, h) = erfc(sqrt(h)) or Q(0, h) = 0.
    powers = [freedom % 2 / 2 + n for n in range(freedom // 2)]
    first = math.erfc(math.sqrt(half)) if freedom % 2 else 0.0
    return first + math.fsum(math.exp(a * math.log(half) - half - math.lgamma(a + 1)) for a in powers)


@lru_cache
def studentized_range_quantile(share: float, count: int) -> float:
    """Below which the range of ``count`` independent standard normal variables lies with a probability of ``share``."""
    z: Floats = np.arange(-FARTHEST, FARTHEST, STEP, dtype=np.float64)
    density, below = np.exp(-(z**2) / 2) / math.sqrt(2 * math.pi), _normal(z)
    low, high = 0.0, LONGEST_RANGE
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        # The least of them lies at z, and the others between it and z + middle.
        reached = count * STEP * float((density * (_normal(z + middle) - below) ** (count - 1)).sum())
        low, high = (middle, high) if reached < share else (low, middle)
    return (low + high) / 2


@lru_cache
def sums_of_ranks(ranks: tuple[int, ...]) -> Floats:
    """Probability that ranks drawn each with a probability of one half sum up to at most 0, 1 and so on.

    Args:
        ranks: whole numbers above 0.
    """
    ways = np.zeros(sum(ranks) + 1)
    ways[0] = 1
    for rank in ranks:
        ways[rank:] += ways[:-rank].copy()
    below: Floats = np.cumsum(ways) / 2.0 ** len(ranks)
    return below


def two_sided(z: Floats) -> Floats:
    """Probability of a standard normal variable at least as far from 0."""
    return np.array([math.erfc(abs(one) / math.sqrt(2)) for one in z.tolist()])


def _normal(z: Floats) -> Floats:
    """Probability of a standard normal variable below each value."""
    return np.array([math.erfc(-one / math.sqrt(2)) / 2 for one in z.tolist()])
