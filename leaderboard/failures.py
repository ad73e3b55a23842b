"""What is missing, and why: nothing leaves the board without a word."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING

import numpy as np

from ..results.record import Phase
from .board import Failure

if TYPE_CHECKING:
    from .section import Table, Values


def failures(table: Table) -> tuple[Failure, ...]:
    """Cells without a table, counted by generator, dataset, status, phase and message."""
    failed = np.flatnonzero(~table.usable).tolist()
    same = Counter(
        (
            table.generators[table.generator[n]],
            table.datasets[table.dataset[n]],
            *(table.cells[n].status, table.cells[n].phase, table.cells[n].message),
        )
        for n in failed
    )
    return tuple(
        Failure(g, d, "", status, phase, message, n) for (g, d, status, phase, message), n in sorted(same.items())
    )


def holes(table: Table, values: Values) -> tuple[Failure, ...]:
    """Values that are missing, partial or ruled out in cells with a table, by dataset, metric, status and reason.

    Args:
        table: the records.
        values: theirs, see :func:`synthward.leaderboard.cards.judged`.
    """
    told = values.of_kinds([bool(reason) for *_, reason in values.kinds])
    where = np.flatnonzero(told | np.isnan(values.value))
    where = where[table.usable[values.record[where]]]
    record = values.record[where]
    shape = (len(table.datasets), len(values.kinds), len(table.generators))
    of_what = np.ravel_multi_index((table.dataset[record], values.kind[where], table.generator[record]), shape)
    same, counts = np.unique(of_what, return_counts=True)
    found = [part.tolist() for part in np.unravel_index(same, shape)]
    who: dict[tuple[str, str, str, str], Counter[str]] = defaultdict(Counter)
    for dataset, kind, generator, count in zip(*found, counts.tolist(), strict=True):
        metric, _, variant, status, reason = values.kinds[kind]
        name = f"{metric} ({variant})" if variant else metric
        who[table.datasets[dataset], name, status, reason][table.generators[generator]] += count
    return tuple(
        Failure(", ".join(sorted(g)), dataset, metric, status, str(Phase.EVALUATE), reason, g.total())
        for (dataset, metric, status, reason), g in sorted(who.items())
    )
