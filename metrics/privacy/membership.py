"""Privacy, membership: do the synthetic rows tell which patients the generator has seen?"""

from __future__ import annotations

import math

import numpy as np

from ..base import Evaluation, Value, metric
from ..encoding import Part
from ..sampling import drawn
from .gower import gower_spaces, nearest
from .proximity import NO_ROWS, PAIRS, TIE, comparable

SIDES: tuple[Part, Part] = ("train", "control")
NEIGHBOUR = 5  # among the test rows, whose density is to be smooth
ROWS = 10_000  # of each side at most: they give an area to within .01
DIGITS = 9  # of a score: what differs by less differs by rounding alone


@metric(
    family="privacy",
    aspect="attacks",
    direction="target",
    ideal=0.5,
    lower=0.0,
    upper=1.0,
    definition="Area under the ROC curve of an attack that tells train rows (members) from control rows by their "
    "nearness to the synthetic rows: by the Gower distance to the nearest one (variant 'distance'), or by a ratio of "
    f"nearest-neighbour densities, the distance to the test row that is the {NEIGHBOUR}th nearest over that to the "
    "nearest synthetic row (variant 'density'), which takes out that some patients are like many others. The reference "
    "`real` emits control rows, and so stands near 0 as `copy` stands at 1.",
    citation="distance: Chen et al. 2020, GAN-Leaks, CCS '20:343, after Hilprecht et al. 2019, PoPETs 2019(4):232; "
    "density: van Breugel et al. 2023, DOMIAS, AISTATS, arXiv:2302.12580; interval: DeLong et al. 1988, Biometrics "
    "44:837",
)
def membership(evaluation: Evaluation) -> list[Value]:
    """Membership inference by distance and by density."""
    variants = ("distance", "density")
    if not comparable(evaluation):
        return [Value(None, variant, reason=NO_ROWS) for variant in variants]
    to_synthetic = _distances(evaluation, "synthetic", 1)
    values = [_auc_value(evaluation, "distance", *(-distances for distances in to_synthetic))]
    if not len(evaluation.test):
        return [*values, Value(None, "density", reason="there are no test rows to compare the density with")]
    to_test = _distances(evaluation, "test", min(NEIGHBOUR, len(evaluation.test)))
    pairs = zip(to_test, to_synthetic, strict=True)
    return [*values, _auc_value(evaluation, "density", *(np.log((far + TIE) / (near + TIE)) for far, near in pairs))]


def auc(members: np.ndarray, others: np.ndarray) -> tuple[float, float]:
    """Chance that a member scores above another row, ties half, and the variance of DeLong et al. 1988.

    Args:
        members: scores of shape ``(members,)``, at least one.
        others: scores of shape ``(others,)``, at least one.

    Returns:
        Area and variance; NaN for the variance where one side has a single row.
    """
    from scipy.stats import rankdata

    ranks = rankdata(np.concatenate([members, others]))
    # Share of the other side that each row stands above.
    above = (ranks[: len(members)] - rankdata(members)) / len(others)
    above_too = (ranks[len(members) :] - rankdata(others)) / len(members)
    if min(len(members), len(others)) < 2:
        return float(above.mean()), math.nan
    return float(above.mean()), float(above.var(ddof=1) / len(members) + above_too.var(ddof=1) / len(others))


def _distances(evaluation: Evaluation, part: Part, k: int) -> list[np.ndarray]:
    """Distance of train and control rows, drawn where there are many, to the ``k``-th nearest row of a part."""
    spaces = gower_spaces(evaluation)
    # As many for both parts, so that they are the same ones.
    most = max(1, min(ROWS, PAIRS // max(len(evaluation.synthetic), len(evaluation.test))))
    return [nearest(spaces[side].take(drawn(evaluation, side, most)), spaces[part], k)[:, -1] for side in SIDES]


def _auc_value(evaluation: Evaluation, variant: str, members: np.ndarray, others: np.ndarray) -> Value:
    area, variance = auc(np.round(members, DIGITS), np.round(others, DIGITS))
    low = high = None
    if variance > 0:  # else one side is above the other in all pairs, or all rows tie: no interval is better than none
        half = 1.959963984540054 * math.sqrt(variance)
        low, high = max(0.0, area - half), min(1.0, area + half)
    n, population = len(members) + len(others), len(evaluation.train) + len(evaluation.control)
    return Value(area, variant, low=low, high=high, n=n, population=population)
