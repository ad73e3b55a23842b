"""Published records held against what comes out when their cells are measured again.

The table is taken from a store that has it, or made again from the record's identity; then it is scored in an empty
store by the runner, in a process of its own and within limits, as in a sweep.
"""

from __future__ import annotations

import math
import random
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ..generators import missing_requirement
from ..metrics.base import registry
from ..results.errors import UserError
from ..results.published import beside
from ..results.record import Measurement, Record, Status, cards_content, sha256_json
from ..results.store import TABLE_NAME, Store, sha256_file
from ..results.verified import Mark
from .catalogue import configs, waits_for_files
from .cell import Cell, Limits, plan_cell
from .installed import is_known, without_versions
from .isolation import Worker
from .provenance import provenance
from .runner import run_cell

Outcome = Literal["agrees", "disagrees", "not recomputed"]

CLOSE = 1e-9  # relative: what another order of summation may change
NOTHING = 1e-12
MOST = Limits(generate_seconds=7200, evaluate_seconds=3600, memory_mb=16384)  # whatever a record says of its own
BY_MACHINE = (Status.TIMEOUT, Status.OOM, Status.CRASHED)  # another machine may end otherwise


@dataclass(frozen=True)
class Recomputed:
    """How one record compares.

    Attributes:
        file: path of the record.
        record: itself.
        outcome: ``not recomputed`` counts as neither agreement nor fault.
        reason: why it disagrees, or was not recomputed; or what of an agreeing one was not compared.
        mark: what says that it was verified, if all of it was that can be.
    """

    file: str
    record: Record
    outcome: Outcome
    reason: str = ""
    mark: Mark | None = None


class _NotPossibleError(Exception):
    """The record cannot be recomputed here; the message says why."""


def drawn(
    records: Mapping[str, Record], count: int | None, seed: int, verified: Mapping[str, str]
) -> dict[str, Record]:
    """Draw records to recompute: first among those that are not marked as verified, so that new ones come first.

    Args:
        records: by file.
        count: how many; ``None`` for all.
        seed: of the draw.
        verified: digest by id, as marked.
    """
    rng = random.Random(seed)
    files = sorted(records)
    rng.shuffle(files)
    files.sort(key=lambda file: verified.get(records[file].id) == records[file].digest)
    return {file: records[file] for file in files[:count]}


class Recomputation:
    """Recomputes records one after the other; what is learned of a dataset's own rows is kept between them.

    Args:
        tables: a store that may hold their tables; what it lacks is made again.
    """

    def __init__(self, tables: Store | None = None) -> None:
        self._tables = tables
        self._folder = tempfile.TemporaryDirectory(prefix="synthward-validate-")
        self._store = Store(Path(self._folder.name) / "store")
        self._worker = Worker()

    def __enter__(self) -> Recomputation:
        return self

    def __exit__(self, *_: object) -> None:
        self._worker.close()
        self._folder.cleanup()

    def recompute(self, folder: Path, file: str, record: Record) -> Recomputed:
        """Measure a record's cell again and compare.

        Args:
            folder: of the published records.
            file: path of the record.
            record: itself.
        """
        try:
            return self._recompute(folder, file, record)
        except (_NotPossibleError, UserError) as error:
            return Recomputed(file, record, "not recomputed", str(error))

    def _recompute(self, folder: Path, file: str, record: Record) -> Recomputed:
        if record.status in BY_MACHINE:
            raise _NotPossibleError(f"its status is {record.status}, which depends on the machine")
        table = self._table(record)
        cell = self._cell(folder, record, replayed=table is None)
        metrics, left_out = _compared(record)
        limits = Limits(**{n: min(record.limits.get(n, most), most) for n, most in MOST.model_dump().items()})
        if table is not None:
            if not table.is_file() or sha256_file(table) != _hash(record):
                reason = f"{table} is not the table that was recorded: its hash is another"
                return Recomputed(file, record, "disagrees", reason)
            self._take(record, table, limits)
        elif absent := missing_requirement(cell.generator.resolve()):
            raise _NotPossibleError(absent)
        again = run_cell(cell, metrics, self._store, self._worker, limits)
        if again.status in BY_MACHINE or again.details.get("missing_requirement"):
            raise _NotPossibleError(f"here it ended with {again.status}: {again.message}")
        if failed := next((m for m in again.measurements if m.status in BY_MACHINE or "pip install" in m.reason), None):
            raise _NotPossibleError(f"{failed.metric} ended with {failed.status} here: {failed.reason}")
        if difference := _difference(record, again, metrics):
            return Recomputed(file, record, "disagrees", f"{difference}{_unlike(record, again)}")
        if not metrics and _hash(record) != _hash(again):
            return Recomputed(file, record, "disagrees", "its table, made again, is another")
        if not metrics and record.measurements:
            raise _NotPossibleError(f"none of its metrics can be compared here: {', '.join(left_out)}")
        cards = {name: registry()[name].card for name in metrics}
        mark = None if left_out else Mark(record=record.digest, metrics=sha256_json(cards_content(cards)))
        reason = f"of an older version, and not compared: {', '.join(left_out)}" if left_out else ""
        return Recomputed(file, record, "agrees", reason, mark)

    def _table(self, record: Record) -> Path | None:
        """The record's table in the store that was named, if it has the cell."""
        if self._tables is None or record.artifact is None or not self._tables.folder(record.id).is_dir():
            return None
        return self._tables.folder(record.id) / TABLE_NAME

    def _cell(self, folder: Path, record: Record, replayed: bool) -> Cell:
        """The cell that the record's identity describes, as it is planned here."""
        config = configs("dataset")[0].get(record.dataset.name)
        if config is None or waits_for_files(config):
            raise _NotPossibleError(f"the rows of dataset '{record.dataset.name}' are not here")
        if not is_known(record) and not _in_this_folder(record.generator.target):
            raise _NotPossibleError(f"{record.generator.target} is neither installed nor in this folder")
        settings = without_versions(record.generator.params)
        if replayed:
            settings = self._replaying(settings, folder, record)
        cell = plan_cell(
            {
                "dataset": config,
                "generator": {**settings, "name": record.generator.name, "_target_": record.generator.target},
                "protocol": {**record.identity["protocol"], "name": record.protocol},
                "seed": record.seed,
            }
        )
        if cell.id != record.id:
            wrong = [key for key, value in record.identity.items() if cell.identity.get(key) != value]
            raise _NotPossibleError(f"here the cell has another {', '.join(wrong) or 'identity'}")
        return cell

    def _replaying(self, settings: Any, folder: Path, record: Record) -> Any:
        """Settings whose language model is the record's transcripts: nobody is asked."""
        if not isinstance(settings, Mapping):
            return settings
        replaying = {key: self._replaying(value, folder, record) for key, value in settings.items()}
        if isinstance(model := settings.get("llm"), Mapping):
            transcripts = Path(self._folder.name) / "transcripts" / record.id
            for name in beside(record):
                if name.name.endswith("transcript.jsonl.gz"):
                    transcripts.mkdir(parents=True, exist_ok=True)
                    shutil.copyfile(folder / name, transcripts / name.name)
            if not transcripts.is_dir():
                raise _NotPossibleError("what its language model answered is not published with it")
            replaying["llm"] = {
                "endpoint": "replay",
                "model": model.get("model", ""),
                "max_rejects": 1_000_000,  # a transcript tells where the run ended
                "transcript": str(transcripts),
            }
        return replaying

    def _take(self, record: Record, table: Path, limits: Limits) -> None:
        """Put a table into the empty store as if it had just been made, with nothing measured."""
        with self._store.workspace(record.id) as made:
            shutil.copyfile(table, made / TABLE_NAME)
            shown = record.details.get("shown_rows")
            self._store.put(
                record.model_copy(
                    update={
                        "measurements": (),
                        "cards": {},
                        "attachments": (),
                        "limits": limits.model_dump(),
                        "details": {"shown_rows": shown} if isinstance(shown, list) else {},
                    }
                ),
                made,
            )


