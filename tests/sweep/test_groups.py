"""Rows of a table by what was varied, against numbers written out by hand."""

import math

import numpy as np
import pytest

from hmmrnn.sweep.groups import (
    chosen_options,
    divergence,
    floor_of,
    groups,
    having,
    is_known,
    kl,
    levels,
    mean_log10,
    values_of,
    varied_options,
)

N, STEPS = "net.hidden_size", "data.n_steps"


def network(hmm="linear3", seed=0, **more):
    row = {"name": f"{hmm}-seed{seed}", "status": "finished", "reason": "", "hmm": hmm}
    return row | {"seed": seed, N: 150, STEPS: {"linear2": 100}.get(hmm, 30)} | more


def compared(hmm, *orders, **more):
    return network(hmm, **more) | {kl(n): 0.1 * n for n in orders}


def test_varied_options_are_options_with_more_than_one_value():
    rows = [network("linear2"), compared("linear3", 6, seed=1), {"name": "x", "reason": "y"}]
    assert varied_options(rows) == ["hmm", "seed", STEPS]
    assert varied_options(rows[:1]) == []
    assert varied_options([]) == []


def test_chosen_options_vary_within_one_hmm():
    rows = [network(hmm, seed) for hmm in ("linear2", "linear3") for seed in range(2)]
    assert chosen_options(rows) == []  # the steps differ by HMM, and seeds do not count
    assert chosen_options([*rows, network("linear2", **{N: 50})]) == [N]


def test_levels_stand_in_order_with_numbers_before_text():
    values = ["seed10", 3, None, "seed2", 0.5, 3]
    assert levels([{"x": value} for value in values], "x") == [0.5, 3, "seed2", "seed10"]
    assert levels([{}], "x") == []


def test_groups_have_mean_and_standard_error_of_what_is_known():
    pairs = [(50, 1.0), (50, 4.0), (50, None), (150, 2.0), (200, math.inf), (None, 1.0)]
    rows = [{N: n, "loss": loss} for n, loss in pairs]
    several, single = groups(rows, N, "loss")  # of 200 units nothing is known
    assert (several.level, several.values.tolist(), several.mean) == (50, [1, 4], 2.5)
    assert several.error == pytest.approx(1.5)  # sd 3 / sqrt(2), over sqrt(2)
    assert (single.level, single.mean) == (150, 2.0)
    assert math.isnan(single.error)
    assert [row["loss"] for row in having(rows, N, 50)] == [1.0, 4.0, None]


def test_what_is_no_finite_number_is_unknown():
    rows = [{"x": value} for value in (1, 0.5, "text", None, math.nan, math.inf)] + [{}]
    np.testing.assert_array_equal(
        values_of(rows, "x"), [1, 0.5, math.nan, math.nan, math.nan, math.inf, math.nan]
    )
    assert [is_known(row, "x") for row in rows] == [True, True, *[False] * 5]


def test_mean_logarithms_leave_out_what_has_none():
    assert mean_log10(np.array([0.1, 1e-3, 0.0, -1.0, math.nan, math.inf])) == pytest.approx(-2)
    assert math.isnan(mean_log10(np.array([0.0])))


@pytest.mark.parametrize(
    ("rows", "order"),
    [
        ([], 6),
        ([network()], 6),
        ([compared("linear2", 1, 2, 3), compared("linear3", 1, 2, 3, 4, 5, 6)], 3),
        ([compared("linear2", 2), compared("linear2", 6)], 6),  # one HMM: its longest
    ],
)
def test_the_divergence_is_that_of_the_longest_ngrams_of_every_hmm(rows, order):
    assert divergence(rows) == f"fidelity.kl.{order}.network.value"


def test_the_floor_of_a_number_is_that_of_a_sample():
    assert floor_of(kl(4)) == "fidelity.kl.4.floor.value"
    assert floor_of("training.loss") == ""
