"""What depends on the real rows alone, kept on disk: a model of the train rows is trained once for all generators."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ...results.record import canonical_json, sha256_json
from ...results.store import file_name, write_atomically

if TYPE_CHECKING:
    from ..base import Evaluation

VERSION = 1  # raised when a learner, the encoding of a table or a kept array changes its meaning
LIBRARIES = ("numpy", "scipy", "scikit-learn", "xgboost")


@dataclass(frozen=True)
class References:
    """Arrays of one dataset, split and seed, one file each, in a folder that all evaluations of a store share.

    A file that is damaged, or is of something else, counts as absent. Two processes may compute the same array: the
    last one's file stays, and is equal.

    Attributes:
        folder: made on first use.
        origin: what the arrays follow from, as JSON: the dataset's fingerprint, its split and the seed.
    """

    folder: Path
    origin: Mapping[str, Any]

    def array(
        self, what: str, shape: tuple[int, ...], compute: Callable[[], np.ndarray], libraries: Sequence[str] = LIBRARIES
    ) -> np.ndarray:
        """Return the array of that name, computing it unless it is kept.

        Args:
            what: name of the array, the same for all evaluations.
            shape: that it must have.
            compute: gives an array of numbers; what it raises is raised, and nothing is kept.
            libraries: distributions whose versions bear on the numbers.
        """
        versions = {library: _version(library) for library in libraries}
        key = canonical_json({"what": what, "version": VERSION, "libraries": versions, **self.origin})
        path = self.folder / f"{file_name(what)}-{sha256_json(key)[:16]}.npz"
        kept = _read(path, key)
        if kept is not None and kept.shape == shape:
            return kept
        array = compute()
        with contextlib.suppress(OSError):  # a full disk: the array is as good without its file
            self.folder.mkdir(parents=True, exist_ok=True)
            write_atomically(path, _written(array, key))
        return array


def kept(
    evaluation: Evaluation,
    what: str,
    shape: tuple[int, ...],
    compute: Callable[[], np.ndarray],
    libraries: Sequence[str] = LIBRARIES,
) -> np.ndarray:
    """Return an array that follows from the real rows and the seed alone, see :meth:`References.array`."""
    if evaluation.references is None:
        return compute()
    return evaluation.references.array(what, shape, compute, libraries)


@cache
def _version(library: str) -> str:
    try:
        return version(library)
    except PackageNotFoundError:
        return ""


def _written(array: np.ndarray, key: str) -> bytes:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, array=array, key=np.array(key))
    return buffer.getvalue()


def _read(path: Path, key: str) -> np.ndarray | None:
    """The array in a file; ``None`` if there is none, or one of another key, or none that can be read."""
    try:
        with np.load(path, allow_pickle=False) as file:
            if str(file["key"]) != key:
                return None
            array: np.ndarray = file["array"]
    except Exception:  # to read a damaged file may raise anything
        return None
    return array
