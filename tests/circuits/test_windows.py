"""A planted flip-flop whose kick is known step by step, and random networks against numpy loops."""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from networks import (
    FLIP_FLOP,
    IDLE,
    K02,
    K20,
    M0,
    M2,
    P02,
    P20,
    SMALL,
    flip_flop,
    net_of,
    random_network,
    relabelled,
    units,
)

from hmmrnn import InputError
from hmmrnn.circuits.windows import (
    aligned_events,
    replacement,
    unit_push,
    window_effects,
    windowed_runs,
)
from hmmrnn.intervals import UNKNOWN, Estimate, bootstrap_weights
from hmmrnn.interventions.answers import onset_of, prefers
from hmmrnn.recordings.events import Events, noise_of_rows, starts_of_rows
from hmmrnn.recordings.recorder import Recording

KEY = jax.random.key(5)
BEFORE, STEPS, E = 25, 40, 6
PAIR = (0, 2)
WINDOWS = np.array([-12, -4, -3, -2, -1, 0, 4, 10])


def kicked(n_events=E):
    """Stretches of the flip-flop that start with M0; x_0 > 7/3 two steps before the onset."""
    h0 = np.zeros((n_events, 7), np.float32)
    h0[:, M0] = 2
    noise = np.zeros((STEPS, n_events, 5), np.float32)
    noise[:, :, 4] = np.random.default_rng(0).normal(size=(STEPS, n_events))
    noise[BEFORE - 2, :, 0] = np.linspace(2.4, 3, n_events)
    return jnp.asarray(h0), jnp.asarray(noise)


def random_case(seed=2):
    rng = np.random.default_rng(seed)
    params = random_network(rng)
    h0 = jnp.asarray(np.abs(rng.normal(size=(E, 12))), jnp.float32)
    return params, h0, jnp.asarray(rng.normal(size=(STEPS, E, 5)), jnp.float32)


def random_groups():
    return np.random.default_rng(1).random((3, 12)) < np.array([[0.5], [0.2], [0.0]])


def of_units(*groups):
    return jnp.asarray([units(*group, n=7) for group in groups])


def by_hand(params, h0, noise, cut, level):
    """Logits (T, K) of one event in float64 with cut (T, N) units at their level."""
    W_rec, W_in, W_out = (np.asarray(params[k], float) for k in ("W_rec", "W_in", "W_out"))
    h, logits = np.asarray(h0, float), []
    for x, silent in zip(np.asarray(noise, float), cut, strict=True):
        h = np.maximum(W_rec @ h + W_in @ x, 0)
        h = np.where(silent, level, h)
        logits.append(W_out @ h)
    return np.array(logits)


def margin(logits):
    return logits[:, PAIR[1]] - logits[:, PAIR[0]]


def swing(logits, first, last):
    return margin(logits)[BEFORE + first : BEFORE + last].mean() - margin(logits)[:5].mean()


windowed = partial(windowed_runs, before=BEFORE, pair=PAIR, windows=jnp.asarray(WINDOWS))


def cut_random(params, h0, noise, level=None):
    level = jnp.zeros(12) if level is None else jnp.asarray(level, jnp.float32)
    groups = jnp.asarray(random_groups())
    found = windowed(net_of(SMALL, params), h0, noise, groups=groups, level=level)
    return jax.tree.map(np.asarray, found)


def cut_planted(*groups, noise=None):
    h0, usual = kicked()
    noise = usual if noise is None else noise
    masks = of_units(*groups)
    net = net_of(FLIP_FLOP, flip_flop())
    found = windowed(net, h0, noise, groups=masks, level=jnp.zeros(7))
    return jax.tree.map(np.asarray, found)


@pytest.fixture(scope="module")
def cut_flip_flop():
    return cut_planted([K02], [P02], [K20, P20], [IDLE], [])


