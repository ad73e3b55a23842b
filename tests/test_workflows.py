"""The workflow files run commands that exist, with as few rights as they need."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml
from synthward.benchmarks.cli import _parser

ROOT = Path(__file__).parents[1]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
RIGHTS = {
    "ci": {"contents": "read"},
    "validate": {"contents": "read"},
    "site": {"contents": "read", "pages": "write", "id-token": "write"},
}


def steps(workflow: dict[str, Any]) -> list[dict[str, Any]]:
    return [step for job in workflow["jobs"].values() for step in job["steps"]]


def test_there_are_these_workflows() -> None:
    assert [path.stem for path in WORKFLOWS] == ["ci", "site", "validate"]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_runs_what_there_is_without_a_secret(path: Path) -> None:
    text = path.read_text()
    workflow = yaml.safe_load(text)
    assert workflow["name"] == path.stem
    assert workflow["permissions"] == RIGHTS[path.stem]
    assert "permissions" not in str(workflow["jobs"])
    assert "pull_request_target" not in text  # it would hand a stranger's code the rights of this repository
    assert not re.search(r"secrets|token }}|password|http", text.lower())
    for step in steps(workflow):
        if "uses" in step:
            assert re.fullmatch(r"actions/[a-z-]+@v\d+", step["uses"])
        else:
            runs(step["run"])


def runs(command: str) -> None:
    """Whether a command of a workflow can be run in a checkout."""
    program, *arguments = shlex.split(command)
    if program == "synthward":
        options = _parser().parse_args(arguments)
        for folder in filter(None, [*(getattr(options, "records", None) or []), getattr(options, "path", None)]):
            assert (ROOT / folder).is_dir(), folder
    elif program == "bash":
        assert (ROOT / arguments[0]).is_file()
    else:
        assert (program, arguments[:3]) == ("python", ["-m", "pip", "install"])
        extras = re.findall(r"[\w-]+", arguments[3].removeprefix("."))
        known = (ROOT / "pyproject.toml").read_text()
        assert [e for e in extras if not re.search(rf"^{e} = \[", known, re.MULTILINE)] == []


def test_the_site_that_is_published_is_the_board_that_is_built() -> None:
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "site.yml").read_text())
    (build,) = [step["run"] for step in steps(workflow) if "leaderboard" in step.get("run", "")]
    (upload,) = [step for step in steps(workflow) if "upload-pages" in step.get("uses", "")]
    assert str(_parser().parse_args(shlex.split(build)[1:]).out) == upload["with"]["path"]


def test_records_are_validated_when_they_change() -> None:
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "validate.yml").read_text())
    assert workflow[True]["pull_request"]["paths"] == ["results/records/**"]  # YAML reads `on` as a truth value
