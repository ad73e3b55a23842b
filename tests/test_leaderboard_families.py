"""Scores of families: metrics between a floor and a ceiling, aspects alike, generators ranked over datasets."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from board_records import card, pages, record, whole
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from synthward.leaderboard.aggregate import summarise
from synthward.leaderboard.board import FamilyScores
from synthward.leaderboard.normalise import combined, scaled
from synthward.results.record import Measurement, Record, Status

SHARE = {"lower": 0.0, "upper": 1.0}
CARDS = {
    "shapes": card("shapes", aspect="marginals", **SHARE),
    "ks": card("ks", aspect="marginals", **SHARE),
    "pairs": card("pairs", aspect="associations", **SHARE),
    "gap": card("gap", "min", **{**SHARE, "ideal": 0.0}),
    "duplicates": card("duplicates", "min", family="privacy", **{**SHARE, "ideal": 0.0}),
    "dcr_share": card("dcr_share", "target", family="privacy", **{**SHARE, "ideal": 0.5}),
    "fit_seconds": card("fit_seconds", "min", family="cost", ideal=0.0, lower=0.0, unit="s"),
    "sample_seconds": card("sample_seconds", "min", family="cost", ideal=0.0, lower=0.0, unit="s"),
}
REFERENCES = ("real", "copy", "uniform")


def records(values: dict[str, dict[str, Any]], datasets: str = "abcdef", **more: Any) -> list[Record]:
    """Records of generators, of which a few are references, with the same values on all datasets."""
    return [
        record(g, d, 0, own, cards=CARDS, reference=g in REFERENCES, **more)
        for g, own in values.items()
        for d in datasets
    ]


def family(given: list[Record], name: str = "fidelity") -> FamilyScores:
    (section,) = summarise(given, draws=100).sections
    return next(f for f in section.families if f.column.card.family == name)


def means(given: list[Record], name: str = "fidelity") -> dict[str, float | None]:
    return {label: score.mean for label, score in family(given, name).scores.items()}


@given(arrays(float, (4, 6), elements=st.floats(-5, 5)), st.floats(0.5, 20), st.floats(-10, 10))
@settings(max_examples=50, deadline=None, derandomize=True)
def test_scaled_is_0_at_the_floor_and_1_at_the_ceiling_on_any_scale(losses, scale, shift):
    dataset = np.array([0, 0, 1, 1, 1, 2])
    floor, ceiling = np.full(6, 3.0), np.full(6, 1.0)
    scores = scaled(losses, floor, ceiling, dataset, 2.0)
    np.testing.assert_allclose(scores, np.clip((3 - losses) / 2, -1, 1))
    again = scaled(losses * scale + shift, floor * scale + shift, ceiling * scale + shift, dataset, 2.0 * scale)
    np.testing.assert_allclose(again, scores, atol=1e-9)


def test_a_dataset_without_a_scale_has_no_score():
    dataset = np.array([0, 1, 2, 3])
    floor, ceiling = np.array([0.5, 0.5, 0.5, np.nan]), np.array([0.1, 0.46, 0.6, 0.1])
    scores = scaled(np.full((1, 4), 0.3), floor, ceiling, dataset, 1.0)
    np.testing.assert_allclose(scores, [[0.5, np.nan, np.nan, np.nan]])
    # Without bounds the floor itself is the measure.
    np.testing.assert_allclose(scaled(np.full((1, 4), 0.3), floor, ceiling, dataset, None)[0, 1], 1.0)
    assert np.isnan(scaled(np.zeros((1, 1)), np.zeros(1), np.zeros(1), np.zeros(1, int), None)).all()


def test_references_are_averaged_over_the_seeds_of_a_dataset():
    scores = scaled(np.array([[0.2, 0.6]]), np.array([0.6, 1.0]), np.array([0.0, 0.0]), np.zeros(2, int), 1.0)
    np.testing.assert_allclose(scores, [[0.75, 0.25]])


def test_aspects_weigh_alike_and_what_has_no_scale_weighs_nothing():
    one, two, three = np.array([[0.2, 0.2]]), np.array([[0.4, np.nan]]), np.array([[0.9, 0.9]])
    everywhere, first = np.array([True, True]), np.array([True, False])
    found = combined([one, two, three], [everywhere, first, everywhere], ["marginals", "marginals", "pairs"])
    np.testing.assert_allclose(found, [[(0.3 + 0.9) / 2, (0.2 + 0.9) / 2]])
    assert np.isnan(combined([one, two], [everywhere, everywhere], ["a", "b"])).tolist() == [[False, True]]
    assert np.isnan(combined([one], [first], ["a"])).tolist() == [[False, True]]


GOOD = {"shapes": 0.9, "ks": 0.7, "pairs": 0.6, "gap": 0.2}
FLOOR = {"shapes": 0.5, "ks": 0.5, "pairs": 0.2, "gap": 0.8}
CEILING = {"shapes": 1.0, "ks": 1.0, "pairs": 1.0, "gap": 0.0}


def test_a_family_is_the_mean_of_its_aspects_between_uniform_and_real():
    given = records({"g": GOOD, "uniform": FLOOR, "real": CEILING})
    marginals, pairs, gap = (0.8 + 0.4) / 2, 0.5, 0.75
    assert means(given) == pytest.approx({"g": (marginals + pairs + gap) / 3, "uniform": 0, "real": 1})
    assert family(given).aspects == {"marginals": ("shapes", "ks"), "associations": ("pairs",), "gap": ("gap",)}


def test_privacy_goes_by_copy_and_the_ideal_and_says_nothing_of_real():
    leaks = {"duplicates": 0.25, "dcr_share": 0.75}
    given = records(
        {
            "g": leaks,
            "copy": {"duplicates": 1.0, "dcr_share": 1.0},
            "uniform": {"duplicates": 0.0, "dcr_share": 0.5},
            "real": {"duplicates": 0.0, "dcr_share": 0.0},
        }
    )
    expected = {"g": (0.75 + 0.5) / 2, "copy": 0, "uniform": 1}
    found = means(given, "privacy")
    assert found.pop("real") is None
    assert found == pytest.approx(expected)


@pytest.mark.parametrize("lacking", ["uniform", "real"])
def test_without_its_references_a_family_has_no_score(lacking):
    rows = {"g": GOOD, "uniform": FLOOR, "real": CEILING}
    (section,) = summarise(records({name: rows[name] for name in rows if name != lacking})).sections
    assert section.families == ()
    assert [column.card.name for column, _ in section.headlines()] == ["shapes"]


def test_a_competitor_of_a_reference_s_name_is_no_reference():
    given = [
        *records({"g": GOOD, "uniform": FLOOR, "real": CEILING}),
        *(record("uniform", d, 0, CEILING, cards=CARDS, version="2") for d in "abcdef"),
    ]
    assert means(given)["g"] == means(records({"g": GOOD, "uniform": FLOOR, "real": CEILING}))["g"]


def test_who_lacks_a_metric_of_the_family_is_not_ranked_by_it():
    failed = Measurement(metric="pairs", status=Status.ERROR, reason="it raised")
    rows = {"g": GOOD, "h": GOOD | {"ks": 0.6}, "uniform": FLOOR, "real": CEILING}
    given = records(rows) + [
        record("odd", d, 0, GOOD | ({"pairs": failed} if d == "a" else {}), cards=CARDS) for d in "abcdef"
    ]
    found = family(given)
    assert (found.scores["odd"].k, found.scores["odd"].n) == (5, 6)
    assert set(found.standings) == {"g", "h"}


UNSUPPORTED = Status.UNSUPPORTED


def test_a_utility_that_does_not_apply_to_what_was_made_is_the_floor_and_says_so():
    degenerate = Measurement(metric="pairs", status=UNSUPPORTED, reason="the synthetic rows hold one class only")
    rows = {"g": GOOD, "odd": GOOD | {"pairs": degenerate}, "uniform": FLOOR, "real": CEILING}
    found = family(records(rows))
    assert found.scores["odd"].mean == pytest.approx((0.6 + 0.0 + 0.75) / 3)
    assert found.scores["g"].mean == pytest.approx((0.6 + 0.5 + 0.75) / 3)
    assert set(found.standings) == {"g", "odd"}
    assert found.at_floor == {"odd": 1 / 4}
    assert "25 % at the floor" in whole(summarise(records(rows), draws=50))


def test_a_metric_that_no_reference_has_is_nobody_s_loss():
    lacking = Measurement(metric="pairs", status=UNSUPPORTED, reason="needs a numeric pair")
    rows = {"g": GOOD | {"pairs": lacking}, "uniform": FLOOR | {"pairs": lacking}, "real": CEILING}
    found = family(records(rows))
    assert found.scores["g"].mean == pytest.approx((0.6 + 0.75) / 2)
    assert found.at_floor == {}


def test_a_privacy_metric_that_says_nothing_of_one_competitor_is_left_out_there_for_all():
    nothing = Measurement(metric="dcr_share", status=UNSUPPORTED, reason="nothing to attribute")
    rows = {
        "g": {"duplicates": 0.25, "dcr_share": 0.75},
        "odd": {"duplicates": 0.5, "dcr_share": 0.5},
        "copy": {"duplicates": 1.0, "dcr_share": 1.0},
    }
    given = records(rows, "bcdef") + records(rows | {"odd": rows["odd"] | {"dcr_share": nothing}}, "a")
    found = family(given, "privacy")
    assert found.by_dataset["g"] == pytest.approx({"a": 0.75} | dict.fromkeys("bcdef", (0.75 + 0.5) / 2))
    assert found.by_dataset["odd"] == pytest.approx({"a": 0.5} | dict.fromkeys("bcdef", (0.5 + 1.0) / 2))
    assert set(found.standings) == {"g", "odd"}


def test_a_reference_that_lacks_a_privacy_metric_takes_it_from_nobody():
    nothing = Measurement(metric="dcr_share", status=UNSUPPORTED, reason="nothing to attribute")
    rows = {
        "g": {"duplicates": 0.25, "dcr_share": 0.75},
        "uniform": {"duplicates": 0.0, "dcr_share": nothing},
        "copy": {"duplicates": 1.0, "dcr_share": 1.0},
    }
    assert family(records(rows), "privacy").scores["g"].mean == pytest.approx((0.75 + 0.5) / 2)


def ordered(count: int, datasets: str = "abcdefghijkl") -> list[Record]:
    """Generators of which each is better than the next on every dataset."""
    rows = {f"g{n}": {"shapes": 0.95 - 0.05 * n} for n in range(count)}
    return records({**rows, "uniform": {"shapes": 0.2}, "real": {"shapes": 1.0}}, datasets)


def test_generators_are_ranked_over_datasets():
    found = family(ordered(5))
    assert list(found.standings) == ["g0", "g1", "g2", "g3", "g4"]
    first, last = found.standings["g0"], found.standings["g4"]
    assert (first.mean_rank, first.win_rate, first.improvability, first.group) == (1, 1, 0, 1)
    assert (last.mean_rank, last.win_rate) == (5, 0)
    assert first.elo > 1000 > last.elo
    assert first.elo_low - 1e-9 <= first.elo <= first.elo_high + 1e-9
    assert last.group > 1
    # Five over twelve datasets: mean ranks 1.76 apart differ.
    assert [found.scores[f"g{n}"].mark for n in range(5)] == ["best", "tied", "", "", ""]
    assert [found.standings[f"g{n}"].group for n in range(5)] == [1, 1, 2, 2, 3]
    assert found.pairwise["g0", "g1"] == found.pairwise["g1", "g0"] == pytest.approx(10 * 2 / 2**12)
    assert found.friedman.p < 0.001


def test_one_dataset_ranks_and_tells_nobody_apart():
    found = family(ordered(4, "a"))
    assert {s.group for s in found.standings.values()} == {1}
    assert found.standings["g0"].elo_low is None
    assert found.friedman is None


def test_cost_is_seconds_for_each_1000_rows():
    given = records({"g": {"fit_seconds": 5.0, "sample_seconds": 1.0}})
    found = family(given, "cost")
    assert given[0].rows_requested == 300
    assert found.scores["g"].mean == pytest.approx(6 / 0.3)
    assert found.standings == {}


def test_the_page_names_what_a_score_is_made_of_and_prints_the_rank_groups():
    text = pages(summarise(ordered(5), draws=100))["index.html"]
    assert "0 is uniform, 1 is real, of the same dataset. The mean of 1 aspect" in text
    assert "Friedman&#39;s test: p " in whole(summarise(ordered(5), draws=100))
    assert text.count('1st<span class="sr"> rank group</span>') == 2
    assert text.count('2nd<span class="sr"> rank group</span>') == 2


def test_the_order_of_records_changes_nothing():
    given = ordered(5)
    assert family(given) == family(given[::-1])
