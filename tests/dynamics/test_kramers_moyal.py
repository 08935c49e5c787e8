"""Processes whose drift, diffusion and potential are known."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hmmrnn.dynamics.kramers_moyal import (
    MIN_COUNT,
    bin_edges,
    drift_diffusion,
    find_wells,
    kramers_moyal,
    readout_difference,
)
from hmmrnn.intervals import bootstrap_weights

STEP = 0.05


def simulate(drift, diffusion, n_steps=1_500, n_runs=150, wall=np.inf, seed=0):
    """Euler steps of dx = drift dt + sqrt(2 diffusion) dW, reflected at +-wall, in numpy."""
    rng = np.random.default_rng(seed)
    x = rng.choice([-0.8, 0.8], n_runs)
    path = []
    for _ in range(200 + n_steps):
        noise = rng.standard_normal(n_runs)
        x = x + STEP * drift(x) + np.sqrt(2 * diffusion(x) * STEP) * noise
        x = np.clip(x, -2 * wall - x, 2 * wall - x) if np.isfinite(wall) else x
        path.append(x)
    return jnp.asarray(np.stack(path[200:], axis=1), jnp.float32)


def measured(x, inside=None):
    weights = bootstrap_weights(len(x), jax.random.key(0))
    return kramers_moyal(drift_diffusion(x, bin_edges(x, inside), inside), weights)


@pytest.fixture(scope="module")
def double_well():
    return measured(simulate(lambda x: x - x**3, lambda x: 0.15 + 0 * x))


def covered(profile, truth):
    """Share of the bins whose interval, doubled, holds the truth."""
    known = np.isfinite(profile.value)
    reach = profile.high - profile.low
    return np.mean((np.abs(profile.value - truth) <= reach)[known])


def test_drift_and_diffusion_of_a_double_well(double_well):
    x, known = double_well.x, np.isfinite(double_well.drift.value)
    assert known.sum() >= 30
    assert covered(double_well.drift, STEP * (x - x**3)) > 0.9
    np.testing.assert_allclose(double_well.diffusion.value[known], 0.15 * STEP, rtol=0.1)
    assert double_well.second_lag.value == pytest.approx(1, abs=0.1)
    assert double_well.n_valid > 0.98 * 150 * 1_499


def test_potential_of_a_double_well(double_well):
    truth = (double_well.x**4 / 4 - double_well.x**2 / 2 + 0.25) / 0.15
    for profile, wells in (
        (double_well.density_potential, double_well.density_wells),
        (double_well.drift_potential, double_well.drift_wells),
    ):
        np.testing.assert_allclose(profile.value, truth, atol=0.5)
        assert wells.n == 2
        np.testing.assert_allclose(wells.at, [-1, 1], atol=0.2)
        assert wells.barrier.value == pytest.approx(1 / (4 * 0.15), abs=0.3)
        assert wells.barrier.low > 0.2
    assert double_well.drift_wells.drift_part.value == pytest.approx(1 / (4 * 0.15), abs=0.3)


def test_an_ornstein_uhlenbeck_process_has_one_well():
    found = measured(simulate(lambda x: -x, lambda x: 0.3 + 0 * x))
    assert (found.density_wells.n, found.drift_wells.n) == (1, 1)
    assert abs(found.drift_wells.at[0]) < 0.25
    assert covered(found.drift, -STEP * found.x) > 0.9
    assert found.second_lag.low - 0.1 < 1 < found.second_lag.high + 0.1


def test_noise_that_is_weaker_at_the_sides_makes_wells_without_drift():
    spread = lambda x: 0.05 * (1 + 3 * np.exp(-((x / 0.4) ** 2)))  # noqa: E731
    found = measured(simulate(lambda x: 0 * x, spread, wall=1.5, n_steps=3_000))
    wells = found.drift_wells
    assert wells.n == 2
    assert wells.at[0] < -0.5 < 0.5 < wells.at[1]
    assert wells.barrier.value == pytest.approx(np.log(4), abs=0.35)
    assert abs(wells.drift_part.value) < 0.35
    assert found.density_wells.n == 2


def test_fast_noise_on_the_readout_shows_at_the_second_lag():
    x = simulate(lambda x: -0.2 * x, lambda x: 0.06 + 0 * x)
    noise = jax.random.normal(jax.random.key(1), x.shape)
    # half of the deviation is gone after one step, and next to nothing more after two
    assert measured(x + jnp.std(x) * noise).second_lag.value == pytest.approx(2 / 3, abs=0.05)


def test_sums_agree_with_a_loop():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((3, 40)).astype(np.float32)
    inside = rng.random((3, 40)) < 0.8
    edges = np.linspace(-1.5, 1.5, 6).astype(np.float32)
    found = drift_diffusion(jnp.asarray(x), jnp.asarray(edges), jnp.asarray(inside))
    sums = np.zeros((5, 3, 5))
    for b in range(3):
        for t in range(39):
            i = int(np.searchsorted(edges, x[b, t], side="right")) - 1
            if not (0 <= i < 5 and inside[b, t] and inside[b, t + 1]):
                continue
            dx = x[b, t + 1] - x[b, t]
            sums[:3, b, i] += 1, dx, dx**2
            if t < 38 and inside[b, t + 2]:
                sums[3:, b, i] += 1, x[b, t + 2] - x[b, t]
    np.testing.assert_allclose(np.stack(found[1:]), sums, atol=1e-5)


def test_networks_side_by_side_under_jit():
    logits = jax.random.normal(jax.random.key(0), (2, 4, 60, 3))

    @jax.jit
    def run(logits, pair):
        x = readout_difference(logits, pair)
        return drift_diffusion(x, bin_edges(x))

    pairs = jnp.array([[0, 1], [2, 1]])
    together = jax.vmap(run)(logits, pairs)
    for i in range(2):
        alone = run(logits[i], pairs[i])
        for a, b in zip(together, alone, strict=True):
            np.testing.assert_allclose(a[i], b, atol=1e-5)


def test_the_readout_difference_has_no_scale_but_keeps_its_zero():
    logits = jax.random.normal(jax.random.key(0), (4, 60, 3)) + jnp.array([1.0, 0.0, 0.0])
    x = readout_difference(logits, jnp.array([0, 2]))
    assert float(jnp.std(x)) == pytest.approx(1, abs=1e-5)
    np.testing.assert_array_equal(x > 0, logits[..., 0] > logits[..., 2])
    np.testing.assert_allclose(readout_difference(7 * logits, jnp.array([0, 2])), x, rtol=1e-4)


def planted(*values, noise=0.02):
    rows = np.tile(np.array(values, float), (200, 1))
    rows[1:] += noise * np.random.default_rng(0).standard_normal(rows[1:].shape)
    return find_wells(np.arange(len(values), dtype=float), rows, 0.5 * rows)


def test_wells_are_minima_behind_barriers():
    wells = planted(3, 0, 1, 0.5, 2, 0.2, 4)
    assert (wells.n, list(wells.at)) == (3, [1, 3, 5])
    assert wells.barrier.value == pytest.approx(1.8)
    assert wells.drift_part.value == pytest.approx(0.9)
    assert planted(2, 1, 0, 1, 2).n == 1
    assert planted(0, 1, 2, 1.5).n == 2
    shallow = planted(2, 0, 0.15, 0.05, 2)
    assert shallow.n == 1
    assert shallow.barrier.value == pytest.approx(0.1)
    uncertain = planted(2, 0, 1, 0.4, 2, noise=0.5)
    assert uncertain.n == 1
    assert np.isnan(planted(2, 1, 0, 1, 2).barrier.value)
    assert planted(*[np.nan] * 4).n == 0


@pytest.mark.parametrize("value", [np.nan, np.inf, 0.0, 1e30])
def test_bad_input_counts_nothing(value):
    x = readout_difference(jnp.full((3, 50, 2), value).at[..., 0].mul(2), jnp.array([0, 1]))
    found = measured(x)
    assert found.n_valid == 0
    assert found.density_wells.n == found.drift_wells.n == 0
    assert np.isnan(found.drift.value).all()
    assert np.isnan(found.second_lag.value)


@pytest.mark.parametrize("n_steps", [1, 2, 3])
def test_very_short_runs_are_too_few(n_steps):
    found = measured(jax.random.normal(jax.random.key(0), (4, n_steps)))
    assert found.n_valid <= 4 * (n_steps - 1)
    assert found.counts.max() < MIN_COUNT
    assert found.density_wells.n == 0


def test_runs_that_are_not_finite_are_left_out():
    x = np.random.default_rng(0).standard_normal((6, 400)).astype(np.float32)
    whole, holed = measured(jnp.asarray(x)), x.copy()
    holed[5] = np.nan
    found = measured(jnp.asarray(holed))
    assert 0.8 * whole.n_valid < found.n_valid < 0.86 * whole.n_valid
