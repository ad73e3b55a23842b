"""Privacy, proximity: are synthetic rows nearer to the train rows than to rows that the generator never saw?"""

from __future__ import annotations

import numpy as np

from .base import Evaluation, Value, metric
from .gower import Space, gower_spaces, nearest

TIE = 1e-9  # distances nearer to each other than this differ by rounding alone


@metric(
    family="privacy",
    direction="target",
    ideal=0.5,
    lower=0.0,
    upper=1.0,
    definition="Share of synthetic rows whose nearest train row is nearer than their nearest control row, ties "
    "counted half, with as many control as train rows; Gower distance, numbers scaled by the train rows' range. "
    "The reference `real` emits control rows, and so stands at 0 as `copy` stands at 1.",
    citation="Platzer and Reutterer 2021, Frontiers in Big Data 4:679939; distance: Gower 1971, Biometrics 27:857",
    version=2,
)
def dcr_share(evaluation: Evaluation) -> Value:
    """Whether synthetic rows lie nearer to train than to control rows: above one half, the generator memorised."""
    spaces = gower_spaces(evaluation)
    size = min(len(evaluation.train), len(evaluation.control))
    if not size or not len(evaluation.synthetic):
        return Value(None, reason="there are no train, no control or no synthetic rows")
    to_train = nearest(spaces["synthetic"], _subsample(spaces["train"], size, evaluation.seed))
    to_control = nearest(spaces["synthetic"], _subsample(spaces["control"], size, evaluation.seed))
    ties = np.isclose(to_train, to_control, rtol=0, atol=TIE)
    nearer = ~ties & (to_train < to_control)
    # No interval: all synthetic rows are compared with one train and one control part, and a binomial
    # interval, which takes them for independent, is too narrow by far where many rows are drawn.
    return Value(float(nearer.sum() + ties.sum() / 2) / len(ties), n=len(ties))


def _subsample(space: Space, size: int, seed: int) -> Space:
    """A random sample of rows without replacement that does not depend on their order."""
    if len(space.numbers) == size:
        return space
    order = np.lexsort([*space.codes.T, *space.missing.T, *space.numbers.T])
    rows = order[np.random.default_rng(seed).permutation(len(order))[:size]]
    return Space(space.numbers[rows], space.missing[rows], space.codes[rows])
