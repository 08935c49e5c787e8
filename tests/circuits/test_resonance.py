import jax
import jax.numpy as jnp
import numpy as np
import pytest
from networks import net_of, weights
from scipy.signal import lfilter

from hmmrnn.circuits.assays import assay, measure, measure_baseline
from hmmrnn.circuits.outcomes import outcomes
from hmmrnn.circuits.resonance import resonance, time_scales
from hmmrnn.intervals import UNKNOWN
from hmmrnn.nets import Intervention, RNNCell
from hmmrnn.recordings.recorder import record

KEY = jax.random.key(3)


def homogeneous():
    """Two slow units without bias that inhibit each other; the larger one says the symbol."""
    w = 0.9 * np.eye(6)
    w[0, 1] = w[1, 0] = -0.05
    w[2:, 2:] += 0.02
    params = weights(W_rec=w, W_in=np.eye(6), W_out=np.eye(2, 6))
    return net_of(RNNCell(2, 6, 6), params, jnp.ones(()))


def setting_of(network, n_runs=12, n_steps=150, key=KEY):
    recording = record(network, 4, 20, jax.random.key(1))
    return assay(network, recording, None, key, n_runs=n_runs, n_steps=n_steps, n_starts=4)


@pytest.fixture(scope="module")
def plain():
    setting = setting_of(homogeneous())
    return setting, measure_baseline(setting)


def test_scaling_all_noise_of_a_homogeneous_network_changes_no_symbol(plain):
    """f(s x) = s f(x), exactly so in floating point where s is a power of two."""
    setting, baseline = plain
    gains = [Intervention(noise_gain=s) for s in (0.25, 0.5, 2.0, 4.0)]
    found = measure(setting, gains)
    assert baseline.counts.raw.sum() > 100
    for scale, last in zip((0.25, 0.5, 2.0, 4.0), found.counts.last, strict=True):
        np.testing.assert_array_equal(last, scale * baseline.counts.last[0])
    for name in ("steps", "completed", "raw_steps", "raw", "dwells"):
        counted = getattr(found.counts, name)
        for one in counted:
            np.testing.assert_array_equal(one, getattr(baseline.counts, name)[0])
    assert np.abs(found.counts.ngrams[3] - baseline.counts.ngrams[0]).max() > 1e-3


def test_identity_is_said_where_it_holds(plain):
    setting, baseline = plain
    everyone = resonance(setting, baseline, np.ones(6, bool), KEY, gains=(0.5, 1.0, 2.0))
    assert everyone.identity
    for side in everyone.outcome.ratio.parts:
        np.testing.assert_array_equal(side[~np.isnan(side)], 1)
    assert np.isfinite(everyone.outcome.ratio.value).sum() >= 6
    assert everyone.dip.value == everyone.dip.low == everyone.dip.high == 0
    some = resonance(setting, baseline, np.arange(6) < 1, KEY, gains=(0.5, 1.0, 2.0))
    assert not some.identity
    assert some.n_units == 1
    np.testing.assert_array_equal(some.outcome.per_step_ratio.value == 1, [False, True, False])
    biased = setting._replace(
        network=net_of(
            setting.network.cell.clone(bias=True),
            setting.network.params | {"b_rec": 0.1 * jnp.ones(6), "b_out": jnp.zeros(2)},
        ),
    )
    base = measure_baseline(biased)
    other = resonance(biased, base, np.ones(6, bool), KEY, gains=(0.5, 1.0, 2.0))
    assert not other.identity


def test_without_any_noise_nothing_is_regular(plain):
    setting, baseline = plain
    found = resonance(setting, baseline, np.ones(6, bool), KEY, gains=(0.0, 1.0))
    assert found.outcome.per_step.value[0] == 0
    assert np.isnan(found.outcome.pooled_cv.value[0])
    assert np.isnan(found.best_gain)  # one gain with a CV is no comparison
    nothing = resonance(setting, baseline, np.ones(6, bool), KEY, gains=(0.0,))
    assert nothing.dip == UNKNOWN


def test_outcomes_are_those_of_the_noise_into_these_units_alone(plain):
    setting, baseline = plain
    some = np.arange(6) % 3 == 0
    found = resonance(setting, baseline, some, KEY, gains=(0.0, 3.0))
    gains = [Intervention(noise_gain=jnp.where(some, s, 1.0)) for s in (0.0, 3.0)]
    direct = outcomes(setting, measure(setting, gains), baseline, KEY)
    for name in ("rate", "dwell_cv", "pooled_cv", "per_step"):
        np.testing.assert_array_equal(
            getattr(found.outcome, name).value, getattr(direct, name).value
        )


