"""Records at speed: a decoder compiled from the schema that takes what :func:`.reading.read_record` takes, or less.

Whatever it does not take it leaves to that reader, whose word stands. So nothing is refused here, and nothing comes
through that would be refused there. Parts that many records share are checked once.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from functools import reduce
from operator import or_
from types import MappingProxyType, UnionType
from typing import TYPE_CHECKING, Annotated, Any, Generic, Literal, TypeVar, get_args, get_origin

import msgspec
import numpy as np
from msgspec import UNSET, Raw, UnsetType
from pydantic import BaseModel

from .errors import UserError
from .record import TOLERANCE, DatasetFacts, GeneratorFacts, Record, canonical_json, cell_id_of, sealed

if TYPE_CHECKING:
    import numpy.typing as npt
    from pydantic.fields import FieldInfo

    from .record import MetricCard

T = TypeVar("T")

Kind = tuple[str, int, str, str, str]

# The other reader refuses what is nested deeper than 200. What has fewer brackets in all is not; the rest is its own.
MOST_BRACKETS = 150
# A folder of strangers holds no more than this in memory by sharing nothing.
MOST_SHARED = 5000
# Of the provenance what names software, and is the same in many records.
PROVENANCE = ("python", "cpu", "git", "packages")


class UnsureError(Exception):
    """This decoder cannot tell whether it has a record before it."""


@dataclass(frozen=True, slots=True, eq=False)
class Layout:
    """The measurements of a record without their values: many records have the same.

    Attributes:
        kinds: metric, version, variant, status and reason of each.
        bounds: least and greatest value of each by the record's cards, shape ``(measurements, 2)``.
        kept: positions of those that are kept whole.
    """

    kinds: tuple[Kind, ...]
    bounds: npt.NDArray[np.float64]
    kept: tuple[int, ...]


class Decoded(msgspec.Struct, frozen=True, eq=False, gc=False):
    """The fields of a record that a board is made of, named as in :class:`.record.Record`.

    ``rows`` are those of the artifact, if there is one. ``layout`` and ``values``, NaN where there is none, hold the
    measurements; a few are kept whole, by their position, with the fields of :class:`.record.Measurement`.
    Of ``provenance`` there is what names software. What two records have in common may be one object.
    """

    id: str
    digest: str
    track: str
    identity: Mapping[str, Any]
    dataset: DatasetFacts
    generator: GeneratorFacts
    protocol: str
    seed: int
    rows_requested: int
    status: str
    phase: str
    message: str
    rows: int | None
    seconds: Mapping[str, float]
    peak_memory_mb: float | None
    details: Mapping[str, Any]
    provenance: Mapping[str, Any]
    cards: Mapping[str, MetricCard]
    kept: Mapping[int, Any]
    layout: Layout
    values: npt.NDArray[np.float64]


class Decoder:
    """Decodes records of one folder.

    Args:
        cards: gives a set of cards by its digest, or raises a :class:`.UserError`.
        keep: metric of which measurements are kept whole.
    """

    def __init__(self, cards: Callable[[str], Mapping[str, MetricCard]], keep: str = "") -> None:
        self._cards, self._keep = cards, keep
        self._parts = _Shared(_part)
        self._checked = _Shared(_value)  # what must be a value, and nobody asks for
        self._provenances = _Shared(lambda raw: dict(zip(PROVENANCE, map(_value, raw), strict=True)))
        self._keys = _Shared(canonical_json)
        self._datasets = _Shared(lambda raw: DatasetFacts.model_validate(_value(raw)))
        self._generators = _Shared(lambda raw: GeneratorFacts.model_validate(_value(raw)))
        self._bounds = _Shared(self._bounds_by)
        self._kinds = _Shared(lambda kind: kind)
        self._layouts = _Shared(self._layout)

    def decode(self, texts: Iterable[bytes]) -> list[Decoded | None]:
        """Decode and verify the texts of records: ``None`` for what may be none."""
        found = [self._decode(text) for text in texts]
        known = [(n, record) for n, record in enumerate(found) if record is not None]
        if known:
            values = np.concatenate([record.values for _, record in known])
            lower, upper = np.concatenate([record.layout.bounds for _, record in known]).T
            ends = np.cumsum([len(record.values) for _, record in known])
            for out in np.flatnonzero((values < lower) | (values > upper)):
                found[known[np.searchsorted(ends, out, side="right")][0]] = None
        return found

    def _decode(self, data: bytes) -> Decoded | None:
        try:
            return self._verified(data)
        except (UnsureError, UserError, ValueError, RecursionError):  # those of msgspec and pydantic are ValueErrors
            return None

    def _verified(self, data: bytes) -> Decoded:
        """What a text holds, but for the bounds of its values."""
        stored = _RECORD.decode(data)
        if not data.isascii():
            data.decode()  # what is left raw was not looked at
        if not stored.digest or sealed(data) != stored.digest:
            raise UnsureError
        dataset, generator = self._datasets[bytes(stored.dataset)], self._generators[bytes(stored.generator)]
        parts = {key: self._parts[bytes(raw)] for key, raw in stored.identity.items()}
        identity = {key: value for key, (value, _) in parts.items()}
        canonical = ",".join([f"{self._keys[key]}:{parts[key][1]}" for key in sorted(parts)])
        if stored.id != cell_id_of(f"{{{canonical}}}"):
            raise UnsureError
        said = {
            "dataset": dataset.fingerprint,
            "track": stored.track,
            "seed": stored.seed,
            "rows": stored.rows_requested,
            "generator": {"target": generator.target, "version": generator.version, "params": generator.params},
        }
        if not said.items() <= identity.items() or not isinstance(identity.get("protocol"), dict):
            raise UnsureError
        for key, raw in stored.provenance.items():
            if key not in PROVENANCE:
                self._checked[bytes(raw)]
        software = tuple([bytes(stored.provenance.get(key, _NULL)) for key in PROVENANCE])
        measured = stored.measurements
        cards = "" if stored.cards is UNSET else stored.cards
        kinds = tuple([(m.metric, m.version, m.variant, m.status, m.reason) for m in measured])
        layout = self._layouts.get((kinds, cards))
        if layout is None:  # it shares the kinds that others have too, and takes a sixth of the memory
            layout = self._layouts[tuple([self._kinds[kind] for kind in kinds]), cards]
        values = np.fromiter([m.value for m in measured], float, len(measured))
        return Decoded(
            id=stored.id,
            digest=stored.digest,
            track=stored.track,
            identity=identity,
            dataset=dataset,
            generator=generator,
            protocol=stored.protocol,
            seed=stored.seed,
            rows_requested=stored.rows_requested,
            status=stored.status,
            phase=stored.phase,
            message=stored.message,
            rows=stored.artifact.rows if stored.artifact else None,
            seconds=stored.seconds,
            peak_memory_mb=stored.peak_memory_mb,
            details=_DETAILS.decode(_shallow(stored.details)),
            provenance=self._provenances[software],
            cards=self._cards(cards) if cards else {},
            kept={place: measured[place] for place in layout.kept},
            layout=layout,
            values=values,
        )

    def _layout(self, key: tuple[tuple[Kind, ...], str]) -> Layout:
        kinds, digest = key
        known = self._bounds[digest]
        try:
            bounds = [known[kind[:2]] for kind in kinds]
        except KeyError:
            raise UnsureError from None
        kept = tuple([n for n, kind in enumerate(kinds) if kind[0] == self._keep])
        return Layout(kinds, np.array(bounds, dtype=float).reshape(-1, 2), kept)

    def _bounds_by(self, digest: str) -> dict[tuple[str, int], tuple[float, float]]:
        """Bounds of values by metric and version, of a set of cards."""
        return {
            (name, card.version): (
                -math.inf if card.lower is None else card.lower - TOLERANCE,
                math.inf if card.upper is None else card.upper + TOLERANCE,
            )
            for name, card in (self._cards(digest) if digest else {}).items()
            if card.name == name
        }


class _Shared(dict[Any, T], Generic[T]):
    """What was made of a key, kept for the next record that holds it."""

    def __init__(self, make: Callable[[Any], T]) -> None:
        super().__init__()
        self._make = make

    def __missing__(self, key: Any) -> T:
        if len(self) >= MOST_SHARED:
            self.clear()
        made = self[key] = self._make(key)
        return made


def _part(raw: bytes) -> tuple[Any, str]:
    """A part of JSON as a value, and its canonical text."""
    value = _value(raw)
    return value, canonical_json(value)


def _value(raw: bytes | Raw) -> Any:
    return _ANY.decode(_shallow(raw))


def _shallow(raw: bytes | Raw) -> bytes:
    data = bytes(raw)
    if data.count(b"[") + data.count(b"{") > MOST_BRACKETS:
        raise UnsureError
    return data


def _struct(model: type[BaseModel], **instead: Any) -> type[msgspec.Struct]:
    """A struct of a model's fields, which refuses unknown ones as the model does.

    Args:
        model: closed to unknown fields.
        instead: the types of fields that are not decoded by the model's own.
    """
    fields = [
        (name, instead.get(name) or _type(field.annotation, field), *_default(field, instead.get(name)))
        for name, field in model.model_fields.items()
    ]
    return msgspec.defstruct(model.__name__, fields, forbid_unknown_fields=True, kw_only=True, gc=False)


def _default(field: FieldInfo, instead: Any) -> tuple[Any, ...]:
    if field.is_required() or get_origin(field.annotation) is Literal:  # the version is always written
        return ()
    if instead == str | UnsetType:
        return (UNSET,)
    if instead is Raw:
        return (Raw(b"{}"),)
    default = field.get_default(call_default_factory=True, validated_data={})
    if default == {}:
        return (_EMPTY,)  # one for all, as most measurements have no breakdown
    return (default.value if isinstance(default, Enum) else default,)


def _type(annotation: Any, field: FieldInfo | None = None) -> Any:
    """The type of a field for msgspec, which is the stricter: it takes no text or truth for a number."""
    patterns = [getattr(constraint, "pattern", None) for constraint in (field.metadata if field else ())]
    if patterns:
        (pattern,) = patterns  # the one constraint that is known here
        assert annotation is str
        assert pattern is not None
        # To pydantic the sign $ is the end of the text, to Python also what stands before a last line break.
        return Annotated[str, msgspec.Meta(pattern=pattern.replace("$", r"\Z"))]
    if annotation in (str, int, float, bool, type(None)) or get_origin(annotation) is Literal:
        return annotation
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return Literal[tuple(member.value for member in annotation)]
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return _struct(annotation)
    parts = tuple(part if part is Ellipsis else _type(part) for part in get_args(annotation))
    if isinstance(annotation, UnionType):
        return reduce(or_, parts)
    if get_origin(annotation) in (dict, tuple):
        return get_origin(annotation)[parts]
    raise TypeError(f"there is no decoder of {annotation}")


_NULL = Raw(b"null")
_EMPTY: Mapping[str, Any] = MappingProxyType({})
_ANY = msgspec.json.Decoder(Any)
_DETAILS = msgspec.json.Decoder(dict[str, Any])
_RECORD: msgspec.json.Decoder[Any] = msgspec.json.Decoder(
    _struct(
        Record,
        identity=dict[str, Raw],
        dataset=Raw,
        generator=Raw,
        details=Raw,
        provenance=dict[str, Raw],
        cards=str | UnsetType,
    )
)
