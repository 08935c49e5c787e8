from functools import partial
from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import net_of
from scipy.integrate import quad
from scipy.special import erfcx
from scipy.stats import norm

from hmmrnn import InputError
from hmmrnn.dynamics.mean_shift_report import mean_shift_report
from hmmrnn.dynamics.mean_shifts import (
    activation_mean_shift,
    mean_shift,
    monte_carlo_shift,
    one_step_shift,
    propagated_shift,
    rectified_mean_shift,
)
from hmmrnn.intervals import Estimate
from hmmrnn.nets import RNNCell, init_params


def cell_of(activation):
    return RNNCell(3, 12, 5, activation)


def network(activation="relu", bias=False, n=12, seed=0, gain=1.0, leak=1.0):
    cell = RNNCell(3, n, 5, activation, bias, leak=leak)
    params = init_params(cell, jax.random.key(seed))
    return cell, params | {"W_rec": gain * params["W_rec"]}


def starts_of(cell, n_starts=3):
    return jnp.abs(jax.random.normal(jax.random.key(9), (n_starts, cell.hidden_size)))


def drive_std(params, noise_std):
    return noise_std * np.sqrt(np.sum(np.asarray(params["W_in"], float) ** 2, axis=1))


def expected_change(f, a, s):
    """E[f(a + s z)] - f(a) by adaptive quadrature, with the kink of relu as a break."""
    edges = sorted({-10.0, float(np.clip(-a / s, -10, 10)), 10.0})
    pieces = [
        quad(lambda z: f(a + s * z) * norm.pdf(z), *ends, epsabs=1e-13, limit=300)[0]
        for ends in pairwise(edges)
    ]
    return sum(pieces) - f(a)


@pytest.mark.parametrize("s", [0.1, 1.0, 3.0])
def test_at_threshold_the_shift_of_relu_is_the_mean_of_a_half_normal(s):
    shift = rectified_mean_shift(jnp.zeros(1), s)
    np.testing.assert_allclose(shift, s / np.sqrt(2 * np.pi), rtol=1e-6)


@pytest.mark.parametrize("s", [0.3, 1.0, 4.0])
def test_relu_agrees_with_quadrature(s):
    a = np.array([-6, -2, -0.7, 0, 0.1, 1.5, 3, 5.0]) * s
    expected = [expected_change(lambda x: max(x, 0.0), x, s) for x in a]
    found = rectified_mean_shift(jnp.asarray(a, jnp.float32), s)
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-12)
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_tails_of_relu_are_accurate_and_never_negative():
    u = np.linspace(0, 12, 500).astype(np.float32)
    exact = u.astype(float)
    mills = np.sqrt(np.pi / 2) * erfcx(exact / np.sqrt(2))
    expected = norm.pdf(exact) * (1 - exact * mills)
    found = rectified_mean_shift(jnp.asarray(u), 1.0)
    np.testing.assert_allclose(found, expected, rtol=3e-5)
    np.testing.assert_array_equal(found, rectified_mean_shift(-jnp.asarray(u), 1.0))
    far = rectified_mean_shift(jnp.array([30.0, -1e4, 1e38]), 1.0)
    assert np.all(far >= 0)
    assert np.all(far < 1e-30)


@settings(deadline=None, max_examples=50)
@given(st.floats(-50, 50, width=32), st.floats(0.125, 8, width=32))
def test_relu_shift_is_positive_bounded_and_scales(a, s):
    found, doubled = (float(rectified_mean_shift(jnp.float32(k * a), k * s)) for k in (1.0, 2.0))
    assert 0 <= found <= s / np.sqrt(2 * np.pi) * (1 + 1e-6)
    assert doubled == pytest.approx(2 * found, rel=1e-5)


def test_without_noise_nothing_shifts_and_nan_stays():
    a = jnp.array([-1.0, 0.0, 2.0, jnp.nan])
    for activation in ("relu", "tanh"):
        found = activation_mean_shift(cell_of(activation), a, jnp.zeros(4))
        np.testing.assert_array_equal(found, [0, 0, 0, np.nan])
        unknown = activation_mean_shift(cell_of(activation), a, jnp.full(4, jnp.nan))
        assert np.isnan(unknown).all()


