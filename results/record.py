"""The record: everything that is known of one cell, and the vocabulary of its parts.

This module imports nothing of the rest of the house, so that a board can be built from records alone.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

RECORD_VERSION: Final = 2


class Status(StrEnum):
    """How a cell or a measurement ended. A status is data, never an exception."""

    OK = "ok"
    PARTIAL = "partial"  # a table, but fewer rows than asked; or a value on part of the data
    UNSUPPORTED = "unsupported"  # the generator or metric does not apply here, and says why
    INVALID = "invalid"  # the generator broke its contract: wrong columns, types, infinities
    ERROR = "error"  # it raised
    TIMEOUT = "timeout"
    OOM = "oom"
    CRASHED = "crashed"  # the process died: segmentation fault, kill, exit


TOLERANCE: Final = 1e-9  # by which a value may lie out of the bounds of its metric
USABLE = (Status.OK, Status.PARTIAL)  # there is a table, or a value


class Phase(StrEnum):
    """The stage of a cell in which its status was decided."""

    LOAD = "load"
    FIT = "fit"
    SAMPLE = "sample"
    CHECK = "check"
    STORE = "store"
    EVALUATE = "evaluate"
    DONE = "done"


Direction = Literal["max", "min", "target"]
ARROWS: Final[dict[Direction, str]] = {"max": "↑", "min": "↓", "target": "◎"}
Family = Literal["fidelity", "utility", "privacy", "validity", "cost"]


class Frozen(BaseModel):
    """Base of all facts: immutable, closed to unknown fields, and without NaN or infinities."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class MetricCard(Frozen):
    """What a metric is: enough to print, to rank and to explain it.

    Attributes:
        name: the key, also the column of the board.
        family: the question it answers.
        aspect: the part of that question; the score of a family weighs its aspects alike, and in each its metrics.
        direction: ``max`` or ``min`` is better, or ``target``: the nearer to ``ideal`` the better.
        ideal: the value of a perfect generator.
        lower, upper: the bounds of the value; ``None`` where unbounded.
        unit: unit of the value, ``None`` for a share or a score.
        definition: one sentence.
        citation: the paper or library that defines it.
        version: raised on any change of value; a new version scores stored tables again.
        needs: what must be there: ``target``, ``numeric``, ``categorical``.
        ranked: whether the metric may enter a ranking: not where it is a reference value only.
        published_in: the paper whose own computation this reproduces, defects included; such a value is never ranked.
    """

    name: str
    family: Family
    aspect: str = ""
    direction: Direction
    ideal: float | None = None
    lower: float | None = None
    upper: float | None = None
    unit: str | None = None
    definition: str
    citation: str = ""
    version: int = 1
    needs: tuple[str, ...] = ()
    ranked: bool = True
    published_in: str = ""

    @property
    def arrow(self) -> str:
        """Sign of the direction, with the ideal of a target."""
        if self.direction == "target" and self.ideal is not None:
            return f"{ARROWS[self.direction]} {self.ideal:g}"
        return ARROWS[self.direction]

    @property
    def better(self) -> str:
        """The direction in words."""
        if self.direction == "target" and self.ideal is not None:
            return f"nearest to {self.ideal:g} is best"
        return "higher is better" if self.direction == "max" else "lower is better"

    @property
    def range(self) -> str:
        """The bounds in words."""
        if self.lower is not None and self.upper is not None:
            return f"{self.lower:g} to {self.upper:g}"
        if self.lower is not None:
            return f"{self.lower:g} or more"
        return "any number" if self.upper is None else f"{self.upper:g} or less"


