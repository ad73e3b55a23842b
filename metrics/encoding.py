"""Tables as arrays: the encoding that most metrics share, computed once for all tables of an evaluation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from .base import Evaluation

Part = Literal["train", "control", "test", "synthetic"]
PARTS: tuple[Part, ...] = ("train", "control", "test", "synthetic")


@dataclass(frozen=True)
class Encoded:
    """One canonical table as two arrays.

    Attributes:
        numbers: float array of shape ``(rows, numeric columns)``, NaN for missing.
        codes: int array of shape ``(rows, categorical columns)``, -1 for missing; a code means the
            same label in every table of the evaluation, and codes sort like labels.
        levels: number of labels of each categorical column over all tables, shape ``(categorical columns,)``.
    """

    numbers: np.ndarray
    codes: np.ndarray
    levels: np.ndarray

    def __len__(self) -> int:
        return len(self.numbers)

    def take(self, rows: np.ndarray) -> Encoded:
        """The rows with these numbers, in this order."""
        return Encoded(self.numbers[rows], self.codes[rows], self.levels)

    def columns(self, numeric: Sequence[int], categorical: Sequence[int]) -> Encoded:
        """The numeric and the categorical columns with these numbers, in this order."""
        return Encoded(self.numbers[:, numeric], self.codes[:, categorical], self.levels[categorical])


def encoded(evaluation: Evaluation, part: Part) -> Encoded:
    """The encoding of one table of an evaluation; columns in the order of the schema."""
    return evaluation.once("encoded", lambda: _encode(evaluation))[part]


def row_keys(evaluation: Evaluation) -> dict[Part, np.ndarray]:
    """One integer per row, shape ``(rows,)`` per table: two rows have one key exactly if all their values are equal.

    Two missing values are equal. Keys are exact, not hashes, so that no collision can pass for a leak.
    """
    return evaluation.once("row keys", lambda: _row_keys(evaluation))


def group_keys(columns: list[np.ndarray]) -> np.ndarray:
    """Number the distinct combinations of non-negative integer columns, each of shape ``(rows,)``."""
    keys = columns[0].astype(np.int64)
    for column in columns[1:]:
        # Renumbering after every column keeps products far below 2**63.
        keys = pd.factorize(keys * (int(column.max(initial=0)) + 1) + column)[0]
    return keys


def _encode(evaluation: Evaluation) -> dict[Part, Encoded]:
    schema = evaluation.schema
    tables: dict[Part, pd.DataFrame] = {part: getattr(evaluation, part) for part in PARTS}
    ends = np.cumsum([len(table) for table in tables.values()])
    numbers = np.empty((ends[-1], len(schema.numeric)))
    for j, name in enumerate(schema.numeric):
        numbers[:, j] = np.concatenate([table[name].to_numpy(dtype=float) for table in tables.values()])
    codes = np.empty((ends[-1], len(schema.categorical)), dtype=np.int64)
    levels = np.zeros(len(schema.categorical), dtype=np.int64)
    for j, name in enumerate(schema.categorical):
        labels = np.concatenate([table[name].to_numpy(dtype=object) for table in tables.values()])
        codes[:, j], uniques = pd.factorize(labels, sort=True)
        levels[j] = len(uniques)
    starts = [0, *ends[:-1]]
    return {
        part: Encoded(numbers[start:end], codes[start:end], levels)
        for part, start, end in zip(PARTS, starts, ends, strict=True)
    }


def _row_keys(evaluation: Evaluation) -> dict[Part, np.ndarray]:
    tables = [encoded(evaluation, part) for part in PARTS]
    numbers = np.concatenate([table.numbers for table in tables])
    codes = np.concatenate([table.codes for table in tables])
    columns = [pd.factorize(numbers[:, j])[0] + 1 for j in range(numbers.shape[1])]
    columns += [codes[:, j] + 1 for j in range(codes.shape[1])]
    keys = group_keys(columns)
    return dict(zip(PARTS, np.split(keys, np.cumsum([len(table) for table in tables])[:-1]), strict=True))
