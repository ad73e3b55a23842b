"""What is wrong with records that are to be published, or that somebody else has sent.

A record is data from outside. It verifies when it was not damaged on the way, but whoever wrote it wrote its digest as
well: what it says is therefore held against what is installed here, number by number. Nothing that it names is imported
unless it belongs to the generators known here, and none of its code is run.
"""

from __future__ import annotations

import math
import os
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import ValidationError

from ..generators.spec import GeneratorSpec
from ..leaderboard.frame import collect, unfit
from ..leaderboard.naming import generator_key, plain, printable
from ..leaderboard.section import Labels, one_per_cell, tables
from ..metrics.base import did_you_mean, registry
from ..results.errors import UserError, first_fault
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
from ..results.record import USABLE, Artifact, DatasetFacts, Measurement, MetricCard, Phase, Record, Status
from ..results.store import Store, sha256_file
from ..results.verified import read_marks
from .catalogue import configs, waits_for_files
from .cell import dataset_facts, rows_asked, sizes
from .dataset import Protocol
from .sources import load_dataset

if TYPE_CHECKING:
    from .dataset import Dataset

MAX_BYTES = 2**20  # of a record: twenty times the largest of ours
MAX_TEXT = 4000  # characters of any text in a record
MAX_NAME = 200
MAX_LINE = 400  # characters of a finding: it may quote what it is about
MARKUP = frozenset("<>&/\\")
LARGEST = 2.0**53  # a number of rows, bytes or seconds beyond it is none
SHOWN = 6  # cells that are named where many are missing
SHA256 = re.compile(r"[0-9a-f]{64}")
READING = ("family", "direction", "ideal", "lower", "upper")  # of a metric: how its values are read
PROSE = ("title", "domain", "licence", "citation")


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
    here = _Here()
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
    found.notes += here.notes(found.records)
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


def _faults(record: Record, here: _Here) -> Iterator[str]:
    """What is wrong with a record that verifies."""
    texts = list(_wrong_texts(record))
    if texts:  # nothing else is done with such names, not even to look for them
        yield from texts
        return
    yield from _wrong_numbers(record)
    for measurement in record.measurements:
        yield from _wrong_measurement(measurement, record.cards[measurement.metric])
    yield from here.wrong_dataset(record)
    yield from here.wrong_generator(record)


def _wrong_texts(record: Record) -> Iterator[str]:
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


def _wrong_numbers(record: Record) -> Iterator[str]:
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


def _wrong_measurement(measurement: Measurement, card: MetricCard) -> Iterator[str]:
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
            if text := _foreign(card):
                found.faults.append(Finding(files[0], f"{those} {text}"))
            elif card.version < registry()[card.name].card.version:
                older[card.name, card.version] += len(files)
    for (name, version), count in sorted(older.items()):
        text = f"{name} is of version {version} in {_of(count, 'record')}, and of {registry()[name].card.version} here"
        found.notes.append(Finding("metrics", f"{text}: sweep again with its metrics to score the stored tables anew"))


def _foreign(card: MetricCard) -> str:
    """In what a card differs from the installed metric's, or an empty string."""
    if card.name not in registry():
        return f"has a metric '{card.name}' that is not installed here: publish records without it"
    ours = registry()[card.name].card
    if card.version > ours.version:
        return f"has {card.name} of version {card.version}, and here it is of version {ours.version}: update synthward"
    fields = MetricCard.model_fields if card.version == ours.version else READING
    wrong = [name for name in fields if getattr(card, name) != getattr(ours, name)]
    said = "; ".join(f"{name} is {getattr(card, name)!r:.60}, not {getattr(ours, name)!r:.60}" for name in wrong)
    return f"says of {card.name} what the installed metric does not: {said}" if wrong else ""


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