class Measurement(Frozen):
    """One value of one metric on one synthetic table.

    Attributes:
        metric: name of the metric's card.
        version: version of the card that computed it.
        variant: which of several values of that metric: a learner, a statistic; "" if one only.
        value: the value, or ``None`` with a status and a reason.
        low, high: bounds of a 95 % interval where the metric has one.
        n: how many rows, columns or pairs stand behind the value.
        population: how many there were, where ``n`` rows were drawn from them.
        sample_seed: seed of that draw.
        breakdown: values by column, class or pair, where the metric has them. In a record that has a portrait they
            stand there, see :func:`.portrait.divided`.
        status, reason: why there is no value, or not the whole of it.
        seconds: time the metric took, shared work included where it was first to need it.
    """

    metric: str
    version: int = 1
    variant: str = ""
    value: float | None = None
    low: float | None = None
    high: float | None = None
    n: int | None = None
    population: int | None = None
    sample_seed: int | None = None
    breakdown: dict[str, float | None] = Field(default_factory=dict)
    status: Status = Status.OK
    reason: str = ""
    seconds: float | None = None


class DatasetFacts(Frozen):
    """What a board needs to know of the dataset, without having it."""

    name: str
    title: str = ""
    domain: str = ""
    task: str = ""
    target: str | None = None
    sharing: str = "local-only"
    licence: str = ""
    citation: str = ""
    fingerprint: str
    n_rows: int
    n_columns: int
    missing_rate: float
    n_train: int
    n_control: int
    n_test: int


class GeneratorFacts(Frozen):
    """Which generator, with which settings, and what it was allowed to see.

    A ``reference`` is there to read the others by, and never a competitor.
    """

    name: str
    target: str
    version: str
    access: str
    reference: bool = False
    params: dict[str, Any] = Field(default_factory=dict)


class Artifact(Frozen):
    """A stored synthetic table: file name beside the record, hash of its bytes, its size."""

    path: str
    sha256: str
    rows: int
    columns: int


class Attachment(Frozen):
    """A file kept and published beside the record: its name, hash and size in bytes."""

    path: str = Field(pattern=r"^[A-Za-z0-9_-][A-Za-z0-9_.-]*$")
    sha256: str
    size: int


