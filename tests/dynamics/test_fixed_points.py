"""Fixed points of networks that have known ones, by closed form, enumeration and training.

Most networks here have the same shapes, so that the search is compiled once for each activation.
"""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from networks import net_of
from scipy.linalg import hadamard
from scipy.optimize import brentq, minimize
from scipy.stats import beta

from hmmrnn import InputError
from hmmrnn.dynamics.fixed_points import find
from hmmrnn.dynamics.fixed_points.descent import (
    FIXED,
    INVALID,
    UNFINISHED,
    end_points,
    speed,
)
from hmmrnn.dynamics.fixed_points.find import distinct, find_fixed_points
from hmmrnn.nets import RNNCell, init_params
from hmmrnn.report import fixed_point_summary
from hmmrnn.results import fields

N = 8
P = 96
TANH = RNNCell(n_symbols=2, hidden_size=N, noise_dim=N, activation="tanh", bias=True)
RELU = RNNCell(n_symbols=2, hidden_size=N, noise_dim=N, activation="relu", bias=True)
ROOT = brentq(lambda h: np.tanh(1.5 * h) - h, 0.5, 1)


def network(w_rec, bias=0.0):
    """Parameters; units that `w_rec` leaves out have no weights and stay at f(0) = 0."""
    n = len(w_rec)
    return {
        "W_in": jnp.eye(N),
        "W_rec": jnp.zeros((N, N)).at[:n, :n].set(jnp.asarray(w_rec, jnp.float32)),
        "W_out": jnp.ones((2, N)),
        "b_rec": jnp.zeros(N).at[:n].set(jnp.asarray(bias, jnp.float32)),
        "b_out": jnp.zeros(2),
    }


def starts(places):
    places = np.asarray(places, np.float32)
    return jnp.asarray(np.pad(places, [(0, 0), (0, N - places.shape[1])]))


def uniform(n_units, size=1.0, seed=0):
    return starts(np.random.default_rng(seed).uniform(-size, size, (P, n_units)))


def search(cell, params, h0, n_steps=500):
    return end_points(net_of(cell, params), h0, n_steps=n_steps)


def looked_at(cell, params, h0):
    return distinct(net_of(cell, params), h0, search(cell, params, h0), jax.random.key(0))


def two_wells():
    return network(1.5 * np.eye(2))


def ghost():
    """h = tanh(2 h + 0.56): the fixed points near -0.72 have just met and vanished."""
    return network([[2.0]], 0.56)


def ring():
    """W_ij = (-1 + 4 cos(theta_i - theta_j)) / N: half of the units are active, at any angle."""
    theta = 2 * np.pi * np.arange(N) / N
    return network((-1 + 4 * np.cos(theta[:, None] - theta)) / N, 1.0), theta


def blocked():
    """A relu network, one fixed point, and a minimum of q that stands at a kink."""
    rng = np.random.default_rng(2)
    return network(rng.standard_normal((N, N)) - 0.5, rng.standard_normal(N) + 1), rng


def test_speed_is_half_the_squared_step():
    params, h = two_wells(), uniform(2)[0]
    move = np.tanh(1.5 * np.asarray(h, np.float64)) - h
    assert float(speed(net_of(TANH, params), h)) == pytest.approx(
        float(0.5 * np.sum(move**2)), rel=1e-5
    )


def test_two_wells_have_nine_fixed_points():
    """Each unit alone has -root, 0 and root, and 0 is unstable."""
    h0 = uniform(2, size=1.2)
    found = looked_at(TANH, two_wells(), h0)
    assert (found.n_valid, found.n_fixed, found.n_slow, found.n_points) == (P, P, 0, 9)
    signs = np.round(found.points[:, :2] / ROOT)
    assert len(np.unique(signs, axis=0)) == 9
    np.testing.assert_allclose(found.points[:, :2], signs * ROOT, atol=1e-5)
    assert np.all(found.residual < 1e-5)
    np.testing.assert_array_equal(found.n_unstable, np.sum(signs == 0, axis=1))
    np.testing.assert_array_equal(found.stable, np.all(signs != 0, axis=1))
    np.testing.assert_array_equal(found.returns, found.stable.astype(float))
    slopes = np.sort(1.5 * (1 - found.points[:, :2] ** 2), axis=1)[:, ::-1]
    np.testing.assert_allclose(found.eigenvalues[:, :2].real, slopes, atol=1e-5)
    assert not found.at_kink.any()
    assert found.n_found.sum() == P
    quadrant = np.sign(np.asarray(h0[:, :2]))
    expected = [np.sum(np.all(quadrant == sign, axis=1)) for sign in signs]
    np.testing.assert_array_equal(found.n_attracted, expected)


