"""Surrogates against processes that turn, and against processes that look the same backwards."""

from itertools import product

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hmmrnn.dynamics.rotation import net_turns
from hmmrnn.dynamics.surrogates import phase_shuffled, shuffle_phases, time_reversed

KEY = jax.random.key(0)
N_SEEDS, N_RUNS, N_STEPS = 20, 12, 128


def changes(points):
    side = points[..., 0] > 0
    return jnp.sum(side[..., 1:] != side[..., :-1], axis=-1)


def linear(matrix, n_runs, seed=0, n_steps=N_STEPS, warm_up=100):
    """Runs of x' = A x + noise, in numpy."""
    rng = np.random.default_rng(seed)
    x, path = np.zeros((n_runs, 2)), []
    for _ in range(n_steps + warm_up):
        x = x @ np.asarray(matrix).T + rng.standard_normal((n_runs, 2))
        path.append(x)
    return jnp.asarray(np.stack(path[warm_up:], axis=1), jnp.float32)


def wells(n_runs, seed=0):
    """Two unconnected bistable units."""
    rng = np.random.default_rng(seed)
    x, path = np.zeros((n_runs, 2)), []
    for _ in range(N_STEPS + 100):
        x = np.tanh(1.5 * x + 0.7 * rng.standard_normal((n_runs, 2)))
        path.append(x)
    return jnp.asarray(np.stack(path[100:], axis=1), jnp.float32)


def clock(n_runs, seed=0):
    rng = np.random.default_rng(seed)
    angles = np.cumsum(0.3 + 0.1 * rng.standard_normal((n_runs, N_STEPS)), axis=1)
    return jnp.asarray(np.stack([np.cos(angles), np.sin(angles)], axis=-1), jnp.float32)


@jax.jit
@jax.vmap
def both(points, key):
    """Both tests of one network, for many networks at once."""
    key_reversed, key_shuffled = jax.random.split(key)
    n = changes(points)
    return (
        time_reversed(net_turns(points), n, key_reversed),
        phase_shuffled(points, n, key_shuffled, n_surrogates=100),
    )


def significance(points):
    """(20 networks) of 16 runs each."""
    points = points.reshape(N_SEEDS, N_RUNS, N_STEPS, 2)
    return both(points, jax.random.split(KEY, N_SEEDS))


def test_a_rotor_is_significant():
    for found in significance(clock(N_SEEDS * N_RUNS)):
        np.testing.assert_allclose(found.value, 1, atol=0.05)
        assert np.all(np.abs(found.null_mean) < 0.1)
        assert np.all((found.null_low < 0) & (found.null_high > 0))
        assert np.all(found.p_value < 0.01)
        assert np.all(found.p_value * (1 + found.n_surrogates) > 0.999)


def test_two_wells_are_not():
    for found in significance(wells(N_SEEDS * N_RUNS)):
        assert np.sum(found.p_value < 0.05) <= 4
        assert np.all(found.value < 0.3)


@pytest.mark.parametrize("rates", [(0.9, 0.7), (0.8, 0.8)])
def test_a_reversible_linear_process_has_even_p_values(rates):
    """Symmetric A and isotropic noise: detailed balance holds."""
    found = significance(linear(np.diag(rates), N_SEEDS * N_RUNS, seed=1))
    for nulls in found:
        assert np.sum(nulls.p_value < 0.05) <= 4
        assert 0.3 < np.mean(nulls.p_value) < 0.7
        assert np.sum(nulls.p_value > 0.5) >= 4


@pytest.mark.parametrize("shear", [0.5, -0.5])
def test_a_non_normal_linear_process_turns(shear):
    """Without complex eigenvalues; x times y' - y times x' has the mean (A C)_21 - (A C)_12."""
    matrix = np.array([[0.8, shear], [0.0, 0.7]])
    covariance = np.eye(2)
    for _ in range(500):
        covariance = matrix @ covariance @ matrix.T + np.eye(2)
    lagged = matrix @ covariance
    points = linear(matrix, N_SEEDS * N_RUNS)
    turns = net_turns(points)
    assert np.sign(turns.mean()) == np.sign(lagged[1, 0] - lagged[0, 1])
    for found in significance(points):
        assert np.sum(found.p_value < 0.05) >= 18


@pytest.mark.parametrize("n_steps", [31, 32])
def test_shuffling_keeps_amplitudes_and_means(n_steps):
    points = jax.random.normal(KEY, (3, n_steps, 2)) + jnp.array([1.0, -2.0])
    shuffled = shuffle_phases(points, jax.random.key(1))
    before, after = (np.fft.rfft(np.asarray(x), axis=1) for x in (points, shuffled))
    np.testing.assert_allclose(np.abs(after), np.abs(before), atol=1e-4)
    np.testing.assert_allclose(after[:, 0], before[:, 0], atol=1e-4)
    if n_steps % 2 == 0:
        np.testing.assert_allclose(after[:, -1], before[:, -1], atol=1e-4)
    turned = np.angle(after[:, 1:-1] / before[:, 1:-1])
    assert np.abs(turned[..., 0] - turned[..., 1]).min() > 1e-4  # each coordinate its own
    assert np.unique(turned.round(4)).size == turned.size


def test_reversal_agrees_with_all_signs_enumerated():
    turns = np.array([2.0, 0.7, -0.4, 1.1, 0.2])
    n = jnp.array([4, 4, 4, 4, 4])
    found = time_reversed(jnp.asarray(turns), n, KEY, n_surrogates=20_000)
    every = np.array([np.dot(signs, turns) for signs in product([-1, 1], repeat=5)])
    exact = np.mean(np.abs(every) >= abs(turns.sum()) - 1e-6)
    assert found.value == pytest.approx(turns.sum() / 10)
    assert found.p_value == pytest.approx(exact, abs=0.01)
    assert found.null_mean == pytest.approx(0, abs=0.01)
    assert -0.1 * every.max() <= found.null_low < found.null_high <= 0.1 * every.max()


def test_all_turns_alike_have_the_smallest_p_value():
    turns = jnp.full(5, 0.1)  # 2 of the 32 signs turn as much
    found = time_reversed(turns, jnp.full(5, 2), KEY, n_surrogates=20_000)
    assert found.p_value == pytest.approx(2 / 32, abs=0.01)


def test_other_keys_give_other_surrogates():
    points = linear(np.diag([0.9, 0.7]), 4)
    n = changes(points)
    a, b = (phase_shuffled(points, n, jax.random.key(i), n_surrogates=25) for i in range(2))
    assert a.value == b.value
    assert a.null_mean != b.null_mean
    assert a.n_surrogates == 25


@pytest.mark.parametrize("switches", [0, 3])
def test_nothing_to_test(switches):
    """A network that never switches, and one whose state is not a number."""
    points = clock(4) if switches == 0 else jnp.full((4, N_STEPS, 2), jnp.nan)
    n = jnp.full(4, switches)
    for found in (
        time_reversed(net_turns(points), n, KEY),
        phase_shuffled(points, n, KEY, n_surrogates=25),
    ):
        assert np.isnan(found.value)
        assert np.isnan(found.p_value)
        assert np.isnan(found.null_mean)


def test_a_line_does_not_turn():
    points = linear(np.diag([0.9, 0.7]), 4).at[..., 1].set(0)
    found = phase_shuffled(points, changes(points), KEY, n_surrogates=25)
    assert found.value == pytest.approx(0, abs=0.2)
    short = phase_shuffled(points[:, :2], changes(points), KEY, n_surrogates=25)
    assert np.isfinite(short.value)
