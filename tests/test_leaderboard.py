"""Aggregation by hand-computed cases, and pages that no record can turn against their reader."""

from __future__ import annotations

import io
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from board_records import CARDS, LARGE, MEMORISATION, SMALL, card, memory, pages, plausible, record, share, whole
from rich.console import Console
from synthward.leaderboard import bootstrap, markdown, measurements
from synthward.leaderboard.aggregate import summarise
from synthward.leaderboard.build import build
from synthward.leaderboard.cited import CitedTable, load_cited
from synthward.leaderboard.frame import collect
from synthward.leaderboard.naming import generator_key, generator_labels, language_models
from synthward.leaderboard.terminal import terminal_summary
from synthward.leaderboard.text import embedded, number
from synthward.leaderboard.writing import MANY
from synthward.results.errors import UserError
from synthward.results.record import Measurement, MetricCard, Status

if TYPE_CHECKING:
    from synthward.leaderboard.board import Board, Contamination, Row, Section
    from synthward.results.record import Record

SEEDS = range(3)


def grid(values: dict[str, dict[str, list[float]]], metric: str = "m", **more: Any) -> list[Record]:
    """Records of one metric: generator -> dataset -> one value per seed."""
    return [
        record(generator, dataset, seed, {metric: value}, **more)
        for generator, datasets in values.items()
        for dataset, seeds in datasets.items()
        for seed, value in enumerate(seeds)
    ]


def only(board: Board) -> Section:
    (section,) = board.sections
    return section


def row(board: Board, label: str) -> Row:
    (found,) = [r for r in only(board).rows if r.label == label]
    return found


def marks(board: Board, metric: str = "m") -> dict[str, str]:
    return {r.label: r.scores[metric].mark for r in only(board).rows}


# --- means, coverage, completeness -------------------------------------------------------------


def test_seeds_are_averaged_before_datasets_so_that_every_dataset_weighs_the_same() -> None:
    score = row(summarise(grid({"g": {"a": [0.0, 0.0, 0.3], "b": [0.9]}})), "g").scores["m"]
    assert score.mean == pytest.approx((0.1 + 0.9) / 2)
    assert (score.k, score.n) == (4, 4)


def test_a_competitor_that_lacks_a_cell_stands_apart_with_its_coverage() -> None:
    records = grid({"g": {"a": [0.5, 0.5], "b": [0.6, 0.6]}, "h": {"a": [0.4, 0.4], "b": [0.5, 0.5]}})
    records += [*grid({"lucky": {"a": [0.99, 0.99]}}), record("lucky", "b", 0, status=Status.OOM, message="9 GB")]
    board = summarise(records)
    lucky = row(board, "lucky")
    assert (lucky.kind, lucky.k, lucky.n) == ("incomplete", 2, 4)
    assert lucky.scores["m"].mean == pytest.approx(0.99)
    assert marks(board) == {"g": "best", "h": "", "lucky": ""}
    assert [r.label for r in only(board).rows] == ["g", "h", "lucky"]


def test_a_dataset_that_few_were_tried_on_makes_nobody_incomplete() -> None:
    records = grid({g: {"a": [0.5], "b": [0.6]} for g in ("g", "h", "i")}) + grid({"g": {"extra": [0.1]}})
    board = summarise(records)
    assert {r.kind for r in only(board).rows} == {"complete"}
    assert (only(board).cells, only(board).uncounted) == (2, 1)
    assert row(board, "g").scores["m"].mean == pytest.approx(0.55)
    assert [t.label for t in only(board).datasets] == ["a", "b", "extra"]


def test_the_settings_of_one_generator_vote_as_one() -> None:
    records = grid({g: {"a": [0.5], "b": [0.6]} for g in ("g", "h", "gan")})
    for epochs in range(10):
        records += grid({"gan": {"a": [0.7]}}, params={"epochs": epochs})
    section = only(summarise(records))
    assert section.cells == 2
    assert {r.facts.name for r in section.of_kind("complete")} == {"g", "h", "gan"}
    assert len(section.of_kind("incomplete")) == 10


def test_a_dataset_that_nobody_finished_does_not_count() -> None:
    records = grid({"g": {"a": [0.5], "b": [0.6]}, "h": {"a": [0.4], "b": [0.4]}})
    records += [record(g, "broken", 0, status=Status.ERROR, message="no such file") for g in ("g", "h")]
    section = only(summarise(records))
    assert section.cells == 2
    assert {r.kind for r in section.rows} == {"complete"}
    assert [(f.generator, f.dataset, f.count) for f in section.failures] == [("g", "broken", 1), ("h", "broken", 1)]


def test_a_metric_that_does_not_apply_to_a_dataset_takes_it_from_nobody() -> None:
    lacking = Measurement(metric="m", status=Status.UNSUPPORTED, reason="needs a target: there is none")
    records = grid({"g": {"a": [0.5], "b": [0.7]}, "h": {"a": [0.4], "b": [0.6]}})
    records += [record(g, "no target", 0, {"m": lacking, "always": 1.0}) for g in ("g", "h")]
    board = summarise(records)
    score = row(board, "g").scores["m"]
    assert (score.mean, score.k, score.n) == (pytest.approx(0.6), 2, 2)
    assert row(board, "g").n == 3
    (hole,) = only(board).holes
    assert (hole.generator, hole.metric, hole.status, hole.count) == ("g, h", "m", "unsupported", 2)


def test_who_lacks_a_value_of_a_metric_is_not_compared_on_it_alone() -> None:
    lacking = Measurement(metric="m", status=Status.ERROR, reason="one class")
    records = grid({"g": {"a": [0.5], "b": [0.7]}, "h": {"a": [0.4], "b": [0.6]}})
    records += [record("i", "a", 0, {"m": 0.99}), record("i", "b", 0, {"m": lacking})]
    board = summarise(records)
    assert row(board, "i").kind == "complete"
    assert (row(board, "i").scores["m"].k, row(board, "i").scores["m"].n) == (1, 2)
    assert marks(board) == {"g": "best", "h": "", "i": ""}
    assert only(board).columns[0].compared == 2


def test_partial_tables_count_and_are_said_to_be_partial() -> None:
    board = summarise([record("g", "a", 0, {"m": 0.4}, status=Status.PARTIAL), record("g", "a", 1, {"m": 0.6})])
    assert (row(board, "g").k, row(board, "g").partial) == (2, 1)
    assert row(board, "g").scores["m"].mean == pytest.approx(0.5)


def test_values_that_are_not_finite_are_no_values() -> None:
    infinite = Measurement(metric="m").model_copy(update={"value": float("inf")})
    board = summarise([record("g", "a", 0, {"m": infinite, "n": 1.0})])
    assert "m" not in row(board, "g").scores
    assert only(board).holes[0].metric == "m"


