"""Rank statistics: against scikit-posthocs, autorank, statsmodels, scipy and choix, and against closed forms."""

import math

import autorank
import choix
import numpy as np
import pandas as pd
import pytest
import scikit_posthocs
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats
from statsmodels.stats.multitest import multipletests
from synthward.leaderboard import rank

LOSSES = st.builds(
    lambda values, scale: values * scale,
    arrays(
        float, st.tuples(st.integers(3, 6), st.integers(4, 15)), elements=st.sampled_from([0, 0.1, 0.2, 0.3, 0.7, 1])
    ),
    st.sampled_from([1.0, 1e-3, 1e6]),
)


def drawn(generators: int, datasets: int, seed: int = 0) -> np.ndarray:
    """Losses without ties, of generators that get worse by their number."""
    rng = np.random.default_rng(seed)
    return np.arange(generators)[:, None] * 0.3 + rng.random((generators, datasets))


def wins(losses: np.ndarray) -> np.ndarray:
    """How often each generator is ahead of each other one, a tie counting half."""
    ahead = losses[:, None] < losses
    tied = (losses[:, None] == losses) & ~np.eye(len(losses), dtype=bool)[..., None]
    return (ahead + tied / 2).sum(axis=2)


@given(LOSSES)
@settings(max_examples=60, deadline=None, derandomize=True)
def test_ranks_wins_and_elo_do_not_depend_on_scale_or_order(losses):
    mean_ranks = rank.ranks(losses).mean(axis=1)
    assert mean_ranks.sum() == pytest.approx(len(losses) * (len(losses) + 1) / 2)
    np.testing.assert_allclose(rank.win_rate(losses), (len(losses) - mean_ranks) / (len(losses) - 1))
    assert rank.elo(losses).mean() == pytest.approx(1000)
    order = np.random.default_rng(0).permutation(len(losses))
    for of in (rank.elo, rank.win_rate, rank.improvability):
        np.testing.assert_allclose(of(losses[order]), of(losses)[order], atol=1e-6)
    for of in (rank.elo, rank.win_rate):
        np.testing.assert_allclose(of(losses * 3), of(losses), atol=1e-6)


@given(LOSSES)
@settings(max_examples=30, deadline=None, derandomize=True)
def test_friedman_is_scipys(losses):
    found = rank.friedman(losses)
    if (rank.ranks(losses) == rank.ranks(losses)[0]).all():
        assert (found.statistic, found.p) == (0, 1)
        return
    expected = stats.friedmanchisquare(*losses)
    assert found.statistic == pytest.approx(expected.statistic)
    assert found.p == pytest.approx(expected.pvalue)


def test_friedman_needs_three_generators_and_two_datasets():
    assert rank.friedman(drawn(2, 9)) is None
    assert rank.friedman(drawn(3, 1)) is None


@pytest.mark.parametrize(("generators", "datasets"), [(3, 6), (5, 12), (10, 30)])
def test_critical_difference_is_autoranks_and_demsars(generators, datasets):
    losses = drawn(generators, datasets)
    table = pd.DataFrame(losses.T).rename(columns=str)
    theirs = autorank.autorank(table, order="ascending", force_mode="nonparametric")
    assert rank.friedman(losses).critical_difference == pytest.approx(theirs.cd, rel=1e-3)
    # Nemenyi's p value falls below 5 % where the mean ranks lie a critical difference apart.
    p = scikit_posthocs.posthoc_nemenyi_friedman(losses.T).to_numpy()
    means = rank.ranks(losses).mean(axis=1)
    apart = np.abs(means[:, None] - means) > rank.friedman(losses).critical_difference
    np.testing.assert_array_equal(p < 0.05, apart)
    assert apart.any()


def test_critical_difference_of_five_over_thirty_is_that_of_the_paper():
    """Demšar (2006), table 5: q is 2.728 for five classifiers; six of them at 5 %, 2.850."""
    assert rank.friedman(drawn(5, 30)).critical_difference == pytest.approx(
        2.728 * math.sqrt(5 * 6 / (6 * 30)), abs=1e-3
    )
    assert rank.friedman(drawn(6, 9)).critical_difference == pytest.approx(2.850 * math.sqrt(6 * 7 / (6 * 9)), abs=1e-3)


@given(LOSSES)
@settings(max_examples=30, deadline=None, derandomize=True)
def test_pairwise_wilcoxon_with_holm_is_that_of_the_libraries(losses):
    p = rank.wilcoxon(losses)
    pairs = np.triu_indices(len(losses), 1)
    for g, h in zip(*pairs, strict=True):
        gap = np.round(losses[g] - losses[h], 12)
        if gap.all():
            assert p[g, h] == p[h, g] == pytest.approx(stats.wilcoxon(gap).pvalue)
        elif not gap.any():
            assert p[g, h] == p[h, g] == 1
        elif (gap != 0).sum() == 1:
            assert p[g, h] == p[h, g] == 1  # exact; the library gives an approximation where there are zeros
    corrected = rank.holm(p)
    np.testing.assert_allclose(corrected[pairs], multipletests(p[pairs], method="holm")[1])
    np.testing.assert_array_equal(corrected, corrected.T)


