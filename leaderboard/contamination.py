"""What language models know by heart of the tables that generators asked them for.

The metric ``memorisation`` asks the same of a model and a table in every cell, so that there is one answer to each
pair and not one to each generator: it is a table of its own, and no column beside others.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING

from ..results.record import USABLE
from .board import Contamination, Memory, MemoryTest

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pandas as pd

    from ..results.record import Measurement

METRIC = "memorisation"
TESTS = ("header", "row_completion", "feature_completion", "first_token")
NOT_TESTED = "not tested"
NOT_PUBLIC = "the table is not public, and models are asked about public tables alone"


def contamination(values: pd.DataFrame) -> tuple[Contamination, ...]:
    """What every model knows of every table that a generator of it ran on, by model and table.

    A model without a name goes by its generator.

    Args:
        values: a frame, see :func:`synthward.leaderboard.cards.judged`.
    """
    asked = _with_model(values)
    return tuple(
        Contamination(str(model), str(dataset), {test: _test(cells, test) for test in TESTS})
        for (model, dataset), cells in asked.groupby(["model", "dataset"], sort=True)
    )


def by_generator(values: pd.DataFrame, found: Iterable[Contamination]) -> dict[str, dict[str, bool | None]]:
    """Of every generator with a language model: by dataset, whether the model knows it by heart.

    Args:
        values: a frame, see :func:`synthward.leaderboard.cards.judged`.
        found: what :func:`contamination` makes of it.
    """
    memorised = {(c.model, c.dataset): c.memorised for c in found}
    known: dict[str, dict[str, bool | None]] = defaultdict(dict)
    ran = _with_model(values)[["generator", "model", "dataset"]].drop_duplicates()
    for generator, model, dataset in ran.itertuples(index=False):
        known[generator][dataset] = memorised[model, dataset]
    return dict(known)


def counted(known: Iterable[bool | None]) -> Memory:
    """Count tables."""
    given = list(known)
    said = [k for k in given if k is not None]
    return Memory(sum(said), len(said), len(given))


def _with_model(values: pd.DataFrame) -> pd.DataFrame:
    tested = values.loc[(values["metric"] == METRIC) & values["value"].notna(), "generator"]
    nameless = (values["model"] == "") & values["generator"].isin(tested)
    named = values.assign(model=values["model"].mask(nameless, values["generator"]))
    return named[named["model"] != ""]


def _test(cells: pd.DataFrame, test: str) -> MemoryTest:
    """What most cells say of a test; the reason that most give, where none has a value."""
    measured = cells[(cells["metric"] == METRIC) & cells["cell_status"].isin(USABLE)]
    own = measured[measured["variant"] == test]
    known = own[own["value"].notna()]
    if len(known):
        said = Counter(map(_said, known["measurement"], known["reason"]))
        most = max(said, key=lambda t: (said[t], t.n or 0, repr(t)))
        return replace(most, dissent=len(known) - said[most])
    if not (cells["sharing"] == "public").any():
        return MemoryTest(status=NOT_TESTED, reason=NOT_PUBLIC)
    lacking = own if len(own) else measured[measured["variant"] == ""]
    if len(lacking):
        reasons = Counter(zip(lacking["status"], lacking["reason"], strict=True))
        status, reason = max(reasons, key=lambda r: (reasons[r], r))
        return MemoryTest(status=status, reason=reason)
    ran = cells["cell_status"].isin(USABLE).any()
    return MemoryTest(status=NOT_TESTED, reason="the metric was not asked for" if ran else "no cell gave a table")


def _said(measured: Measurement, reason: str) -> MemoryTest:
    baseline, distinct = (measured.breakdown.get(part) for part in ("baseline", "distinct"))
    return MemoryTest(
        measured.value, measured.low, measured.high, measured.n, baseline, distinct, str(measured.status), reason
    )
