"""The page of a cell: its command runs it again, its values are those of its records, odd accounts break nothing."""

from __future__ import annotations

import shlex

import pytest
from board_records import SMALL, card, pages, record
from command import records, swept
from synthward.leaderboard.aggregate import summarise
from synthward.leaderboard.cells import MOST_REPEATS, cell, command, sources
from synthward.results.record import Attachment, Status


def facts(given, generator="g", dataset="a"):
    board = summarise(given, draws=50)
    return cell(sources(board.sections[0], board.evidence[0], "x")[generator, dataset])


def test_the_command_of_a_cell_runs_it_again(tmp_path):
    settings = (
        "dataset=icu",
        "generator=gaussian_copula",
        "generator.default_distribution=norm",
        "protocol.max_rows=90",
    )
    swept(tmp_path, *settings, "protocol.max_rows=90", "seed=3", "metrics=none")
    (made,) = records(tmp_path)
    words = shlex.split(command(made.content()))
    assert words[:2] == ["synthward", "sweep"]
    swept(tmp_path, *words[2:], "metrics=none", "store=again")
    (again,) = records(tmp_path, "again")
    assert (again.id, again.artifact.sha256) == (made.id, made.artifact.sha256)


def test_a_generator_of_one_s_own_is_called_by_its_class():
    made = record("Bootstrap", "a", 0, {"m": 0.5}, target="my_generators.Bootstrap")
    assert "generator=my_generators.Bootstrap" in shlex.split(command(made.content()))


def test_what_a_language_model_wrote_is_taken_from_the_published_transcript():
    told = {"llm": {"model": SMALL, "calls": 7, "rejects": {"bounds": 2}, "cost_usd": 0.0}}
    attached = (Attachment(path="transcript.jsonl.gz", sha256="0" * 64, size=1),)
    made = record("g", "a", 0, {"m": 0.5}, details=told, params={"llm": SMALL, "k": 8})
    words = shlex.split(command(made.model_copy(update={"attachments": attached}).content()))
    assert words[-3:] == ["llm=replay", "llm.transcript=results/records", f"llm.model={SMALL['model']}"]
    assert "generator.k=8" in words
    assert not any("llm=" in word for word in shlex.split(command(made.content())))
    assert facts([made], f"g · {SMALL['model']}").usage["calls"] == "7"


def test_values_stand_beside_their_seeds_and_of_many_the_least_and_the_largest():
    few = facts([record("g", "a", seed, {"m": 0.1 * seed}) for seed in range(3)])
    ((column, mean, values),) = few.rows
    assert (column.card.name, few.heads) == ("m", ("seed 0, split 0", "seed 1, split 0", "seed 2, split 0"))
    assert (mean, values) == (pytest.approx(0.1), (0.0, 0.1, 0.2))
    many = facts([record("g", "a", seed, {"m": 0.1 * seed}) for seed in range(MOST_REPEATS + 1)])
    assert (many.heads, many.rows[0][2]) == (("least", "largest"), (0.0, 0.1 * MOST_REPEATS))


def test_the_page_goes_into_the_first_repeat_with_a_table_and_lists_all():
    given = [record("g", "a", 0, status=Status.TIMEOUT, message="too slow"), record("g", "a", 1, {"m": 0.5})]
    assert facts(given).seed == 1
    html = pages(summarise(given, draws=50))["cells/a/g.html"]
    for said in ("too slow", "timeout in fit", given[0].id, given[1].id):
        assert said in html


@pytest.mark.parametrize(
    "odd", [{"llm": "text"}, {"llm": {"model": "x"}}, {"llm": {"model": {"model": 7}}}, {"llm": []}]
)
def test_odd_accounts_and_provenance_break_no_page(odd):
    provenance = {"git": "none", "packages": [1], "config": {"a": 1}, "cpu": 3}
    given = [record("g", "a", 0, {"m": 0.5}, details=odd, provenance=provenance, cards={"m": card("m")})]
    assert "cells/a/g.html" in pages(summarise(given, draws=50))