@pytest.mark.parametrize(("s", "error"), [(0.3, 2e-7), (1.0, 2e-7), (5.0, 5e-7), (10.0, 1e-4)])
def test_tanh_agrees_with_quadrature(s, error):
    a = np.array([-3, -0.4, 0, 0.2, 1, 2.5])
    expected = [expected_change(np.tanh, x, s) for x in a]
    a32, s32 = jnp.asarray(a, jnp.float32), jnp.full(6, s, jnp.float32)
    found = activation_mean_shift(cell_of("tanh"), a32, s32)
    np.testing.assert_allclose(found, expected, atol=error)


@pytest.mark.parametrize(
    ("activation", "bias", "leak"),
    [("relu", False, 1.0), ("relu", True, 1.0), ("tanh", True, 1.0), ("relu", True, 0.3)],
)
def test_one_step_agrees_with_monte_carlo(activation, bias, leak):
    cell, params = network(activation, bias, leak=leak)
    starts = starts_of(cell)
    exact = one_step_shift(net_of(cell, params, 1.3), starts)
    sampled = monte_carlo_shift(net_of(cell, params, 1.3), starts, jax.random.key(1), 4000, 1)
    deviation = np.abs(sampled.mean[0] - exact) / sampled.standard_error[0]
    assert np.all(deviation < 4)
    assert np.max(np.abs(exact) / sampled.standard_error[0]) > 10  # there is something to find


def test_monte_carlo_agrees_with_a_numpy_simulation():
    cell, params = network(gain=2.0)
    starts = starts_of(cell, 2)
    found = monte_carlo_shift(net_of(cell, params, 0.8), starts, jax.random.key(2), 3000, 3)
    w, w_in = (np.asarray(params[name], float) for name in ("W_rec", "W_in"))
    rng = np.random.default_rng(0)
    for p, start in enumerate(np.asarray(starts, float)):
        h, quiet = np.tile(start, (20_000, 1)), start
        for t in range(3):
            noise = 0.8 * rng.standard_normal((20_000, 5))
            h = np.maximum(h @ w.T + noise @ w_in.T, 0)
            quiet = np.maximum(w @ quiet, 0)
            error = np.hypot(found.standard_error[t, p], h.std(axis=0) / np.sqrt(20_000))
            assert np.all(np.abs(found.mean[t, p] - (h.mean(axis=0) - quiet)) <= 4.5 * error)


def test_standard_errors_are_those_of_the_mean_over_draws():
    cell, params = network()
    sample = jax.jit(
        lambda key: monte_carlo_shift(net_of(cell, params, 1.0), starts_of(cell), key, 50, 2).mean
    )
    means = jnp.stack([sample(key) for key in jax.random.split(jax.random.key(3), 60)])
    one = monte_carlo_shift(net_of(cell, params, 1.0), starts_of(cell), jax.random.key(4), 3000, 2)
    expected = one.standard_error * np.sqrt(3000 / 50)
    assert np.median(np.std(means, axis=0) / expected) == pytest.approx(1, abs=0.1)
    assert np.ptp(means, axis=0).min() > 0  # keys differ


@pytest.mark.parametrize("leak", [1.0, 0.3])
def test_propagation_agrees_with_a_recursion_in_numpy(leak):
    cell, params = network(bias=True, gain=1.5, leak=leak)
    starts = starts_of(cell, 2)
    found = propagated_shift(net_of(cell, params, 0.7), starts, 4)
    w, b = (np.asarray(params[name], float) for name in ("W_rec", "b_rec"))
    s = drive_std(params, 0.7)
    mean = quiet = np.asarray(starts, float)
    for t in range(4):
        a = mean @ w.T + b
        rectified = s * norm.pdf(a / s) + a * norm.cdf(a / s)
        mean = (1 - leak) * mean + leak * rectified
        quiet = (1 - leak) * quiet + leak * np.maximum(quiet @ w.T + b, 0)
        np.testing.assert_allclose(found[t], mean - quiet, atol=1e-5)
    np.testing.assert_allclose(
        found[0], one_step_shift(net_of(cell, params, 0.7), starts), atol=1e-6
    )


