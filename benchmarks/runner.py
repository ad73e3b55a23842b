"""Runs one cell from what the store already has of it to its full record."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ..generators import missing_requirement
from ..generators.spec import without_folder
from ..metrics import get
from ..results.errors import StoppedError
from ..results.portrait import DamagedPortraitError, Portrait, divided, portrait_digest, read_portrait
from ..results.reading import PORTRAIT_NAME
from ..results.record import USABLE, Artifact, Attachment, Measurement, Phase, Record, Status
from ..results.store import LOG_NAME, TABLE_NAME, Store, full_disk_is_clear, sha256_file
from .cell import Cell, Limits
from .isolation import Exit, Worker
from .pending import PORTRAIT_FAILURE, Measure, Retry, unmeasured, unportrayed, wants_table
from .provenance import provenance
from .stages import (
    EVALUATE_PRELOAD,
    GENERATE_PRELOAD,
    MEASUREMENTS_NAME,
    OUTCOME_NAME,
    PHASE_NAME,
    read_measurements,
)

LARGEST = 1e300  # number that is taken from a generator's account: JSON has larger ones, and none means anything


def run_cell(
    cell: Cell, metrics: Sequence[str], store: Store, worker: Worker, limits: Limits, retry: Retry = "none"
) -> Record:
    """Do what is missing of a cell: its table, its measurements and portrait, all or none of them.

    Args:
        cell: what to run.
        metrics: names of the metrics to apply.
        store: where records are.
        worker: where stages run.
        limits: what a stage may use.
        retry: ``failed`` runs a cell again that has no table, and a metric that failed; ``all`` runs everything again.

    Returns:
        The cell's record as it now stands in the store. A cell that fails is a record too.

    Raises:
        StoreFullError: the disk is full.
        StoppedError: the sweep was told to stop here; what the cell lacks is found by the next run.
    """
    with store.lock(cell.id):
        record = store.recover(cell.id)
        if record is None or wants_table(record, limits.model_dump(), retry):
            record = _generate(cell, store, worker, limits)
        lacking = unmeasured(record, map(measure_of, metrics), limits.model_dump(), retry)
        portrait = bool(metrics) and unportrayed(record, retry)
        if lacking or portrait:
            names = [name for name in metrics if measure_of(name) in lacking]
            record = _evaluate(record, names, portrait, cell, store, worker, limits)
        return record


def measure_of(name: str) -> Measure:
    """Name and version of a metric's card, by the name or dotted path it is asked for."""
    card = get(name).card
    return card.name, card.version


def _job(cell: Cell) -> dict[str, Any]:
    return {
        "dataset": dict(cell.config),
        "fingerprint": cell.identity["dataset"],
        "protocol": cell.protocol.model_dump(mode="json"),
        "generator": cell.generator.model_dump(mode="json"),
        "seed": cell.seed,
        "rows": cell.rows,
    }


def _generate(cell: Cell, store: Store, worker: Worker, limits: Limits) -> Record:
    with store.workspace(cell.id) as folder:
        generator = cell.generator.build()
        generator.prepare()
        worker.preload([*GENERATE_PRELOAD, *generator.preload], cell.config)
        with full_disk_is_clear(store.root):
            ended = worker.run("generate", _job(cell), folder, limits.generate_seconds, limits.memory_mb)
            outcome = _outcome(folder, ended)
            if "stopped" in outcome:
                raise StoppedError(outcome["stopped"])
            artifact = _artifact(folder, outcome)
        record = Record(
            id=cell.id,
            identity=cell.identity,
            dataset=cell.dataset_facts(),
            generator=cell.generator_facts(),
            protocol=cell.protocol.name,
            seed=cell.seed,
            rows_requested=cell.rows,
            status=outcome["status"],
            phase=outcome["phase"],
            message=outcome["message"],
            artifact=artifact,
            attachments=_attachments(folder, outcome),
            seconds={**outcome.get("seconds", {}), "total": round(ended.seconds, 4)},
            cpu_seconds=outcome.get("cpu_seconds", {}),
            peak_memory_mb=outcome.get("peak_memory_mb", round(ended.peak_mb, 1)),
            limits=limits.model_dump(),
            details=_details(cell, outcome),
            provenance={**provenance(), "date": _today(), "config": _config(cell)},
        )
        return store.put(record, folder)


