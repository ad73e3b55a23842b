"""Records from outside: each fault is one line that names the file, and a value that was made up is found out."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from board_records import rewrite
from command import called, forked, records, swept, synthward
from conftest import CARD, small_table
from synthward.benchmarks.recompute import drawn
from synthward.results.published import place
from synthward.results.reading import CardFiles, DamagedRecordError, read_record, read_records
from synthward.results.record import cell_id, indented_json, sha256_json
from synthward.results.store import file_name
from synthward.results.verified import read_verified

MINE = """
from synthward.generators import Generator

class Noted(Generator):
    def fit(self, view, seed):
        self.rows = view.rows()
        return self

    def sample(self, n, seed):
        return self.rows.sample(n, replace=True, random_state=seed)

    def attachments(self):
        return {"note.txt": b"drawn with replacement"}
"""
GRID = ("dataset=small", "generator=marginals,copy,mine.Noted", "seed=0,1", "hydra/launcher=basic")
METRICS = "metrics.names=[column_shapes,dcr_share,fit_seconds]"
LINE = re.compile(r"^fault: (?P<file>\S+): (?P<text>.+)$", re.MULTILINE)


@pytest.fixture(scope="module")
def swept_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Somebody's folder: a public table, a generator of their own, a store and what was published of it."""
    folder = tmp_path_factory.mktemp("outside")
    small_table().to_csv(folder / "small.csv", index=False)
    (folder / "conf" / "dataset").mkdir(parents=True)
    card = CARD.format(path=folder / "small.csv").replace("sharing: local-only", "sharing: public")
    (folder / "conf" / "dataset" / "small.yaml").write_text(card)
    (folder / "mine.py").write_text(MINE)
    swept(folder, *GRID, METRICS)
    done = forked(folder, "publish", "--to", "published")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "6 records in published\n" in done.stdout
    return folder


@pytest.fixture
def folder(swept_folder: Path, tmp_path: Path) -> Path:
    """A copy of it to do harm in; the card names the table by its path, and is the same."""
    shutil.copytree(swept_folder, tmp_path / "copy")
    return tmp_path / "copy"


def one(folder: Path, generator: str = "marginals", seed: int = 0) -> Path:
    (path,) = (folder / "published" / "small").glob(f"{generator}-{seed}-????????.json")
    return path


def forge(path: Path, **changes: Any) -> Path:
    """Change a record, seal it and put it where such a record belongs: what a careful forger does."""
    rewrite(path, **changes)
    content = json.loads(path.read_text())
    if content["id"] != cell_id(content["identity"]):
        rewrite(path, id=cell_id(content["identity"]))
        content = json.loads(path.read_text())
    name = f"{file_name(content['generator']['name'])}-{content['seed']}-{content['id'][:8]}.json"
    target = path.parents[1] / file_name(content["dataset"]["name"]) / name
    target.parent.mkdir(exist_ok=True)
    for attached in path.parent.glob(f"{path.stem}.*.*"):
        attached.rename(target.with_name(attached.name.replace(path.stem, target.stem)))
    return path.rename(target)


def within(path: Path, part: str, **changes: Any) -> Path:
    return forge(path, **{part: json.loads(path.read_text())[part] | changes})


def measured(path: Path, metric: str = "column_shapes", **changes: Any) -> Path:
    values = json.loads(path.read_text())["measurements"]
    return forge(path, measurements=[m | changes if m["metric"] == metric else m for m in values])


def identified(path: Path, part: str, **changes: Any) -> Path:
    """Change the facts of a generator or dataset together with the identity that holds them."""
    content = json.loads(path.read_text())
    identity = content["identity"]
    if part == "generator":
        identity["generator"] |= changes
    else:
        identity["dataset"] = changes["fingerprint"]
    return forge(path, identity=identity, **{part: content[part] | changes})


