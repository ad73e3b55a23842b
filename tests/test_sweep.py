"""Sweeps as users run them: the grid, what is done again and what is not, what is shown."""

import re
from math import prod
from pathlib import Path

import pytest
import yaml
from command import contents, records, swept, synthward
from conftest import small_table
from synthward.benchmarks import app, sweeper
from synthward.results.errors import UserError

ROOT = Path(__file__).parents[1]

MINE = """
from pathlib import Path
from synthward.generators import Generator

class Counted(Generator):
    '''Draws train rows, and notes each time that it does.'''

    def __init__(self, epochs=1):
        self.epochs = epochs

    def fit(self, view, seed):
        self.rows = view.rows()
        return self

    def sample(self, n, seed):
        with Path("made.txt").open("a") as file:
            file.write(f"{type(self).__name__}\\n")
        return self.rows.sample(n, replace=True, random_state=seed)

class Moody(Counted):
    '''Works once there is a file that says so.'''

    version = "1"

    def fit(self, view, seed):
        if not Path("cheer").exists():
            raise ValueError("not today")
        return super().fit(view, seed)
"""


@pytest.fixture
def project(tmp_path):
    """A user's folder: a table, and generators in a module."""
    small_table().to_csv(tmp_path / "small.csv", index=False)
    (tmp_path / "mine.py").write_text(MINE)
    return tmp_path


def made(project):
    file = project / "made.txt"
    return file.read_text().split() if file.exists() else []


def test_a_sweep_does_what_is_missing_and_nothing_else(project):
    grid = ("generator=mine.Counted", "generator.epochs=1,2", "seed=0,1", "hydra/launcher=basic")
    first = swept(project, *grid, "metrics.names=[valid_rows]")
    assert first.stdout.startswith("4 cells: 4 ok; ")
    before = {r.id: r for r in records(project)}
    assert len(before) == len(made(project)) == 4
    names = {(r.generator.name, r.generator.params["epochs"], r.seed) for r in before.values()}
    assert names == {(f"Counted[epochs={e}]", e, s) for e in (1, 2) for s in (0, 1)}

    lines = first.stderr.splitlines()
    assert len(lines) == 4
    form = r"\[(\d)/4\] small / Counted\[epochs=[12]\] / seed [01]: ok in [\d.]+ s; about [\d.]+ (s|min) left"
    assert [re.fullmatch(form, line)[1] for line in lines] == ["1", "2", "3", "4"]

    again = swept(project, *grid, "metrics.names=[valid_rows]")
    assert again.stdout.startswith("4 cells, 4 of them done before: 4 ok; ")
    assert again.stderr == ""
    assert {r.id: r for r in records(project)} == before

    swept(project, *grid, "metrics.names=[valid_rows,duplicates]")
    scored = {r.id: r for r in records(project)}
    assert len(made(project)) == 4
    for cell, record in scored.items():
        assert {m.metric for m in record.measurements} == {"valid_rows", "duplicates"}
        assert record.artifact == before[cell].artifact
        assert record.measurements[0] == before[cell].measurements[0]

    (project / "mine.py").write_text(MINE + "\n# another version\n")
    swept(project, *grid, "metrics=none")
    assert len(made(project)) == 8
    assert len(records(project)) == 8


def test_configs_of_the_current_folder_are_found_globbed_and_collapsed(project):
    """By the default launcher; two axes lead to each cell twice, which is run once."""
    folder = project / "conf" / "generator"
    folder.mkdir(parents=True)
    for name, epochs in (("mine_a", 1), ("mine_b", 2), ("mine_c", 3)):
        (folder / f"{name}.yaml").write_text(f"name: {name}\n_target_: mine.Counted\nepochs: {epochs}\n")
    done = swept(project, "generator=glob(mine_*,exclude=[mine_c])", "seed=0,0", "metrics=none")
    assert done.stdout.startswith("2 cells: 2 ok")
    assert sorted(r.generator.name for r in records(project)) == ["mine_a", "mine_b"]
    assert len(made(project)) == 2


def test_an_experiment_of_the_current_folder_may_name_classes(project):
    folder = project / "conf" / "experiment"
    folder.mkdir(parents=True)
    axes = {"generator": "mine.Counted,marginals", "seed": "range(0,2)"}
    own = {"path": "small.csv", "target": "died", "hydra": {"sweeper": {"params": axes}}}
    own["defaults"] = [{"override /dataset": "file"}, {"override /metrics": "none"}]
    (folder / "own.yaml").write_text("# @package _global_\n" + yaml.safe_dump(own))
    swept(project, "experiment=own", "hydra/launcher=basic")
    assert sorted(r.generator.name for r in records(project)) == ["Counted", "Counted", "marginals", "marginals"]


