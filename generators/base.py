"""The contract of a generator."""

from __future__ import annotations

import importlib.util
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from .estimate import Estimate
from .view import Access, TrainView

if TYPE_CHECKING:
    import pandas as pd

    from ..benchmarks.dataset import DatasetCard
    from ..benchmarks.schema import TableSchema

Missing = Literal["reproduced", "imputed"]


class Generator(ABC):
    """Makes synthetic rows. Subclass this in one file of your own to join the benchmark.

    ``__init__`` only stores its parameters; ``fit`` learns and returns ``self``; ``sample`` returns
    ``n`` rows with the schema's columns. All randomness comes from the seeds that are handed in:
    the same seeds give the same table, other seeds another one.

    Attributes:
        access: what the generator may see; the view holds nothing beyond it. A generator whose settings
            decide it sets it on the instance, in ``__init__``.
        version: raised on any change of the output. Without one, a hash of the module's source
            stands in, so that an edited generator of your own is run again.
        reference: whether its row is there to read the others by, and never a competitor.
        missing: whether missing values are ``reproduced``, or the generator declares that it
            leaves none (``imputed``).
        requires: top-level modules that must be importable.
        extra: the extra of synthward that installs them.
        preload: modules worth importing once per worker, before the cell's own process is forked.
    """

    access: Access = Access.ROWS
    version: ClassVar[str | None] = None
    reference: ClassVar[bool] = False
    missing: Missing = "reproduced"
    requires: ClassVar[tuple[str, ...]] = ()
    extra: ClassVar[str | None] = None
    preload: ClassVar[tuple[str, ...]] = ()

    def supports(self, schema: TableSchema) -> str | None:
        """Say why the generator cannot serve tables of this schema, or ``None`` if it can."""
        return None

    @abstractmethod
    def fit(self, view: TrainView, seed: int) -> Self:
        """Learn from what the view allows.

        Args:
            view: schema and, by tier, statistics, examples or all of the train rows.
            seed: seed of all randomness in fitting.
        """

    @abstractmethod
    def sample(self, n: int, seed: int) -> pd.DataFrame:
        """Make ``n`` synthetic rows.

        Args:
            n: number of rows.
            seed: seed of all randomness in sampling.

        Returns:
            A table of shape ``(n, columns)`` with the schema's columns in any order. Fewer rows
            than asked make the cell ``partial``.
        """

    def details(self) -> dict[str, Any]:
        """Facts of this run worth recording, as JSON: epochs run, usage, retries. After ``sample``."""
        return {}

    def attachments(self) -> dict[str, bytes]:
        """Files worth keeping and publishing beside the record, by name, such as a transcript. After ``sample``."""
        return {}

    def prepare(self) -> None:
        """Start what outlives a cell and serves many, such as a model server.

        Called in the sweep's worker before the cell's own process is forked: what that process starts
        ends with it. Must be safe to call again; lasts until the worker ends.
        """

    def estimate(self, view: TrainView, n: int) -> Estimate | None:
        """What ``n`` rows should cost if every reply were valid; asks nobody.

        Returns:
            ``None`` for a generator that asks no language model.
        """
        return None

    def language_model(self) -> Any | None:
        """The language model behind the rows, for metrics that ask it something; ``None`` if there is none to ask.

        It has the method of ``synthward.metrics.base.LanguageModel``; with ``rehearse`` as well, what metrics will
        ask it stands in the plan.
        """
        return None

    def refuses(self, card: DatasetCard) -> str | None:
        """Say why a dataset must not be handed to this generator, such as private rows for an endpoint elsewhere.

        Unlike a table that is not supported, which is recorded, this stops the sweep before anything is run.
        """
        return None

    @classmethod
    def defining(cls, params: Mapping[str, Any]) -> dict[str, Any]:
        """The parameters that decide what the rows are, as they enter a cell's identity and its record.

        All of them, unless some only say how the rows are come by, such as the address of an endpoint.
        """
        return dict(params)


def missing_requirement(generator: type[Generator]) -> str | None:
    """One line that says which extra to install for a generator, or ``None`` if nothing is missing."""
    absent = [m for m in generator.requires if importlib.util.find_spec(m) is None]
    if not absent:
        return None
    remedy = f"pip install 'synthward[{generator.extra}]'" if generator.extra else f"pip install {' '.join(absent)}"
    return f"{generator.__name__} needs {', '.join(absent)}, not installed here: {remedy}"