def redefined(path: Path, metric: str = "column_shapes", **changes: Any) -> Path:
    """Publish cards of one's own."""
    content = json.loads(path.read_text())
    folder = path.parents[1]
    cards = json.loads(CardFiles(folder).path(content["cards"]).read_text())
    card = cards.pop(metric) | changes
    cards[card["name"]] = card
    CardFiles(folder).path(sha256_json(cards)).write_text(indented_json(cards))
    values = [
        m
        | {"metric": cards[m["metric"]]["name"] if m["metric"] in cards else changes["name"]}
        | ({"version": changes["version"]} if m["metric"] == metric and "version" in changes else {})
        for m in content["measurements"]
    ]
    return forge(path, cards=sha256_json(cards), measurements=values)


def truncated(folder: Path) -> Path:
    path = one(folder)
    path.write_bytes(path.read_bytes()[:900])
    return path


def edited(folder: Path) -> Path:
    path = one(folder)
    path.write_text(path.read_text().replace('"n": 5', '"n": 6', 1))
    return path


def twice(folder: Path) -> Path:
    path = one(folder)
    copy = path.with_name("copy.json")
    for file in path.parent.glob(f"{path.stem}.*"):
        shutil.copyfile(file, file.with_name(file.name.replace(path.stem, "copy")))
    return within(copy, "generator", name="mine")


def moved(folder: Path, to: str) -> Path:
    path = one(folder)
    target = folder / "published" / to
    target.parent.mkdir(exist_ok=True)
    for attached in path.parent.glob(f"{path.stem}.*.*"):
        attached.rename(target.with_name(attached.name.replace(path.stem, target.stem)))
    return path.rename(target)


def changed(path: Path, content: bytes | None) -> Path:
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content)
    return path


def note(folder: Path) -> Path:
    return one(folder, "Noted").with_suffix(".note.txt")


def linked(folder: Path) -> Path:
    path = folder / "published" / "passwords.json"
    path.symlink_to("/etc/hostname")
    return path


