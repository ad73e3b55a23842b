"""What is wrong with a record by itself: texts, numbers and measurements that no record of ours would hold."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..results.record import USABLE, Artifact, Measurement, MetricCard, Phase, Record, Status

MAX_TEXT = 4000  # characters of any text in a record
MAX_NAME = 200
MARKUP = frozenset("<>&/\\")
LARGEST = 2.0**53  # a number of rows, bytes or seconds beyond it is none
SHA256 = re.compile(r"[0-9a-f]{64}")


def wrong_texts(record: Record) -> Iterator[str]:
    """Texts that are none to print, or names that are none."""
    names = {
        "dataset": record.dataset.name,
        "generator": record.generator.name,
        "protocol": record.protocol,
        **{f"metric {m.metric!r:.40}": m.metric for m in record.measurements},
        **{f"variant of {m.metric!r:.40}": m.variant for m in record.measurements},
    }
    for what, name in names.items():
        if len(name) > MAX_NAME or not name.isprintable() or MARKUP & set(name) or name.startswith("."):
            yield (
                f"its {what} has the name {name!r:.60}: a name is short and has none of {' '.join(sorted(MARKUP))}, "
                "nor control characters; choose another with generator.name= or in the card, and run it again"
            )
    for where, text in _texts(record.model_dump(mode="json", exclude={"cards"}), ""):
        if len(text) > MAX_TEXT:
            yield f"holds {len(text):,} characters of text at {where:.80}: {MAX_TEXT:,} are more than any needs"
            return
        if not (text.isprintable() or all(c.isprintable() or c in "\n\t" for c in text)):
            yield f"holds control characters at {where:.80}: {text!r:.60}; take them out where they were made"
            return


def _texts(value: Any, where: str) -> Iterator[tuple[str, str]]:
    """All texts within JSON values, keys among them, with the place of each."""
    if isinstance(value, str):
        yield where, value
    elif isinstance(value, Mapping):
        for key, within in value.items():
            yield where, key
            yield from _texts(within, f"{where}.{key:.40}".lstrip("."))
    elif isinstance(value, Sequence):
        for within in value:
            yield from _texts(within, where)


def wrong_numbers(record: Record) -> Iterator[str]:
    """Counts, times and sizes that contradict each other, or that nothing has."""
    dataset, artifact = record.dataset, record.artifact
    counts: dict[str, float | None] = {
        "rows_requested": record.rows_requested,
        "peak_memory_mb": record.peak_memory_mb,
        **{
            f"dataset.{name}": getattr(dataset, name)
            for name in ("n_rows", "n_columns", "n_train", "n_control", "n_test")
        },
        **{f"seconds.{name}": value for name, value in record.seconds.items()},
        **{f"cpu_seconds.{name}": value for name, value in record.cpu_seconds.items()},
        **{f"limits.{name}": value for name, value in record.limits.items()},
        **{f"attachments.{a.path}.size": a.size for a in record.attachments},
    }
    for name, value in counts.items():
        if value is not None and not 0 <= value < LARGEST:
            yield f"its {name:.60} of {value:g} is out of bounds"
    if not -LARGEST < record.seed < LARGEST:
        yield "its seed is out of bounds"
    if not 0 <= dataset.missing_rate <= 1:
        yield f"its dataset.missing_rate of {dataset.missing_rate:g} is out of bounds"
    if (record.status in USABLE) != (artifact is not None) or (record.status in USABLE) != (record.phase is Phase.DONE):
        table = "a" if artifact else "no"
        yield f"its status is {record.status} in phase {record.phase}, and it has {table} table: run its cell again"
    if record.status not in USABLE and record.measurements:
        yield f"its status is {record.status}, and it has values: run its cell again"
    if artifact is not None:
        yield from _wrong_artifact(record, artifact)


def _wrong_artifact(record: Record, artifact: Artifact) -> Iterator[str]:
    full = artifact.rows == record.rows_requested
    if not 0 < artifact.rows <= record.rows_requested or full != (record.status is Status.OK):
        yield f"its table has {artifact.rows:,} of {record.rows_requested:,} rows, and its status is {record.status}"
    if not SHA256.fullmatch(artifact.sha256):
        yield "what it says of its table's hash is no SHA-256: run its cell again"
    if artifact.columns != record.dataset.n_columns:
        yield f"its table has {artifact.columns} columns, and its dataset {record.dataset.n_columns}"


def wrong_measurement(measurement: Measurement, card: MetricCard) -> Iterator[str]:
    """What is wrong with a measurement beyond its value, whose bounds every record is held to."""
    name = f"{measurement.metric} {measurement.variant}".strip()
    lower = -math.inf if card.lower is None else card.lower
    upper = math.inf if card.upper is None else card.upper
    for end in (measurement.low, measurement.high):
        if end is not None and not lower - 1e-9 <= end <= upper + 1e-9:
            yield f"the interval of its {name} ends at {end:g}, which is out of bounds"
    if measurement.low is not None and measurement.high is not None and measurement.low > measurement.high:
        yield f"the interval of its {name} ends before it starts"
    counts = {"n": measurement.n, "population": measurement.population, "seconds": measurement.seconds}
    for what, count in counts.items():
        if count is not None and not 0 <= count < LARGEST:
            yield f"the {what} of its {name}, {count:g}, is out of bounds"
    if measurement.population is not None and (measurement.n or 0) > measurement.population:
        yield f"its {name} stands on {measurement.n} of {measurement.population} rows"
    if (measurement.value is not None) != (measurement.status in USABLE):
        value = "no value" if measurement.value is None else "a value"
        yield f"its {name} has {value}, and its status is {measurement.status}"
