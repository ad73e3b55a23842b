"""The exceptions that a user is meant to read."""

from __future__ import annotations


class UserError(Exception):
    """Something the user can put right: one line that says what is wrong and what to do.

    The command line prints it without a traceback and exits with status 2.
    """


class StoppedError(UserError):
    """The sweep was told to stop here: nothing is recorded of the cell, so that the same command goes on later."""
