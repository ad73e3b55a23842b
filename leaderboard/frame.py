"""Records as one long table, and what makes two of them comparable."""

from __future__ import annotations

import math
from collections import defaultdict
from typing import TYPE_CHECKING, Any

import pandas as pd

from ..results.errors import UserError
from ..results.record import Status, canonical_json
from .naming import dataset_labels, generator_key, generator_labels, plain

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..results.record import Record

USABLE = (Status.OK, Status.PARTIAL)
MAX_MESSAGE = 300
COLUMNS = [
    *("id", "section", "dataset", "generator", "access", "seed", "cell_status", "phase", "message"),
    *("metric", "version", "variant", "value", "status", "reason"),
]


def frame(records: Iterable[Record]) -> pd.DataFrame:
    """One row per measurement; a record without measurements keeps one row, with an empty metric.

    Where two records are of the same cell, the later one in the iteration stands.

    Returns:
        Columns ``id``, ``section`` (canonical JSON of track and protocol), ``dataset`` and
        ``generator`` (labels), ``access``, ``seed``, ``cell_status``, ``phase``, ``message``, and of the
        measurement ``metric``, ``version``, ``variant``, ``value`` (NaN unless usable), ``status``, ``reason``.
    """
    kept = one_per_cell(records)
    generators = generator_labels(kept)
    datasets = {section: dataset_labels(group) for section, group in by_section(kept).items()}
    rows: list[tuple[Any, ...]] = []
    for record in kept:
        section = section_key(record)
        cell = (
            *(record.id, section, datasets[section][_dataset_key(record)]),
            *(generators[generator_key(record.generator)], record.generator.access, record.seed),
            *(str(record.status), str(record.phase), plain(record.message, MAX_MESSAGE)),
        )
        for m in record.measurements:
            usable = m.value is not None and math.isfinite(m.value) and m.status in USABLE and record.status in USABLE
            value = m.value if usable else math.nan
            rows.append((*cell, m.metric, m.version, m.variant, value, str(m.status), plain(m.reason, MAX_MESSAGE)))
        if not record.measurements:
            rows.append((*cell, "", 0, "", math.nan, "", ""))
    return pd.DataFrame(rows, columns=COLUMNS).astype({"value": float})


def protocol(record: Record) -> dict[str, Any]:
    """What the split and the number of rows follow from; a name of it changes nothing."""
    stated = record.identity.get("protocol")
    if not isinstance(stated, dict):
        raise UserError(f"record {record.id} names no protocol, so nothing says what to compare it with: run it again")
    return {key: value for key, value in stated.items() if key != "name"}


def section_key(record: Record) -> str:
    """What two records must have in common to be compared."""
    return canonical_json({"track": record.track, "protocol": protocol(record)})


def _dataset_key(record: Record) -> tuple[str, int]:
    return record.dataset.fingerprint, record.rows_requested


def by_section(records: Iterable[Record]) -> dict[str, list[Record]]:
    """Records by :func:`section_key`, in order."""
    sections: dict[str, list[Record]] = defaultdict(list)
    for record in records:
        sections[section_key(record)].append(record)
    return dict(sections)


def one_per_cell(records: Iterable[Record]) -> list[Record]:
    """The last record of every cell, so that a re-run stands for the run before it."""
    by_id = {record.id: record for record in records}
    return list(
        {(section_key(r), _dataset_key(r), generator_key(r.generator), r.seed): r for r in by_id.values()}.values()
    )
