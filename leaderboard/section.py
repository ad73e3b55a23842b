"""Columns of records that can be compared: the rows of one protocol, under the labels that the board shows."""

from __future__ import annotations

from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from ..results.record import USABLE
from .frame import MEMORISATION
from .naming import dataset_labels, generator_key, generator_labels, language_models, model_labels, tier_order

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    import numpy.typing as npt

    from ..results.decoding import Kind
    from ..results.record import DatasetFacts, GeneratorFacts, MetricCard
    from .frame import Asked, Cell, Protocol, Results

    Floats = npt.NDArray[np.float64]
    Ints = npt.NDArray[np.int32]
    Bools = npt.NDArray[np.bool_]

Key = tuple[str, str, int]


@dataclass(frozen=True, eq=False)
class Values:
    """Measurements, metric by metric, and of each metric record by record.

    Attributes:
        metrics: where each metric stands, in the order of their first measurement.
        record: position of the record of each, shape ``(measurements,)``.
        kind: position in ``kinds`` of each.
        card: position in ``cards`` of the card by which each was measured.
        value: NaN where there is none that can be used.
        kinds: metric, version, variant, status and reason.
        cards: all cards.
        asked: of the metric ``memorisation``, more of a measurement by its position.
    """

    metrics: Mapping[str, slice]
    record: Ints
    kind: Ints
    card: Ints
    value: Floats
    kinds: Sequence[Kind]
    cards: Sequence[MetricCard]
    asked: Mapping[int, Asked]

    def of_kinds(self, wanted: Sequence[bool]) -> Bools:
        """Which measurements are of a kind that is wanted, shape ``(measurements,)``.

        Args:
            wanted: of every kind, whether it is.
        """
        found: Bools = np.array(wanted, bool)[self.kind]
        return found


@dataclass(frozen=True, eq=False)
class Table:
    """The records of one protocol.

    Attributes:
        cells: the records.
        protocol: of the first of them.
        generators: labels, from what sees least to what sees most.
        facts: of the generators.
        models: label of the language model of each generator, empty without one.
        embedded: names of the embedded language models among these.
        generator: position of each record's generator, shape ``(records,)``.
        datasets: labels, in order.
        dataset_facts: of the datasets, by the last record of each.
        dataset: position of each record's dataset, shape ``(records,)``.
        public: whether each record says that its dataset is public, shape ``(records,)``.
        split_seeds: of each record the seed of the split.
        keys: dataset, seed of the split and seed of the cells that any generator was tried on, in order.
        key: position in ``keys`` of each record, shape ``(records,)``.
        values: the measurements.
    """

    cells: Sequence[Cell]
    protocol: Protocol
    generators: Sequence[str]
    facts: Sequence[GeneratorFacts]
    models: Sequence[str]
    embedded: Sequence[str]
    generator: Ints
    datasets: Sequence[str]
    dataset_facts: Sequence[DatasetFacts]
    dataset: Ints
    public: Bools
    split_seeds: Sequence[str]
    keys: Sequence[Key]
    key: Ints
    values: Values

    @cached_property
    def usable(self) -> Bools:
        """Whether each record has a table, shape ``(records,)``."""
        return np.array([cell.status in USABLE for cell in self.cells], bool)

    def grid(self, values: Floats, records: Ints | None = None) -> Floats:
        """Values of records as an array of shape ``(generators, keys)``, NaN where there is none, the last of several.

        Args:
            values: to be laid out.
            records: position of the record of each; without, there is one for every record.
        """
        at = slice(None) if records is None else records
        grid = np.full((len(self.generators), len(self.keys)), np.nan)
        grid[self.generator[at], self.key[at]] = values
        return grid


def one_per_cell(results: Results, without: Collection[int] = ()) -> Ints:
    """Positions of the last record of every cell, so that a re-run stands for the run before it.

    Args:
        results: of all records.
        without: positions that are passed over.
    """
    by_id = {cell.id: n for n, cell in enumerate(results.cells) if n not in without}
    protocols = [(protocol.section, protocol.split_seed) for protocol in results.distinct.protocol]
    fingerprints = [facts.fingerprint for facts in results.distinct.dataset]
    keys = [generator_key(facts) for facts in results.distinct.generator]
    protocol, dataset, generator = (results.codes[name].tolist() for name in ("protocol", "dataset", "generator"))
    last = {
        (protocols[protocol[n]], fingerprints[dataset[n]], keys[generator[n]], results.cells[n].seed): n
        for n in by_id.values()
    }
    return np.array(list(last.values()), np.int32)


class Labels:
    """What everything is called, in all sections alike.

    Args:
        results: of all sections.
        kept: positions of the records that are shown.
    """

    def __init__(self, results: Results, kept: Ints) -> None:
        distinct = results.distinct
        self.keys = [generator_key(facts) for facts in distinct.generator]
        generators, models = (results.codes[name][kept].tolist() for name in ("generator", "model"))
        pairs = dict.fromkeys(zip(generators, models, strict=True))
        self.models = language_models((self.keys[g], distinct.generator[g], distinct.model[m]) for g, m in pairs)
        facts = {self.keys[g]: distinct.generator[g] for g in generators}
        self.generators = generator_labels(facts, self.models)
        tables = (distinct.dataset[d] for d in results.codes["dataset"][kept].tolist())
        self.datasets = dataset_labels({facts.fingerprint: facts for facts in tables})
        named = model_labels(self.models.values())
        self.by_model = {key: named[model] for key, model in self.models.items()}


