"""Rows after examples: a language model that is shown some train rows in every request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ...benchmarks.columns import Column
from ...benchmarks.seeds import derive
from ..view import Access
from .rows import RowWriter

if TYPE_CHECKING:
    from ..selection import Choice


class FewShot(RowWriter):
    """A language model that is shown ``k`` train rows, chosen anew for every request.

    Args:
        llm: the ``llm`` group of the configuration.
        k: rows shown in a request.
        choice: how they are chosen: ``random``, ``stratified`` by the target's classes, or ``diverse``: each
            the furthest from those before it.
        prior_knowledge: tell which database it is, and who its patients are.
        dictionary: tell what columns and codes mean; else only the values they take.
        shuffle: put the columns in a new order in every request.
    """

    access = Access.EXAMPLES

    def __init__(
        self,
        llm: Mapping[str, Any],
        k: int = 8,
        choice: Choice = "stratified",
        prior_knowledge: bool = True,
        dictionary: bool = True,
        shuffle: bool = True,
    ) -> None:
        super().__init__(llm, prior_knowledge, dictionary, shuffle)
        self.k = k
        self.choice = choice

    def _blocks(self, order: Sequence[Column], index: int) -> dict[str, Any]:
        shown = self._view.examples(self.k, derive(self._fit_seed, "examples", str(index)), self.choice)
        return {"examples": shown.to_dict("records"), "real": True}
