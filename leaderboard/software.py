"""Which software made the records, as their provenance tells."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from .naming import plain

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

MAX_TEXT = 60


def software(provenances: Iterable[Mapping[str, Any]]) -> dict[str, tuple[str, ...]]:
    """Versions of packages, Python and source, and the processor, several where records differ."""
    found: dict[str, set[str]] = defaultdict(set)
    for provenance in provenances:
        for name, version in named(provenance):
            found[plain(name, MAX_TEXT)].add(plain(version, MAX_TEXT))
    return {name: tuple(sorted(found[name])) for name in sorted(found, key=str.lower)}


def named(provenance: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """Names and versions that the provenance of a record states.

    Source versions are commits, cut to 10 digits, with ``-dirty`` where the code had uncommitted changes.
    """
    stated: dict[str, Any] = {name: provenance.get(name) for name in ("python", "cpu")}
    stated["commit"] = _commit(provenance.get("git"))
    packages = provenance.get("packages")
    stated |= packages if isinstance(packages, dict) else {}
    return tuple([(name, version) for name, version in stated.items() if isinstance(version, str)])


def _commit(git: Any) -> str | None:
    if not isinstance(git, dict) or not git.get("commit"):
        return None
    return str(git["commit"])[:10] + ("-dirty" if git.get("dirty") else "")
