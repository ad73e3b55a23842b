"""Privacy, attribute disclosure: whom do the synthetic rows betray to somebody who knows some labels of a patient?"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from ..base import Evaluation, Value, best_at_zero
from ..encoding import Part, encoded, group_keys
from ..fidelity.marginals import SDMETRICS
from .risk import GIOMI, residual, success

if TYPE_CHECKING:
    from ...benchmarks.schema import TableSchema

SIDES: tuple[Part, Part] = ("train", "control")
VARIANTS = {side: f"{side}_attribution" for side in SIDES}


@best_at_zero(
    family="privacy",
    aspect="disclosure",
    definition="Correct attribution probability: of the synthetic rows with the keys of a real row, the share that has "
    "its sensitive labels; mean over the train rows whose keys occur (variant 'train_attribution'), over such control "
    "rows, which is what chance gives ('control_attribution'), and the excess of the one over the other, (train - "
    "control) / (1 - control), not below 0 ('risk'). Sensitive are the categorical columns that the schema says are, "
    "taken together, or else a class target; keys are all other categorical columns; missing is a label.",
    citation=f"{SDMETRICS}: 1 - CategoricalCAP; excess: {GIOMI}",
)
def attribute_disclosure(evaluation: Evaluation) -> list[Value]:
    """Correct attribution of sensitive labels, beside what chance gives of it."""
    schema = evaluation.schema
    sensitive = sensitive_labels(schema)
    keys = sorted(set(schema.categorical) - set(sensitive))
    if not sensitive or not keys:
        reason = "there is neither a sensitive column with labels nor a class target"
        if sensitive:
            reason = "there is no categorical column beside the sensitive ones: nothing to know a row by"
        return [Value(None, variant, reason=reason) for variant in ("risk", *VARIANTS.values())]
    rates = {side: _rate(evaluation, side, keys, sensitive) for side in SIDES}
    values = [replace(rates[side], variant=VARIANTS[side]) for side in SIDES]
    lacking = next((rate.reason for rate in values if rate.value is None), "")
    if lacking:
        return [Value(None, "risk", reason=lacking), *values]
    by_column: dict[str, float | None] = {}
    for name in sensitive:
        train, control = (_rate(evaluation, side, keys, [name]) for side in SIDES)
        by_column[name] = residual(train, control)[0]
    risk, low, high = residual(rates["train"], rates["control"])
    return [Value(risk, "risk", low=low, high=high, n=rates["train"].n, breakdown=by_column), *values]


def sensitive_labels(schema: TableSchema) -> list[str]:
    """Names of the categorical columns that the schema says are sensitive, or else of a class target; sorted."""
    declared = sorted(set(schema.sensitive) & set(schema.categorical))
    return declared or [name for name in schema.categorical if name == schema.target]


def attribution(evaluation: Evaluation, side: Part, keys: list[str], sensitive: list[str]) -> np.ndarray:
    """Of the synthetic rows with the keys of a real row, the share that has its sensitive labels.

    Args:
        evaluation: the evaluation.
        side: whose rows.
        keys: names of categorical columns, at least one.
        sensitive: likewise.

    Returns:
        Shape ``(rows of the side,)``, NaN where no synthetic row has the keys.
    """
    order = evaluation.schema.categorical
    synthetic, real = encoded(evaluation, "synthetic"), encoded(evaluation, side)
    codes = np.concatenate([synthetic.codes, real.codes]) + 1
    same_keys = group_keys([codes[:, order.index(name)] for name in keys])
    same_labels = group_keys([same_keys, *(codes[:, order.index(name)] for name in sensitive)])
    right, known = (_synthetic_rows(groups, len(synthetic)) for groups in (same_labels, same_keys))
    return np.where(known > 0, right / np.maximum(known, 1), np.nan)


def _synthetic_rows(groups: np.ndarray, synthetic: int) -> np.ndarray:
    """How many of the first ``synthetic`` rows are in the group of each row after them."""
    counts: np.ndarray = np.bincount(groups[:synthetic], minlength=int(groups.max(initial=0)) + 1)[groups[synthetic:]]
    return counts


def _rate(evaluation: Evaluation, side: Part, keys: list[str], sensitive: list[str]) -> Value:
    """Mean attribution over the rows of a side whose keys occur; the breakdown says what share of the rows that is."""
    shares = attribution(evaluation, side, keys, sensitive)
    found = shares[~np.isnan(shares)]
    if not len(found):
        return Value(None, n=0, reason=f"no {side} row has the keys of a synthetic row")
    return replace(
        success(float(found.sum()), len(found)), breakdown={"rows whose keys occur": len(found) / len(shares)}
    )
