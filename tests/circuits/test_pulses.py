"""A planted flip-flop with a kick of known threshold, and random networks against numpy loops."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from networks import (
    FLIP_FLOP,
    K02,
    K20,
    M0,
    M2,
    SMALL,
    flip_flop,
    net_of,
    random_network,
    relabelled,
)

from hmmrnn import InputError
from hmmrnn.circuits.pulses import (
    group_pulses,
    pulse_effects,
    pulsed_runs,
    state_difference,
    transition_activity,
)
from hmmrnn.intervals import UNKNOWN, Estimate, bootstrap_weights
from hmmrnn.nets.noise import white_noise
from hmmrnn.recordings.clusters import cluster_starts
from hmmrnn.recordings.events import Events
from hmmrnn.recordings.recorder import Recording

KEY = jax.random.key(5)
draw = jax.jit(white_noise, static_argnums=(1, 2))
P = 8
DOSES = (0.0, 0.1, 1.0)


def random_case(seed=2):
    rng = np.random.default_rng(seed)
    params = random_network(rng)
    h0 = jnp.asarray(np.abs(rng.normal(size=(P, 12))), jnp.float32)
    return params, h0, jnp.asarray(rng.normal(size=(3, 12)), jnp.float32)


def pulsed(cell, params, h0, pulses, *, noise_std=1.0, key=KEY, symbol=2):
    found = pulsed_runs(
        net_of(cell, params, noise_std), h0, pulses, jnp.asarray(DOSES), symbol, key
    )
    return jax.tree.map(np.asarray, found)


@pytest.fixture(scope="module")
def kicked():
    """Pulses of 2 into M0's rival, its kick, the kick back, and nobody, from M0 without noise."""
    h0 = jnp.zeros((P, 7)).at[:, M0].set(2)
    pulses = 2 * jnp.eye(7)[jnp.array([K02, K20, M2])]
    return pulsed(
        FLIP_FLOP, flip_flop(), h0, jnp.concatenate([pulses, 0 * pulses[:1]]), noise_std=0.0
    )


def test_a_kick_above_threshold_switches_and_no_other_pulse(kicked):
    """K02 = 2: M0 = relu(2 - 6), M2 = relu(1 - 4 + 6) one step later. At 0.2, M0 stays near 1."""
    np.testing.assert_array_equal(kicked.reached[0], np.repeat([[0], [0], [1]], P, 1))
    np.testing.assert_array_equal(kicked.latency[0, 2], 1)
    np.testing.assert_array_equal(kicked.reached[[1, 3]], 0)
    assert np.isnan(kicked.latency[[1, 3]]).all()
    np.testing.assert_array_equal(kicked.n_valid, P)


def test_the_pulse_itself_does_not_count(kicked):
    """M2 is read out: 0.2 for 3 steps does not overcome M0, 2 does and is not seen before."""
    np.testing.assert_array_equal(kicked.reached[2, :, 0], [0, 0, 1])
    weak = flip_flop()
    weak["W_rec"] = weak["W_rec"].at[M2].set(0.0).at[M0, M2].set(0.0)  # M2 has no memory
    weak["b_rec"] = weak["b_rec"].at[M2].set(0.0)
    h0 = jnp.zeros((P, 7)).at[:, M0].set(2)
    found = pulsed(FLIP_FLOP, weak, h0, 50 * jnp.eye(7)[jnp.array([M2] * 4)], noise_std=0.0)
    np.testing.assert_array_equal(found.reached, 0)


def test_equal_to_loops_in_numpy():
    params, h0, pulses = random_case()
    found = pulsed(SMALL, params, h0, pulses)
    noise = np.asarray(draw(jax.random.split(KEY, P), 18, 5), float)
    W_rec, W_in, W_out = (np.asarray(params[k], float) for k in ("W_rec", "W_in", "W_out"))
    for g, pulse in enumerate(np.asarray(pulses, float)):
        for v, dose in enumerate(DOSES):
            for p in range(P):
                h, new = np.asarray(h0[p], float), []
                for t in range(18):
                    h = np.maximum(W_rec @ h + W_in @ noise[t, p], 0) + (t < 3) * dose * pulse
                    new.append(np.argmax(W_out @ h) == 2)
                steps = [t for t in range(3, 16) if all(new[t : t + 3])]
                latency = float(steps[0] - 2) if steps else np.nan
                np.testing.assert_equal(float(found.latency[g, v, p]), latency)
                assert found.reached[g, v, p] == bool(steps)
    assert 0.1 < found.reached.mean() < 0.9


