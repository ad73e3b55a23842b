"""The normal variables' correlations that give the stated ones to the values of a specification.

They are not the same, because a margin with few values or a long tail weakens a correlation: NORTA ("normal to
anything") finds them pair by pair (Cario and Nelson, Technical report, Northwestern University 1997). For two columns
that are functions of one normal variable each, the Hermite series of the two margins say which; for others they are
found by trial (Chen, INFORMS Journal on Computing 2001;13:312-331).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...benchmarks.schema import TableSchema
from .distribution import Correlation, Problem, Specification
from .latent import Latent

if TYPE_CHECKING:
    import numpy as np

STRONGEST = 0.9999  # correlation of two normal variables
TRIALS, TRIAL_ROWS = 15, 32_768
FAR = 0.3  # most that a trial changes a correlation by
ASIDE = 0.1  # how readily it changes one of which nothing was stated
FLAT = 0.02  # slope, as a share of the steepest, that it does not follow
CLOSE = 0.002  # to the stated correlations, at which trials end
OFF = 0.02  # from which a correlation is said not to be the stated one


@dataclass(frozen=True)
class Ties:
    """How the columns of a specification go together.

    Attributes:
        variables: what has a normal variable behind it: an ordered column, or a ``column=code`` that is correlated.
        matrix: correlations of these variables, of shape ``(variables, variables)``: no eigenvalue is negative.
        problems: stated correlations that could not be had as stated.
    """

    variables: tuple[str, ...]
    matrix: np.ndarray
    problems: list[Problem]


def tie(specification: Specification, schema: TableSchema) -> Ties:
    """Find the correlations of the normal variables that give the stated ones to the values.

    A pair correlated more strongly than its margins allow gets the strongest possible correlation. Pairs of which
    nothing is said are uncorrelated, unless the stated correlations leave no room for that. Stated correlations
    that no variables can have are replaced by the nearest that they can.

    Args:
        specification: as :func:`.specification_check.validate` returned it.
        schema: of the table.
    """
    import numpy as np

    margins = Latent(specification, schema, tabled=True)
    place = margins.place
    matrix, held = np.eye(len(place)), np.eye(len(place), dtype=bool)
    for name, column in specification.columns.items():
        # Independence on which the shares of codes, and the cases of a column, are built.
        apart = [margins.own[name]] + ([margins.own[column.given.parent]] if column.given else [])
        for group in apart:
            held[np.ix_(margins.own[name], group)] = True
    together: dict[tuple[str, str], list[Correlation]] = defaultdict(list)
    for pair in specification.correlations:
        a, b = margins.owner[pair.a], margins.owner[pair.b]
        if (b, a) in together:
            a, b, pair = b, a, Correlation(a=pair.b, b=pair.a, r=pair.r)
        together[a, b].append(pair)
        held[np.ix_(margins.own[a], margins.own[b])] = True
    reasons: list[str] = []
    # Parents first: part of a column's correlation with another comes from them.
    for names, pairs in sorted(together.items(), key=lambda item: sum(map(margins.depth, item[0]))):
        find = _by_series if all(map(margins.plain, names)) else _by_trial
        reasons += find(pairs, margins, matrix)
    nearest = nearest_correlation(matrix, held | held.T)
    if np.abs(nearest - matrix)[held].max(initial=0.0) > 0.5 * OFF:
        reasons.append("correlations contradict each other: the nearest valid ones")
        for group in margins.own.values():
            _uncorrelate(nearest, group)
    return Ties(tuple(place), nearest, [Problem("", reason, True) for reason in reasons])


def nearest_correlation(
    matrix: np.ndarray, held: np.ndarray | None = None, rounds: int = 500, close: float = 1e-9
) -> np.ndarray:
    """The correlation matrix nearest to a symmetric matrix with unit diagonal, in the Frobenius norm.

    Alternating projections with Dykstra's correction: Higham, IMA Journal of Numerical Analysis 2002;22:329-343.

    Args:
        matrix: of shape ``(d, d)``.
        held: of the same shape: entries to be kept, besides the diagonal, if any correlation matrix has them all;
            else it is one that is nearest in them. None of them by default.
        rounds: most projections.
        close: relative change at which they end.

    Returns:
        The matrix itself if it is a correlation matrix, else one without negative eigenvalues.
    """
    import numpy as np

    if np.linalg.eigvalsh(matrix).min(initial=0.0) >= -1e-12:
        return matrix
    held = np.eye(len(matrix), dtype=bool) if held is None else held
    unit, correction = matrix, np.zeros_like(matrix)
    for _ in range(rounds):
        semidefinite = _without_negative_eigenvalues(unit - correction)
        correction += semidefinite - unit
        before, unit = unit, np.where(held, matrix, semidefinite)
        if np.linalg.norm(unit - before) <= close * np.linalg.norm(unit):
            break
    # The last projection may leave a diagonal that is off, or an eigenvalue below zero, by what is still to go.
    semidefinite = _without_negative_eigenvalues(unit)
    scale = np.sqrt(np.diag(semidefinite))
    scaled = semidefinite / np.outer(scale, scale)
    np.fill_diagonal(scaled, 1.0)
    return (scaled + scaled.T) / 2


def _by_series(pairs: Sequence[Correlation], margins: Latent, matrix: np.ndarray) -> Iterator[str]:
    """Find the correlation of the variables of two columns that are functions of one variable each.

    Args:
        pairs: the only one.
        margins: of all columns.
        matrix: correlations of all variables; those that are found are entered.

    Yields:
        What is amiss.
    """
    import numpy as np

    (pair,) = pairs
    (values_a, terms_a), (values_b, terms_b) = margins.series(pair.a), margins.series(pair.b)
    if not (values_a.any() and values_b.any()):
        yield "correlation of a constant column"
        return
    rho = np.linspace(-1, 1, 401)
    r = rho * np.polynomial.polynomial.polyval(rho, terms_a * terms_b)
    # The series ends too early for the strongest correlations, which are known: same and opposite order.
    r[0], r[-1] = np.mean(values_a * values_b[::-1]), np.mean(values_a * values_b)
    r = np.maximum.accumulate(np.clip(r, r[0], r[-1]))
    if not r[0] - OFF <= pair.r <= r[-1] + OFF:
        yield "correlation stronger than the two distributions allow"
    latent = float(np.clip(np.interp(pair.r, r, rho), -STRONGEST, STRONGEST)) if pair.r else 0.0
    a, b = margins.place[pair.a], margins.place[pair.b]
    matrix[a, b] = matrix[b, a] = latent


def _by_trial(pairs: Sequence[Correlation], margins: Latent, matrix: np.ndarray) -> Iterator[str]:
    """Find those of the variables of two columns by drawing values again and again, always from the same numbers.

    What two columns have in common depends on their own variables and on those of all from which they descend.
    The correlations that lack are made up for by Newton steps, whose slopes are learned from step to step (Broyden,
    Mathematics of Computation 1965;19:577-593).

    Args, Yields:
        As :func:`_by_series`; the pairs are all those of two columns, ``a`` always being of the same one.
    """
    import numpy as np

    first, second = margins.owner[pairs[0].a], margins.owner[pairs[0].b]
    family = margins.line(first) | margins.line(second)
    here = [i for name in margins.own if name in family for i in margins.own[name]]
    sides = margins.own[first], margins.own[second]
    cells = [(i, j) for i in sides[0] for j in sides[1]]
    inside = np.array([[here.index(i) for i in cell] for cell in cells]).T
    stated = {(margins.place[pair.a], margins.place[pair.b]) for pair in pairs}
    ease = np.array([1.0 if cell in stated else ASIDE for cell in cells])
    block = nearest_correlation(matrix[np.ix_(here, here)]).copy()
    z = np.zeros((TRIAL_ROWS, len(matrix)))
    noise = np.random.default_rng(0).standard_normal((TRIAL_ROWS, len(here)))
    latent, slopes, moved, found = np.zeros(len(cells)), None, np.zeros(len(cells)), np.zeros(len(pairs))
    best, least, fewest = latent, np.zeros(0), np.inf
    for _ in range(TRIALS):
        z[:, here] = noise @ root_of(block).T
        drawn = margins.values(z, np.random.default_rng(1), family)
        a = np.array([margins.score(pair.a, drawn) for pair in pairs])
        b = np.array([margins.score(pair.b, drawn) for pair in pairs])
        before, found = found, np.mean(a * b, axis=1)
        varies = a.any(axis=1) & b.any(axis=1)
        lacks = np.where(varies, [pair.r for pair in pairs] - found, 0.0)
        if (worst := np.abs(lacks).max()) < fewest:
            best, least, fewest = latent, lacks, worst
        if worst <= CLOSE:
            break
        if slopes is None:  # the product of how values and variables are correlated on either side
            slopes = np.einsum("pi,pj->pij", a @ z[:, sides[0]], b @ z[:, sides[1]]) / TRIAL_ROWS**2
            slopes = slopes.reshape(len(pairs), -1)
        elif moved.any():
            slopes = slopes + np.outer(found - before - slopes @ moved, moved) / (moved @ moved)
        step = ease * np.linalg.lstsq(slopes * ease, lacks, rcond=FLAT)[0]
        after = np.clip(latent + np.clip(step, -FAR, FAR), -STRONGEST, STRONGEST)
        _enter(after, inside, block)
        while np.linalg.eigvalsh(block)[0] < -1e-9:  # no variables are correlated so strongly
            after = 0.95 * after
            _enter(after, inside, block)
        latent, moved = after, after - latent
    yield from ["correlation of a constant column"] * int(np.sum(~varies))
    yield from ["correlation stronger than the two distributions allow"] * int(np.sum(np.abs(least) > OFF))
    _enter(best, np.array(cells).T, matrix)


def _enter(latent: np.ndarray, cells: np.ndarray, matrix: np.ndarray) -> None:
    """Write correlations into a symmetric matrix: that of ``(i, j)`` for every column of ``cells``."""
    matrix[cells[0], cells[1]] = matrix[cells[1], cells[0]] = latent


def _uncorrelate(matrix: np.ndarray, group: Sequence[int]) -> None:
    """Make some variables independent of each other, in place, by a change of basis among them."""
    import numpy as np

    root = root_of(matrix[np.ix_(group, group)])
    matrix[group] = np.linalg.solve(root, matrix[group])
    matrix[:, group] = np.linalg.solve(root, matrix[:, group].T).T


def root_of(matrix: np.ndarray) -> np.ndarray:
    """Cholesky root of a correlation matrix: a spectral root's signs differ between linear algebra libraries."""
    import numpy as np

    jitter = 1e-8
    return np.linalg.cholesky((matrix + jitter * np.eye(len(matrix))) / (1 + jitter))


def _without_negative_eigenvalues(matrix: np.ndarray) -> np.ndarray:
    """The nearest positive semidefinite matrix to a symmetric one."""
    import numpy as np

    eigenvalues, vectors = np.linalg.eigh(matrix)
    nearest: np.ndarray = (vectors * np.clip(eigenvalues, 0, None)) @ vectors.T
    return nearest
