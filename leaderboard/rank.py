"""Who is ahead, over datasets, and whether that is more than luck. Pure functions of arrays.

All take losses: numbers that are small where a generator is good, seeds averaged within a dataset, of shape
``(generators, datasets)`` and without NaN. What rests on order alone (ranks, wins, Elo) does not depend on the scale.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

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
AT_ONCE = 50  # pairs tested at a time: of few datasets with ties the library goes through all signs of each


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
    from scipy.stats import rankdata

    found: Floats = rankdata(np.round(losses, DIGITS), axis=0)
    return found


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
    from scipy.stats import friedmanchisquare, studentized_range

    count, datasets = losses.shape
    if count < 3 or datasets < 2:
        return None
    order = ranks(losses)
    quantile = float(studentized_range.ppf(1 - ALPHA, count, np.inf)) / np.sqrt(2)
    difference = float(quantile * np.sqrt(count * (count + 1) / (6 * datasets)))
    if (order == order[0]).all():  # every dataset a tie of all: the statistic is 0 / 0
        return Friedman(0.0, 1.0, difference)
    tested = friedmanchisquare(*order)
    return Friedman(float(tested.statistic), float(tested.pvalue), difference)


def wilcoxon(losses: Floats) -> Floats:
    """P values of Wilcoxon's signed-rank test for every pair of generators, two-sided, not corrected.

    Datasets on which two are equal are left out first, as by Wilcoxon himself: few datasets get exact p values then.

    Returns:
        Shape ``(generators, generators)``, symmetric, 1 on the diagonal and where two never differ.
    """
    from scipy.stats import wilcoxon as signed_ranks

    pairs = np.triu_indices(len(losses), 1)
    difference = np.round(losses[pairs[0]] - losses[pairs[1]], DIGITS)
    known = (difference != 0).sum(axis=1)
    # Those that differ first. The library chooses a method for all rows that it is given, so it is given rows alike.
    difference = np.take_along_axis(difference, np.argsort(difference == 0, axis=1, kind="stable"), axis=1)
    p = np.ones(len(difference))
    for n in np.unique(known[known > 0]).tolist():
        tied = (np.diff(np.sort(np.abs(difference[:, :n]), axis=1), axis=1) == 0).any(axis=1)
        for alike in (tied, ~tied):
            rows = np.flatnonzero(alike & (known == n))
            for block in np.split(rows, range(AT_ONCE, len(rows), AT_ONCE)):
                if len(block):
                    p[block] = signed_ranks(difference[block, :n], axis=1).pvalue
    found = np.ones((len(losses), len(losses)))
    found[pairs] = p
    found.T[pairs] = p
    return found


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