def test_a_kick_is_needed_when_it_fires_and_at_no_other_time(cut_flip_flop):
    happens = np.asarray(cut_flip_flop.happens)
    for group, fires in enumerate([-1, -2]):
        hit = (fires >= WINDOWS) & (fires < WINDOWS + 3)
        assert hit.sum() in (2, 3)
        np.testing.assert_array_equal(happens[group], np.repeat(~hit[:, None], E, 1))
        np.testing.assert_array_equal(np.isnan(cut_flip_flop.delay[group]), happens[group] == 0)
        lost = np.asarray(cut_flip_flop.swing_lost[group])
        np.testing.assert_allclose(lost.mean(1), hit, atol=1e-6)
    assert cut_flip_flop.n_valid == E


def test_units_without_a_part_in_it_change_nothing_at_all(cut_flip_flop):
    np.testing.assert_array_equal(cut_flip_flop.happens[2:], 1)
    np.testing.assert_array_equal(cut_flip_flop.delay[2:], 0)
    np.testing.assert_array_equal(cut_flip_flop.swing_lost[2:], 0)
    np.testing.assert_array_equal(cut_flip_flop.clean_happens, 1)
    np.testing.assert_array_equal(cut_flip_flop.clean_delay, 0)


def test_a_kick_that_lasts_switches_when_it_is_let_go():
    """K02 fires at steps -1 .. 2; the switch follows the first that is not cut."""
    noise = kicked()[1].at[BEFORE - 2 : BEFORE + 2, :, 0].set(3.0)
    found = cut_planted([K02], [], [], [], [], noise=noise)
    expected = {-12: 0, -4: 0, -3: 1, -2: 2, -1: 3, 0: 0, 4: 0, 10: 0}
    for w, delay in zip(WINDOWS.tolist(), found.delay[0], strict=True):
        np.testing.assert_array_equal(delay, expected[w])
    np.testing.assert_array_equal(found.happens, 1)


@pytest.mark.parametrize("level", [0.0, 0.7])
def test_equal_to_loops_in_numpy(level):
    params, h0, noise = random_case()
    groups, levels = random_groups(), level * np.arange(12) / 6
    found = cut_random(params, h0, noise, levels)
    clean = [by_hand(params, h0[e], noise[:, e], np.zeros((STEPS, 12), bool), 0) for e in range(E)]
    mean_swing = np.mean([swing(logits, 3, 8) for logits in clean])
    offsets = np.arange(STEPS) - BEFORE
    for g, group in enumerate(groups):
        for i, w in enumerate(WINDOWS):
            inside = (offsets >= w) & (offsets < w + 3)
            for e in range(E):
                logits = by_hand(params, h0[e], noise[:, e], inside[:, None] & group, levels)
                new = np.argmax(logits, 1) == PAIR[1]
                assert found.happens[g, i, e] == (new[BEFORE + 5 : BEFORE + 10].sum() >= 3)
                steps = [t for t in range(STEPS - 2) if new[t : t + 3].all()]
                np.testing.assert_equal(
                    float(found.delay[g, i, e]), float(steps[0] - BEFORE) if steps else np.nan
                )
                lost = margin(clean[e])[28:33].mean() - margin(logits)[28:33].mean()
                lost /= mean_swing
                np.testing.assert_allclose(found.swing_lost[g, i, e], lost, rtol=2e-3, atol=2e-4)
    assert np.isfinite(found.delay).any()
    assert np.ptp(found.swing_lost) > 0.1


def test_what_happens_after_all_is_read_cannot_matter():
    params, h0, noise = random_case()
    found = cut_random(params, h0, noise)
    last = list(WINDOWS).index(10)
    np.testing.assert_array_equal(found.swing_lost[:, last], 0)
    np.testing.assert_array_equal(found.happens[:, last], found.clean_happens[None].repeat(3, 0))
    np.testing.assert_array_equal(found.swing_lost[2], 0)  # nobody is cut
    assert (np.asarray(found.swing_lost[0, :-1]) != 0).any()
    four = list(WINDOWS).index(4)
    before = np.asarray(found.clean_delay) < 2  # a change that had lasted by step 3 stays
    np.testing.assert_array_equal(
        np.asarray(found.delay[:, four])[:, before],
        np.asarray(found.clean_delay)[None, before].repeat(3, 0),
    )


