"""What is installed here, held against what records say of datasets, generators and metrics.

Nothing that a record names is imported unless it belongs to the generators known here, and none of its code is run.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from ..generators.spec import GeneratorSpec
from ..leaderboard.naming import generator_key
from ..metrics.base import registry
from ..results.errors import UserError, first_fault
from ..results.record import DatasetFacts, MetricCard, Record
from .catalogue import configs, waits_for_files
from .cell import dataset_facts, rows_asked, sizes
from .dataset import Protocol
from .sources import load_dataset

if TYPE_CHECKING:
    from .dataset import Dataset

READING = ("family", "direction", "ideal", "lower", "upper")  # of a metric: how its values are read
PROSE = ("title", "domain", "licence", "citation")


class Installed:
    """What is installed here, as far as records speak of it; every answer is looked up once."""

    def __init__(self) -> None:
        self._configs = configs("dataset")[0]
        self._datasets: dict[str, Dataset | str] = {}
        self._facts: dict[tuple[str, str], DatasetFacts] = {}
        self._generators: dict[str, str] = {}

    def notes(self, records: Mapping[str, Record]) -> dict[str, str]:
        """What cannot be checked here, each with the file of the first record that says so."""
        said: dict[str, str] = {}
        for file, record in records.items():
            dataset, target = record.dataset.name, record.generator.target
            if isinstance(reason := self._datasets.get(dataset), str):
                text = f"dataset {dataset} {reason}: what is said of it cannot be held against the rows"
                said.setdefault(text, file)
            if not is_known(record):
                text = (
                    f"generator {record.generator.name} is {target}, which is not part of synthward: its file must be "
                    "in the pull request, or nobody can make its tables again"
                )
                said.setdefault(text, file)
        return said

    def wrong_dataset(self, record: Record) -> Iterator[str]:
        """What a record says of its dataset or its protocol that is not so."""
        dataset = self._dataset(record.dataset.name)
        try:
            protocol = Protocol(**record.identity["protocol"], name=record.protocol or "default")
        except (ValidationError, TypeError) as error:
            said = first_fault(error) if isinstance(error, ValidationError) else None
            yield f"its protocol is none: {f'{said.place}: {said.text}' if said else error}"
            return
        if isinstance(dataset, str):
            if record.dataset.sharing == "public" and record.dataset.name not in self._configs:
                yield (
                    f"its dataset '{record.dataset.name}' is not known here: put its card into conf/dataset, "
                    "or mark it as sharing: local-only"
                )
            return
        if record.dataset.fingerprint != dataset.fingerprint:
            yield (
                f"its dataset '{record.dataset.name}' has other rows or another card than here (fingerprint "
                f"{record.dataset.fingerprint:.8}, not {dataset.fingerprint:.8}): run its cell again"
            )
            return
        facts = self._facts_of(dataset, protocol)
        wrong = [n for n, value in facts.model_dump(exclude={*PROSE}).items() if getattr(record.dataset, n) != value]
        if wrong:
            yield f"it says another {', '.join(wrong)} of its dataset than is so: run its cell again"
        elif record.rows_requested != rows_asked(protocol, facts.n_train):
            asked = rows_asked(protocol, facts.n_train)
            yield f"it asked for {record.rows_requested:,} rows, and its protocol for {asked:,}: run its cell again"

    def wrong_generator(self, record: Record) -> Iterator[str]:
        """What a record says of a generator of ours that is not so."""
        key = generator_key(record.generator)
        if key not in self._generators:
            self._generators[key] = _wrong_generator(record) if is_known(record) else ""
        if self._generators[key]:
            yield self._generators[key]

    def _dataset(self, name: str) -> Dataset | str:
        """The dataset of a name, or why it cannot be had."""
        if name not in self._datasets:
            config = self._configs.get(name)
            if config is None:
                self._datasets[name] = "is not known here"
            elif waits_for_files(config):
                self._datasets[name] = "is a table that only its users have on disk"
            else:
                try:
                    self._datasets[name] = load_dataset(config)
                except UserError as error:
                    self._datasets[name] = f"is not installed here ({error})"
        return self._datasets[name]

    def _facts_of(self, dataset: Dataset, protocol: Protocol) -> DatasetFacts:
        """What records say of a dataset; the sizes of its parts do not depend on the seed of the split."""
        key = dataset.fingerprint, protocol.model_dump_json(exclude={"name", "split_seed", "ratio"})
        if key not in self._facts:
            self._facts[key] = dataset_facts(dataset, sizes(dataset, protocol))
        return self._facts[key]


def is_known(record: Record) -> bool:
    """Whether the generator's class, and that of one inside it, are among those installed here as generators."""
    named = (record.generator.target, *_targets(record.generator.params))
    return all(target in _known_targets() or _is_ours(target) for target in named)


def _targets(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        yield from (v for k, v in value.items() if k == "_target_" and isinstance(v, str))
        for within in value.values():
            yield from _targets(within)
    elif isinstance(value, list):
        for within in value:
            yield from _targets(within)


@cache
def _known_targets() -> frozenset[str]:
    ours = {str(config.get("_target_")) for config in configs("generator")[0].values()}
    return frozenset(t for t in ours if _is_ours(t)) | {
        plugin.value.replace(":", ".") for plugin in entry_points(group="synthward.generators")
    }


def _is_ours(target: str) -> bool:
    parts = target.split(".")
    return parts[:2] == ["synthward", "generators"] and len(parts) > 3 and all(part.isidentifier() for part in parts)


def recorded_spec(record: Record) -> GeneratorSpec:
    """The generator of a record as configured, as far as the record tells."""
    facts = record.generator
    return GeneratorSpec(name=facts.name, target=facts.target, params=without_versions(facts.params))


def without_versions(params: Any) -> Any:
    """Recorded settings without what was added to them when they were recorded."""
    if isinstance(params, Mapping):
        return {key: without_versions(value) for key, value in params.items() if key != "_version_"}
    return params


def _wrong_generator(record: Record) -> str:
    """What a record says of a known class that is not so, or an empty string."""
    facts, spec = record.generator, recorded_spec(record)
    # A file that the settings name is on its owner's disk, and part of the version.
    spec = spec.model_copy(update={"params": {k: v for k, v in spec.params.items() if k not in ("path", "card")}})
    try:
        version = spec.version()
        generator = recorded_spec(record).build()
    except UserError as error:
        return str(error)
    if facts.version.partition("+")[0] != version:
        return (
            f"its generator {facts.target} is of version {facts.version}, and here it is of version {version}: run its "
            "cell again"
        )
    said = {"access": generator.access.value, "reference": type(generator).reference}
    wrong = [name for name, value in said.items() if getattr(facts, name) != value]
    return "; ".join(
        f"it says {name}={getattr(facts, name)} of its generator, which has {name}={said[name]}" for name in wrong
    )


def foreign(card: MetricCard) -> str:
    """In what a card differs from the installed metric's, or an empty string."""
    if card.name not in registry():
        return f"has a metric '{card.name}' that is not installed here: publish records without it"
    ours = registry()[card.name].card
    if card.version > ours.version:
        return f"has {card.name} of version {card.version}, and here it is of version {ours.version}: update synthward"
    fields = MetricCard.model_fields if card.version == ours.version else READING
    wrong = [name for name in fields if getattr(card, name) != getattr(ours, name)]
    said = "; ".join(f"{name} is {getattr(card, name)!r:.60}, not {getattr(ours, name)!r:.60}" for name in wrong)
    return f"says of {card.name} what the installed metric does not: {said}" if wrong else ""