def test_shares_have_clopper_pearson_intervals():
    found = looked_at(TANH, two_wells(), uniform(2, size=1.2))
    for n, share in zip(found.n_attracted, found.attracted, strict=True):
        low = beta.ppf(0.025, n, P - n + 1) if n else 0.0
        assert share.parts == pytest.approx((n / P, low, beta.ppf(0.975, n + 1, P - n)), abs=1e-6)


def test_one_globally_attracting_point_is_a_count():
    found = looked_at(TANH, network(0.5 * np.eye(N)), uniform(N))
    assert (found.n_points, found.n_settled, found.stable.tolist()) == (1, P, [True])
    assert found.n_attracted.tolist() == [P]
    assert found.attracted[0].low == pytest.approx(0.025 ** (1 / P))
    assert (
        f"{P} of {P} end at the origin (95 % interval of the share 0.962 to 1.000)"
        in fixed_point_summary(found)
    )
    assert set(fields(found)) >= {"n_found", "attracted", "stable"}


def test_a_ghost_is_a_slow_point():
    params = ghost()
    found = looked_at(TANH, params, uniform(1, size=1.2))
    assert (found.n_fixed + found.n_slow, found.fixed.tolist()) == (P, [True, False])
    place = (-np.arctanh(np.sqrt(0.5)) - 0.56) / 2  # where the slope of F is 1
    assert found.points[1, 0] == pytest.approx(place, abs=2e-3)
    assert found.q[1] == pytest.approx(0.5 * (-np.sqrt(0.5) - place) ** 2, rel=1e-3)
    assert found.n_attracted.tolist() == [P, 0]
    assert found.stable.tolist() == [True, False]


def test_a_ring_is_a_continuum_of_neutral_points():
    params, theta = ring()
    rng = np.random.default_rng(0)
    angles = rng.uniform(0, 2 * np.pi, (P, 1))
    bumps = np.pi * np.cos(theta - angles) + 0.3 * rng.standard_normal((P, N))
    h0 = starts(np.maximum(bumps, 0))
    ends_of = search(RELU, params, h0)
    assert np.all(ends_of.kind == FIXED)
    ends = np.asarray(ends_of.points) @ np.exp(1j * theta)
    assert np.ptp(np.abs(ends)) < 0.1 * np.abs(ends).mean()
    assert np.abs(np.angle(ends * np.exp(-1j * angles[:, 0]))).max() < 0.4
    found = looked_at(RELU, params, h0)
    assert found.n_points > 40
    np.testing.assert_allclose(np.abs(found.eigenvalues[:, 0]), 1, atol=1e-3)
    assert not found.stable.any()
    assert f"There are {found.n_points} distinct points" in fixed_point_summary(found)


def test_hopfield_patterns_are_stable():
    """W = 1.5/N sum of x x^T with orthogonal patterns x: fixed points at +-root x."""
    patterns = hadamard(N)[[1, 2, 4]]
    rng = np.random.default_rng(0)
    index, sign = rng.integers(3, size=P), rng.choice([-1, 1], (P, 1))
    h0 = starts(sign * patterns[index] + 0.3 * rng.standard_normal((P, N)))
    found = looked_at(TANH, network(1.5 / N * patterns.T @ patterns), h0)
    stable = found.points[found.stable]
    overlap = stable @ patterns.T / N
    pure = np.abs(overlap).max(axis=1) > 0.9 * ROOT
    np.testing.assert_allclose(np.sort(np.abs(overlap[pure]), axis=1)[:, 2], ROOT, atol=1e-4)
    assert len(np.unique(np.sign(stable[pure]), axis=0)) == 6
    assert found.n_attracted[found.stable].sum() > 0.95 * P


def test_a_minimum_at_a_kink_is_a_slow_point_and_scipy_finds_nothing_lower():
    params, rng = blocked()
    found = looked_at(RELU, params, starts(np.abs(3 * rng.standard_normal((P, N)))))
    assert found.n_fixed + found.n_slow == P
    slow = np.flatnonzero(~found.fixed)
    assert len(slow) >= 1
    assert np.all(found.at_kink[slow])
    w, b = np.asarray(params["W_rec"], float), np.asarray(params["b_rec"], float)

    def q(h):
        return 0.5 * np.sum((np.maximum(w @ h + b, 0) - h) ** 2)

    for i in slow[:2]:
        low = minimize(q, found.points[i], method="Nelder-Mead", options={"maxfev": 4000})
        assert found.q[i] == pytest.approx(q(found.points[i]), rel=1e-3)
        assert low.fun > 0.99 * found.q[i]


