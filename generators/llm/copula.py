"""Rows from a distribution specification: a Gaussian copula over its margins, sampled with NumPy.

The stated correlations are those of the values. The normal variables behind them need others, because a margin
with few values or a long tail weakens a correlation: NORTA ("normal to anything") finds them pair by pair
(Cario and Nelson, Technical report, Northwestern University 1997). For two columns that are functions of one normal
variable each, the Hermite series of the two margins say which; for others they are found by trial (Chen, INFORMS
Journal on Computing 2001;13:312-331).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from ...benchmarks.schema import Column, Rule, TableSchema
from ..summary import indicated
from .distribution import Codes, Correlation, Numbers, Problem, Specification, ordered, shape
from .margins import Quantile, by_weight, fit, with_zeros

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

ROUNDS = 50  # of drawing anew what breaks a rule of the card
BATCH = 1024  # rows that a further round draws at least
TERMS = 40  # of a Hermite series
GRID = 4096  # quantiles that a margin is represented by
STRONGEST = 0.9999  # correlation of two normal variables
TRIALS, TRIAL_ROWS = 15, 32_768
FAR = 0.3  # most that a trial changes a correlation by
ASIDE = 0.1  # how readily it changes one of which nothing was stated
FLAT = 0.02  # slope, as a share of the steepest, that it does not follow
CLOSE = 0.002  # to the stated correlations, at which trials end
OFF = 0.02  # from which a correlation is said not to be the stated one

# From the normal variables of a column, of shape (rows, variables), to its values: numbers, or places among codes.
Draw: TypeAlias = Callable[["np.ndarray", "np.random.Generator"], "np.ndarray"]


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


@dataclass(frozen=True)
class Tally:
    """What the rules of the card did to the rows of a table.

    Attributes:
        drawn: rows that were drawn in all.
        imposed: rule to the number of rows that were made to obey it.
        broken: rule to the number of rows that broke it nonetheless, and were drawn anew.
    """

    drawn: int
    imposed: dict[str, int]
    broken: dict[str, int]


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

    margins = _Margins(specification, schema, tabled=True)
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


def sample(specification: Specification, schema: TableSchema, n: int, seed: int) -> tuple[pd.DataFrame, Tally]:
    """Draw rows.

    Where a rule of the card says what a value is, the value is put in. Rows that break a rule nonetheless are
    drawn anew, which shifts the distribution to rows that keep the rules.

    Args:
        specification: as :func:`.specification_check.validate` returned it, nothing refused.
        schema: of the table.
        n: number of rows.
        seed: of all randomness.

    Returns:
        A canonical table of shape ``(n, columns)``, of fewer rows where the rules leave hardly any; and what
        the rules did.
    """
    import numpy as np
    import pandas as pd

    rng = np.random.default_rng(seed)
    draw = _sampler(specification, schema)
    kept: list[pd.DataFrame] = []
    imposed = {rule.name: 0 for rule in schema.rules}
    broken = dict(imposed)
    have, size, drawn = 0, n, 0
    for _ in range(ROUNDS if schema.rules else 1):
        table = draw(size, rng)
        for _ in schema.rules:  # what one rule puts in may be the condition of another
            changed = {rule.name: _impose(rule, table, schema) for rule in schema.rules}
            imposed = {name: count + changed[name] for name, count in imposed.items()}
            if not any(changed.values()):
                break
        for name, column in specification.columns.items():  # last: parents and rules count where nothing is recorded
            if column.missing:
                gaps = 100 * rng.random(size) < column.missing
                table[name] = table[name].mask(gaps, float("nan") if schema[name].numeric else None)
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
    tally = Tally(drawn, *({name: count for name, count in counts.items() if count} for counts in (imposed, broken)))
    return pd.concat(kept, ignore_index=True).iloc[:n], tally


def _sampler(specification: Specification, schema: TableSchema) -> Callable[[int, np.random.Generator], pd.DataFrame]:
    """What draws so many rows without gaps, whether or not they keep the rules."""
    import numpy as np
    import pandas as pd

    margins = _Margins(specification, schema)
    root = _root(tie(specification, schema).matrix)
    codes = {name: np.array(_codes(schema[name], schema), dtype=object) for name in schema.categorical}

    def draw(size: int, rng: np.random.Generator) -> pd.DataFrame:
        values = margins.values(rng.standard_normal((size, len(root))) @ root.T, rng, schema.names)
        return pd.DataFrame({name: codes[name][v] if name in codes else v for name, v in values.items()})

    return draw


def _impose(rule: Rule, table: pd.DataFrame, schema: TableSchema) -> int:
    """Put in what a rule says that a value is, where the column can hold it.

    Returns:
        The number of rows that were changed.
    """
    import numpy as np
    import pandas as pd

    change = ~rule.satisfied(table, schema)
    if rule.op != "==" or not change.any():
        return 0
    column = schema[rule.left]
    right = table[rule.right] if rule.right in schema.names else pd.Series(rule.right, index=table.index)
    if not column.numeric:
        change &= right.isin(list(column.codes)).to_numpy()
    elif column.bounds:
        change &= right.between(*column.bounds).to_numpy()
    if column.kind == "integer":
        change &= (right == np.round(right)).to_numpy()
    table.loc[change, rule.left] = right[change]
    return int(change.sum())


class _Margins:
    """The columns of a specification as functions of normal variables.

    A column of numbers or of ordered codes is a function of one variable. Of codes without an order, each that is
    correlated with something has a variable of its own, independent of the others of its column. They have their
    turn from the rarest on, in the rows that no code has taken yet: a code takes those in which its variable is
    highest, as many as make up its share. Codes that are correlated with nothing share the rows that are left.

    Args:
        specification: as :func:`.specification_check.validate` returned it.
        schema: of the table.
        tabled: hold every quantile function as a table, which is faster and nearly as good.

    Attributes:
        place: what has a normal variable behind it, by name, to its place among the variables.
        owner: the same to its column.
        own: column to the places of its variables.
    """

    def __init__(self, specification: Specification, schema: TableSchema, *, tabled: bool = False) -> None:
        self._columns = specification.columns
        stated = {name for pair in specification.correlations for name in (pair.a, pair.b)}
        self.place: dict[str, int] = {}
        self.owner: dict[str, str] = {}
        self.own: dict[str, list[int]] = {}
        self._code: dict[str, int] = {}  # of what is a code: its place among those of its column
        self._draws: dict[str, Draw] = {}
        self._cases: dict[str, dict[int, Draw]] = {}
        self._series: dict[str, tuple[np.ndarray, np.ndarray]] = {}
        for name, margin in self._columns.items():
            column, codes = schema[name], list(schema[name].codes)
            own_codes = [] if ordered(column) else [i for i, c in enumerate(codes) if f"{name}={c}" in stated]
            variables = [name] if ordered(column) else [f"{name}={codes[i]}" for i in own_codes]
            self.own[name] = [len(self.place) + i for i in range(len(variables))]
            self.place |= dict(zip(variables, self.own[name], strict=True))
            self.owner |= dict.fromkeys(variables, name)
            self._code |= {f"{name}={codes[i]}": i for i in own_codes}
            self._draws[name] = _draw(margin, column, schema, own_codes, tabled)
            if margin.given is not None:
                parents = _codes(schema[margin.given.parent], schema)
                self._cases[name] = {
                    parents.index(code): _draw(case, column, schema, own_codes, tabled)
                    for code, case in margin.given.cases.items()
                }

    def values(self, z: np.ndarray, rng: np.random.Generator, names: Collection[str]) -> dict[str, np.ndarray]:
        """Numbers, or places among the codes, of columns with all their parents.

        Args:
            z: normal variables, of shape ``(rows, variables)``.
            rng: of the codes that are correlated with nothing.
            names: of the columns, in the order of the result.
        """
        drawn: dict[str, np.ndarray] = {}
        for name in sorted(names, key=self.depth):
            variables = z[:, self.own[name]]
            values = self._draws[name](variables, rng)
            if (given := self._columns[name].given) is not None:
                for code, draw in self._cases[name].items():
                    rows = drawn[given.parent] == code
                    values[rows] = draw(variables[rows], rng)
            drawn[name] = values
        return {name: drawn[name] for name in names}

    def score(self, variable: str, drawn: dict[str, np.ndarray]) -> np.ndarray:
        """What is correlated, standardised: a column or the indicator of a code; zeros if it is constant."""
        values = drawn[self.owner[variable]]
        return _standardised(values == self._code[variable] if variable in self._code else values)

    def series(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """A plain column as a function of its normal variable.

        Returns:
            Its standardised values at ``GRID`` quantiles, zeros if it is constant; and the coefficients of orders
            1 to ``TERMS`` of its series of Hermite polynomials, each of them normed.
        """
        import numpy as np
        from scipy.special import ndtri

        if name in self._series:
            return self._series[name]
        z = ndtri(_grid())
        values = _standardised(self._draws[name](z[:, None], np.random.default_rng()))
        before, polynomial = np.zeros(GRID), np.ones(GRID)
        terms = np.empty(TERMS)
        for k in range(TERMS):
            before, polynomial = polynomial, (z * polynomial - np.sqrt(k) * before) / np.sqrt(k + 1)
            terms[k] = np.mean(values * polynomial)
        self._series[name] = values, terms
        return values, terms

    def line(self, name: str) -> set[str]:
        """A column and all from which it descends."""
        given = self._columns[name].given
        return {name} | (set() if given is None else self.line(given.parent))

    def depth(self, name: str) -> int:
        """How many a column descends from."""
        return len(self.line(name)) - 1

    def plain(self, name: str) -> bool:
        """Whether a column is a function of one normal variable."""
        return self._columns[name].given is None and self.place.get(name) is not None


def _draw(margin: Numbers | Codes, column: Column, schema: TableSchema, own: Sequence[int], tabled: bool) -> Draw:
    """A margin as a function of normal variables: of one, or of those of codes that have one of their own."""
    from scipy.special import ndtr

    if isinstance(margin, Codes):
        weights = [margin.percent[code] / 100 for code in _codes(column, schema)]
        if not ordered(column):
            return _choose(weights, own)
        quantile = by_weight(weights)
    else:
        made = shape(margin)
        found = fit(made)
        assert found is not None  # it was checked
        quantile = with_zeros(found.quantile, margin.zeros / 100)
    if tabled:
        quantile = _tabled(quantile)
    return lambda z, rng: quantile(ndtr(z[:, 0]))


def _choose(weights: Sequence[float], own: Sequence[int]) -> Draw:
    """Places of codes by weight, see :class:`_Margins`.

    Args:
        weights: of all codes.
        own: places of the codes that have a normal variable of their own.
    """
    import numpy as np
    from scipy.special import ndtr

    others = [0.0 if i in own else weight for i, weight in enumerate(weights)]
    rarest_first = sorted((weights[i], i, variable) for variable, i in enumerate(own) if weights[i] > 0)
    other = by_weight(others) if sum(others) > 0 else None

    def draw(z: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        size = len(z)
        values = other(rng.random(size)) if other else np.full(size, rarest_first[-1][1])
        undecided, left = np.ones(size, dtype=bool), sum(weights)
        for weight, i, variable in rarest_first:
            chosen = undecided & (ndtr(-z[:, variable]) < weight / left)
            values[chosen] = i
            undecided &= ~chosen
            left -= weight
        return values

    return draw


def _tabled(quantile: Quantile) -> Quantile:
    import numpy as np

    values = quantile(_grid())
    return lambda u: values[np.minimum((u * GRID).astype(int), GRID - 1)]


def _grid() -> np.ndarray:
    """Probabilities that a margin is represented by."""
    import numpy as np

    return (np.arange(GRID) + 0.5) / GRID


def _codes(column: Column, schema: TableSchema) -> list[str]:
    """Codes from low to high, as the statistics of the train rows count them."""
    codes = list(column.codes)
    return codes[::-1] if len(codes) == 2 and indicated(column, schema) == codes[0] else codes


def _by_series(pairs: Sequence[Correlation], margins: _Margins, matrix: np.ndarray) -> Iterator[str]:
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


def _by_trial(pairs: Sequence[Correlation], margins: _Margins, matrix: np.ndarray) -> Iterator[str]:
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
        z[:, here] = noise @ _root(block).T
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


def _standardised(values: np.ndarray) -> np.ndarray:
    """Values with mean 0 and standard deviation 1; zeros if they are all alike."""
    import numpy as np

    spread = values.std()
    return (values - values.mean()) / spread if spread > 0 else np.zeros(len(values))


def _uncorrelate(matrix: np.ndarray, group: Sequence[int]) -> None:
    """Make some variables independent of each other, in place, by a change of basis among them."""
    import numpy as np

    root = _root(matrix[np.ix_(group, group)])
    matrix[group] = np.linalg.solve(root, matrix[group])
    matrix[:, group] = np.linalg.solve(root, matrix[:, group].T).T


def _root(matrix: np.ndarray) -> np.ndarray:
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