def test_the_push_of_each_unit_of_the_flip_flop():
    push = np.asarray(unit_push(net_of(FLIP_FLOP, flip_flop()), *kicked(), BEFORE, PAIR))
    assert push.shape == (E, 7)
    np.testing.assert_allclose(push.mean(0)[[K02, P02]], 1, rtol=1e-6)
    np.testing.assert_array_equal(push[:, [K20, P20, IDLE]], 0)
    np.testing.assert_allclose(push.mean(0)[M2], 1, atol=0.03)  # silent while it should rise
    early = unit_push(net_of(FLIP_FLOP, flip_flop()), *kicked(), BEFORE, PAIR, -8, -1)
    np.testing.assert_array_equal(early[:, K02], 0)
    np.testing.assert_allclose(early.mean(0)[P02], 1, rtol=1e-6)


@pytest.mark.parametrize(("first", "last", "horizon"), [(-8, 2, (3, 8)), (-25, 2, (1, 6))])
def test_push_equals_loops_in_numpy(first, last, horizon):
    params, h0, noise = random_case()
    found = np.asarray(
        unit_push(net_of(SMALL, params), h0, noise, BEFORE, PAIR, first, last, horizon)
    )
    inside = (np.arange(STEPS) - BEFORE >= first) & (np.arange(STEPS) - BEFORE < last)
    nothing = np.zeros((STEPS, 12), bool)
    clean = [by_hand(params, h0[e], noise[:, e], nothing, 0) for e in range(E)]
    total = np.mean([swing(logits, *horizon) for logits in clean])
    end = slice(BEFORE + horizon[0], BEFORE + horizon[1])
    for e in range(E):
        for i in range(12):
            cut = by_hand(params, h0[e], noise[:, e], inside[:, None] & (np.arange(12) == i), 0)
            lost = (margin(clean[e])[end].mean() - margin(cut)[end].mean()) / total
            np.testing.assert_allclose(found[e, i], lost, rtol=2e-3, atol=2e-4)
    assert np.abs(found).max() > 0.02


def test_relabelled_units_have_relabelled_pushes():
    params, h0, noise = random_case()
    order = np.random.default_rng(3).permutation(12)
    other = relabelled(params, order)
    push = unit_push(net_of(SMALL, params), h0, noise, BEFORE, PAIR)
    np.testing.assert_allclose(
        unit_push(net_of(SMALL, other), h0[:, order], noise, BEFORE, PAIR),
        push[:, order],
        atol=2e-5,
    )


def test_the_scale_of_the_noise_changes_no_push():
    params, h0, noise = random_case()
    push = unit_push(net_of(SMALL, params), h0, noise, BEFORE, PAIR)
    np.testing.assert_array_equal(
        unit_push(net_of(SMALL, params), 4 * h0, 4 * noise, BEFORE, PAIR), push
    )


def test_networks_side_by_side_equal_each_alone():
    each = [random_case(seed) for seed in (2, 3)]
    params, h0, noise = jax.tree.map(lambda *x: jnp.stack(x), *each)
    pushes = jax.vmap(lambda p, h, x: unit_push(net_of(SMALL, p), h, x, BEFORE, PAIR))(
        params, h0, noise
    )
    same = {"groups": jnp.asarray(random_groups()), "level": jnp.zeros(12)}
    runs = jax.vmap(lambda p, h, x: windowed(net_of(SMALL, p), h, x, **same))(params, h0, noise)
    for i, (p, h, x) in enumerate(each):
        np.testing.assert_allclose(
            pushes[i], unit_push(net_of(SMALL, p), h, x, BEFORE, PAIR), rtol=1e-3, atol=1e-5
        )
        alone = cut_random(p, h, x)
        for together, single in zip(runs, alone, strict=True):
            np.testing.assert_allclose(together[i], single, rtol=1e-3, atol=1e-5)
    assert not np.allclose(pushes[0], pushes[1])


