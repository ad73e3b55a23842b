"""Which software made the records, as their provenance tells."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from .naming import plain

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..results.record import Record

MAX_TEXT = 60


def software(records: Iterable[Record]) -> dict[str, tuple[str, ...]]:
    """Versions of packages, Python and source, and the processor, several where records differ.

    Source versions are commits, cut to 10 digits, with ``-dirty`` where the code had uncommitted changes.
    """
    found: dict[str, set[str]] = defaultdict(set)
    for record in records:
        stated: dict[str, Any] = {name: record.provenance.get(name) for name in ("python", "cpu")}
        stated["commit"] = _commit(record)
        packages = record.provenance.get("packages")
        stated |= packages if isinstance(packages, dict) else {}
        for name, version in stated.items():
            if isinstance(version, str):
                found[plain(name, MAX_TEXT)].add(plain(version, MAX_TEXT))
    return {name: tuple(sorted(found[name])) for name in sorted(found, key=str.lower)}


def _commit(record: Record) -> str | None:
    git = record.provenance.get("git")
    if not isinstance(git, dict) or not git.get("commit"):
        return None
    return str(git["commit"])[:10] + ("-dirty" if git.get("dirty") else "")
