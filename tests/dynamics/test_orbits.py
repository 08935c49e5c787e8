"""Orbits against paths whose turning is known, and against plain loops in numpy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from networks import net_of, rotor, tanh_network, two_wells
from scipy.integrate import quad

from hmmrnn.dynamics.orbits import (
    N_BINS,
    orbit,
    phase_bins,
    plane_points,
    summarise_orbit,
)
from hmmrnn.dynamics.rotation import net_turns, phase, phase_steps
from hmmrnn.recordings.recorder import driven_runs

KEY = jax.random.key(0)


def circle(angles, radius=2.0):
    return jnp.stack([radius * jnp.cos(angles), radius * jnp.sin(angles)], axis=-1)


def halves(points):
    """A transition where the path crosses x = 0."""
    side = points[..., 0] > 0
    change = side[..., 1:] != side[..., :-1]
    return jnp.concatenate([jnp.zeros_like(side[..., :1]), change], axis=-1)


def measured(points, valid=None):
    return summarise_orbit(orbit(points, halves(points), valid), KEY)


def wander(seed, n_runs=3, n_steps=400, drift=0.1, spread=0.4):
    """Angles of a noisy rotation."""
    rng = np.random.default_rng(seed)
    steps = drift + spread * rng.standard_normal((n_runs, n_steps))
    return np.cumsum(steps, axis=1) + rng.uniform(0, 6, (n_runs, 1))


def periods_by_loop(angles, valid, direction):
    """Lengths of completed turns: next time that the phase stands one more turn ahead."""
    found = []
    for row, good in zip(direction * angles, valid, strict=True):
        start = None
        for t in range(len(row)):
            if not good[t]:
                start = None
            elif start is None:
                start, goal, last = row[t], row[t] + 2 * np.pi, t
            elif row[t] >= goal:
                found.append(t - last)
                goal, last = goal + 2 * np.pi, t
    return found


def test_phase_is_continuous_over_turns():
    angles = jnp.linspace(0.3, 20.0, 200)
    np.testing.assert_allclose(phase(circle(angles)), angles, atol=1e-4)
    np.testing.assert_allclose(phase(circle(-angles)), -angles, atol=1e-4)


@pytest.mark.parametrize("sign", [1, -1])
def test_a_steady_rotation_has_known_numbers(sign):
    angles = sign * (0.01 + 2 * jnp.pi / 20 * jnp.arange(401)) + jnp.array([[0.0], [1.0], [2.0]])
    found = measured(circle(angles))
    assert found.direction == sign
    assert found.rotation.value == pytest.approx(1, abs=0.02)
    assert found.radius.value == pytest.approx(2, rel=1e-5)
    assert found.radius_cv.value == pytest.approx(0, abs=2e-3)
    assert found.period.value == pytest.approx(20, abs=0.2)
    assert found.period_cv.value < 0.05
    assert found.n_periods in (57, 58, 59, 60)
    speed = found.advance.value[found.occupancy > 0]
    np.testing.assert_allclose(speed, 2 * np.pi / 20, atol=1e-4)
    assert found.occupancy.sum() == pytest.approx(1)
    assert found.n_valid == 3


def test_going_back_and_forth_is_not_an_orbit():
    angles = jnp.pi / 2 + 1.2 * jnp.sin(0.3 * jnp.arange(500) + jnp.array([[0.0], [1.0]]))
    found = measured(circle(angles))
    assert found.rotation.value < 0.02
    assert found.n_transitions > 40
    assert found.n_periods == 0
    assert np.isnan(found.period.value)
    assert np.nanmean(found.distance.value) > 5 * abs(np.nanmean(found.advance.value))


def test_speed_along_the_phase_is_that_of_its_equation():
    """d phi = 0.1 (1.5 + cos phi): slowest opposite of PC1."""
    path = [np.linspace(0, 6, 8)]
    for _ in range(2000):
        path.append(path[-1] + 0.1 * (1.5 + np.cos(path[-1])))
    found = measured(circle(jnp.asarray(np.array(path).T)))
    middles = (np.arange(N_BINS) + 0.5) * 2 * np.pi / N_BINS
    speed = 0.1 * (1.5 + np.cos(middles))
    np.testing.assert_allclose(found.advance.value, speed, rtol=0.03)
    np.testing.assert_allclose(found.distance.value, speed, rtol=0.03)
    expected = (1 / speed) / np.sum(1 / speed)
    np.testing.assert_allclose(found.occupancy, expected, rtol=0.06)
    assert np.all(found.advance.low <= found.advance.value)


@pytest.mark.parametrize("seed", range(3))
def test_periods_agree_with_a_loop(seed):
    angles = wander(seed, spread=0.8)
    rng = np.random.default_rng(seed)
    valid = np.repeat(rng.random((3, 8)) < 0.7, 50, axis=1)
    points = circle(jnp.asarray(angles))
    for mask in (np.ones_like(valid), valid):
        moments = orbit(points, halves(points), jnp.asarray(mask))
        expected = periods_by_loop(angles, mask, float(moments.direction))
        count, total, square = np.asarray(moments.periods.sum(axis=0))
        assert count == len(expected)
        assert total == sum(expected)
        assert square == sum(p * p for p in expected)


def test_masked_runs_count_as_segments_of_their_own():
    angles = wander(5, n_runs=1)[0]
    points = circle(jnp.asarray(angles), radius=1.0 + jnp.linspace(0, 1, 400))
    changes = halves(points)
    valid = np.zeros(400, bool)
    parts = [(10, 90), (91, 92), (150, 260), (300, 400)]
    for a, b in parts:
        valid[a:b] = True
    whole = orbit(points[None], changes[None], jnp.asarray(valid)[None])
    alone = [orbit(points[None, a:b], changes[None, a:b].at[:, 0].set(False)) for a, b in parts]
    assert all(m.direction == whole.direction for m in (alone[0], alone[2], alone[3]))
    for name in ("turns", "n_transitions", "n_points", "radius", "phase_counts", "periods"):
        expected = sum(getattr(m, name) for m in alone)
        np.testing.assert_allclose(getattr(whole, name), expected, rtol=1e-5, err_msg=name)
    moved = points.at[95:150].set(jnp.array([1e3, -7.0]))  # what is masked has no say
    again = orbit(moved[None], changes[None], jnp.asarray(valid)[None])
    np.testing.assert_array_equal(again.turns, whole.turns)


def test_net_turns_are_the_steps_of_the_phase():
    points = jax.random.normal(KEY, (4, 100, 2))
    every = jnp.ones((4, 100), bool)
    steps = phase_steps(points, every)
    np.testing.assert_allclose(steps.sum(axis=1) / (2 * np.pi), net_turns(points), atol=1e-5)
    wrapped = np.diff(np.unwrap(np.arctan2(points[..., 1], points[..., 0])), axis=1)
    np.testing.assert_allclose(steps[:, 1:], wrapped, atol=1e-5)


def test_an_isotropic_linear_process_turns_as_goodman_says():
    """z' = rho exp(i theta) z + noise: the angle of a step has Goodman's density (one look)."""
    rho, theta = 0.8, 0.4
    rng = np.random.default_rng(0)
    shape = (400, 500)
    noise = (rng.standard_normal(shape) + 1j * rng.standard_normal(shape)) * np.sqrt(1 - rho**2)
    z = np.empty(shape, complex)
    z[0] = noise[0] / np.sqrt(1 - rho**2)
    for t in range(1, 400):
        z[t] = rho * np.exp(1j * theta) * z[t - 1] + noise[t]
    points = jnp.asarray(np.stack([z.T.real, z.T.imag], axis=-1), jnp.float32)
    turns = orbit(points, halves(points)).turns

    def density(angle):
        b = rho * np.cos(angle - theta)
        tail = b * (np.pi / 2 + np.arcsin(b)) / (1 - b**2) ** 1.5
        return (1 - rho**2) / (2 * np.pi) * (1 / (1 - b**2) + tail)

    assert quad(density, -np.pi, np.pi)[0] == pytest.approx(1, abs=1e-6)
    expected = quad(lambda a: a * density(a), -np.pi, np.pi)[0]
    per_step = np.asarray(turns) * 2 * np.pi / 399
    error = per_step.std() / np.sqrt(len(per_step))
    assert abs(per_step.mean() - expected) < 4 * error
    assert error < 0.01 * expected


def test_rotation_is_turns_over_pairs_of_transitions():
    points = circle(jnp.asarray(wander(2, n_runs=6)))
    found = measured(points)
    pairs = float(halves(points).sum()) / 2
    expected = abs(float(net_turns(points).sum())) / pairs
    assert found.rotation.value == pytest.approx(expected, rel=1e-5)
    assert found.rotation.low < expected < found.rotation.high
    assert found.n_transitions == 2 * pairs


def test_a_planted_rotor_is_a_clock():
    net = rotor()
    runs = driven_runs(net, 600, jax.random.split(KEY, 8))
    found = summarise_orbit(orbit(plane_points(runs.states)[1], runs.changes), KEY)
    assert found.rotation.value == pytest.approx(1, abs=0.03)
    assert found.period_cv.value < 0.1
    assert found.radius_cv.value < 0.2


def test_runs_under_jit_and_vmap_over_networks():
    networks = [rotor(), two_wells(), tanh_network(0.5 * np.eye(2))]
    params = jax.tree.map(lambda *x: jnp.stack(x), *[net.params for net in networks])
    noise = jnp.array([0.02, 0.7, 1.0])
    keys = jax.random.split(KEY, (3, 4))

    def measure(params, noise_std, keys):
        runs = driven_runs(net_of(networks[0].cell, params, noise_std), 120, keys)
        plane, points = plane_points(runs.states)
        return orbit(points, runs.changes), plane.explained

    together = jax.jit(jax.vmap(measure))(params, noise, keys)
    for i in range(3):
        alone = measure(networks[i].params, noise[i], keys[i])
        for a, b in zip(jax.tree.leaves(together), jax.tree.leaves(alone), strict=True):
            np.testing.assert_allclose(a[i], b, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("n_steps", [1, 2, 3])
def test_very_short_runs(n_steps):
    points = jax.random.normal(KEY, (2, n_steps, 2))
    found = measured(points)
    assert found.n_valid in (0, 1, 2)
    assert found.n_periods == 0


def test_what_never_switches_has_no_rotation():
    points = circle(jnp.linspace(0, 20, 100)[None] + jnp.zeros((3, 1)))
    found = summarise_orbit(orbit(points, jnp.zeros((3, 100), bool)), KEY)
    assert found.n_valid == 0
    assert np.isnan(found.rotation.value)
    assert found.n_periods == 9


def test_a_state_that_rests_at_the_centre():
    found = measured(jnp.zeros((3, 50, 2)))
    assert (found.n_valid, found.n_periods) == (0, 0)
    assert found.radius.value == 0
    assert np.isnan(found.radius_cv.value)


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e25])
def test_points_that_are_not_finite_are_left_out(bad):
    good = circle(jnp.asarray(wander(1)))
    points = good.at[1, 100:].set(bad)
    valid = jnp.ones((3, 400), bool).at[1, 100:].set(False)
    expected = orbit(good, halves(good), valid)
    found = orbit(points, halves(good))
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_array_equal(a, b)
    nothing = measured(jnp.full((3, 400, 2), bad))
    assert (nothing.n_valid, nothing.n_periods) == (0, 0)
    assert np.isnan([nothing.rotation.value, nothing.radius.value, nothing.period.value]).all()
    assert np.isnan(nothing.advance.value).all()
    assert np.isnan(nothing.occupancy).all()


def test_one_hidden_unit_has_a_line_for_a_plane():
    net = tanh_network([[1.5]], [[1], [-1]])
    runs = driven_runs(net.replace(noise_std=0.7), 200, jax.random.split(KEY, 4))
    _, points = plane_points(runs.states)
    assert points.shape == (4, 200, 2)
    found = summarise_orbit(orbit(points, runs.changes), KEY)
    assert found.n_transitions > 0
    assert found.rotation.value == 0


def test_networks_with_nan_weights_give_nothing_and_no_error():
    broken = tanh_network(np.full((2, 2), np.nan))
    runs = driven_runs(broken, 50, jax.random.split(KEY, 3))
    found = summarise_orbit(orbit(plane_points(runs.states)[1], runs.changes), KEY)
    assert found.n_valid == 0
    assert np.isnan(found.rotation.value)


def test_bins_of_the_phase():
    angles = jnp.array([0.0, 0.2, -0.1, 2 * jnp.pi - 1e-3, 7.0, jnp.nan])
    np.testing.assert_array_equal(phase_bins(angles, 4), [0, 0, 3, 3, 0, 0])