def test_values_out_of_bounds_enter_no_mean_and_are_listed_with_their_generator() -> None:
    cards = {"m": card("m", lower=0.0, upper=1.0)}
    records = grid({"good": {"a": [0.5, 0.6]}, "odd": {"a": [0.5, 7.0]}, "edge": {"a": [1 + 1e-10, 0.0]}}, cards=cards)
    board = summarise(records)
    assert row(board, "odd").scores["m"].mean == 0.5
    assert (row(board, "odd").scores["m"].k, row(board, "odd").scores["m"].mark) == (1, "")
    assert row(board, "edge").scores["m"].k == 2
    assert only(board).datasets[0].means["odd"]["m"] == 0.5
    (hole,) = only(board).holes
    assert (hole.generator, hole.metric, hole.status) == ("odd", "m", "out of range")
    assert "7.0 is above 1.0" in hole.message
    assert "7.0 is above 1.0" in whole(board)


@pytest.mark.parametrize("direction", ["max", "min", "target"])
def test_values_too_large_to_average_break_nothing_and_are_listed(direction: str, tmp_path: Path) -> None:
    cards = {"m": card("m", direction)}
    records = grid({g: {"a": [0.5, 0.6], "b": [0.5, 0.6]} for g in "gh"}, cards=cards)
    records += grid({"huge": {"a": [1e308, -1e308], "b": [1e308, 1e308]}}, cards=cards)
    with np.errstate(all="raise"):
        board = summarise(records)
        build(records, tmp_path)
    assert row(board, "g").scores["m"].mean == pytest.approx(0.55)
    assert marks(board) == {"g": "best", "h": "best", "huge": ""}
    assert row(board, "huge").scores["m"].mean is None
    assert {(h.generator, h.status, h.message) for h in only(board).holes} == {
        ("huge", "out of range", f"{v} is too large to average") for v in ("1e+308", "-1e+308")
    }


def test_the_largest_values_that_are_shown_do_not_fill_the_page(tmp_path: Path) -> None:
    records = grid({"g": {"a": [9e299, 9e299], "b": [9e299, 9e299]}, "h": {"a": [-9e299, 0.1], "b": [0.1, 0.2]}})
    with np.errstate(all="raise"):
        build(records, tmp_path)
    text = (tmp_path / "protocols" / "standard.html").read_text()
    assert "9e+299" in text
    assert "000,000" not in text


# --- intervals and marks ---------------------------------------------------------------------


def test_the_interval_covers_datasets_and_seeds_and_is_reproducible() -> None:
    records = grid({"g": {"a": [0.1, 0.2], "b": [0.5, 0.6], "c": [0.8, 0.9]}})
    score = row(summarise(records), "g").scores["m"]
    assert score.basis == "datasets and seeds"
    assert score.low is not None
    assert score.high is not None
    assert score.mean is not None
    assert 0.1 <= score.low < score.mean < score.high <= 0.9
    assert row(summarise(records), "g").scores["m"] == score
    other = row(summarise(records, seed=1, draws=50), "g").scores["m"]
    assert (other.low, other.high) != (score.low, score.high)


def test_the_bootstrap_has_the_variance_of_resampled_datasets() -> None:
    # One seed per dataset: the bootstrap mean of n values has variance (population variance) / n.
    values = np.array([[0.0, 1.0, 2.0, 5.0]])
    means = bootstrap.Draws(np.arange(4), 40_000, 0).means(values)[0]
    assert means.mean() == pytest.approx(2.0, abs=0.02)
    assert means.var() == pytest.approx(values.var() / 4, rel=0.03)


def test_seeds_are_resampled_within_the_drawn_dataset() -> None:
    # Datasets of equal mean: all variance is that of two seeds at +-1, drawn twice in each of two datasets.
    values = np.array([[-1.0, 1.0, -1.0, 1.0]])
    means = bootstrap.Draws(np.array([0, 0, 1, 1]), 40_000, 0).means(values)[0]
    assert means.var() == pytest.approx(1 / 4, rel=0.03)


def test_one_dataset_gives_an_interval_over_seeds_that_says_so() -> None:
    board = summarise(grid({"g": {"a": [0.1, 0.3, 0.2]}}))
    assert row(board, "g").scores["m"].basis == "seeds only"
    assert "over seeds only" in whole(board)
    assert "say nothing about other tables" in whole(board)


def test_one_value_has_no_interval_and_no_best() -> None:
    board = summarise(grid({"g": {"a": [0.5]}, "h": {"a": [0.9]}}))
    score = row(board, "h").scores["m"]
    assert (score.mean, score.low, score.high, score.basis) == (0.9, None, None, "")
    assert marks(board) == {"g": "", "h": ""}
    assert "there are no intervals" in whole(board)


def test_ties_come_from_the_paired_difference_not_from_overlapping_intervals() -> None:
    easy = np.linspace(0.1, 0.9, 8)
    values = {
        "best": {f"d{i}": [v] for i, v in enumerate(easy)},
        # Always a little worse: the intervals overlap widely, the paired difference never holds zero.
        "worse": {f"d{i}": [v - 0.01] for i, v in enumerate(easy)},
        # Better here, worse there: not to be told apart.
        "mixed": {f"d{i}": [v - 0.005 + (-1) ** i * 0.05] for i, v in enumerate(easy)},
    }
    board = summarise(grid(values))
    best, worse = row(board, "best").scores["m"], row(board, "worse").scores["m"]
    assert best.low is not None
    assert worse.high is not None
    assert worse.high > best.low
    assert marks(board) == {"best": "best", "worse": "", "mixed": "tied"}


def test_equal_means_are_both_best() -> None:
    assert marks(summarise(grid({"g": {"a": [1.0], "b": [0.5]}, "h": {"a": [1.0], "b": [0.5]}}))) == {
        "g": "best",
        "h": "best",
    }


@pytest.mark.parametrize(
    ("direction", "ideal", "best"), [("max", 1.0, "high"), ("min", 0.0, "low"), ("target", 0.5, "middle")]
)
def test_directions_are_honoured(direction: str, ideal: float, best: str) -> None:
    cards = {"m": card("m", direction, ideal=ideal)}
    values = {"low": 0.1, "middle": 0.45, "high": 0.95}
    board = summarise(grid({g: {d: [v] for d in "abc"} for g, v in values.items()}, cards=cards))
    assert marks(board) == {**dict.fromkeys(values, ""), best: "best"}


def test_errors_of_opposite_sign_do_not_cancel_where_a_metric_aims_at_a_value() -> None:
    cards = {"m": card("m", "target", ideal=0.5)}
    board = summarise(grid({"swings": {"a": [0.1], "b": [0.9]}, "near": {"a": [0.45], "b": [0.45]}}, cards=cards))
    assert row(board, "swings").scores["m"].mean == pytest.approx(0.5)
    assert row(board, "swings").scores["m"].distance == pytest.approx(0.4)
    assert marks(board)["near"] == "best"


def test_a_metric_that_is_not_ranked_gets_no_mark() -> None:
    cards = {"m": card("m", ranked=False)}
    board = summarise(grid({"g": {"a": [0.1], "b": [0.1]}, "h": {"a": [0.9], "b": [0.9]}}, cards=cards))
    assert marks(board) == {"g": "", "h": ""}


