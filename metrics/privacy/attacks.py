"""Privacy, attacks: what do synthetic rows let an attacker do to train rows, and not to rows the generator never saw?

The attacks are those of Giomi et al. 2023 on the three risks that the European data protection authorities name in
their opinion on anonymisation (WP216): singling out, linkability and inference.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from ..base import Evaluation, Value, best_at_zero
from ..encoding import Part, encoded, row_keys
from ..sampling import drawn
from .attackers import Secret, guessed, inferred, linked
from .gower import Space, gower_spaces
from .proximity import NO_ROWS, comparable
from .queries import (
    Queries,
    Ranks,
    combined_values,
    extreme_and_unique_values,
    matches,
    random_conditions,
    ranked,
    singled_out,
    variance_of_difference,
)
from .risk import GIOMI, residual, risk_value, success

if TYPE_CHECKING:
    from ...benchmarks.schema import TableSchema

ATTACKS = 500  # attempts on train rows, and as many on control rows
SIDES: tuple[Part, Part] = ("train", "control")
RISK = (
    "0 if it succeeds as often on control rows, 1 if always on train rows: (attack - control) / (1 - control) of the "
    f"success rates of up to {ATTACKS} attempts each, not below 0"
)


@best_at_zero(
    family="privacy",
    aspect="attacks",
    definition="Risk that a query which finds one row alone among the synthetic rows (up to 100,000 of them) finds one "
    "row alone among the train rows: of one unique or extreme value (variant 'univariate') or of three columns of a "
    f"random synthetic row (variant 'multivariate'); {RISK}.",
    citation=GIOMI,
)
def singling_out(evaluation: Evaluation) -> list[Value]:
    """Whether synthetic rows tell which values a single patient has."""
    if not comparable(evaluation):
        return [Value(None, variant, reason=NO_ROWS) for variant in ("univariate", "multivariate")]
    ranks, rng = ranked(evaluation), np.random.default_rng(evaluation.seed)
    queries, population = extreme_and_unique_values(ranks, ATTACKS, rng)
    values = [_risk_of_queries(ranks, "univariate", queries, population, rng)]
    if len(ranks.top) < 2:
        return [*values, Value(None, "multivariate", reason="there is a single column: see the variant 'univariate'")]
    return [*values, _risk_of_queries(ranks, "multivariate", combined_values(ranks, ATTACKS, rng), None, rng)]


@best_at_zero(
    family="privacy",
    aspect="attacks",
    definition="Risk that an attacker who holds one half of the columns of a train row here and the other half there "
    "links the two, because they have the same nearest synthetic row (Gower distance, ties broken at random; the "
    f"columns are dealt alternately, numeric ones by name, then categorical ones by name); {RISK}.",
    citation=GIOMI,
)
def linkability(evaluation: Evaluation) -> Value:
    """Whether synthetic rows join what two parties know of a patient."""
    schema = evaluation.schema
    if not comparable(evaluation):
        return Value(None, reason=NO_ROWS)
    if len(schema.names) < 2:
        return Value(None, reason="there is a single column: no two halves to link")
    synthetic = gower_spaces(evaluation)["synthetic"].take(_distinct(evaluation, "synthetic"))
    shares = [linked(_targets(evaluation, side), synthetic, halves(schema)) for side in SIDES]
    attack, control = (success(float(found.sum()), len(found)) for found in shares)
    return risk_value(attack, control, 1 / len(synthetic), population=len(evaluation.train))


@best_at_zero(
    family="privacy",
    aspect="attacks",
    definition="Risk that an attacker who knows all other columns of a train row infers a secret one from the nearest "
    "synthetic row (Gower distance, ties broken at random): a label exactly, a number within 5 % of the guess; mean "
    "success over the sensitive columns and the target, or over all columns where none is declared, and the risk of "
    f"each in the breakdown; {RISK}.",
    citation=GIOMI,
)
def inference(evaluation: Evaluation) -> Value:
    """Whether synthetic rows betray a secret of a patient of whom all else is known."""
    schema = evaluation.schema
    if not comparable(evaluation):
        return Value(None, reason=NO_ROWS)
    if len(schema.names) < 2:
        return Value(None, reason="there is a single column: nothing else is known of a row")
    names = secret_columns(schema)
    sides = [_secrets(evaluation, side, names) for side in SIDES]
    synthetic = gower_spaces(evaluation)["synthetic"]
    shares = [
        inferred(_targets(evaluation, side), synthetic, secrets) for side, secrets in zip(SIDES, sides, strict=True)
    ]
    by_column = {}
    for k, name in enumerate(names):
        attack, control = (success(float(found[k].sum()), found.shape[1]) for found in shares)
        by_column[name] = residual(attack, control)[0]
    # The secrets of one target share its neighbours: an attempt is a target, and succeeds in a share of its secrets.
    attack, control = (success(float(found.mean(axis=0).sum()), found.shape[1]) for found in shares)
    baseline = float(np.mean([guessed(secret) for secret in sides[0]]))
    return risk_value(attack, control, baseline, population=len(evaluation.train), breakdown=by_column)


def halves(schema: TableSchema) -> tuple[np.ndarray, np.ndarray]:
    """Every second column, as numbered in a :class:`.gower.Space`: numeric ones by name, then categorical ones."""
    columns = np.arange(len(schema.names))
    return columns[::2], columns[1::2]


def secret_columns(schema: TableSchema) -> list[str]:
    """Names of the columns that an attacker would infer, sorted."""
    declared = {*schema.sensitive, *([schema.target] if schema.target else [])}
    return sorted(declared or schema.names)


def _targets(evaluation: Evaluation, side: Part) -> Space:
    return gower_spaces(evaluation)[side].take(drawn(evaluation, side, ATTACKS))


def _secrets(evaluation: Evaluation, side: Part, names: list[str]) -> list[Secret]:
    """The secrets of the targets of one side."""
    schema = evaluation.schema
    targets = encoded(evaluation, side).take(drawn(evaluation, side, ATTACKS))
    synthetic = encoded(evaluation, "synthetic")
    places = [*sorted(schema.numeric), *sorted(schema.categorical)]
    found = []
    for name in names:
        kind, order = ("numbers", schema.numeric) if schema[name].numeric else ("codes", schema.categorical)
        truth, guesses = (getattr(table, kind)[:, order.index(name)] for table in (targets, synthetic))
        found.append(Secret(name, places.index(name), truth, guesses))
    return found


def _distinct(evaluation: Evaluation, part: Part) -> np.ndarray:
    """Numbers of the rows of a part that repeat no earlier one."""
    return np.unique(row_keys(evaluation)[part], return_index=True)[1]


def _risk_of_queries(
    ranks: Ranks, variant: str, queries: Queries, population: int | None, rng: np.random.Generator
) -> Value:
    """The risk that queries which single out a synthetic row single out a train row."""
    if not len(queries):
        return Value(None, variant, n=0, reason="no query was found that singles out a synthetic row")
    train, control = ranks.tables["train"], ranks.tables["control"]
    counts = matches(control, queries)
    found, counted = int(np.count_nonzero(matches(train, queries) == 1)), int(np.count_nonzero(counts == 1))
    chance = singled_out(counts, control.shape[1], train.shape[1])
    guesses = random_conditions(ranks, ATTACKS, queries.columns.shape[1], rng)
    baseline = float(np.mean(matches(train, guesses) == 1))
    # anonymeter takes queries for independent, and a number that was raised to the size of train for counted.
    mean = (found + chance) / 2 / len(queries)
    independent = 2 * len(queries) * mean * (1 - mean)
    excess = variance_of_difference(ranks, queries, rng) / independent if independent else 1.0
    dependent = math.sqrt(max(1.0, excess))
    raised = max(1.0, chance / counted) if counted else 1.0
    value = risk_value(
        success(found, len(queries)),
        success(chance, len(queries)),
        baseline,
        widened=(dependent, dependent * raised),
        variant=variant,
        population=population,
    )
    if not value.reason and train.shape[1] > 2 * control.shape[1]:
        reason = "there are fewer than half as many control as train rows: what chance gives is extrapolated"
        return replace(value, reason=reason)
    return value