def test_without_recurrence_propagation_is_exact():
    cell, params = network(gain=0.0)
    starts = starts_of(cell, 2)
    expected = drive_std(params, 2.0) / np.sqrt(2 * np.pi)
    found = propagated_shift(net_of(cell, params, 2.0), starts, 3)
    np.testing.assert_allclose(found, np.broadcast_to(expected, found.shape), rtol=1e-5)


def test_units_far_above_threshold_do_not_shift():
    cell, params = network(bias=True, gain=0.2)
    params |= {"b_rec": jnp.full(12, 50.0)}
    starts = 50 + starts_of(cell)
    found = monte_carlo_shift(net_of(cell, params, 1.0), starts, jax.random.key(5), 200, 3)
    np.testing.assert_allclose(found.mean, found.linear, atol=2e-5)  # the run is linear in noise
    assert np.all(propagated_shift(net_of(cell, params, 1.0), starts, 3) == 0)


def test_the_linear_response_averages_to_zero():
    cell, params = network(gain=1.5)
    found = monte_carlo_shift(
        net_of(cell, params, 1.0), starts_of(cell), jax.random.key(6), 2000, 4
    )
    spread = np.asarray(found.linear_standard_error)
    moving = spread > 0
    assert moving.mean() > 0.3
    assert np.all(np.abs(found.linear)[moving] < 4.5 * spread[moving])
    assert np.all(found.linear[~moving] == 0)
    assert np.mean(np.abs(found.mean) > 4 * found.standard_error) > 0.5


def second_order(cell, params, start, noise):
    """Half of the second derivative of a run with respect to the size of its noise."""

    def run(size):
        return net_of(cell, params).run(start, size * noise).states

    def slope(size):
        return jax.jvp(run, (size,), (1.0,))[1]

    return jax.jvp(slope, (0.0,), (1.0,))[1] / 2


def test_small_noise_shifts_tanh_by_its_second_order_term_and_relu_has_none():
    noise = 0.05 * jax.random.normal(jax.random.key(7), (2000, 1, 5))
    for activation in ("tanh", "relu"):
        cell, params = network(activation, bias=True)
        start = starts_of(cell, 1)[0]
        term = jnp.mean(jax.vmap(partial(second_order, cell, params, start))(noise), axis=0)
        if activation == "relu":
            assert np.all(term == 0)
        else:
            exact = one_step_shift(net_of(cell, params, 0.05), start)
            np.testing.assert_allclose(term[0], exact, rtol=0.15)


def test_shifts_of_a_bias_free_relu_network_scale_with_its_noise():
    """Homogeneity: of first order in the noise, although the drive is unbiased."""
    cell, params = network()
    starts = starts_of(cell)
    for shift in (one_step_shift, partial(propagated_shift, n_steps=5)):
        one, three = (shift(net_of(cell, params, s), 2 * s * starts) for s in (0.5, 1.5))
        np.testing.assert_allclose(3 * one, three, rtol=1e-3, atol=1e-6)


def test_many_networks_in_one_compiled_call():
    cell = RNNCell(3, 6, 4)
    keys = jax.random.split(jax.random.key(0), 3)
    params = jax.vmap(partial(init_params, cell))(keys)
    states = jnp.abs(jax.random.normal(jax.random.key(1), (3, 5, 6)))
    stds = jnp.array([0.5, 1.0, 2.0])
    shifts = jax.jit(jax.vmap(mean_shift))(net_of(cell, params, stds), states)
    sample = partial(monte_carlo_shift, n_draws=7, n_steps=2)
    sampled = jax.jit(jax.vmap(sample))(net_of(cell, params, stds), states, keys)
    assert shifts.one_step.shape == shifts.propagated.shape == (3, 5, 6)
    for i in range(3):
        one = {name: value[i] for name, value in params.items()}
        alone = mean_shift(net_of(cell, one, stds[i]), states[i])
        jax.tree.map(
            lambda a, b, i=i: np.testing.assert_allclose(a[i], b, atol=1e-5), shifts, alone
        )
        alone = sample(net_of(cell, one, stds[i]), states[i], keys[i])
        jax.tree.map(
            lambda a, b, i=i: np.testing.assert_allclose(a[i], b, atol=1e-5), sampled, alone
        )