def test_reference_rows_are_never_marked() -> None:
    records = grid({"g": {"a": [0.5], "b": [0.5]}, "h": {"a": [0.4], "b": [0.4]}})
    records += grid({"copy": {"a": [1.0], "b": [1.0]}}, access="reference")
    records += grid({"noise": {"a": [0.9], "b": [0.9]}}, access="description", reference=True)
    board = summarise(records)
    assert marks(board) == {"g": "best", "h": "", "copy": "", "noise": ""}
    assert {r.label for r in only(board).of_kind("reference")} == {"copy", "noise"}


def test_no_name_makes_a_reference_of_a_competitor() -> None:
    board = summarise(grid({"uniform": {"a": [0.9], "b": [0.9]}, "g": {"a": [0.5], "b": [0.5]}}))
    assert marks(board) == {"uniform": "best", "g": ""}


# --- what makes a row, a column, a section ---------------------------------------------------


def test_two_protocols_are_two_sections() -> None:
    records = grid({"g": {"a": [0.2], "b": [0.2]}}) + grid({"g": {"a": [0.8], "b": [0.8]}}, protocol={"ratio": 10.0})
    board = summarise(records)
    assert [s.protocol["ratio"] for s in board.sections] == [1.0, 10.0]
    assert [s.rows[0].scores["m"].mean for s in board.sections] == pytest.approx([0.2, 0.8])
    assert len({path for path in pages(board) if path.startswith("protocols/standard-")}) == 2


def test_the_seed_of_the_split_makes_repeats_and_no_section() -> None:
    records = [record("g", "a", 5, {"m": v}, protocol={"split_seed": split}) for split, v in enumerate((0.2, 0.4))]
    records += [record("g", "a", 6, {"m": 0.9}, protocol={"split_seed": 1})]
    board = summarise(records)
    score = row(board, "g").scores["m"]
    assert (score.mean, score.k, score.basis) == (pytest.approx(0.5), 3, "seeds only")
    assert only(board).datasets[0].repeats == 3


def test_tables_of_one_name_and_other_content_are_two_datasets() -> None:
    records = grid({"g": {"a": [0.2]}}) + grid({"g": {"a": [0.8]}})
    facts = records[1].dataset.model_copy(update={"fingerprint": "another table"})
    records[1] = records[1].model_copy(update={"id": "x", "dataset": facts})
    assert [t.label for t in only(summarise(records)).datasets] == [
        "a (fingerprint=another)",
        "a (fingerprint=fingerpr)",
    ]


def test_the_name_of_a_protocol_separates_nothing() -> None:
    records = grid({"g": {"a": [0.2]}}, protocol={"name": "mine"}) + grid({"h": {"a": [0.2]}}, protocol={"name": "x"})
    assert len(summarise(records).sections) == 1


def test_settings_of_one_generator_are_rows_named_by_what_differs() -> None:
    common = {"batch": 50}
    records = grid({"gan": {"a": [0.5]}}, params={"epochs": 100, **common})
    records += grid({"gan": {"a": [0.6]}}, params={"epochs": 300, **common})
    records += grid({"copula": {"a": [0.6]}}, params={"anything": 1})
    assert {r.label for r in only(summarise(records)).rows} == {"gan (epochs=100)", "gan (epochs=300)", "copula"}


def test_another_version_of_a_generator_is_another_row() -> None:
    records = grid({"g": {"a": [0.5]}}, version="1") + grid({"g": {"a": [0.7]}}, version="2")
    assert {r.label for r in only(summarise(records)).rows} == {"g (version=1)", "g (version=2)"}


def test_facts_that_print_alike_stay_apart() -> None:
    records = [record("g", "a", 0, {"m": v}, target=t) for v, t in ((0.1, "here.G"), (0.9, "there.G"))]
    rows = only(summarise(records)).rows
    assert len({r.label for r in rows}) == 2
    assert sorted(r.scores["m"].mean or 0 for r in rows) == [0.1, 0.9]


def test_a_repeated_cell_counts_once_and_the_later_record_stands() -> None:
    board = summarise([record("g", "a", 0, {"m": 0.1}), record("g", "a", 0, {"m": 0.9})])
    assert board.records == 1
    assert row(board, "g").scores["m"].mean == 0.9


def test_values_of_an_older_version_of_a_metric_are_not_mixed_in() -> None:
    old, new = (Measurement(metric="m", version=v, value=x) for v, x in ((1, 0.1), (2, 0.9)))
    cards = [{"m": card("m", version=v)} for v in (1, 2)]
    board = summarise(
        [record("g", "a", 0, {"m": new}, cards=cards[1]), record("g", "b", 0, {"m": old}, cards=cards[0])]
    )
    assert row(board, "g").scores["m"].mean == 0.9
    assert only(board).columns[0].card.version == 2
    assert only(board).holes[0].status == "outdated"


@pytest.mark.parametrize("foreign_first", [True, False])
@pytest.mark.parametrize(
    "foreign",
    [
        card("m", "min", lower=0.0, upper=1.0),
        card("m", "max", lower=0.0, upper=1.0, version=9),
        card("m", "max", lower=5.0, upper=6.0),
        card("m", "max", lower=0.0, upper=1.0, family="cost", ranked=False),
    ],
    ids=["direction", "version", "bounds", "family"],
)
def test_one_foreign_card_changes_nothing_for_the_others(foreign: MetricCard, foreign_first: bool) -> None:
    ours = card("m", lower=0.0, upper=1.0)
    records = grid({"g": {"a": [0.9], "b": [0.9]}, "h": {"a": [0.2], "b": [0.2]}}, cards={"m": ours})
    value = Measurement(metric="m", version=foreign.version, value=0.1)
    odd = record("odd", "a", 0, {"m": value}, cards={"m": foreign})
    board = summarise([odd, *records] if foreign_first else [*records, odd])
    assert [c.card for c in only(board).columns] == [ours]
    assert marks(board) == {"g": "best", "h": "", "odd": ""}
    assert row(board, "odd").scores["m"].mean is None
    (hole,) = only(board).holes
    assert (hole.generator, hole.status) == ("odd", "outdated")


def test_as_many_cards_of_one_version_as_of_another_show_one_in_any_order() -> None:
    records = [record(g, "a", 0, {"m": v}, cards={"m": card("m", definition=g)}) for g, v in (("x", 0.1), ("y", 0.9))]
    assert {only(summarise(order)).columns[0].card.definition for order in (records, records[::-1])} == {"y"}


def test_a_value_of_another_version_than_its_own_card_is_outdated() -> None:
    odd = record("odd", "a", 0, {"m": Measurement(metric="m", version=2, value=1.0)}, cards={"m": card("m")})
    board = summarise([odd, *grid({"g": {"a": [0.5]}})])
    assert row(board, "odd").scores["m"].mean is None
    assert only(board).holes[0].status == "outdated"


def several(*values: tuple[str, float | None]) -> list[Measurement]:
    return [Measurement(metric="m", variant=v, value=x, reason="" if x else "none") for v, x in values]


@pytest.mark.parametrize("step", [1, -1])
def test_the_headline_is_the_first_variant_even_where_the_first_record_lacks_it(step: int) -> None:
    records = [record("g", d, 0, {"m": several(("rate", None), ("correlation", 0.3))}) for d in "ab"]
    records += [record("g", "c", 0, {"m": several(("rate", 0.8), ("correlation", 0.4))})]
    board = summarise(records[::step])
    assert only(board).columns[0].variant == "rate"
    assert row(board, "g").scores["m"].mean == 0.8