def test_failures_are_shown_kept_and_tried_again_when_asked(project):
    grid = ("generator=mine.Moody,marginals", "metrics=none", "hydra/launcher=basic")
    first = swept(project, *grid)
    assert first.stdout.startswith("2 cells: 1 error, 1 ok")
    assert "  error: Moody on small: ValueError: not today" in first.stdout.splitlines()
    assert "retry=failed" in first.stdout

    (project / "cheer").touch()
    assert swept(project, *grid).stdout.startswith("2 cells, 2 of them done before: 1 error, 1 ok")
    status = synthward(project, "status")
    assert status.returncode == 0
    assert "2 of 2 cells done: 1 error, 1 ok" in status.stdout
    assert "error: Moody on small: ValueError: not today" in status.stdout

    stamp = {r.id: r.digest for r in records(project) if r.generator.name == "marginals"}
    assert swept(project, *grid, "retry=failed").stdout.startswith("2 cells, 1 of them done before: 2 ok")
    assert made(project) == ["Moody"]
    assert {r.id: r.digest for r in records(project) if r.id in stamp} == stamp

    (cell,) = stamp
    (project / "results/runs/cells" / cell / "record.json").unlink()
    status = synthward(project, "status")
    assert status.returncode == 1
    assert "1 of 2 cells done: 1 left, 1 ok" in status.stdout
    assert status.stdout.count("synthward sweep") == 1, "a sweep that is run again is one sweep"


def test_what_a_sweep_reads_from_disk_counts_by_its_content(project):
    """Also where a finished sweep is known as such without being planned."""
    small_table(seed=1).to_csv(project / "rows.csv", index=False)
    folder = project / "conf" / "dataset"
    folder.mkdir(parents=True)
    source = {"_target_": "synthward.benchmarks.sources.file.read", "path": "small.csv"}
    (folder / "own.yaml").write_text(yaml.safe_dump({"name": "own", "source": source, "target": "died"}))
    common = ("metrics=none", "hydra/launcher=basic")
    by_name = ("dataset=own", "generator=marginals", *common)
    by_path = ("path=small.csv,rows.csv", "generator=precomputed", "generator.path=rows.csv", *common)
    assert swept(project, *by_name).stdout.startswith("1 cell: 1 ok")
    assert swept(project, *by_path).stdout.startswith("2 cells: 2 ok")
    assert {r.dataset.name for r in records(project)} == {"own", "small", "rows"}
    scored = [r for r in records(project) if r.generator.target.endswith("Precomputed")]
    assert {r.generator.name for r in scored} == {"precomputed[path=rows.csv]"}
    assert not any(str(project) in r.model_dump_json() for r in scored), "where a file lay is no part of a record"
    assert swept(project, *by_name).stdout.startswith("1 cell, 1 of them done before")
    assert swept(project, *by_path).stdout.startswith("2 cells, 2 of them done before")

    small_table(seed=2).to_csv(project / "small.csv", index=False)
    assert swept(project, *by_name).stdout.startswith("1 cell: 1 ok")
    assert swept(project, *by_path).stdout.startswith("2 cells, 1 of them done before: 2 ok")
    small_table(seed=3).to_csv(project / "rows.csv", index=False)
    assert swept(project, *by_path).stdout.startswith("2 cells: 2 ok")
    assert len(contents(project)) == 7


@pytest.mark.parametrize("experiment", sorted(path.stem for path in (ROOT / "conf/experiment").glob("*.yaml")))
def test_experiments_expand_to_the_grid_that_they_declare(tmp_path, monkeypatch, experiment):
    declared = yaml.safe_load((ROOT / f"conf/experiment/{experiment}.yaml").read_text())["hydra"]["sweeper"]["params"]
    seen = []

    def plan(jobs, config, context, store):
        seen.extend(jobs)
        return []

    monkeypatch.setattr(sweeper, "_plan", plan)
    with pytest.raises(UserError, match="no cell"):
        app.sweep([f"experiment={experiment}", f"store={tmp_path}"])
    sizes = [
        len(range(*map(int, re.findall(r"\d+", v)))) if "range" in v else v.count(",") + 1 for v in declared.values()
    ]
    assert len(seen) == prod(sizes) > 10
    for group in ("dataset", "generator"):
        chosen = {override.partition("=")[2] for job in seen for override in job if override.startswith(f"{group}=")}
        assert chosen == set(declared[group].split(","))
        assert all((ROOT / "conf" / group / f"{name}.yaml").exists() for name in chosen)


def test_the_quick_experiment_is_planned_in_full(tmp_path, monkeypatch):
    monkeypatch.setattr(sweeper, "_launch", lambda *_: [])
    report = app.sweep(["experiment=quick", f"store={tmp_path}"])
    assert report.total == 3 * 9 * 2
    assert report.counts() == {"missing": 54}
    assert "0 of 54 cells done: 54 left" in synthward(tmp_path, "status", "--store", str(tmp_path)).stdout
