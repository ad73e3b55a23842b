"""By which card and variant a metric is shown, and which values stand: what most records say, never one alone."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from ..results.record import TOLERANCE, canonical_json

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    from ..results.decoding import Kind
    from ..results.record import MetricCard
    from .section import Values

    Bools = npt.NDArray[np.bool_]

OUTDATED = "outdated"
OUT_OF_RANGE = "out of range"
# Sums over as many cells as fit in memory stay finite below it: the largest double is 1.8e308.
LARGEST = 1e300
PREFERRED = ("", "mean")


def shown_cards(values: Values) -> dict[str, MetricCard]:
    """Of every metric the card that most records carry; of equally many the newest, then the last by its JSON."""
    shown = {}
    for metric, own in values.metrics.items():
        first = _first_of_each(values.record[own])
        carried = np.bincount(values.card[own][first])
        found = {values.cards[n]: int(carried[n]) for n in np.flatnonzero(carried).tolist()}
        shown[metric] = max(found, key=lambda c: (found[c], c.version, canonical_json(c.model_dump(mode="json"))))
    return shown


def judged(values: Values, shown: Mapping[str, MetricCard]) -> Values:
    """The same values, but for those that their metric's card rules out: these get a reason in their place.

    Args:
        values: as they were measured.
        shown: the card by which each metric is shown.
    """
    kinds = {kind: n for n, kind in enumerate(values.kinds)}
    value, kind = values.value.copy(), values.kind.copy()
    versions = np.array([version for _, version, *_ in values.kinds], object)  # of any size
    for metric, own in values.metrics.items():
        card = shown[metric]
        known = value[own]
        by_it = (versions == card.version).astype(bool)[kind[own]] & (values.card[own] == values.cards.index(card))
        with np.errstate(invalid="ignore"):
            out = np.abs(known) + abs(card.ideal or 0) > LARGEST
            if card.lower is not None:
                out |= known < card.lower - TOLERANCE
            if card.upper is not None:
                out |= known > card.upper + TOLERANCE
        for at in (own.start + np.flatnonzero(by_it & out)).tolist():
            fault = _faulty(values.kinds[kind[at]], *_out_of_range(card, float(value[at])))
            kind[at], value[at] = kinds.setdefault(fault, len(kinds)), np.nan
        where = own.start + np.flatnonzero(~by_it)
        same, which = np.unique(kind[where], return_inverse=True)
        faults = [_faulty(values.kinds[n], *_outdated(card, values.kinds[n])) for n in same.tolist()]
        kind[where] = np.array([kinds.setdefault(fault, len(kinds)) for fault in faults], np.int32)[which]
        value[where] = np.nan
    return replace(values, value=value, kind=kind, kinds=list(kinds))


def headline_variants(values: Values) -> dict[str, str]:
    """Of every metric with a value the variant to show: the headline of most records.

    A record's headline is the one without a variant, or else ``mean``, or else the first in its own order,
    whether or not the record has a value there: which record comes first thus decides nothing.

    Args:
        values: see :func:`judged`.
    """
    names: dict[str, int] = {}
    variant_of = np.array([names.setdefault(variant, len(names)) for _, _, variant, *_ in values.kinds], np.int32)
    preference = np.array([_preference(name) for name in names], np.intp)
    standing = np.array([status != OUTDATED for *_, status, _ in values.kinds], bool)
    shown = {}
    for metric, own in values.metrics.items():
        kind = values.kind[own]
        valued = np.bincount(kind[~np.isnan(values.value[own])], minlength=len(standing)) > 0
        votes = (standing & np.isin(variant_of, variant_of[valued]))[kind]
        if not votes.any():
            continue
        variant, record = variant_of[kind[votes]], values.record[own][votes]
        # Of each record the least preference, of equals the first in the record's order.
        rank = preference[variant] * len(variant) + np.arange(len(variant))
        best = np.minimum.reduceat(rank, np.flatnonzero(_first_of_each(record))) % len(variant)
        count = np.bincount(variant[best], minlength=len(names))
        found = {name: int(count[n]) for name, n in names.items() if count[n]}
        shown[metric] = min(found, key=lambda v: (-found[v], _preference(v), v))
    return shown


def _first_of_each(records: npt.NDArray[np.int32]) -> Bools:
    """Where each record begins, of records in order."""
    first = np.ones(len(records), bool)
    first[1:] = records[1:] != records[:-1]
    return first


def _preference(variant: str) -> int:
    return PREFERRED.index(variant) if variant in PREFERRED else len(PREFERRED)


def _faulty(kind: Kind, status: str, reason: str) -> Kind:
    metric, version, variant, *_ = kind
    return metric, version, variant, status, reason


def _outdated(card: MetricCard, kind: Kind) -> tuple[str, str]:
    """Status and reason of a measurement by another card than the one that is shown."""
    _, version, *_ = kind
    if version != card.version:
        return OUTDATED, f"scored by version {version} of the metric; the board shows version {card.version}"
    return OUTDATED, f"scored by another card of version {card.version} of the metric than most records carry"


def _out_of_range(card: MetricCard, value: float) -> tuple[str, str]:
    """Status and reason of a measurement whose value does not stand."""
    if abs(value) + abs(card.ideal or 0) > LARGEST:
        return OUT_OF_RANGE, f"{value} is too large to average"
    if card.lower is not None and value < card.lower - TOLERANCE:
        return OUT_OF_RANGE, f"{value} is below {card.lower}, the lower bound of the metric"
    return OUT_OF_RANGE, f"{value} is above {card.upper}, the upper bound of the metric"