def _in_this_folder(target: str) -> bool:
    """Whether a generator of one's own is in the current folder: nothing else is imported for a record's sake."""
    module = target.partition(".")[0]
    return Path(f"{module}.py").is_file() or Path(module, "__init__.py").is_file()


def _compared(record: Record) -> tuple[list[str], list[str]]:
    """The record's metrics that are measured again, and those that differ in version from the installed ones.

    What time or memory decide, and what asks a language model, is neither: nothing here could measure it again.
    """
    versions = {m.metric: m.version for m in record.measurements}
    installed = {name: registry()[name].card for name in versions if name in registry()}
    again = [n for n, card in installed.items() if card.family != "cost" and "language model" not in card.needs]
    compared = [name for name in again if installed[name].version == versions[name]]
    left_out = [name for name in versions if name not in installed or (name in again and name not in compared)]
    return compared, left_out


def _difference(record: Record, again: Record, metrics: list[str]) -> str:
    """The first thing in which two records of one cell differ, or an empty string."""
    if record.status != again.status:
        return f"its status is {record.status}, and {again.status} when it was made again ({again.message})"
    before, now = ({(m.metric, m.variant): m for m in r.measurements if m.metric in metrics} for r in (record, again))
    if before.keys() != now.keys():
        name = " ".join(min(before.keys() ^ now.keys()))
        return f"it has {name.strip()} {'and should not' if min(before.keys() ^ now.keys()) in before else 'not'}"
    return next((text for key in before for text in _differences(before[key], now[key])), "")


def _differences(before: Measurement, now: Measurement) -> Iterator[str]:
    name = f"{before.metric} {before.variant}".strip()
    if before.status in BY_MACHINE:
        return
    if before.status != now.status:
        yield f"the status of its {name} is {before.status}, and {now.status} when measured again"
    for field in ("value", "low", "high"):
        one, other = getattr(before, field), getattr(now, field)
        if not _close(one, other):
            yield f"its {name} has the {field} {_number(one)}, and {_number(other)} when measured again"
    for field in ("n", "population", "sample_seed"):
        if getattr(before, field) != getattr(now, field):
            yield f"its {name} has {field} {getattr(before, field)}, and {getattr(now, field)} when measured again"
    for part in before.breakdown.keys() | now.breakdown.keys():
        if not _close(before.breakdown.get(part), now.breakdown.get(part)):
            yield f"its {name} has another value of {part} than when measured again"


def _close(one: float | None, other: float | None) -> bool:
    if one is None or other is None:
        return one is other
    return math.isclose(one, other, rel_tol=CLOSE, abs_tol=NOTHING)


def _number(value: float | None) -> str:
    return "none" if value is None else f"{value:.12g}"


def _hash(record: Record) -> str:
    return record.artifact.sha256 if record.artifact is not None else ""


def _unlike(record: Record, again: Record) -> str:
    """What may explain a difference without a lie: another table, made with other software."""
    if _hash(record) == _hash(again):
        return ""
    here = provenance()["packages"]
    there = record.provenance.get("packages")
    named = there.items() if isinstance(there, dict) else ()
    other = [f"{name} {version}, here {here.get(name)}" for name, version in named if here.get(name) != version]
    software = f"; it names other software ({'; '.join(other[:4])}): compare with that" if other else ""
    return f"; its table, made again, is another{software}"
