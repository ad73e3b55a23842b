"""Validity: do the rows, as they were generated, obey the schema card and its clinical rules?"""

from __future__ import annotations

import numpy as np

from .base import Evaluation, Value, best_at_one
from .summary import share_value

EMPTY = "the synthetic table has no rows"


@best_at_one(
    family="validity",
    definition="Share of the rows as generated that conform to the schema card: known codes, integers where asked, "
    "values within the plausible bounds, missing values only where allowed, and all clinical rules; the breakdown "
    "gives the share of rows with each fault.",
)
def valid_rows(evaluation: Evaluation) -> Value:
    """Share of rows that conform to the schema, with the faults of the others."""
    n = len(evaluation.synthetic)
    if not n:
        return Value(None, reason=EMPTY)
    conformity = evaluation.schema.conform(evaluation.synthetic)
    faults = {reason: rows / n for reason, rows in conformity.reasons.items()}
    return share_value(int(conformity.valid.sum()), n, breakdown=faults)


@best_at_one(
    family="validity",
    definition="Share of synthetic rows that satisfy every clinical rule of the schema card; the breakdown gives the "
    "share that satisfies each rule, a row that lacks a value of the rule included.",
)
def clinical_rules(evaluation: Evaluation) -> Value:
    """Share of rows that satisfy all clinical rules, and each of them."""
    schema, synthetic = evaluation.schema, evaluation.synthetic
    n = len(synthetic)
    if not schema.rules:
        return Value(None, reason="the schema card declares no clinical rule")
    if not n:
        return Value(None, reason=EMPTY)
    satisfied = {rule.name: rule.satisfied(synthetic, schema) for rule in schema.rules}
    every = np.logical_and.reduce(list(satisfied.values()))
    return share_value(int(every.sum()), n, breakdown={name: float(rows.mean()) for name, rows in satisfied.items()})