def test_one_event_that_is_not_finite_leaves_the_others_alone():
    params, h0, noise = random_case()
    broken = cut_random(params, h0.at[1].set(jnp.nan), noise)
    whole = cut_random(params, h0, noise)
    assert broken.n_valid == E - 1
    rest = [0, 2, 3, 4, 5]
    np.testing.assert_array_equal(broken.happens[..., rest], whole.happens[..., rest])
    for x in (broken.happens, broken.delay, broken.swing_lost):
        assert np.isnan(x[..., 1]).all()
    ratio = broken.swing_lost[0, 0, 0] / whole.swing_lost[0, 0, 0]  # another mean swing
    np.testing.assert_allclose(
        broken.swing_lost[:2, :-1, 2:], ratio * whole.swing_lost[:2, :-1, 2:], rtol=1e-3, atol=1e-6
    )
    push = unit_push(net_of(SMALL, params), h0.at[1].set(jnp.nan), noise, BEFORE, PAIR)
    np.testing.assert_array_equal(np.isnan(push), np.arange(E)[:, None] == np.full(12, 1))


def test_a_network_that_diverges_has_no_effects():
    params, h0, noise = random_case()
    params["W_rec"] = jnp.full((12, 12), 1e9)
    runs = cut_random(params, h0, noise)
    assert runs.n_valid == 0
    events = Events(PAIR, np.arange(E), np.full(E, 30))
    found = window_effects(runs, tuple(WINDOWS.tolist()), events, BEFORE, bootstrap_weights(E, KEY))
    for table in (found.happens, found.prevented, found.delay, found.swing_lost):
        assert np.isnan(table.parts).all()


def test_no_event_gives_nan():
    params, h0, noise = random_case()
    runs = cut_random(params, h0[:0], noise[:, :0])
    events = Events(PAIR, np.zeros(0, int), np.zeros(0, int))
    found = window_effects(runs, tuple(WINDOWS.tolist()), events, BEFORE, bootstrap_weights(E, KEY))
    assert np.isnan(found.swing_lost.parts).all()
    assert found.clean_happens == UNKNOWN
    assert found.n_events == 0
    assert unit_push(net_of(SMALL, params), h0[:0], noise[:, :0], BEFORE, PAIR).shape == (0, 12)


def test_effects_are_means_over_events_with_paired_intervals(cut_flip_flop):
    events = Events(PAIR, np.array([0, 0, 1, 2, 2, 2]), np.full(E, 30))
    weights = bootstrap_weights(E, KEY)
    happens = cut_flip_flop.happens.copy()
    happens[0, 3, :2] = 1
    mixed = cut_flip_flop._replace(happens=happens)
    found = window_effects(mixed, tuple(WINDOWS.tolist()), events, 12, weights)
    for i in range(len(WINDOWS)):
        share = float(np.mean(mixed.happens[0, i]))
        assert found.happens[0][i].value == pytest.approx(share)
        assert found.prevented[0][i].value == pytest.approx(1 - share)
    assert found.prevented[0][3].value == pytest.approx(4 / 6)
    assert found.prevented[0][3].low < 4 / 6 < found.prevented[0][3].high
    assert found.prevented[3][3] == Estimate(0, 0, 0)  # paired: no spread where nothing differs
    assert found.stay == 12
    assert found.delay[0][0].value == 0
    assert np.isnan(found.delay[0][4].value)


class Symbols(NamedTuple):
    """Runs of equal stretches of symbols."""

    recording: Recording
    cluster: np.ndarray


