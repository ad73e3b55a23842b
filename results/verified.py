"""Which published records were recomputed, and agreed: ``verified.json`` beside them.

The mark is of a record as it was sealed: a record that is published anew lacks it until it is recomputed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import StringConstraints, ValidationError

from .errors import first_fault
from .reading import VERIFIED_NAME, DamagedRecordError
from .record import Frozen, indented_json
from .store import write_atomically

Digest = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class Mark(Frozen):
    """That a record was recomputed and agreed.

    Attributes:
        record: digest of the record.
        metrics: digest of the cards of the metrics that were measured again.
    """

    record: Digest
    metrics: Digest


class _Marks(Frozen):
    verified_version: Literal[1] = 1
    records: dict[str, Mark]


def read_marks(folder: Path, report: Callable[[DamagedRecordError], object] = lambda _: None) -> Mapping[str, Mark]:
    """The marks of a folder of published records, by the records' ids; none where there is no file.

    Args:
        folder: of the records.
        report: called with the reason if the file is damaged: then no record counts as verified.
    """
    path = folder / VERIFIED_NAME
    try:
        return _Marks.model_validate_json(path.read_bytes()).records
    except FileNotFoundError:
        return {}
    except ValidationError as error:
        fault = first_fault(error)
        report(
            DamagedRecordError(
                f"{path} lists no verified records: {fault.place or 'the whole'}: {fault.text}; take the file of an "
                "earlier commit, or remove it and run `synthward validate --recompute all --mark`"
            )
        )
        return {}
    except OSError as error:
        report(DamagedRecordError(f"{path} cannot be read: {error.strerror}"))
        return {}


def read_verified(folder: Path, report: Callable[[DamagedRecordError], object] = lambda _: None) -> Mapping[str, str]:
    """Digest of the record as it was when it was verified, by the record's id; see :func:`read_marks`."""
    return {name: mark.record for name, mark in read_marks(folder, report).items()}


def write_marks(folder: Path, marks: Mapping[str, Mark]) -> None:
    """Write the marks of a folder, the same bytes for the same marks."""
    content = {name: mark.model_dump() for name, mark in sorted(marks.items())}
    write_atomically(folder / VERIFIED_NAME, indented_json({"verified_version": 1, "records": content}))
