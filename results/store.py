"""The store: one folder a cell, written so that a kill at any moment leaves nothing half done.

``cells/<id>/record.json`` is the commit mark of a cell: it is written last, in one atomic step, and
holds the hashes of the synthetic table and of what else is kept beside it. Whatever does not verify is moved to
``quarantine/`` and counts as not done; but where only the cards of its metrics or its portrait are gone, the table
stands and is measured again.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path

from .errors import UserError
from .reading import PORTRAIT_NAME, RECORD_NAME, CardFiles, DamagedRecordError, read_record, read_records
from .record import MetricCard, Record, cards_content, indented_json, sha256_json

TABLE_NAME = "synthetic.parquet"
LOG_NAME = "log.txt"
DISK_FULL = (errno.ENOSPC, errno.EDQUOT)
UNWRITABLE = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST, errno.ENOENT, errno.ENAMETOOLONG)


class StoreFullError(UserError):
    """The disk is full: nothing of the running cell was kept, all that was recorded before is safe."""


class Store:
    """Records and synthetic tables of the cells that were run, in one folder.

    Safe under any number of processes: each cell is written under its own lock.

    Attributes:
        root: the folder; made on first use.
        cards: those of its metrics.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.cards = CardFiles(root)

    def folder(self, cell_id: str) -> Path:
        """The folder of one cell."""
        return self.root / "cells" / cell_id

    def has(self, cell_id: str) -> bool:
        """Whether there is a record for the cell, without reading it."""
        return (self.folder(cell_id) / RECORD_NAME).exists()

    def get(self, cell_id: str) -> Record | None:
        """The cell's record if it and its table verify.

        Returns:
            ``None`` if there is none, or if it is just being written.
        """
        try:
            return self._verified(cell_id)
        except (FileNotFoundError, NotADirectoryError, DamagedRecordError):
            return None

    def recover(self, cell_id: str) -> Record | None:
        """As :meth:`get`, but move a damaged record and its table to ``quarantine/``.

        Call it under the cell's lock, where nobody else is writing.
        """
        try:
            return self._verified(cell_id)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except DamagedRecordError:
            target = self.root / "quarantine" / f"{cell_id}-{uuid.uuid4().hex[:8]}"
            target.parent.mkdir(parents=True, exist_ok=True)
            os.replace(self.folder(cell_id), target)
            return None

    def put(self, record: Record, produced: Path | None = None) -> Record:
        """Write a record, replacing an earlier one of the cell.

        Args:
            record: the record; its digest is computed here.
            produced: folder in which the cell's table and log were made, moved in beside the record.

        Raises:
            StoreFullError: the disk is full.
        """
        folder = self.folder(record.id)
        sealed = record.sealed()
        with full_disk_is_clear(self.root):
            folder.mkdir(parents=True, exist_ok=True)
            for left in folder.glob(f".{RECORD_NAME}-*"):  # of a process that was killed while it wrote
                left.unlink()
            for name in (TABLE_NAME, LOG_NAME, *(a.path for a in record.attachments)):
                if produced is not None and (produced / name).exists():
                    os.replace(produced / name, folder / name)
            write_cards(self.root, sealed.cards)
            write_atomically(folder / RECORD_NAME, sealed.to_json())
        return sealed

    def records(self) -> Iterator[Record]:
        """All records of the store that verify, sorted by cell id."""
        return read_records(self.root)

    @contextlib.contextmanager
    def lock(self, cell_id: str) -> Iterator[None]:
        """Hold a cell against other processes; waits for its present holder. Ends with the process."""
        with full_disk_is_clear(self.root):
            path = self.root / "locks" / cell_id
            path.parent.mkdir(parents=True, exist_ok=True)
            handle = path.open("a")
        with handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield

    def running(self, cell_id: str) -> bool:
        """Whether some process holds the cell at this moment."""
        try:
            with (self.root / "locks" / cell_id).open("r") as handle:
                fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except FileNotFoundError:
            return False
        except OSError as error:
            return error.errno in (errno.EACCES, errno.EAGAIN)
        return False

    @contextlib.contextmanager
    def workspace(self, cell_id: str) -> Iterator[Path]:
        """A new empty folder for the making of one cell, on the store's disk, removed afterwards.

        Call it under the cell's lock: what a killed process left of the same cell is removed too.
        """
        parent = self.root / "work"
        with full_disk_is_clear(self.root):
            parent.mkdir(parents=True, exist_ok=True)
            for left in parent.glob(f"{cell_id}-*"):
                shutil.rmtree(left, ignore_errors=True)
            folder = Path(tempfile.mkdtemp(prefix=f"{cell_id}-", dir=parent))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def clear_work(self) -> None:
        """Remove what killed processes left in ``work/`` of cells that no process holds."""
        for left in list((self.root / "work").glob("*")):
            if not self.running(left.name.partition("-")[0]):
                shutil.rmtree(left, ignore_errors=True)

    def quarantined(self) -> list[str]:
        """Names of the folders set aside because a record or a table did not verify."""
        folder = self.root / "quarantine"
        return sorted(p.name for p in folder.iterdir()) if folder.exists() else []

    def _verified(self, cell_id: str) -> Record:
        record = read_record(self.folder(cell_id) / RECORD_NAME, self.cards, unscored=True)
        if record.id != cell_id:
            raise DamagedRecordError(f"the record in {cell_id} is that of {record.id}")
        for name in self.other_files(record):
            if name != PORTRAIT_NAME:
                raise DamagedRecordError(f"{self.folder(cell_id) / name} is not the file that was recorded")
            # Such as after a kill between the new portrait and the record that names it: the table is not lost with
            # it, but what measurements say of single columns is, so that they count as not made.
            others = tuple(a for a in record.attachments if a.path != PORTRAIT_NAME)
            record = record.model_copy(update={"attachments": others, "measurements": (), "cards": {}})
        return record

    def other_files(self, record: Record) -> list[str]:
        """Names of the files beside a record, its table and its attachments, that are not those it names."""
        table = [(TABLE_NAME, record.artifact.sha256)] if record.artifact is not None else []
        named = {self.folder(record.id) / name: sha256 for name, sha256 in table}
        named |= {self.folder(record.id) / a.path: a.sha256 for a in record.attachments}
        return [path.name for path, sha256 in named.items() if not path.exists() or sha256_file(path) != sha256]