def tables(results: Results, kept: Ints, labels: Labels) -> Iterator[Table]:
    """The records that are shown, protocol by protocol."""
    sections = [protocol.section for protocol in results.distinct.protocol]
    groups: dict[str, list[int]] = defaultdict(list)
    for record, protocol in zip(kept.tolist(), results.codes["protocol"][kept].tolist(), strict=True):
        groups[sections[protocol]].append(record)
    for records in groups.values():
        yield _table(results, np.array(records, np.int32), labels)


def _table(results: Results, records: Ints, labels: Labels) -> Table:
    distinct, codes = results.distinct, {name: codes[records] for name, codes in results.codes.items()}
    facts = {labels.generators[labels.keys[g]]: distinct.generator[g] for g in codes["generator"].tolist()}
    generators = sorted(facts, key=lambda label: (tier_order(facts[label].access), label))
    label_of = [labels.generators.get(key, "") for key in labels.keys]
    position = {label: n for n, label in enumerate(generators)}
    of_tables = (distinct.dataset[d] for d in codes["dataset"].tolist())
    dataset_facts = {labels.datasets[facts.fingerprint]: facts for facts in of_tables}
    datasets = sorted(dataset_facts)
    dataset_of = [labels.datasets.get(f.fingerprint, "") for f in distinct.dataset]
    numbers = {label: n for n, label in enumerate(datasets)}
    cells = [results.cells[n] for n in records.tolist()]
    splits = [protocol.split_seed for protocol in distinct.protocol]
    split_seeds = [splits[p] for p in codes["protocol"].tolist()]
    own = [(dataset_of[d], s, c.seed) for d, s, c in zip(codes["dataset"].tolist(), split_seeds, cells, strict=True)]
    keys = sorted(set(own))
    at = {key: n for n, key in enumerate(keys)}
    models = {label_of[g]: labels.models.get(labels.keys[g]) for g in np.unique(codes["generator"]).tolist()}
    by_label = {labels.generators[key]: model for key, model in labels.by_model.items()}
    return Table(
        cells=cells,
        protocol=distinct.protocol[codes["protocol"][0]],
        generators=generators,
        facts=[facts[label] for label in generators],
        models=[by_label.get(label, "") for label in generators],
        embedded=sorted({m.name for m in models.values() if m is not None and m.endpoint == "embedded"}),
        generator=np.array([position.get(label, -1) for label in label_of], np.int32)[codes["generator"]],
        datasets=datasets,
        dataset_facts=[dataset_facts[label] for label in datasets],
        dataset=np.array([numbers.get(label, -1) for label in dataset_of], np.int32)[codes["dataset"]],
        public=np.array([f.sharing == "public" for f in distinct.dataset], bool)[codes["dataset"]],
        split_seeds=split_seeds,
        keys=keys,
        key=np.array([at[key] for key in own], np.int32),
        values=_values(results, records, codes["cards"]),
    )


def _values(results: Results, records: Ints, card_sets: Ints) -> Values:
    """The measurements of some records, sorted by metric.

    Args:
        results: of all records.
        records: positions of those that are wanted, shape ``(records,)``.
        card_sets: of each of them the position of its cards.
    """
    counts = np.array([cell.values for cell in results.cells], np.intp)
    starts = np.cumsum(counts) - counts
    counts, starts = counts[records], starts[records]
    kind, value, shift = results.kind, results.value, starts - (np.cumsum(counts) - counts)
    if shift.any() or counts.sum() < len(value):  # not all of them, or in another order
        place = np.arange(counts.sum()) + np.repeat(shift, counts)
        kind, value = kind[place], value[place]
    names: dict[str, int] = {}
    metric_of = [names.setdefault(metric, len(names)) for metric, *_ in results.kinds]
    # Of 8 or 16 bits numpy sorts by radix, several times as fast.
    metric = np.array(metric_of, np.min_scalar_type(len(names)))[kind]
    order = np.argsort(metric, kind="stable")
    record = np.repeat(np.arange(len(records), dtype=np.int32), counts)
    with ThreadPoolExecutor() as threads:  # which `take` lets work side by side
        record, kind, value = threads.map(lambda column: column.take(order), (record, kind, value))
    usable = np.array([status in USABLE for *_, status, _ in results.kinds], bool)[kind]
    usable &= np.array([results.cells[n].status in USABLE for n in records.tolist()], bool)[record]
    value[~(usable & np.isfinite(value))] = np.nan
    cards: dict[MetricCard, int] = {}
    card_of = np.full((len(results.distinct.cards), len(names)), -1, np.int32)
    for n, by_metric in enumerate(results.distinct.cards):
        for name, card in by_metric.items():
            if name in names:
                card_of[n, names[name]] = cards.setdefault(card, len(cards))
    ends = np.cumsum(np.bincount(metric, minlength=len(names))).tolist()
    slices = {name: slice(a, b) for name, a, b in zip(names, [0, *ends], ends, strict=False) if a < b}
    by = np.empty(len(record), np.int32)
    for name, own in slices.items():
        by[own] = card_of[card_sets, names[name]][record[own]]
    asked = {}
    if MEMORISATION in slices:
        own = slices[MEMORISATION]
        places = order[own] + shift[record[own]]
        asked = {own.start + n: results.asked[at] for n, at in enumerate(places.tolist())}
    return Values(
        metrics=dict(sorted(slices.items(), key=lambda item: order[item[1].start])),
        record=record,
        kind=kind,
        card=by,
        value=value,
        kinds=results.kinds,
        cards=list(cards),
        asked=asked,
    )
