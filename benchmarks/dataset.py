"""Datasets and their three-way split into train, control and test rows."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import Field, ValidationError, model_validator

from ..results.errors import UserError, first_fault
from ..results.record import Frozen, sha256_json
from .schema import TableSchema, label
from .seeds import derive

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

Sharing = Literal["public", "local-only"]


class DatasetError(UserError):
    """A dataset cannot be loaded, or cannot serve as a benchmark."""


class DatasetCard(Frozen):
    """The card of a dataset: where it comes from, what it means, what one may do with it.

    Attributes:
        name: key of the dataset.
        title: name for people.
        version: raised on any change of the preparation.
        source: where the rows come from: ``_target_`` (dotted path of a loader that returns a
            DataFrame) and its arguments.
        domain: clinical domain.
        description: one paragraph: who the patients are, and what was recorded when.
        example: a fictitious patient, written from clinical knowledge: column to value. It is what a generator
            that sees no row may show as an example.
        prevalence: code of the target to its share in the source, from documentation.
        licence, citation, url: of the data.
        sharing: ``local-only`` rows may not leave the machine.
        inferred: whether kinds, codes and bounds were read off the rows, so that the card tells something of them.
        schema_: columns, target, task, sensitive columns and rules.
    """

    name: str
    title: str = ""
    version: int = 1
    source: dict[str, Any] = Field(default_factory=dict)
    domain: str = ""
    description: str = ""
    example: dict[str, float | str] = Field(default_factory=dict)
    prevalence: dict[str, float] = Field(default_factory=dict)
    licence: str = ""
    citation: str = ""
    url: str = ""
    sharing: Sharing = "local-only"
    inferred: bool = False
    schema_: TableSchema

    @model_validator(mode="after")
    def _possible_example(self) -> Self:
        for name, value in self.example.items():
            if name not in self.schema_.names:
                raise ValueError(f"example: '{name}' is not a column of the table")
            column = self.schema_[name]
            low, high = column.bounds or (-math.inf, math.inf)
            possible = value in column.codes if isinstance(value, str) else column.numeric and low <= value <= high
            if not possible:
                raise ValueError(f"example: {value!r} is no possible value of '{name}'")
        return self

    @classmethod
    def parse(cls, card: dict[str, Any]) -> Self:
        """Read a card as it stands in ``conf/dataset/*.yaml``, where schema fields are not nested.

        Raises:
            DatasetError: the card is not consistent; the message names the field.
        """
        schema = {k: v for k, v in card.items() if k in TableSchema.model_fields}
        rest = {k: v for k, v in card.items() if k not in schema}
        if isinstance(rest.get("example"), dict):
            numeric = {str(name): c.get("kind") in ("continuous", "integer") for name, c in _columns(card).items()}
            rest["example"] = {str(k): v if numeric.get(str(k)) else label(v) for k, v in rest["example"].items()}
        if isinstance(rest.get("prevalence"), dict):
            rest["prevalence"] = {str(k): v for k, v in rest["prevalence"].items()}
        try:
            return cls(**rest, schema_=TableSchema(**schema))
        except ValidationError as error:
            fault = first_fault(error)
            raise DatasetError(
                f"the card of dataset '{card.get('name', '?')}' is wrong"
                f"{f' at {fault.place}' if fault.place else ''}: {fault.text}"
            ) from None


def _columns(card: Mapping[str, Any]) -> dict[str, Any]:
    columns = card.get("columns")
    return {k: v for k, v in columns.items() if isinstance(v, dict)} if isinstance(columns, dict) else {}


class Protocol(Frozen):
    """How a table is split and how many rows a generator is asked for.

    Train and control have the same size by default, so that a row of the one is exactly as likely
    to be near a synthetic row as a row of the other if the generator kept nothing of train.

    Attributes:
        name: key of the protocol.
        train, control, test: shares of the rows; their sum is at most 1.
        split_seed: seed of the cap and the split.
        max_rows: larger tables are capped to a random sample of this size before the split,
            stratified by class.
        ratio: synthetic rows asked for, as a multiple of the train rows.
    """

    name: str = "default"
    train: float = Field(default=0.4, gt=0, lt=1)
    control: float = Field(default=0.4, gt=0, lt=1)
    test: float = Field(default=0.2, gt=0, lt=1)
    split_seed: int = 0
    max_rows: int | None = Field(default=None, ge=10)
    ratio: float = Field(default=1.0, gt=0, le=1000)

    @model_validator(mode="after")
    def _shares(self) -> Self:
        if self.train + self.control + self.test > 1 + 1e-9:
            raise ValueError("train, control and test must not sum to more than 1")
        return self


@dataclass(frozen=True)
class Split:
    """Three disjoint canonical tables with fresh indices.

    Attributes:
        train: what a generator may learn from, within its access.
        control: never shown to a generator; the counterpart of train in privacy metrics.
        test: never shown to a generator; the reference of fidelity and utility metrics.
    """

    train: pd.DataFrame
    control: pd.DataFrame
    test: pd.DataFrame


@dataclass(frozen=True)
class Dataset:
    """A canonical table with its card.

    Attributes:
        card: the dataset's card.
        table: canonical table of shape ``(rows, columns)``.
    """

    card: DatasetCard
    table: pd.DataFrame

    @property
    def schema(self) -> TableSchema:
        """The schema of the card."""
        return self.card.schema_

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over the values of all rows in order, and over the schema they are read with."""
        import pandas as pd

        digest = hashlib.sha256(sha256_json(self.schema.model_dump(mode="json")).encode())
        for name in self.schema.names:
            digest.update(pd.util.hash_pandas_object(self.table[name], index=False).to_numpy().tobytes())
        return digest.hexdigest()

    def split(self, protocol: Protocol) -> Split:
        """Split into train, control and test, stratified by a categorical target.

        Raises:
            DatasetError: a part would have fewer than 2 rows, or the train part only one class.
        """
        import numpy as np

        rng = np.random.default_rng(derive(protocol.split_seed, "split"))
        rows = rng.permutation(len(self.table))
        strata = self._strata()
        if protocol.max_rows is not None and protocol.max_rows < len(rows):
            rows = _deal(rows, strata, [protocol.max_rows, len(rows) - protocol.max_rows])[0]
        n = len(rows)
        sizes = [round(n * share) for share in (protocol.train, protocol.control, protocol.test)]
        sizes[2] = min(sizes[2], n - sizes[0] - sizes[1])
        if min(sizes) < 2:
            raise DatasetError(
                f"dataset '{self.card.name}' has {n} rows: too few to split into train, control and test; "
                "10 are needed at least, and some hundred for a result that means something"
            )
        parts = _deal(rows, strata, [*sizes, n - sum(sizes)])
        train, control, test = (self.table.iloc[rng.permutation(part)].reset_index(drop=True) for part in parts[:3])
        target = self.schema.target
        if target is not None and not self.schema[target].numeric and train[target].nunique() < 2:
            raise DatasetError(
                f"the train rows of dataset '{self.card.name}' hold one class of '{target}' only: "
                "choose another target, or give more rows of the rare class"
            )
        return Split(train, control, test)

    def _strata(self) -> np.ndarray:
        """Number of the class of each row, shape ``(rows,)``; all one where there are no classes."""
        import numpy as np
        import pandas as pd

        target = self.schema.target
        if target is None or self.schema[target].numeric:
            return np.zeros(len(self.table), dtype=int)
        return pd.factorize(self.table[target], sort=True)[0]


def _deal(rows: np.ndarray, strata: np.ndarray, sizes: list[int]) -> list[np.ndarray]:
    """Deal rows out to parts of given sizes so that every stratum is shared out in proportion.

    The rows are put in the order of their strata. The turns of each part are spread evenly over that
    order, so that a part's share of a stratum is off by a row or two at most.

    Args:
        rows: row numbers in random order, shape ``(n,)``.
        strata: stratum of every row of the table.
        sizes: of the parts; they sum to ``n``.
    """
    import numpy as np

    ordered = rows[np.argsort(strata[rows], kind="stable")]
    turns = np.concatenate([(np.arange(size) + 0.5) / size for size in sizes if size])
    owner = np.repeat(np.arange(len(sizes)), sizes)[np.argsort(turns, kind="stable")]
    return [ordered[owner == part] for part in range(len(sizes))]
