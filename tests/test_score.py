"""`synthward score`: a table that somebody already has, without a sweep or a config."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
import yaml
from command import forked
from metric_tables import WARD, evaluation, ward
from synthward.metrics import get

TABLES = ("--real", "real.csv", "--control", "control.csv", "--synthetic", "synthetic.csv")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three tables, and the card that describes them."""
    folder = tmp_path_factory.mktemp("score")
    for number, name in enumerate(("real", "control", "synthetic", "other"), start=1):
        ward(120, number).to_csv(folder / f"{name}.csv", index=False)
    card = {k: v for k, v in WARD.model_dump(mode="json").items() if k != "columns"}
    columns = {c.pop("name"): c for c in WARD.model_dump(mode="json")["columns"]}
    (folder / "card.yaml").write_text(yaml.safe_dump({"name": "ward", **card, "columns": columns}))
    return folder


def scored(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    done = forked(folder, "score", *options)
    assert done.returncode == 0, done.stderr
    return done


def values(folder: Path, *options: str) -> dict[tuple[str, str], dict]:
    card = json.loads(scored(folder, *options, "--json", "-").stdout)
    return {(m["metric"], m["variant"]): m for m in card["measurements"]}


def test_values_are_those_of_the_metrics(folder: Path) -> None:
    """With a card; control serves as test where there is no other, and stays the control where there is."""
    found = values(folder, *TABLES, "--card", "card.yaml", "--metrics", "fidelity,privacy")
    plain = evaluation(ward(120, 3), train=ward(120, 1), control=ward(120, 2), test=ward(120, 2))
    other = values(
        folder, *TABLES, "--card", "card.yaml", "--metrics", "column_shapes,dcr_share", "--test", "other.csv"
    )
    for name in ("column_shapes", "correlation_similarity", "dcr_share", "near_duplicates"):
        for measurement in get(name).measure(plain):
            assert found[name, measurement.variant]["value"] == pytest.approx(measurement.value, abs=1e-12)
    tested = evaluation(ward(120, 3), train=ward(120, 1), control=ward(120, 2), test=ward(120, 4))
    assert other["column_shapes", ""]["value"] == pytest.approx(
        get("column_shapes").measure(tested)[0].value, abs=1e-12
    )
    assert other["dcr_share", ""]["value"] == found["dcr_share", ""]["value"]


def test_inferred_columns_are_shown_and_a_copy_is_found(folder: Path) -> None:
    said = scored(folder, "--real", "real.csv", "--synthetic", "real.csv", "--target", "died").stdout
    assert "died (target)" in said
    assert "synthward describe real.csv" in said
    shown = " ".join(said.split())
    assert "tstr auroc (mean)" in shown
    assert "tstr auroc (xgboost)" not in shown
    assert "duplicates (train)" in shown
    assert "duplicates (within)" in shown
    found = values(folder, "--real", "real.csv", "--synthetic", "real.csv", "--target", "died")
    assert found["duplicates", "train"]["value"] == 1
    assert found["tstr_auroc", "mean"]["value"] is not None
    assert found["dcr_share", ""]["value"] is None
    assert found["dcr_share", ""]["reason"]
    assert ("fit_seconds", "") not in found
    assert "Without --control" in " ".join(said.split())


def test_what_cannot_be_read_off_the_rows_is_left_out_and_named(folder: Path) -> None:
    for name in ("real", "synthetic"):
        table = pd.read_csv(folder / f"{name}.csv")
        table.assign(patient_id=range(len(table)), site="north").to_csv(folder / f"{name}_more.csv", index=False)
    more = ("--real", "real_more.csv", "--synthetic", "synthetic_more.csv", "--metrics", "column_shapes")
    said = " ".join(scored(folder, *more).stdout.split())
    assert "patient_id is an identifier" in said
    assert "site is constant" in said
    assert values(folder, *more)["column_shapes", ""]["n"] == len(WARD.names)


HOSTILE = "<script>alert(1)</script>"


def test_page_shows_every_value_and_is_harmless(folder: Path) -> None:
    for name in ("real", "synthetic"):
        table = pd.read_csv(folder / f"{name}.csv").rename(columns={"lactate": HOSTILE})
        table.to_csv(folder / f"{name}_hostile.csv", index=False)
    tables = ("--real", "real_hostile.csv", "--synthetic", "synthetic_hostile.csv")
    scored(folder, *tables, "--metrics", "fidelity", "--html", "card.html")
    page = (folder / "card.html").read_text()
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    for measurement in values(folder, *tables, "--metrics", "fidelity").values():
        assert f"{measurement['value']:.3f}" in page


def wrong_tables(folder: Path) -> Iterator[str]:
    table = pd.read_csv(folder / "synthetic.csv")
    table.drop(columns="age").to_csv(folder / "lacking.csv", index=False)
    table.assign(age="old").to_csv(folder / "text.csv", index=False)
    table.to_csv(folder / "semicolon.csv", index=False, sep=";")
    (folder / "empty.csv").write_text("")
    (folder / "broken.yaml").write_text("columns: [")
    yield "lacking.csv"


WRONG = {
    "no file": (("--synthetic", "nowhere.csv"), "--synthetic: no file or folder nowhere.csv"),
    "a column is missing": (("--synthetic", "lacking.csv"), "--synthetic lacking.csv: the table lacks age"),
    "text among numbers": (("--synthetic", "text.csv"), "column 'age' is integer but holds values that are no numbers"),
    "another separator": (("--synthetic", "semicolon.csv"), "--sep=';'"),
    "an empty file": (("--synthetic", "empty.csv"), "is empty"),
    "no such target": (("--target", "dead"), "'dead' is not a column"),
    "no such metric": (("--metrics", "column_shape"), "there is no metric 'column_shape': did you mean column_shapes"),
    "an empty suite": (("--metrics", "none"), "there is no metric in none"),
    "no such card": (("--card", "nowhere.yaml"), "cannot read the card nowhere.yaml"),
    "a broken card": (("--card", "broken.yaml"), "is no valid YAML"),
    "no seed": (("--seed", "-1"), "is no whole number of 0 or more"),
    "nowhere to write": (("--html", "nowhere/card.html"), "cannot write to nowhere/card.html"),
    "a folder to write to": (("--json", "."), "cannot write to ."),
    "a result over a table": (("--json", "./real.csv"), "real.csv would be overwritten"),
    "a result over a result": (("--json", "card", "--html", "card"), "card would be overwritten"),
}


@pytest.mark.parametrize("kind", WRONG)
def test_wrong_input_is_one_line(folder: Path, kind: str) -> None:
    list(wrong_tables(folder))
    options, message = WRONG[kind]
    done = forked(folder, "score", *TABLES, *options)
    assert done.returncode == 2
    assert message in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (folder / "card").exists()