@pytest.mark.parametrize("step", [1, -1])
@pytest.mark.parametrize("odd", ["", "mean", "b"])
def test_one_odd_record_does_not_choose_the_headline(odd: str, step: int) -> None:
    records = [record("g", d, 0, {"m": several(("a", 0.5), ("b", 0.6))}) for d in "xy"]
    records += [record("odd", "x", 0, {"m": several((odd, 0.9), ("a", 0.1))})]
    assert only(summarise(records[::step])).columns[0].variant == "a"


def test_records_with_other_cards_do_not_choose_the_headline() -> None:
    records = [record("g", d, 0, {"m": several(("a", 0.5), ("b", 0.6))}) for d in "xy"]
    for other in "pqr":
        cards = {"m": card("m", definition=other)}
        records += [record(other, "x", 0, {"m": several(("b", 0.5), ("a", 0.6))}, cards=cards)]
    assert only(summarise(records)).columns[0].variant == "a"


@pytest.mark.parametrize(
    ("variants", "shown"), [(["x", "", "mean"], ""), (["x", "mean"], "mean"), (["x", "y"], "x")], ids=str
)
def test_the_headline_is_the_value_without_variant_or_the_mean_or_the_first(variants: list[str], shown: str) -> None:
    several = [Measurement(metric="m", variant=v, value=i) for i, v in enumerate(variants)]
    board = summarise([record("g", "a", 0, {"m": several})])
    assert only(board).columns[0].variant == shown
    assert row(board, "g").scores["m"].mean == variants.index(shown)


def test_a_failed_headline_does_not_hide_the_values_of_other_variants() -> None:
    several = [
        Measurement(metric="m", status=Status.ERROR, reason="x"),
        Measurement(metric="m", variant="tree", value=0.7),
    ]
    assert only(summarise([record("g", "a", 0, {"m": several})])).columns[0].variant == "tree"


def test_columns_keep_every_measurement_and_every_failed_cell() -> None:
    results = collect([record("g", "a", 0, {"m": 0.5, "n": 0.6}), record("h", "a", 0, status=Status.CRASHED)])
    assert [(cell.status, cell.values) for cell in results.cells] == [("ok", 2), ("crashed", 0)]
    assert [results.kinds[kind][0] for kind in results.kind] == ["m", "n"]
    assert results.value.tolist() == [0.5, 0.6]
    assert collect([]).cells == []


# --- failures --------------------------------------------------------------------------------


def test_failures_are_counted_by_what_they_have_in_common() -> None:
    records = [record("g", "a", s, status=Status.ERROR, message="ValueError: no\n\n  way") for s in SEEDS]
    records += [record("g", "a", 9, status=Status.TIMEOUT, message="too slow"), *grid({"h": {"a": [0.5] * 3}})]
    found = [(f.status, f.phase, f.message, f.count) for f in only(summarise(records)).failures]
    assert found == [("error", "fit", "ValueError: no way", 3), ("timeout", "fit", "too slow", 1)]


def test_a_board_where_everything_failed_is_still_a_board(tmp_path: Path) -> None:
    records = [record(g, "a", s, status=Status.ERROR, message=f"{g} broke") for g in "gh" for s in SEEDS]
    build(records, tmp_path)
    text = "".join((tmp_path / name).read_text() for name in ("index.html", "protocols/standard.html"))
    assert "0/3" in text
    assert "g broke" in text
    assert "h broke" in text
    assert "No metric has a value." in (tmp_path / "leaderboard.md").read_text()
    assert "6 cells failed" in printed(summarise(records), 200)


def test_no_record_is_one_line_that_says_to_run_a_sweep(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"run a sweep first, for example `synthward sweep experiment=quick`"):
        build([], tmp_path)
    assert not list(tmp_path.iterdir())


def unfit() -> dict[str, Record]:
    """Records that cannot be shown, by what the board says of them."""
    base = record("odd", "a", 0, {"m": 0.5})
    identity, facts = base.identity, base.generator
    changes: dict[str, dict[str, Any]] = {
        "names no protocol": {"identity": {k: v for k, v in identity.items() if k != "protocol"}},
        "names no protocol ": {"identity": {**identity, "protocol": {}}},
        "names no protocol  ": {"identity": {**identity, "protocol": {"name": "mine", "split_seed": 3}}},
        "names no protocol   ": {"identity": {**identity, "protocol": "standard"}},
        "measures 'm' without its card": {"cards": {}},
        "measures 'm' without its card ": {"cards": {"m": card("n")}},
        "holds a number that is not finite": {"identity": {**identity, "protocol": {"ratio": float("nan")}}},
        "holds a number that is not finite ": {
            "generator": facts.model_copy(update={"params": {"x": float("inf")}}),
        },
        "holds a number that is not finite  ": {
            "cards": {"m": card("m").model_copy(update={"ideal": float("nan")})},
        },
    }
    return {reason: base.model_copy(update={"id": str(i), **c}) for i, (reason, c) in enumerate(changes.items())}


@pytest.mark.parametrize("reason", unfit())
def test_a_record_that_cannot_be_shown_is_left_out_and_said_to_be(reason: str) -> None:
    odd = unfit()[reason]
    board = summarise([odd, *grid({"g": {"a": [0.5]}})])
    assert [r.label for r in only(board).rows] == ["g"]
    assert board.records == 1
    (said,) = board.left_out
    assert f"record {odd.id} {reason.strip()}" in said
    for text in (whole(board), markdown.render(board).replace("\\", ""), printed(board, 500)):
        assert "1 record was left out" in text
        assert reason.strip().partition(" '")[0] in text


def test_of_many_records_left_out_the_first_reasons_are_given() -> None:
    odd = [record("odd", "a", seed, {"m": 0.5}).model_copy(update={"cards": {}}) for seed in range(30)]
    html = whole(summarise([*odd, *grid({"g": {"a": [0.5]}})]))
    assert "30 records were left out" in html
    assert 1 <= html.count("without its card") <= 5


def test_a_record_left_out_does_not_stand_for_the_good_one_of_its_cell() -> None:
    good = record("g", "a", 0, {"m": 0.5})
    board = summarise([good, good.model_copy(update={"cards": {}})])
    assert row(board, "g").scores["m"].mean == 0.5


def test_where_no_record_can_be_shown_one_line_says_why() -> None:
    bare = record("g", "a", 0, {"m": 0.5}).model_copy(update={"cards": {}})
    with pytest.raises(UserError, match=r"of 1 record none can be shown; .* measures 'm' without its card"):
        summarise([bare])


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be written"):
        build([record("g", "a", 0, {"m": 0.5})], tmp_path / "file" / "out")


@pytest.mark.parametrize("folder", ["protocols", "datasets", "cells"])
def test_a_site_that_cannot_be_written_to_its_end_says_nothing_of_pages_under_way(
    folder: str, tmp_path: Path, recwarn: pytest.WarningsRecorder
) -> None:
    (tmp_path / folder).write_text("")
    many = [record(f"g{n}", "a", 0, {"m": 0.5}) for n in range(MANY)]
    with pytest.raises(UserError, match="cannot be written"):
        build(many, tmp_path)
    assert [str(warning.message) for warning in recwarn] == []


