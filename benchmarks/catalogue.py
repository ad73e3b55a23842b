"""What there is to choose from: the configs of the package, of the current folder, and of plugins."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from importlib.metadata import entry_points
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml

from ..results.errors import UserError

GROUPS = {"datasets": "dataset", "generators": "generator", "experiments": "experiment"}


def configs(group: str) -> tuple[dict[str, dict[str, Any]], dict[str, str]]:
    """All configs of a group by name; one in the current folder's ``conf`` hides the package's own.

    Args:
        group: ``dataset``, ``generator``, ``experiment`` or ``metrics``.

    Returns:
        Name to the config's content, interpolations as they stand; and name to the reason why a config
        cannot be read. Both sorted by name.
    """
    sources: dict[str, Callable[[], Any]] = {}
    for folder in (Path(str(files("synthward.conf"))), Path.cwd() / "conf"):
        for path in (folder / group).glob("*.yaml"):
            sources[path.stem] = partial(_read, path)
    for plugin in entry_points(group=f"synthward.{group}s") if group in GROUPS.values() else ():
        if group == "generator":
            sources[plugin.name] = partial(dict, name=plugin.name, _target_=plugin.value.replace(":", "."))
        else:
            sources[plugin.name] = plugin.load
    found: dict[str, dict[str, Any]] = {}
    unreadable: dict[str, str] = {}
    for name, load in sorted(sources.items()):
        try:
            config = load()
        except Exception as error:  # a plugin may raise anything when it is imported
            unreadable[name] = f"{type(error).__name__}: {' '.join(str(error).split())}"
            continue
        if isinstance(config, dict):
            found[name] = config
        else:
            unreadable[name] = "it is no mapping of keys to values"
    return found, unreadable


def waits_for_files(config: Mapping[str, Any]) -> bool:
    """Whether a dataset's config is of a table that its user names on the command line."""
    return "${" in json.dumps(config, default=str)


def metrics_of(names: Iterable[str]) -> list[str]:
    """Replace the suites among some names by their metrics, in order and each once.

    Args:
        names: of metrics and of suites in ``conf/metrics``, whose own ``names`` may be of either kind.

    Raises:
        UserError: a suite holds itself, or is no list of names.
    """
    suites = configs("metrics")[0]

    def expanded(names: Iterable[str], above: tuple[str, ...]) -> Iterator[str]:
        for name in names:
            if name in above:
                raise UserError(f"the suite of metrics '{name}' holds itself: {' > '.join((*above, name))}")
            yield from expanded(_names(name, suites[name]), (*above, name)) if name in suites else (name,)

    return list(dict.fromkeys(expanded(names, ())))


def _names(suite: str, config: dict[str, Any]) -> list[str]:
    names = config.get("names")
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise UserError(f"the suite of metrics '{suite}' needs names: a list of metrics, one a line behind a dash")
    return names


def _read(path: Path) -> Any:
    with path.open(encoding="utf-8") as file:
        return yaml.load(file, Loader=_LOADER) or {}


_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
