"""Privacy, copies: which synthetic rows are train rows, or nearly so, and how many would be by chance?"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..base import Evaluation, Value, best_at_zero
from ..encoding import Encoded, Part, encoded, row_keys
from ..fidelity.marginals import SDMETRICS
from ..summary import rare_share_value
from .near_equal import TOLERANCE, near_equal

# Whose rows are held against the train rows, and as which variant: control rows show what chance gives.
QUERIES: tuple[tuple[Part, str], ...] = (("synthetic", "train"), ("control", "control"))


@best_at_zero(
    family="privacy",
    aspect="copies",
    definition="Share of synthetic rows that equal a train row in every value, missing included (variant 'train'); "
    "beside it the share of control rows that do, which is what chance gives (variant 'control'), and the share of "
    "synthetic rows that repeat another synthetic row (variant 'within', 1 - distinct rows / rows).",
    version=2,
)
def duplicates(evaluation: Evaluation) -> list[Value]:
    """Exact copies of train rows, what chance gives of them, and repetition within the synthetic table."""
    keys = row_keys(evaluation)
    values = [_share(np.isin(keys[part], keys["train"]), part, variant) for part, variant in QUERIES]
    synthetic = keys["synthetic"]
    repeated = np.ones(len(synthetic), dtype=bool)
    repeated[np.unique(synthetic, return_index=True)[1]] = False
    return [*values, _share(repeated, "synthetic", "within")]


@best_at_zero(
    family="privacy",
    aspect="copies",
    definition="Share of synthetic rows for which a train row has the same labels, the same values missing and every "
    "number within 1 % of the synthetic one (variant 'train'), and the same share of control rows, which is what "
    "chance gives (variant 'control').",
    citation=f"{SDMETRICS}: 1 - NewRowSynthesis",
    version=2,
)
def near_duplicates(evaluation: Evaluation) -> list[Value]:
    """Copies of train rows within tolerance, and what chance gives of them."""
    keys = row_keys(evaluation)
    train = encoded(evaluation, "train").take(np.unique(keys["train"], return_index=True)[1])
    return [_share(_near(evaluation, part, train), part, variant) for part, variant in QUERIES]


@best_at_zero(
    family="privacy",
    aspect="copies",
    definition="Share of synthetic rows that copy one of the train rows shown to the generator as examples: the same "
    "labels, the same values missing and every number within 1 % of the synthetic one (variant 'shown'), or equal in "
    "every value (variant 'exact'); beside them the share that copies one of as many control rows, which is what "
    "chance gives (variant 'control'). Rows count as they are and as they stand in a prompt: rounded to the card's "
    "decimals, or where it gives none, to a thousandth of the range or finer.",
    version=3,
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
    return rare_share_value(int(found.sum()), len(found), variant)
