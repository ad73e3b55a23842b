"""What is wrong with records that are to be published, or that somebody else has sent.

A record is data from outside. It verifies when it was not damaged on the way, but whoever wrote it wrote its digest as
well: what it says is therefore held to be possible (:mod:`.record_faults`) and against what is installed here
(:mod:`.installed`), number by number.
"""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..leaderboard.frame import collect, unfit
from ..leaderboard.naming import generator_key, plain, printable
from ..leaderboard.section import Labels, one_per_cell, tables
from ..metrics.base import did_you_mean, registry
from ..results.errors import UserError
from ..results.published import beside, cards_digest, place
from ..results.reading import (
    VERIFIED_NAME,
    CardFiles,
    DamagedRecordError,
    is_beside,
    is_common,
    read_files,
    read_record,
)
from ..results.record import MetricCard, Record
from ..results.store import Store, sha256_file
from ..results.verified import read_marks
from .installed import Installed, foreign
from .record_faults import wrong_measurement, wrong_numbers, wrong_texts

if TYPE_CHECKING:
    pass

MAX_BYTES = 2**20  # of a record: twenty times the largest of ours
MAX_LINE = 400  # characters of a finding: it may quote what it is about
SHOWN = 6  # cells that are named where many are missing


@dataclass(frozen=True)
class Finding:
    """One thing to put right, or to know.

    Attributes:
        file: path of the file that it is about.
        text: what is wrong, and what to do.
    """

    file: str
    text: str

    @property
    def line(self) -> str:
        """Both as one line that is safe to print."""
        return f"{printable(self.file)}: {plain(self.text, MAX_LINE)}"


@dataclass(frozen=True)
class Coverage:
    """Which cells of a generator are there, of those that any generator of the same protocol has.

    Attributes:
        protocol, generator: names for people.
        cells: how many there are.
        asked: how many there would be.
        missing: the others, in words.
    """

    protocol: str
    generator: str
    cells: int
    asked: int
    missing: tuple[str, ...]

    @property
    def line(self) -> str:
        """As a note."""
        named = ", ".join(self.missing[:SHOWN]) + (", ..." if len(self.missing) > SHOWN else "")
        return printable(
            f"{self.generator} in protocol {self.protocol} has {self.cells} of {self.asked} cells: the board shows it "
            f"as incomplete, and compares it with none; missing: {named}"
        )


@dataclass
class Validation:
    """What was found.

    Attributes:
        records: those that verify, by their file.
        faults: what must be put right.
        notes: what a reviewer should know.
        coverage: of every generator that lacks cells.
    """

    records: dict[str, Record] = field(default_factory=dict)
    faults: list[Finding] = field(default_factory=list)
    notes: list[Finding] = field(default_factory=list)
    coverage: list[Coverage] = field(default_factory=list)

    def sound(self) -> dict[str, Record]:
        """The records against which nothing was found, by their file."""
        wrong = {finding.file for finding in self.faults}
        return {file: record for file, record in self.records.items() if file not in wrong}


def validate_published(folder: Path, report: Callable[[Path], object] = lambda _: None) -> Validation:
    """Check a folder of published records: every file in it, and what the records say.

    Args:
        folder: of the records.
        report: called with each file that was looked at.

    Raises:
        UserError: there is no such folder, or nothing in it.
    """
    if not folder.is_dir():
        raise UserError(f"there is no folder {folder}: name one that `synthward publish` wrote")
    found = Validation()
    expected: set[Path] = set()
    damaged: list[Path] = []
    strange: list[Path] = []
    cards = CardFiles(folder)
    files = sorted(_files(folder))
    if not files:
        raise UserError(f"there is no record in {folder}: `synthward publish --to {folder}` puts some there")
    for path in files:
        report(path)
        if path.is_symlink():
            found.faults.append(Finding(str(path), "is a link: put the file itself there"))
        elif path.suffix != ".json" or is_beside(path.name):
            strange.append(path)
        elif path.stat().st_size > MAX_BYTES:
            damaged.append(path)
            size = path.stat().st_size
            found.faults.append(Finding(str(path), f"is no record: with {size:,} bytes it is larger than any"))
        else:
            try:
                record = read_record(path, cards)
            except DamagedRecordError as error:
                damaged.append(path)
                found.faults.append(Finding(str(path), _remedied(str(error).removeprefix(f"{path} "))))
            else:
                found.records[str(path)] = record
                expected |= _check_place(folder, path, record, found)
    _check_strange(folder, strange, expected, damaged, found)
    check_records(found)
    damaged_marks: list[DamagedRecordError] = []
    marks = read_marks(folder, damaged_marks.append)
    path = folder / VERIFIED_NAME
    found.faults += [Finding(str(path), str(error).removeprefix(f"{path} ")) for error in damaged_marks]
    standing = {record.id: record.digest for record in found.records.values()}
    if stale := sum(standing.get(name) != mark.record for name, mark in marks.items()):
        text = f"{stale} of its {len(marks)} marks are of no record as it stands here now, and count for nothing"
        found.notes.append(Finding(str(path), text))
    return found


