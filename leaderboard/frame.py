"""Records as columns: no object for each of millions of values."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..results.decoding import Decoded, Kind, Layout
from ..results.record import DatasetFacts, GeneratorFacts, MetricCard, Record, canonical_json
from .naming import LanguageModel, model_in_details, plain
from .software import named

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence

    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    Ints = npt.NDArray[np.int32]

MAX_MESSAGE = 300
MAX_ROWS = 2**53  # more rows than a float counts are no number of rows
MEMORISATION = "memorisation"  # the metric of which more than its values is shown
UNCOMPARED = frozenset({"name", "split_seed"})  # of a protocol


class Cell(NamedTuple):
    """One record: what of it is its own.

    Attributes:
        id, digest, seed, status, phase, message: of the record.
        protocol: its name of the protocol.
        rows: of the synthetic table, ``None`` without one.
        asked: rows that were asked for.
        seconds: wall clock of all phases.
        peak_memory_mb: of its process, where it was measured.
        values: number of measurements.
        origin: path of its file, or the record itself.
    """

    id: str
    digest: str
    seed: int
    status: str
    phase: str
    message: str
    protocol: str
    rows: int | None
    asked: int
    seconds: float
    peak_memory_mb: float | None
    values: int
    origin: str | Record


class Asked(NamedTuple):
    """More of a measurement of ``memorisation``: its interval, number of requests, and parts of its breakdown."""

    low: float | None
    high: float | None
    n: int | None
    baseline: float | None
    distinct: float | None


@dataclass(frozen=True)
class Protocol:
    """Track and protocol as the identity of a record states them."""

    track: str
    stated: dict[str, Any]

    @property
    def compared(self) -> dict[str, Any]:
        """What the parts of the split and the number of rows follow from, without its name and its seed."""
        return {key: value for key, value in self.stated.items() if key not in UNCOMPARED}

    @property
    def split_seed(self) -> str:
        """The seed of the split, empty if the protocol has none."""
        return str(self.stated.get("split_seed", ""))

    @property
    def section(self) -> str:
        """What two records must have in common to be compared."""
        return canonical_json({"track": self.track, "protocol": self.compared})


@dataclass(frozen=True)
class Distinct:
    """What many records share, each thing once. ``Results.codes`` says by their position which record has which."""

    generator: list[GeneratorFacts] = field(default_factory=list)
    dataset: list[DatasetFacts] = field(default_factory=list)
    protocol: list[Protocol] = field(default_factory=list)
    model: list[LanguageModel | None] = field(default_factory=list)
    provenance: list[Mapping[str, Any]] = field(default_factory=list)
    cards: list[Mapping[str, MetricCard]] = field(default_factory=list)


def _dumped(facts: GeneratorFacts | DatasetFacts) -> str:
    return canonical_json(facts.model_dump(mode="json"))


# What tells two things apart that have no hash of their own.
KEYS: Mapping[str, Callable[[Any], Hashable] | None] = {
    "generator": _dumped,
    "dataset": _dumped,
    "protocol": lambda protocol: canonical_json([protocol.track, protocol.stated]),
    "model": None,
    "provenance": named,
    "cards": lambda cards: frozenset(cards.items()),
}


@dataclass(frozen=True, eq=False)
class Results:
    """Records, one row each, and their measurements, one row each.

    Attributes:
        cells: the records.
        distinct: what records share.
        codes: by field of ``distinct`` the position of what each record has, shape ``(records,)``.
        kinds: metric, version, variant, status and reason of measurements, each once.
        kind: position in ``kinds`` of every measurement, record by record, shape ``(measurements,)``.
        value: as measured, NaN where there is none, shape ``(measurements,)``.
        asked: of the metric ``memorisation``, more of a measurement by its position.
    """

    cells: list[Cell]
    distinct: Distinct
    codes: Mapping[str, Ints]
    kinds: list[Kind]
    kind: Ints
    value: Floats
    asked: dict[int, Asked]


class Collector:
    """Puts records into columns."""

    def __init__(self) -> None:
        self._cells: list[Cell] = []
        self._distinct = Distinct()
        self._tables = {name: _Table(getattr(self._distinct, name), key) for name, key in KEYS.items()}
        self._codes: dict[str, list[int]] = {name: [] for name in KEYS}
        self._protocols: dict[tuple[int, str], Protocol] = {}
        self._kinds: dict[Kind, int] = {}
        self._known: dict[Kind, int] = {}  # by the kind as the record has it
        self._layouts: dict[Layout | tuple[Kind, ...], Ints] = {}
        self._kind: list[Ints] = []
        self._value: list[Floats] = []
        self._count = 0
        self._asked: dict[int, Asked] = {}

    def add(self, record: Decoded | Record, origin: str | Record) -> None:
        """Take in a record.

        Args:
            record: verified.
            origin: path of its file, or the record itself.
        """
        if isinstance(record, Decoded):
            kinds, values, rows = record.layout.kinds, record.values, record.rows
            kept = record.kept
        else:
            kept = {n: m for n, m in enumerate(record.measurements) if m.metric == MEMORISATION}
            kinds = tuple((m.metric, m.version, m.variant, str(m.status), m.reason) for m in record.measurements)
            values = np.array([m.value for m in record.measurements], dtype=float)
            rows = record.artifact.rows if record.artifact else None
        stated = record.identity["protocol"]
        seen = (id(stated), record.track)
        if (protocol := self._protocols.get(seen)) is None:
            protocol = self._protocols[seen] = Protocol(record.track, stated)
        shared = {
            "generator": record.generator,
            "dataset": record.dataset,
            "protocol": protocol,
            "model": model_in_details(record.details),
            "provenance": record.provenance,
            "cards": record.cards,
        }
        for name, thing in shared.items():
            self._codes[name].append(self._tables[name].code(thing))
        layout = record.layout if isinstance(record, Decoded) else kinds
        if (codes := self._layouts.get(layout)) is None:
            for kind in kinds:
                if kind not in self._known:
                    shown = (*kind[:4], plain(kind[4], MAX_MESSAGE))
                    self._known[kind] = self._kinds.setdefault(shown, len(self._kinds))
            codes = self._layouts[layout] = np.array([self._known[kind] for kind in kinds], np.int32)
        for place, m in kept.items():
            parts = (m.breakdown.get(part) for part in ("baseline", "distinct"))
            self._asked[self._count + place] = Asked(m.low, m.high, m.n, *parts)
        self._kind.append(codes)
        self._value.append(values)
        self._count += len(values)
        self._cells.append(
            Cell(
                id=record.id,
                digest=record.digest,
                seed=record.seed,
                status=str(record.status),
                phase=str(record.phase),
                message=plain(record.message, MAX_MESSAGE),
                protocol=record.protocol,
                rows=None if rows is None else min(rows, MAX_ROWS),
                asked=min(record.rows_requested, MAX_ROWS),
                seconds=_wall(record.seconds),
                peak_memory_mb=record.peak_memory_mb,
                values=len(values),
                origin=origin,
            )
        )

    def results(self) -> Results:
        """All records that were taken in."""
        return Results(
            cells=self._cells,
            distinct=self._distinct,
            codes={name: np.array(codes, np.int32) for name, codes in self._codes.items()},
            kinds=list(self._kinds),
            kind=np.concatenate([*self._kind, np.zeros(0, np.int32)]),
            value=np.concatenate([*self._value, np.zeros(0)]),
            asked=self._asked,
        )


def unfit(record: Decoded | Record) -> str:
    """Why a record cannot be shown beside others, in one clause; empty if it can."""
    stated = record.identity.get("protocol")
    if not isinstance(stated, dict) or stated.keys() <= UNCOMPARED:
        return "names no protocol, so nothing says what to compare it with: run it again"
    if isinstance(record, Decoded):  # the rest was verified
        return ""
    for m in record.measurements:
        if m.metric not in record.cards or record.cards[m.metric].name != m.metric:
            return f"measures '{m.metric}' without its card: score that cell again"
    try:
        cards = [card.model_dump() for card in record.cards.values()]
        canonical_json([record.identity, record.generator.model_dump(), cards])
    except ValueError:
        return "holds a number that is not finite"
    return ""


def collect(records: Iterable[Record]) -> Results:
    """Records as columns, all of which are fit to be shown."""
    collector = Collector()
    for record in records:
        collector.add(record, record)
    return collector.results()


def merge(parts: Sequence[Results]) -> Results:
    """The records of several parts, one after the other."""
    distinct = Distinct()
    kinds: dict[Kind, int] = {}
    tables = {name: _Table(getattr(distinct, name), key) for name, key in KEYS.items()}
    codes: dict[str, list[Ints]] = {name: [np.zeros(0, np.int32)] for name in KEYS}
    kind, count = [np.zeros(0, np.int32)], 0
    asked: dict[int, Asked] = {}
    for part in parts:
        for name, table in tables.items():
            into = np.array([table.code(thing) for thing in getattr(part.distinct, name)], np.int32)
            codes[name].append(into[part.codes[name]])
        kind.append(np.array([kinds.setdefault(k, len(kinds)) for k in part.kinds], np.int32)[part.kind])
        asked |= {count + place: more for place, more in part.asked.items()}
        count += len(part.value)
    return Results(
        cells=[cell for part in parts for cell in part.cells],
        distinct=distinct,
        codes={name: np.concatenate(columns) for name, columns in codes.items()},
        kinds=list(kinds),
        kind=np.concatenate(kind),
        value=np.concatenate([np.zeros(0), *(part.value for part in parts)]),
        asked=asked,
    )


class _Table:
    """Gives every distinct thing its position in a list."""

    def __init__(self, things: list[Any], key: Callable[[Any], Hashable] | None) -> None:
        self._things, self._key = things, key
        self._by_key: dict[Hashable, int] = {}
        self._by_object: dict[int, tuple[Any, int]] = {}  # which keeps the object, so that no other gets its number

    def code(self, thing: Any) -> int:
        if self._key is None:
            return self._position(thing, thing)
        known = self._by_object.get(id(thing))
        if known is None:
            known = self._by_object[id(thing)] = thing, self._position(self._key(thing), thing)
        return known[1]

    def _position(self, key: Hashable, thing: Any) -> int:
        if (position := self._by_key.get(key)) is None:
            position = self._by_key[key] = len(self._things)
            self._things.append(thing)
        return position


def _wall(seconds: Mapping[str, float]) -> float:
    """The total of the phases, or their sum where a record has none."""
    return seconds["total"] if "total" in seconds else sum(seconds.values())
