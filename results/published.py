"""Published records: which file of a folder that git keeps is whose, and how a store's records get there."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path, PurePosixPath

from .reading import DamagedRecordError, read_files
from .record import Attachment, Record, cards_content, sha256_json
from .store import Store, file_name, write_atomically, write_cards


def place(record: Record) -> PurePosixPath:
    """Where a record stands in a folder of published ones: ``<dataset>/<generator>-<seed>-<id>.json``."""
    name = f"{file_name(record.generator.name)}-{record.seed}-{record.id[:8]}.json"
    return PurePosixPath(file_name(record.dataset.name), name)


def beside(record: Record) -> dict[PurePosixPath, Attachment]:
    """What is published beside a record: the attachments, under the record's name with their own endings.

    Nothing beside that of a private table: what a generator kept there was made of that table.
    """
    if record.dataset.sharing != "public":
        return {}
    stem = place(record).with_suffix("")
    return {stem.with_name(f"{stem.name}.{a.path}"): a for a in record.attachments}


def cards_digest(record: Record) -> str:
    """By which a record names the cards of its metrics; empty if it has none."""
    return sha256_json(cards_content(record.cards)) if record.cards else ""


def publish(
    store: Store, records: Iterable[Record], destination: Path, report: Callable[[Record], object] = lambda _: None
) -> int:
    """Copy records of a store, without tables, in the place of earlier ones of the same cells.

    Args:
        store: where the records and their attachments are.
        records: those to copy; at most one of every cell.
        destination: folder of published records. The cards of the metrics stand in it, a file for every set of them.
        report: called with each record that was copied.

    Returns:
        How many earlier records were replaced.
    """
    damaged: list[DamagedRecordError] = []
    standing = dict(read_files(destination, damaged.append)) if destination.is_dir() else {}
    earlier: dict[str, list[Path]] = {}
    for path, record in standing.items():
        earlier.setdefault(record.cell, []).append(path)
    written: set[Path] = set()
    replaced: dict[Path, Record] = {}
    for record in records:
        replaced |= {path: standing[path] for path in earlier.get(record.cell, ())}
        target = destination / place(record)
        target.parent.mkdir(parents=True, exist_ok=True)
        write_cards(destination, record.cards)
        for name, attachment in beside(record).items():
            write_atomically(destination / name, (store.folder(record.id) / attachment.path).read_bytes())
            written.add(destination / name)
        # The parts of a private table's values are named by its columns and classes: they stay at home.
        published = record if record.dataset.sharing == "public" else record.without_parts()
        write_atomically(target, published.to_json())
        written.add(target)
        report(record)
    for path, record in replaced.items():
        stem = path.with_suffix("")
        for left in {path, *(stem.with_name(f"{stem.name}.{a.path}") for a in record.attachments)} - written:
            left.unlink(missing_ok=True)
    if replaced and not damaged:  # a damaged record may still name cards that no other does
        _remove_unnamed_cards(destination, dict(read_files(destination)))
    return len(replaced)


def _remove_unnamed_cards(folder: Path, records: Mapping[Path, Record]) -> None:
    named = {f"cards-{cards_digest(record)}.json" for record in records.values()}
    for path in folder.glob("cards-*.json"):
        if path.name not in named:
            path.unlink()