def test_pages_of_cells_stand_in_the_folder_that_is_meant_wherever_other_processes_were_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    many = [record(f"g{n}", "a", 0, {"m": 0.5}) for n in range(MANY)]
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        monkeypatch.chdir(tmp_path / name)
        build(many, Path("site"))
    for name in ("first", "second"):
        assert len(list((tmp_path / name / "site" / "cells").rglob("*.html"))) == len(many)


# --- the page, the Markdown, the terminal ----------------------------------------------------


class Elements(HTMLParser):
    """All elements of a page with their attributes, and its text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def printed(board: Board, width: int = 80) -> str:
    console = Console(width=width, file=io.StringIO(), force_terminal=False)
    console.print(terminal_summary(board))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


HOSTILE = """<script>alert(1)</script>"'><img src=x onerror=alert(2)>{{ 7*7 }}|[a](javascript:x)`http://x.y"""


def hostile() -> list[Record]:
    shown = {"definition": HOSTILE, "citation": HOSTILE, "unit": HOSTILE}
    measured = [Measurement(metric=HOSTILE, variant=HOSTILE, value=0.5), Measurement(metric=HOSTILE, reason=HOSTILE)]
    records = [
        record(
            HOSTILE,
            HOSTILE,
            seed,
            {HOSTILE: measured},
            cards={HOSTILE: card(HOSTILE, **shown)},
            access=HOSTILE,
            params={HOSTILE: i},
            version=HOSTILE,
            target=HOSTILE,
            protocol={HOSTILE: HOSTILE},
            title=HOSTILE,
            provenance={"python": HOSTILE, "packages": {HOSTILE: HOSTILE}, "git": {"commit": HOSTILE}},
        ).model_copy(update={"protocol": HOSTILE, "track": HOSTILE})
        for seed in SEEDS
        for i in range(2)
    ]
    failed = record(HOSTILE, HOSTILE, 7, status=Status.ERROR, message=HOSTILE, protocol={HOSTILE: HOSTILE})
    known = share("header", 1, 4, 0.0, status=Status.PARTIAL, reason=HOSTILE)
    unknown = Measurement(metric="memorisation", variant="first_token", reason=HOSTILE)
    told = record(
        HOSTILE,
        f"another {HOSTILE}",
        values={"memorisation": [known, unknown]},
        cards={"memorisation": card("memorisation", **shown)},
        params={"llm": {"endpoint": "embedded", "model": HOSTILE, "digest": HOSTILE}},
        protocol={HOSTILE: HOSTILE},
    )
    return [*records, *(r.model_copy(update={"protocol": HOSTILE, "track": HOSTILE}) for r in (failed, told))]


def test_no_string_of_a_record_becomes_markup() -> None:
    found = pages(summarise(hostile()))
    assert {path.partition("/")[0] for path in found} >= {"protocols", "datasets", "generators", "cells", "index.html"}
    for path, html in found.items():
        assert re.fullmatch(r"[a-z0-9-]+(/[a-z0-9-]+)*\.html", path)
        elements = Elements(html)
        assert not {tag for tag, _ in elements.found} & {"img", "iframe", "object", "embed", "base", "svg"}
        assert not [name for _, attributes in elements.found for name in attributes if name.startswith("on")]
        for tag, attributes in elements.found:
            if tag == "script":
                assert attributes.get("type") == "application/json" or "assets/" in (attributes.get("src") or "")
            if tag == "a":
                assert re.fullmatch(r"#main|[A-Za-z0-9./#_-]*", attributes["href"] or "")
        assert ("<script>alert(1)</script>" in "".join(elements.text)) == (path not in OURS)


def test_metrics_whose_names_give_one_file_name_are_told_apart(tmp_path: Path) -> None:
    names = ("a_b", "a-b", "é", "ü")
    build([record("g", "d", seed, {name: 0.1 * n for n, name in enumerate(names)}) for seed in SEEDS], tmp_path)
    files = [path.read_text() for path in (tmp_path / "data" / "standard").iterdir()]
    assert sorted(re.search(r'"heading":"([^"]+) ', text)[1] for text in files) == sorted(
        ["a b", "a-b", "\\u00e9", "\\u00fc"]
    )
    ids = [a["id"] for _, a in Elements((tmp_path / "metrics.html").read_text()).found if "id" in a]
    assert len(ids) == len(set(ids))


# Pages without a word of the records.
OURS = {"how-to-read.html", "papers.html"}


def test_pages_load_nothing_but_what_the_site_has_and_lead_nowhere_else(tmp_path: Path) -> None:
    index = build(plausible(), tmp_path)
    found = sorted(tmp_path.rglob("*.html"))
    assert len(found) > 100
    ids = {path: {a["id"] for _, a in Elements(path.read_text()).found if "id" in a} for path in found}
    for path in found:
        elements = Elements(path.read_text())
        policy = next(a["content"] for _, a in elements.found if a.get("http-equiv") == "Content-Security-Policy")
        rest = "img-src data:; base-uri 'none'; form-action 'none'"
        assert policy == f"default-src 'none'; style-src 'self'; script-src 'self'; {rest}"
        assert not [a for _, a in elements.found if "style" in a]
        for name in ("src", "href", "srcset", "data", "action"):
            for address in {a[name] for _, a in elements.found if a.get(name)} - {"data:,"}:
                place, _, part = (address or "").partition("#")
                target = (path.parent / place).resolve() if place else path
                assert target.is_relative_to(tmp_path), address
                assert target.is_file(), (path, address)
                assert not part or part in ids[target], (path, address)
    style = next((index.parent / "assets").glob("style-*.css")).read_text()
    assert "url(" not in style
    assert "@import" not in style


def test_every_file_of_a_build_is_listed_and_goes_with_the_next_that_lacks_it(tmp_path: Path) -> None:
    build(grid({"g": {"a": [0.5]}, "h": {"a": [0.6]}}), tmp_path)
    mine = tmp_path / "datasets" / "mine.txt"
    mine.write_text("not of the site")
    listed = set((tmp_path / "files.txt").read_text().split())
    assert listed == {str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*") if p.is_file()} - {"datasets/mine.txt"}
    assert (tmp_path / "generators" / "h.html").is_file()
    (tmp_path / "files.txt").open("a").write("../outside.txt\n")
    outside = tmp_path.parent / "outside.txt"
    outside.write_text("not ours")
    build(grid({"g": {"a": [0.5]}}), tmp_path)
    assert not (tmp_path / "generators" / "h.html").exists()
    assert mine.exists()
    assert outside.exists()


def test_labels_that_give_one_file_name_are_told_apart() -> None:
    found = pages(summarise(grid({"g": {"A b": [0.5], "a-b": [0.5], "../../x": [0.5], "é": [0.5]}})))
    assert len([path for path in found if path.startswith("datasets/")]) == 4
    assert not [path for path in found if ".." in path]


def test_control_and_direction_changing_characters_are_dropped() -> None:
    board = summarise([record("gan\u202e\x1b[31mevil", "a", 0, {"m": 0.5})])
    for text in (whole(board), markdown.render(board), printed(board)):
        assert "\u202e" not in text
        assert "\x1b" not in text


def test_markdown_prints_hostile_text_as_it_is() -> None:
    text = markdown.render(summarise(hostile()))
    assert "<script>" not in text.replace("\\<", "")
    assert "](" not in text.replace("\\]\\(", "")
    assert "http://" not in text
    for part in text.split("\n\n"):
        table = [line for line in part.splitlines() if line.startswith("|")]
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in table}) <= 1


