"""Rows from a distribution specification: a Gaussian copula over its margins, sampled with NumPy.

The stated correlations are those of the values. The normal variables behind them need others, because a margin
with few values or a long tail weakens a correlation: NORTA ("normal to anything") finds them pair by pair
(Cario and Nelson, Technical report, Northwestern University 1997), here by the Hermite series of the two margins.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ...benchmarks.schema import Column, TableSchema
from ..summary import indicated
from .distribution import Codes, Numbers, Problem, Specification, shape
from .margins import Quantile, by_weight, fit, with_zeros

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

ROUNDS = 50  # of drawing anew what breaks a rule of the card
BATCH = 1024  # rows that a further round draws at least
TERMS = 40  # of a Hermite series
GRID = 4096  # quantiles that a margin is represented by
STRONGEST = 0.9999  # correlation of two normal variables


@dataclass(frozen=True)
class Ties:
    """How the columns of a specification go together.

    Attributes:
        names: columns, in order.
        matrix: correlations of the normal variables behind them, of shape ``(columns, columns)``: positive definite.
        problems: stated correlations that could not be had as stated.
    """

    names: tuple[str, ...]
    matrix: np.ndarray
    problems: list[Problem]


def tie(specification: Specification, schema: TableSchema) -> Ties:
    """Find the correlations of the normal variables that give the stated ones to the values.

    A pair correlated more strongly than its margins allow gets the strongest possible correlation. A matrix that
    no variables can have is replaced by the nearest one that they can.

    Args:
        specification: as :func:`.specification_check.validate` returned it.
        schema: of the table.
    """
    import numpy as np

    names = tuple(specification.columns)
    place = {name: i for i, name in enumerate(names)}
    matrix = np.eye(len(names))
    problems = []
    series: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    for pair in specification.correlations:
        for name in (pair.a, pair.b):
            if name not in series:
                series[name] = _series(_quantile(specification.columns[name], schema[name], schema))
        (values_a, terms_a), (values_b, terms_b) = series[pair.a], series[pair.b]
        if not (values_a.any() and values_b.any()):
            problems.append(Problem("", "correlation of a constant column", True))
            continue
        rho = np.linspace(-1, 1, 401)
        r = rho * np.polynomial.polynomial.polyval(rho, terms_a * terms_b)
        # The series ends too early for the strongest correlations, which are known: same and opposite order.
        r[0], r[-1] = np.mean(values_a * values_b[::-1]), np.mean(values_a * values_b)
        r = np.maximum.accumulate(np.clip(r, r[0], r[-1]))
        if not r[0] - 0.02 <= pair.r <= r[-1] + 0.02:
            problems.append(Problem("", "correlation stronger than the two distributions allow", True))
        latent = float(np.clip(np.interp(pair.r, r, rho), -STRONGEST, STRONGEST)) if pair.r else 0.0
        matrix[place[pair.a], place[pair.b]] = matrix[place[pair.b], place[pair.a]] = latent
    nearest = nearest_correlation(matrix)
    if not np.array_equal(nearest, matrix):
        problems.append(Problem("", "correlations contradict each other: the nearest valid ones", True))
    return Ties(names, nearest, problems)


def nearest_correlation(matrix: np.ndarray, rounds: int = 500, close: float = 1e-9) -> np.ndarray:
    """The correlation matrix nearest to a symmetric matrix with unit diagonal, in the Frobenius norm.

    Alternating projections with Dykstra's correction: Higham, IMA Journal of Numerical Analysis 2002;22:329-343.

    Args:
        matrix: of shape ``(d, d)``.
        rounds: most projections.
        close: relative change at which they end.

    Returns:
        The matrix itself if it is a correlation matrix, else one without negative eigenvalues.
    """
    import numpy as np

    if np.linalg.eigvalsh(matrix).min(initial=0.0) >= -1e-12:
        return matrix
    unit, correction = matrix, np.zeros_like(matrix)
    for _ in range(rounds):
        semidefinite = _without_negative_eigenvalues(unit - correction)
        correction += semidefinite - unit
        before, unit = unit, semidefinite.copy()
        np.fill_diagonal(unit, 1.0)
        if np.linalg.norm(unit - before) <= close * np.linalg.norm(unit):
            break
    # The last projection may leave a diagonal that is off, or an eigenvalue below zero, by what is still to go.
    semidefinite = _without_negative_eigenvalues(unit)
    scale = np.sqrt(np.diag(semidefinite))
    scaled = semidefinite / np.outer(scale, scale)
    np.fill_diagonal(scaled, 1.0)
    return (scaled + scaled.T) / 2


def sample(specification: Specification, schema: TableSchema, n: int, seed: int) -> tuple[pd.DataFrame, dict[str, int]]:
    """Draw rows.

    Rows that break a rule of the card are drawn anew, which shifts the distribution to rows that keep them.

    Args:
        specification: as :func:`.specification_check.validate` returned it, nothing refused.
        schema: of the table.
        n: number of rows.
        seed: of all randomness.

    Returns:
        A canonical table of shape ``(n, columns)``, of fewer rows where the rules leave hardly any; and the
        number of rows that broke each rule.
    """
    import numpy as np
    import pandas as pd

    rng = np.random.default_rng(seed)
    draw = _sampler(specification, schema)
    kept: list[pd.DataFrame] = []
    broken = {rule.name: 0 for rule in schema.rules}
    have, size, drawn = 0, n, 0
    for _ in range(ROUNDS if schema.rules else 1):
        table = draw(size, rng)
        good = np.ones(size, dtype=bool)
        for rule in schema.rules:
            satisfied = rule.satisfied(table, schema)
            broken[rule.name] += int((~satisfied).sum())
            good &= satisfied
        kept.append(table if good.all() else table[good])
        have, drawn = have + int(good.sum()), drawn + size
        if have >= n:
            break
        # As many as the share of good rows so far makes likely to do, but no table much larger than the first.
        size = int(min(1.1 * (n - have) * drawn / max(have, 1), 4 * n)) + BATCH
    table = pd.concat(kept, ignore_index=True).iloc[:n]
    return table, {name: count for name, count in broken.items() if count}


def _sampler(specification: Specification, schema: TableSchema) -> Callable[[int, np.random.Generator], pd.DataFrame]:
    """What draws so many rows, whether or not they keep the rules."""
    import numpy as np
    import pandas as pd
    from scipy.special import ndtr

    columns = specification.columns
    ties = tie(specification, schema)
    # Cholesky rather than a spectral root, whose signs differ between linear algebra libraries.
    jitter = 1e-8 * np.eye(len(ties.names))
    root = np.linalg.cholesky((ties.matrix + jitter) / (1 + 1e-8))
    place = {name: i for i, name in enumerate(ties.names)}
    own = {name: _quantile(columns[name], schema[name], schema) for name in columns}
    cases = {
        name: {code: _quantile(case, schema[name], schema) for code, case in column.given.cases.items()}
        for name, column in columns.items()
        if column.given is not None
    }
    codes = {name: np.array(_codes(schema[name], schema), dtype=object) for name in schema.categorical}

    def depth(name: str) -> int:
        given = columns[name].given
        return 0 if given is None else 1 + depth(given.parent)

    parents_first = sorted(columns, key=depth)

    def draw(size: int, rng: np.random.Generator) -> pd.DataFrame:
        u = ndtr(rng.standard_normal((size, len(root))) @ root.T)
        drawn: dict[str, np.ndarray] = {}
        for name in parents_first:
            values = own[name](u[:, place[name]])
            if (given := columns[name].given) is not None:
                for code, quantile in cases[name].items():
                    rows = drawn[given.parent] == code
                    values[rows] = quantile(u[rows, place[name]])
            drawn[name] = codes[name][values] if name in codes else values
        for name, column in columns.items():  # last, so that a parent counts where its value is not recorded
            if column.missing:
                drawn[name] = np.where(100 * rng.random(size) < column.missing, _gap(schema[name]), drawn[name])
        return pd.DataFrame({name: drawn[name] for name in schema.names})

    return draw


def _quantile(margin: Numbers | Codes, column: Column, schema: TableSchema) -> Quantile:
    """Of numbers, or of places among the codes."""
    if isinstance(margin, Codes):
        return by_weight([margin.percent[code] for code in _codes(column, schema)])
    found = fit(shape(margin))
    assert found is not None  # it was checked
    return with_zeros(found.quantile, margin.zeros / 100)


def _codes(column: Column, schema: TableSchema) -> list[str]:
    """Codes from low to high, as the statistics of the train rows count them."""
    codes = list(column.codes)
    return codes[::-1] if len(codes) == 2 and indicated(column, schema) == codes[0] else codes


def _gap(column: Column) -> Any:
    return float("nan") if column.numeric else None


def _series(quantile: Quantile) -> tuple[np.ndarray, np.ndarray]:
    """A margin as a function of a normal variable.

    Returns:
        Its standardised values at ``GRID`` quantiles, zeros if it is constant; and the coefficients of orders 1 to
        ``TERMS`` of its series of Hermite polynomials, each of them normed.
    """
    import numpy as np
    from scipy.special import ndtri

    u = (np.arange(GRID) + 0.5) / GRID
    values = np.asarray(quantile(u), dtype=float)
    spread = values.std()
    if not spread > 0:
        return np.zeros(GRID), np.zeros(TERMS)
    values = (values - values.mean()) / spread
    z = ndtri(u)
    before, polynomial = np.zeros(GRID), np.ones(GRID)
    terms = np.empty(TERMS)
    for k in range(TERMS):
        before, polynomial = polynomial, (z * polynomial - np.sqrt(k) * before) / np.sqrt(k + 1)
        terms[k] = np.mean(values * polynomial)
    return values, terms


def _without_negative_eigenvalues(matrix: np.ndarray) -> np.ndarray:
    """The nearest positive semidefinite matrix to a symmetric one."""
    import numpy as np

    eigenvalues, vectors = np.linalg.eigh(matrix)
    nearest: np.ndarray = (vectors * np.clip(eigenvalues, 0, None)) @ vectors.T
    return nearest
