"""Networks whose dynamics are known by construction."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from networks import SMALL, net_of, rotor, tanh_network, two_wells

from hmmrnn import InputError
from hmmrnn.dynamics import portrait
from hmmrnn.dynamics.fixed_points.rest import end_states
from hmmrnn.nets import init_params


def test_an_orbit_turns_once_for_each_pair_of_transitions():
    found = portrait(rotor(), jax.random.key(0), n_trajectories=8, n_steps=600)
    assert found.rotation.value == pytest.approx(1, abs=0.02)
    assert found.dwell_cv.value < 0.2


def test_two_wells_go_back_and_forth_with_geometric_dwell_times():
    found = portrait(two_wells(), jax.random.key(0), n_trajectories=64, n_steps=600)
    assert found.transitions_per_step.value > 0.005
    assert found.rotation.value < 0.15
    assert 0.8 < found.dwell_cv.value < 1.3


def test_transition_rate_agrees_with_a_numpy_simulation():
    found = portrait(two_wells(), jax.random.key(0), n_trajectories=64, n_steps=600)
    rng = np.random.default_rng(0)
    h, rate, last = np.zeros(2000), [], None
    for t in range(400):
        h = np.tanh(1.5 * h + 0.7 * rng.standard_normal(2000))
        rate += [] if t < 50 else [np.mean((h > 0) != last)]
        last = h > 0
    assert found.transitions_per_step.value == pytest.approx(np.mean(rate), rel=0.1)
    assert found.transitions_per_step.low < np.mean(rate) * 1.05
    assert found.transitions_per_step.high > np.mean(rate) * 0.95


def test_end_states_of_two_wells():
    network = two_wells()
    starts = jnp.array([[0.5, 0.1], [0.2, -0.8], [-0.4, 0.3], [-0.9, -0.1], [0.6, 0.2]])
    found = end_states(network, starts, 400)
    assert (found.n_starts, found.n_settled, found.n_distinct) == (5, 5, 4)
    root = 0.858_560  # h = tanh(1.5 h)
    np.testing.assert_allclose(np.abs(found.states), root, atol=1e-4)


def test_a_cycle_without_noise_does_not_settle():
    network = rotor()
    found = end_states(network, jnp.eye(2) * 0.5, 300)
    assert found.n_settled == 0
    assert found.n_distinct == 0
    assert np.isnan(found.distance_from_origin)


def test_bias_free_relu_below_one_rests_at_the_origin():
    network = net_of(SMALL, init_params(SMALL, jax.random.key(1)), jnp.float32(1))
    found = portrait(network, jax.random.key(0), n_trajectories=4, n_steps=60)
    assert (found.end.n_settled, found.end.n_distinct) == (200, 1)
    assert found.end.distance_from_origin < 1e-3


def test_scaling_all_noise_changes_no_transition_of_a_bias_free_relu_network():
    """The homogeneity identity: h(s x) = s h(x), so the preferred symbols are the same."""
    params = init_params(SMALL, jax.random.key(2))
    a, b = (
        portrait(
            net_of(SMALL, params, jnp.float32(s)), jax.random.key(0), n_trajectories=4, n_steps=80
        )
        for s in (0.5, 4.0)
    )
    assert np.array_equal(a.driven_symbols, b.driven_symbols)
    assert a.transitions_per_step == b.transitions_per_step
    np.testing.assert_allclose(8 * a.driven, b.driven, rtol=1e-3, atol=1e-3)


def test_a_network_that_never_switches_has_no_rotation():
    silent = tanh_network(np.zeros((2, 2)), [[0, 0], [0, 0]])
    found = portrait(silent, jax.random.key(0), n_trajectories=4, n_steps=50)
    assert found.transitions_per_step.value == 0
    assert np.isnan(found.rotation.value)
    assert np.isnan(found.dwell_cv.value)


def test_one_hidden_unit_is_enough():
    single = tanh_network([[1.5]], [[1], [-1]], noise_std=0.7)
    found = portrait(single, jax.random.key(0), n_trajectories=4, n_steps=100)
    assert found.driven.shape == (100, 3)
    assert np.all(found.driven[:, 1:] == 0)
    assert found.transitions_per_step.value > 0


def test_another_network_of_the_cell_compiles_nothing(caplog):
    first = two_wells()
    second = first.replace(noise_std=0.9 * first.noise_std)
    portrait(first, jax.random.key(0), n_trajectories=64, n_steps=600)
    with jax.log_compiles():
        portrait(second, jax.random.key(1), n_trajectories=64, n_steps=600)
    assert [each.message for each in caplog.records if "ompil" in each.message] == []


@pytest.mark.parametrize("growth", [1e3, 10 ** (28 / 1020)])  # the second ends finite, near 1e28
def test_divergence_is_said_in_one_line(growth):
    wild = tanh_network(growth * np.eye(2), np.eye(2), activation="relu")
    with pytest.raises(InputError, match="hidden states are not finite"):
        portrait(wild, jax.random.key(0), n_trajectories=2)
    with pytest.raises(InputError, match="n_trajectories=1"):
        portrait(two_wells(), jax.random.key(0), n_trajectories=1)
