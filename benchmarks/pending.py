"""What a recorded cell still lacks: the one place that decides whether work is left."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

from ..results.reading import PORTRAIT_NAME
from ..results.record import USABLE, Measurement, Record, Status

Retry = Literal["none", "failed", "all"]
Measure = tuple[str, int]  # name and version of a metric's card

PORTRAIT_FAILURE = "portrait"  # among a record's details: why its table could not be portrayed
FAILED = (Status.ERROR, Status.TIMEOUT, Status.OOM, Status.CRASHED)


def is_complete(
    record: Record | None, measures: Iterable[Measure], limits: Mapping[str, float], retry: Retry = "none"
) -> bool:
    """Whether running a cell would find nothing to do.

    Args:
        record: what is recorded of it.
        measures: the metrics asked for.
        limits: what the cell may use now.
        retry: ``failed`` takes failures for work left, ``all`` takes everything for it.
    """
    if record is None or wants_table(record, limits, retry):
        return False
    asked = list(measures)
    return not (unmeasured(record, asked, limits, retry) or (asked and unportrayed(record, retry)))


def wants_table(record: Record, limits: Mapping[str, float], retry: Retry = "none") -> bool:
    """Whether a recorded cell is to be generated again.

    A failure is an answer and is kept, unless a new attempt can end otherwise: the limit it broke has
    been raised since, or it lacked a library, which may be installed by now.
    """
    if retry == "all" or (retry == "failed" and record.status not in USABLE):
        return True
    if record.details.get("missing_requirement"):
        return True
    return _outgrown(record.status, record.limits, limits, "generate_seconds")


def unmeasured(
    record: Record, measures: Iterable[Measure], limits: Mapping[str, float], retry: Retry = "none"
) -> list[Measure]:
    """Which of the metrics a record lacks, has by another version, or could now have where it failed."""
    if record.status not in USABLE:
        return []

    def stands(measurement: Measurement) -> bool:
        if retry == "failed" and measurement.status in FAILED:
            return False
        return not _outgrown(measurement.status, record.limits, limits, "evaluate_seconds")

    present = {(m.metric, m.version) for m in record.measurements if stands(m)}
    return [measure for measure in measures if measure not in present]


def unportrayed(record: Record, retry: Retry = "none") -> bool:
    """Whether a record lacks the portrait that is made with its measurements: that of a public table alone.

    A portrait says more of single columns than a private table may show.
    """
    if record.status not in USABLE or record.dataset.sharing != "public":
        return False
    if any(attached.path == PORTRAIT_NAME for attached in record.attachments):
        return False
    return retry == "failed" or PORTRAIT_FAILURE not in record.details


def _outgrown(status: Status, then: Mapping[str, float], now: Mapping[str, float], seconds: str) -> bool:
    """Whether something was stopped at a limit of time or memory that has been raised since."""
    limit = {Status.TIMEOUT: seconds, Status.OOM: "memory_mb"}.get(status)
    return limit is not None and then.get(limit, 0.0) < now[limit]
