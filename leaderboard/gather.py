"""Folders of records to columns: verified and taken apart in worker processes, where there are many."""

from __future__ import annotations

import itertools
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from ..results.reading import CardFiles, DamagedRecordError, card_files, read_decoded, record_files
from ..results.verified import read_verified
from .frame import MAX_MESSAGE, MEMORISATION, Collector, merge, unfit
from .naming import plain

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from ..results.record import Record
    from .frame import Results

MANY = 2000  # files, from which on starting workers pays
BLOCK = 1000  # files that a worker reads at a time
MOST_WORKERS = 4


@dataclass(frozen=True, eq=False)
class Gathered:
    """What there is to show, and what is not shown.

    Attributes:
        results: the records.
        left_out: why each of the others cannot be shown.
        doubles: positions of records of a cell that has one before in the same folder.
        verified: of records that were recomputed, the digest that they had then by id.
    """

    results: Results
    left_out: tuple[str, ...]
    doubles: frozenset[int] = frozenset()
    verified: Mapping[str, str] = field(default_factory=dict)


def from_records(records: Iterable[Record]) -> Gathered:
    """Records as columns."""
    collector, left_out = Collector(), []
    for record in records:
        if fault := unfit(record):
            left_out.append(_said(record.id, fault))
        else:
            collector.add(record, record)
    return Gathered(collector.results(), tuple(left_out))


def from_folders(folders: Iterable[Path], report: Callable[[DamagedRecordError], object]) -> Gathered:
    """All records below folders that verify, as columns, in the order of folders and paths.

    Args:
        folders: stores, or folders of published records.
        report: called with the reason for each file that is left out.
    """
    blocks, count = [], 0
    verified: dict[str, str] = {}
    for folder in folders:
        verified |= read_verified(folder, report)
        files, cards = list(record_files(folder)), card_files(folder).folder
        blocks += [(files[at : at + BLOCK], cards) for at in range(0, len(files), BLOCK)]
        count += len(files)
    parts = []
    doubles: set[int] = set()
    first: dict[tuple[Path, str], str | Record] = {}
    position = itertools.count()
    for (_, folder), (part, damaged) in zip(blocks, _read(blocks, many=count >= MANY), strict=True):
        parts.append(part)
        for error in damaged:
            report(error)
        for cell in part.results.cells:
            n = next(position)
            if (earlier := first.setdefault((folder, cell.id), cell.origin)) != cell.origin:
                doubles.add(n)
                report(DamagedRecordError(f"{cell.origin} is of the same cell as {earlier}: remove one of the two"))
    results = merge([part.results for part in parts])
    return Gathered(results, tuple(reason for part in parts for reason in part.left_out), frozenset(doubles), verified)


def _read(
    blocks: Sequence[tuple[list[str], Path]], *, many: bool
) -> Iterator[tuple[Gathered, list[DamagedRecordError]]]:
    if not many:
        return (_read_block(*block) for block in blocks)
    from joblib import Parallel, cpu_count, delayed

    workers = Parallel(n_jobs=min(cpu_count(), MOST_WORKERS), return_as="generator", batch_size=1)
    here = Path.cwd()
    found: Iterator[tuple[Gathered, list[DamagedRecordError]]] = workers(delayed(_read_from)(here, *b) for b in blocks)
    return found


def _read_from(here: Path, files: Sequence[str], cards_in: Path) -> tuple[Gathered, list[DamagedRecordError]]:
    os.chdir(here)  # the process may have been started elsewhere
    return _read_block(files, cards_in)


def _read_block(files: Sequence[str], cards_in: Path) -> tuple[Gathered, list[DamagedRecordError]]:
    collector, left_out = Collector(), []
    damaged: list[DamagedRecordError] = []
    for file, record in read_decoded(files, CardFiles(cards_in), damaged.append, keep=MEMORISATION):
        if fault := unfit(record):
            left_out.append(_said(record.id, fault))
        else:
            collector.add(record, file)
    return Gathered(collector.results(), tuple(left_out)), damaged


def _said(record: str, fault: str) -> str:
    return plain(f"record {record} {fault}", MAX_MESSAGE)
