"""Boards of folders: the same as those of the records in them, however they are read; and the evidence behind it."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from board_records import card, record
from many_records import write_records
from synthward.leaderboard import bootstrap, gather
from synthward.leaderboard.aggregate import summarise, summarise_folders
from synthward.leaderboard.board import FamilyScores, Section
from synthward.results.errors import UserError
from synthward.results.reading import read_records
from synthward.results.record import Record, Status, cell_id, seal
from synthward.results.verified import Mark, write_marks

DRAWS = 50


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("many")
    assert write_records(made, generators=11, datasets=5, seeds=2) == 110
    return made


def only(board) -> Section:
    (section,) = board.sections
    return section


def test_a_folder_gives_the_board_of_its_records(folder):
    records = list(read_records(folder, pytest.fail))
    assert len(records) == 110
    board, same = summarise_folders([folder], pytest.fail, draws=DRAWS), summarise(records, draws=DRAWS)
    assert board == same
    (evidence,), (other,) = board.evidence, same.evidence
    for metric, values in evidence.values.items():
        np.testing.assert_array_equal(values, other.values[metric])
    assert {s.column.card.name for s in only(board).families} == {"fidelity", "utility", "privacy", "cost"}
    assert only(board).of_kind("incomplete")
    assert only(board).holes


def test_workers_read_what_one_process_reads(folder, monkeypatch):
    alone = summarise_folders([folder], draws=DRAWS)
    monkeypatch.setattr(gather, "MANY", 1)
    monkeypatch.setattr(gather, "BLOCK", 7)
    assert summarise_folders([folder], draws=DRAWS) == alone


def test_workers_read_the_folder_that_is_meant_wherever_they_were_started(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(gather, "MANY", 1)
    for name in ("first", "second"):
        shutil.copytree(folder / "dataset_000", tmp_path / name / "records" / "dataset_000")
        for cards in folder.glob("cards-*.json"):
            shutil.copy(cards, tmp_path / name / "records")
        monkeypatch.chdir(tmp_path / name)
        board = summarise_folders([Path("records")], pytest.fail, draws=DRAWS)
        assert board.records == 22
        shutil.rmtree("records")


def test_of_two_folders_the_later_stands(folder, tmp_path):
    write_records(tmp_path / "again", generators=11, datasets=1, seeds=1)
    twice = summarise_folders([folder, tmp_path / "again"], draws=DRAWS)
    assert twice.records == 110
    origins = {r.source.parent.parent for own in twice.evidence[0].repeats.values() for r in own}
    assert origins == {folder, tmp_path / "again"}
    by_id = {r.id: r for at in (folder, tmp_path / "again") for r in read_records(at)}
    assert twice == summarise(by_id.values(), draws=DRAWS) != summarise_folders([folder], draws=DRAWS)


@pytest.mark.parametrize("many", [1, 1000])
def test_damaged_files_are_told_and_the_others_shown(tmp_path, monkeypatch, many):
    monkeypatch.setattr(gather, "MANY", many)
    write_records(tmp_path, generators=5, datasets=1, seeds=2)
    first, second, *_ = sorted((tmp_path / "dataset_000").iterdir())
    first.write_text(first.read_text().replace("0.4", "0.5", 1))
    second.write_text("{}")
    (tmp_path / "dataset_000" / "folder.json").mkdir()
    told = []
    board = summarise_folders([tmp_path], told.append, draws=DRAWS)
    assert board.records == 8
    assert [str(error).partition(" ")[0] for error in told] == [str(first), str(second)]


def test_records_that_cannot_be_shown_are_left_out(tmp_path):
    made = record("g", "d", 0)
    identity = {**made.identity, "protocol": {"name": "mine"}}
    odd = made.model_copy(update={"identity": identity, "id": cell_id(identity)})
    good = made.model_copy(update={"id": cell_id(made.identity)})
    (tmp_path / "odd.json").write_text(odd.to_json())
    with pytest.raises(UserError, match=r"of 1 record none can be shown; .* names no protocol"):
        summarise_folders([tmp_path])
    (tmp_path / "good.json").write_text(good.to_json())
    board = summarise_folders([tmp_path])
    assert (board.records, len(board.left_out)) == (1, 1)
    with pytest.raises(UserError, match="run a sweep first"):
        summarise_folders([tmp_path / "nothing"])


def test_numbers_of_any_size_break_no_board(tmp_path):
    made = record("g", "d", 10**30)
    made = made.model_copy(update={"id": cell_id(made.identity)})
    text = made.to_json().replace(
        '"phase": "done"',
        f'"phase": "done",\n "artifact": {{"path": "p", "sha256": "", "rows": {10**400}, "columns": 1}}',
    )
    body = text.rpartition(',\n "digest": ')[0]
    (tmp_path / "r.json").write_text(f'{body},\n "digest": "{seal(body)}"\n}}\n')
    (repeat,) = summarise_folders([tmp_path], pytest.fail).evidence[0].repeats["g", "d"]
    assert repeat.seed == 10**30


# --- the evidence behind a board -----------------------------------------------------------------


def grid() -> list[Record]:
    cards = {"m": card("m")}
    records = [
        record(g, d, s, {"m": v}, cards=cards) for g, v in (("g", 0.5), ("h", 0.4)) for d in "ab" for s in (1, 0)
    ]
    return [
        *records,
        record("h", "c", 0, status=Status.ERROR, message="no"),
        record("g", "c", 0, {"m": 0.6}, cards=cards),
    ]


def test_the_evidence_has_every_record_in_order_of_its_seeds():
    given = grid()
    (evidence,) = summarise(given).evidence
    assert set(evidence.repeats) == {(g, d) for g in "gh" for d in "abc"}
    assert [r.seed for r in evidence.repeats["g", "a"]] == [0, 1]
    (failed,) = evidence.repeats["h", "c"]
    assert (failed.status, failed.phase, failed.message, failed.rows) == ("error", "fit", "no", 0)
    assert failed.source is given[8]
    assert failed.split_seed == "0"


def test_the_evidence_has_the_values_behind_the_means():
    board = summarise(grid())
    (evidence,) = board.evidence
    assert evidence.generators == ("g", "h")
    assert evidence.keys == (("a", "0", 0), ("a", "0", 1), ("b", "0", 0), ("b", "0", 1), ("c", "0", 0))
    np.testing.assert_array_equal(evidence.values["m"], [[0.5, 0.5, 0.5, 0.5, 0.6], [0.4, 0.4, 0.4, 0.4, np.nan]])
    assert board == replace(board, evidence=())
    assert "keys=" not in repr(board)


SHARE = {"lower": 0.0, "upper": 1.0}


def family() -> FamilyScores:
    """Two competitors on three datasets of two seeds; one lacks a cell of one, and all of another."""
    cards = {"m": card("m", **SHARE)}
    records = [
        record(g, d, s, {"m": v}, cards=cards, reference=g in ("real", "uniform"))
        for g, v in (("real", 1.0), ("uniform", 0.0), ("g", 0.5), ("odd", 0.8))
        for d in "abc"
        for s in (0, 1)
        if not (g == "odd" and (d == "c" or (d, s) == ("b", 1)))
    ]
    failed = [("b", 1), ("c", 0), ("c", 1)]
    records += [record("odd", d, s, status=Status.TIMEOUT, message="slow") for d, s in failed]
    (found,) = only(summarise(records, draws=DRAWS)).families
    return found


def test_a_family_says_on_how_many_cells_it_rests():
    covered = family().covered
    assert covered["g"] == {"a": (2, 2), "b": (2, 2), "c": (2, 2)}
    assert covered["odd"] == {"a": (2, 2), "b": (1, 2), "c": (0, 2)}


def test_what_is_missing_counts_as_the_floor_in_the_imputed_score_alone():
    found = family()
    assert set(found.imputed) == {"g", "odd"}
    odd, whole = found.imputed["odd"], found.imputed["g"]
    assert found.scores["odd"].mean == pytest.approx(0.8)
    assert odd.score.mean == pytest.approx((0.8 + 0.4 + 0.0) / 3)
    assert odd.rate == pytest.approx(3 / 6)
    assert odd.score.low <= odd.score.mean <= odd.score.high
    assert (odd.score.k, odd.score.n, odd.score.mark) == (6, 6, "")
    assert whole.rate == 0
    assert whole.score.mean == found.scores["g"].mean
    assert set(found.standings) <= {"g"}


def test_the_cost_has_no_floor_to_impute():
    cards = {m: card(m, "min", family="cost", ideal=0.0, unit="s") for m in ("fit_seconds", "sample_seconds")}
    given = [record("g", "a", 0, {"fit_seconds": 1.0, "sample_seconds": 1.0}, cards=cards)]
    (cost,) = only(summarise(given)).families
    assert cost.imputed == {}
    assert cost.covered == {"g": {"a": (1, 1)}}


# --- the bootstrap -------------------------------------------------------------------------------


def test_means_by_weights_are_the_means_over_the_drawn_datasets():
    dataset = np.array([2, 0, 0, 1, 2, 2, 2])
    values = np.random.default_rng(0).normal(size=(3, 7))
    draws = bootstrap.Draws(dataset, 300, 1)
    np.testing.assert_allclose(draws.means(values), draws.by_dataset(values).mean(axis=2), atol=1e-12)
    np.testing.assert_array_equal(draws.means(values), bootstrap.Draws(dataset, 300, 1).means(values))
    np.testing.assert_allclose(draws.means(np.ones((1, 7))), 1)


@pytest.mark.parametrize("draws", [1, 2, 40, 41, 300, 2000])
def test_bounds_of_intervals_are_numpys_quantiles(draws):
    means = np.random.default_rng(0).normal(size=(3, draws))
    np.testing.assert_allclose(bootstrap.interval(means), np.quantile(means, [0.025, 0.975], axis=1), rtol=1e-12)


def test_of_two_records_of_a_cell_in_one_folder_the_first_stands_and_the_other_is_named(folder, tmp_path):
    first = sorted((folder / "dataset_000").glob("copy-0-*.json"))[0]
    for name in folder.glob("cards-*.json"):
        (tmp_path / name.name).write_bytes(name.read_bytes())
    (tmp_path / "a.json").write_bytes(first.read_bytes())
    (tmp_path / "b.json").write_bytes(first.read_bytes())
    told = []
    assert summarise_folders([tmp_path], told.append, draws=DRAWS).records == 1
    assert [str(e) for e in told] == [
        f"{tmp_path / 'b.json'} is of the same cell as {tmp_path / 'a.json'}: remove one of the two"
    ]
    # In another folder it stands for the first, as a run of one's own does.
    assert summarise_folders([folder, tmp_path], told.append, draws=DRAWS).records == 110
    assert len(told) == 2


def test_a_row_counts_the_tables_that_were_recomputed_as_they_are_now(folder, tmp_path):
    records = [r for r in read_records(folder, pytest.fail) if r.generator.name == "copy"]
    marks = {r.id: Mark(record=r.digest, metrics="0" * 64) for r in records[:4]}
    marks[records[0].id] = Mark(record="1" * 64, metrics="0" * 64)
    shutil.copytree(folder, tmp_path / "marked")
    write_marks(tmp_path / "marked", marks)
    board = summarise_folders([tmp_path / "marked"], pytest.fail, draws=DRAWS)
    assert {row.label: row.verified for row in only(board).rows if row.verified} == {"copy": 3}
    assert not any(row.verified for row in only(summarise_folders([folder], pytest.fail, draws=DRAWS)).rows)