def test_a_dip_is_found_where_it_is_planted(plain, monkeypatch):
    setting, baseline = plain
    setting = setting._replace(keys=jax.random.split(KEY, 200))
    ones = jax.tree.map(lambda x: np.repeat(x[:, :1], 200, axis=1), baseline.counts)
    base = baseline._replace(counts=ones, critical=np.full((1, 200), np.nan))

    def with_cvs(cv):
        rng = np.random.default_rng(0)
        shape = np.asarray(cv)[:, None, None] ** -2.0
        dwell = rng.gamma(shape, 20 / shape, (len(cv), 200, 10))
        moments = np.zeros((len(cv), 200, 2, 3))
        moments[:, :, 0] = np.stack([0 * dwell[..., 0] + 10, dwell.sum(-1), (dwell**2).sum(-1)], -1)
        many = jax.tree.map(lambda x: np.repeat(x, len(cv), axis=0), base)
        many = many._replace(counts=many.counts._replace(dwells=moments))
        monkeypatch.setattr("hmmrnn.circuits.resonance.measure", lambda *_: many)
        gains = tuple(np.arange(len(cv)) / 2)
        return resonance(setting, base, np.arange(6) < 1, KEY, gains=gains)

    found = with_cvs([0.9, 0.6, 0.3, 0.5, 0.8])
    assert found.best_gain == 1.0
    assert found.dip.low < 0.8 - 0.3 < found.dip.high
    assert found.dip.low > 0.4
    np.testing.assert_allclose(found.outcome.pooled_cv.value, [0.9, 0.6, 0.3, 0.5, 0.8], rtol=0.1)
    flat = with_cvs([0.7] * 9)
    assert flat.dip.low < 0 < flat.dip.high
    falling = with_cvs([0.9, 0.7, 0.5, 0.3])
    assert falling.best_gain == 1.5
    assert falling.dip.value == 0


def first_order(rate, n_runs=40, n_steps=4_000, seed=0):
    rng = np.random.default_rng(seed)
    return lfilter([1], [1, -rate], rng.standard_normal((n_runs, n_steps)))


def test_time_scales_of_first_order_processes():
    """rho_k = a^k: 1/2 + sum = (1 + a) / (2 (1 - a)), and 1/e after -1 / log a steps."""
    slow, fast = first_order(0.9), first_order(0.5, seed=3)
    states = np.stack([slow, slow + 1, 3 * fast - 2, 0 * slow], axis=-1)
    units = np.eye(4, dtype=bool)
    found = time_scales(states, units[0] | units[1], units[2], KEY)
    for estimate, value in [
        (found.population, 9.5),
        (found.kick, 1.5),
        (found.ratio, 9.5 / 1.5),
        (found.population_decay, -1 / np.log(0.9)),
        (found.kick_decay, 1 + (0.5 - np.exp(-1)) / 0.25),  # on a line from 1 to 2 steps
    ]:
        assert estimate.value == pytest.approx(value, rel=0.06)
        assert estimate.low < value < estimate.high
        assert estimate.high - estimate.low < 0.3 * value
    assert found.decay_ratio.value == pytest.approx(
        found.population_decay.value / found.kick_decay.value
    )
    same = time_scales(states, units[0], units[1], KEY)
    assert (same.ratio.value, same.ratio.low, same.ratio.high) == pytest.approx((1, 1, 1), rel=1e-3)


def test_an_oscillation_is_summed_to_its_first_zero():
    t = np.arange(4_000)
    phase = np.random.default_rng(0).uniform(0, 2 * np.pi, (30, 1))
    wave = np.cos(2 * np.pi * t / 40 + phase)[..., None]
    found = time_scales(wave, np.ones(1, bool), np.ones(1, bool), KEY)
    expected = np.cos(2 * np.pi * np.arange(10) / 40).sum() - 0.5
    assert found.population.value == pytest.approx(expected, rel=0.02)
    assert found.population_decay.value == pytest.approx(
        40 * np.arccos(np.exp(-1)) / (2 * np.pi), rel=0.02
    )


def test_groups_that_are_empty_or_still_have_no_time_scale():
    states = np.stack([first_order(0.5, 4, 200), np.ones((4, 200))], axis=-1)
    units = np.eye(2, dtype=bool)
    for other in (units[1], np.zeros(2, bool)):
        found = time_scales(states, units[0], other, KEY)
        assert np.isfinite(found.population.value)
        assert found.kick == UNKNOWN
        assert found.ratio == UNKNOWN
        assert found.decay_ratio == UNKNOWN
    broken = time_scales(np.where(units[0], np.nan, states), units[0], units[1], KEY)
    assert all(number == UNKNOWN for number in broken)
