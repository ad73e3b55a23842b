"""Names that tell apart what differs, and text that is fit to print."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from ..results.record import canonical_json, sha256_json

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ..results.record import DatasetFacts, GeneratorFacts

# What each access tier of `synthward.generators` lets a generator see, from least to most.
TIERS = {
    "description": "the description",
    "statistics": "summary statistics",
    "examples": "some rows",
    "rows": "all training rows",
    "reference": "reference",
}
BY_MODEL = " · "  # between a generator and its language model


@dataclass(frozen=True, order=True)
class LanguageModel:
    """The language model behind a generator.

    Attributes:
        name: by which its endpoint knows it.
        endpoint: its kind; ``embedded`` is the one that needs no other server and no key.
        digest: SHA-256 of the model's file, where the records say it.
    """

    name: str
    endpoint: str = ""
    digest: str = ""


def printable(text: str) -> str:
    """Text with a space for every control and direction-changing character."""
    return text if text.isprintable() else "".join(c if c.isprintable() else " " for c in text)


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


def generator_labels(facts: Mapping[str, GeneratorFacts], models: Mapping[str, LanguageModel]) -> dict[str, str]:
    """Label of every generator by :func:`generator_key`: its name, and the settings in which namesakes differ.

    One behind which a language model stands is named with the model.

    Args:
        facts: of the generators, by their key.
        models: what :func:`language_models` makes of them.
    """
    names = {key: f"{f.name}{BY_MODEL}{models[key].name}" if key in models else f.name for key, f in facts.items()}
    return _distinguish({key: (names[key], {**_flat(f.params), "version": f.version}) for key, f in facts.items()})


def _flat(params: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Settings within settings by dotted names, so that a label shows the one that differs."""
    flat: dict[str, Any] = {}
    for key, value in params.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + str(key): value}
    return flat


def language_models(made: Iterable[tuple[str, GeneratorFacts, LanguageModel | None]]) -> dict[str, LanguageModel]:
    """By :func:`generator_key` the language model behind every generator that has one.

    The settings name it, or those of the generator that is wrapped. Where it is no setting, as of a generator that
    trains one model of its own, the details of the records do.

    Args:
        made: key and facts of the generators of records, and the model that these records' details name.
    """
    named: dict[str, set[LanguageModel]] = defaultdict(set)
    for key, facts, stated in made:
        if model := _model_in(facts.params) or stated:
            named[key].add(model)
    return {key: min(models) for key, models in named.items()}


def model_in_details(details: Mapping[str, Any]) -> LanguageModel | None:
    """The language model that a record's details name."""
    account = details.get("llm")
    return _model(account.get("model")) if isinstance(account, dict) else None


def model_labels(models: Iterable[LanguageModel]) -> dict[LanguageModel, str]:
    """Label of every language model: its name, and the endpoint or the digest where namesakes differ."""
    facts = {canonical_json(asdict(model)): model for model in models}
    labels = _distinguish({key: (m.name, {"endpoint": m.endpoint, "digest": m.digest}) for key, m in facts.items()})
    return {facts[key]: label for key, label in labels.items()}


def _model_in(params: Any) -> LanguageModel | None:
    if not isinstance(params, dict):
        return None
    return _model(params.get("llm")) or _model_in(params.get("generator"))


def _model(stated: Any) -> LanguageModel | None:
    if not isinstance(stated, dict) or not isinstance(stated.get("model"), str) or not stated["model"]:
        return None
    return LanguageModel(stated["model"], *(str(stated.get(field) or "") for field in ("endpoint", "digest")))


def dataset_labels(facts: Mapping[str, DatasetFacts]) -> dict[str, str]:
    """Label of every dataset by fingerprint: its name, and the fingerprint's beginning where namesakes differ."""
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
