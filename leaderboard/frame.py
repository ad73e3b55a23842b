"""Records as one long table, and what makes two of them comparable."""

from __future__ import annotations

import math
from collections import defaultdict
from typing import TYPE_CHECKING, Any

import pandas as pd

from ..results.errors import UserError
from ..results.record import USABLE, canonical_json
from .naming import dataset_labels, generator_key, generator_labels, language_models, model_labels, plain

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..results.record import Record

MAX_MESSAGE = 300
COLUMNS = [
    *("id", "section", "dataset", "sharing", "generator", "model", "access", "split_seed", "seed"),
    *("rows", "cell_status", "phase", "message"),
    *("metric", "version", "variant", "value", "status", "reason", "card", "measurement"),
]


def frame(records: Iterable[Record]) -> pd.DataFrame:
    """One row per measurement; a record without measurements keeps one row, with an empty metric.

    Where two records are of the same cell, the later one in the iteration stands.

    Returns:
        Columns ``id``, ``section`` (canonical JSON of track and protocol), ``dataset`` (label),
        ``sharing``, ``generator`` (label), ``model`` (label of its language model, or empty),
        ``access``, ``split_seed``, ``seed``, ``rows`` (of the synthetic table, or as many as were
        asked for), ``cell_status``, ``phase``, ``message``, and of the measurement ``metric``,
        ``version``, ``variant``, ``value`` (NaN unless usable), ``status``, ``reason``, ``card``,
        ``measurement`` (itself, with its interval and breakdown).
    """
    kept = one_per_cell(records)
    generators, datasets, models = generator_labels(kept), dataset_labels(kept), language_models(kept)
    names = model_labels(models.values())
    named = {key: names[model] for key, model in models.items()}
    rows: list[tuple[Any, ...]] = []
    for record in kept:
        key = generator_key(record.generator)
        cell = (
            *(record.id, section_key(record), datasets[record.dataset.fingerprint], record.dataset.sharing),
            *(generators[key], named.get(key, ""), record.generator.access, *repeat(record)),
            record.artifact.rows if record.artifact else record.rows_requested,
            *(str(record.status), str(record.phase), plain(record.message, MAX_MESSAGE)),
        )
        for m in record.measurements:
            usable = m.value is not None and math.isfinite(m.value) and m.status in USABLE and record.status in USABLE
            value = m.value if usable else math.nan
            rows.append(
                (
                    *cell,
                    m.metric,
                    m.version,
                    m.variant,
                    value,
                    str(m.status),
                    plain(m.reason, MAX_MESSAGE),
                    record.cards.get(m.metric),
                    m,
                )
            )
        if not record.measurements:
            rows.append((*cell, "", 0, "", math.nan, "", "", None, None))
    return pd.DataFrame(rows, columns=COLUMNS).astype({"value": float})


def unfit(record: Record) -> str:
    """Why a record cannot be shown beside others, in one clause; empty if it can."""
    stated = record.identity.get("protocol")
    if not isinstance(stated, dict) or not protocol(record):
        return "names no protocol, so nothing says what to compare it with: run it again"
    for m in record.measurements:
        if m.metric not in record.cards or record.cards[m.metric].name != m.metric:
            return f"measures '{m.metric}' without its card: score that cell again"
    try:
        cards = [card.model_dump() for card in record.cards.values()]
        canonical_json([record.identity, record.generator.model_dump(), cards])
    except ValueError:
        return "holds a number that is not finite"
    return ""


def protocol(record: Record) -> dict[str, Any]:
    """What the parts of the split and the number of rows follow from, without its name and its seed."""
    return {key: value for key, value in _protocol(record).items() if key not in ("name", "split_seed")}


def repeat(record: Record) -> tuple[str, int]:
    """What tells one repeat from another: the seed of the split, if the protocol has one, and that of the cell."""
    return str(_protocol(record).get("split_seed", "")), record.seed


def section_key(record: Record) -> str:
    """What two records must have in common to be compared."""
    return canonical_json({"track": record.track, "protocol": protocol(record)})


def by_section(records: Iterable[Record]) -> dict[str, list[Record]]:
    """Records by :func:`section_key`, in order."""
    sections: dict[str, list[Record]] = defaultdict(list)
    for record in records:
        sections[section_key(record)].append(record)
    return dict(sections)


def one_per_cell(records: Iterable[Record]) -> list[Record]:
    """The last record of every cell, so that a re-run stands for the run before it."""
    by_id = {record.id: record for record in records}
    cells = {(section_key(r), r.dataset.fingerprint, generator_key(r.generator), repeat(r)): r for r in by_id.values()}
    return list(cells.values())


def _protocol(record: Record) -> dict[str, Any]:
    stated = record.identity.get("protocol")
    if not isinstance(stated, dict):
        raise UserError(f"record {record.id} {unfit(record)}")
    return stated