class _Here:
    """What is installed here, as far as records speak of it; every answer is looked up once."""

    def __init__(self) -> None:
        self._configs = configs("dataset")[0]
        self._datasets: dict[str, Dataset | str] = {}
        self._facts: dict[tuple[str, str], DatasetFacts] = {}
        self._generators: dict[str, str] = {}

    def notes(self, records: Mapping[str, Record]) -> Iterator[Finding]:
        """What cannot be checked here, each with the first record that says so."""
        said: dict[str, str] = {}
        for file, record in records.items():
            dataset, target = record.dataset.name, record.generator.target
            if isinstance(reason := self._datasets.get(dataset), str):
                text = f"dataset {dataset} {reason}: what is said of it cannot be held against the rows"
                said.setdefault(text, file)
            if not is_known(record):
                text = (
                    f"generator {record.generator.name} is {target}, which is not part of synthward: its file must be "
                    "in the pull request, or nobody can make its tables again"
                )
                said.setdefault(text, file)
        return (Finding(file, text) for text, file in said.items())

    def wrong_dataset(self, record: Record) -> Iterator[str]:
        """What a record says of its dataset or its protocol that is not so."""
        dataset = self._dataset(record.dataset.name)
        try:
            protocol = Protocol(**record.identity["protocol"], name=record.protocol or "default")
        except (ValidationError, TypeError) as error:
            said = first_fault(error) if isinstance(error, ValidationError) else None
            yield f"its protocol is none: {f'{said.place}: {said.text}' if said else error}"
            return
        if isinstance(dataset, str):
            if record.dataset.sharing == "public" and record.dataset.name not in self._configs:
                yield (
                    f"its dataset '{record.dataset.name}' is not known here: put its card into conf/dataset, "
                    "or mark it as sharing: local-only"
                )
            return
        if record.dataset.fingerprint != dataset.fingerprint:
            yield (
                f"its dataset '{record.dataset.name}' has other rows or another card than here (fingerprint "
                f"{record.dataset.fingerprint:.8}, not {dataset.fingerprint:.8}): run its cell again"
            )
            return
        facts = self._facts_of(dataset, protocol)
        wrong = [n for n, value in facts.model_dump(exclude={*PROSE}).items() if getattr(record.dataset, n) != value]
        if wrong:
            yield f"it says another {', '.join(wrong)} of its dataset than is so: run its cell again"
        elif record.rows_requested != rows_asked(protocol, facts.n_train):
            asked = rows_asked(protocol, facts.n_train)
            yield f"it asked for {record.rows_requested:,} rows, and its protocol for {asked:,}: run its cell again"

    def wrong_generator(self, record: Record) -> Iterator[str]:
        """What a record says of a generator of ours that is not so."""
        key = generator_key(record.generator)
        if key not in self._generators:
            self._generators[key] = _wrong_generator(record) if is_known(record) else ""
        if self._generators[key]:
            yield self._generators[key]

    def _dataset(self, name: str) -> Dataset | str:
        """The dataset of a name, or why it cannot be had."""
        if name not in self._datasets:
            config = self._configs.get(name)
            if config is None:
                self._datasets[name] = "is not known here"
            elif waits_for_files(config):
                self._datasets[name] = "is a table that only its users have on disk"
            else:
                try:
                    self._datasets[name] = load_dataset(config)
                except UserError as error:
                    self._datasets[name] = f"is not installed here ({error})"
        return self._datasets[name]

    def _facts_of(self, dataset: Dataset, protocol: Protocol) -> DatasetFacts:
        """What records say of a dataset; the sizes of its parts do not depend on the seed of the split."""
        key = dataset.fingerprint, protocol.model_dump_json(exclude={"name", "split_seed", "ratio"})
        if key not in self._facts:
            self._facts[key] = dataset_facts(dataset, sizes(dataset, protocol))
        return self._facts[key]


def is_known(record: Record) -> bool:
    """Whether the generator's class, and that of one inside it, are among those installed here as generators."""
    named = (record.generator.target, *_targets(record.generator.params))
    return all(target in _known_targets() or _is_ours(target) for target in named)


def _targets(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        yield from (v for k, v in value.items() if k == "_target_" and isinstance(v, str))
        for within in value.values():
            yield from _targets(within)
    elif isinstance(value, list):
        for within in value:
            yield from _targets(within)


@cache
def _known_targets() -> frozenset[str]:
    ours = {str(config.get("_target_")) for config in configs("generator")[0].values()}
    return frozenset(t for t in ours if _is_ours(t)) | {
        plugin.value.replace(":", ".") for plugin in entry_points(group="synthward.generators")
    }


def _is_ours(target: str) -> bool:
    parts = target.split(".")
    return parts[:2] == ["synthward", "generators"] and len(parts) > 3 and all(part.isidentifier() for part in parts)


def recorded_spec(record: Record) -> GeneratorSpec:
    """The generator of a record as configured, as far as the record tells."""
    facts = record.generator
    return GeneratorSpec(name=facts.name, target=facts.target, params=without_versions(facts.params))


def without_versions(params: Any) -> Any:
    """Recorded settings without what was added to them when they were recorded."""
    if isinstance(params, Mapping):
        return {key: without_versions(value) for key, value in params.items() if key != "_version_"}
    return params


def _wrong_generator(record: Record) -> str:
    """What a record says of a known class that is not so, or an empty string."""
    facts, spec = record.generator, recorded_spec(record)
    # A file that the settings name is on its owner's disk, and part of the version.
    spec = spec.model_copy(update={"params": {k: v for k, v in spec.params.items() if k not in ("path", "card")}})
    try:
        version = spec.version()
        generator = recorded_spec(record).build()
    except UserError as error:
        return str(error)
    if facts.version.partition("+")[0] != version:
        return (
            f"its generator {facts.target} is of version {facts.version}, and here it is of version {version}: run its "
            "cell again"
        )
    said = {"access": generator.access.value, "reference": type(generator).reference}
    wrong = [name for name, value in said.items() if getattr(facts, name) != value]
    return "; ".join(
        f"it says {name}={getattr(facts, name)} of its generator, which has {name}={said[name]}" for name in wrong
    )


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
