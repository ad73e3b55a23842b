"""The wheel: what it holds, and that its console script runs where no checkout is."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path
from zipfile import ZipFile

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = ("benchmarks", "generators", "metrics", "results", "leaderboard", "conf")
SHIPPED = (".py", ".yaml", ".typed", ".html", ".j2", ".css", ".js")


def run(*command: str | Path, cwd: Path, **env: str) -> str:
    kept = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYTHONHOME")}
    done = subprocess.run(command, cwd=cwd, env=kept | env, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, f"{command} failed:\n{done.stdout}\n{done.stderr}"
    return done.stdout


def sources() -> list[str]:
    """Files of the checkout that git tracks or would, so that left-overs of earlier builds stay out."""
    listed = run("git", "ls-files", "--cached", "--others", "--exclude-standard", cwd=ROOT).splitlines()
    return [name for name in listed if (ROOT / name).is_file()]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    tree = tmp_path_factory.mktemp("tree")
    for name in sources():
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tree / name)
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", tree / "dist", cwd=tree)
    (built,) = (tree / "dist").glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The ``bin`` of a fresh environment that holds the wheel, and borrows its dependencies from this one."""
    home = tmp_path_factory.mktemp("fresh")
    venv.create(home, with_pip=False)
    pip = (sys.executable, "-m", "pip", "--python", home / "bin" / "python")
    run(*pip, "install", "--quiet", "--no-deps", "--no-index", wheel, cwd=home)
    # A path in a .pth file is only appended: the editable install beside the dependencies stays inactive.
    (site,) = home.glob("lib/python*/site-packages")
    (site / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return home / "bin"


def test_top_level_name_is_ours_alone(wheel: Path) -> None:
    with ZipFile(wheel) as archive:
        names = archive.namelist()
    distribution = wheel.name.split("-py3")[0]
    assert {name.split("/")[0] for name in names} == {"synthward", f"{distribution}.dist-info"}
    assert {name.split("/")[1] for name in names if name.startswith("synthward/")} == set(ROOMS)


def test_every_module_config_template_and_marker_is_inside(wheel: Path) -> None:
    with ZipFile(wheel) as archive:
        names = set(archive.namelist())
    shipped = [name for name in sources() if name.split("/")[0] in ROOMS and name.endswith(SHIPPED)]
    places = {f"synthward/{name}" for name in shipped}
    assert len(places) > 20
    assert sorted(places - names) == []


def test_licence_and_notice_travel_with_the_wheel(wheel: Path) -> None:
    with ZipFile(wheel) as archive:
        licences = {Path(name).name for name in archive.namelist() if "/licenses/" in name}
    assert licences == {"LICENSE", "NOTICE"}


def test_console_script_runs_from_the_wheel(installed: Path, tmp_path: Path) -> None:
    where = "import synthward.benchmarks, synthward.conf; print(synthward.benchmarks.__file__, synthward.conf.__file__)"
    for file in run(installed / "python", "-c", where, cwd=tmp_path).split():
        assert Path(file).is_relative_to(installed.parent), "the checkout is imported, not the wheel"
    assert "sweep" in run(installed / "synthward", "--help", cwd=tmp_path)
    listed = run(installed / "synthward", "list", "generators", cwd=tmp_path)
    assert {"real", "copy", "marginals", "uniform", "ctgan"} <= set(listed.split())
    assert list(tmp_path.iterdir()) == [], "listing writes files into the current folder"
