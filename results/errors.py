"""The exceptions that a user is meant to read."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from pydantic import ValidationError


class UserError(Exception):
    """Something the user can put right: one line that says what is wrong and what to do.

    The command line prints it without a traceback and exits with status 2.
    """


class StoppedError(UserError):
    """The sweep was told to stop here: nothing is recorded of the cell, so that the same command goes on later."""


class Fault(NamedTuple):
    """The first thing wrong with data that a model refused.

    Attributes:
        place: names of the fields down to it, with dots; "" for the whole.
        text: what is wrong, as pydantic says it.
        kind: pydantic's name of the kind of fault.
        given: what stood there.
    """

    place: str
    text: str
    kind: str
    given: object


def first_fault(error: ValidationError, *above: str) -> Fault:
    """The first fault of a pydantic error in words, fit for one line.

    Args:
        error: what validation raised.
        above: names of what the data are a part of, to stand before the place.
    """
    first = error.errors()[0]
    place = ".".join([*above, *(str(part) for part in first["loc"])])
    return Fault(place, first["msg"].removeprefix("Value error, "), first["type"], first["input"])
