"""Leaky units: h_t = (1-l) h_{t-1} + l f(a_t), and nothing else than before without a leak."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from networks import net_of

from hmmrnn.errors import InputError
from hmmrnn.nets import Intervention, RNNCell, make_cell
from hmmrnn.nets.cells import ACTIVATIONS, Gates

from .oracles import KINDS, D, K, N, T, kind_name, network, relative_error

kinds = pytest.mark.parametrize("config", KINDS, ids=kind_name)
RNG = np.random.default_rng(0)
NOISE = jnp.asarray(RNG.normal(size=(T, D)), jnp.float32)
H0 = jnp.asarray(RNG.normal(size=N), jnp.float32)
GATES = {
    name: RNG.normal(size=(T, N)).astype(np.float32)
    for name in ("recurrent_gain", "noise_gain", "state_gain", "state_offset")
}


def leaky(config, leak):
    cell, params = network(config)
    return cell.clone(leak=leak), params


def looped(cell, params, h, recurrent_gain=1.0, noise_gain=1.0, state_gain=1.0, state_offset=0.0):
    """States of the leaky equation in float64, with gates (T, N)."""
    p = {name: np.asarray(value, float) for name, value in params.items()}
    f = {"relu": lambda a: np.maximum(a, 0), "tanh": np.tanh}[cell.activation]
    gates = [np.broadcast_to(g, (T, N)) for g in (recurrent_gain, noise_gain)]
    ends = [np.broadcast_to(g, (T, N)) for g in (state_gain, state_offset)]
    h, states = np.asarray(h, float), []
    for t in range(T):
        a = gates[0][t] * (p["W_rec"] @ h) + gates[1][t] * (p["W_in"] @ np.asarray(NOISE[t], float))
        h = (1 - cell.leak) * h + cell.leak * f(a + p.get("b_rec", 0.0))
        h = ends[0][t] * h + ends[1][t]
        states.append(h)
    return np.array(states)


@kinds
def test_a_leaky_network_follows_its_equation_with_and_without_gates(config):
    cell, params = leaky(config, 0.3)
    for gates in ({}, GATES):
        arrays = {name: jnp.asarray(value) for name, value in gates.items()}
        found = net_of(cell, params).run(H0, NOISE, Intervention(**arrays))
        assert relative_error(found.states, looped(cell, params, H0, **gates)) < 1e-5


@kinds
def test_without_a_leak_the_step_is_compiled_as_it_was_before_there_was_one(config):
    cell, params = network(config)
    assert cell == cell.clone(leak=1.0)

    def plain(h, x):
        a = net_of(cell, params).preactivation(h, net_of(cell, params).drive(x))
        return 1.0 * ACTIVATIONS[cell.activation](a) + 0.0

    def now(h, x, cell=cell):
        return net_of(cell, params).step(h, net_of(cell, params).drive(x))

    def program(function):
        return jax.jit(function).lower(H0, NOISE[0]).as_text().replace(function.__name__, "")

    assert program(now) == program(plain)
    with_leak = cell.clone(leak=0.5)
    assert program(lambda h, x: now(h, x, with_leak)) != program(plain)
    np.testing.assert_array_equal(jax.jit(now)(H0, NOISE[0]), jax.jit(plain)(H0, NOISE[0]))


def test_gates_on_the_state_act_after_the_leak():
    """Only then is a held unit at its value at once, instead of going there slowly."""
    cell, params = leaky(KINDS[1], 0.2)
    held = Gates(state_gain=jnp.zeros(N), state_offset=jnp.full(N, 1.5))
    x = net_of(cell, params).drive(NOISE[0])
    np.testing.assert_array_equal(net_of(cell, params).step(H0, x, held), jnp.full(N, 1.5))
    halved = net_of(cell, params).step(H0, x, Gates(state_gain=0.5))
    np.testing.assert_allclose(halved, 0.5 * net_of(cell, params).step(H0, x), rtol=1e-6)


def test_without_drive_a_silent_unit_forgets_by_the_leak():
    cell, params = leaky(KINDS[0], 0.2)
    still = {name: 0 * value for name, value in params.items()}
    states = net_of(cell, still).run(H0, 0 * NOISE).states
    expected = 0.8 ** np.arange(1, T + 1)[:, None] * np.asarray(H0)
    np.testing.assert_allclose(states, expected, rtol=1e-5)


def test_a_fixed_point_does_not_depend_on_the_leak():
    cell, params = network(KINDS[3], gain=0.5)
    end = net_of(cell, params).run(H0, jnp.zeros((200, D))).states[-1]
    assert jnp.abs(end).max() > 0.1
    slow = net_of(cell.clone(leak=0.3), params).run(end, jnp.zeros((20, D))).states
    np.testing.assert_allclose(slow, jnp.broadcast_to(end, slow.shape), atol=1e-5)


@pytest.mark.parametrize("leak", [0.0, -0.1, 1.1, float("nan")])
def test_a_wrong_leak_is_refused(leak):
    cell = RNNCell(n_symbols=K, hidden_size=N, noise_dim=D, leak=leak)
    params = network(KINDS[0])[1]
    with pytest.raises(InputError, match="leak="):
        net_of(cell, params).step(H0, 0.0)


def test_configurations_make_cells_without_a_leak():
    assert {make_cell(config, K).leak for config in KINDS} == {1.0}
