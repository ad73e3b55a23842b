"""Who is ahead, over datasets, and whether that is more than luck. Pure functions of arrays.

All take losses: numbers that are small where a generator is good, seeds averaged within a dataset, of shape
``(generators, datasets)`` and without NaN. What rests on order alone (ranks, wins, Elo) does not depend on the scale.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from .distributions import chi_squared_tail, studentized_range_quantile, sums_of_ranks, two_sided

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    Ints = npt.NDArray[np.intp]
    Bools = npt.NDArray[np.bool_]

ALPHA = 0.05
DIGITS = 12  # losses that differ beyond them differ by the order of summation
ELO_MEAN, ELO_SCALE = 1000.0, 400 / np.log(10)  # a lead of 400 points stands for ten wins to one defeat
# Half a win on either side of every pair: a generator that always wins would lie infinitely far ahead otherwise.
VIRTUAL_WINS = 0.5
DRAWS_AT_ONCE = 5  # which a processor's cache holds with 100 generators
# The error is about the square of the last step, by which the search has closed in.
NEWTON_STEPS, LONGEST_STEP, CLOSE = 100, 2.0, 1e-6
# Up to so many datasets p values of Wilcoxon's test are exact, without and with ties of differences: as scipy's are.
EXACT, EXACT_TIED = 50, 13


@dataclass(frozen=True)
class Friedman:
    """Test of whether any generator differs from the others.

    Attributes:
        statistic: chi-squared of Friedman's test, corrected for ties.
        p: its p value.
        critical_difference: by which two mean ranks must differ to be told apart at 5 % (Nemenyi).
    """

    statistic: float
    p: float
    critical_difference: float


def ranks(losses: Floats) -> Floats:
    """Rank of every generator on every dataset, 1 for the least loss; equal losses share their mean rank.

    Args:
        losses: shape ``(generators, ..., datasets)``, with any number of bootstrap draws between.

    Returns:
        The same shape.
    """
    found, _ = _ranked(np.moveaxis(np.round(losses, DIGITS), 0, -1))
    moved: Floats = np.moveaxis(found, -1, 0)
    return moved


def _ranked(values: Floats) -> tuple[Floats, Ints]:
    """Mean ranks along the last axis, and how many share each."""
    order = np.argsort(values, axis=-1)
    ordered = np.take_along_axis(values, order, axis=-1)
    begins, ends = np.ones(values.shape, bool), np.ones(values.shape, bool)
    begins[..., 1:] = ends[..., :-1] = ordered[..., 1:] != ordered[..., :-1]
    place, last = np.arange(values.shape[-1]), values.shape[-1] - 1
    first = np.maximum.accumulate(np.where(begins, place, 0), axis=-1)
    final = np.minimum.accumulate(np.where(ends, place, last)[..., ::-1], axis=-1)[..., ::-1]
    found, shared = np.empty(values.shape), np.empty(values.shape, np.intp)
    np.put_along_axis(found, order, 1 + (first + final) / 2, axis=-1)
    np.put_along_axis(shared, order, 1 + final - first, axis=-1)
    return found, shared


def win_rate(losses: Floats) -> Floats:
    """Share of its comparisons with the others that each generator wins, a tie counting half.

    Args:
        losses: shape ``(generators, ..., datasets)``, two generators or more.

    Returns:
        Shape ``(generators, ...)``.
    """
    rate: Floats = (len(losses) - ranks(losses)).sum(axis=-1) / ((len(losses) - 1) * losses.shape[-1])
    return rate


def elo(losses: Floats) -> Floats:
    """Strength of each generator by the model of Bradley and Terry (1952), in points of Elo around a mean of 1,000.

    The most likely strengths given all pairwise wins, and half a virtual win on either side of every pair, by Newton's
    method: the likelihood is concave. Each pair meets on every dataset, so that how often a generator wins in all says
    as much as whom it wins against.

    Args:
        losses: shape ``(generators, ..., datasets)``, two generators or more.

    Returns:
        Shape ``(generators, ...)``.
    """
    count, games = len(losses), losses.shape[-1] + 2 * VIRTUAL_WINS
    share = (win_rate(losses) * losses.shape[-1] + VIRTUAL_WINS) / games
    won = np.moveaxis(share, 0, -1).reshape(-1, count)
    start = _strengths(won.mean(axis=0, keepdims=True), np.zeros(count))  # near to all draws
    blocks = [_strengths(won[at : at + DRAWS_AT_ONCE], start) for at in range(0, len(won), DRAWS_AT_ONCE)]
    points: Floats = ELO_MEAN + ELO_SCALE * np.concatenate(blocks).T
    return points.reshape(share.shape)


def _strengths(won: Floats, start: Floats) -> Floats:
    """The most likely strengths by the model of Bradley and Terry, around a mean of 0, if all pairs play equally often.

    Args:
        won: share of its games that each generator wins, between 0 and 1, shape ``(draws, generators)``.
        start: strengths to start from.

    Returns:
        Shape ``(draws, generators)``.
    """
    count = won.shape[-1]
    strength = np.broadcast_to(start, won.shape)
    for _ in range(NEWTON_STEPS):
        expected = 1 / (1 + np.exp(strength[..., None, :] - strength[..., :, None]))
        # Against itself each is expected to win half a game.
        gradient = (count - 1) * won + 0.5 - expected.sum(axis=-1)
        weight = expected * (1 - expected)
        # The model knows differences alone; the added constant holds their mean at 0.
        curvature = weight.sum(axis=-1)[..., None] * np.eye(count) - weight + 1 / count
        step = np.linalg.solve(curvature, gradient[..., None])[..., 0]
        strength = strength + np.clip(step, -LONGEST_STEP, LONGEST_STEP)
        if np.abs(step).max() < CLOSE:
            break
    strength -= strength.mean(axis=-1, keepdims=True)
    return strength


def improvability(losses: Floats) -> Floats:
    """By which share of its loss a generator could still improve, were it the best on every dataset.

    The mean over datasets of (loss - least loss) / loss, 0 where a loss is 0: TabArena (Erickson et al. 2025).

    Args:
        losses: distances from the ideal, none below 0.

    Returns:
        Shape ``(generators,)``, 0 to 1.
    """
    gap = losses - losses.min(axis=0)
    share: Floats = np.divide(gap, losses, out=np.zeros_like(losses), where=losses > 0).mean(axis=1)
    return share


def friedman(losses: Floats) -> Friedman | None:
    """Friedman's test over datasets, with the critical difference of Nemenyi's (Demšar 2006).

    Returns:
        ``None`` with fewer than three generators or two datasets.
    """
    count, datasets = losses.shape
    if count < 3 or datasets < 2:
        return None
    quantile = studentized_range_quantile(1 - ALPHA, count) / np.sqrt(2)
    difference = float(quantile * np.sqrt(count * (count + 1) / (6 * datasets)))
    off = ranks(losses) - (count + 1) / 2
    if not off.any():  # every dataset a tie of all: the statistic is 0 / 0
        return Friedman(0.0, 1.0, difference)
    statistic = float((count - 1) * (off.sum(axis=1) ** 2).sum() / (off**2).sum())
    return Friedman(statistic, chi_squared_tail(statistic, count - 1), difference)


def wilcoxon(losses: Floats) -> Floats:
    """P values of Wilcoxon's signed-rank test for every pair of generators, two-sided, not corrected.

    Datasets on which two are equal are left out first, as by Wilcoxon himself. Over few datasets p values are exact,
    over many by the normal distribution, with its correction for ties and none for continuity.

    Returns:
        Shape ``(generators, generators)``, symmetric, 1 on the diagonal and where two never differ.
    """
    found = np.ones((len(losses), len(losses)))
    for g in range(len(losses) - 1):
        found[g, g + 1 :] = found[g + 1 :, g] = _signed_ranks(np.round(losses[g] - losses[g + 1 :], DIGITS))
    return found


def _signed_ranks(difference: Floats) -> Floats:
    """P values of Wilcoxon's signed-rank test.

    Args:
        difference: shape ``(pairs, datasets)``.

    Returns:
        Shape ``(pairs,)``.
    """
    differs = difference != 0
    known = differs.sum(axis=1)
    among_all, shared = _ranked(np.abs(difference))
    order = np.where(differs, among_all - (~differs).sum(axis=1)[:, None], 0)  # zeros are the least of all
    positive = np.where(difference > 0, order, 0).sum(axis=1)
    ties = np.where(differs, shared**2 - 1, 0).sum(axis=1)  # the sum of t³ - t over all ties of t differences
    p = np.ones(len(difference))
    exact = known <= np.where(ties == 0, EXACT, EXACT_TIED)
    n = known[~exact]
    deviation = np.sqrt((n * (n + 1) * (2 * n + 1) - ties[~exact] / 2) / 24)
    p[~exact] = two_sided((positive[~exact] - n * (n + 1) / 4) / deviation)
    doubled = np.sort(2 * order[exact], axis=1).astype(int)  # whole numbers, of mean ranks too
    alike, which = np.unique(doubled, axis=0, return_inverse=True)
    for number, pattern in enumerate(alike):
        below = sums_of_ranks(tuple(pattern[pattern > 0].tolist()))
        rows = np.flatnonzero(exact)[which == number]
        reached = (2 * positive[rows]).astype(int)
        p[rows] = np.minimum(1, 2 * below[np.minimum(reached, len(below) - 1 - reached)])
    return p


def holm(p: Floats) -> Floats:
    """P values corrected by Holm (1979) for the number of pairs.

    Args:
        p: symmetric, shape ``(generators, generators)``; the diagonal is left as it is.
    """
    pairs = np.triu_indices(len(p), 1)
    given = p[pairs]
    order = np.argsort(given, kind="stable")
    stepped = np.maximum.accumulate(given[order] * np.arange(len(given), 0, -1))
    corrected = p.copy()
    found = np.empty_like(given)
    found[order] = np.minimum(stepped, 1.0)
    corrected[pairs] = found
    corrected.T[pairs] = found
    return corrected


def differ(losses: Floats) -> Bools:
    """Which generators can be told apart over datasets, at 5 %.

    By Friedman's test, and if that says that any differ, by Nemenyi's critical difference of their mean ranks; two
    generators by Wilcoxon's test.

    Returns:
        Shape ``(generators, generators)``, symmetric.
    """
    if len(losses) == 2:
        return wilcoxon(losses) < ALPHA
    tested = friedman(losses)
    if tested is None or not tested.p < ALPHA:
        return np.zeros((len(losses), len(losses)), bool)
    means = ranks(losses).mean(axis=1)
    apart: Bools = np.abs(means[:, None] - means) > tested.critical_difference
    return apart


def groups(mean_ranks: Floats, apart: Bools) -> Ints:
    """Rank groups: who cannot be told from the first of a group belongs to it.

    Args:
        mean_ranks: shape ``(generators,)``.
        apart: which can be told apart, shape ``(generators, generators)``.

    Returns:
        Number of each generator's group, from 1, shape ``(generators,)``. Going down the mean ranks, a group begins
        with the first generator that differs from the first of the group before it: the last of a group may well be
        alike to the first of the next.
    """
    found = np.zeros(len(mean_ranks), np.intp)
    first, number = -1, 0
    for g in np.argsort(mean_ranks, kind="stable"):
        if first < 0 or apart[first, g]:
            first, number = g, number + 1
        found[g] = number
    return found


def cliques(mean_ranks: Floats, critical_difference: float) -> list[tuple[int, int]]:
    """The bars of a critical-difference diagram: the largest runs of generators that are not told apart.

    Returns:
        Positions of the first and the last of each run in the order of the mean ranks; runs of one are left out.
    """
    ordered = np.sort(mean_ranks)
    ends = np.searchsorted(ordered, ordered + critical_difference, side="left") - 1
    runs = [(first, int(last)) for first, last in enumerate(np.maximum(ends, np.arange(len(ends)))) if last > first]
    return [run for n, run in enumerate(runs) if n == 0 or run[1] > runs[n - 1][1]]
