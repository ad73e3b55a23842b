"""Records in, a site out."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from ..results.errors import UserError
from ..results.store import write_atomically
from . import collecting, links, markdown, measurements, writing
from .aggregate import summarise
from .site import Site

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ..results.record import Record
    from .board import Board

MARKDOWN_NAME = "leaderboard.md"
SUMMARY_NAME = "summary.md"
LISTING_NAME = "files.txt"


def build(records: Iterable[Record], out: Path) -> Path:
    """Write the site, the Markdown tables of these records, and a short one.

    Args:
        records: verified records.
        out: folder to write to; made if it is not there.

    Returns:
        Path of the first page.

    Raises:
        UserError: there is no record, or the folder cannot be written.
    """
    return write(summarise(records), out)


def write(board: Board, out: Path) -> Path:
    """Write the site and the Markdown tables of a board; see :func:`build`.

    What an earlier build wrote and this one does not is removed; nothing else in the folder is touched.
    """
    site = Site(board)
    try:
        out.mkdir(parents=True, exist_ok=True)
        before = _listed(out)
        with collecting.paused(), ThreadPoolExecutor(1) as thread:  # which needs the interpreter for little of its time
            values = thread.submit(measurements.write, board, out / links.RESULTS)
            with writing.begun(out, site.jobs(board.evidence)) as written:
                names = {links.RESULTS, LISTING_NAME, *writing.write(out, _texts(board))}
                names.update(writing.write(out, site.files()), *written)
            values.result()
        write_atomically(out / LISTING_NAME, "".join(f"{name}\n" for name in sorted(names)))
        for name in before - names:
            (out / name).unlink(missing_ok=True)
    except OSError as error:
        raise UserError(
            f"the board cannot be written to {out} ({error.strerror or error}): choose another folder"
        ) from None
    return out / links.INDEX


def _texts(board: Board) -> Iterator[tuple[str, bytes]]:
    yield MARKDOWN_NAME, markdown.render(board).encode()
    yield SUMMARY_NAME, markdown.render_summary(board).encode()


def _listed(out: Path) -> set[str]:
    """What an earlier build says that it wrote, within the folder."""
    try:
        names = (out / LISTING_NAME).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return set()
    paths = [PurePosixPath(name) for name in names if name and name != LISTING_NAME]
    return {str(path) for path in paths if not path.is_absolute() and ".." not in path.parts}