class Record(Frozen):
    """One cell: what was asked, how it ended, what was measured, and where it was run.

    ``seconds`` and ``cpu_seconds`` are wall clock and processor time by phase; ``peak_memory_mb`` is what
    the process grew by, in MB of 2**20 bytes, libraries loaded before it was forked not counted.
    ``cards`` are those of the metrics behind ``measurements``, by name; a stored record names them by their digest, as
    hundreds of records share them. ``digest`` covers all text before it: a truncated or edited record does not verify.
    """

    record_version: Literal[2] = RECORD_VERSION
    id: str
    track: str = "synthesis"
    identity: dict[str, Any]
    dataset: DatasetFacts
    generator: GeneratorFacts
    protocol: str = ""
    seed: int
    rows_requested: int
    status: Status
    phase: Phase
    message: str = ""
    artifact: Artifact | None = None
    attachments: tuple[Attachment, ...] = ()
    seconds: dict[str, float] = Field(default_factory=dict)
    cpu_seconds: dict[str, float] = Field(default_factory=dict)
    peak_memory_mb: float | None = None
    limits: dict[str, float] = Field(default_factory=dict)
    details: dict[str, Any] = Field(default_factory=dict)
    measurements: tuple[Measurement, ...] = ()
    cards: dict[str, MetricCard] = Field(default_factory=dict)
    provenance: dict[str, Any] = Field(default_factory=dict)
    digest: str = ""

    def sealed(self) -> Record:
        """Return the same record with the digest of its present content."""
        return self.model_copy(update={"digest": seal(self._unsealed())})

    def to_json(self) -> str:
        """The record as it is stored: indented, so that git can show what changed; its last field seals the rest."""
        text = self._unsealed()
        return f'{text},\n "digest": "{seal(text)}"\n}}\n'

    def content(self) -> dict[str, Any]:
        """The record as JSON values, without its digest: its version, and every field that differs from its default.

        A field that is added later, with a default, thus leaves earlier records valid.
        """
        facts = self.model_dump(mode="json", exclude_defaults=True, exclude={"cards", "digest"})
        named = {"cards": sha256_json(cards_content(self.cards))} if self.cards else {}
        return {"record_version": self.record_version, **facts, **named}

    def _unsealed(self) -> str:
        return indented_json(self.content()).removesuffix("\n}\n")

    @property
    def cell(self) -> str:
        """What two records of one cell have in common: the identity, whichever version of its format."""
        return sha256_json({key: value for key, value in self.identity.items() if key != "version"})

    def without_parts(self) -> Record:
        """The record without the values by column or class, whose names a private table keeps to itself."""
        whole = tuple(m.model_copy(update={"breakdown": {}}) for m in self.measurements)
        return self.model_copy(update={"measurements": whole})

    def contradiction(self) -> str:
        """What in the record contradicts its identity, or an empty string.

        Everything that a board says of a cell must follow from the identity that its id stands for.
        """
        generator = self.identity.get("generator")
        if self.id != cell_id(self.identity):
            return "its id is not that of its identity"
        said = {
            "dataset": self.dataset.fingerprint,
            "track": self.track,
            "seed": self.seed,
            "rows": self.rows_requested,
            "generator": {
                "target": self.generator.target,
                "version": self.generator.version,
                "params": self.generator.params,
            },
        }
        wrong = [key for key, value in said.items() if self.identity.get(key) != value]
        if wrong or not isinstance(generator, dict) or not isinstance(self.identity.get("protocol"), dict):
            return f"what it says of {', '.join(wrong) or 'the protocol'} is not what its identity says"
        return next((found for m in self.measurements if (found := self._misfit(m))), "")

    def _misfit(self, measurement: Measurement) -> str:
        """Why a measurement does not fit the card of its metric, or an empty string."""
        card = self.cards.get(measurement.metric)
        if card is None or (card.name, card.version) != (measurement.metric, measurement.version):
            return f"there is no card for its metric {measurement.metric}"
        lower = -math.inf if card.lower is None else card.lower
        upper = math.inf if card.upper is None else card.upper
        if measurement.value is not None and not lower - TOLERANCE <= measurement.value <= upper + TOLERANCE:
            return f"its {measurement.metric} of {measurement.value:g} is out of bounds"
        return ""


def cards_content(cards: Mapping[str, MetricCard]) -> dict[str, Any]:
    """Cards as JSON values, by the name of their metric."""
    return {name: card.model_dump(mode="json", exclude_defaults=True) for name, card in sorted(cards.items())}


def indented_json(content: Mapping[str, Any]) -> str:
    """A file of JSON values.

    Raises:
        ValueError: for NaN and infinities, which JSON cannot hold.
    """
    return json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def seal(text: str) -> str:
    """SHA-256 in hex of the text of a record, from its start to the end of the last field before the digest."""
    return hashlib.sha256(text.encode()).hexdigest()


def sealed(data: bytes) -> str:
    """The digest in the last line of a record's text, if it is that of all before it; else an empty string."""
    text, found, last = data.rpartition(b',\n "digest": ')
    digest = hashlib.sha256(text).hexdigest()
    return digest if found and last == b'"%b"\n}\n' % digest.encode() else ""


def cell_id(identity: dict[str, Any]) -> str:
    """Content address of a cell: the first 20 hex digits of its identity's SHA-256."""
    return cell_id_of(canonical_json(identity))


def cell_id_of(canonical: str) -> str:
    """As :func:`cell_id`, of an identity's canonical JSON."""
    return hashlib.sha256(canonical.encode()).hexdigest()[:20]


def canonical_json(value: Any) -> str:
    """JSON with sorted keys and no white space; refuses what JSON cannot hold exactly.

    Raises:
        TypeError: for an object that is no JSON value: there is no fallback to ``str``.
        ValueError: for NaN and infinities.
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def sha256_json(value: Any) -> str:
    """SHA-256 in hex of the canonical JSON of a value."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()
