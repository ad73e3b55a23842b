"""Privacy: are synthetic rows nearer to the train rows than to rows that the generator never saw?"""

from __future__ import annotations

import numpy as np

from .base import Evaluation, Value, metric
from .encoding import Part, encoded, row_keys
from .marginals import SDMETRICS
from .neighbours import Space, gower_spaces, near_equal, nearest
from .summary import share_value

TIE = 1e-9  # distances nearer to each other than this differ by rounding alone

# Whose rows are held against the train rows, and as which variant: control rows show what chance gives.
QUERIES: tuple[tuple[Part, str], ...] = (("synthetic", "train"), ("control", "control"))


@metric(
    family="privacy",
    direction="min",
    ideal=0.0,
    lower=0.0,
    upper=1.0,
    definition="Share of synthetic rows that equal a train row in every value, missing included (variant 'train'); "
    "beside it the share of control rows that do, which is what chance gives (variant 'control'), and the share of "
    "synthetic rows that repeat another synthetic row (variant 'within', 1 - distinct rows / rows).",
)
def duplicates(evaluation: Evaluation) -> list[Value]:
    """Exact copies of train rows, what chance gives of them, and repetition within the synthetic table."""
    keys = row_keys(evaluation)
    values = [_share(np.isin(keys[part], keys["train"]), part, variant) for part, variant in QUERIES]
    synthetic = keys["synthetic"]
    repeated = np.ones(len(synthetic), dtype=bool)
    repeated[np.unique(synthetic, return_index=True)[1]] = False
    return [*values, _share(repeated, "synthetic", "within")]


@metric(
    family="privacy",
    direction="min",
    ideal=0.0,
    lower=0.0,
    upper=1.0,
    definition="Share of synthetic rows for which a train row has the same labels, the same values missing and every "
    "number within 1 % of the synthetic one (variant 'train'), and the same share of control rows, which is what "
    "chance gives (variant 'control').",
    citation=f"{SDMETRICS}: 1 - NewRowSynthesis",
)
def near_duplicates(evaluation: Evaluation) -> list[Value]:
    """Copies of train rows within tolerance, and what chance gives of them."""
    keys = row_keys(evaluation)
    train = encoded(evaluation, "train").take(np.unique(keys["train"], return_index=True)[1])
    values = []
    for part, variant in QUERIES:
        _, first, copies = np.unique(keys[part], return_index=True, return_inverse=True)
        found = near_equal(encoded(evaluation, part).take(first), train)
        values.append(_share(found[copies], part, variant))
    return values


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


def _share(found: np.ndarray, part: Part, variant: str) -> Value:
    if not len(found):
        return Value(None, variant, reason=f"there are no {part} rows")
    return share_value(int(found.sum()), len(found), variant)


def _subsample(space: Space, size: int, seed: int) -> Space:
    """A random sample of rows without replacement that does not depend on their order."""
    if len(space.numbers) == size:
        return space
    order = np.lexsort([*space.codes.T, *space.missing.T, *space.numbers.T])
    rows = order[np.random.default_rng(seed).permutation(len(order))[:size]]
    return Space(space.numbers[rows], space.missing[rows], space.codes[rows])
