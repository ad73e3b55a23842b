"""Names that tell apart what differs, and text that is fit to print."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from ..results.record import canonical_json, sha256_json

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ..results.record import GeneratorFacts, Record

# What each access tier of `synthward.generators` lets a generator see, from least to most.
TIERS = {
    "description": "the description",
    "statistics": "summary statistics",
    "examples": "some rows",
    "rows": "all training rows",
    "reference": "reference",
}
BY_MODEL = " · "  # between a generator and its language model


def printable(text: str) -> str:
    """Text with a space for every control and direction-changing character."""
    return "".join(c if c.isprintable() else " " for c in text)


def plain(text: str, limit: int = 0) -> str:
    """Text on one line without control or direction-changing characters; cut at ``limit`` if given."""
    line = " ".join(printable(text).split())
    return line if not limit or len(line) <= limit else f"{line[: limit - 1]}…"


def is_reference(facts: GeneratorFacts) -> bool:
    """Whether a generator is a yardstick rather than a competitor."""
    return facts.reference or facts.access == "reference"


def may_see(facts: GeneratorFacts) -> str:
    """What a generator may see, in words."""
    return TIERS.get(facts.access, facts.access)


def tier_order(access: str) -> int:
    """Position of an access tier, from least to most; unknown ones last."""
    return list(TIERS).index(access) if access in TIERS else len(TIERS)


def generator_key(facts: GeneratorFacts) -> str:
    """What makes a row of the board: class, version and settings, but not what somebody called them."""
    return sha256_json(facts.model_dump(mode="json", exclude={"name"}))


def generator_labels(records: Iterable[Record]) -> dict[str, str]:
    """Label of every generator by :func:`generator_key`: its name, and the settings in which namesakes differ.

    One behind which a language model stands is named with the model.
    """
    facts = {generator_key(r.generator): r.generator for r in records}
    return _distinguish({key: (_with_model(f), {**_flat(f.params), "version": f.version}) for key, f in facts.items()})


def _flat(params: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Settings within settings by dotted names, so that a label shows the one that differs."""
    flat: dict[str, Any] = {}
    for key, value in params.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + str(key): value}
    return flat


def _with_model(facts: GeneratorFacts) -> str:
    model = language_model(facts.params)
    return f"{facts.name}{BY_MODEL}{model}" if model else facts.name


def language_model(params: Any) -> str:
    """Name of the language model in a generator's settings, or in those of the generator that it wraps."""
    if not isinstance(params, dict):
        return ""
    llm = params.get("llm")
    named = llm.get("model") if isinstance(llm, dict) else None
    return named if isinstance(named, str) else language_model(params.get("generator"))


def dataset_labels(records: Iterable[Record]) -> dict[str, str]:
    """Label of every dataset by fingerprint: its name, and the fingerprint's beginning where namesakes differ."""
    facts = {r.dataset.fingerprint: r.dataset for r in records}
    return _distinguish({key: (f.name, {"fingerprint": key[:8]}) for key, f in facts.items()})


def _distinguish(named: Mapping[str, tuple[str, dict[str, Any]]]) -> dict[str, str]:
    namesakes: dict[str, list[str]] = defaultdict(list)
    for key, (name, _) in named.items():
        namesakes[name].append(key)
    labels: dict[str, str] = {}
    for name, keys in namesakes.items():
        details = {key: named[key][1] for key in keys}
        fields = dict.fromkeys(field for d in details.values() for field in d)
        differing = [f for f in fields if len({canonical_json([d.get(f), f in d]) for d in details.values()}) > 1]
        for key, d in details.items():
            suffix = ", ".join(f"{f}={_short(d[f])}" for f in differing if f in d)
            label = plain(f"{name} ({suffix})" if suffix else name, 80)
            # Different facts never share a row, even where the text that fits is the same.
            labels[key] = label if label not in labels.values() else f"{label} #{sha256_json(key)[:6]}"
    return labels


def _short(value: Any) -> str:
    return plain(value if isinstance(value, str) else canonical_json(value), 24)
