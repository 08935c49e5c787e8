"""Recordings against the simulator, a loop in numpy, and networks whose zone is known."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from networks import SMALL, net_of

from hmmrnn import DivergingNetworkError, InputError
from hmmrnn.nets import RNNCell, init_params
from hmmrnn.recordings import residency, zones
from hmmrnn.recordings.recorder import WARM_UP, record, recorded
from hmmrnn.recordings.residency_times import CLUSTER, OTHER

KEY = jax.random.key(3)
WELL = RNNCell(n_symbols=2, hidden_size=1, noise_dim=1, activation="tanh", initial_state="random")
B, T = 4, 30


def network(cell, params, noise_std=0.8):
    return net_of(cell, params, jnp.asarray(noise_std))


def small(activation="relu", bias=False, seed=0):
    cell = SMALL.clone(activation=activation, bias=bias, initial_state="random")
    return network(cell, init_params(cell, jax.random.key(seed)))


@pytest.mark.parametrize(("activation", "bias"), [("relu", False), ("relu", True), ("tanh", True)])
def test_everything_follows_from_the_noise_and_the_weights(activation, bias):
    net = small(activation, bias)
    found = record(net, B, T, KEY)
    W = {name: np.asarray(x, np.float64) for name, x in net.params.items()}
    states, noise = np.asarray(found.states, np.float64), np.asarray(found.noise, np.float64)
    b_rec, b_out = (W.get(name, 0.0) for name in ("b_rec", "b_out"))
    for run in range(B):
        for t in range(1, T):
            received = W["W_rec"] @ states[run, t - 1] + W["W_in"] @ noise[run, t] + b_rec
            np.testing.assert_allclose(found.preactivation[run, t], received, atol=1e-5)
    f = {"relu": lambda a: np.maximum(a, 0), "tanh": np.tanh}[activation]
    np.testing.assert_allclose(f(np.asarray(found.preactivation)), states, atol=1e-6)
    logits = states @ W["W_out"].T + b_out
    np.testing.assert_allclose(found.logits, logits, atol=1e-5)
    np.testing.assert_array_equal(found.symbols, np.argmax(found.logits, axis=-1))
    assert found.noise.std() == pytest.approx(0.8, rel=0.1)


def test_the_states_are_those_of_the_simulator_after_the_warm_up():
    net = small()
    keys = jax.random.split(KEY, B)
    found = recorded(net_of(net.cell, net.params, 0.8), T, keys)
    truth = net_of(net.cell, net.params, 0.8).simulate(WARM_UP + T, keys)
    expected = np.swapaxes(truth.states[WARM_UP:], 0, 1)
    np.testing.assert_allclose(found.states, expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(found.zone, -1)


def test_runs_and_keys_differ_and_a_key_repeats():
    net = small()
    one, again, other = (record(net, B, T, key) for key in (KEY, KEY, jax.random.key(4)))
    np.testing.assert_array_equal(one.states, again.states)
    np.testing.assert_array_equal(one.zone, again.zone)
    assert len(np.unique(np.asarray(one.noise)[:, 0, 0])) == B
    assert not np.isclose(one.noise, other.noise).any(axis=(1, 2)).all()


def test_networks_under_vmap():
    nets = [small(seed=seed) for seed in range(3)]
    stacked = jax.tree.map(lambda *x: jnp.stack(x), *(net.params for net in nets))
    keys = jax.random.split(KEY, B)
    found = jax.vmap(
        lambda p: recorded(net_of(SMALL.clone(initial_state="random"), p, 0.8), T, keys)
    )(stacked)
    for i, net in enumerate(nets):
        alone = recorded(net_of(net.cell, net.params, 0.8), T, keys)
        np.testing.assert_allclose(found.states[i], alone.states, rtol=1e-4, atol=1e-6)
        np.testing.assert_array_equal(found.symbols[i], alone.symbols)


@pytest.mark.parametrize(("gain", "zone"), [(2.0, CLUSTER), (0.3, OTHER)])
def test_a_deep_well_is_a_cluster_if_its_softmax_is_sharp(gain, zone):
    # h = tanh(1.5 h) at 0.858; the margin of the logits is twice gain * h there.
    params = {"W_rec": [[1.5]], "W_in": [[1.0]], "W_out": [[gain], [-gain]]}
    well = network(WELL, {name: jnp.asarray(x) for name, x in params.items()}, 0.01)
    found = record(well, 16, T, KEY)
    np.testing.assert_array_equal(found.zone, zone)
    assert set(np.unique(found.symbols)) == {0, 1}
    assert (np.ptp(np.asarray(found.symbols), axis=1) == 0).all()


def test_zones_are_those_of_residency_up_to_its_draws():
    net = small().replace(W_rec=2.5 * small().params["W_rec"])
    found = record(net, 20, 100, KEY)
    stay = residency(
        net_of(net.cell, net.params, 0.8), found.states, jax.random.key(9), n_rollouts=200
    )
    truth = np.asarray(zones(stay.time, stay.max_probability))
    assert len(np.unique(truth)) >= 3
    assert (np.asarray(found.zone) == truth).mean() > 0.75


def test_too_few_runs_or_steps_are_refused():
    for n_runs, n_steps in [(0, T), (2, 1)]:
        with pytest.raises(InputError, match="1 run of 2 steps"):
            record(small(), n_runs, n_steps, KEY)


@pytest.mark.parametrize("value", [3.0, np.nan])
def test_a_diverging_network_is_refused(value):
    params = {**small().params, "W_rec": jnp.full((12, 12), value)}
    with pytest.raises(DivergingNetworkError, match="not finite"):
        record(small().replace(**params), B, T, KEY)
