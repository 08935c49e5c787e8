"""Noise levels: the identity of networks without bias, and regression against scipy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from networks import net_of
from scipy.stats import linregress

from hmmrnn.dynamics.noise_levels import (
    LEVELS,
    fit_radius,
    occupied_region,
    radius_by_noise,
    scaling_error,
)
from hmmrnn.nets import RNNCell, init_params
from hmmrnn.recordings.recorder import driven_runs

KEY = jax.random.key(0)
KEYS = jax.random.split(KEY, 4)
NOISE = jnp.asarray(LEVELS)


def cell_of(**options):
    return RNNCell(n_symbols=3, hidden_size=40, noise_dim=10, **options)


def params_of(cell, spectral_radius=0.99, seed=0):
    """Random weights whose recurrence almost keeps its slowest direction, as training makes it."""
    params = init_params(cell, jax.random.key(seed))
    radius = np.abs(np.linalg.eigvals(np.asarray(params["W_rec"]))).max()
    return params | {"W_rec": params["W_rec"] * (spectral_radius / radius)}


@pytest.mark.parametrize("spectral_radius", [0.99, 1.1])
@pytest.mark.parametrize("scale", [0.1, 3.0])
def test_scaled_noise_gives_scaled_states_in_a_homogeneous_network(scale, spectral_radius):
    cell = cell_of()
    params = params_of(cell, spectral_radius)
    assert cell.homogeneous
    error = scaling_error(net_of(cell, params), scale, 1_000, KEYS)
    assert np.all(error < 1e-4)
    states, scaled = (driven_runs(net_of(cell, params, s), 980, KEYS).states for s in (1.0, scale))
    largest = np.abs(scaled).max()
    assert largest > 0.1
    np.testing.assert_allclose(scaled, scale * states, atol=1e-4 * largest)


@pytest.mark.parametrize(
    "options", [{"activation": "tanh"}, {"bias": True}, {"initial_state": "random"}]
)
def test_and_in_no_other(options):
    cell = cell_of(**options)
    assert not cell.homogeneous
    n_steps = 3 if "initial_state" in options else 1_000  # a random start is forgotten
    error = scaling_error(net_of(cell, params_of(cell)), 3.0, n_steps, KEYS)
    assert np.all(error > 0.05)


def test_radius_of_a_homogeneous_network_is_proportional_to_the_noise():
    cell = cell_of()
    runs = radius_by_noise(net_of(cell, params_of(cell)), NOISE, 200, KEYS)
    np.testing.assert_allclose(runs.radius, NOISE[:, None] * runs.radius[1], rtol=1e-4)
    np.testing.assert_allclose(
        runs.points[3], 3 * runs.points[1], atol=1e-4 * np.abs(runs.points[3]).max()
    )
    found = fit_radius(NOISE, runs.radius, net_of(cell, {}), KEY)
    assert found.by_construction
    assert found.slope.value == pytest.approx(float(runs.radius[1].mean()), rel=1e-4)
    assert found.intercept.value == pytest.approx(0, abs=1e-4)
    assert found.r_squared.value == pytest.approx(1, abs=1e-6)
    assert found.r_squared.low <= found.r_squared.value <= found.r_squared.high <= 1
    assert found.slope.low < found.slope.value < found.slope.high


def test_radius_is_the_mean_distance_from_the_mean_of_its_level():
    cell = cell_of(activation="tanh")
    params = params_of(cell)
    runs = radius_by_noise(net_of(cell, params), NOISE, 200, KEYS)
    cloud = np.asarray(driven_runs(net_of(cell, params, 1.0), 200, KEYS).states, np.float64)
    _, _, axes = np.linalg.svd((cloud - cloud.mean((0, 1))).reshape(-1, 40), full_matrices=False)
    for v in (0, 4):
        states = np.asarray(
            driven_runs(net_of(cell, params, NOISE[v]), 200, KEYS).states, np.float64
        )
        away = (states - states.mean((0, 1))) @ axes[:2].T
        expected = np.linalg.norm(away, axis=-1).mean(axis=1)
        np.testing.assert_allclose(runs.radius[v], expected, rtol=1e-3)
    found = fit_radius(NOISE, runs.radius, net_of(cell, {}), KEY)
    assert not found.by_construction
    assert found.r_squared.value < 0.99  # tanh saturates
    assert runs.radius[4].mean() < 3 * runs.radius[1].mean()


def test_fit_is_that_of_scipy():
    radius = jnp.abs(jax.random.normal(KEY, (5, 30))) + NOISE[:, None]
    found = fit_radius(NOISE, radius, net_of(cell_of(), {}), KEY)
    truth = linregress(LEVELS, np.asarray(radius).mean(axis=1))
    assert found.slope.value == pytest.approx(truth.slope, rel=1e-4)
    assert found.intercept.value == pytest.approx(truth.intercept, rel=1e-4)
    assert found.r_squared.value == pytest.approx(truth.rvalue**2, rel=1e-4)
    assert [e.value for e in found.radius] == pytest.approx(radius.mean(axis=1).tolist(), rel=1e-5)


def test_a_line_needs_two_levels_and_a_difference():
    one = fit_radius(NOISE[:1], jnp.ones((1, 4)), net_of(cell_of(), {}), KEY)
    assert np.isnan([one.slope.value, one.intercept.value, one.r_squared.value]).all()
    still = fit_radius(NOISE, jnp.zeros((5, 4)), net_of(cell_of(), {}), KEY)
    assert still.slope.value == 0
    assert np.isnan(still.r_squared.value)


def test_networks_side_by_side():
    cell = cell_of()
    networks = [params_of(cell, 0.9, seed=i) for i in range(2)]
    params = jax.tree.map(lambda *x: jnp.stack(x), *networks)
    keys = jax.random.split(KEY, (2, 4))

    @jax.jit
    @jax.vmap
    def measure(params, keys):
        return (
            radius_by_noise(net_of(cell, params), NOISE[1:3], 50, keys).radius,
            scaling_error(net_of(cell, params), 2.0, 50, keys),
        )

    together, error = measure(params, keys)
    assert together.shape == (2, 2, 4)
    assert np.all(error < 1e-4)
    for i in range(2):
        alone = radius_by_noise(net_of(cell, networks[i]), NOISE[1:3], 50, keys[i]).radius
        np.testing.assert_allclose(together[i], alone, rtol=1e-3)


@pytest.mark.parametrize("weight", [np.nan, 1e4, 0.0])
def test_networks_that_diverge_or_rest_give_no_error(weight):
    cell = cell_of()
    params = {name: jnp.full_like(value, weight) for name, value in init_params(cell, KEY).items()}
    runs = radius_by_noise(net_of(cell, params), NOISE, 50, KEYS)
    found = fit_radius(NOISE, runs.radius, net_of(cell, {}), KEY)
    error = scaling_error(net_of(cell, params), 2.0, 50, KEYS)
    region = occupied_region(np.asarray(runs.points[1]).reshape(-1, 2))
    assert np.isnan(region.area)
    assert np.isnan(error).all()
    assert np.isnan(found.r_squared.value)
    if weight == 0:
        assert found.slope.value == 0
    else:
        assert np.isnan(found.slope.value)


def test_one_hidden_unit():
    cell = RNNCell(n_symbols=2, hidden_size=1, noise_dim=1)
    params = {"W_in": jnp.ones((1, 1)), "W_rec": 0.5 * jnp.ones((1, 1)), "W_out": jnp.ones((2, 1))}
    runs = radius_by_noise(net_of(cell, params), NOISE, 100, KEYS)
    assert runs.points.shape == (5, 4, 100, 2)
    assert np.all(runs.points[..., 1] == 0)
    region = occupied_region(np.asarray(runs.points[1]).reshape(-1, 2))  # points on a line
    assert np.isfinite(region.density).all()


def test_the_region_of_a_gaussian_has_its_known_area():
    rng = np.random.default_rng(0)
    spread = np.array([2.0, 0.5])
    points = rng.standard_normal((20_000, 2)) * spread + 3
    found = occupied_region(points, smoothing=0.5)
    assert found.mass == pytest.approx(0.9, abs=0.01)
    expected = -2 * np.log(0.1) * np.pi * spread.prod()
    assert found.area == pytest.approx(expected, rel=0.06)
    cell = (found.x[1] - found.x[0]) * (found.y[1] - found.y[0])
    assert found.density.sum() * cell == pytest.approx(1, abs=0.01)
    assert np.sum(found.density >= found.threshold) * cell == pytest.approx(found.area)


def test_regions_follow_their_points():
    points = np.random.default_rng(1).standard_normal((5_000, 2))
    small, large = occupied_region(points), occupied_region(7 * points + 2, mass=0.9)
    assert large.area == pytest.approx(49 * small.area)
    np.testing.assert_allclose(large.x, 7 * small.x + 2)
    assert occupied_region(points, mass=0.5).area < 0.5 * small.area
    with_gaps = np.concatenate([points, [[np.nan, 0.0], [np.inf, 1.0]]])
    assert occupied_region(with_gaps).area == small.area


@pytest.mark.parametrize("points", [np.zeros((0, 2)), np.ones((7, 2)), np.full((7, 2), np.nan)])
def test_points_without_extent_have_no_region(points):
    found = occupied_region(points)
    assert np.isnan(found.area)
    assert found.density.shape == (40, 40)
