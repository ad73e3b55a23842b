"""What there is to choose from: the configs of the package, of the current folder, and of plugins."""

from __future__ import annotations

from importlib.metadata import entry_points
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml

GROUPS = {"datasets": "dataset", "generators": "generator", "experiments": "experiment"}


def configs(group: str) -> dict[str, dict[str, Any]]:
    """All configs of a group by name, those of the current folder's ``conf`` first.

    Args:
        group: ``dataset``, ``generator`` or ``experiment``.

    Returns:
        Name to the config's content, sorted by name; interpolations are left as they stand.
    """
    found: dict[str, dict[str, Any]] = {}
    for folder in (Path(str(files("synthward.conf"))), Path.cwd() / "conf"):
        for path in sorted((folder / group).glob("*.yaml")):
            found[path.stem] = yaml.load(path.read_text(encoding="utf-8"), Loader=_LOADER) or {}
    for plugin in entry_points(group=f"synthward.{group}s"):
        if group == "generator":
            found[plugin.name] = {"name": plugin.name, "_target_": plugin.value.replace(":", ".")}
        else:
            found[plugin.name] = plugin.load()
    return dict(sorted(found.items()))


_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
