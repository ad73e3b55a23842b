"""What a generator may see of the real table, and the only door through which it sees it."""

from __future__ import annotations

import copy
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from ..benchmarks.seeds import derive
from ..results.errors import UserError
from .selection import Choice, choose
from .summary import Association, associate, summarise

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from ..benchmarks.dataset import DatasetCard, Sharing, Split
    from ..benchmarks.schema import TableSchema


class Access(StrEnum):
    """What a generator is allowed to see of the real table, from least to most."""

    DESCRIPTION = "description"  # the schema card only
    STATISTICS = "statistics"  # and summary statistics of the train rows
    EXAMPLES = "examples"  # and some train rows, each of them logged
    ROWS = "rows"  # and all train rows
    REFERENCE = "reference"  # and the control rows: for the reference generator `real` alone


TIERS = tuple(Access)


class AccessDeniedError(UserError):
    """A generator asked for more than its declared access allows."""


class TrainView:
    """What one generator may see of one split, by the tier that it declares.

    The view *holds* no more than the tier allows: with ``description`` access there is no row in it.

    Attributes:
        schema: the schema card, open to every tier.
        access: the tier.
        title, description, example: of the dataset's card, open to every tier; the example is no real row.
        sharing: whether rows and statistics may leave this machine: ``public`` or ``local-only``.
        inferred: whether the card was read off the rows, and so tells something of them.
        shown: numbers of the train rows that were handed out for a prompt, in order, repeats included.
        learned: the same of rows that a model of the generator's own learned from, and no prompt holds.
    """

    def __init__(self, schema: TableSchema, split: Split, access: Access, card: DatasetCard | None = None) -> None:
        self.schema = schema
        self.access = access
        self.title = card.title if card else ""
        self.description = card.description if card else ""
        self.example = dict(card.example) if card else {}
        self.sharing: Sharing = card.sharing if card else "local-only"
        self.inferred = card.inferred if card else True
        self.shown: list[int] = []
        self.learned: list[int] = []
        self._rows: pd.DataFrame | None = split.train if self._allows(Access.EXAMPLES) else None
        self._numbers: Sequence[int] = range(len(split.train))  # of the rows that it holds
        self._size = len(split.train)
        self._control: pd.DataFrame | None = split.control if self._allows(Access.REFERENCE) else None
        if access is Access.STATISTICS:  # taken now, because the rows are not kept
            self._statistics, self._associations = summarise(split.train, schema), associate(split.train, schema)

    def rows(self) -> pd.DataFrame:
        """All train rows: a canonical table of shape ``(train rows, columns)``, yours to change.

        Raises:
            AccessDeniedError: below ``rows`` access.
        """
        self._require(Access.ROWS)
        assert self._rows is not None
        return self._rows.copy()

    def control(self) -> pd.DataFrame:
        """All control rows, for the reference generator ``real`` alone.

        Raises:
            AccessDeniedError: below ``reference`` access.
        """
        self._require(Access.REFERENCE)
        assert self._control is not None
        return self._control.copy()

    def examples(self, k: int, seed: int, how: Choice = "random", *, prompt: bool = True) -> pd.DataFrame:
        """Draw ``k`` train rows without replacement and log them.

        Args:
            k: number of rows.
            seed: of the choice.
            how: ``random``, ``stratified`` by the target's classes, or ``diverse``.
            prompt: whether they may stand in a prompt, and are logged in ``shown``; else in ``learned``.

        Raises:
            AccessDeniedError: below ``examples`` access.
        """
        self._require(Access.EXAMPLES)
        assert self._rows is not None
        chosen = choose(self._rows, self.schema, k, how, seed)
        (self.shown if prompt else self.learned).extend(self._numbers[i] for i in chosen)
        return self._rows.iloc[chosen].reset_index(drop=True)

    def pool(self, n: int, seed: int) -> TrainView:
        """The same view of ``n`` of the train rows, as if there were no others; what it hands out is logged here, too.

        Args:
            n: number of rows, drawn stratified by the target's classes; all where there are no more.
            seed: of the draw: the same seed gives the same rows, also from a pool of as many.

        Raises:
            AccessDeniedError: below ``examples`` access.
        """
        self._require(Access.EXAMPLES)
        assert self._rows is not None
        chosen = sorted(choose(self._rows, self.schema, n, "stratified", derive(seed, "pool")).tolist())
        view = copy.copy(self)
        view._rows = self._rows.iloc[chosen].reset_index(drop=True)
        view._numbers = [self._numbers[i] for i in chosen]
        return view

    def exposure(self) -> dict[str, Any]:
        """Which train rows were handed out one by one, and how many distinct ones of how many, for the record."""
        if not (self.shown or self.learned):
            return {}
        shown, learned = set(self.shown), set(self.learned)
        return {
            "shown_rows": list(self.shown),
            "learned_rows": list(self.learned),
            "exposure": {"shown": len(shown), "only_learned": len(learned - shown), "train_rows": self._size},
        }

    def statistics(self) -> dict[str, dict[str, Any]]:
        """Summary of every column of the train rows.

        Returns:
            Column name to ``missing`` (share) and either ``mean``, ``sd``, ``min``, ``max`` and
            ``quantiles`` (at 5, 25, 50, 75 and 95 %) or ``shares`` (code to share of known values).

        Raises:
            AccessDeniedError: below ``statistics`` access.
        """
        self._require(Access.STATISTICS)
        return self._statistics if self._rows is None else summarise(self._rows, self.schema)

    def associations(self) -> dict[tuple[str, str], Association]:
        """Pearson correlation of every two columns over the train rows in which both are known.

        Ordered codes count as their ranks; a column of two codes as 1 for the target's positive class, else
        for the card's last code; one of more codes as an indicator for each, named ``column=code``.

        Returns:
            Pair of names to correlation ``r`` and number of rows ``n``; a pair is left out where a side is constant
            or too rarely known.

        Raises:
            AccessDeniedError: below ``statistics`` access.
        """
        self._require(Access.STATISTICS)
        return self._associations if self._rows is None else associate(self._rows, self.schema)

    def restricted(self, access: Access) -> TrainView:
        """The same train rows for a generator of a lower tier; what it is shown is logged here, too.

        Raises:
            AccessDeniedError: the tier is higher than this view's own.
        """
        self._require(access)
        view = copy.copy(self)
        view.access = access
        if not view._allows(Access.REFERENCE):
            view._control = None
        if not view._allows(Access.EXAMPLES):
            view._rows = None
        if access is Access.STATISTICS:
            view._statistics, view._associations = self.statistics(), self.associations()
        elif access is Access.DESCRIPTION:
            view._statistics, view._associations = {}, {}
        return view

    def _allows(self, tier: Access) -> bool:
        return TIERS.index(self.access) >= TIERS.index(tier)

    def _require(self, tier: Access) -> None:
        if not self._allows(tier):
            raise AccessDeniedError(
                f"a generator with '{self.access}' access asked for '{tier}': declare `access = Access.{tier.name}`"
            )
