"""`synthward export`: tables to take away, in the forms that papers and programs read."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
from pathlib import Path

import pandas as pd
import pytest
from board_records import plausible, record
from command import forked
from synthward.leaderboard.aggregate import summarise
from synthward.leaderboard.board import Board
from synthward.leaderboard.export import export
from synthward.leaderboard.views import views
from synthward.results.errors import UserError
from synthward.results.record import MetricCard, cell_id
from synthward.results.store import Store

HOSTILE = r"\input{/etc/passwd} $x^2$ 100% a_b #1 & {~} <b>|\\ \end{tabular} — 猫 “q” \0"


@pytest.fixture(scope="module")
def board() -> Board:
    return summarise(plausible(), draws=50)


def table(board: Board, view: str, form: str = "csv") -> pd.DataFrame:
    content = export(board, view, form)
    read = {"csv": pd.read_csv, "json": pd.read_json, "parquet": pd.read_parquet}
    return read[form](io.BytesIO(content))


@pytest.mark.parametrize("form", ["csv", "json", "parquet"])
def test_long_forms_hold_the_board_s_own_numbers(board: Board, form: str) -> None:
    (section,) = board.sections
    found = table(board, "fidelity", form).set_index(["generator", "metric"])
    for row in section.rows:
        for column in section.columns:
            score = row.scores[column.card.name]
            if column.card.family == "fidelity" and score.mean is not None:
                taken = found.loc[(row.label, column.card.name)]
                assert taken[["mean", "low", "high"]].tolist() == pytest.approx([score.mean, score.low, score.high])
                assert (taken["kind"], taken["direction"]) == (row.kind, column.card.direction)
    assert len(found) == sum(
        row.scores[c.card.name].mean is not None
        for row in section.rows
        for c in section.columns
        if c.card.family == "fidelity"
    )


def test_every_table_comes_in_every_form(board: Board) -> None:
    (section,) = board.sections
    names = list(views(section))
    assert {"scores", "fidelity", "utility", "privacy", "cost", "dataset-rhc"} <= set(names)
    for name in names:
        assert len(table(board, name))
        for form in ("latex", "markdown"):
            text = export(board, name, form).decode()
            assert "gaussian" in text
            assert "protocol standard" in text


def test_a_table_of_one_dataset_holds_its_means_and_its_cells(board: Board) -> None:
    (section,) = board.sections
    (facts,) = [t for t in section.datasets if t.label == "rhc"]
    found = table(board, "dataset-rhc").set_index(["generator", "metric"])
    for label, means in facts.means.items():
        for metric, mean in means.items():
            assert found.loc[(label, metric), "mean"] == pytest.approx(mean)
    assert (found["of_cells"] == facts.repeats).all()
    assert not len(found[found.index.get_level_values("generator") == "my_gan"])  # it failed there


def test_a_caption_says_what_the_table_rests_on(board: Board) -> None:
    text = export(board, "fidelity", "latex").decode()
    for said in (
        f"over {board.sections[0].counted_datasets} datasets",
        "repeats",
        "95 \\% bootstrap intervals",
        "column\\_shapes 1",
        "synthward",
        "Bold: best",
    ):
        assert said in text, said


@pytest.fixture(scope="module")
def latex() -> str:
    found = shutil.which("pdflatex")
    if found is None:
        lacking = (
            "tables are compiled by LaTeX, and none is installed: on Debian, apt-get install texlive-latex-recommended"
        )
        pytest.fail(lacking) if os.environ.get("CI") else pytest.skip(lacking)
    return str(found)


def compiled(latex: str, folder: Path, *tables: str) -> str:
    """The log of LaTeX, which stops at the first error."""
    head = r"\documentclass{article}\usepackage{booktabs,graphicx}\begin{document}"
    (folder / "paper.tex").write_text("\n".join([head, *tables, r"\end{document}"]), encoding="utf-8")
    command = [latex, "-halt-on-error", "-interaction=nonstopmode", "-no-shell-escape", "paper.tex"]
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, errors="replace", timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout[-2000:]
    return done.stdout


def test_latex_compiles(board: Board, latex: str, tmp_path: Path) -> None:
    (section,) = board.sections
    compiled(latex, tmp_path, *(export(board, name, "latex").decode() for name in views(section)))
    assert (tmp_path / "paper.pdf").stat().st_size > 10_000


def test_hostile_names_are_printed_and_not_obeyed(latex: str, tmp_path: Path) -> None:
    card = MetricCard(name=HOSTILE, family="fidelity", direction="max", definition=HOSTILE, unit=HOSTILE)
    records = [
        record(
            f"{HOSTILE}{g}", d, 0, {HOSTILE: g + 0.5}, cards={HOSTILE: card}, access=HOSTILE, protocol={"note": HOSTILE}
        )
        for g in range(2)
        for d in ("a", HOSTILE)
    ]
    hostile = summarise([r.model_copy(update={"protocol": HOSTILE}) for r in records], draws=20)
    log = compiled(latex, tmp_path, *(export(hostile, name, "latex").decode() for name in views(hostile.sections[0])))
    assert "/etc/passwd" not in log


@pytest.fixture
def store(tmp_path: Path) -> Path:
    for made in plausible(seeds=1):
        Store(tmp_path / "runs").put(made.model_copy(update={"id": cell_id(made.identity)}))
    return tmp_path / "runs"


def test_the_command_prints_or_writes(store: Path) -> None:
    printed = forked(store.parent, "export", "--store", "runs", "--format", "json", "--view", "privacy")
    assert printed.returncode == 0, printed.stderr
    assert {row["family"] for row in json.loads(printed.stdout)} == {"privacy"}
    written = forked(store.parent, "export", "--store", "runs", "--format", "parquet", "--out", "table.parquet")
    assert written.returncode == 0, written.stderr
    assert len(pd.read_parquet(store.parent / "table.parquet"))


WRONG = {
    "no such table": (["--view", "fidelty"], "there is no table 'fidelty', only scores, fidelity"),
    "no such protocol": (["--protocol", "x"], "there is no protocol 'x' among these records, only standard"),
    "parquet to the terminal": (["--format", "parquet"], "parquet is no text: name a file with --out"),
    "no such folder": (["--records", "nowhere"], "there is no folder nowhere"),
    "nowhere to write": (["--out", "no/where.md"], "cannot write to no/where.md"),
}


@pytest.mark.parametrize("kind", WRONG)
def test_wrong_input_is_one_line(store: Path, kind: str) -> None:
    options, said = WRONG[kind]
    done = forked(store.parent, "export", "--store", "runs", *options)
    assert done.returncode == 2
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert done.stdout == ""


def test_no_such_table_in_any_protocol(board: Board) -> None:
    with pytest.raises(UserError, match="there is no table 'x', only scores, "):
        export(board, "x", "csv")
