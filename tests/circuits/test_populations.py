"""Integrating populations against loops, pair counting and examples worked by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hmmrnn.circuits.populations import (
    FILTER_STEPS,
    LEAD,
    coming_changes,
    discoveries,
    filtered_drive,
    population,
    prediction_draws,
)
from hmmrnn.intervals import bootstrap_weights
from hmmrnn.recordings.events import STAY, find_events
from hmmrnn.recordings.recorder import Recording

KEY = jax.random.key(13)
N, D, B, T = 30, 8, 6, 250
PAIR = (0, 1)
KICK, OPPOSITE, POPULATION = slice(0, 3), slice(3, 6), slice(6, 12)


def mask(units):
    found = np.zeros(N, bool)
    found[units] = True
    return found


def symbols_of(seed, n_symbols=2, stay=0.95):
    rng = np.random.default_rng(seed)
    steps = rng.integers(1, n_symbols, (B, T)) if n_symbols > 2 else 1
    return np.cumsum((rng.random((B, T)) > stay) * steps, axis=1) % n_symbols


def recording_of(symbols, noise):
    empty = jnp.zeros((*symbols.shape, 1))
    as_int = jnp.asarray(symbols)
    return Recording(empty, jnp.asarray(noise, jnp.float32), empty, empty, as_int, 0 * as_int)


def random_recording(seed=0, n_symbols=2):
    noise = np.random.default_rng(seed).normal(size=(B, T, D))
    return recording_of(symbols_of(seed, n_symbols), noise)


def test_discoveries_by_hand():
    """Benjamini & Hochberg (1995): the largest k with p_(k) <= 0.05 k / m, and all below it."""
    nan = np.nan
    # m = 5, limits 0.01 to 0.05: 0.025 is above its own, but 0.028 is below 0.03.
    p = np.array([0.2, nan, 0.025, 0.008, 0.028, 0.041])
    np.testing.assert_array_equal(discoveries(p), [0, 0, 1, 1, 1, 0])
    p[4] = 0.039
    np.testing.assert_array_equal(discoveries(p), [0, 0, 0, 1, 0, 0])
    p[5] = p[4] = 0.04
    np.testing.assert_array_equal(discoveries(p), [0, 0, 1, 1, 1, 1])
    np.testing.assert_array_equal(discoveries(np.full(3, 0.05)), [1, 1, 1])
    np.testing.assert_array_equal(discoveries(np.array([0.06, 0.9])), [0, 0])
    np.testing.assert_array_equal(discoveries(np.full(3, nan)), [0, 0, 0])


def test_the_filtered_drive_is_a_running_average():
    recording = random_recording()
    W_in = np.random.default_rng(1).normal(size=(N, D))
    found = filtered_drive({"W_in": jnp.asarray(W_in)}, recording)
    drive = np.asarray(recording.noise, np.float64) @ W_in.T
    keep = np.exp(-1 / FILTER_STEPS)
    level = np.zeros((B, N))
    for t in range(T):
        level = keep * level + (1 - keep) * drive[:, t]
        np.testing.assert_allclose(found[:, t], level, atol=1e-5)


@pytest.mark.parametrize("n_symbols", [2, 3])
def test_coming_changes_are_those_of_a_plain_loop(n_symbols):
    symbols = symbols_of(2, n_symbols, stay=0.9)
    waiting, coming = coming_changes(recording_of(symbols, np.zeros((B, T, D))), PAIR)
    events = find_events(symbols, PAIR)
    onsets = set(zip(events.run.tolist(), events.onset.tolist(), strict=True))
    assert LEAD == STAY == 5
    assert len(onsets) > 3
    for run in range(B):
        for t in range(T):
            old = symbols[run, t] == 0
            before = old and any((run, t + lag) in onsets for lag in range(1, 6))
            stays = t + 5 < T and (symbols[run, t : t + 6] == 0).all()
            assert coming[run, t] == before
            assert waiting[run, t] == (stays and not before)
    assert coming.sum() == 5 * len(onsets)


def pair_counting(x, y):
    """Share of the pairs in which x is larger; ties count half (Mann & Whitney 1947)."""
    return np.mean((x[:, None] > y) + 0.5 * (x[:, None] == y))


def test_prediction_is_the_share_of_pairs_in_the_right_order():
    rng = np.random.default_rng(3)
    waiting = rng.random((B, T)) < 0.3
    coming = (rng.random((B, T)) < 0.1) & ~waiting
    drive = rng.normal(size=(B, T, 4))
    drive[..., 1] += 0.7 * coming
    drive[..., 2] = np.round(drive[..., 2])  # many ties
    drive[..., 3] -= 5 * coming
    weights = bootstrap_weights(B, KEY)
    found = prediction_draws(drive, waiting, coming, weights)
    assert found.shape == (len(weights), 4)
    for unit in range(4):
        expected = pair_counting(drive[coming][:, unit], drive[waiting][:, unit])
        assert found[0, unit] == pytest.approx(expected)
    assert found[0, 1] > 0.6
    assert found[0, 3] < 0.01
    # Ranks stay in the draws: nearly the same as ranking each anew, where classes overlap.
    for row in (1, 2, 3):
        counts = np.rint(B * weights[row]).astype(int)
        runs = np.repeat(np.arange(B), counts)
        again = [
            pair_counting(drive[runs][coming[runs], unit], drive[runs][waiting[runs], unit])
            for unit in range(3)
        ]
        np.testing.assert_allclose(found[row, :3], again, atol=0.01)


def test_without_a_change_nothing_is_predicted():
    nothing = np.zeros((B, T), bool)
    drive = np.random.default_rng(4).normal(size=(B, T, 2))
    weights = bootstrap_weights(B, KEY)
    assert np.isnan(prediction_draws(drive, ~nothing, nothing, weights)).all()
    assert np.isnan(prediction_draws(drive, nothing, nothing, weights)).all()


def planted(seed=0):
    """Weights of a population of 6 on both kick groups, and noise that announces the change."""
    rng = np.random.default_rng(seed)
    W_rec = 0.3 * rng.normal(size=(N, N))
    W_rec[KICK, POPULATION] = 1.0 + 0.1 * rng.normal(size=(3, 6))
    W_rec[OPPOSITE, POPULATION] = -1.0 + 0.1 * rng.normal(size=(3, 6))
    symbols = symbols_of(seed)
    W_in = rng.normal(size=(N, D))
    W_in[:, 0] = 0
    W_in[POPULATION] = 0.3 * rng.normal(size=(6, D))
    W_in[POPULATION, 0] = 1.0
    noise = rng.normal(size=(B, T, D))
    events = find_events(symbols, PAIR)
    for lag in range(1, 6):
        noise[events.run, events.onset - lag, 0] += 1.5
    params = {"W_rec": jnp.asarray(W_rec, jnp.float32), "W_in": jnp.asarray(W_in, jnp.float32)}
    return params, recording_of(symbols, noise)


def test_a_planted_population_is_found_by_weight_and_by_noise():
    params, recording = planted()
    found = population(params, recording, PAIR, mask(KICK), mask(OPPOSITE), KEY)
    W = np.asarray(params["W_rec"], np.float64)
    onto, away = W[KICK].mean(0), W[OPPOSITE].mean(0)
    np.testing.assert_allclose(found.contrast, onto - away, atol=1e-6)
    others = ~(mask(KICK) | mask(OPPOSITE))
    np.testing.assert_array_equal(found.members, others & (onto > 0) & (away < 0))
    assert found.members[POPULATION].all()
    assert found.beyond_chance[POPULATION].all()
    assert found.beyond_chance.sum() <= 7
    assert (found.beyond_chance <= found.members).all()
    waiting, coming = coming_changes(recording, PAIR)
    drive = filtered_drive(params, recording)
    for unit in (0, 7, 20):
        expected = pair_counting(drive[coming][:, unit], drive[waiting][:, unit])
        assert found.prediction[unit] == pytest.approx(expected, abs=1e-6)
    assert found.prediction[POPULATION].min() > 0.7
    assert found.difference.low > 0
    assert found.agreement.low > 0
    split = (
        found.prediction[found.members].mean() - found.prediction[others & ~found.members].mean()
    )
    assert found.difference.value == pytest.approx(split)
    assert found.pair == PAIR


def test_weights_at_random_are_rarely_beyond_chance():
    n_found = n_members = 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        params = {
            "W_rec": jnp.asarray(rng.normal(size=(N, N)), jnp.float32),
            "W_in": jnp.asarray(rng.normal(size=(N, D)), jnp.float32),
        }
        recording = random_recording(seed)
        key = jax.random.key(seed)
        found = population(params, recording, PAIR, mask(KICK), mask(OPPOSITE), key)
        n_found += found.beyond_chance.any()
        n_members += found.members.sum()
    assert n_found <= 3
    assert n_members / (20 * (N - 6)) == pytest.approx(0.25, abs=0.06)  # "a quarter would"


def test_relabelling_units_permutes_the_population():
    params, recording = planted()
    order = np.random.default_rng(5).permutation(N)
    relabelled = {
        "W_rec": params["W_rec"][np.ix_(order, order)],
        "W_in": params["W_in"][order],
    }
    one = population(params, recording, PAIR, mask(KICK), mask(OPPOSITE), KEY)
    groups = mask(KICK)[order], mask(OPPOSITE)[order]
    other = population(relabelled, recording, PAIR, *groups, KEY)
    for name in ("contrast", "members", "prediction"):
        expected = getattr(one, name)[order]
        np.testing.assert_allclose(getattr(other, name), expected, atol=1e-5, err_msg=name)
    np.testing.assert_allclose(other.agreement.parts, one.agreement.parts, atol=1e-4)
    np.testing.assert_allclose(other.difference.parts, one.difference.parts, atol=1e-4)
    assert (one.beyond_chance[order] != other.beyond_chance).sum() <= 1  # its draws are by index


def test_a_kick_group_without_opposite_needs_excitation_alone():
    params, recording = planted()
    found = population(params, recording, PAIR, mask(KICK), mask([]), KEY)
    onto = np.asarray(params["W_rec"])[KICK].mean(0)
    np.testing.assert_array_equal(found.members, ~mask(KICK) & (onto > 0))
    np.testing.assert_allclose(found.contrast, onto, atol=1e-6)
    assert found.beyond_chance[POPULATION].all()


@pytest.mark.parametrize("opposite", [mask([]), mask(OPPOSITE)])
def test_an_empty_kick_group_has_no_population(opposite):
    params, recording = planted()
    found = population(params, recording, PAIR, mask([]), opposite, KEY)
    assert not found.members.any()
    assert not found.beyond_chance.any()
    assert np.isnan(found.difference.parts).all()
    assert np.isnan(found.agreement.value) == (not opposite.any())
    assert np.isfinite(found.prediction).all()


def test_one_symbol_only_predicts_nothing():
    params, recording = planted()
    same = recording._replace(symbols=jnp.zeros_like(recording.symbols))
    for pair in [(0, 1), (1, 0)]:
        found = population(params, same, pair, mask(KICK), mask(OPPOSITE), KEY)
        assert found.members[POPULATION].all()
        assert np.isnan(found.prediction).all()
        assert np.isnan(found.agreement.parts).all()
        assert np.isnan(found.difference.parts).all()
