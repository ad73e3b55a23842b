"""A cell: one point of the sweep, and what makes it that point."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

from pydantic import Field, ValidationError

from ..generators.spec import GeneratorSpec
from ..results.errors import UserError, first_fault
from ..results.record import DatasetFacts, Frozen, GeneratorFacts, cell_id
from .dataset import Dataset, Protocol
from .sources import load_dataset

IDENTITY_VERSION = 1

M = TypeVar("M", bound=Frozen)


class Limits(Frozen):
    """What one cell may use. Never part of its identity: limits change what finishes, not what it is.

    Attributes:
        generate_seconds: wall clock for fit and sample together.
        evaluate_seconds: wall clock for one metric.
        memory_mb: resident memory of the cell's whole process tree, in MB of 2**20 bytes.
    """

    generate_seconds: float = Field(default=1800, gt=0)
    evaluate_seconds: float = Field(default=600, gt=0)
    memory_mb: float = Field(default=8192, gt=0)


@dataclass(frozen=True)
class Cell:
    """One dataset, split one way, one generator with its settings, one seed, one number of rows.

    Attributes:
        config: the dataset's configuration, from which any process can load it again.
        dataset: the loaded dataset.
        protocol: how it is split.
        generator: the generator as configured.
        seed: seed of fitting, sampling and scoring.
    """

    config: Mapping[str, Any]
    dataset: Dataset
    protocol: Protocol
    generator: GeneratorSpec
    seed: int

    @cached_property
    def rows(self) -> int:
        """Synthetic rows asked for."""
        return rows_asked(self.protocol, self._sizes[0])

    @cached_property
    def _sizes(self) -> tuple[int, int, int]:
        """Rows of train, control and test; the parts themselves are not kept."""
        return sizes(self.dataset, self.protocol)

    @cached_property
    def identity(self) -> dict[str, Any]:
        """Everything that defines the result, as JSON.

        Left out on purpose: the sweep and its order, the host, paths, limits, metrics, names for
        people, and anything secret.
        """
        return {
            "version": IDENTITY_VERSION,
            "track": "synthesis",
            "dataset": self.dataset.fingerprint,
            "protocol": self.protocol.model_dump(mode="json", exclude={"name"}),
            "generator": {
                "target": self.generator.target,
                "version": self.generator.version(),
                "params": self.generator.facts(),
            },
            "seed": self.seed,
            "rows": self.rows,
        }

    @cached_property
    def id(self) -> str:
        """Content address of the identity."""
        return cell_id(self.identity)

    @property
    def label(self) -> str:
        """The cell in words, for progress and messages."""
        return f"{self.dataset.card.name} / {self.generator.name} / seed {self.seed}"

    def dataset_facts(self) -> DatasetFacts:
        """What the record says of the dataset."""
        return dataset_facts(self.dataset, self._sizes)

    def generator_facts(self) -> GeneratorFacts:
        """What the record says of the generator."""
        return GeneratorFacts(
            name=self.generator.name,
            target=self.generator.target,
            version=self.identity["generator"]["version"],
            access=self.generator.build().access.value,
            reference=self.generator.resolve().reference,
            params=self.generator.facts(),
        )


def sizes(dataset: Dataset, protocol: Protocol) -> tuple[int, int, int]:
    """Rows of train, control and test."""
    split = dataset.split(protocol)
    return len(split.train), len(split.control), len(split.test)


def rows_asked(protocol: Protocol, n_train: int) -> int:
    """Synthetic rows that a generator is asked for."""
    return max(1, round(protocol.ratio * n_train))


def dataset_facts(dataset: Dataset, sizes: tuple[int, int, int]) -> DatasetFacts:
    """What records say of a dataset whose parts have these sizes."""
    card, table = dataset.card, dataset.table
    n_train, n_control, n_test = sizes
    return DatasetFacts(
        name=card.name,
        title=card.title,
        domain=card.domain,
        task=card.schema_.task or "",
        target=card.schema_.target,
        sharing=card.sharing,
        licence=card.licence,
        citation=card.citation,
        fingerprint=dataset.fingerprint,
        n_rows=len(table),
        n_columns=table.shape[1],
        missing_rate=round(float(table.isna().to_numpy().mean()), 6),
        n_train=n_train,
        n_control=n_control,
        n_test=n_test,
    )


def plan_cell(config: Mapping[str, Any]) -> Cell:
    """Turn one resolved configuration into a cell, finding every mistake that can be found before running.

    Args:
        config: the mapping that Hydra composes: ``dataset``, ``generator``, ``protocol``, ``seed``.

    Raises:
        UserError: one line that names what is wrong.
    """
    if not isinstance(config["seed"], int):
        raise UserError(f"seed={config['seed']}: give a whole number, or several: seed=0,1,2 or 'seed=range(0,5)'")
    generator = GeneratorSpec.parse(dict(config["generator"]))
    built = generator.build()
    dataset = load_dataset(config["dataset"])
    refusal = built.refuses(dataset.card)
    if refusal is not None:
        raise UserError(f"generator '{generator.name}' must not have dataset '{dataset.card.name}': {refusal}")
    cell = Cell(
        config=config["dataset"],
        dataset=dataset,
        protocol=_parse(Protocol, config["protocol"], "protocol"),
        generator=generator,
        seed=config["seed"],
    )
    _ = cell.id  # splits the table, so that one that cannot be split is found here
    return cell


def parse_limits(config: Mapping[str, Any]) -> Limits:
    """Read the ``limits`` group.

    Raises:
        UserError: one line that names the wrong field.
    """
    return _parse(Limits, config, "limits")


def _parse(model: type[M], config: Mapping[str, Any], group: str) -> M:
    try:
        return model(**config)
    except ValidationError as error:
        fault = first_fault(error, group)
        given = f"={fault.given}" if isinstance(fault.given, (str, int, float)) else ""
        known = ", ".join(model.model_fields)
        raise UserError(f"{fault.place}{given}: {fault.text} (fields: {known})") from None