def validate_store(
    store: Store,
    generators: Sequence[str] = (),
    protocols: Sequence[str] = (),
    destination: Path | None = None,
    report: Callable[[Path], object] = lambda _: None,
) -> Validation:
    """Check records of a store before they are published: the records, and the tables and files behind them.

    Args:
        store: where they are.
        generators: names of those whose records are meant; all if none is given.
        protocols: likewise.
        destination: where they are to be published, beside records that have other cells.
        report: called with each file that was looked at.

    Raises:
        UserError: there is no record of such a name.
    """
    found = Validation()
    damaged: list[DamagedRecordError] = []
    chosen: dict[str, Record] = {}
    known: dict[str, set[str]] = {"generator": set(), "protocol": set()}
    for path, record in read_files(store.root, damaged.append):
        known["generator"].add(record.generator.name)
        known["protocol"].add(record.protocol)
        if record.generator.name in (generators or [record.generator.name]) and record.protocol in (
            protocols or [record.protocol]
        ):
            chosen[str(path)] = record
    for kind, names in (("generator", generators), ("protocol", protocols)):
        for name in names:
            if name not in known[kind]:
                raise UserError(
                    f"there is no record of {kind} '{name}' in {store.root}{did_you_mean(name, known[kind])}"
                )
    found.faults += [Finding(*_parted(error, store.root)) for error in damaged]
    for file, record in chosen.items():
        report(Path(file))
        for name in store.other_files(record):
            path = store.folder(record.id) / name
            found.faults.append(Finding(file, f"{path} is not the file that was recorded: run its cell again"))
    found.records = chosen
    there = read_files(destination) if destination is not None and destination.is_dir() else ()
    check_records(found, [record for _, record in there])
    return found


def changed_since(found: Validation, folder: Path, earlier: Path) -> dict[str, Record]:
    """Compare a folder of published records with an earlier state of it, as of the branch that a pull request is for.

    Args:
        found: of the folder; what else than new records changed is added to its notes.
        folder: of the records.
        earlier: likewise, as it was.

    Returns:
        The records that are new or replaced, and against which nothing was found, by their file.

    Raises:
        UserError: there is no such folder.
    """
    if not earlier.is_dir():
        raise UserError(f"there is no folder {earlier}: name an earlier state of {folder} with --since")
    before = {path.relative_to(earlier): record.digest for path, record in read_files(earlier)}
    now = {Path(file).relative_to(folder): record.digest for file, record in found.records.items()}
    other = sum(now.get(name) != digest for name, digest in before.items())
    if other:
        text = f"{_of(other, 'record')} of {earlier} {'is' if other == 1 else 'are'} gone or replaced"
        found.notes.append(Finding(str(folder), f"{text}: ask why, if the generator is somebody else's"))
    if read_marks(folder) != read_marks(earlier):
        text = "the marks of verified records were changed: only who measured the records again may do that"
        found.notes.append(Finding(str(folder / VERIFIED_NAME), text))
    return {
        file: record
        for file, record in found.sound().items()
        if before.get(Path(file).relative_to(folder)) != record.digest
    }


def check_records(found: Validation, others: Sequence[Record] = ()) -> None:
    """Hold what records say against what is installed here, and against each other.

    Args:
        found: their files; gets what is wrong with them.
        others: records beside which they will be shown.
    """
    here = Installed()
    cells: dict[str, str] = {}
    sound: list[Record] = []
    for file, record in found.records.items():
        wrong = [Finding(file, text) for text in _faults(record, here)]
        other = cells.setdefault(record.cell, file)
        if other != file:
            wrong.append(Finding(file, f"is of the same cell as {other}: remove one of the two"))
        if not wrong:
            sound.append(record)
        found.faults += wrong
    _check_cards(found)
    found.notes += [Finding(file, text) for text, file in here.notes(found.records).items()]
    found.coverage += _coverage([*others, *sound], {generator_key(record.generator) for record in sound})


def _files(folder: Path) -> Iterator[Path]:
    """All files below a folder; links are not followed."""
    for place_, folders, names in os.walk(folder):
        yield from (Path(place_, name) for name in names)
        yield from (Path(place_, name) for name in folders if Path(place_, name).is_symlink())


