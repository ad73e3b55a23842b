"""What an attacker concludes of a patient from the nearest synthetic rows: links and guesses, in bounded memory.

Where several synthetic rows are equally near, an attacker takes one of them at random: every function gives the chance
that he is right.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from .gower import BYTE, Space
from .proximity import TIE

TOLERANCE = 0.05  # of a guessed number, as a share of the guess
SLACK = 1e-12  # added to the guess, so that 3.60 is right for 3.42 whichever way they are rounded
BLOCK = 2_000_000  # distances held at once: 16 MB an array
CACHED = 2**17  # and computed at once: as many as stay in a processor's cache
FARTHEST = 1e5  # in ranges of a column: further out, a sum of differences loses the digits that tell ties


@dataclass(frozen=True)
class Secret:
    """A column that an attacker wants to know.

    Attributes:
        name: its name.
        column: its place in a :class:`.gower.Space`, the numeric columns first.
        truth: values of the targets, shape ``(targets,)``: floats with NaN for missing, or integer codes.
        guesses: values of the synthetic rows, shape ``(rows,)``.
    """

    name: str
    column: int
    truth: np.ndarray
    guesses: np.ndarray


def linked(targets: Space, synthetic: Space, halves: Sequence[np.ndarray]) -> np.ndarray:
    """Chance that both halves of a target have the same nearest synthetic row.

    Args:
        targets: shape ``(targets, columns)``.
        synthetic: shape ``(rows, columns)``, at least one row and no two alike.
        halves: two lists of columns, numbered with the numeric ones first.

    Returns:
        Shape ``(targets,)``.
    """
    found = np.empty(len(targets))
    sides = [(_points(targets, half), _points(synthetic, half)) for half in halves]
    for block in _blocks(len(targets), len(synthetic)):
        near, near_too = (_nearest(_differences(queries.take(block), rows)) for queries, rows in sides)
        both = np.count_nonzero(near & near_too, axis=1)
        found[block] = both / (np.count_nonzero(near, axis=1) * np.count_nonzero(near_too, axis=1))
    return found


def inferred(targets: Space, synthetic: Space, secrets: Sequence[Secret]) -> np.ndarray:
    """Chance that the synthetic row nearest to a target in all other columns has its secret.

    Args:
        targets: shape ``(targets, columns)``.
        synthetic: shape ``(rows, columns)``, at least one row.
        secrets: columns to infer, one at a time.

    Returns:
        Shape ``(secrets, targets)``.
    """
    found = np.empty((len(secrets), len(targets)))
    every = np.arange(targets.numbers.shape[1] + targets.codes.shape[1])
    queries, rows = _points(targets, every), _points(synthetic, every)
    columns = [np.array([secret.column]) for secret in secrets]
    alone = [(_points(targets, column), _points(synthetic, column)) for column in columns]
    for block in _blocks(len(targets), len(synthetic)):
        total = _differences(queries.take(block), rows)
        for k, (secret, (target, guess)) in enumerate(zip(secrets, alone, strict=True)):
            # All columns less one: cheaper than the others anew for every secret.
            query, row = np.nonzero(_nearest(total - _differences(target.take(block), guess)))
            right = agree(secret.guesses[row], secret.truth[block][query])
            found[k, block] = np.bincount(query, right) / np.bincount(query)
    return found


def guessed(secret: Secret) -> np.ndarray:
    """Chance that a random synthetic row has the secret of a target, shape ``(targets,)``."""
    truth, guesses = secret.truth, secret.guesses
    if truth.dtype.kind != "f":
        counts = np.bincount(guesses + 1, minlength=int(truth.max(initial=-1)) + 2)
        shares: np.ndarray = counts[truth + 1] / len(guesses)
        return shares
    known = np.sort(guesses[~np.isnan(guesses)])
    with np.errstate(over="ignore"):
        lean = np.where(truth > 0, TOLERANCE, -TOLERANCE)
        low, high = (truth - TOLERANCE * SLACK) / (1 + lean), (truth + TOLERANCE * SLACK) / (1 - lean)
    counts = np.searchsorted(known, high, side="right") - np.searchsorted(known, low, side="left")
    return np.where(np.isnan(truth), len(guesses) - len(known), counts) / len(guesses)


def agree(guesses: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Whether guesses are right: labels if equal, numbers if within 5 % of the guess, missing if missing.

    anonymeter divides by the guess and not by its size, so that there every negative guess is right.
    """
    if truth.dtype.kind != "f":
        same: np.ndarray = guesses == truth
        return same
    with np.errstate(over="ignore", invalid="ignore"):
        near = np.abs(guesses - truth) <= TOLERANCE * (np.abs(guesses) + SLACK)
    found: np.ndarray = near | (guesses == truth) | (np.isnan(guesses) & np.isnan(truth))
    return found