def test_the_dose_zero_is_the_same_for_all_and_seeds_differ():
    params, h0, pulses = random_case()
    found = pulsed(SMALL, params, h0, pulses)
    np.testing.assert_array_equal(found.latency[0, 0], found.latency[1, 0])
    np.testing.assert_array_equal(found.latency[0, 0], found.latency[2, 0])
    assert not np.array_equal(found.latency[0, 2], found.latency[1, 2])
    other = pulsed(SMALL, params, h0, pulses, key=jax.random.key(6))
    assert not np.array_equal(found.latency[0, 0], other.latency[0, 0], equal_nan=True)


def test_relabelled_units_change_nothing():
    params, h0, pulses = random_case()
    order = np.random.default_rng(3).permutation(12)
    other = relabelled(params, order)
    found = pulsed(SMALL, other, h0[:, order], pulses[:, order])
    np.testing.assert_array_equal(found.latency, pulsed(SMALL, params, h0, pulses).latency)


def test_networks_side_by_side_equal_each_alone():
    each = [random_case(seed) for seed in (2, 3)]
    params, h0, pulses = jax.tree.map(lambda *x: jnp.stack(x), *each)
    keys = jax.random.split(KEY, 2)
    run = partial(pulsed_runs, symbol=2, doses=jnp.asarray(DOSES))
    both = jax.vmap(lambda p, h, x, key: run(net_of(SMALL, p), h, x, key=key))(
        params, h0, pulses, keys
    )
    for i, (p, h, x) in enumerate(each):
        alone = pulsed(SMALL, p, h, x, key=keys[i])
        for together, single in zip(both, alone, strict=True):
            np.testing.assert_array_equal(together[i], single)


def test_what_is_not_finite_has_no_outcome():
    params, h0, pulses = random_case()
    found = pulsed(SMALL, params, h0.at[1].set(jnp.nan), pulses.at[2].set(jnp.nan))
    np.testing.assert_array_equal(found.n_valid, np.array([[P - 1], [P - 1], [0]]) * np.ones(3))
    assert np.isnan(found.reached[:2, :, 1]).all()
    assert np.isnan(found.reached[2]).all()
    assert np.isfinite(found.reached[:2, :, 2:]).all()


def test_pulses_of_equal_energy():
    rng = np.random.default_rng(0)
    groups = np.zeros((5, 12), bool)
    for mask, units in zip(groups, ([0, 1], [3, 4, 5], [6, 7], [], range(12)), strict=True):
        mask[list(units)] = True
    activity = rng.random((5, 12))
    activity[2] = 0  # silent in transitions
    activity[4] -= 0.5
    pulses = group_pulses(activity, groups)
    np.testing.assert_array_equal(pulses[0], activity[0] * groups[0])
    norms = np.linalg.norm(pulses, axis=1)
    np.testing.assert_allclose(norms[[1, 2, 4]], norms[0])
    np.testing.assert_array_equal(pulses[3], 0)
    assert not pulses[~groups].any()
    np.testing.assert_allclose(pulses[2, 6:8], norms[0] / np.sqrt(2))
    np.testing.assert_allclose(pulses[4] / pulses[4, 0], activity[4] / activity[4, 0])
    np.testing.assert_array_equal(group_pulses(activity[[3, 0]], groups[[3, 0]]), 0)
    unknown = group_pulses(np.full((2, 12), np.nan), groups[:2])
    np.testing.assert_array_equal(np.isnan(unknown), groups[:2])
    with pytest.raises(InputError, match=r"activity .*\(5, 12\).*\(1, 12\)"):
        group_pulses(activity, groups[:1])


def recording(n_runs=4, n_steps=60):
    rng = np.random.default_rng(0)
    symbols = rng.choice([0, 2], (n_runs, n_steps))
    zone = rng.choice(4, (n_runs, n_steps))
    states = rng.normal(size=(n_runs, n_steps, 12))
    logits = np.zeros((n_runs, n_steps, 3))
    arrays = (jnp.asarray(x, jnp.float32) for x in (states, states, states, logits))
    return Recording(*arrays, jnp.asarray(symbols), jnp.asarray(zone))


