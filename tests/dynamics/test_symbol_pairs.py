"""Segments by brute force, and states whose turns between two symbols are known."""

from functools import partial
from itertools import groupby

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from networks import net_of

from hmmrnn import InputError
from hmmrnn.dynamics.regimes import evidence, regime
from hmmrnn.dynamics.symbol_pairs import (
    all_pairs,
    leading_pair,
    pair_rotation,
    pair_segments,
    pair_sums,
    symbol_pair,
)
from hmmrnn.nets import RNNCell, init_params
from hmmrnn.recordings.recorder import driven_runs


def segments_of(symbols, pair, min_length):
    """(start, stop) of each segment of one sequence, by walking along it."""
    found, t = [], 0
    for either, group in groupby(symbols, lambda s: s in pair):
        stretch = list(group)
        if either and len(stretch) >= min_length and len(set(stretch)) == 2:
            found.append((t, t + len(stretch)))
        t += len(stretch)
    return found


def sticky_symbols(n_runs=6, n_steps=80, seed=0):
    rng = np.random.default_rng(seed)
    symbols = rng.integers(0, 3, (n_runs, n_steps))
    for t in range(1, n_steps):
        stay = rng.random(n_runs) < 0.7
        symbols[stay, t] = symbols[stay, t - 1]
    return symbols


@pytest.mark.parametrize("pair", [(0, 1), (0, 2), (1, 2)])
@pytest.mark.parametrize("min_length", [1, 5])
def test_segments_agree_with_a_walk(pair, min_length):
    symbols = sticky_symbols()
    found = pair_segments(jnp.asarray(symbols), jnp.array(pair), min_length)
    for row, inside, starts in zip(symbols, *map(np.asarray, found), strict=True):
        truth = segments_of(row, pair, min_length)
        covered = np.zeros(len(row), bool)
        for a, b in truth:
            covered[a:b] = True
        np.testing.assert_array_equal(inside, covered)
        assert list(np.flatnonzero(starts)) == [a for a, _ in truth]
        assert truth or not inside.any()


def test_turns_and_changes_inside_agree_with_a_loop():
    symbols = sticky_symbols()
    states = np.random.default_rng(1).standard_normal((*symbols.shape, 4)).astype(np.float32)
    states[..., :2] *= 3
    found = pair_rotation(jnp.asarray(states), jnp.asarray(symbols), jnp.array([0, 2]))
    parts = [(b, *s) for b, row in enumerate(symbols) for s in segments_of(row, (0, 2), 5)]
    cloud = np.concatenate([states[b, start:stop] for b, start, stop in parts])
    axes = np.linalg.svd(cloud - cloud.mean(axis=0))[2][:2]
    axes *= np.sign(axes[np.arange(2), np.argmax(abs(axes), axis=1)])[:, None]
    turns, counts = np.zeros(6), np.zeros((3, 6), int)
    for b, start, stop in parts:
        z = (states[b, start:stop] - cloud.mean(axis=0)) @ axes.T
        angle = np.diff(np.arctan2(z[:, 1], z[:, 0]))
        turns[b] += np.sum((angle + np.pi) % (2 * np.pi) - np.pi) / (2 * np.pi)
        change = np.diff(symbols[b, start:stop])
        counts[:, b] += np.sum(change == 2), np.sum(change == -2), stop - start
    np.testing.assert_allclose(np.abs(found.plane.axes), np.abs(axes), atol=1e-4)
    np.testing.assert_allclose(found.turns, turns, atol=1e-3)
    np.testing.assert_array_equal([found.forth, found.back, found.n_steps], counts)
    np.testing.assert_array_equal(
        found.n_segments, np.bincount([part[0] for part in parts], minlength=6)
    )
    np.testing.assert_allclose(found.plane.mean, cloud.mean(axis=0), atol=1e-4)