@pytest.mark.parametrize(("growth", "stable"), [(0.9, True), (1.1, False)])
def test_the_origin_of_relu_units_is_judged_by_simulation(growth, stable):
    """The mean of all units is multiplied by `growth`, differences by half of it."""
    params = network(growth * (np.eye(N) / 2 + np.ones((N, N)) / (2 * N)))
    found = looked_at(RELU, params, jnp.zeros((P, N)).at[:, 0].set(1e-3))
    (origin,) = np.flatnonzero(found.from_origin < 1e-3)
    assert (bool(found.at_kink[origin]), bool(found.stable[origin])) == (True, stable)
    assert found.returns[origin] == 1 if stable else found.returns[origin] < 0.3
    assert np.abs(found.eigenvalues[origin]).max() == pytest.approx(growth, rel=1e-4)
    assert found.n_attracted[origin] == (P if stable else 0)


def test_newton_does_not_carry_a_start_to_another_place():
    """The formula of any region of a network without bias gives the origin; none is near it."""
    params = network(np.random.default_rng(0).standard_normal((N, N)))
    h0 = jnp.abs(uniform(N))
    found = search(RELU, params, h0, 0)
    assert np.all(found.kind == UNFINISHED)
    assert np.all(found.moved == 0)
    np.testing.assert_allclose(found.points, h0, rtol=1e-6)


def test_newton_finishes_what_the_descent_left():
    h0 = starts(np.full((P, 2), 0.99 * ROOT))
    found = search(TANH, two_wells(), h0, 0)
    np.testing.assert_allclose(found.points[:, :2], ROOT, atol=2e-6)
    np.testing.assert_allclose(found.moved_by_newton, 0.01 / 0.99, rtol=1e-3)
    assert np.all(found.n_steps == 0)


def test_scaling_a_network_without_bias_scales_the_search():
    params = network(np.random.default_rng(0).standard_normal((N, N)))
    h0 = jnp.abs(uniform(N))
    one, many = (search(RELU, params, s * h0) for s in (1.0, 1024.0))
    np.testing.assert_array_equal(one.kind, many.kind)
    np.testing.assert_allclose(1024 * one.points, many.points, atol=1e-3)


def test_networks_side_by_side_give_what_each_gives_alone():
    several = [two_wells(), ghost(), network(0.5 * np.eye(N)), network(0.9 * np.eye(1), 0.1)]
    h0 = jnp.stack([uniform(2, seed=s) for s in range(4)])
    stacked = jax.tree.map(lambda *x: jnp.stack(x), *several)
    together = jax.jit(jax.vmap(lambda p, h: end_points(net_of(TANH, p), h)))(stacked, h0)
    for i, params in enumerate(several):
        alone = search(TANH, params, h0[i])
        assert np.mean(together.kind[i] == alone.kind) > 0.97
        same = np.linalg.norm(together.points[i] - alone.points, axis=1) < 2e-3
        assert np.mean(same) > 0.97  # rounding may choose the other side of a border
    assert together.n_valid.tolist() == [P] * 4


def test_the_size_of_a_chunk_changes_nothing():
    h0 = uniform(2)
    whole, parts = (
        search(TANH, two_wells(), h0),
        end_points(net_of(TANH, two_wells()), h0, chunk=36),
    )
    assert parts.points.shape == (P, N)
    assert np.mean(np.linalg.norm(whole.points - parts.points, axis=1) < 1e-3) > 0.97
    for chunk, some in ((0, h0), (8, h0[:0])):
        with pytest.raises(InputError, match="at least 1 of each"):
            end_points(net_of(TANH, two_wells()), some, chunk=chunk)


def test_what_is_not_finite_is_counted_as_invalid():
    h0 = uniform(2).at[0].set(jnp.nan).at[1].set(jnp.inf).at[2].set(1e30)
    found = search(RELU, network(0.5 * np.eye(2)), h0)
    assert np.all(found.kind[:2] == INVALID)
    assert found.n_valid in (P - 3, P - 2)
    assert np.all(found.kind[3:] == FIXED)
    broken = two_wells()
    broken["W_rec"] = broken["W_rec"].at[0, 0].set(jnp.nan)
    seen = looked_at(TANH, broken, uniform(2))
    assert (seen.n_valid, seen.n_points, seen.n_settled, len(seen.points)) == (0, 0, 0, 0)
    assert f"{P} to neither" in fixed_point_summary(seen)