def test_starts_are_different_states_of_the_cluster():
    runs = recording()
    inside = (np.asarray(runs.zone) == 0) & (np.asarray(runs.symbols) == 2)
    starts = cluster_starts(runs, 2, P, KEY)
    assert len(starts.h) == P < inside.sum()
    for h, run in zip(starts.h, starts.run, strict=True):
        found = np.flatnonzero((np.asarray(runs.states[run]) == np.asarray(h)).all(1))
        assert inside[run, found].all()
    assert len(np.unique(starts.h, axis=0)) == P
    many = cluster_starts(runs, 2, 5 * int(inside.sum()), KEY)
    assert len(many.h) == inside.sum()  # all there are, each once
    other = cluster_starts(runs, 2, P, jax.random.key(1))
    assert not np.array_equal(starts.h, other.h)


def test_a_symbol_without_a_cluster_has_no_starts_and_no_effects():
    starts = cluster_starts(recording(), 1, P, KEY)
    assert starts.h.shape == (0, 12)
    params, _, pulses = random_case()
    runs = pulsed(SMALL, params, starts.h, pulses)
    weights = bootstrap_weights(4, KEY)
    found = pulse_effects(runs, DOSES, starts, np.array([False, True, True]), weights)
    for table in (found.probability, found.effect, found.over_controls, found.latency):
        assert np.isnan(table.parts).all()
    assert found.n_starts == 0


def test_activity_in_transitions_and_the_way_between_clusters():
    runs = recording()
    events = Events((0, 2), np.array([1, 3]), np.array([10, 20]))
    states = np.asarray(runs.states)
    expected = np.concatenate([states[1, 7:12], states[3, 17:22]]).mean(0)
    np.testing.assert_allclose(transition_activity(runs, events), expected, rtol=1e-5)
    none = Events((0, 2), np.zeros(0, int), np.zeros(0, int))
    assert np.isnan(transition_activity(runs, none)).all()
    means = [states[(runs.zone == 0) & (runs.symbols == s)].mean(0) for s in (0, 2)]
    np.testing.assert_allclose(state_difference(runs, (0, 2)), means[1] - means[0], rtol=1e-4)


def test_effects_are_paired_by_start():
    starts = cluster_starts(recording(), 2, P, KEY)._replace(run=np.arange(P) // 2)
    reached = np.zeros((4, 3, P))
    reached[:, 0, :2] = reached[:, 1, :3] = 1  # without a pulse 2 of 8; at dose 0.1 all equal
    reached[0, 2, :6] = reached[1, 2, :4] = reached[2, 2, :2] = 1
    latency = np.where(reached == 1, np.arange(P) + 1.0, np.nan)
    runs = pulsed(SMALL, *random_case())._replace(reached=reached, latency=latency)
    weights = bootstrap_weights(4, KEY)
    found = pulse_effects(runs, DOSES, starts, np.array([False, True, True, False]), weights)
    np.testing.assert_allclose(
        found.probability.value[:3], [[2 / 8, 3 / 8, x / 8] for x in (6, 4, 2)]
    )
    assert found.effect[0][2].value == pytest.approx(4 / 8)
    assert found.effect[0][2].low < 4 / 8 < found.effect[0][2].high
    assert found.effect[2][2] == Estimate(0, 0, 0)  # the same starts as without
    assert found.over_controls[0][2].value == pytest.approx(3 / 8)
    assert found.over_controls[0][1] == Estimate(0, 0, 0)
    assert found.latency.value[0].tolist() == [1, 2, 3]
    assert np.isnan(found.latency[3][2].value)
    alone = pulse_effects(runs, DOSES, starts, np.zeros(4, bool), weights)
    assert alone.over_controls[0][2] == UNKNOWN


def test_pulses_without_steps_are_refused():
    params, h0, pulses = random_case()
    for n_pulse, n_after in ((0, 15), (3, 2)):
        with pytest.raises(InputError, match=f"n_pulse={n_pulse}, n_after={n_after}"):
            pulsed_runs(
                net_of(SMALL, params, 1.0),
                h0,
                pulses,
                jnp.ones(1),
                2,
                KEY,
                n_pulse=n_pulse,
                n_after=n_after,
            )
