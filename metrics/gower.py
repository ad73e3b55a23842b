"""Distances between rows of mixed columns, and the nearest rows: what the proximity metrics ask, in bounded memory."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .base import Evaluation
from .encoding import Part, encoded

BLOCK = 500_000  # distances held at once: 4 MB an array


@dataclass(frozen=True)
class Space:
    """A table in Gower's space, in which the distance of two rows is the mean over columns of a difference.

    That difference is the absolute one divided by the train rows' range for two known numbers (1 for
    unequal numbers in a column that is constant there), 0 or 1 for two labels, 0 for two missing
    values and 1 for a missing and a known one.

    Attributes:
        numbers: scaled numbers of shape ``(rows, numeric columns)``, 0 where missing.
        missing: float 0/1 array of the same shape.
        codes: float codes of shape ``(rows, categorical columns)``.
    """

    numbers: np.ndarray
    missing: np.ndarray
    codes: np.ndarray


def gower_spaces(evaluation: Evaluation) -> dict[Part, Space]:
    """Train, control and synthetic rows in one Gower space. Infinite values count as missing there."""
    return evaluation.once("gower spaces", lambda: _gower_spaces(evaluation))


def nearest(queries: Space, rows: Space) -> np.ndarray:
    """Gower distance of every query to the nearest row, shape ``(queries,)`` (Gower 1971, Biometrics 27)."""
    from scipy.spatial.distance import cdist

    n_columns = rows.numbers.shape[1] + rows.codes.shape[1]
    distances = np.empty(len(queries.numbers))
    gaps = bool(queries.missing.any() or rows.missing.any())
    known_rows = (1 - rows.missing) * (1 - np.abs(rows.numbers))
    size = max(1, BLOCK // max(1, len(rows.numbers)))
    for start in range(0, len(distances), size):
        block = slice(start, start + size)
        total = np.zeros((len(distances[block]), len(rows.numbers)))
        if rows.numbers.shape[1]:
            total += cdist(queries.numbers[block], rows.numbers, "cityblock")
        if rows.codes.shape[1]:
            total += cdist(queries.codes[block], rows.codes, "hamming") * rows.codes.shape[1]
        if gaps:
            # A missing number stands as 0 above: lift its difference from a known x, |x| so far, to 1.
            missing = queries.missing[block]
            total += missing @ known_rows.T
            total += ((1 - missing) * (1 - np.abs(queries.numbers[block]))) @ rows.missing.T
        distances[block] = total.min(axis=1) / n_columns
    return distances


def _gower_spaces(evaluation: Evaluation) -> dict[Part, Space]:
    schema = evaluation.schema
    # In the order of the names, so that nothing depends on the order of the table's columns.
    numeric = np.argsort(np.array(schema.numeric, dtype=object))
    categorical = np.argsort(np.array(schema.categorical, dtype=object))
    train = encoded(evaluation, "train").numbers
    known = np.isfinite(train)
    low = np.where(known, train, np.inf).min(axis=0, initial=np.inf)
    high = np.where(known, train, -np.inf).max(axis=0, initial=-np.inf)
    parts: tuple[Part, ...] = ("train", "control", "synthetic")
    spaces = {}
    for part in parts:
        table = encoded(evaluation, part)
        numbers, missing = _scaled(table.numbers, low, high)
        columns = numbers[:, numeric], missing[:, numeric], table.codes[:, categorical].astype(float)
        spaces[part] = Space(*(np.ascontiguousarray(block) for block in columns))
    return spaces


def _scaled(numbers: np.ndarray, low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Numbers on the scale of the train rows' range, 0 where missing, and where they are missing."""
    missing = ~np.isfinite(numbers)
    constant = low >= high  # or without any known value
    offset = np.where(np.isfinite(low), low, 0.0)
    # Halves, because the range of the largest floats is not a float.
    with np.errstate(all="ignore"):
        scaled = (np.where(missing, 0.0, numbers) / 2 - offset / 2) / np.where(constant, 1.0, high / 2 - low / 2)
    scaled = np.where(constant, scaled != 0, scaled)
    return np.where(missing, 0.0, scaled), missing.astype(float)