def _today() -> str:
    return datetime.now(UTC).date().isoformat()


def _outcome(folder: Path, ended: Exit) -> dict[str, Any]:
    """What the stage wrote; or, where it was killed, what can be said from outside."""
    written = folder / OUTCOME_NAME
    if ended.status is Status.OK and written.exists():
        outcome: dict[str, Any] = json.loads(written.read_text())
        return outcome
    phase = folder / PHASE_NAME
    return {
        "status": ended.status if ended.status is not Status.OK else Status.CRASHED,
        "phase": phase.read_text() if phase.exists() and phase.stat().st_size else Phase.LOAD,
        "message": ended.message or "the process ended without an outcome",
    }


def _artifact(folder: Path, outcome: Mapping[str, Any]) -> Artifact | None:
    if outcome["status"] not in USABLE:
        (folder / TABLE_NAME).unlink(missing_ok=True)
        return None
    return Artifact(
        path=TABLE_NAME,
        sha256=sha256_file(folder / TABLE_NAME),
        rows=outcome["rows"],
        columns=outcome["columns"],
    )


def _attachments(folder: Path, outcome: Mapping[str, Any]) -> tuple[Attachment, ...]:
    return tuple(_attachment(folder / name) for name in outcome.get("attachments", ()))


def _attachment(path: Path) -> Attachment:
    return Attachment(path=path.name, sha256=sha256_file(path), size=path.stat().st_size)


def _details(cell: Cell, outcome: Mapping[str, Any]) -> dict[str, Any]:
    details = dict(outcome.get("details", {}))
    if outcome["status"] == Status.UNSUPPORTED and missing_requirement(cell.generator.resolve()):
        details["missing_requirement"] = True
    return details


def _config(cell: Cell) -> dict[str, Any]:
    """The resolved configuration; the card's columns are left to the fingerprint, which covers them."""
    dataset = {key: cell.config[key] for key in ("name", "version") if key in cell.config}
    return {
        "dataset": {**dataset, "source": without_folder(cell.config.get("source") or {})},
        "generator": {"name": cell.generator.name, "_target_": cell.generator.target, **cell.generator.facts()},
        "protocol": cell.protocol.model_dump(mode="json"),
        "seed": cell.seed,
    }


def _evaluate(
    record: Record, metrics: Sequence[str], portrait: bool, cell: Cell, store: Store, worker: Worker, limits: Limits
) -> Record:
    """Apply metrics and make the portrait; what hangs or dies costs its own value alone."""
    if any("language model" in get(name).card.needs for name in metrics):
        cell.generator.build().prepare()
    worker.preload([*GENERATE_PRELOAD, *EVALUATE_PRELOAD], cell.config)
    job = {
        **_job(cell),
        "table": str(store.folder(cell.id) / TABLE_NAME),
        "shown": record.details.get("shown_rows", []),
        "costs": {
            "fit_seconds": _cost(record, Phase.FIT),
            "sample_seconds": _cost(record, Phase.SAMPLE),
            "peak_memory_mb": record.peak_memory_mb or 0.0,
        },
        "usage": _usage(record),
        "references": str(store.root / "references"),
    }
    measured: dict[str, list[Measurement]] = {}
    drawn = _portrait(store, record)
    portrait = portrait or (drawn is None and any(a.path == PORTRAIT_NAME for a in record.attachments))
    failure, stopped = "", ""
    while not stopped and ((left := [name for name in metrics if name not in measured]) or portrait):
        with store.workspace(cell.id) as folder:
            with full_disk_is_clear(store.root):
                ended = worker.run(
                    "evaluate",
                    {**job, "metrics": left, "portrait": portrait},
                    folder,
                    limits.evaluate_seconds,
                    limits.memory_mb,
                    steps=folder / MEASUREMENTS_NAME,
                )
            measured |= dict(zip(left, read_measurements(folder), strict=False))
            unfinished = [name for name in left if name not in measured]
            outcome = _outcome(folder, ended)
            stopped = outcome.get("stopped", "")
            if stopped:
                continue
            if unfinished and (folder / PHASE_NAME).exists():
                status = ended.status if ended.status is not Status.OK else Status.CRASHED
                reason = ended.message or "the metric ended its process"
                measured[unfinished[0]] = [_failed(unfinished[0], status, reason)]
            elif unfinished:  # it did not get as far as the first metric
                reason = ended.message or _last_line(folder / LOG_NAME)
                measured |= {name: [_failed(name, Status.ERROR, reason)] for name in unfinished}
            elif portrait:
                portrait = False
                if (folder / PORTRAIT_NAME).exists():
                    drawn = Portrait.model_validate_json((folder / PORTRAIT_NAME).read_bytes())
                else:
                    failure = outcome.get("unportrayed") or ended.message or _last_line(folder / LOG_NAME)
    new_cards = {get(name).card.name: get(name).card for name in measured}
    kept = [m for m in record.measurements if m.metric not in new_cards]
    new = [m for name in metrics for m in measured.get(name, ())]
    details = {key: value for key, value in record.details.items() if key != PORTRAIT_FAILURE}
    record = record.model_copy(
        update={
            "measurements": (*kept, *new),
            "cards": {**record.cards, **new_cards},
            "details": details | ({PORTRAIT_FAILURE: failure} if failure else {}),
        }
    )
    if metrics:
        evaluated = {**limits.model_dump(), "generate_seconds": record.limits["generate_seconds"]}
        record = record.model_copy(update={"limits": evaluated})
    with store.workspace(cell.id) as folder:
        if drawn is not None:
            record = attach(record, drawn, new_cards, folder)
        record = store.put(record, folder)
    if stopped:
        raise StoppedError(stopped)
    return record


