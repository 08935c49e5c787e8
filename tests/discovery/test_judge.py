"""Scores of strengths: closed forms, plain loops, and what must not change them."""

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hmmrnn.discovery.judge import Score, compare, curve, score
from hmmrnn.errors import InputError

quick = settings(max_examples=50, deadline=None)


@st.composite
def ranked(draw):
    """Small whole strengths, so with ties, and a truth of some but not all."""
    n = draw(st.integers(2, 25))
    strength = draw(st.lists(st.integers(-6, 6), min_size=n, max_size=n))
    truth = np.array(draw(st.lists(st.booleans(), min_size=n, max_size=n)))
    truth[:2] = draw(st.permutations([True, False]))
    return np.array(strength, float), truth


def by_loops(strength, truth):
    """Sum over thresholds of (new true / all true) (true / all), from the strongest down."""
    area, before = 0.0, 0
    for threshold in sorted(set(strength), reverse=True):
        chosen = [t for s, t in zip(strength, truth, strict=True) if s >= threshold]
        area += (sum(chosen) - before) / sum(truth) * sum(chosen) / len(chosen)
        before = sum(chosen)
    return area


@quick
@given(ranked())
def test_the_area_is_that_of_loops_and_of_the_curve(case):
    strength, truth = case
    found = score(strength, truth)
    assert found.auprc == pytest.approx(by_loops(strength, truth))
    assert found[2:] == (truth.sum(), len(truth))
    recall, precision = curve(strength, truth)
    assert (recall[0], recall[-1]) == (0, 1)
    assert (np.diff(recall) >= 0).all()
    assert np.sum(np.diff(recall) * precision[1:]) == pytest.approx(found.auprc)


@quick
@given(ranked(), st.randoms(use_true_random=False))
def test_neither_a_monotone_map_nor_the_order_of_units_changes_a_score(case, random):
    strength, truth = case
    found = score(strength, truth)
    for mapped in (np.exp(strength), 1e-9 * strength + 5, strength**3, np.arctan(strength)):
        assert score(mapped, truth) == found
    order = random.sample(range(len(truth)), len(truth))
    assert score(strength[order], truth[order]) == pytest.approx(found)


@quick
@given(ranked())
def test_no_strengths_are_worse_than_the_worst_or_better_than_perfect(case):
    strength, truth = case
    n, k = len(truth), int(truth.sum())
    perfect = score(np.where(truth, 2.0, np.where(strength > 0, 1.0, 0.0)), truth)
    assert perfect == Score(1, 1, k, n)
    worst = score(np.where(truth, 0.0, 1.0 + np.arange(n)) + 1e-3 * np.arange(n), truth)
    assert worst.auprc == pytest.approx(sum(i / (n - k + i) for i in range(1, k + 1)) / k)
    assert worst.precision == pytest.approx(max(0, 2 * k - n) / k)
    no_ties = score(strength + 1e-3 * np.arange(n), truth)
    assert worst.auprc - 1e-12 <= no_ties.auprc <= 1
    assert worst.precision <= score(strength, truth).precision <= 1


def test_precision_is_the_mean_over_all_ways_to_break_ties():
    strength = np.array([3.0, 1, 1, 1, 0, 1])
    truth = np.array([True, True, False, False, True, False])
    hits = [
        truth[sorted(order, key=lambda i: -strength[i])[:3]].mean()
        for order in permutations(range(6))
    ]
    assert score(strength, truth).precision == pytest.approx(np.mean(hits))
    assert score(np.ones(6), truth).precision == pytest.approx(0.5)
    assert score(np.ones(6), truth).auprc == pytest.approx(0.5)


def test_random_strengths_score_about_the_share_of_true_units():
    rng = np.random.default_rng(0)
    truth = np.arange(400) < 100
    found = [score(rng.random(400), truth) for _ in range(200)]
    assert np.mean([s.auprc for s in found]) == pytest.approx(0.25, abs=0.02)
    assert np.mean([s.precision for s in found]) == pytest.approx(0.25, abs=0.01)


@pytest.mark.parametrize("truth", [np.zeros(3, bool), np.ones(3, bool)])
def test_there_is_no_score_where_nothing_can_be_told_apart(truth):
    found = score(np.arange(3.0), truth)
    assert np.isnan([found.auprc, found.precision]).all()
    assert (found.n_true, found.n) == (truth.sum(), 3)
    recall, precision = curve(np.arange(3.0), truth)
    assert recall.size == precision.size == 0


def test_timing_takes_all_windows_together():
    """A unit that works in the second window only, and one method that does not see when."""
    truth = np.array([[True, False, False, False], [True, True, False, False]])
    when = np.array([[0.9, 0.1, 0.2, 0.1], [0.8, 0.7, 0.1, 0.2]])
    who = np.array([[0.9, 0.7, 0.2, 0.1], [0.9, 0.7, 0.2, 0.1]])
    found = compare({"when": when, "who": who}, truth)
    assert list(found) == ["when", "who"]
    assert found["when"] == {
        "windows": [Score(1, 1, 1, 4), Score(1, 1, 2, 4)],
        "timing": (1, 1, 3, 8),
    }
    assert found["who"]["windows"] == found["when"]["windows"]
    assert found["who"]["timing"].auprc == pytest.approx(2 / 3 * 1 + 1 / 3 * 3 / 4)
    assert found["who"]["timing"].precision == pytest.approx((2 + 1 / 2) / 3)


def test_the_unit_of_strengths_counts_between_windows_only():
    truth = np.array([[True, False], [True, False]])
    found = compare({"a": np.array([[2.0, 1], [20, 10]])}, truth)["a"]
    assert [s.auprc for s in found["windows"]] == [1, 1]
    assert found["timing"].auprc == pytest.approx((1 + 2 / 3) / 2)


def test_strengths_without_a_rank_or_for_other_units_are_refused():
    truth = np.array([True, False, True])
    bad = np.array([np.nan, np.inf, 1.0])
    for judge in (score, curve):
        with pytest.raises(InputError, match="strength: 2 of 3"):
            judge(bad, truth)
    with pytest.raises(InputError, match="attribution: 2 of 3"):
        compare({"attribution": bad[None]}, truth[None])
    with pytest.raises(InputError, match=r"attribution .*\(2, 3\).*\(1, 3\)"):
        compare({"attribution": np.ones((2, 3))}, truth[None])
