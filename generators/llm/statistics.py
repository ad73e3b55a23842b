"""Rows from summary statistics in plain language: the zero-shot neurosurgical system (arXiv 2502.09566)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from ...benchmarks.columns import Column
from ..view import Access
from .prompts import STANDARD_ERRORS, gather, strongest
from .rows import RowWriter

if TYPE_CHECKING:
    from ..view import TrainView


@dataclass(eq=False)
class Statistics(RowWriter):
    """A language model that is told univariate and bivariate statistics of the train rows, and shown no row.

    Attributes:
        llm: the ``llm`` group of the configuration.
        threshold: absolute correlation from which a pair of columns is told; the sister study
            (10.3389/frai.2025.1533508) uses .20.
        standard_errors: from zero, beyond which the correlation must lie, too: two are ``2 / sqrt(n)`` in the ``n``
            rows in which both columns are known, .22 in 80 rows, which chance alone exceeds in one pair of twenty;
            0 tells all pairs from the threshold.
        most_pairs: pairs that are told at most, the strongest ones: a prompt has an end.
        prior_knowledge: tell which database it is, and who its patients are.
        dictionary: tell what columns and codes mean; else only the values they take.
        shuffle: put the columns in a new order in every request.
    """

    access = Access.STATISTICS
    missing = "imputed"

    threshold: float = 0.2
    standard_errors: float = STANDARD_ERRORS
    most_pairs: int = 40

    def fit(self, view: TrainView, seed: int) -> Self:
        self._facts = view.statistics()
        pairs = strongest(view.associations(), self.threshold, self.standard_errors)
        told = pairs[: self.most_pairs]
        self._told = {"associations": gather(told, view.schema), "told": len(told), "pairs": len(pairs)}
        return super().fit(view, seed)

    def _blocks(self, order: Sequence[Column], index: int) -> dict[str, Any]:
        return {"statistics": self._facts, **self._told}