ESCAPE = "\x1b]0;gone\x07"
HOSTILE = ("markup", "path", "escape", "long", "megabytes", "metric's text", "stray", "hidden")
# What is done to the folder, giving the file to blame; what is said of it; whether the board leaves a record out.
HARM: dict[str, tuple[Any, str, bool]] = {
    "truncated": (truncated, "is no record: EOF", True),
    "edited": (edited, "was changed after it was written", True),
    "version": (lambda f: forge(one(f), record_version=9), "is a record of version 9, and this synthward reads", True),
    "no record": (lambda f: changed(f / "published" / "x.json", b"[]"), "is no record: it names no record_v", True),
    "two of one cell": (twice, "is of the same cell as published/small/marginals-0-", True),
    "wrong folder": (lambda f: moved(f, "pbc/marginals.json"), "stands under another name than its record's", False),
    "wrong name": (lambda f: moved(f, "small/ctgan-0-0.json"), "stands under another name than its record's", False),
    "stray": (lambda f: changed(f / "published" / "small" / "rows.csv", b"1"), "belongs to no record", False),
    "hidden": (lambda f: changed(f / "published" / ".rows", b"1"), "belongs to no record", False),
    "link": (linked, "is a link", True),
    "unused cards": (
        lambda f: changed(f / "published" / f"cards-{'0' * 64}.json", b"{}"),
        "holds cards that no record names: remove it",
        False,
    ),
    "marks": (
        lambda f: changed(f / "published" / "verified.json", b"{"),
        "lists no verified records: the whole",
        False,
    ),
    "no attachment": (lambda f: (changed(note(f), None), one(f, "Noted"))[1], "lacks its attachment small/", False),
    "attachment": (lambda f: (changed(note(f), b"x"), one(f, "Noted"))[1], "was recorded with another small/", False),
    "metric's direction": (
        lambda f: redefined(one(f), direction="min"),
        "says of column_shapes what the installed metric does not: direction is 'min', not 'max'",
        False,
    ),
    "metric's bounds": (lambda f: redefined(one(f), upper=9.0), "upper is 9.0, not 1.0", False),
    "metric's text": (lambda f: redefined(one(f), definition="Trust me."), "definition is 'Trust me.', not", False),
    "older metric": (
        lambda f: redefined(one(f), "dcr_share", version=2, direction="max"),
        "says of dcr_share what the installed metric does not: direction is 'max', not 'target'",
        False,
    ),
    "newer metric": (lambda f: redefined(one(f), version=99), "has column_shapes of version 99, and here", False),
    "own metric": (lambda f: redefined(one(f), name="glory"), "has a metric 'glory' that is not installed", False),
    "value": (lambda f: measured(one(f), value=7.0), "contradicts itself: its column_shapes of 7 is out of b", True),
    "interval": (lambda f: measured(one(f), high=1.5), "the interval of its column_shapes ends at 1.5, which", False),
    "backwards": (lambda f: measured(one(f), low=0.9, high=0.1), "ends before it starts", False),
    "n": (lambda f: measured(one(f), n=-1), "the n of its column_shapes, -1, is out of bounds", False),
    "time": (lambda f: measured(one(f), seconds=-2.0), "the seconds of its column_shapes, -2, is out", False),
    "status": (lambda f: measured(one(f), status="error"), "has a value, and its status is error", False),
    "seconds": (lambda f: within(one(f), "seconds", fit=-1.0), "its seconds.fit of -1 is out of bounds", False),
    "rows": (lambda f: within(one(f), "artifact", rows=7), "its table has 7 of 48 rows, and its status is ok", False),
    "hash": (lambda f: within(one(f), "artifact", sha256="x"), "its table's hash is no SHA-256", False),
    "no table": (lambda f: forge(one(f), artifact=None), "and it has no table", False),
    "patients": (lambda f: within(one(f), "dataset", n_rows=9000), "it says another n_rows of its dataset", False),
    "other rows": (
        lambda f: identified(one(f), "dataset", fingerprint="0" * 64),
        "its dataset 'small' has other rows or another card than here (fingerprint 00000000, not",
        False,
    ),
    "unknown table": (
        lambda f: within(one(f), "dataset", name="smaller"),
        "its dataset 'smaller' is not known here: put its card into conf/dataset",
        False,
    ),
    "access": (lambda f: within(one(f), "generator", access="description"), "it says access=description of", False),
    "generator's version": (
        lambda f: identified(one(f), "generator", version="99"),
        "is of version 99, and here it is of version 1",
        False,
    ),
    "no generator": (
        lambda f: identified(one(f), "generator", target="synthward.generators.sdv.Any"),
        "is not a generator",
        False,
    ),
    "settings": (
        lambda f: identified(one(f), "generator", params={"epochs": 3}),
        "unexpected keyword argument 'epochs'",
        False,
    ),
    "markup": (
        lambda f: within(one(f), "generator", name="<script>alert(1)</script>"),
        "its generator has the name '<script>alert(1)</script>': a name is short and has none of",
        False,
    ),
    "path": (
        lambda f: within(one(f), "generator", name="../../../x"),
        "its generator has the name '../../../x'",
        False,
    ),
    "escape": (lambda f: forge(one(f), message=ESCAPE), "holds control characters at message: '\\x1b]0;gone", False),
    "long": (lambda f: forge(one(f), message="x" * 5000), "holds 5,000 characters of text at message", False),
    "megabytes": (lambda f: forge(one(f), message="x" * 2**20), "it is larger than any", False),
}


def test_what_was_published_is_clean(folder: Path) -> None:
    done = synthward(folder, "validate", "published")
    assert done.returncode == 0, done.stdout + done.stderr
    assert not LINE.search(done.stdout)
    (said,) = [line for line in done.stdout.splitlines() if line.startswith("note: ")]
    assert "generator Noted is mine.Noted, which is not part of synthward: its file must be in the pull" in said
    assert done.stdout.splitlines()[-1] == "6 records; 0 faults"
    told = json.loads(forked(folder, "validate", "published", "--format", "json").stdout)
    assert (told["records"], told["faults"], told["coverage"], told["recomputed"]) == (6, [], [], [])


