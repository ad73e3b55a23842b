"""What is missing, and why: nothing leaves the board without a word."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from typing import TYPE_CHECKING

from ..results.record import USABLE, Phase
from .board import Failure

if TYPE_CHECKING:
    import pandas as pd


def failures(values: pd.DataFrame) -> tuple[Failure, ...]:
    """Cells without a table, counted by generator, dataset, status, phase and message.

    Args:
        values: a frame, see :func:`synthward.leaderboard.frame.frame`.
    """
    cells = values.drop_duplicates("id")
    failed = cells[~cells["cell_status"].isin(USABLE)]
    same = Counter(zip(*(failed[c] for c in ("generator", "dataset", "cell_status", "phase", "message")), strict=True))
    return tuple(
        Failure(g, d, "", status, phase, message, n) for (g, d, status, phase, message), n in sorted(same.items())
    )


def holes(values: pd.DataFrame) -> tuple[Failure, ...]:
    """Values that are missing, partial or ruled out in cells with a table, by dataset, metric, status and reason.

    Args:
        values: a frame, see :func:`synthward.leaderboard.cards.judged`.
    """
    who: dict[tuple[str, str, str, str], list[str]] = defaultdict(list)
    for m in values[values["cell_status"].isin(USABLE) & (values["metric"] != "")].to_dict("records"):
        status, reason = m["status"], m["reason"]
        if reason or math.isnan(m["value"]):
            name = f"{m['metric']} ({m['variant']})" if m["variant"] else m["metric"]
            who[m["dataset"], name, status, reason].append(m["generator"])
    return tuple(
        Failure(", ".join(sorted(set(g))), dataset, metric, status, str(Phase.EVALUATE), reason, len(g))
        for (dataset, metric, status, reason), g in sorted(who.items())
    )
