"""Linear networks, whose spread is known in closed form, and starts chosen by rule."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from networks import SMALL, net_of

from hmmrnn import InputError
from hmmrnn.dynamics.sensitivity import (
    NoiseSensitivity,
    noise_sensitivity,
    sensitivity_by_zone,
    starts_by_zone,
)
from hmmrnn.intervals import UNKNOWN
from hmmrnn.nets import RNNCell, init_params

KEY = jax.random.key(3)
MIXES = (0.0, 0.25, 1.0)
N, D, STEPS = 3, 2, 4
LINEAR = RNNCell(n_symbols=2, hidden_size=N, noise_dim=D, bias=True)


def linear_params():
    """Relu units that a bias keeps far from their kink."""
    rng = np.random.default_rng(0)
    params = {
        "W_rec": 0.6 * rng.normal(size=(N, N)) / np.sqrt(N),
        "W_in": rng.normal(size=(N, D)),
        "W_out": np.zeros((2, N)),
        "b_rec": np.full(N, 100.0),
        "b_out": np.zeros(2),
    }
    return {name: jnp.asarray(x, jnp.float32) for name, x in params.items()}


@pytest.fixture(scope="module")
def linear():
    starts = jnp.array([[100.0, 120.0, 90.0], [80.0, 100.0, 100.0]])
    run = partial(noise_sensitivity, mixes=MIXES, n_rollouts=4_000, n_steps=STEPS)
    return run(net_of(LINEAR, linear_params(), 0.7), starts, KEY)


def test_covariance_of_a_linear_network(linear):
    """tr Cov h_n = g^2 sigma^2 sum_k tr(W^k W_in W_in^T W^kT), k < n; frozen noise shifts only."""
    W, W_in = (np.asarray(linear_params()[name], np.float64) for name in ("W_rec", "W_in"))
    gains = [np.linalg.matrix_power(W, k) @ W_in for k in range(STEPS)]
    full = 0.7**2 * np.cumsum([np.sum(gain**2) for gain in gains])
    for p in range(2):
        for g, mix in enumerate(MIXES):
            found = linear.covariance_trace[p, g]
            np.testing.assert_allclose(found, mix**2 * full, rtol=0.08)


def test_one_kind_of_fresh_noise_serves_all_shares(linear):
    """So that the ratio of two shares is exact where the network is linear."""
    ratio = linear.covariance_trace[:, 1] / linear.covariance_trace[:, 2]
    np.testing.assert_allclose(ratio, 0.25**2, rtol=1e-3)
    np.testing.assert_allclose(linear.distance[:, 1] / linear.distance[:, 2], 0.25, rtol=1e-3)


def test_mean_distance_of_a_normal_law():
    """E |x| = sigma sqrt(2 / pi) for one unit without memory."""
    cell = RNNCell(n_symbols=2, hidden_size=1, noise_dim=1, bias=True)
    one = {"W_in": jnp.ones((1, 1)), "W_rec": jnp.zeros((1, 1)), "W_out": jnp.zeros((2, 1))}
    params = one | {"b_rec": jnp.full(1, 50.0), "b_out": jnp.zeros(2)}
    found = noise_sensitivity(
        net_of(cell, params, 2.0), jnp.ones((1, 1)), KEY, mixes=(1.0,), n_rollouts=20_000, n_steps=2
    )
    np.testing.assert_allclose(found.distance, 2 * np.sqrt(2 / np.pi), rtol=0.02)
    np.testing.assert_allclose(found.covariance_trace, 4, rtol=0.05)


@pytest.mark.parametrize("n_rollouts", [2, 7, 33, 100])
def test_frozen_noise_alone_leaves_no_spread_at_all(n_rollouts):
    params = init_params(SMALL, jax.random.key(0))
    starts = jax.nn.relu(jax.random.normal(jax.random.key(1), (3, 12)))
    found = noise_sensitivity(net_of(SMALL, params, 1.0), starts, KEY, n_rollouts=n_rollouts)
    spread, distance = np.asarray(found.covariance_trace), np.asarray(found.distance)
    assert np.all(spread[:, 1:] > 0)
    rounding = np.finfo(np.float32).eps * np.asarray(found.start_norm).max()
    assert np.all(spread[:, 0] <= (10 * rounding) ** 2)  # rows of a product may round differently
    assert np.all(distance[:, 0] <= 10 * rounding)


def test_starts_have_their_own_noise_and_any_axes():
    params = init_params(SMALL, jax.random.key(0))
    start = jax.nn.relu(jax.random.normal(jax.random.key(1), (12,)))
    starts = jnp.broadcast_to(start, (2, 3, 12))
    found = noise_sensitivity(net_of(SMALL, params, 1.0), starts, KEY, n_rollouts=10)
    assert found.covariance_trace.shape == (2, 3, 3, 6)
    assert len(np.unique(found.covariance_trace[..., 2, 5])) == 6
    np.testing.assert_allclose(found.start_norm, np.linalg.norm(start), rtol=1e-5)
    flat = noise_sensitivity(net_of(SMALL, params, 1.0), starts.reshape(6, 12), KEY, n_rollouts=10)
    np.testing.assert_array_equal(
        found.distance.reshape(flat.distance.shape),
        flat.distance,
    )


def test_networks_side_by_side_equal_each_alone():
    params = jax.vmap(partial(init_params, SMALL))(jax.random.split(jax.random.key(0), 2))
    starts = jax.nn.relu(jax.random.normal(jax.random.key(1), (2, 4, 12)))
    std, keys = jnp.array([0.5, 1.5]), jax.random.split(KEY, 2)
    run = partial(noise_sensitivity, n_rollouts=10)
    both = jax.jit(jax.vmap(run))(net_of(SMALL, params, std), starts, keys)
    for i in range(2):
        own = {name: weight[i] for name, weight in params.items()}
        alone = run(net_of(SMALL, own, std[i]), starts[i], keys[i])
        for together, single in zip(both, alone, strict=True):
            np.testing.assert_allclose(together[i], single, rtol=1e-4)


def test_starts_that_are_not_finite_are_left_out():
    params = init_params(SMALL, jax.random.key(0))
    starts = jnp.ones((3, 12)).at[1, 0].set(jnp.nan).at[2, 0].set(jnp.inf)
    found = noise_sensitivity(net_of(SMALL, params, 1.0), starts, KEY)
    assert found.n_valid == 1
    assert np.isfinite(found.distance[0]).all()
    assert np.isnan(found.distance[1:]).all()
    assert np.isnan(found.covariance_trace[1:]).all()
    diverging = {**params, "W_rec": 1e9 * params["W_rec"]}
    assert noise_sensitivity(net_of(SMALL, diverging, 1.0), starts, KEY).n_valid == 0
    with pytest.raises(InputError, match="n_rollouts=1"):
        noise_sensitivity(net_of(SMALL, params, 1.0), starts, KEY, n_rollouts=1)


def test_starts_are_drawn_within_their_zones():
    zone = jnp.array([0] * 50 + [1] * 3 + [3] * 20 + [-1] * 5)
    states = jnp.stack([jnp.arange(78.0), zone], axis=1)
    draws = [starts_by_zone(states, zone, 5, jax.random.key(seed)) for seed in range(200)]
    for clusters, kicks, transitions in draws:
        assert np.all(clusters[:, 1] == 0)
        assert len(np.unique(clusters[:, 0])) == 5
        np.testing.assert_array_equal(np.sort(kicks[:, 0]), [50, 51, 52, np.nan, np.nan])
        assert np.isnan(transitions).all()
    share = np.bincount(np.concatenate([d[0, :, 0] for d in draws]).astype(int)) / 200
    assert len(share) == 50
    np.testing.assert_allclose(share, 0.1, atol=0.1)


def test_more_starts_than_states_are_padded():
    found = starts_by_zone(jnp.ones((2, 4)), jnp.array([2, 0]), 3, KEY)
    assert found.shape == (3, 3, 4)
    np.testing.assert_array_equal(np.isfinite(found[..., 0]).sum(1), [1, 0, 1])


def test_means_by_zone_have_intervals_over_starts():
    rng = np.random.default_rng(0)
    trace = rng.gamma(4.0, size=(3, 60, 2, 5))
    trace[1, 1:] = np.nan  # one kick-zone state
    trace[2] = np.nan  # no transition state
    found = NoiseSensitivity(
        *(jnp.asarray(x, jnp.float32) for x in (trace, np.sqrt(trace), np.full((3, 60), 2.0))),
        jnp.asarray(61),
    )
    cluster, kick, transition = sensitivity_by_zone(found, KEY)
    assert (cluster.n_starts, kick.n_starts, transition.n_starts) == (60, 1, 0)
    for g in range(2):
        for t in range(5):
            mean = cluster.covariance_trace[g][t]
            assert mean.value == pytest.approx(trace[0, :, g, t].mean(), rel=1e-5)
            width = 2 * 1.96 * trace[0, :, g, t].std() / np.sqrt(60)
            assert mean.high - mean.low == pytest.approx(width, rel=0.25)
            assert cluster.relative_trace[g][t].value == pytest.approx(mean.value / 4)
            distance = np.sqrt(trace[0, :, g, t]).mean()
            assert cluster.distance[g][t].value == pytest.approx(distance, rel=1e-5)
            assert cluster.relative_distance[g][t].value == pytest.approx(distance / 2, rel=1e-5)
    assert kick.covariance_trace[1][4].value == pytest.approx(trace[1, 0, 1, 4], rel=1e-5)
    assert np.isnan(kick.covariance_trace[1][4].low)
    assert transition.covariance_trace[1][4] == UNKNOWN


def test_a_start_at_the_origin_has_no_relative_spread():
    params = init_params(SMALL, jax.random.key(0))
    found = noise_sensitivity(net_of(SMALL, params, 1.0), jnp.zeros((3, 4, 12)), KEY, n_rollouts=10)
    cluster, *_ = sensitivity_by_zone(found, KEY)
    assert cluster.covariance_trace[2][5].value > 0
    assert np.isnan(cluster.relative_trace[2][5].value)
