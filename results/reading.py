"""Reading records: nothing that was truncated, edited or does not add up comes through."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError
from pydantic_core import from_json

from .decoding import Decoded, Decoder
from .errors import UserError, first_fault
from .record import RECORD_VERSION, MetricCard, Record, canonical_json, sealed, sha256_json

RECORD_NAME = "record.json"
PORTRAIT_NAME = "portrait.json"  # of the attachment that a board draws the cell by, see `portrait`
VERIFIED_NAME = "verified.json"
CARDS_NAME = re.compile(r"cards-[0-9a-f]{64}\.json")
AT_ONCE = 64  # records whose values are checked together
READING = os.O_RDONLY | getattr(os, "O_BINARY", 0)  # bytes as they are, on Windows too
USUAL_SIZE = 2**16  # of a record, or less
CARDS: TypeAdapter[dict[str, MetricCard]] = TypeAdapter(dict[str, MetricCard])


class DamagedRecordError(UserError):
    """A record is truncated, was edited by hand, or does not match the files beside it."""


class CardFiles:
    """The cards of metrics in a folder of records: a file for every set of them, which its records name by digest.

    Attributes:
        folder: a store, or a folder of published records.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._read: dict[str, dict[str, MetricCard]] = {}

    def path(self, digest: str) -> Path:
        """The file of one set, beside the folders of the records: no dataset can take its name."""
        return self.folder / f"cards-{digest}.json"

    def read(self, digest: str) -> dict[str, MetricCard]:
        """The cards of one set, by the name of their metric.

        Raises:
            DamagedRecordError: there is no such set, or its file is not what the digest stands for.
        """
        if isinstance(digest, str) and digest in self._read:
            return self._read[digest]
        path = self.path(digest)
        if not CARDS_NAME.fullmatch(path.name):  # a record from outside may say anything here
            raise DamagedRecordError("what it says of its cards is no digest")
        try:
            content = from_json(path.read_bytes())
            if sha256_json(content) != digest:
                raise DamagedRecordError(f"{path} was changed after it was written: its digest does not match")
            self._read[digest] = CARDS.validate_python(content)
        except FileNotFoundError:
            raise DamagedRecordError(
                f"the cards of its metrics are missing: copy {path.name} to {self.folder}"
            ) from None
        except ValueError:  # as all errors of pydantic
            raise DamagedRecordError(f"{path} holds no cards of metrics") from None
        return self._read[digest]


def read_record(path: Path, cards: CardFiles, *, unscored: bool = False) -> Record:
    """Read and verify one record.

    Args:
        path: its file.
        cards: where the cards of its metrics are.
        unscored: whether to give the record without its measurements where these cards are not there.

    Raises:
        DamagedRecordError: it is no record of this version, its digest does not match, it contradicts itself, or the
            cards of its metrics are not there.
        FileNotFoundError: there is no such file.
    """
    content = _content(path)
    try:
        content["cards"] = cards.read(content["cards"]) if "cards" in content else {}
    except DamagedRecordError as error:
        if not unscored:
            raise DamagedRecordError(f"{path} cannot be read: {error}") from None
        content.pop("cards")
        content.pop("measurements", None)
    try:
        record = Record.model_validate(content)
    except ValidationError as error:
        fault = first_fault(error)
        raise DamagedRecordError(f"{path} is no record: {fault.place or 'the whole'}: {fault.text}") from None
    try:
        canonical_json([record.identity, record.details, record.provenance])
    except ValueError as error:  # a number that JSON cannot hold, where a field takes anything
        raise DamagedRecordError(f"{path} is no record: {error}") from None
    if contradiction := record.contradiction():
        raise DamagedRecordError(f"{path} contradicts itself: {contradiction}")
    return record


def read_decoded(
    paths: Iterable[str], cards: CardFiles, report: Callable[[DamagedRecordError], object], keep: str = ""
) -> Iterator[tuple[str, Decoded | Record]]:
    """As :func:`read_record` of many files, and several times as fast for almost all of them.

    Args:
        paths: the files; what is gone is passed over.
        cards: where the cards of their metrics are.
        report: called with the reason for each file that is left out.
        keep: metric of which measurements are kept whole.

    Yields:
        The path and the record of each file that verifies.
    """
    decoder = Decoder(cards.read, keep)
    for block in _blocks(paths):
        for path, record in zip(block, decoder.decode(map(_if_there, block)), strict=True):
            try:
                yield path, record or read_record(Path(path), cards)
            except DamagedRecordError as error:
                report(error)
            except FileNotFoundError:  # another process has just set it aside
                continue


