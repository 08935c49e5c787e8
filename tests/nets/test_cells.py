from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from networks import net_of
from scipy import stats

from hmmrnn.errors import InputError
from hmmrnn.nets import NetConfig, init_params, make_cell
from hmmrnn.nets.cells import Gates

from .oracles import KINDS, D, K, N, kind_name, looped, network, relative_error

kinds = pytest.mark.parametrize("config", KINDS, ids=kind_name)
init = jax.jit(init_params, static_argnames="cell")


@kinds
def test_parameters_have_the_names_and_shapes_of_the_equation(config):
    params = init_params(make_cell(config, K), jax.random.key(0))
    expected = {"W_in": (N, D), "W_rec": (N, N), "W_out": (K, N)}
    expected |= {"b_rec": (N,), "b_out": (K,)} if config.bias else {}
    assert {name: value.shape for name, value in params.items()} == expected
    assert {value.dtype for value in params.values()} == {jnp.dtype(jnp.float32)}


WIDE = make_cell(NetConfig(hidden_size=150, noise_dim=100, bias=True), 40)


def test_fresh_parameters_follow_a_uniform_law():
    bound = 150**-0.5
    for name, value in init(WIDE, jax.random.key(1)).items():
        entries = np.asarray(value, float).ravel()
        assert np.abs(entries).max() <= bound, name
        assert stats.kstest(entries, stats.uniform(-bound, 2 * bound).cdf).pvalue > 1e-3, name
        # s^2 of n uniform values has standard deviation sigma^2 sqrt((9/5 - 1) / n)
        z = (np.mean(entries**2) / (bound**2 / 3) - 1) / np.sqrt(0.8 / entries.size)
        assert abs(z) < 4, name


def test_fresh_parameters_are_unrelated_to_each_other_and_across_keys():
    first, second = (init(WIDE, jax.random.key(seed)) for seed in (0, 1))
    n = 6000  # the size of W_out, the smallest matrix
    draws = [np.ravel(p[name])[:n] for p in (first, second) for name in ("W_in", "W_rec", "W_out")]
    correlation = np.corrcoef(draws)[~np.eye(len(draws), dtype=bool)]
    assert np.abs(correlation).max() < 4.5 / np.sqrt(n)
    for name in ("b_rec", "b_out"):
        assert not np.array_equal(first[name], second[name])


def test_vmapped_keys_give_the_networks_of_a_loop():
    cell = make_cell(KINDS[0], K)
    keys = jax.random.split(jax.random.key(2), 3)
    stacked = jax.jit(jax.vmap(partial(init_params, cell)))(keys)
    for i, key in enumerate(keys):
        for name, alone in init_params(cell, key).items():
            np.testing.assert_allclose(np.asarray(stacked[name])[i], alone, rtol=1e-6)


@kinds
def test_step_and_readout_are_one_turn_of_the_loop(config):
    cell, params = network(config)
    rng = np.random.default_rng(0)
    h, x = jnp.asarray(rng.normal(size=N)), jnp.asarray(rng.normal(size=D))
    gates = {
        name: jnp.asarray(rng.normal(size=N))
        for name in ("recurrent_gain", "noise_gain", "state_gain", "state_offset")
    }
    found = net_of(cell, params).step(h, net_of(cell, params).drive(x), Gates(**gates))
    states, logits = looped(config.activation, params, h, [x], **gates)
    assert relative_error(found, states[0]) < 1e-5
    assert relative_error(net_of(cell, params).readout(jnp.asarray(states[0])), logits[0]) < 1e-5


@kinds
def test_a_drive_of_zero_is_no_input(config):
    cell, params = network(config)
    h = jnp.asarray(np.random.default_rng(1).normal(size=N))
    states, _ = looped(config.activation, params, h, np.zeros((1, D)))
    assert relative_error(net_of(cell, params).step(h, 0.0), states[0]) < 1e-5


def test_drive_and_readout_take_any_number_of_steps_at_once():
    cell, params = network(KINDS[1])
    rng = np.random.default_rng(2)
    x, h = jnp.asarray(rng.normal(size=(2, 5, D))), jnp.asarray(rng.normal(size=(2, 5, N)))
    W_in, W_out, b_out = (np.asarray(params[name], float) for name in ("W_in", "W_out", "b_out"))
    assert relative_error(net_of(cell, params).drive(x), np.einsum("nd,abd->abn", W_in, x)) < 1e-5
    expected = np.einsum("kn,abn->abk", W_out, h) + b_out
    assert relative_error(net_of(cell, params).readout(h), expected) < 1e-5


