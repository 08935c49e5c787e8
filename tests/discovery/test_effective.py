"""Effective connectivity against autodiff of the step and of runs, and against loops."""

import dataclasses
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from networks import net_of

from hmmrnn.discovery.case import clean_run
from hmmrnn.discovery.effective import (
    before,
    between_groups,
    connectivity,
    gates,
    mean_connectivity,
    over_windows,
    projected,
    readout_sensitivity,
    self_transfer,
    step_jacobian,
    transfer,
)
from hmmrnn.errors import InputError
from hmmrnn.nets import Intervention, RNNCell, init_params

from .cases import WINDOWS, small_case

T, B, N, D, K = 12, 6, 9, 3, 2
CELLS = [
    RNNCell(K, N, D, activation=activation, bias=True, leak=leak)
    for activation in ("relu", "tanh")
    for leak in (1.0, 0.2)
]


def each(cells):
    return pytest.mark.parametrize("cell", cells, ids=lambda cell: f"{cell.activation}-{cell.leak}")


cells, unlike = each(CELLS), each(CELLS[1:3])  # relu that leaks, tanh that does not


def network(cell, seed=0):
    key_params, key_h, key_x = jax.random.split(jax.random.key(seed), 3)
    params = {name: 2 * value for name, value in init_params(cell, key_params).items()}
    return params, jax.random.normal(key_h, (B, N)), jax.random.normal(key_x, (T, B, D))


def trajectory(cell):
    """One run: parameters, the states its steps start from, its inputs."""
    params, h0, x = network(cell)
    return params, before(h0[0], net_of(cell, params).run(h0[0], x[:, 0]).states), x[:, 0]


def loops(cell, params, h, x):
    """S of one step in float64, an edge at a time, with the derivative by central differences."""
    W, W_in, b = (np.asarray(params[name], float) for name in ("W_rec", "W_in", "b_rec"))
    f = {"relu": lambda a: max(a, 0.0), "tanh": np.tanh}[cell.activation]
    S = np.zeros((N, N))
    for i in range(N):
        a = sum(W[i, j] * h[j] for j in range(N)) + W_in[i] @ np.asarray(x, float) + b[i]
        gate = cell.leak * (f(a + 1e-6) - f(a - 1e-6)) / 2e-6
        for j in range(N):
            S[i, j] = gate * W[i, j] * h[j]
    return S


@unlike
def test_connectivity_is_gate_times_wire_times_signal(cell):
    params, h, x = trajectory(cell)
    S = connectivity(net_of(cell, params), h, x)
    assert S.shape == (T, N, N)
    for t in (0, 5, T - 1):
        np.testing.assert_allclose(
            S[t], loops(cell, params, np.asarray(h[t], float), x[t]), atol=1e-5
        )
    assert connectivity(net_of(cell, params), h[0], x[0]).shape == (N, N)


@cells
def test_step_jacobian_is_the_derivative_of_the_step(cell):
    params, h, x = trajectory(cell)
    derivative = jax.vmap(
        lambda h, x: jax.jacrev(net_of(cell, params).step)(h, net_of(cell, params).drive(x))
    )
    J = step_jacobian(net_of(cell, params), h, x)
    np.testing.assert_allclose(J, derivative(h, x), atol=1e-5)
    np.testing.assert_allclose(
        jnp.diagonal(J, axis1=1, axis2=2), self_transfer(net_of(cell, params), h, x), atol=1e-6
    )


@unlike
def test_what_is_received_and_kept_makes_the_next_state(cell):
    """The Jacobian times the state is what is kept and all messages."""
    params, h, x = trajectory(cell)
    handed_on = jnp.einsum("tij,tj->ti", step_jacobian(net_of(cell, params), h, x), h)
    sums = (1 - cell.leak) * h + connectivity(net_of(cell, params), h, x).sum(-1)
    np.testing.assert_allclose(sums, handed_on, atol=1e-5)


@cells
def test_transfer_is_the_derivative_of_the_last_state_by_the_first(cell):
    params, h, x = trajectory(cell)
    derivative = jax.jacrev(lambda h0: net_of(cell, params).run(h0, x).states[-1])(h[0])
    found = transfer(step_jacobian(net_of(cell, params), h, x))
    assert np.abs(derivative).max() > 1e-3
    np.testing.assert_allclose(found, derivative, atol=1e-5)


def test_transfer_of_parts_and_of_nothing():
    J = jnp.asarray(np.random.default_rng(0).normal(size=(7, N, N)), jnp.float32) / N**0.5
    np.testing.assert_allclose(transfer(J), transfer(J[4:]) @ transfer(J[:4]), atol=1e-5)
    np.testing.assert_array_equal(transfer(J[:0]), np.eye(N))


@cells
def test_readout_sensitivity_is_the_derivative_by_the_state_after_each_step(cell):
    params, h, x = trajectory(cell)

    def last(offset):
        return net_of(cell, params).run(h[0], x, Intervention(state_offset=offset)).logits[-1]

    derivative = jax.jacrev(last)(jnp.zeros((T, N)))  # (K T N)
    found = readout_sensitivity(net_of(cell, params), h, x)
    np.testing.assert_allclose(found, derivative.transpose(1, 2, 0), atol=1e-5)
    np.testing.assert_array_equal(found[-1], params["W_out"].T)