@pytest.mark.parametrize("harm", HARM)
def test_each_fault_is_one_line_that_names_the_file_and_the_board_of_the_rest_is_built(folder: Path, harm: str) -> None:
    do, text, left_out = HARM[harm]
    blamed = do(folder).relative_to(folder)
    done = forked(folder, "validate", "published")
    assert done.returncode == 1, done.stdout + done.stderr
    assert done.stderr == ""
    (found,) = LINE.finditer(done.stdout)
    assert found["file"] == str(blamed)
    assert text in found["text"]
    assert len(found[0]) < 700
    assert ESCAPE[0] not in done.stdout
    if not left_out and harm not in HOSTILE:
        return
    board = called(folder, "leaderboard", "--records", "published", "--out", "site")
    assert "Traceback" not in board.stderr
    assert board.returncode == int(left_out), board.stdout + board.stderr
    assert (f"left out: {blamed} " in board.stderr) == left_out
    page = (folder / "site" / "index.html").read_text()
    assert "copy" in page
    assert "<script>alert" not in page
    assert ESCAPE[0] not in page + board.stdout + board.stderr


def test_a_damaged_record_says_nothing_of_the_files_beside_it(folder: Path) -> None:
    for generator in ("Noted", "marginals", "copy"):
        for seed in (0, 1):
            rewrite(one(folder, generator, seed), record_version=9)
    found = list(LINE.finditer(forked(folder, "validate", "published").stdout))
    assert len(found) == 6
    assert all("is a record of version 9" in line["text"] for line in found)


def test_cells_that_are_missing_are_no_fault(folder: Path) -> None:
    for file in list(one(folder).parent.glob(f"{one(folder).stem}.*")):
        file.unlink()
    done = forked(folder, "validate", "published")
    assert done.returncode == 0, done.stdout
    assert "note: marginals in protocol default has 1 of 2 cells: the board shows it as incomplete" in done.stdout
    assert "missing: small seed 0\n" in done.stdout
    told = json.loads(forked(folder, "validate", "published", "--format", "json").stdout)
    assert told["coverage"][0]["missing"] == ["small seed 0"]


def test_nothing_that_a_record_names_is_imported(folder: Path) -> None:
    (folder / "trap.py").write_text("open('sprung', 'w')")
    identified(one(folder), "generator", target="trap.Trap")
    inner = {"generator": {"_target_": "trap.Trap"}}
    identified(one(folder, seed=1), "generator", target="synthward.generators.curated.Curated", params=inner)
    assert forked(folder, "validate", "published").returncode == 0
    assert not (folder / "sprung").exists()


def test_a_private_table_is_validated_without_its_rows_and_published_without_attachments(folder: Path) -> None:
    card = folder / "conf" / "dataset" / "small.yaml"
    private = card.read_text().replace("sharing: public", "sharing: local-only")
    card.rename(folder / "card.yaml").write_text(private)
    grid = ("dataset=file", f"path={folder / 'small.csv'}", "card=card.yaml", *GRID[1:], METRICS, "store=private")
    swept(folder, *grid)
    assert forked(folder, "publish", "--store", "private", "--to", "kept").returncode == 0
    assert not list((folder / "kept").rglob("*.txt"))
    done = forked(folder, "validate", "kept")
    assert done.returncode == 0, done.stdout
    assert "dataset small is not known here: what is said of it cannot be held against the rows" in done.stdout


def test_publish_copies_what_was_asked_for_and_replaces_earlier_records(folder: Path) -> None:
    some = ("publish", "--to", "some", "--generator")
    assert "1 record" not in (done := forked(folder, *some, "marginals")).stdout
    assert done.stdout.endswith("2 records in some\n")
    assert {r.generator.name for r in read_records(folder / "some", pytest.fail)} == {"marginals"}
    refused = forked(folder, *some, "marginal")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "there is no record of generator 'marginal' in results/runs: did you mean marginals?" in refused.stderr
    assert forked(folder, "publish", "--to", "some", "--protocol", "llm").returncode == 2
    (cards,) = (folder / "some").glob("cards-*")
    for record in records(folder):  # as if they had had another name, another attachment and other metrics once
        path = folder / "published" / place(record)
        if record.generator.name == "Noted":
            path.with_suffix(".note.txt").rename(path.with_suffix(".old.txt"))
            old = [json.loads(path.read_text())["attachments"][0] | {"path": "old.txt"}]
            rewrite(path, attachments=old)
        redefined(path, definition="Of old.")
    within(one(folder), "generator", name="once")
    cards_of_old = set((folder / "published").glob("cards-*"))
    assert len(cards_of_old) == 2
    done = forked(folder, "publish", "--to", "published")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.endswith("6 records in published, 6 of them in the place of earlier ones\n")
    assert [p.name for p in (folder / "published").glob("cards-*")] == [cards.name]
    assert forked(folder, "validate", "published").returncode == 0