def _check_place(folder: Path, path: Path, record: Record, found: Validation) -> set[Path]:
    """Look at where a record and its attachments stand; returns the files beside it that belong there."""
    expected = {folder / f"cards-{cards_digest(record)}.json"} if record.cards else set()
    if path.relative_to(folder).as_posix() != str(place(record)):
        text = f"stands under another name than its record's, {place(record)}: `synthward publish` names it so"
        found.faults.append(Finding(str(path), text))
        moved = {path.with_name(f"{path.stem}.{attachment.path}") for attachment in record.attachments}
        return expected | moved | {folder / name for name in beside(record)}
    for name, attachment in beside(record).items():
        attached = folder / name
        expected.add(attached)
        if attached.is_symlink() or not attached.is_file():
            text = f"lacks its attachment {name}: publish it again, or copy the file there"
        elif attached.stat().st_size != attachment.size or sha256_file(attached) != attachment.sha256:
            text = f"was recorded with another {name} than stands beside it: publish it again"
        else:
            continue
        found.faults.append(Finding(str(path), text))
    return expected


def _check_strange(
    folder: Path, strange: Sequence[Path], expected: set[Path], damaged: Sequence[Path], found: Validation
) -> None:
    """Look at the files that are no records. What a damaged record may name is not held against anybody."""
    stems = tuple(f"{path.with_suffix('')}." for path in damaged)
    for path in strange:
        if path in expected or path == folder / VERIFIED_NAME or str(path).startswith(stems):
            continue
        if path.parent == folder and is_common(path.name):
            if not damaged:
                found.faults.append(Finding(str(path), "holds cards that no record names: remove it"))
        else:
            found.faults.append(Finding(str(path), "belongs to no record here: remove it"))


def _faults(record: Record, here: Installed) -> Iterator[str]:
    """What is wrong with a record that verifies."""
    texts = list(wrong_texts(record))
    if texts:  # nothing else is done with such names, not even to look for them
        yield from texts
        return
    yield from wrong_numbers(record)
    for measurement in record.measurements:
        yield from wrong_measurement(measurement, record.cards[measurement.metric])
    yield from here.wrong_dataset(record)
    yield from here.wrong_generator(record)


def _check_cards(found: Validation) -> None:
    """Hold cards against the installed metrics': nobody else says in which direction a metric is better."""
    users: dict[frozenset[MetricCard], list[str]] = defaultdict(list)
    for file, record in found.records.items():
        users[frozenset(record.cards.values())].append(file)
    older: Counter[tuple[str, int]] = Counter()
    for cards, files in users.items():
        digest = cards_digest(found.records[files[0]])
        those = f"cards-{digest[:12]}..., which {_of(len(files), 'record names', 'records name')},"
        for card in sorted(cards, key=lambda c: c.name):
            if text := foreign(card):
                found.faults.append(Finding(files[0], f"{those} {text}"))
            elif card.version < registry()[card.name].card.version:
                older[card.name, card.version] += len(files)
    for (name, version), count in sorted(older.items()):
        text = f"{name} is of version {version} in {_of(count, 'record')}, and of {registry()[name].card.version} here"
        found.notes.append(Finding("metrics", f"{text}: sweep again with its metrics to score the stored tables anew"))


def _coverage(records: Sequence[Record], keys: Collection[str]) -> list[Coverage]:
    """Of those generators that lack cells which others of their protocol have."""
    results = collect(record for record in records if not unfit(record))
    kept = one_per_cell(results)
    lacking = []
    for table in tables(results, kept, Labels(results, kept)):
        name = Counter(cell.protocol for cell in table.cells).most_common(1)[0][0]
        tried = np.zeros((len(table.generators), len(table.keys)), bool)
        tried[table.generator, table.key] = True
        for label, facts, own in zip(table.generators, table.facts, tried, strict=True):
            missing = tuple(f"{table.keys[n][0]} seed {table.keys[n][2]}" for n in np.flatnonzero(~own).tolist())
            if missing and generator_key(facts) in keys:
                lacking.append(Coverage(name, label, int(own.sum()), len(own), missing))
    return lacking


def _remedied(text: str) -> str:
    """A reason why a file is no record, with what to do where it says nothing of that."""
    known = ("run its cell again", "copy ")
    return text if any(k in text for k in known) else f"{text}; publish it again"


def _parted(error: DamagedRecordError, folder: Path) -> tuple[str, str]:
    """The file that an error names first, and the rest of it."""
    file, _, text = str(error).partition(" ")
    return (file, f"{_remedied(text)}") if file.startswith(str(folder)) else (str(folder), str(error))


def _of(count: int, one: str, more: str = "") -> str:
    return f"{count:,} {one if count == 1 else more or f'{one}s'}"
