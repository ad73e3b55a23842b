"""Rows from a description alone: the text-to-tabular system (arXiv 2412.05153)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ...benchmarks.columns import Column
from ..view import Access
from .prompts import fictitious
from .rows import RowWriter


@dataclass(eq=False)
class ZeroShot(RowWriter):
    """A language model that has read the schema card, and no row or statistic of the table.

    The prompt has the blocks of the paper, each of which can be left out for its ablation: prior
    knowledge of the database, the dictionary of variables, one fictitious patient as an example, and
    the columns in a new order in every request.

    Attributes:
        llm: the ``llm`` group of the configuration.
        prior_knowledge: tell which database it is, and who its patients are.
        dictionary: tell what columns and codes mean; else only the values they take.
        example: show the fictitious patient of the card.
        shuffle: put the columns in a new order in every request.
    """

    access = Access.DESCRIPTION
    missing = "imputed"

    example: bool = True

    def _blocks(self, order: Sequence[Column], index: int) -> dict[str, Any]:
        return {"examples": [fictitious(order, self._view.example)]} if self.example else {}