def read_records(folder: Path, report: Callable[[DamagedRecordError], object] = lambda _: None) -> Iterator[Record]:
    """All records below a folder that verify, in the order of their paths: see :func:`read_files`."""
    return (record for _, record in read_files(folder, report))


def read_files(
    folder: Path, report: Callable[[DamagedRecordError], object] = lambda _: None
) -> Iterator[tuple[Path, Record]]:
    """All records below a folder that verify, with their files, in the order of their paths.

    Args:
        folder: a store, a folder of published records, or one of its folders of one dataset.
        report: called with the reason for each file that is left out.
    """
    cards = card_files(folder)
    for path in map(Path, record_files(folder)):
        try:
            record = read_record(path, cards)
        except DamagedRecordError as error:
            report(error)
        except FileNotFoundError:  # another process has just set it aside
            continue
        else:
            yield path, record


def is_common(name: str) -> bool:
    """Whether a file of a folder of records is one that stands there for all of them, by its name."""
    return name == VERIFIED_NAME or CARDS_NAME.fullmatch(name) is not None


def is_beside(name: str) -> bool:
    """Whether a JSON file of a folder of records is none, by its name: one for all of them, or a portrait."""
    return is_common(name) or name.endswith(f".{PORTRAIT_NAME}")


def record_files(folder: Path) -> Iterator[str]:
    """The files of all records below a folder, in the order of their paths."""
    below = folder / "cells"  # beside them a store keeps much that is no record, such as replies of language models
    if not below.is_dir():
        yield from _json_files(folder)
        return
    for cell in sorted(os.listdir(below)):
        path = os.path.join(below, cell, RECORD_NAME)
        if os.path.isfile(path):
            yield path


def card_files(folder: Path) -> CardFiles:
    """The cards of the records below a folder: in itself, or beside it where it is that of one dataset."""
    with_cards = (place for place in (folder, folder.resolve().parent) if any(place.glob("cards-*.json")))
    return CardFiles(next(with_cards, folder))


def _json_files(folder: Path | str) -> Iterator[str]:
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError:  # it has just gone, or is not for us to read
        return
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            yield from _json_files(entry.path)
        elif entry.name.endswith(".json") and entry.is_file() and not is_beside(entry.name):
            yield entry.path


def _blocks(paths: Iterable[str]) -> Iterator[list[str]]:
    rest = iter(paths)
    while block := list(islice(rest, AT_ONCE)):
        yield block


def _if_there(path: str) -> bytes:
    try:
        return _text(path)
    except FileNotFoundError:
        return b""  # which is no record


def _text(path: Path | str) -> bytes:
    file = os.open(path, READING)  # a file object would take half as long again
    try:
        data = os.read(file, USUAL_SIZE)
        while more := os.read(file, USUAL_SIZE + len(data)):
            data += more
    finally:
        os.close(file)
    return data.replace(b"\r\n", b"\n") if b"\r" in data else data  # git may have checked it out on Windows


def _content(path: Path) -> dict[str, Any]:
    """What a file holds, if it is a record of this version and as it was written."""
    data = _text(path)
    try:
        content = from_json(data)
    except ValueError as error:
        raise DamagedRecordError(f"{path} is no record: {error!s:.200}") from None
    if not isinstance(content, dict) or "record_version" not in content:
        raise DamagedRecordError(f"{path} is no record: it names no record_version")
    if content["record_version"] != RECORD_VERSION:
        raise DamagedRecordError(
            f"{path} is a record of version {content['record_version']!r:.20}, and this synthward reads version "
            f"{RECORD_VERSION}: run its cell again, or use the synthward that wrote it"
        )
    if not (digest := sealed(data)) or content.get("digest") != digest:
        raise DamagedRecordError(f"{path} was changed after it was written: its digest does not match")
    return content
