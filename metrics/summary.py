"""From many scores to one value: means that name what they leave out, and intervals of shares."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

from .base import Value

WORST = 10  # pairs kept in a breakdown: a record must stay small on a table of 50 columns
NAMED = 5  # columns or pairs named in a reason
# Mean of the Poisson distribution that gives 1, 2 or 3 events or more in 5 % of cases.
RARE = (0.05129329438755058, 0.35536151090068106, 0.8176914470623022)


def mean_value(
    scores: Mapping[str, float],
    noun: str,
    why: str,
    *,
    variant: str = "",
    worst: int | None = None,
    lower_is_better: bool = False,
) -> Value:
    """The mean of the defined scores, with a reason that names the undefined ones.

    Args:
        scores: score by column or pair; NaN where it is undefined.
        noun: what a score belongs to, in the plural.
        why: what makes a score undefined.
        variant: variant of the value.
        worst: keep only this many of the worst scores in the breakdown.
        lower_is_better: the highest scores are the worst.
    """
    if not scores:
        return Value(None, variant, reason=f"there are no {noun} to compare")
    defined = {k: v for k, v in scores.items() if math.isfinite(v)}
    lost = [k for k in scores if k not in defined]
    reason = ""
    if lost:
        named = ", ".join(lost[:NAMED]) + (", ..." if len(lost) > NAMED else "")
        reason = f"undefined for {len(lost)} of {len(scores)} {noun} ({why}): {named}"
    kept: dict[str, float | None] = dict(scores)
    if worst is not None:
        sign = -1 if lower_is_better else 1
        kept = {k: defined[k] for k in sorted(defined, key=lambda k: (sign * defined[k], k))[:worst]}
    if not defined:
        return Value(None, variant, n=0, breakdown=kept, reason=reason)
    return Value(math.fsum(defined.values()) / len(defined), variant, n=len(defined), breakdown=kept, reason=reason)


def share_value(
    hits: float, n: int, variant: str = "", breakdown: Mapping[str, float] | None = None, effective: float | None = None
) -> Value:
    """A share of ``n`` rows with its 95 % Wilson score interval (Wilson 1927, JASA 22).

    Args:
        hits: rows that count; a tie may count half.
        n: rows, at least 1.
        variant: variant of the value.
        breakdown: shares by reason or rule.
        effective: independent rows that are worth as much as the ``n``, where these depend on each other.
    """
    z = 1.959963984540054
    share, m = hits / n, effective or n
    centre = (share + z * z / (2 * m)) / (1 + z * z / m)
    half = z / (1 + z * z / m) * math.sqrt(share * (1 - share) / m + z * z / (4 * m * m))
    low, high = max(0.0, min(share, centre - half)), min(1.0, max(share, centre + half))
    return Value(share, variant, low=low, high=high, n=n, breakdown=dict(breakdown or {}))


def rare_share_value(hits: int, n: int, variant: str = "") -> Value:
    """A share of ``n`` rows that is near 0 as a rule.

    As :func:`share_value`, but of one to three hits the lower bound is that of the Poisson distribution (the modified
    Wilson interval of Brown, Cai and DasGupta 2001, Stat Sci 16:101): Wilson's own would miss a true share of one row
    in thousands each time that this row is among the ``n``.
    """
    value = share_value(hits, n, variant)
    return replace(value, low=RARE[hits - 1] / n) if 0 < hits <= len(RARE) and hits < n else value