def runs_with_stretches(length, n_runs=8, n_steps=240):
    """Runs that change between symbols 0 and 2 every `length` steps, each begun elsewhere."""
    steps = np.arange(n_steps) + 7 * np.arange(n_runs)[:, None]
    symbols = 2 * ((steps // length) % 2)
    rng = np.random.default_rng(0)
    states = rng.random((n_runs, n_steps, 4)) + symbols[..., None]
    noise = rng.random((n_runs, n_steps, 3))
    zone = np.where(rng.random((n_runs, n_steps)) < 0.5, 0, 1)
    logits = np.zeros((n_runs, n_steps, 3))
    arrays = (jnp.asarray(x, jnp.float32) for x in (states, noise, states, logits))
    recording = Recording(*arrays, jnp.asarray(symbols), jnp.asarray(zone))
    return Symbols(recording, states[(zone == 0) & (symbols == 2)])


@pytest.mark.parametrize(("length", "before"), [(30, 25), (18, 12), (8, 12)])
def test_fewer_steps_before_the_onset_where_symbols_do_not_last(length, before):
    recording = runs_with_stretches(length).recording
    events, found = aligned_events(recording, (2, 0), KEY, n_events=16)
    assert found.before == before
    assert found.noise.shape == (before + 15, 16, 3)
    assert np.isnan(found.h0[len(events.run) :]).all()
    assert len(events.run) == (16 if length > 12 else 0)
    for e, (run, onset) in enumerate(zip(events.run, events.onset, strict=True)):
        np.testing.assert_array_equal(recording.symbols[run, onset - before : onset], 2)
        assert recording.symbols[run, onset] == 0
        np.testing.assert_array_equal(found.h0[e], recording.states[run, onset - before - 1])
        np.testing.assert_array_equal(found.noise[before, e], recording.noise[run, onset])


def test_what_stands_in_for_cut_units():
    runs = runs_with_stretches(30)
    np.testing.assert_array_equal(replacement("silence", runs.recording, 2), np.zeros(4))
    np.testing.assert_allclose(
        replacement("mean", runs.recording, 2), runs.cluster.mean(0), rtol=1e-5
    )
    assert np.isnan(replacement("mean", runs.recording, 1)).all()


def test_the_onset_is_the_first_of_three_steps():
    rows = np.array([[0, 1, 1, 0, 1, 1, 1], [1, 1, 1, 0, 0, 0, 0], [1, 1, 0, 1, 1, 0, 1]])
    np.testing.assert_array_equal(onset_of(jnp.asarray(rows.T, jnp.float32)), [4, 0, np.nan])
    logits = jnp.array([[1.0, 2.0], [3.0, 0.0], [jnp.nan, 1.0], [1.0, 1.0]])
    np.testing.assert_array_equal(prefers(logits, 1), [1, 0, np.nan, 0])


def test_steps_that_the_stretch_does_not_have_are_refused():
    params, h0, noise = random_case()
    with pytest.raises(InputError, match=r"34 .*25.*35"):
        cut_random(params, h0, noise[:34])
    with pytest.raises(InputError, match=r"31 .*25.*33"):
        unit_push(net_of(SMALL, params), h0, noise[:31], BEFORE, PAIR)
    for first, last in ((-26, 0), (3, 3), (0, 9), (4, 6)):
        with pytest.raises(InputError, match=f"steps {first} .. {last} - 1"):
            unit_push(net_of(SMALL, params), h0, noise, BEFORE, PAIR, first, last)


def test_rows_without_an_event_change_nothing():
    """Other numbers of events then run the same program."""
    params, h0, noise = random_case()
    rows = starts_of_rows(np.asarray(h0), E + 3), noise_of_rows(np.asarray(noise), E + 3)
    push = np.asarray(unit_push(net_of(SMALL, params), *rows, BEFORE, PAIR))
    expected = unit_push(net_of(SMALL, params), h0, noise, BEFORE, PAIR)
    np.testing.assert_allclose(push[:E], expected, rtol=1e-4, atol=1e-6)
    assert np.isnan(push[E:]).all()
    events = Events(PAIR, np.arange(E), np.full(E, 30))
    weights = bootstrap_weights(E, KEY)
    one, other = (
        window_effects(cut_random(params, *x), tuple(WINDOWS.tolist()), events, BEFORE, weights)
        for x in ((h0, noise), rows)
    )
    assert other.n_events == one.n_events == E
    for name in ("happens", "prevented", "delay", "swing_lost"):
        ours, theirs = (getattr(found, name).parts for found in (other, one))
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-6)
