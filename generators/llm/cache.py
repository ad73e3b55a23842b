"""Replies already paid for, one file a request, shared by all workers of a machine."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import hashlib
import os
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import IO

from pydantic import ValidationError

from ...results.store import full_disk_is_clear, write_atomically
from .exchange import Exchange, Request

PAUSE = 0.02, 0.25  # seconds between looks at a lock that another process holds: first and longest


class Cache:
    """A folder of exchanges under the keys of their requests.

    A file holds the SHA-256 of an exchange and the exchange as JSON, a line each: one that is
    damaged counts as absent, and is replaced. Draws that were requests of their own lie there one by one.

    Args:
        folder: made on first use.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def get(self, request: Request) -> Exchange | None:
        """The exchange that answers a request, if it is there and sound: whole, or all of its draws."""
        whole = self._read(request)
        if whole is not None or request.draws == 1:
            return whole
        parts = []
        for draw in request.single_draws():
            if (part := self._read(draw)) is None:
                return None
            parts.append(part.reply)
        return Exchange.joined(request, parts)

    def _read(self, request: Request) -> Exchange | None:
        try:
            digest, _, text = self._path(request.key).read_text(encoding="utf-8").partition("\n")
            if digest != _digest(text):
                return None
            found = Exchange.model_validate_json(text)
        except (OSError, ValidationError, ValueError):
            return None
        return found if found.request.key == request.key == found.reply.key else None

    def put(self, exchange: Exchange) -> None:
        """Store an exchange: it is on disk when this returns.

        Raises:
            UserError: the disk is full or the folder cannot be written.
        """
        path = self._path(exchange.request.key)
        text = exchange.model_dump_json()
        with full_disk_is_clear(self.folder):
            path.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(path, f"{_digest(text)}\n{text}")

    def lock(self, key: str) -> AbstractAsyncContextManager[None]:
        """Hold a request against all others who would ask it, see :func:`locked`."""
        return locked(self._path(key).with_suffix(".lock"))

    def _path(self, key: str) -> Path:
        return self.folder / key[:2] / f"{key}.json"


@contextlib.asynccontextmanager
async def locked(path: Path) -> AsyncIterator[None]:
    """Hold a file against other processes and tasks; waits for who holds it now. Ends with the process.

    Args:
        path: a file of no other use, which is gone afterwards.

    Raises:
        UserError: the disk is full or the folder cannot be written.
    """
    pause, longest = PAUSE
    while (handle := _try_lock(path)) is None:
        await asyncio.sleep(pause)
        pause = min(2 * pause, longest)
    with handle:
        try:
            yield
        finally:
            path.unlink(missing_ok=True)  # while it is held: who waits for it will see that it is gone


def _try_lock(path: Path) -> IO[str] | None:
    with full_disk_is_clear(path.parent):
        try:
            handle = path.open("a")
        except FileNotFoundError:
            path.parent.mkdir(parents=True, exist_ok=True)
            handle = path.open("a")
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(handle.fileno()).st_ino == path.stat().st_ino:
            return handle
    except (BlockingIOError, FileNotFoundError):
        pass
    handle.close()
    return None


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
