"""The examples of README and CONTRIBUTING run as they stand."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
BLOCK = re.compile(r"^```(?:python|yaml)\n# (\S+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SYNTHWARD = Path(sys.executable).with_name("synthward")


@pytest.fixture
def project(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A folder with the files that a document's examples name in their first line."""
    for name, text in BLOCK.findall((ROOT / request.param).read_text()):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def synthward(folder: Path, *arguments: str) -> str:
    env = os.environ | {"OMP_NUM_THREADS": "1", "COLUMNS": "200"}
    command = [SYNTHWARD, *arguments]
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, f"synthward {' '.join(arguments)} failed:\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.mark.parametrize(
    ("project", "generator"),
    [("README.md", "my_generators.Bootstrap"), ("CONTRIBUTING.md", "my_generators.Medians")],
    indirect=["project"],
)
def test_example_generators_keep_the_contract(project: Path, generator: str) -> None:
    assert "keeps the contract" in synthward(project, "check", generator)


@pytest.mark.parametrize("project", ["CONTRIBUTING.md"], indirect=True)
def test_example_dataset_generator_and_metric_make_a_sweep(project: Path) -> None:
    metrics = "metrics.names=[column_shapes,my_metrics.mean_gap]"
    sweep = ("sweep", "dataset=breast_masses", "generator=medians", "generator.widen=1,2", metrics)
    assert "2 ok" in synthward(project, *sweep)
    assert "2 of them done before" in synthward(project, *sweep)


@pytest.mark.parametrize("document", ["README.md", "CONTRIBUTING.md"])
def test_commands_in_the_documents_exist(document: str) -> None:
    text = (ROOT / document).read_text()
    help_text = synthward(ROOT, "--help")
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"(?:^|`)make ([a-z]+)", text, re.MULTILINE)) <= targets
    commands = set(re.findall(r"(?:^|`)synthward ([a-z]+)", text, re.MULTILINE))
    assert commands
    assert [c for c in commands if not re.search(rf"^\s+{c}\b", help_text, re.MULTILINE)] == []


@pytest.mark.parametrize("document", ["README.md", "CONTRIBUTING.md", "NOTICE", "CHANGELOG.md"])
def test_files_and_sections_that_documents_link_to_exist(document: str) -> None:
    text = (ROOT / document).read_text()
    titles = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    headings = {re.sub(r"[^\w -]", "", title).strip().lower().replace(" ", "-") for title in titles}
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        if link.startswith("#"):
            assert link[1:] in headings, f"{document} links to {link}, which is no section"
        elif "://" not in link:
            assert (ROOT / link).exists(), f"{document} links to {link}, which is no file"