def test_starts_at_zero_and_a_single_unit():
    found = looked_at(TANH, two_wells(), jnp.zeros((P, N)))
    assert (found.n_points, found.scale, found.n_attracted.tolist()) == (1, 1.0, [P])
    assert not found.stable[0]  # they stay, but nothing near them does
    cell = RNNCell(n_symbols=2, hidden_size=1, noise_dim=1, activation="tanh")
    params = {"W_in": jnp.eye(1), "W_rec": 1.5 * jnp.eye(1), "W_out": jnp.ones((2, 1))}
    single = looked_at(cell, params, jnp.linspace(-1, 1, 20)[:, None])
    assert np.sort(np.round(single.points[:, 0], 4)).tolist() == pytest.approx(
        [-ROOT, 0, ROOT], abs=1e-4
    )
    assert single.points_in_plane.shape == (3, 2)


def test_only_the_points_with_most_starts_are_looked_at(monkeypatch):
    monkeypatch.setattr(find, "N_SHOWN", 3)
    found = looked_at(TANH, two_wells(), uniform(2, size=1.2))
    assert (len(found.points), found.n_points) == (3, 9)
    assert np.all(np.diff(found.n_found) <= 0)


def test_from_a_network_to_its_points():
    found = find_fixed_points(
        net_of(TANH, two_wells(), jnp.float32(0.7)), jax.random.key(0), n_starts=P
    )
    assert (found.n_starts, found.n_settled) == (P, P)
    assert found.n_attracted.sum() == P
    with pytest.raises(InputError, match="n_starts=0"):
        find_fixed_points(
            net_of(TANH, two_wells(), jnp.float32(0.7)), jax.random.key(0), n_starts=0
        )
    broken = two_wells()
    broken["W_in"] = jnp.nan * broken["W_in"]
    with pytest.raises(InputError, match="not finite"):
        find_fixed_points(net_of(TANH, broken, jnp.float32(0.7)), jax.random.key(0), n_starts=P)


def flip_flop(key):
    """Train two flip-flops: output i holds the sign of the last pulse on input i."""
    n_steps, n_runs = 25, 64

    def trials(key):
        key_time, key_sign = jax.random.split(key)
        pulses = jax.random.bernoulli(key_time, 0.15, (n_steps, n_runs, 2)).at[0].set(True)
        signs = pulses * jax.random.rademacher(key_sign, pulses.shape).astype(float)
        held = jax.lax.scan(lambda h, x: (jnp.where(x != 0, x, h),) * 2, signs[0], signs)[1]
        return jnp.pad(signs, [(0, 0), (0, 0), (0, N - 2)]), held

    def loss(params, key):
        x, target = trials(key)
        return jnp.mean((net_of(TANH, params).run(jnp.zeros((n_runs, N)), x).logits - target) ** 2)

    @jax.jit
    def train(key):
        key_init, key_data = jax.random.split(key)
        adam = optax.adam(optax.cosine_decay_schedule(2e-2, 600))

        def update(carry, key):
            params, memory = carry
            value, gradient = jax.value_and_grad(loss)(params, key)
            change, memory = adam.update(gradient, memory)
            return (optax.apply_updates(params, change), memory), value

        params = init_params(TANH, key_init)
        (params, _), losses = jax.lax.scan(
            update, (params, adam.init(params)), jax.random.split(key_data, 600)
        )
        states = net_of(TANH, params).run(jnp.zeros((n_runs, N)), trials(key_init)[0]).states
        return params, losses, states

    return train(key)


def test_a_trained_flip_flop_keeps_each_memory_in_a_stable_fixed_point():
    params, losses, states = flip_flop(jax.random.key(0))
    assert losses[-1] < 0.02
    found = looked_at(TANH, params, states.reshape(-1, N)[:: states.size // N // P][:P])
    assert found.n_valid == P
    stable = jnp.asarray(found.points[found.stable])
    held = np.round(np.asarray(net_of(TANH, params).readout(stable)))
    assert {tuple(pair) for pair in held.tolist()} == {
        (a, b) for a in (-1.0, 1.0) for b in (-1.0, 1.0)
    }
    np.testing.assert_allclose(net_of(TANH, params).readout(stable), held, atol=0.3)
    assert found.n_attracted[found.stable].sum() >= 0.95 * P
    h = stable + 0.01  # simulated, they come back
    for _ in range(500):
        h = net_of(TANH, params).step(h, 0.0)
    np.testing.assert_allclose(h, stable, atol=1e-3)
    anywhere = looked_at(TANH, params, uniform(N))
    saddles = anywhere.fixed & (anywhere.n_unstable > 0)
    assert saddles.any()  # between the memories
    assert not anywhere.stable[saddles].any()
