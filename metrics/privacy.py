"""Privacy: are synthetic rows nearer to the train rows than to rows that the generator never saw?"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from .base import Evaluation, Value, metric
from .encoding import Encoded, Part, encoded, row_keys
from .marginals import SDMETRICS
from .neighbours import TOLERANCE, Space, gower_spaces, near_equal, nearest
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
    return [_share(_near(evaluation, part, train), part, variant) for part, variant in QUERIES]


@metric(
    family="privacy",
    direction="min",
    ideal=0.0,
    lower=0.0,
    upper=1.0,
    definition="Share of synthetic rows that copy one of the train rows shown to the generator as examples: the same "
    "labels, the same values missing and every number within 1 % of the synthetic one (variant 'shown'), or equal in "
    "every value (variant 'exact'); beside them the share that copies one of as many control rows, which is what "
    "chance gives (variant 'control'). Rows count as they are and as they stand in a prompt: rounded to the card's "
    "decimals, or where it gives none, to a thousandth of the range or finer.",
    version=2,
)
def example_copying(evaluation: Evaluation) -> list[Value]:
    """Copies of the rows that stood in the prompt, and what chance gives of them."""
    shown = np.unique(np.array(evaluation.shown, dtype=np.int64))
    if not len(shown):
        return [Value(None, "shown", reason="no train row was shown to the generator in a prompt")]
    if shown[0] < 0 or shown[-1] >= len(evaluation.train):
        return [Value(None, "shown", reason="the shown rows are not rows of this train part")]
    rows = encoded(evaluation, "train").take(shown)
    order = _by_value(evaluation, "control")
    drawn = order[np.random.default_rng(evaluation.seed).permutation(len(order))[: len(shown)]]
    others = encoded(evaluation, "control").take(drawn)
    chance = _share(_copies(evaluation, others), "synthetic", "control")
    if len(drawn) < len(shown):
        chance = replace(chance, reason=f"there are {len(drawn)} control rows for {len(shown)} shown ones")
    found = _share(_copies(evaluation, rows), "synthetic", "shown")
    return [found, _share(_copies(evaluation, rows, 0.0), "synthetic", "exact"), chance]


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


def _copies(evaluation: Evaluation, rows: Encoded, tolerance: float = TOLERANCE) -> np.ndarray:
    """Which synthetic rows agree with one of ``rows``, as it is or as it stands in a prompt."""
    numbers = [rows.numbers[:, j].round(evaluation.schema[n].places) for j, n in enumerate(evaluation.schema.numeric)]
    written = replace(rows, numbers=np.stack(numbers, axis=1)) if numbers else rows
    found: np.ndarray = np.any([_near(evaluation, "synthetic", form, tolerance) for form in (rows, written)], axis=0)
    return found


def _near(evaluation: Evaluation, part: Part, rows: Encoded, tolerance: float = TOLERANCE) -> np.ndarray:
    """Which rows of a part agree with one of ``rows`` within the tolerance, shape ``(rows of the part,)``."""
    _, first, copies = np.unique(row_keys(evaluation)[part], return_index=True, return_inverse=True)
    found: np.ndarray = near_equal(encoded(evaluation, part).take(first), rows, tolerance)[copies]
    return found


def _by_value(evaluation: Evaluation, part: Part) -> np.ndarray:
    """Row numbers of a part in an order that depends on neither the order of its rows nor that of its columns."""
    table, schema = encoded(evaluation, part), evaluation.schema
    columns = dict(zip(schema.numeric, table.numbers.T, strict=True))
    columns |= dict(zip(schema.categorical, table.codes.T, strict=True))
    order: np.ndarray = np.lexsort([columns[name] for name in sorted(columns)])
    return order


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
