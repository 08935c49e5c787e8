"""A planted chain from noise to switch, and random networks against numpy loops."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from networks import FLIP_FLOP, IDLE, K02, P02, P20, SMALL, flip_flop, net_of, random_network, units

from hmmrnn import InputError
from hmmrnn.circuits.noise_replay import (
    replay_effects,
    replay_groups,
    replay_of,
    replayed_runs,
    starts_from_other_runs,
)
from hmmrnn.intervals import Estimate, bootstrap_weights
from hmmrnn.interventions.engine import hearing_two
from hmmrnn.nets.noise import white_noise
from hmmrnn.recordings.events import Events, find_events
from hmmrnn.recordings.recorder import recorded

KEY = jax.random.key(5)
draw = jax.jit(white_noise, static_argnums=(1, 2))
E, LEAD = 6, 20


def random_case(seed=2):
    rng = np.random.default_rng(seed)
    params = random_network(rng)
    h0 = jnp.asarray(np.abs(rng.normal(size=(E, 12))), jnp.float32)
    return params, h0, jnp.asarray(rng.normal(size=(LEAD + 3, E, 5)), jnp.float32)


def noisy_flip_flop():
    return flip_flop(gain=30.0, own_noise=0.02)


GROUPS = np.random.default_rng(1).random((4, 12)) < np.array([[0.0], [1.0], [0.4], [0.6]])


def replayed(params, h0, noise, groups=GROUPS, cell=SMALL, key=KEY):
    found = replayed_runs(net_of(cell, params, 1.0), h0, noise, LEAD, jnp.asarray(groups), 2, key)
    return jax.tree.map(np.asarray, found)


@pytest.fixture(scope="module")
def flips():
    """A recording of the flip-flop and its changes from 0 to 2."""
    keys = jax.random.split(jax.random.key(1), 16)
    recording = recorded(net_of(FLIP_FLOP, noisy_flip_flop(), 1.0), 500, keys)
    sure = jnp.max(recording.logits, axis=-1) > 4
    recording = recording._replace(zone=jnp.where(sure, 0, 2))
    events = find_events(recording.symbols, (0, 2), before=LEAD, after=15, stay=LEAD)
    return recording, events


@pytest.fixture(scope="module")
def replays(flips):
    recording, events = flips
    replay = replay_of(recording, events, LEAD, KEY, n_repeats=3)
    population = units(P02, n=7)
    controls = np.stack([units(i, n=7) for i in (P20, IDLE, K02)])
    groups = replay_groups(population, controls)
    params = noisy_flip_flop()
    both = [
        replayed(params, h, replay.noise, groups, FLIP_FLOP) for h in (replay.h0, replay.own_h0)
    ]
    return replay, groups, both


def test_the_noise_of_the_population_is_what_it_takes(replays):
    replay, _, both = replays
    assert len(replay.run) >= 60
    for runs in both:
        none, every, population, others, _, idle, kick = runs.on_time
        assert population.mean() > 0.8
        assert every.mean() > 0.8
        assert others.mean() < none.mean() + 0.1
        assert none.mean() < 0.2
        np.testing.assert_array_equal(idle, none)
        np.testing.assert_array_equal(kick, none)  # it has no noise of its own
        assert np.median(runs.latency[2][runs.on_time[2] == 1]) == 0


def test_all_noise_from_its_own_start_gives_each_event_again(replays):
    _, _, (other, own) = replays
    np.testing.assert_array_equal(own.reached[1], 1)
    np.testing.assert_array_equal(own.latency[1], 0)
    np.testing.assert_array_equal(own.n_valid, own.reached.shape[1])
    assert (other.latency[1] != 0).any()


def test_effects_of_the_planted_population(replays, flips):
    replay, groups, (runs, _) = replays
    weights = bootstrap_weights(16, KEY)
    found = replay_effects(runs, replay.run, weights)
    on_time = runs.on_time.mean(1)
    assert len(found.on_time) == len(groups)
    assert found.n_events == 3 * len(flips[1].run)
    for g in range(len(groups)):
        assert found.on_time[g].value == pytest.approx(on_time[g])
        share = (on_time[g] - on_time[0]) / (on_time[1] - on_time[0])
        assert found.on_time_share[g].value == pytest.approx(share)
        over = on_time[g] - on_time[4:].mean()
        assert found.on_time_over_controls[g].value == pytest.approx(over)
    assert found.on_time_share[0] == Estimate(0, 0, 0)
    assert found.on_time_share[1] == Estimate(1, 1, 1)
    assert found.on_time_effect[5] == Estimate(0, 0, 0)  # paired: nothing by the idle unit
    assert found.on_time_share[2].low > 0.7
    assert found.on_time_share[3].high < 0.2
    assert found.latency[2].value == 0


def test_what_is_replayed(replays, flips):
    recording, events = flips
    replay, _, _ = replays
    assert replay.lead == LEAD
    e = 3 * (len(events.run) - 1) + 1
    run, onset = events.run[-1], events.onset[-1]
    assert replay.run[e] == run
    np.testing.assert_array_equal(replay.noise[:, e], recording.noise[run, onset - 20 : onset + 3])
    np.testing.assert_array_equal(replay.own_h0[e], recording.states[run, onset - 21])
    assert not np.array_equal(replay.h0[e], replay.h0[e + 1])
    np.testing.assert_array_equal(replay.own_h0[e], replay.own_h0[e + 1])
    assert replay_of(recording, events, 12, KEY).noise.shape == (15, 2 * len(events.run), 5)


def test_starts_are_of_the_same_cluster_in_another_run(flips):
    recording, events = flips
    states = np.asarray(recording.states)
    inside = np.asarray((recording.zone == 0) & (recording.symbols == 0))
    starts = np.asarray(starts_from_other_runs(recording, events, KEY))
    for h, own in zip(starts, events.run, strict=True):
        run, step = np.nonzero((states == h).all(-1))
        assert inside[run, step].all()
        assert (run != own).all()
        assert len(run) > 0
    one = jax.tree.map(lambda x: x[:1], recording)
    alone = Events((0, 2), np.zeros(2, int), np.array([50, 60]))
    assert np.isnan(starts_from_other_runs(one, alone, KEY)).all()


def test_the_same_noise_on_both_inputs_is_the_network_itself():
    params, h0, noise = random_case()
    expected = net_of(SMALL, params).run(h0, noise)
    for mask in GROUPS:
        split = hearing_two(net_of(SMALL, params), jnp.asarray(mask))
        found = split.run(h0, jnp.concatenate([noise, noise], axis=-1))
        np.testing.assert_allclose(found.states, expected.states, atol=2e-6)
        other = jnp.concatenate([noise, -2 * noise], axis=-1)
        pulls, usual = split.drive(other), net_of(SMALL, params).drive(noise)
        np.testing.assert_allclose(pulls, jnp.where(mask, usual, -2 * usual), atol=2e-6)


def test_equal_to_loops_in_numpy():
    params, h0, noise = random_case()
    found = replayed(params, h0, noise)
    fresh = np.asarray(draw(jax.random.split(KEY, E), LEAD + 9, 5), float)
    W_rec, W_in, W_out = (np.asarray(params[k], float) for k in ("W_rec", "W_in", "W_out"))
    for g, mask in enumerate(GROUPS):
        for e in range(E):
            h, new = np.asarray(h0[e], float), []
            for t in range(LEAD + 9):
                event = np.asarray(noise[t, e], float) if t < LEAD + 3 else fresh[t, e]
                h = np.maximum(W_rec @ h + np.where(mask, W_in @ event, W_in @ fresh[t, e]), 0)
                new.append(np.argmax(W_out @ h) == 2)
            steps = [t for t in range(LEAD + 7) if all(new[t : t + 3])]
            latency = float(steps[0] - LEAD) if steps else np.nan
            np.testing.assert_equal(float(found.latency[g, e]), latency)
            assert found.reached[g, e] == bool(steps)
            assert found.on_time[g, e] == (abs(latency) <= 3)
    assert found.reached.mean() > 0
    assert len(np.unique(found.latency)) > 3


def test_groups_share_starts_and_fresh_noise_and_seeds_differ():
    params, h0, noise = random_case()
    found = replayed(params, h0, noise)
    again = replayed(params, h0, noise, GROUPS[::-1])
    for one, other in zip(found[:3], again[:3], strict=True):
        np.testing.assert_array_equal(one, other[::-1])
    other = replayed(params, h0, noise, key=jax.random.key(6))
    assert not np.array_equal(found.latency[0], other.latency[0], equal_nan=True)
    silent = replayed(params, h0, 0 * noise)
    np.testing.assert_array_equal(silent.latency[0], found.latency[0])  # nobody receives it


def test_networks_side_by_side_equal_each_alone():
    each = [random_case(seed) for seed in (2, 3)]
    params, h0, noise = jax.tree.map(lambda *x: jnp.stack(x), *each)
    keys, groups = jax.random.split(KEY, 2), jnp.asarray(GROUPS)

    def run(params, h0, noise, key):
        return replayed_runs(net_of(SMALL, params, 1.0), h0, noise, LEAD, groups, 2, key)

    both = jax.vmap(run)(params, h0, noise, keys)
    for i, (p, h, x) in enumerate(each):
        for together, single in zip(both, replayed(p, h, x, key=keys[i]), strict=True):
            np.testing.assert_array_equal(together[i], single)


def test_what_is_not_finite_or_not_there_has_no_effect():
    params, h0, noise = random_case()
    found = replayed(params, h0.at[1].set(jnp.nan), noise)
    np.testing.assert_array_equal(found.n_valid, E - 1)
    assert np.isnan(found.reached[:, 1]).all()
    assert np.isnan(found.on_time[:, 1]).all()
    whole = replayed(params, h0, noise)
    np.testing.assert_array_equal(found.latency[:, 2:], whole.latency[:, 2:])
    none = replayed(params, h0[:0], noise[:, :0])
    effects = replay_effects(none, np.zeros(0, int), bootstrap_weights(16, KEY))
    assert effects.n_events == 0
    for values in effects[:-1]:
        assert np.isnan(values.parts).all()


def test_noise_that_does_not_reach_the_onset_is_refused():
    params, h0, noise = random_case()
    with pytest.raises(InputError, match=r"noise .*20.*21.*29"):
        replayed(params, h0, noise[:LEAD])
    with pytest.raises(InputError, match=r"noise .*30"):
        replayed(params, h0, jnp.zeros((30, E, 5)))
