"""Linear processes, whose currents are known."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hmmrnn.dynamics.probability_current import flow, flow_sums, reversal_p
from hmmrnn.intervals import bootstrap_weights


def linear(matrix, noise, n_runs=40, n_steps=800, seed=0):
    """z_{t+1} = matrix z_t + noise xi_t, in numpy."""
    rng = np.random.default_rng(seed)
    z, path = np.zeros((n_runs, 2)), []
    for _ in range(100 + n_steps):
        z = z @ np.asarray(matrix).T + rng.standard_normal((n_runs, 2)) @ np.asarray(noise).T
        path.append(z)
    return jnp.asarray(np.stack(path[100:], axis=1), jnp.float32)


def rotation(radius, angle):
    c, s = radius * np.cos(angle), radius * np.sin(angle)
    return np.array([[c, -s], [s, c]])


def measured(points, inside=None):
    weights = bootstrap_weights(len(points), jax.random.key(0))
    return flow(flow_sums(points, inside), weights, jax.random.key(1))


@pytest.mark.parametrize(("radius", "angle"), [(0.95, 0.1), (0.9, -0.02), (0.8, 0.5)])
def test_the_rotational_share_has_a_closed_form(radius, angle):
    found = measured(linear(rotation(radius, angle), np.eye(2)))
    truth = angle**2 / (angle**2 + np.log(radius) ** 2)
    assert found.share.value == pytest.approx(truth, abs=0.03)
    assert found.share.low - 0.02 < truth < found.share.high + 0.02
    assert found.turn.value == pytest.approx(angle, abs=0.01)
    assert found.share_p < 0.05
    assert found.share_reversed < found.share.value


def test_the_share_does_not_depend_on_the_shape_of_the_plane():
    points = linear(rotation(0.95, 0.1), np.eye(2))
    stretched = points @ jnp.array([[3.0, 0.5], [1.0, 0.4]])
    assert measured(stretched).share.value == pytest.approx(measured(points).share.value, rel=1e-2)


def test_a_pure_rotation_has_a_share_of_one():
    t, phase = np.arange(300), np.linspace(0, 6, 8)[:, None]
    angle = 0.3 * t + phase
    found = measured(jnp.asarray(np.stack([np.cos(angle), np.sin(angle)], -1), jnp.float32))
    assert found.share.value == pytest.approx(1, abs=1e-3)
    assert found.turn.value == pytest.approx(0.3, abs=1e-3)


def test_drift_diffusion_and_current_of_a_rotating_process():
    matrix = rotation(0.9, 0.3)
    found = measured(linear(matrix, np.eye(2), n_runs=80, n_steps=1_000))
    middles = (found.edges[:, 1:] + found.edges[:, :-1]) / 2
    z = np.stack(np.meshgrid(*middles, indexing="ij"), -1)
    known = np.isfinite(found.diffusion) & (found.counts > 400)
    assert known.sum() > 40
    np.testing.assert_allclose(found.drift[known], (z @ (matrix - np.eye(2)).T)[known], atol=0.25)
    np.testing.assert_allclose(found.diffusion[known], 0.5, rtol=0.2)
    velocity = found.current / (found.counts / found.counts.sum())[..., None]
    turning = (matrix - matrix.T) / 2  # half the mean step to and from z
    np.testing.assert_allclose(velocity[known], (z @ turning.T)[known], atol=0.2)
    assert found.current_p < 0.01


def test_a_reversible_process_has_no_current():
    """Symmetric matrix, isotropic noise; p is below 0.05 in about one of twenty."""
    p = []
    for seed in range(20):
        found = measured(linear([[0.9, 0.05], [0.05, 0.6]], np.eye(2), 12, 600, seed))
        p.append((found.share_p, found.current_p))
    assert np.mean(np.array(p) < 0.05) <= 0.15
    assert 0.3 < np.mean(p) < 0.7
    found = measured(linear([[0.9, 0.05], [0.05, 0.6]], np.eye(2)))
    assert found.share.value < 0.01


def test_sums_agree_with_a_loop():
    rng = np.random.default_rng(0)
    z = rng.standard_normal((2, 30, 2)).astype(np.float32)
    kept = rng.random((2, 30)) < 0.8
    found = flow_sums(jnp.asarray(z), jnp.asarray(kept), n_cells=4)
    edges = np.asarray(found.edges)
    sums = np.zeros((2, 4, 4, 6))
    lagged, covariance = np.zeros((2, 2, 2)), np.zeros((2, 2, 2))
    for b in range(2):
        for t in range(29):
            if kept[b, t] and kept[b, t + 1]:
                lagged[b] += np.outer(z[b, t + 1], z[b, t])
                covariance[b] += sum(np.outer(z[b, s], z[b, s]) for s in (t, t + 1)) / 2
            cell = [int(np.searchsorted(edges[i], z[b, t, i], side="right")) - 1 for i in (0, 1)]
            if t == 0 or not kept[b, t - 1 : t + 2].all() or not all(0 <= i < 4 for i in cell):
                continue
            step = z[b, t + 1] - z[b, t]
            sums[b, *cell] += 1, *step, step @ step, *(z[b, t + 1] - z[b, t - 1]) / 2
    parts = (found.counts[..., None], found.forward, found.square[..., None], found.centred)
    np.testing.assert_allclose(np.concatenate(parts, axis=-1), sums, atol=1e-5)
    np.testing.assert_allclose(found.lagged, lagged, atol=1e-5)
    np.testing.assert_allclose(found.covariance, covariance, atol=1e-5)


def test_networks_side_by_side_under_jit():
    points = jax.random.normal(jax.random.key(0), (3, 4, 50, 2))
    together = jax.jit(jax.vmap(flow_sums))(points)
    for i in range(3):
        for a, b in zip(together, flow_sums(points[i]), strict=True):
            np.testing.assert_allclose(a[i], b, atol=1e-4)


def test_reversal_p_agrees_with_enumeration():
    odd = np.random.default_rng(0).standard_normal((8, 2)) + 0.3
    signs = 1 - 2 * ((np.arange(256)[:, None] >> np.arange(8)) & 1)
    exact = np.mean(np.sum((signs @ odd) ** 2, 1) >= np.sum(odd.sum(0) ** 2) - 1e-9)
    assert reversal_p(odd, jax.random.key(0)) == pytest.approx(exact, abs=0.05)
    assert np.isnan(reversal_p(np.zeros((4, 2)), jax.random.key(0)))
    assert np.isnan(reversal_p(np.full((4, 2), np.nan), jax.random.key(0)))


@pytest.mark.parametrize("value", [np.nan, np.inf, 0.0])
def test_bad_input_counts_nothing(value):
    found = measured(jnp.full((3, 50, 2), value))
    assert found.n_valid == 0
    assert np.isnan(found.share.value)
    assert np.isnan(found.share_p)
    assert np.isnan(found.current_p)


def test_one_unit_cannot_turn():
    line = jax.random.normal(jax.random.key(0), (4, 200, 2)).at[..., 1].set(0)
    found = measured(line)
    assert np.isnan([found.share.value, found.turn.value, found.share_p]).all()


@pytest.mark.parametrize("n_steps", [1, 2, 3])
def test_very_short_runs_are_too_few(n_steps):
    found = measured(jax.random.normal(jax.random.key(0), (4, n_steps, 2)))
    assert found.n_valid <= 4 * max(n_steps - 2, 0)
    assert np.isnan(found.drift).all()