def write_cards(folder: Path, cards: Mapping[str, MetricCard]) -> None:
    """Write a set of cards beside the records that name it, unless it stands there unharmed."""
    if not cards:
        return
    content = cards_content(cards)
    path, text = CardFiles(folder).path(sha256_json(content)), indented_json(content)
    if not path.is_file() or path.read_bytes() != text.encode():
        write_atomically(path, text)


@contextlib.contextmanager
def full_disk_is_clear(place: Path) -> Iterator[None]:
    """Turn a full disk, a used-up quota or a place that cannot be written into one clear line.

    Raises:
        StoreFullError: in the place of the operating system's error.
    """
    try:
        yield
    except OSError as error:
        if error.errno in DISK_FULL:
            raise StoreFullError(
                f"the disk that holds {place} is full: free some space and run the same command again, "
                "what is recorded is safe"
            ) from None
        if error.errno in UNWRITABLE:
            raise UserError(
                f"the store {place} cannot be written ({error.strerror}): choose another with store="
            ) from None
        raise


def write_atomically(path: Path, content: str | bytes) -> None:
    """Write a file, text as UTF-8, so that a reader sees the old content or the new, never a part."""
    temporary = path.with_name(f".{path.name}-{uuid.uuid4().hex[:8]}")
    try:
        with temporary.open("xb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def sha256_file(path: Path) -> str:
    """SHA-256 in hex of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def file_name(name: str) -> str:
    """A name from outside, safe as a part of a path."""
    safe = "".join(c if c.isalnum() or c in "-_." else "_" for c in name)[:80]
    return safe.lstrip(".") or "_"
