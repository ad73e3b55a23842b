"""Records in, files out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..results.errors import UserError
from ..results.store import write_atomically
from . import markdown, page
from .aggregate import summarise

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from ..results.record import Record
    from .board import Board

PAGE_NAME = "index.html"
MARKDOWN_NAME = "leaderboard.md"
SUMMARY_NAME = "summary.md"


def build(records: Iterable[Record], out: Path) -> Path:
    """Write the page, the Markdown tables of these records, and a short one.

    Args:
        records: verified records.
        out: folder to write to; made if it is not there.

    Returns:
        Path of the page.

    Raises:
        UserError: there is no record, or the folder cannot be written.
    """
    return write(summarise(records), out)


def write(board: Board, out: Path) -> Path:
    """Write the page and the Markdown tables of a board; see :func:`build`."""
    files = {
        MARKDOWN_NAME: markdown.render(board),
        SUMMARY_NAME: markdown.render_summary(board),
        PAGE_NAME: page.render(board),
    }
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            write_atomically(out / name, content)
    except OSError as error:
        raise UserError(f"the board cannot be written to {out} ({error.strerror}): choose another folder") from None
    return out / PAGE_NAME
