"""Emission along a phase against loops, readout axes against planes that are known."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import softmax

from hmmrnn.dynamics.components import PCA, pca
from hmmrnn.dynamics.readout_geometry import (
    axis_geometry,
    carried_variance,
    emission_by_phase,
    readout_axes,
    summarise_emission,
    symbol_pairs,
)

KEY = jax.random.key(0)


def floor_plane(n, n_components=2):
    """The plane of the first two units."""
    return PCA(jnp.zeros(n), jnp.eye(n_components, n), jnp.array([0.6, 0.2, 0.1])[:n_components])


def random_runs(seed=0, n_runs=5, n_steps=200, k=3):
    key_phase, key_logits = jax.random.split(jax.random.key(seed))
    phases = 9 * jax.random.normal(key_phase, (n_runs, n_steps))
    return phases, 2 * jax.random.normal(key_logits, (n_runs, n_steps, k))


def test_emission_agrees_with_a_loop():
    phases, logits = random_runs()
    found = summarise_emission(emission_by_phase(phases, logits, n_bins=8), KEY)
    emission = softmax(np.asarray(logits), axis=-1)
    turn = (np.asarray(phases) / (2 * np.pi)) % 1
    for b in range(8):
        there = (turn >= b / 8) & (turn < (b + 1) / 8)
        np.testing.assert_allclose(found.probability.value[b], emission[there].mean(0), atol=1e-3)
        assert found.occupancy[b] == pytest.approx(there.mean(), abs=2e-3)
    np.testing.assert_allclose(found.probability.value.sum(axis=1), 1, atol=1e-5)
    assert np.all(found.probability.low <= found.probability.value)
    assert np.all(found.probability.high >= found.probability.value)
    assert found.n_valid == 5


def test_share_of_variance_between_phases():
    phases, logits = random_runs()
    unrelated = summarise_emission(emission_by_phase(phases, logits), KEY)
    assert unrelated.explained.value < 0.06
    half = jnp.sin(phases) > 0
    follows = jnp.stack([3.0 * half, 1.0 - half, 0.0 * half], axis=-1)
    perfect = summarise_emission(emission_by_phase(phases, follows), KEY)
    assert perfect.explained.value == pytest.approx(1, abs=1e-4)
    noisy = summarise_emission(emission_by_phase(phases, follows + logits), KEY)
    assert 0.1 < noisy.explained.value < 0.9
    emission = softmax(np.asarray(follows + logits), axis=-1)
    bins = ((np.asarray(phases) / (2 * np.pi)) % 1 * 24).astype(int)
    means = np.stack([emission[bins == b].mean(0) for b in range(24)])[bins]
    expected = means.var((0, 1)).sum() / emission.var((0, 1)).sum()
    assert noisy.explained.value == pytest.approx(expected, abs=1e-3)
    assert noisy.explained.low < expected < noisy.explained.high
    steady = summarise_emission(emission_by_phase(phases, jnp.ones_like(logits)), KEY)
    assert np.isnan(steady.explained.value)


def test_what_is_masked_or_not_finite_is_left_out():
    phases, logits = random_runs()
    valid = jnp.ones(phases.shape, bool).at[2, 50:].set(False).at[4].set(False)
    expected = emission_by_phase(phases, logits, valid)
    found = emission_by_phase(phases.at[2, 50:].set(jnp.nan), logits.at[4, :, 1].set(jnp.inf))
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_array_equal(a, b)
    summary = summarise_emission(found, KEY)
    assert summary.n_valid == 4
    assert np.isfinite(summary.probability.value).all()
    nothing = summarise_emission(emission_by_phase(phases * jnp.nan, logits), KEY)
    assert nothing.n_valid == 0
    assert np.isnan(nothing.probability.value).all()
    assert np.isnan([nothing.explained.value, *nothing.occupancy]).all()


def test_directions_in_and_out_of_a_plane():
    directions = jnp.array([[3.0, 4, 0, 0], [0, 0, 2, 0], [1, 0, 1, 0], [0, 0, 0, 0]])
    found = axis_geometry(directions, floor_plane(4, 3))
    np.testing.assert_allclose(found.share, [1, 0, 0.5, np.nan], atol=1e-6)
    np.testing.assert_allclose(found.angle, [0, 90, 45, np.nan], atol=1e-3)
    np.testing.assert_allclose(found.projection, [[3, 4], [0, 0], [1, 0], [0, 0]], atol=1e-6)


def test_rows_and_their_differences():
    W_out = jax.random.normal(KEY, (4, 12))
    plane = pca(jax.random.normal(jax.random.key(1), (50, 12)), 3)
    found = readout_axes(W_out, plane)
    projector = np.asarray(plane.axes[:2], np.float64)
    w = np.asarray(W_out, np.float64)
    assert symbol_pairs(4) == [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)]
    differences = np.stack([w[i] - w[j] for i, j in symbol_pairs(4)])
    for geometry, rows in (
        (found.symbols, w),
        (found.centred, w - w.mean(0)),
        (found.pairs, differences),
    ):
        np.testing.assert_allclose(geometry.projection, rows @ projector.T, atol=1e-4)
        share = np.sum((rows @ projector.T) ** 2, 1) / np.sum(rows**2, 1)
        np.testing.assert_allclose(geometry.share, share, rtol=1e-4)
        np.testing.assert_allclose(geometry.angle, np.degrees(np.arccos(share**0.5)), rtol=1e-3)


def test_chance_is_the_mean_share_of_random_directions():
    found = readout_axes(jax.random.normal(KEY, (4_000, 20))[:3], floor_plane(20))
    assert found.chance == pytest.approx(0.1)
    shares = axis_geometry(jax.random.normal(KEY, (4_000, 20)), floor_plane(20)).share
    assert shares.mean() == pytest.approx(0.1, abs=0.005)


def test_variance_that_the_plane_carries():
    states = jax.random.normal(KEY, (3, 400, 5)) * jnp.array([3.0, 2.0, 1.0, 0.5, 0.1]) + 2
    plane = pca(states, 3)
    W_out = jax.random.normal(jax.random.key(1), (3, 5))
    found = carried_variance(W_out, plane, states)
    cloud = np.asarray(states, np.float64).reshape(-1, 5)
    flat = (cloud - cloud.mean(0)) @ np.asarray(plane.axes[:2]).T @ np.asarray(plane.axes[:2])
    inside, every = [], []
    for i, j in symbol_pairs(3):
        w = np.asarray(W_out[i] - W_out[j], np.float64)
        inside.append((flat @ w).var())
        every.append((cloud @ w).var())
    np.testing.assert_allclose(found.pairs, np.divide(inside, every), rtol=1e-3)
    assert found.total == pytest.approx(sum(inside) / sum(every), rel=1e-3)
    in_plane = carried_variance(plane.axes[:2] * 3, plane, states)
    np.testing.assert_allclose(in_plane.pairs, 1, rtol=1e-3)


def test_states_at_rest_and_broken_ones_carry_nothing():
    W_out, plane = jax.random.normal(KEY, (3, 5)), floor_plane(5)
    for value in (0.0, np.nan):
        found = carried_variance(W_out, plane, jnp.full((2, 10, 5), value))
        assert np.isnan(found.pairs).all()
        assert np.isnan(found.total)
    broken = readout_axes(jnp.full((3, 5), jnp.nan), plane)
    assert np.isnan(broken.pairs.share).all()


@pytest.mark.parametrize(("k", "n"), [(1, 5), (2, 1), (1, 1)])
def test_one_symbol_or_one_unit(k, n):
    W_out = jnp.ones((k, n)) * jnp.arange(1.0, k + 1)[:, None]
    states = jax.random.normal(KEY, (2, 10, n))
    plane = pca(states, min(2, n))
    found = readout_axes(W_out, plane)
    assert found.pairs.share.shape == (k * (k - 1) // 2,)
    assert found.symbols.projection.shape == (k, 2)
    assert found.chance <= 1
    carried = carried_variance(W_out, plane, states)
    assert np.isnan(carried.total) == (k == 1)
    logits = jnp.einsum("btn,kn->btk", states, W_out)
    emission = summarise_emission(emission_by_phase(states[..., 0], logits), KEY)
    assert np.isnan(emission.explained.value) == (k == 1)


def test_networks_side_by_side():
    W_out = jax.random.normal(KEY, (2, 3, 6))
    states = jax.random.normal(jax.random.key(1), (2, 4, 30, 6))
    phases, logits = random_runs(n_runs=4, n_steps=30)

    @jax.jit
    @jax.vmap
    def measure(W_out, states):
        plane = pca(states, 2)
        emission = emission_by_phase(phases + states[..., 0], logits)
        return readout_axes(W_out, plane), carried_variance(W_out, plane, states), emission

    together = measure(W_out, states)
    for i in range(2):
        plane = pca(states[i], 2)
        alone = (
            readout_axes(W_out[i], plane),
            carried_variance(W_out[i], plane, states[i]),
            emission_by_phase(phases + states[i, ..., 0], logits),
        )
        for a, b in zip(jax.tree.leaves(together), jax.tree.leaves(alone), strict=True):
            np.testing.assert_allclose(a[i], b, rtol=1e-3, atol=1e-4)
