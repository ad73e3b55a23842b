"""The columns of a specification as functions of normal variables, which a copula can correlate."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING, TypeAlias

from ...benchmarks.schema import Column, TableSchema
from ..summary import indicated
from .distribution import Codes, Numbers, Specification, ordered, shape
from .margins import Quantile, by_weight, fit, with_zeros

if TYPE_CHECKING:
    import numpy as np

TERMS = 40  # of a Hermite series
GRID = 4096  # quantiles that a margin is represented by

# From the normal variables of a column, of shape (rows, variables), to its values: numbers, or places among codes.
Draw: TypeAlias = Callable[["np.ndarray", "np.random.Generator"], "np.ndarray"]


class Latent:
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
                parents = codes_of(schema[margin.given.parent], schema)
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
        z = ndtri(grid())
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
        weights = [margin.percent[code] / 100 for code in codes_of(column, schema)]
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
    """Places of codes by weight, see :class:`Latent`.

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

    values = quantile(grid())
    return lambda u: values[np.minimum((u * GRID).astype(int), GRID - 1)]


def grid() -> np.ndarray:
    """Probabilities that a margin is represented by."""
    import numpy as np

    return (np.arange(GRID) + 0.5) / GRID


def codes_of(column: Column, schema: TableSchema) -> list[str]:
    """Codes from low to high, as the statistics of the train rows count them."""
    codes = list(column.codes)
    return codes[::-1] if len(codes) == 2 and indicated(column, schema) == codes[0] else codes


def _standardised(values: np.ndarray) -> np.ndarray:
    """Values with mean 0 and standard deviation 1; zeros if they are all alike."""
    import numpy as np

    spread = values.std()
    return (values - values.mean()) / spread if spread > 0 else np.zeros(len(values))
