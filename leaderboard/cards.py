"""By which card and variant a metric is shown, and which values stand: what most records say, never one alone."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING

import pandas as pd

from ..results.record import canonical_json

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..results.record import MetricCard

OUTDATED = "outdated"
OUT_OF_RANGE = "out of range"
TOLERANCE = 1e-9
# Sums over as many cells as fit in memory stay finite below it: the largest double is 1.8e308.
LARGEST = 1e300
PREFERRED = ("", "mean")
JUDGED_BY = ("metric", "version", "card", "value")


def shown_cards(values: pd.DataFrame) -> dict[str, MetricCard]:
    """Of every metric the card that most records carry; of equally many the newest, then the last by its JSON.

    Args:
        values: a frame, see :func:`synthward.leaderboard.frame.frame`.
    """
    measured = values[values["metric"] != ""].drop_duplicates(["id", "metric"])
    carried: dict[str, Counter[MetricCard]] = defaultdict(Counter)
    for metric, card in zip(measured["metric"], measured["card"], strict=True):
        carried[metric][card] += 1
    return {
        metric: max(count, key=lambda c: (count[c], c.version, canonical_json(c.model_dump(mode="json"))))
        for metric, count in carried.items()
    }


def judged(values: pd.DataFrame, cards: Mapping[str, MetricCard]) -> pd.DataFrame:
    """The same rows, but without the values that their metric's card rules out, and with the reason in their place.

    Args:
        values: a frame, see :func:`synthward.leaderboard.frame.frame`.
        cards: the card by which each metric is shown.
    """
    faults = [
        _fault(cards[metric], version, card, value) if metric else None
        for metric, version, card, value in zip(*(values[c] for c in JUDGED_BY), strict=True)
    ]
    stands = pd.Series([fault is None for fault in faults], values.index, dtype=bool)
    status, reason = ([fault[i] if fault else "" for fault in faults] for i in (0, 1))
    return values.assign(
        value=values["value"].where(stands),
        status=values["status"].where(stands, pd.Series(status, values.index)),
        reason=values["reason"].where(stands, pd.Series(reason, values.index)),
    )


def headline_variants(values: pd.DataFrame) -> dict[str, str]:
    """Of every metric with a value the variant to show: the headline of most records.

    A record's headline is the one without a variant, or else ``mean``, or else the first in its own order,
    whether or not the record has a value there: which record comes first thus decides nothing.

    Args:
        values: a frame, see :func:`judged`.
    """
    known = values[values["value"].notna()]
    exists = set(zip(known["metric"], known["variant"], strict=True))
    standing = values[values["status"] != OUTDATED]
    own: dict[tuple[str, str], list[str]] = defaultdict(list)
    for metric, record, variant in zip(standing["metric"], standing["id"], standing["variant"], strict=True):
        if (metric, variant) in exists:
            own[metric, record].append(variant)
    votes: dict[str, Counter[str]] = defaultdict(Counter)
    for (metric, _), variants in own.items():
        votes[metric][min(variants, key=_preference)] += 1
    return {metric: min(count, key=lambda v: (-count[v], _preference(v), v)) for metric, count in votes.items()}


def _preference(variant: str) -> int:
    return PREFERRED.index(variant) if variant in PREFERRED else len(PREFERRED)


def _fault(card: MetricCard, version: int, carried: MetricCard, value: float) -> tuple[str, str] | None:
    """Status and reason of a measurement whose value does not stand.

    Args:
        card: by which the metric is shown.
        version: of the measurement.
        carried: the card in the measurement's own record.
        value: its value, NaN if it has none.
    """
    if version != card.version:
        return OUTDATED, f"scored by version {version} of the metric; the board shows version {card.version}"
    if carried != card:
        return OUTDATED, f"scored by another card of version {card.version} of the metric than most records carry"
    if abs(value) + abs(card.ideal or 0) > LARGEST:
        return OUT_OF_RANGE, f"{value} is too large to average"
    if card.lower is not None and value < card.lower - TOLERANCE:
        return OUT_OF_RANGE, f"{value} is below {card.lower}, the lower bound of the metric"
    if card.upper is not None and value > card.upper + TOLERANCE:
        return OUT_OF_RANGE, f"{value} is above {card.upper}, the upper bound of the metric"
    return None
