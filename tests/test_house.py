"""Rules of the house that no other tool checks."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from omegaconf import OmegaConf

ROOT = Path(__file__).parents[1]
HEAVY = ("hydra", "numpy", "pandas", "pyarrow", "scipy", "sdv", "sklearn", "synthcity", "torch", "xgboost")
LIGHT = {
    "import synthward.generators": "import synthward.generators",
    "import synthward.metrics": "import synthward.metrics",
    "import synthward.results.record": "import synthward.results.record",
    "synthward --help": "from synthward.benchmarks.cli import main; sys.argv = ['synthward', '--help']; main()",
}
LOADED = """
import json, sys
try:
    {statement}
except SystemExit as stop:
    assert not stop.code, stop.code
print(); print(json.dumps(sorted(name for name in sys.modules if '.' not in name)))
"""


def tracked() -> list[str]:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True)
    return listed.stdout.splitlines()


@pytest.mark.parametrize("statement", LIGHT.values(), ids=LIGHT.keys())
def test_light_entrances_load_no_heavy_library(statement: str) -> None:
    code = LOADED.format(statement=statement)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    loaded = json.loads(done.stdout.splitlines()[-1])
    assert [name for name in HEAVY if name in loaded] == []


def test_no_tracked_file_names_a_path_of_a_machine() -> None:
    home = re.compile(rb"(?<![\w.])/(?:home|Users|root)/\w|" + re.escape(str(ROOT).encode()) + rb"\b")
    named = [name for name in tracked() if (ROOT / name).is_file() and home.search((ROOT / name).read_bytes())]
    assert named == []


def test_tracked_files_stay_small() -> None:
    """A clone is for reading: tables and pages belong into releases, not into the history."""
    large = [name for name in tracked() if (ROOT / name).is_file() and (ROOT / name).stat().st_size > 2**20]
    assert large == []


@pytest.mark.parametrize("path", sorted(ROOT.glob("conf/**/*.yaml")), ids=lambda p: str(p.relative_to(ROOT)))
def test_every_config_parses(path: Path) -> None:
    """OmegaConf, unlike plain YAML, refuses a key that stands twice: a column lost without a word."""
    assert OmegaConf.is_dict(OmegaConf.load(path))


def test_extras_have_the_names_that_every_pip_knows_them_by() -> None:
    """pip 23 looks for the name as it was typed, and the package says its normal form: a dot installed nothing."""
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert [name for name in extras if name != re.sub(r"[-_.]+", "-", name).lower()] == []