@pytest.mark.parametrize("harm", ["table", "attachment", "record", "dataset"])
def test_publish_copies_nothing_where_anything_is_wrong(folder: Path, harm: str) -> None:
    (record,) = [r for r in records(folder) if r.generator.name == "Noted" and r.seed == 0]
    cell = folder / "results" / "runs" / "cells" / record.id
    if harm == "table":
        (cell / "synthetic.parquet").write_bytes(b"other rows")
    elif harm == "attachment":
        (cell / "note.txt").unlink()
    elif harm == "record":
        (cell / "record.json").write_bytes(b"{")
    else:
        rewrite(cell / "record.json", dataset=json.loads(record.to_json())["dataset"] | {"n_rows": 9000})
    done = forked(folder, "publish", "--to", "new")
    assert done.returncode == 1
    assert "nothing was published" in done.stderr
    (found,) = LINE.finditer(done.stdout)
    assert record.id in found["file"]
    assert not (folder / "new").exists()
    if harm != "record":
        assert forked(folder, "publish", "--to", "new", "--generator", "copy").returncode == 0


def test_honest_records_come_out_again_and_are_marked(folder: Path) -> None:
    recompute = ("validate", "published", "--recompute", "all", "--mark")
    done = synthward(folder, *recompute)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.endswith("6 records; recomputed: 6 agrees; 0 faults\n")
    marks = read_verified(folder / "published", pytest.fail)
    published = {r.id: r for r in read_records(folder / "published", pytest.fail)}
    assert marks == {name: record.digest for name, record in published.items()}
    content = (folder / "published" / "verified.json").read_bytes()
    assert synthward(folder, *recompute, "--tables", "results/runs").returncode == 0
    assert (folder / "published" / "verified.json").read_bytes() == content
    assert forked(folder, "validate", "published").returncode == 0
    assert called(folder, "leaderboard", "--records", "published", "--out", "site").returncode == 0
    measured(one(folder, "copy"), "fit_seconds", value=0.5)
    assert "1 of its 6 marks are of no record as it stands here now" in forked(folder, "validate", "published").stdout


@pytest.mark.parametrize("tables", ["results/runs", ""])
def test_a_value_that_was_changed_is_found_out(folder: Path, tables: str) -> None:
    path = measured(one(folder), value=0.987654321)
    measured(one(folder, "copy"), "fit_seconds", value=0.0)  # costs are of the machine
    named = ("--tables", tables) if tables else ()
    done = synthward(folder, "validate", "published", "--recompute", "all", "--mark", *named)
    assert done.returncode == 1, done.stdout + done.stderr
    (found,) = LINE.finditer(done.stdout)
    assert found["file"] == str(path.relative_to(folder))
    assert "disagrees: its column_shapes has the value 0.987654321, and 0." in found["text"]
    assert done.stdout.endswith("6 records; recomputed: 5 agrees, 1 disagrees; 1 fault\n")
    assert len(read_verified(folder / "published", pytest.fail)) == 5


def test_another_table_is_found_out_and_what_cannot_be_made_again_is_said(folder: Path) -> None:
    (record,) = [r for r in records(folder) if r.generator.name == "copy" and r.seed == 0]
    cells = folder / "results" / "runs" / "cells"
    (other,) = [r for r in records(folder) if r.generator.name == "copy" and r.seed == 1]
    shutil.copyfile(cells / other.id / "synthetic.parquet", cells / record.id / "synthetic.parquet")
    for noted in [r for r in records(folder) if r.generator.name == "Noted"]:
        shutil.rmtree(cells / noted.id)
    (folder / "mine.py").unlink()
    done = synthward(folder, "validate", "published", "--recompute", "all", "--tables", "results/runs")
    assert done.returncode == 1
    (found,) = LINE.finditer(done.stdout)
    assert "synthetic.parquet is not the table that was recorded: its hash is another" in found["text"]
    assert len(re.findall("not recomputed: mine.Noted is neither installed nor in this folder", done.stdout)) == 2
    assert done.stdout.endswith("6 records; recomputed: 3 agrees, 1 disagrees, 2 not recomputed; 1 fault\n")


