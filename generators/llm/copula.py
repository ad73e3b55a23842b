"""Rows from a distribution specification: a Gaussian copula over its margins, sampled with NumPy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...benchmarks.schema import Rule, TableSchema
from .distribution import Specification
from .latent import Latent, codes_of
from .ties import root_of, tie

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

ROUNDS = 50  # of drawing anew what breaks a rule of the card
BATCH = 1024  # rows that a further round draws at least


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

    margins = Latent(specification, schema)
    root = root_of(tie(specification, schema).matrix)
    codes = {name: np.array(codes_of(schema[name], schema), dtype=object) for name in schema.categorical}

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
