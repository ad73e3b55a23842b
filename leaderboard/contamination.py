"""What language models know by heart of the tables that generators asked them for.

The metric ``memorisation`` asks the same of a model and a table in every cell, so that there is one answer to each
pair and not one to each generator: it is a table of its own, and no column beside others.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from .board import Contamination, Memory, MemoryTest
from .frame import MEMORISATION

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from .section import Table, Values

TESTS = ("header", "row_completion", "feature_completion", "first_token")
NOT_TESTED = "not tested"
NOT_PUBLIC = "the table is not public, and models are asked about public tables alone"


def contamination(table: Table, values: Values) -> tuple[Contamination, ...]:
    """What every model knows of every table that a generator of it ran on, by model and table.

    A model without a name goes by its generator.

    Args:
        table: the records.
        values: theirs, see :func:`synthward.leaderboard.cards.judged`.
    """
    told: dict[int, list[int]] = defaultdict(list)
    for at in range(*values.metrics.get(MEMORISATION, slice(0)).indices(len(values.value))):
        told[int(values.record[at])].append(at)
    models = _models(table, values)
    cells: dict[tuple[str, str], list[int]] = defaultdict(list)
    for n, (generator, dataset) in enumerate(zip(table.generator.tolist(), table.dataset.tolist(), strict=True)):
        if model := models[generator]:
            cells[model, table.datasets[dataset]].append(n)
    return tuple(
        Contamination(model, dataset, {test: _test(table, values, own, told, test) for test in TESTS})
        for (model, dataset), own in sorted(cells.items())
    )


def by_generator(table: Table, values: Values, found: Iterable[Contamination]) -> dict[str, dict[str, bool | None]]:
    """Of every generator with a language model: by dataset, whether the model knows it by heart.

    Args:
        table: the records.
        values: theirs, see :func:`synthward.leaderboard.cards.judged`.
        found: what :func:`contamination` makes of them.
    """
    memorised = {(c.model, c.dataset): c.memorised for c in found}
    known: dict[str, dict[str, bool | None]] = defaultdict(dict)
    models = _models(table, values)
    for generator, dataset in dict.fromkeys(zip(table.generator.tolist(), table.dataset.tolist(), strict=True)):
        if models[generator]:
            label = table.datasets[dataset]
            known[table.generators[generator]][label] = memorised[models[generator], label]
    return dict(known)


def counted(known: Iterable[bool | None]) -> Memory:
    """Count tables."""
    given = list(known)
    said = [k for k in given if k is not None]
    return Memory(sum(said), len(said), len(given))


def _models(table: Table, values: Values) -> list[str]:
    """Label of each generator's model; a nameless one has that of its generator where any test has a value."""
    own = values.metrics.get(MEMORISATION, slice(0))
    tested = values.record[own][~np.isnan(values.value[own])]
    nameless = {table.generators[g] for g in np.unique(table.generator[tested])}
    return [
        model or (label if label in nameless else "")
        for label, model in zip(table.generators, table.models, strict=True)
    ]


def _test(
    table: Table, values: Values, cells: Sequence[int], told: Mapping[int, Sequence[int]], test: str
) -> MemoryTest:
    """What most cells say of a test; the reason that most give, where none has a value.

    Args:
        table: the records.
        values: theirs.
        cells: the records of one model on one table.
        told: by record the positions of what its metric says.
        test: its name.
    """
    ran = [n for n in cells if table.usable[n]]
    measured = [(at, values.kinds[values.kind[at]]) for n in ran for at in told.get(n, ())]
    own = [(at, kind) for at, kind in measured if kind[2] == test]
    known = Counter(
        MemoryTest(float(values.value[at]), *values.asked[at], status, reason)
        for at, (_, _, _, status, reason) in own
        if not np.isnan(values.value[at])
    )
    if known:
        most = max(known, key=lambda t: (known[t], t.n or 0, repr(t)))
        return replace(most, dissent=known.total() - known[most])
    if not table.public[cells].any():
        return MemoryTest(status=NOT_TESTED, reason=NOT_PUBLIC)
    lacking = Counter(kind[3:] for _, kind in own or [(at, kind) for at, kind in measured if not kind[2]])
    if lacking:
        status, reason = max(lacking, key=lambda r: (lacking[r], r))
        return MemoryTest(status=status, reason=reason)
    return MemoryTest(status=NOT_TESTED, reason="the metric was not asked for" if ran else "no cell gave a table")