def test_states_that_are_not_finite_give_nan():
    cell, params = network()
    states = jnp.full((2, 12), jnp.nan)
    assert np.isnan(one_step_shift(net_of(cell, params, 1.0), states)).all()
    assert np.isnan(mean_shift(net_of(cell, params, 1.0), states).propagated).all()
    found = monte_carlo_shift(net_of(cell, params, 1.0), states, jax.random.key(0), 3, 2)
    assert np.isnan(found.mean).all()
    assert np.isnan(found.standard_error).all()


def test_one_draw_has_no_standard_error():
    cell, params = network()
    found = monte_carlo_shift(net_of(cell, params, 1.0), starts_of(cell), jax.random.key(0), 1, 2)
    assert np.isfinite(found.mean).all()
    assert np.isnan(found.standard_error).all()


SMALL = {"n_trajectories": 6, "n_steps": 20, "n_draws": 100, "horizon": 4}


def test_report_of_a_network_without_recurrence_is_known():
    cell, params = network(gain=0.0)
    found = mean_shift_report(net_of(cell, params, jnp.float32(2)), jax.random.key(0), **SMALL)
    expected = drive_std(params, 2.0) / np.sqrt(2 * np.pi)
    np.testing.assert_allclose([unit.value for unit in found.unit_shift], expected, rtol=1e-4)
    np.testing.assert_allclose(found.exact, expected, rtol=1e-4)
    assert np.all(np.abs(found.monte_carlo - expected) < 4 * found.monte_carlo_error)
    assert found.shift.value == pytest.approx(expected.mean(), rel=1e-4)
    assert found.activity.value == pytest.approx(expected.mean(), rel=0.1)
    assert len(found.share) == len(found.alignment) == len(found.linear_share) == 4
    for share, alignment in zip(found.share, found.alignment, strict=True):
        assert share.value == pytest.approx(1, abs=0.05)
        assert alignment.value == pytest.approx(1, abs=0.02)
        assert share.low <= share.value <= share.high


def test_report_separates_orders():
    """The first-order response moves single runs, and not their mean."""
    cell, params = network(gain=1.5)
    found = mean_shift_report(net_of(cell, params, jnp.float32(1)), jax.random.key(0), **SMALL)
    assert found.share[0].value == pytest.approx(1, abs=0.1)
    assert all(spread.value > 0.1 for spread in found.linear_spread)
    assert all(share.value < 0.3 for share in found.linear_share)


def test_report_without_noise_has_no_shares():
    cell, params = network()
    found = mean_shift_report(net_of(cell, params, jnp.float32(0)), jax.random.key(0), **SMALL)
    assert found.shift == Estimate(0, 0, 0)
    assert all(np.isnan(share.value) for share in found.share)


def test_report_of_one_unit_with_one_symbol():
    cell = RNNCell(n_symbols=1, hidden_size=1, noise_dim=1, activation="tanh")
    params = {"W_in": jnp.ones((1, 1)), "W_rec": jnp.full((1, 1), 1.5), "W_out": jnp.ones((1, 1))}
    found = mean_shift_report(net_of(cell, params, jnp.float32(0.7)), jax.random.key(0), **SMALL)
    assert len(found.unit_shift) == 1
    assert found.share[0].value == pytest.approx(1, abs=0.3)


def test_report_refuses_what_it_cannot_measure():
    cell, params = network(gain=1e6)
    with pytest.raises(InputError, match="hidden states are not finite"):
        mean_shift_report(net_of(cell, params, jnp.float32(1)), jax.random.key(0), **SMALL)
    with pytest.raises(InputError, match="n_draws=1"):
        mean_shift_report(
            net_of(cell, params, jnp.float32(1)), jax.random.key(0), **(SMALL | {"n_draws": 1})
        )