def visits(n_runs=16, n_visits=4, stay=100, seed=0):
    """A state that circles between symbols 0 and 1, and now and then rests far away with 2."""
    rng = np.random.default_rng(seed)
    states = []
    for _ in range(n_runs):
        path = []
        for _ in range(n_visits):
            angle = rng.uniform(0, 2 * np.pi) + 0.25 * np.arange(stay)
            path.append(np.stack([np.cos(angle), np.sin(angle), 0 * angle], axis=-1))
            path.append(np.tile([-9.0, -9.0, 30.0], (stay // 2, 1)))
        states.append(np.concatenate(path))
    states = np.array(states, np.float32)
    states += 0.002 * rng.standard_normal(states.shape).astype(np.float32)
    symbols = np.where(states[..., 2] > 15, 2, np.where(states[..., 0] > 0, 0, 1))
    logits = np.stack([states[..., 0], -states[..., 0], 5 * states[..., 2] - 75], axis=-1)
    return jnp.asarray(states), jnp.asarray(logits), jnp.asarray(symbols)


def test_an_orbit_between_two_symbols_is_found_beside_a_third():
    pair = (0, 1)
    found = symbol_pair(pair_sums(*visits(), jnp.array(pair)), pair, jax.random.key(0))
    assert found.n_segments == 16 * 4
    assert found.n_steps == 16 * 4 * 100
    assert found.rotation.value == pytest.approx(1, abs=0.03)
    assert found.rotation_p < 0.01
    assert abs(found.n_forth - found.n_back) < 0.1 * found.n_forth
    assert found.flow.share.value > 0.9
    assert 0.9 * found.n_steps < found.along.n_valid <= found.n_steps - found.n_segments
    p = found.rotation_p
    rate = found.transitions_per_step.value
    verdict = regime(evidence(rate, found.rotation, p, found.along, found.flow))
    assert verdict.kind == "orbit"


def test_a_pair_that_never_occurs_counts_nothing():
    states, logits, symbols = visits()
    symbols = jnp.where(symbols == 2, 0, symbols)
    for pair in ((0, 2), (1, 2)):
        found = symbol_pair(
            pair_sums(states, logits, symbols, jnp.array(pair)), pair, jax.random.key(0)
        )
        assert (found.n_segments, found.n_steps, found.along.n_valid, found.flow.n_valid) == (
            0,
        ) * 4
        assert np.isnan([found.rotation.value, found.transitions_per_step.value]).all()
        assert np.isnan(found.rotation_p)
        rate = found.transitions_per_step.value
        verdict = regime(evidence(rate, found.rotation, np.nan, found.along, found.flow))
        assert verdict.reason == "no finite step"


def test_networks_and_pairs_side_by_side_under_jit():
    cell = RNNCell(n_symbols=3, hidden_size=8, noise_dim=4)
    params = jax.vmap(partial(init_params, cell))(jax.random.split(jax.random.key(0), 2))
    keys = jax.random.split(jax.random.key(1), (2, 4))

    def one(params, keys, pair):
        runs = driven_runs(net_of(cell, params, 1.0), 60, keys)
        return pair_sums(runs.states, runs.logits, runs.symbols, pair)

    pairs = jnp.asarray(all_pairs(3))
    together = jax.jit(jax.vmap(jax.vmap(one, (None, None, 0)), (0, 0, None)))(params, keys, pairs)
    alone = one({name: part[1] for name, part in params.items()}, keys[1], pairs[2])
    for a, b in zip(jax.tree.leaves(together), jax.tree.leaves(alone), strict=True):
        np.testing.assert_allclose(a[1, 2], b, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("n_units", [1, 3])
def test_states_that_are_not_finite_are_in_no_segment(n_units):
    states, logits, symbols = visits()
    states = states[..., :n_units].at[3].set(jnp.nan).at[4, 90:].set(jnp.inf)
    found = pair_sums(states, logits, symbols, jnp.array([0, 1]))
    whole = pair_sums(*visits(), jnp.array([0, 1]))
    assert int(found.rotation.n_steps[3]) == 0
    assert int(found.rotation.n_steps[4]) == 90
    np.testing.assert_array_equal(found.rotation.n_steps[5:], whole.rotation.n_steps[5:])
    assert np.isfinite(found.rotation.turns).all()
    assert np.isfinite(found.rotation.plane.mean).all()


def test_pairs_of_symbols():
    assert all_pairs(3).tolist() == [[0, 1], [0, 2], [1, 2]]
    assert all_pairs(1).shape == (0, 2)
    symbols = jnp.array([[2, 2, 0, 2], [0, 1, 2, 0]])
    assert leading_pair(symbols, 3).tolist() == [0, 2]
    with pytest.raises(InputError, match="n_symbols=1"):
        leading_pair(jnp.zeros((1, 3), int), 1)