def test_the_page_says_what_it_rests_on() -> None:
    html = whole(summarise(plausible()))
    assert "Mean over columns of the KS or TV complement" in html
    for fact in ("273", "did not finish within 1,800 s", "support2", "2,000 bootstrap", "sdv 2.0.1", "5202363a52"):
        assert fact in html, fact


def test_few_datasets_come_with_a_warning() -> None:
    few = grid({"g": {d: [0.5] for d in "abc"}})
    enough = grid({"g": {d: [0.5] for d in "abcdef"}})
    assert "too narrow" in whole(summarise(few))
    assert "too narrow" not in whole(summarise(enough))


def test_markdown_and_terminal_print_the_same_board() -> None:
    board = summarise(plausible())
    best = row(board, "bayesian_network").scores["column_shapes"]
    value, low = number(best.mean), number(best.low)
    assert f"| **{value}** [{low}, " in markdown.render(board).replace("\\", "")
    family = board.sections[0].families[0].scores["bayesian_network"]
    assert family.mark == "best"
    assert f"{number(family.mean)} best" in printed(board, width=120)
    assert "my_gan (incomplete)" in markdown.render(board).replace("\\", "")
    assert "rows, 15/21" in printed(board)
    assert max(len(line) for line in printed(board).splitlines()) <= 80
    assert "…" not in printed(board)  # no number is cut off, however long the names are


def test_the_same_records_in_any_order_give_the_same_files_and_no_other(tmp_path: Path) -> None:
    first = build(plausible(1), tmp_path / "deep" / "one")
    assert first == tmp_path / "deep" / "one" / "index.html"
    build(plausible(2), tmp_path / "two")
    second = build(reversed(plausible(1)), tmp_path / "two")
    ours, theirs = ({p.relative_to(f.parent): p for f in (f,) for p in f.parent.rglob("*")} for f in (first, second))
    assert ours.keys() == theirs.keys()
    differ = [name for name, path in ours.items() if path.is_file() and path.read_bytes() != theirs[name].read_bytes()]
    assert {str(name) for name in differ} <= {"results.parquet"}  # whose rows are in the order of the records
    values = [pd.read_parquet(f.parent / "results.parquet").astype(object) for f in (first, second)]
    pd.testing.assert_frame_equal(*(v.sort_values(list(v.columns), ignore_index=True) for v in values))


def test_the_file_of_all_values_holds_every_measurement_and_every_record_without_one(tmp_path: Path) -> None:
    records = [
        *grid({"g": {"a": [0.25, 2.0]}}, cards={"m": card("m", upper=1.0)}),
        record("g", "a", 9, status=Status.OOM),
    ]
    found = pd.read_parquet(build(records, tmp_path).parent / "results.parquet").astype(object)
    rows = found.set_index("seed").sort_index()
    assert rows["value"].fillna(-1.0).tolist() == [0.25, -1, -1]
    assert rows["status"].fillna("none").tolist() == ["ok", "out of range", "none"]
    assert rows["cell_status"].tolist() == ["ok", "ok", "oom"]
    assert rows["record"].tolist() == [r.id for r in records]
    assert "2.0 is above 1.0" in rows.loc["1", "reason"]


def test_the_file_of_all_values_holds_sections_of_any_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measurements, "ROWS", 60)
    few = grid({"g": {"a": [0.5]}}, protocol={"ratio": 10.0})
    many = grid({"g": {"a": [n / 200 for n in range(200)]}})
    found = pd.read_parquet(build([*few, *many], tmp_path).parent / "results.parquet")
    values = {r.id: r.measurements[0].value for r in (*few, *many)}
    assert dict(zip(found["record"], found["value"], strict=True)) == values
    assert len(found) == len(values)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        *((None, "–"), (0.91234, "0.912"), (-0.25, "−0.250"), (0.0, "0.000"), (-1e-9, "−1e−09"), (0.00042, "0.0004")),
        *((9.9996, "10.000"), (12.34, "12.3"), (99.96, "100"), (123.4, "123"), (12345.6, "12,346")),
        *((1e9, "1e+09"), (-1e300, "−1e+300")),
    ],
)
def test_numbers(value: float | None, text: str) -> None:
    assert number(value) == text


def test_families_keep_their_order_and_their_metrics() -> None:
    columns = [c.card.name for c in only(summarise(plausible(1))).columns]
    assert columns == list(CARDS)


def test_a_language_model_is_named_and_the_setting_that_differs_too():
    llm = {"model": "small", "temperature": 1.0, "digest": "a" * 64}
    records = [
        record("llm_zero_shot", params={"llm": llm}),
        record("llm_zero_shot", params={"llm": llm | {"temperature": 0.5}}),
        record("llm_few_shot", params={"llm": llm | {"model": "large"}}),
        record("llm_curated", params={"generator": {"llm": llm}}),
    ]
    facts = {generator_key(r.generator): r.generator for r in records}
    models = language_models((key, given, None) for key, given in facts.items())
    assert sorted(generator_labels(facts, models).values()) == [
        "llm_curated · small",
        "llm_few_shot · large",
        "llm_zero_shot · small (llm.temperature=0.5)",
        "llm_zero_shot · small (llm.temperature=1.0)",
    ]


# --- what language models know by heart --------------------------------------------------------

KNOWN = (0, 14, 21, 12)  # hits that reach above the baselines


def asked(
    hits: tuple[int, int, int, int] | None = None,
    dataset: str = "a",
    seed: int = 0,
    generator: str = "llm",
    llm: dict[str, Any] = SMALL,
    **more: Any,
) -> Record:
    """A record of a language model's generator; with the four tests where hits are given."""
    values = {"m": 0.5, **({"memorisation": memory(hits)} if hits else {})}
    cards = {"memorisation": MEMORISATION}
    return record(generator, dataset, seed, values, cards=cards, params={"llm": llm}, **more)


def pair(board: Board, dataset: str = "a", model: str = SMALL["model"]) -> Contamination:
    (found,) = [c for c in only(board).contamination if (c.model, c.dataset) == (model, dataset)]
    return found


def texts(board: Board) -> dict[str, str]:
    """All that is printed, each as its reader sees it, on one line."""
    printouts = {
        "page": "".join(Elements(whole(replace(board, cited=()))).text),
        "papers": "".join(Elements(pages(board)["papers.html"]).text),
        "markdown": markdown.render(board).replace("\\", ""),
        "summary": markdown.render_summary(board).replace("\\", ""),
        "terminal": printed(board),
    }
    return {name: " ".join(text.split()) for name, text in printouts.items()}


