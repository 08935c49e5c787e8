"""A planted flip-flop whose carriers and glue are known, and arms against a numpy loop."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from networks import net_of

from hmmrnn.circuits.carriers import Arms, carriers, holding, leave
from hmmrnn.intervals import Estimate, bootstrap_weights
from hmmrnn.nets import RNNCell, init_params
from hmmrnn.nets.noise import white_noise
from hmmrnn.recordings.clusters import Starts, cluster_starts
from hmmrnn.recordings.recorder import Recording

KEY = jax.random.key(5)
PAIR = (0, 2)
M0, M2, ECHO, IDLE = range(4)
FLIP_FLOP = RNNCell(n_symbols=3, hidden_size=6, noise_dim=4, bias=True)
P, B, STEPS = 60, 6, 40
WEIGHTS = bootstrap_weights(B, KEY)
NOISE_STD = 0.3


def flip_flop():
    """M0 = relu(0.4 + 0.6 M0 - 0.8 M2 + x_0), M2 likewise: at 1 and 0, or at 0 and 1.

    The echo copies M0 and is not read; the others idle, and both symbols read them alike.
    """
    W_rec, W_in, W_out = np.zeros((6, 6)), np.zeros((6, 4)), np.zeros((3, 6))
    W_rec[[M0, M2], [M0, M2]] = 0.6
    W_rec[[M0, M2], [M2, M0]] = -0.8
    W_rec[ECHO, M0] = 1
    W_in[[M0, M2, IDLE, IDLE + 1], range(4)] = 1
    W_out[[0, 2], [M0, M2]] = 5
    W_out[[0, 2], IDLE:] = 2
    b_rec, b_out = np.array([0.4, 0.4, 0, 1, 1, 1]), np.array([0, -50, 0])
    weights = {"W_rec": W_rec, "W_in": W_in, "W_out": W_out, "b_rec": b_rec, "b_out": b_out}
    return {name: jnp.asarray(x, jnp.float32) for name, x in weights.items()}


def cluster(symbol, n_states=P):
    """States near the fixed point of a symbol, from B runs."""
    h = np.zeros((n_states, 6), np.float32)
    h[:, [M2, M0][symbol == 0]] = 1
    h[:, ECHO] = h[:, M0]
    h[:, IDLE:] = 1
    h += np.random.default_rng(symbol).uniform(0, 0.1, h.shape)
    return Starts(jnp.asarray(h, jnp.float32), np.arange(n_states) % B)


def planted_carriers():
    """From states that alternate between the two clusters."""
    h = np.stack([cluster(s, 10 * B).h.reshape(B, 10, 6) for s in PAIR], axis=2)
    symbols = np.broadcast_to(PAIR, (B, 10, 2)).reshape(B, 20)
    zone = np.zeros_like(symbols)
    return carriers(h.reshape(B, 20, 6), symbols, zone, flip_flop()["W_out"], PAIR, WEIGHTS)


@pytest.fixture(scope="module")
def held():
    controls = np.zeros((2, 6), bool)
    controls[[0, 1], [IDLE, IDLE + 1]] = True
    cell, params = FLIP_FLOP, flip_flop()
    found = planted_carriers()
    return holding(net_of(cell, params, NOISE_STD), cluster(0), found, controls, WEIGHTS, KEY)


def test_the_two_units_that_are_read_carry_the_state():
    found = planted_carriers()
    np.testing.assert_array_equal(np.flatnonzero(found.in_s), [M0])
    np.testing.assert_array_equal(np.flatnonzero(found.in_t), [M2])
    np.testing.assert_allclose(found.contribution.value[[M0, M2]], 0.5, atol=0.03)
    np.testing.assert_array_equal(found.contribution.value[ECHO:], 0)
    assert found.d_prime[ECHO] < -10  # it tells the clusters apart, but no symbol hears it
    assert found.n_needed == Estimate(2, 2, 2)
    assert found.readout_difference.value == pytest.approx(10, rel=0.02)
    assert found.n_states == (60, 60)


def test_shares_are_those_of_a_plain_sum_with_intervals_over_runs():
    rng = np.random.default_rng(1)
    B, T, N = 30, 60, 9
    W_out = rng.normal(size=(3, N))
    symbols, zone = rng.integers(0, 3, (B, T)), rng.integers(0, 3, (B, T))
    centres = rng.normal(size=(3, N)) + 1.5 * (W_out - W_out.mean(0))
    states = centres[symbols] + rng.normal(size=(B, T, N))
    found = carriers(states, symbols, zone, W_out, (2, 1), bootstrap_weights(B, KEY))
    s, t = (states[(symbols == k) & (zone == 0)] for k in (2, 1))
    parts = (W_out[1] - W_out[2]) * (t.mean(0) - s.mean(0))
    np.testing.assert_allclose(found.contribution.value, parts / parts.sum(), rtol=1e-6)
    assert found.readout_difference.value == pytest.approx(parts.sum())
    spread = np.sqrt((t.var(0) + s.var(0)) / 2)
    np.testing.assert_allclose(found.d_prime, (t.mean(0) - s.mean(0)) / spread, rtol=1e-6)
    truth = (W_out[1] - W_out[2]) * (centres[1] - centres[2])
    truth = truth / truth.sum()
    assert np.mean((found.contribution.low < truth) & (truth < found.contribution.high)) > 0.7
    order = np.argsort(-np.abs(parts))
    needed = order[
        : 1 + np.searchsorted(np.cumsum(np.abs(parts)[order]), 0.9 * np.abs(parts).sum())
    ]
    sure = (found.contribution.low > 0) | (found.contribution.high < 0)
    np.testing.assert_array_equal(
        np.flatnonzero(found.both), sorted(set(needed) & {*np.flatnonzero(sure)})
    )
    assert found.n_needed.value == len(needed)
    assert not np.any(found.in_s & found.in_t)
    np.testing.assert_array_equal(found.in_t[found.both], (t.mean(0) > s.mean(0))[found.both])


def test_a_large_share_of_unsure_sign_does_not_make_a_carrier():
    states, symbols = np.zeros((B, 20, 2)), np.tile([0, 2], (B, 10))
    apart = np.stack([np.full(B, 8), [12, -4, 12, -8, 12, -8]], axis=1)  # by run
    states[symbols == 2] = np.repeat(apart, 10, axis=0)
    W_out = np.array([[0, 0], [0, 0], [1.0, 1.0]])
    found = carriers(states, symbols, np.zeros_like(symbols), W_out, PAIR, WEIGHTS)
    np.testing.assert_allclose(found.contribution.value, [0.75, 0.25])
    assert found.n_needed.value == 2
    assert found.contribution.low[1] < 0 < found.contribution.high[1]
    np.testing.assert_array_equal(found.both, [True, False])


def test_without_one_of_the_clusters_there_are_no_carriers():
    states, symbols = np.ones((B, 20, 6)), np.zeros((B, 20), int)
    found = carriers(states, symbols, symbols, flip_flop()["W_out"], PAIR, WEIGHTS)
    assert found.n_states == (120, 0)
    assert not found.both.any()
    assert np.isnan(found.contribution.value).all()
    assert np.isnan([found.n_needed.value, found.readout_difference.value]).all()


def test_labels_of_units_do_not_matter(held):
    order = np.array([3, 0, 5, 1, 2, 4])
    h = np.stack([cluster(s, 10 * B).h.reshape(B, 10, 6) for s in PAIR], axis=2).reshape(B, 20, 6)
    symbols = np.broadcast_to(PAIR, (B, 10, 2)).reshape(B, 20)
    W_out = flip_flop()["W_out"]
    one = planted_carriers()
    other = carriers(h[..., order], symbols, np.zeros_like(symbols), W_out[:, order], PAIR, WEIGHTS)
    np.testing.assert_array_equal(one.in_s[order], other.in_s)
    np.testing.assert_allclose(one.contribution.value[order], other.contribution.value)


def test_starts_are_states_of_the_cluster_from_the_chosen_runs():
    rng = np.random.default_rng(0)
    states = jnp.asarray(rng.normal(size=(B, 20, 6)), jnp.float32)
    symbols, zone = jnp.asarray(rng.integers(0, 3, (2, B, 20)))
    recording = Recording(states, states, states, states, symbols, zone)
    starts = cluster_starts(recording, 2, 1_000, KEY, slice(3, None))
    here = np.asarray((symbols == 2) & (zone == 0))[3:]
    np.testing.assert_array_equal(starts.h, np.asarray(states)[3:][here])
    np.testing.assert_array_equal(starts.run, 3 + np.nonzero(here)[0])
    some, others = (
        cluster_starts(recording, 2, 4, k, slice(3, None)) for k in jax.random.split(KEY)
    )
    assert some.h.shape == (4, 6)
    assert not np.array_equal(some.h, others.h)
    assert len({tuple(h) for h in np.asarray(some.h)}) == 4
    assert cluster_starts(recording, 7, 4, KEY).h.shape == (0, 6)


def test_clamped_carriers_never_leave_and_the_rest_does_not_matter(held):
    baseline, both, rest = (held.arms[x] for x in ("baseline", "both clamped", "rest clamped"))
    assert 0.3 < baseline.escape.value < 0.95
    assert both.escape == both.arrival == Estimate(0, 0, 0)
    assert both.survival.value == pytest.approx(STEPS)
    assert both.escape_change.high < 0
    assert both.escape_change.value == pytest.approx(-baseline.escape.value)
    assert rest.escape_change == rest.survival_change == rest.arrival_change == Estimate(0, 0, 0)
    for arm in (held.arms["controls clamped"], held.arms["drive of controls removed"]):
        assert arm.escape_change == Estimate(0, 0, 0)
    assert len(held.drive_controls) == len(held.clamp_controls) == 2


def test_what_holds_the_state_is_the_weights_of_its_carrier(held):
    """M0 rests at 0.4 without its own weight, and M2 is no longer held at 0 there: 0.4 - 0.32."""
    for course in (held.within, held.across):
        same = course[held.gains.index(1.0)]
        assert same.escape_change == same.survival_change == Estimate(0, 0, 0)
        survival = [arm.survival.value for arm in course]
        assert survival == sorted(survival)
        assert course[0].survival_change.high < -10
    assert held.arms["drive of s removed"].survival_change.high < -10
    assert held.n_starts == P
    assert all(arm.n_valid == P for arm in held.arms.values())


def test_no_carriers_and_no_controls_change_nothing():
    found = planted_carriers()
    nobody = np.zeros(6, bool)
    found = found._replace(in_s=nobody, in_t=nobody)
    none = np.zeros((0, 6), bool)
    held = holding(net_of(FLIP_FLOP, flip_flop(), NOISE_STD), cluster(0), found, none, WEIGHTS, KEY)
    unchanged = [arm for name, arm in held.arms.items() if name != "rest clamped"]
    for arm in (*unchanged, *held.within, *held.across):
        assert arm.survival_change == Estimate(0, 0, 0)
    assert "controls clamped" not in held.arms
    assert held.drive_controls == []


def test_no_start_or_a_diverging_network_has_no_effects():
    none = np.zeros((0, 6), bool)
    found = planted_carriers()
    empty = holding(
        net_of(FLIP_FLOP, flip_flop(), NOISE_STD), cluster(0, 0), found, none, WEIGHTS, KEY
    )
    exploding = flip_flop() | {"W_rec": jnp.full((6, 6), 1e9)}
    wild = holding(net_of(FLIP_FLOP, exploding, NOISE_STD), cluster(0), found, none, WEIGHTS, KEY)
    for held in (empty, wild):
        assert held.arms["baseline"].n_valid == 0
        assert np.isnan(held.arms["drive of s removed"].survival.parts).all()


CELL = RNNCell(n_symbols=3, hidden_size=7, noise_dim=3)


def random_arms(params, rng, n_arms=3):
    scale = rng.uniform(0.5, 1.5, (n_arms, 1, 1))
    return Arms(
        recurrent_gain=jnp.asarray(rng.uniform(0.5, 1.2, (n_arms, 7)), jnp.float32),
        held=jnp.asarray(rng.random((n_arms, 7)) < 0.3),
        weights={"W_rec": params["W_rec"] * jnp.asarray(scale, jnp.float32)},
    )


LEVEL = jnp.linspace(0.0, 0.6, 7)


def small_network(key):
    return init_params(CELL, key) | {"W_out": jax.random.normal(key, (3, 7))}


def test_arms_equal_a_numpy_loop():
    params = small_network(jax.random.key(3))
    weights = {name: np.asarray(x, np.float64) for name, x in params.items()}
    rng = np.random.default_rng(2)
    h0 = jnp.asarray(rng.uniform(0, 1, (25, 7)), jnp.float32)
    arms = random_arms(params, rng)
    pair = jnp.array([0, 2])
    found = leave(net_of(CELL, params, 0.9), h0, arms, LEVEL, pair, KEY, n_steps=12)
    keys = jax.random.split(KEY, 25)
    noise = 0.9 * np.asarray(jax.jit(partial(white_noise, n_steps=12, dim=3))(keys), np.float64)
    W_rec = np.asarray(arms.weights["W_rec"], np.float64)
    expected = np.zeros((3, 3, 25))
    for g in range(3):
        recurrent, held = np.asarray(arms.recurrent_gain[g]), np.asarray(arms.held[g])
        for p in range(25):
            h, symbols = np.asarray(h0[p], np.float64), []
            for x in noise[:, p]:
                a = recurrent * (W_rec[g] @ h) + (weights["W_in"] @ x)
                h = np.where(held, LEVEL, np.maximum(a, 0))
                symbols.append(int(np.argmax(weights["W_out"] @ h)))
            away = [t for t, symbol in enumerate(symbols, 1) if symbol != 0]
            lasting = any(symbols[t : t + 5] == [2] * 5 for t in range(8))
            expected[:, g, p] = (away or [12])[0], bool(away), lasting
    np.testing.assert_array_equal(np.stack(found), expected)
    for values in found:
        assert len(np.unique(values)) > 1


def test_networks_side_by_side_equal_each_alone():
    rng = np.random.default_rng(3)
    each = [small_network(key) for key in jax.random.split(jax.random.key(1))]
    arms = [random_arms(params, rng) for params in each]
    h0 = jnp.asarray(rng.uniform(0, 1, (2, 25, 7)), jnp.float32)
    std, keys, pair = jnp.array([0.5, 0.9]), jax.random.split(KEY), jnp.array([0, 2])
    stacked = jax.tree.map(lambda *x: jnp.stack(x), *zip(each, arms, strict=True))
    run, nets = partial(leave, n_steps=12), net_of(CELL, stacked[0], std)
    both = jax.vmap(run, in_axes=(0, 0, 0, None, None, 0))(nets, h0, stacked[1], LEVEL, pair, keys)
    for i in range(2):
        alone = run(net_of(CELL, each[i], std[i]), h0[i], arms[i], LEVEL, pair, keys[i])
        for together, single in zip(both, alone, strict=True):
            np.testing.assert_array_equal(together[i], single)
    assert not np.array_equal(both.time[0], both.time[1])