def _portrait(store: Store, record: Record) -> Portrait | None:
    """The portrait that a record has, unless it is in the form of an earlier version; ``None`` if it has none."""
    try:
        return read_portrait(store.folder(record.id) / PORTRAIT_NAME, portrait_digest(record))
    except DamagedPortraitError:
        return None


def attach(record: Record, portrait: Portrait, renewed: Collection[str], folder: Path) -> Record:
    """Put a portrait beside a record, and into it what the measurements say of single columns.

    Args:
        record: with all its measurements.
        portrait: of its table, with the breakdowns of measurements that were parted from theirs before.
        renewed: names of the metrics that were measured since.
        folder: where to write it, for the store to take from.
    """
    measurements, parts = divided(record.measurements, record.cards)
    path = folder / PORTRAIT_NAME
    with full_disk_is_clear(folder):
        path.write_text(portrait.with_breakdowns(parts, {*renewed, *(p.metric for p in parts)}).to_json(), "utf-8")
    others = [a for a in record.attachments if a.path != PORTRAIT_NAME]
    return record.model_copy(update={"measurements": measurements, "attachments": (*others, _attachment(path))})


def _cost(record: Record, phase: Phase) -> float:
    """Processor seconds of a phase, those of a model server on this machine included."""
    served = record.details.get("served_seconds", {}).get(phase.value, 0.0)
    return record.cpu_seconds.get(phase.value, 0.0) + float(served)


def _usage(record: Record) -> dict[str, float | None] | None:
    """What the generator says that it asked a language model; ``None`` if it asked none.

    The account is the generator's own: what is no number of at least 0 counts as not said.
    """
    account = record.details.get("llm")
    if not isinstance(account, dict):
        return None
    paid = account["paid"] if isinstance(account.get("paid"), dict) else {}
    said = {name: account.get(name) for name in ("calls", "prompt_tokens", "completion_tokens", "cost_usd")}
    said["cached_tokens"] = paid.get("cached_tokens")
    return {name: _said(number) for name, number in said.items()}


def _said(number: Any) -> float | None:
    told = isinstance(number, int | float) and not isinstance(number, bool) and 0 <= number < LARGEST
    return float(number) if told else None


def _failed(name: str, status: Status, reason: str) -> Measurement:
    card = get(name).card
    return Measurement(metric=card.name, version=card.version, status=status, reason=reason)


def _last_line(log: Path) -> str:
    lines = log.read_text(errors="replace").strip().splitlines() if log.exists() else []
    return lines[-1][:300] if lines else ""
