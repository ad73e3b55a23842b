"""The risk of a privacy attack: how much more often it succeeds on train rows than on control rows."""

from __future__ import annotations

import math
from collections.abc import Mapping

from ..base import Value
from ..summary import share_value

GIOMI = "Giomi et al. 2023, PoPETs 2023(2):312 (anonymeter)"


def risk_value(
    attack: Value,
    control: Value,
    baseline: float,
    *,
    widened: tuple[float, float] = (1.0, 1.0),
    variant: str = "",
    population: int | None = None,
    breakdown: Mapping[str, float | None] | None = None,
) -> Value:
    """The residual risk of an attack, and how often it and its rivals succeed.

    Args:
        attack: success on train rows, a value of :func:`..summary.share_value`.
        control: likewise on control rows: what the attack learns of everybody.
        baseline: success of random guesses on train rows. A reason says if the attack does no better.
        widened: see :func:`residual`.
        variant: variant of the value.
        population: train rows or queries there are, where some were drawn.
        breakdown: risks by column.
    """
    assert attack.value is not None
    assert control.value is not None
    risk, low, high = residual(attack, control, widened)
    reason = ""
    if attack.value <= baseline:
        reason = (
            f"the attack succeeds no more often than random guesses ({attack.value:.3g} against {baseline:.3g} of the "
            "attempts): it has no power here, and a low risk says little"
        )
    elif control.value == 1:
        reason = "the attack always succeeds on control rows: nothing is left that train rows could show beyond them"
    success = {"attack success": attack.value, "control success": control.value, "baseline success": baseline}
    counts = {"n": attack.n, "population": population}
    return Value(risk, variant, low=low, high=high, breakdown={**(breakdown or {}), **success}, reason=reason, **counts)


def residual(attack: Value, control: Value, widened: tuple[float, float] = (1.0, 1.0)) -> tuple[float, float, float]:
    """Residual risk with its 95 % interval, bounded to 0 to 1: (attack - control) / (1 - control).

    As in anonymeter, the rates are the centres of their Wilson intervals, and their half widths are propagated as
    errors.

    Args:
        attack: success on train rows, a value of :func:`..summary.share_value`.
        control: likewise on control rows.
        widened: factors on the errors of the attack and of control, which are those of independent attempts.
    """
    (rate, error), (chance, chance_error) = _centre(attack), _centre(control)
    risk = (rate - chance) / (1 - chance)
    spread = math.hypot(widened[0] * error, widened[1] * chance_error * (1 - rate) / (1 - chance)) / (1 - chance)
    return _bounded(risk), _bounded(risk - spread), _bounded(risk + spread)


def success(shares: float, n: int) -> Value:
    """The share of ``n`` attempts that succeed, with its interval.

    Args:
        shares: sum over the attempts of the chance to succeed, each between 0 and 1. For anything but 0 and 1 the
            interval is too wide, as if a coin decided each attempt.
        n: attempts, at least 1.
    """
    # Sums of shares may round to a little beyond the number of attempts.
    return share_value(min(max(shares, 0.0), float(n)), n)


def _centre(rate: Value) -> tuple[float, float]:
    assert rate.low is not None
    assert rate.high is not None
    return (rate.low + rate.high) / 2, (rate.high - rate.low) / 2


def _bounded(value: float) -> float:
    return min(1.0, max(0.0, value))