@dataclass(frozen=True)
class _Points:
    """Some columns of a table in Gower's space, as numbers whose differences add up.

    Attributes:
        numbers: float array of shape ``(rows, numeric columns)``, 0 where missing.
        missing: float 0/1 array of the same shape.
        lift: what a difference from a missing number lacks to 1, same shape.
        codes: integer array of shape ``(categorical columns, rows)``.
    """

    numbers: np.ndarray
    missing: np.ndarray
    lift: np.ndarray
    codes: np.ndarray

    def take(self, rows: np.ndarray | slice) -> _Points:
        return _Points(self.numbers[rows], self.missing[rows], self.lift[rows], self.codes[:, rows])


def _points(space: Space, columns: np.ndarray) -> _Points:
    n_numeric = space.numbers.shape[1]
    numeric, categorical = columns[columns < n_numeric], columns[columns >= n_numeric] - n_numeric
    numbers, missing = np.clip(space.numbers[:, numeric], -FARTHEST, FARTHEST), space.missing[:, numeric].astype(float)
    lift = (1 - missing) * (1 - np.abs(numbers))
    return _Points(numbers, missing, lift, space.codes[:, categorical].T.astype(np.int32, order="C"))


def _differences(queries: _Points, rows: _Points) -> np.ndarray:
    """Sums of Gower's differences over the columns, shape ``(queries, rows)``."""
    from scipy.spatial.distance import cdist

    total = np.empty((len(queries.numbers), len(rows.numbers)))
    size = max(1, CACHED // max(1, len(queries.numbers)))
    pairs = list(zip(queries.codes[:, :, None], rows.codes, strict=True))
    for start in range(0, total.shape[1], size):
        # All queries meet some rows before the next ones are fetched from memory, which takes longer than to compare.
        some = slice(start, start + size)
        part, sums = rows.take(some), total[:, some]
        sums[:] = cdist(queries.numbers, part.numbers, "cityblock") if part.numbers.shape[1] else 0.0
        for first in range(0, len(pairs), BYTE):
            unequal, differs = np.zeros(sums.shape, np.uint8), np.empty(sums.shape, bool)
            for query, row in pairs[first : first + BYTE]:
                unequal += np.not_equal(query, row[some], out=differs).view(np.uint8)
            sums += unequal
        if queries.missing.any():
            sums += queries.missing @ part.lift.T
        if part.missing.any():
            sums += queries.lift @ part.missing.T
    return total


def _nearest(differences: np.ndarray) -> np.ndarray:
    """Which rows are the nearest of each query, ties included; shape of ``differences``."""
    found: np.ndarray = differences <= differences.min(axis=1, keepdims=True) + TIE
    return found


def _blocks(queries: int, rows: int) -> Iterator[np.ndarray]:
    """Numbers of the queries, in runs of which each takes bounded memory."""
    size = max(1, BLOCK // rows)
    for start in range(0, queries, size):
        yield np.arange(start, min(start + size, queries))
