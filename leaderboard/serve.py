"""A built board in a browser, from this machine to this machine alone."""

from __future__ import annotations

from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

from ..results.errors import UserError

if TYPE_CHECKING:
    from pathlib import Path

LOOPBACK = "127.0.0.1"


class _Quiet(SimpleHTTPRequestHandler):
    """Files of one folder, without a line on the terminal for each."""

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


def server(folder: Path, port: int) -> ThreadingHTTPServer:
    """A server of a folder's files on the loopback address; its ``serve_forever`` runs until interrupted.

    Args:
        folder: of a built board.
        port: to listen on; 0 takes any that is free.

    Raises:
        UserError: the port is taken or not allowed.
    """
    try:
        return ThreadingHTTPServer((LOOPBACK, port), partial(_Quiet, directory=str(folder)))
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or "no such port"
        raise UserError(f"cannot listen on port {port} ({reason}): choose another with --port, or 0 for any") from None
