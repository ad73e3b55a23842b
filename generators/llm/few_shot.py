"""Rows after examples: a language model that is shown some train rows in every request."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ...benchmarks.columns import Column
from ...benchmarks.seeds import derive
from ..view import Access
from .rows import RowWriter

if TYPE_CHECKING:
    from ..selection import Choice


@dataclass(eq=False)
class FewShot(RowWriter):
    """A language model that is shown ``k`` train rows, chosen anew for every request.

    Attributes:
        llm: the ``llm`` group of the configuration.
        k: rows shown in a request.
        choice: how they are chosen: ``random``, ``stratified`` by the target's classes, or ``diverse``: each
            the furthest from those before it.
        prior_knowledge: tell which database it is, and who its patients are.
        dictionary: tell what columns and codes mean; else only the values they take.
        shuffle: put the columns in a new order in every request.
    """

    access = Access.EXAMPLES

    k: int = 8
    choice: Choice = "stratified"

    def _blocks(self, order: Sequence[Column], index: int) -> dict[str, Any]:
        shown = self._view.examples(self.k, derive(self._fit_seed, "examples", str(index)), self.choice)
        return {"examples": shown.to_dict("records"), "real": True}