def test_the_draw_is_seeded_and_takes_first_what_is_not_verified(folder: Path) -> None:
    made = {str(i): record for i, record in enumerate(records(folder))}
    assert drawn(made, 3, 1, {}) == drawn(made, 3, 1, {})
    assert len({tuple(drawn(made, 3, seed, {})) for seed in range(9)}) > 1
    verified = {record.id: record.digest for file, record in made.items() if file in "0123"} | {made["4"].id: "old"}
    for seed in range(5):
        assert set(drawn(made, 2, seed, verified)) == {"4", "5"}
    assert drawn(made, None, 0, verified).keys() == made.keys()


def test_marks_that_cannot_be_read_are_one_line(tmp_path: Path) -> None:
    assert read_verified(tmp_path, pytest.fail) == {}
    for content in (b"", b"[]", b'{"records": {"a": {"record": "x", "metrics": "y"}}}', b"\xff", b'{"records": 7}'):
        (tmp_path / "verified.json").write_bytes(content)
        told: list[DamagedRecordError] = []
        assert read_verified(tmp_path, told.append) == {}
        (line,) = told
        assert str(line).startswith(f"{tmp_path}/verified.json lists no verified records: ")
        assert list(read_records(tmp_path, pytest.fail)) == []


def test_of_a_pull_request_what_is_new_is_drawn_and_what_else_changed_is_said(folder: Path) -> None:
    shutil.copytree(folder / "published", folder / "before")
    since = ("validate", "published", "--since", "before", "--recompute", "3", "--format", "json")
    told = json.loads(synthward(folder, *since).stdout)
    assert told["recomputed"] == []
    new = one(folder, "copy")
    (folder / "before" / new.relative_to(folder / "published")).unlink()
    replaced = measured(one(folder), "fit_seconds", value=0.25)
    (folder / "published" / "verified.json").write_text('{"records": {}}')
    told = json.loads(synthward(folder, *since).stdout)
    assert {found["file"] for found in told["recomputed"]} == {str(p.relative_to(folder)) for p in (new, replaced)}
    assert [n["text"] for n in told["notes"]][1:] == [
        "1 record of before is gone or replaced: ask why, if the generator is somebody else's"
    ]
    marks = {"records": {"a": {"record": "0" * 64, "metrics": "0" * 64}}}
    (folder / "published" / "verified.json").write_text(json.dumps(marks))
    assert "the marks of verified records were changed" in synthward(folder, *since).stdout


def test_publish_says_what_the_board_will_show_as_incomplete(folder: Path) -> None:
    assert forked(folder, "publish", "--to", "fewer", "--generator", "copy", "--generator", "marginals").returncode == 0
    (only,) = [r for r in records(folder) if r.generator.name == "Noted" and r.seed == 1]
    shutil.rmtree(folder / "results" / "runs" / "cells" / only.id)
    done = forked(folder, "publish", "--to", "fewer", "--generator", "Noted")
    assert done.returncode == 0
    assert "note: Noted in protocol default has 1 of 2 cells: the board shows it as incomplete" in done.stdout


WRONG = {
    "validate bare --since absent": "there is no record in bare",
    "validate absent": "there is no folder absent: name one that `synthward publish` wrote",
    "validate bare": "there is no record in bare",
    "validate bare --mark": "--mark lists records that were recomputed: add --recompute N",
    "validate bare --recompute some": "'some' is no whole number of 0 or more",
    "validate bare --recompute 1 --tables absent": "there is no store absent",
}


@pytest.mark.parametrize("arguments", WRONG)
def test_wrong_arguments(tmp_path: Path, arguments: str) -> None:
    (tmp_path / "bare").mkdir()
    done = forked(tmp_path, *arguments.split())
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert WRONG[arguments] in line


def test_a_record_published_is_read_as_it_stands(folder: Path) -> None:
    path = one(folder)
    assert (folder / "published" / place(read_record(path, CardFiles(folder / "published")))) == path