@pytest.mark.parametrize("datasets", [1, 2, 13, 14, 50, 51, 120])
@pytest.mark.parametrize("digits", [1, 9])
def test_wilcoxon_of_all_pairs_at_once_is_that_of_each_over_few_datasets_and_many_with_ties_and_without(
    datasets, digits
):
    rng = np.random.default_rng(datasets)
    # No difference is 0: scipy counts those in where it chooses between exact p values and approximate ones.
    gaps = np.round(rng.uniform(0.1, 1, (3, datasets)), digits) * rng.choice([-1, 1, 1], (3, datasets))
    losses = np.concatenate([np.zeros((1, datasets)), gaps])
    expected = [stats.wilcoxon(gap).pvalue for gap in gaps]
    np.testing.assert_allclose(rank.wilcoxon(losses)[0, 1:], expected, rtol=1e-9)
    # A dataset on which two are equal is left out.
    more = np.concatenate([losses, np.zeros((4, 1))], axis=1)
    np.testing.assert_array_equal(rank.wilcoxon(more)[0], rank.wilcoxon(losses)[0])


def test_pairwise_wilcoxon_with_holm_is_that_of_scikit_posthocs():
    losses = drawn(5, 12)
    long = pd.DataFrame(losses.T).melt(var_name="generator", value_name="loss")
    theirs = scikit_posthocs.posthoc_wilcoxon(long, "loss", "generator", p_adjust="holm")
    np.testing.assert_allclose(rank.holm(rank.wilcoxon(losses)), theirs.to_numpy())


@pytest.mark.parametrize("seed", range(3))
def test_elo_is_the_most_likely_strength(seed):
    losses = drawn(6, 20, seed)
    won = wins(losses) + rank.VIRTUAL_WINS * (1 - np.eye(6))
    strength = choix.ilsr_pairwise_dense(won, tol=1e-12)
    expected = 1000 + 400 / math.log(10) * (strength - strength.mean())
    np.testing.assert_allclose(rank.elo(losses), expected, atol=1e-3)


def test_elo_of_two_is_the_logarithm_of_their_odds():
    losses = np.array([[0, 0, 0, 1.0], [1, 1, 1, 0.0]])  # three wins to one, and half a virtual win each
    first, second = rank.elo(losses)
    assert first - second == pytest.approx(400 * math.log10(3.5 / 1.5))


def test_elo_stays_finite_and_is_taken_draw_by_draw():
    swept = np.repeat(np.arange(100.0)[:, None], 50, axis=1)  # each always ahead of the next
    points = rank.elo(swept)
    assert np.isfinite(points).all()
    assert (np.diff(points) < 0).all()
    draws = np.stack([drawn(4, 9, seed) for seed in range(5)], axis=1)
    for of in (rank.elo, rank.win_rate):
        np.testing.assert_allclose(of(draws), np.stack([of(draws[:, d]) for d in range(5)], axis=1))


def test_improvability_is_the_share_of_the_loss_above_the_best():
    losses = np.array([[0.2, 0.0], [0.4, 0.0], [0.2, 0.5]])
    np.testing.assert_allclose(rank.improvability(losses), [0.0, 0.25, 0.5])


def test_groups_begin_where_somebody_differs_from_the_first():
    apart = np.zeros((4, 4), bool)
    for g, h in ((0, 2), (0, 3), (1, 3)):
        apart[g, h] = apart[h, g] = True
    assert rank.groups(np.array([1.0, 2.0, 3.0, 4.0]), apart).tolist() == [1, 1, 2, 2]
    assert rank.groups(np.array([4.0, 3.0, 2.0, 1.0]), apart).tolist() == [2, 2, 1, 1]
    assert rank.groups(np.array([1.0, 2.0]), np.zeros((2, 2), bool)).tolist() == [1, 1]


def test_who_can_be_told_apart():
    far = np.arange(3)[:, None] + drawn(3, 20) * 1e-3
    assert rank.differ(far).tolist() == [[False, True, True], [True, False, True], [True, True, False]]
    assert not rank.differ(far[:, :1]).any()  # one dataset says nothing of others
    assert not rank.differ(far[:, :2]).any()
    assert rank.differ(far[:2]).tolist() == [[False, True], [True, False]]
    assert not rank.differ(far[:2, :5]).any()  # five wins of five: p is 2 / 2**5
    assert not rank.differ(np.random.default_rng(0).random((5, 8))).any()


@pytest.mark.parametrize(
    ("means", "difference", "runs"),
    [
        ([1.0, 2.0, 3.0, 4.0], 1.5, [(0, 1), (1, 2), (2, 3)]),
        ([4.0, 1.0, 3.0, 2.0], 2.5, [(0, 2), (1, 3)]),
        ([1.0, 2.0, 3.0], 5.0, [(0, 2)]),
        ([1.0, 5.0, 9.0], 1.0, []),
        ([1.0, 1.1, 5.0], 1.0, [(0, 1)]),
    ],
)
def test_bars_of_the_diagram_are_the_largest_runs(means, difference, runs):
    assert rank.cliques(np.array(means), difference) == runs
