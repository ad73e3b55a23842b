"""Rows after examples: a language model that is shown some train rows in every request."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from ...benchmarks.columns import Column
from ...benchmarks.seeds import derive
from ...results.errors import UserError
from ..view import Access
from .rows import RowWriter

if TYPE_CHECKING:
    from ..selection import Choice
    from ..view import TrainView


@dataclass(eq=False)
class FewShot(RowWriter):
    """A language model that is shown ``k`` train rows in every request, chosen anew from a pool of some train rows.

    Without a pool, a table takes so many requests that most train rows end in a prompt, and the tier of *some* rows
    is one of all of them. 20 rows are the smallest set from which CLLM writes tables (Seedat et al. 2024, arXiv
    2312.12112), which gives its model this many, and no others, however many rows are written.

    Attributes:
        llm: the ``llm`` group of the configuration.
        pool: train rows of which the examples of all requests are chosen, drawn once a fit, stratified by the
            target's classes; ``None`` is all of them.
        k: rows shown in a request; the whole pool where it holds no more.
        choice: how they are chosen: ``random``, ``stratified`` by the target's classes, or ``diverse``: each
            the furthest from those before it.
        prior_knowledge: tell which database it is, and who its patients are.
        dictionary: tell what columns and codes mean; else only the values they take.
        shuffle: put the columns in a new order in every request.
    """

    access = Access.EXAMPLES

    pool: int | None = 20
    k: int = 8
    choice: Choice = "stratified"

    def __post_init__(self) -> None:
        if self.k < 1 or (self.pool is not None and self.pool < 1):
            raise UserError("k and pool are at least 1")

    def fit(self, view: TrainView, seed: int) -> Self:
        return super().fit(view if self.pool is None else view.pool(self.pool, seed), seed)

    def _blocks(self, order: Sequence[Column], index: int) -> dict[str, Any]:
        shown = self._view.examples(self.k, derive(self._fit_seed, "examples", str(index)), self.choice)
        return {"examples": shown.to_dict("records"), "real": True}