@pytest.mark.parametrize("bias", [False, True])
def test_the_jacobian_of_a_relu_step_is_w_rec_masked_by_active_units(bias):
    cell, params = network(NetConfig(hidden_size=N, noise_dim=D, bias=bias))
    jacobian = jax.jit(
        jax.jacfwd(lambda h, x: net_of(cell, params).step(h, net_of(cell, params).drive(x)))
    )
    n_active = []
    for seed in range(5):
        rng = np.random.default_rng(seed)
        h, x = rng.normal(size=N), rng.normal(size=D)
        active = np.asarray(looped("relu", params, h, [x])[0][0] > 0, float)
        n_active.append(active.sum())
        expected = np.diag(active) @ np.asarray(params["W_rec"])
        np.testing.assert_allclose(jacobian(h, x), expected, atol=1e-7)
    assert 0 < np.mean(n_active) < N  # both kinds of units were seen


def test_the_jacobian_of_a_tanh_step_is_w_rec_scaled_by_the_slopes():
    cell, params = network(KINDS[2])
    rng = np.random.default_rng(3)
    h, x = rng.normal(size=N), rng.normal(size=D)
    jacobian = jax.jit(
        jax.jacrev(lambda h, x: net_of(cell, params).step(h, net_of(cell, params).drive(x)))
    )
    slopes = 1 - looped("tanh", params, h, [x])[0][0] ** 2
    expected = np.diag(slopes) @ np.asarray(params["W_rec"])
    np.testing.assert_allclose(jacobian(h, x), expected, atol=1e-6)


def test_the_zero_initial_state_is_zero_whatever_the_key():
    cell = make_cell(KINDS[0], K)
    for seed in range(3):
        np.testing.assert_array_equal(net_of(cell).initial_state(jax.random.key(seed)), np.zeros(N))


def test_the_random_initial_state_is_the_activation_of_a_standard_normal_draw():
    keys = jax.random.split(jax.random.key(0), 3)
    h = {
        activation: np.stack(
            [
                net_of(
                    make_cell(NetConfig(5000, D, activation, initial_state="random"), K)
                ).initial_state(key)
                for key in keys
            ]
        )
        for activation in ("relu", "tanh")
    }
    for draws in h.values():
        assert all(not np.array_equal(draws[i], draws[j]) for i, j in [(0, 1), (0, 2), (1, 2)])
    assert h["relu"].min() == 0
    n_active = np.sum(h["relu"] > 0)
    assert abs(n_active - h["relu"].size / 2) < 4 * np.sqrt(h["relu"].size / 4)
    positive = h["relu"][h["relu"] > 0]
    assert stats.kstest(positive, stats.halfnorm.cdf).pvalue > 1e-3
    assert stats.kstest(np.arctanh(h["tanh"].ravel()), stats.norm.cdf).pvalue > 1e-3


def test_a_cell_is_a_hashable_record_of_its_configuration():
    config = NetConfig(N, D, "tanh", True, "random")
    cell = make_cell(config, K)
    assert (cell.n_symbols, cell.hidden_size, cell.noise_dim) == (K, N, D)
    assert (cell.activation, cell.bias, cell.initial_state) == ("tanh", True, "random")
    assert cell == make_cell(config, K)
    assert hash(cell) == hash(make_cell(config, K))
    assert cell != make_cell(config, K + 1)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"hidden_size": 0}, r"net\.hidden_size=0: must be at least 1"),
        ({"hidden_size": 2.5}, r"net\.hidden_size=2\.5: must be of type int"),
        ({"noise_dim": -3}, r"net\.noise_dim=-3: must be at least 1"),
        ({"activation": "gelu"}, r"net\.activation=gelu: allowed are relu, tanh"),
        ({"bias": "yes"}, r"net\.bias='yes': must be of type bool"),
        ({"initial_state": "one"}, r"net\.initial_state=one: allowed are zero, random"),
    ],
)
def test_wrong_settings_name_the_field_the_value_and_what_is_allowed(wrong, message):
    with pytest.raises(InputError, match=message):
        NetConfig(**wrong)


@pytest.mark.parametrize("wrong", [{}, {"W_rec": jnp.zeros((N, N + 1))}])
def test_weights_that_are_not_those_of_the_cell_are_refused(wrong):
    cell = make_cell(KINDS[0], K)
    params = init_params(cell, jax.random.key(0))
    del params["W_rec"]
    with pytest.raises(InputError, match="W_rec"):
        net_of(cell, params | wrong).step(jnp.zeros(N), 0.0)