def test_the_four_tests_stand_by_model_and_table_against_what_needs_no_memory() -> None:
    board = summarise([asked((1, 0, 11, 5)), asked(generator="ctgan", llm={})])
    assert [(c.model, c.dataset) for c in only(board).contamination] == [(SMALL["model"], "a")]
    tests = pair(board).tests
    assert list(tests) == ["header", "row_completion", "feature_completion", "first_token"]
    assert [t.value for t in tests.values()] == [0.25, 0.0, 0.2, 0.44]
    assert [t.baseline for t in tests.values()] == [0.0, 0.0, 0.2, 0.36]
    assert [t.n for t in tests.values()] == [4, 25, 25, 25]
    # Wilson 1927: one of four.
    assert (tests["header"].low, tests["header"].high) == (
        pytest.approx(0.0456, abs=1e-4),
        pytest.approx(0.6994, abs=1e-4),
    )
    assert tests["feature_completion"].distinct == 0.62
    assert [t.memorised for t in tests.values()] == [True, False, False, False]
    for name in ("page", "markdown"):
        text = texts(board)[name]
        for said in ("row completion", "feature completion", "first token", "[0.046, 0.699]", "baseline 0.360, n 25"):
            assert said in text, (name, said)
        assert "distinct 0.620" in text
        assert "not the publisher's file" in text


def test_a_language_model_s_row_says_how_many_tables_it_knows_by_heart() -> None:
    records = [asked(KNOWN if d == "c" else (0, 0, 9, 5), d, s) for d in "abc" for s in SEEDS]
    records += [asked(None, d, llm=LARGE) for d in "abc"] + [asked((0, 0, 0, 0), "a", generator="few", llm=LARGE)]
    records += grid({"ctgan": {d: [0.6] * 3 for d in "abc"}})
    board = summarise(records)
    found = {r.label: r.memory for r in only(board).rows}
    assert found.pop("ctgan") is None
    assert {label: (m.memorised, m.tested, m.tables) for label, m in found.items() if m} == {
        f"llm · {SMALL['model']}": (1, 3, 3),
        # What one generator of a model was told holds for the other, on the same table.
        f"llm · {LARGE['model']}": (0, 1, 3),
        f"few · {LARGE['model']}": (0, 1, 1),
    }
    said = texts(board)
    assert "memorised: 1 of 3 tables" in said["page"]
    assert "memorised: none of 1 table, 2 not tested" in said["page"]
    for name in ("markdown", "summary"):
        assert "| Memorised |" in said[name]
        assert f"| llm · {SMALL['model']} | all training rows | 9/9 | 1 of 3 tables |" in said[name]
        assert "| ctgan | all training rows | 9/9 | – |" in said[name]
        assert "above" in said[name]
    assert f"Memorised by {SMALL['model']}: 1 of 3 tables (c)." in said["terminal"]
    assert f"Memorised by {LARGE['model']}: none of 1 table, 2 not tested." in said["terminal"]
    assert only(board).datasets[0].memorised == {
        f"llm · {SMALL['model']}": False,
        f"llm · {LARGE['model']}": False,
        f"few · {LARGE['model']}": False,
    }
    assert only(board).datasets[1].memorised[f"llm · {LARGE['model']}"] is None


def test_memorisation_is_no_column_and_boards_without_language_models_do_not_speak_of_it() -> None:
    assert [c.card.name for c in only(summarise([asked(KNOWN)])).columns] == ["m"]
    for name, text in texts(summarise(grid({"g": {"a": [0.5]}}))).items():
        assert "emorised" not in text, name
        assert "by heart" not in text, name


def test_a_row_on_a_table_that_was_not_asked_about_is_not_tested() -> None:
    board = summarise([asked()])
    assert {(t.status, t.reason) for t in pair(board).tests.values()} == {
        ("not tested", "the metric was not asked for")
    }
    for name, text in texts(board).items():
        assert name == "papers" or "not tested" in text, name
    failed = summarise([asked(status=Status.ERROR, message="no"), *grid({"g": {"a": [0.5]}})])
    assert pair(failed).tests["header"].reason == "no cell gave a table"


def test_a_test_without_value_gives_its_status_and_reason() -> None:
    lacking = Measurement(metric="memorisation", variant="first_token", status=Status.UNSUPPORTED, reason="all alike")
    lost = share("header", 0, 3, 0.0, status=Status.PARTIAL, reason="1 of 4 requests had no reply")
    whole = Measurement(metric="memorisation", status=Status.ERROR, reason="ValueError: odd")
    records = [asked(dataset=d) for d in "ab"]
    for i, measured in enumerate(([lost, lacking], [whole])):
        update = {"measurements": tuple(measured), "cards": {"memorisation": MEMORISATION}}
        records[i] = records[i].model_copy(update=update)
    board = summarise(records)
    tests = pair(board, "a").tests
    assert (tests["first_token"].status, tests["first_token"].reason) == ("unsupported", "all alike")
    assert (tests["header"].value, tests["header"].reason) == (0.0, "1 of 4 requests had no reply")
    assert tests["row_completion"].status == "not tested"
    assert pair(board, "a").memorised is False
    assert {(t.status, t.reason) for t in pair(board, "b").tests.values()} == {("error", "ValueError: odd")}
    assert pair(board, "b").memorised is None
    for name in ("page", "markdown"):
        for said in ("unsupported: all alike", "1 of 4 requests had no reply", "error: ValueError: odd"):
            assert said in texts(board)[name], (name, said)


def test_a_table_that_is_not_public_is_not_asked_about() -> None:
    reason = "needs a language model: there is none"
    lacking = Measurement(metric="memorisation", status=Status.UNSUPPORTED, reason=reason)
    local = asked(sharing="local-only").model_copy(
        update={"measurements": (lacking,), "cards": {"memorisation": MEMORISATION}}
    )
    assert "not public" in pair(summarise([local])).tests["header"].reason


@pytest.mark.parametrize("step", [1, -1])
def test_what_most_cells_say_of_a_model_and_a_table_stands(step: int) -> None:
    records = [asked((0, 0, 9, 5), seed=0), asked((0, 0, 9, 5), seed=1), asked(KNOWN, seed=2)][::step]
    tests = pair(summarise(records)).tests
    assert tests["row_completion"].value == 0.0
    assert (tests["row_completion"].dissent, tests["header"].dissent) == (1, 0)
    assert "1 cell otherwise" in whole(summarise(records))


def test_values_by_another_card_say_nothing_of_what_a_model_knows() -> None:
    foreign = asked(KNOWN, seed=5).model_copy(
        update={"cards": {"memorisation": card("memorisation", "max"), "m": card("m")}}
    )
    records = [foreign, *(asked((0, 0, 9, 5), seed=s) for s in SEEDS)]
    tests = pair(summarise(records)).tests
    assert (tests["row_completion"].value, tests["row_completion"].dissent) == (0.0, 0)


def test_a_share_without_an_interval_is_itself_held_against_the_baseline() -> None:
    bare = Measurement(metric="memorisation", variant="header", value=0.9, n=25, breakdown={"baseline": 0.01})
    unread = bare.model_copy(update={"breakdown": {}})
    for measured, memorised in ((bare, True), (unread, None)):
        told = asked().model_copy(update={"measurements": (measured,), "cards": {"memorisation": MEMORISATION}})
        assert pair(summarise([told])).memorised is memorised


