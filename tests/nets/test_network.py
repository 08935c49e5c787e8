"""A network as one value: what changes it, what compiles it, and what else is one."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from networks import SMALL, net_of, random_network

from hmmrnn import InputError, train
from hmmrnn.nets import Network, init_params
from hmmrnn.tasks.kick_circuit import kick_network

KEY = jax.random.key(4)
T, B = 5, 3


def net(seed=0, noise_std=0.7):
    return net_of(SMALL, random_network(np.random.default_rng(seed)), jnp.float32(noise_std))


def test_replaced_parameters_change_nothing_else():
    one = net()
    other = one.replace(W_rec=2 * one.params["W_rec"], noise_std=1.5)
    np.testing.assert_array_equal(other.params["W_rec"], 2 * np.asarray(one.params["W_rec"]))
    chex.assert_trees_all_equal(
        {name: other.params[name] for name in ("W_in", "W_out")},
        {name: one.params[name] for name in ("W_in", "W_out")},
    )
    assert (other.noise_std, other.cell) == (1.5, one.cell)
    assert one.noise_std == jnp.float32(0.7)


def test_other_columns_of_the_input_weights_are_other_inputs():
    """With one input for each unit, the drive is the input."""
    one = net()
    own = one.replace(W_in=jnp.eye(12))
    assert (own.noise_dim, one.noise_dim) == (12, 5)
    noise, h0 = one.noise(jax.random.split(KEY, B), T), jnp.zeros((B, 12))
    expected = one.run(h0, noise).states
    np.testing.assert_allclose(own.run(h0, one.drive(noise)).states, expected, atol=1e-6)
    with pytest.raises(InputError, match=r"W_rec.*\(12, 12\)"):
        one.replace(W_rec=jnp.eye(11)).run(h0, noise)


def test_noise_has_its_standard_deviation():
    x = net(noise_std=0.7).noise(jax.random.split(KEY, 400), 20)
    assert x.shape == (20, 400, 5)
    assert float(x.std()) == pytest.approx(0.7, rel=0.02)


def test_networks_are_stacked_and_run_side_by_side():
    nets, keys = [net(0, 0.5), net(1, 1.5)], jax.random.split(KEY, (2, B))
    stacked = jax.tree.map(lambda *x: jnp.stack(x), *nets)
    together = jax.vmap(lambda network, keys: network.simulate(T, keys))(stacked, keys)
    for i, each in enumerate(nets):
        alone = each.simulate(T, keys[i])
        np.testing.assert_allclose(together.states[i], alone.states, rtol=1e-5, atol=1e-6)
    assert not np.allclose(together.states[0], together.states[1])


def test_a_cell_compiles_once_whatever_its_parameters():
    chex.clear_trace_counter()
    step = jax.jit(chex.assert_max_traces(lambda network, h: network.step(h), n=1))
    h = jnp.ones(12)
    found = [step(net(seed, noise_std), h) for seed, noise_std in ((0, 0.5), (1, 2.0))]
    assert not np.allclose(*found)


def test_trained_and_planted_networks_are_networks(smoke):
    fit = train(smoke.replace(train={"epochs": 1}), 0.9, KEY)
    planted = kick_network(KEY, n_distractors=0)
    for each in (fit, planted):
        assert isinstance(each, Network)
        assert type(each.bare) is Network
        assert each.bare.cell == each.cell
        keys = jax.random.split(KEY, B)
        chex.assert_trees_all_equal(each.bare.simulate(T, keys), each.simulate(T, keys))
    chex.assert_trees_all_equal_shapes(dict(fit.params), init_params(smoke.cell, KEY))


def test_the_digest_is_of_all_that_changes_what_a_network_does():
    one = net()
    params = {name: np.asarray(x) for name, x in one.params.items()}
    assert one.digest == Network(params, np.float64(0.7), one.cell).digest
    others = [
        one.replace(noise_std=0.8),
        one.replace(W_rec=1.001 * one.params["W_rec"]),
        Network(one.params, one.noise_std, one.cell.clone(activation="tanh")),
        Network(one.params, one.noise_std, one.cell.clone(leak=0.5)),
    ]
    assert len({each.digest for each in (one, *others)}) == 5


def test_a_trained_network_that_is_changed_is_none_that_was_trained(smoke):
    fit = train(smoke.replace(train={"epochs": 1}), 1.0, KEY)
    assert type(fit.replace(noise_std=0.5)) is Network
    assert fit.replace(noise_std=0.5).noise_std == 0.5
    np.testing.assert_array_equal(fit.generate(3, T, KEY), fit.bare.generate(3, T, KEY))