@unlike
def test_projected_sums_what_each_message_does_to_the_readout(cell):
    params, h, x = trajectory(cell)
    S = np.asarray(connectivity(net_of(cell, params), h, x), float)
    sensitivity = np.asarray(readout_sensitivity(net_of(cell, params), h, x), float)
    expected = np.array([S[t].T @ sensitivity[t] for t in range(T)])
    np.testing.assert_allclose(projected(net_of(cell, params), h, x), expected, atol=1e-5)


@unlike
def test_projected_is_what_a_scaled_message_changes(cell):
    """By finite differences: what unit j sends in step t is larger by a share of it."""
    params, h, x = trajectory(cell)
    t, share = T - 3, 1e-2
    j = int(jnp.argmax(jnp.abs(h[t])))
    h_t = h[t].at[j].multiply(1 + share)  # heard by all
    louder = net_of(cell, params).step(h_t, net_of(cell, params).drive(x[t]))
    louder = louder.at[j].add(-(1 - cell.leak) * share * h[t, j])  # but not kept
    moved = net_of(cell, params).run(louder, x[t + 1 :]).logits[-1]
    clean = net_of(cell, params).run(h[0], x).logits[-1]
    expected = projected(net_of(cell, params), h, x)[t, j]
    assert np.abs(expected).max() > 1e-3
    np.testing.assert_allclose((moved - clean) / share, expected, rtol=0.05, atol=1e-3)


@unlike
def test_trials_side_by_side_are_single_trials(cell):
    params, h0, x = network(cell)
    h = before(h0, net_of(cell, params).run(h0, x).states)
    np.testing.assert_allclose(
        connectivity(net_of(cell, params), h, x)[:, 3],
        connectivity(net_of(cell, params), h[:, 3], x[:, 3]),
        atol=1e-6,
    )
    of_trials = jax.vmap(partial(projected, net_of(cell, params)), in_axes=1, out_axes=1)(h, x)
    assert of_trials.shape == (T, B, N, K)
    np.testing.assert_allclose(
        of_trials[:, 3], projected(net_of(cell, params), h[:, 3], x[:, 3]), atol=1e-5
    )


@unlike
def test_mean_connectivity_is_the_mean_over_trials(cell):
    its = small_case(cell.activation, cell.leak)
    steps = np.array([0, 7, 3])
    h = before(its.h0, clean_run(its).states)
    expected = connectivity(net_of(its, h), its.inputs).mean(1)[steps]
    np.testing.assert_allclose(mean_connectivity(its, steps), expected, atol=1e-6)


@pytest.mark.parametrize("wrong", [-1, T])
def test_steps_outside_of_the_trials_are_refused(wrong):
    with pytest.raises(InputError, match=f"step {wrong}: .* 0 .. {T - 1}"):
        mean_connectivity(small_case(), np.array([0, wrong]))


def test_between_groups_sums_senders_and_averages_receivers():
    S = np.random.default_rng(1).normal(size=(4, N, N)).astype(np.float32)
    units = {"a": [0, 3, 4], "b": [1], "both": [0, 1], "empty": []}
    groups = {name: np.isin(np.arange(N), members) for name, members in units.items()}
    found = np.asarray(between_groups(jnp.asarray(S), groups))
    for g, receivers in enumerate(units.values()):
        for k, senders in enumerate(units.values()):
            drives = [sum(S[:, i, j] for j in senders) for i in receivers]
            expected = np.mean(drives, axis=0) * np.ones(4) if receivers else np.full(4, np.nan)
            np.testing.assert_allclose(found[:, g, k], expected, atol=1e-5)


def test_relu_without_leak_counts_only_active_receivers():
    cell = CELLS[0]
    params, h, x = trajectory(cell)
    after = net_of(cell, params).run(h[0], x).states
    np.testing.assert_array_equal(gates(net_of(cell, params), h, x), after > 0)
    slow = dataclasses.replace(cell, leak=0.2)
    np.testing.assert_allclose(
        gates(net_of(slow, params), h, x), 0.2 * gates(net_of(cell, params), h, x)
    )


def test_windows_transfer_states_and_move_the_readout_at_their_end():
    case = small_case("tanh", leak=0.4)
    through, sent = over_windows(case)
    assert through.shape == (3, N, N)
    first, end = WINDOWS["middle"]
    h = before(case.h0, clean_run(case).states)

    def last(start):
        return case.network.run(start, case.inputs[first:end, 0]).states[-1]

    np.testing.assert_allclose(through[1], jax.jacrev(last)(h[first, 0]), rtol=1e-3, atol=1e-5)
    each = [
        projected(net_of(case, h[first:end, b]), case.inputs[first:end, b]).sum(0) for b in range(B)
    ]
    np.testing.assert_allclose(sent[1], np.mean(each, axis=0), rtol=1e-3, atol=1e-5)