def test_models_of_one_name_and_other_files_are_two() -> None:
    other = SMALL | {"digest": "ffff"}
    board = summarise([asked(KNOWN), asked((0, 0, 9, 5), generator="few", llm=other)])
    assert [(c.model, c.memorised) for c in only(board).contamination] == [
        (f"{SMALL['model']} (digest={'b179c952' * 2}b179c95…)", True),
        (f"{SMALL['model']} (digest=ffff)", False),
    ]


def test_the_model_may_be_that_of_a_wrapped_generator_or_named_in_the_details_alone() -> None:
    inside = record("llm_curated", "a", 0, {"m": 0.5}, params={"generator": {"llm": SMALL}})
    trained = record("great", "a", 0, {"m": 0.5}, details={"llm": {"model": SMALL}})
    failed = record("great", "a", 1, status=Status.TIMEOUT, message="slow")
    board = summarise([asked((0, 0, 9, 5)), inside, trained, failed])
    name = SMALL["model"]
    assert {r.label for r in only(board).rows} == {f"{g} · {name}" for g in ("llm", "llm_curated", "great")}
    assert {(r.memory.tested, r.memory.tables) for r in only(board).rows if r.memory} == {(1, 1)}


@pytest.mark.parametrize(
    "odd", [{"llm": "text"}, {"llm": {"model": ["x"]}}, {"llm": {"model": {"model": 7}}}, {"llm": 1}]
)
def test_odd_details_name_no_model(odd: dict[str, Any]) -> None:
    board = summarise([record("g", "a", 0, {"m": 0.5}, details=odd, params=odd)])
    assert row(board, "g").memory is None


def test_a_model_without_a_name_goes_by_its_generator() -> None:
    board = summarise([record("mine", "a", 0, {"memorisation": memory(KNOWN)}, cards={"memorisation": MEMORISATION})])
    assert pair(board, model="mine").memorised is True
    assert row(board, "mine").memory is not None


# --- embedded models, and what papers report -----------------------------------------------------


def test_rows_of_embedded_models_come_with_what_they_are() -> None:
    for name, text in texts(summarise([asked(), asked(llm=LARGE)])).items():
        if name == "papers":
            continue
        assert "smollm2-135m-instruct (135 million parameters)" in text, name
        assert "qwen2.5-coder-1.5b-instruct (1.5 billion parameters)" in text, name
        assert "no verdict on the models of the papers" in text, name
        assert "cited figures say what those reached" in text, name
    for name, text in texts(summarise([asked(llm={"endpoint": "openai", "model": "gpt-7b"})])).items():
        assert "no verdict" not in text, name


@pytest.mark.parametrize(
    ("model", "said"),
    [
        *(("qwen2.5-0.5b.gguf", " (0.5 billion parameters)"), ("Mini-7B", " (7 billion parameters)")),
        *(("gemma3", ""), ("q4b5", ""), ("v1.5", ""), ("30mb", "")),
    ],
)
def test_the_size_of_a_model_is_what_its_name_says(model: str, said: str) -> None:
    text = embedded(only(summarise([asked(llm={"endpoint": "embedded", "model": model})])))
    assert text.startswith(f"{model}{said} is an embedded")


def test_what_papers_report_is_cited_apart_and_in_their_digits() -> None:
    board = summarise(grid({"GPT-4": {"a": [0.5]}}))
    adni = board.cited[0]
    assert (adni.models, adni.source.arxiv) == (("GPT-4", "Copula", "CTGAN", "TVAE"), "2412.05153")
    assert len(adni.figures) == 13
    assert {f.metric: f.values for f in adni.figures}["CorrelationSimilarity"][1] == "0.954 ± 0.011"
    assert {f.metric: f.values for f in adni.figures}["DCR"][2] == "1.079 ± 0.053"
    assert board.cited[1].figures[0].values == ("0.706", "0.705")
    assert [r.label for r in only(board).rows] == ["GPT-4"]
    said = texts(board)
    for name, text in said.items():
        if name in ("terminal", "page"):
            continue
        assert "As published in papers: not recomputed, not ranked, other tables and protocols than ours" in text, name
    for name in ("papers", "markdown"):
        for fact in ("0.954 ± 0.011", "arXiv 2412.05153", "Margaux Tornqvist", "12/13", "10.3389/frai.2025.1533508"):
            assert fact in said[name], (name, fact)
        assert "±" not in said[name].partition("As published in papers: not")[0]
    assert "±" not in said["page"]
    for state in ("cited", "needs-data", "recomputed"):
        assert state in said["papers"]
    assert "Tornqvist et al. 2024, Barr et al. 2025" in said["summary"]
    assert "0.954" not in said["summary"]


CITED = """
- system: s
  dataset: d
  models: [a, b]
  figures: [{metric: F1, values: ["0.5", 0.70 ± 0.01]}]
  place: table 1
  source: {authors: [A. B. Cee], year: 2024, title: t, arxiv: "1"}
"""


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('"0.5", 0.70', "0.70", "'F1' has 1 values for 2 models"),
        ('"0.5"', "0.5", "values.0: Input should be a valid string"),
        ('"0.5"', '"about .5"', "should match pattern"),
        ("place: table 1", "", "place: Field required"),
        (', arxiv: "1"', "", "a source has a doi or an arxiv number"),
        ("models: [a, b]", "models: [a, a]", "stands there twice"),
        ("system: s", "system: s\n  rank: 1", "rank: Extra inputs"),
        ("- system: s", "- [", "cannot be read"),
        ("- system: s", "system: s", "top|cannot be read"),
    ],
)
def test_a_fault_in_the_cited_figures_is_one_line(tmp_path: Path, old: str, new: str, said: str) -> None:
    file = tmp_path / "cited.yaml"
    file.write_text(CITED)
    (table,) = load_cited(file)
    assert (table.figures[0].values, table.source.short) == (("0.5", "0.70 ± 0.01"), "Cee 2024")
    file.write_text(CITED.replace(old, new))
    with pytest.raises(UserError, match=said) as raised:
        load_cited(file)
    assert str(raised.value).startswith("cited.yaml")
    assert "\n" not in str(raised.value)


def test_cited_text_is_escaped_too() -> None:
    source = {"authors": (HOSTILE,), "year": 2024, "title": HOSTILE, "doi": HOSTILE}
    facts = {"system": HOSTILE, "dataset": HOSTILE, "place": HOSTILE, "note": HOSTILE, "models": (HOSTILE,)}
    table = CitedTable(**facts, figures=({"metric": HOSTILE, "values": ("1",)},), source=source)
    board = replace(summarise(grid({"g": {"a": [0.5]}})), cited=(table,))
    papers = pages(board)["papers.html"]
    assert "<script>alert" not in papers
    assert "<script>alert" in "".join(Elements(papers).text)
    assert not {tag for tag, _ in Elements(papers).found} & {"img", "iframe"}
    for text in (markdown.render(board), markdown.render_summary(board)):
        assert "<script>" not in text.replace("\\<", "")
        assert "http://" not in text
