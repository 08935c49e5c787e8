"""Redundancy: a pair of which one is enough, and one that adds up."""

import jax.numpy as jnp
import numpy as np

from hmmrnn.discovery.case import Lag, SquaredError, clean_run
from hmmrnn.discovery.interventions import effects, stand_ins, units
from hmmrnn.discovery.redundancy import group_effects, twins

from .cases import N, small_case


def or_case():
    """Units 0 and 1 do the same, and unit 2 is silent only if neither speaks; 3 and 4 add up."""
    case = small_case(leak=1.0, loss=Lag(1, 0), bias=0.0)
    W_in = np.zeros((N, 3), np.float32)
    W_in[[0, 1], 0] = 1.0
    W_in[[3, 4], 1] = 1.0
    W_rec = np.zeros((N, N), np.float32)
    W_rec[2, [0, 1]] = -1.0
    W_out = np.zeros((2, N), np.float32)
    W_out[1, [2, 3, 4]] = 1.0
    arrays = {"W_in": W_in, "W_rec": W_rec, "W_out": W_out, "b_rec": np.zeros(N, np.float32)}
    arrays["b_rec"][2] = 1.0
    case = case._replace(
        network=case.network.replace(
            **{name: jnp.asarray(value) for name, value in arrays.items()}
        ),
        inputs=jnp.abs(case.inputs) + 1.0,
        windows={"late": (4, 12)},
        means=jnp.zeros((1, N)),
    )
    return case._replace(target=clean_run(case).logits)


def test_two_of_which_one_is_enough_are_found_as_a_pair_only():
    case = or_case()
    instead = stand_ins(case, "mean")
    single = effects(case, units(case), instead).mean(-1)
    assert not single[0, :2].any()
    found = twins(case, single, instead)
    assert (found.twin[0, 0], found.twin[0, 1]) == (1, 0)
    assert found.correlation[0, 0] > 0.999
    # Without both, unit 2 is at 1 from the window's second step on: the loss grows by 7/8.
    np.testing.assert_allclose(np.abs(found.effect[0, :2]), 7 / 8, rtol=1e-4)
    np.testing.assert_allclose(found.beyond[0, :2], found.effect[0, :2], rtol=1e-4)
    np.testing.assert_allclose(found.beyond[0, 3], 0.0, atol=1e-5)
    assert abs(single[0, 3]) > 0.5
    assert found.correlation[0, 5] == 0  # constant


def test_units_that_push_the_same_way_are_not_redundant_by_a_squared_distance():
    """Units 3 and 4 add up, so their squares do not: only what exceeds (a + b)^2 counts."""
    case = or_case()._replace(loss=SquaredError())
    instead = stand_ins(case, "mean")
    single = effects(case, units(case), instead).mean(-1)
    found = twins(case, single, instead)
    assert found.effect[0, 3] > 1.9 * (single[0, 3] + single[0, 4])
    np.testing.assert_allclose(found.beyond[0, 3] / found.effect[0, 3], 0.0, atol=1e-4)
    np.testing.assert_allclose(found.beyond[0, 0], found.effect[0, 0], rtol=1e-5)
    assert found.effect[0, 0] > 0.5
    both = np.isin(np.arange(N), (3, 4))
    group = group_effects(case, {"both": both}, single, instead)
    np.testing.assert_allclose(group.effect, group.alone, rtol=1e-4)


def test_groups_are_replaced_as_a_whole():
    case = or_case()
    instead = stand_ins(case, "mean")
    single = effects(case, units(case), instead).mean(-1)
    groups = {
        "either": np.isin(np.arange(N), (0, 1)),
        "both": np.isin(np.arange(N), (3, 4)),
        "nobody": np.zeros(N, bool),
    }
    found = group_effects(case, groups, single, instead)
    assert found.names == ("either", "both", "nobody")
    either, both, nobody = found.effect[0]
    assert abs(either) > 0.8
    assert found.alone[0, 0] == 0
    np.testing.assert_allclose(both, found.alone[0, 1], rtol=1e-5)
    assert nobody == 0
    assert group_effects(case, {}, single, instead).effect.shape == (1, 0)
