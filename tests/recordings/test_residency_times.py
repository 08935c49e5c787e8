"""Networks whose residency times are known by construction or from a simulation in numpy."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from networks import SMALL, net_of

from hmmrnn import InputError
from hmmrnn.intervals import UNKNOWN, Estimate, bootstrap_weights
from hmmrnn.nets import RNNCell, init_params
from hmmrnn.nets.noise import white_noise
from hmmrnn.recordings.residency_times import residency, zone_means, zone_shares, zones
from hmmrnn.recordings.symbols import preferred_symbols

KEY = jax.random.key(7)


def tanh_cell(n, k=2, **options):
    return RNNCell(n_symbols=k, hidden_size=n, noise_dim=n, activation="tanh", **options)


def parameters(w_rec, w_out, w_in=None, **biases):
    n = len(w_rec)
    weights = {"W_in": np.eye(n) if w_in is None else w_in, "W_rec": w_rec, "W_out": w_out}
    return {name: jnp.asarray(x, jnp.float32) for name, x in (weights | biases).items()}


MEMORYLESS = parameters([[0]], [[1], [-1]])
WELL = parameters([[1.5]], [[1], [-1]])


def one_by_one(cell, params, noise_std, states, keys, n_steps):
    """Residency times and sign changes (P, R), one rollout of the simulator after the other."""
    noise = noise_std * white_noise(keys, n_steps, cell.noise_dim)
    run = jax.jit(net_of(cell, params).run)
    times, changes = [], []
    for h in states:
        first = np.asarray(params["W_out"] @ h)
        symbol = int(np.argmax(first))
        for r in range(len(keys)):
            logits = run(h, noise[:, r]).logits
            away = np.flatnonzero(np.asarray(preferred_symbols(logits)) != symbol)
            times.append(away[0] + 1 if len(away) else n_steps)
            path = np.concatenate([first[symbol : symbol + 1], np.asarray(logits)[:, symbol]])
            slopes = np.sign(np.diff(path[: times[-1] + 1]))
            slopes = slopes[slopes != 0]
            changes.append(np.sum(slopes[1:] != slopes[:-1]))
    shape = len(states), len(keys)
    return np.reshape(times, shape), np.reshape(changes, shape)


@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_equal_to_the_simulator_followed_by_counting(activation):
    cell = SMALL.clone(activation=activation)
    params = init_params(cell, jax.random.key(0))
    params["W_rec"] = 2.2 * params["W_rec"]
    states = jax.nn.relu(jax.random.normal(jax.random.key(1), (6, 12)))
    states = states.at[2].set(0.0)  # all logits are equal there
    found = residency(net_of(cell, params, 0.8), states, KEY, n_rollouts=5, n_steps=12)
    keys = jax.random.split(KEY, (1, 5))[0]
    times, changes = one_by_one(cell, params, 0.8, states, keys, 12)
    assert len(np.unique(times)) > 3
    np.testing.assert_allclose(found.time, times.mean(1), rtol=1e-6)
    np.testing.assert_allclose(found.time_std, times.std(1, ddof=1), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(found.sign_changes, changes.mean(1), rtol=1e-6)
    possible = (times - 1).sum(1)
    expected = np.divide(
        changes.sum(1), possible, out=np.full(len(possible), np.nan), where=possible > 0
    )
    np.testing.assert_allclose(found.sign_change_rate, expected, rtol=1e-5)
    assert found.n_valid == 6
    np.testing.assert_array_equal(found.symbol, np.argmax(states @ params["W_out"].T, axis=1))


@pytest.mark.parametrize("n_lanes", [1, 7, 60, 1_000])
def test_the_number_of_lanes_changes_nothing(n_lanes):
    params = init_params(SMALL, jax.random.key(0))
    states = jax.nn.relu(jax.random.normal(jax.random.key(1), (12, 12)))
    run = partial(residency, net_of(SMALL, params, 1.0), states, KEY, n_rollouts=5, n_steps=9)
    for one, other in zip(run(n_lanes=n_lanes), run(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_leaving_by_a_coin_takes_a_geometric_time():
    states = jnp.array([[0.5], [-0.5]])
    found = residency(net_of(tanh_cell(1), MEMORYLESS, 1.0), states, KEY, n_rollouts=20_000)
    np.testing.assert_allclose(found.time, 2, atol=4 * np.sqrt(2 / 20_000))
    np.testing.assert_allclose(found.time_std, np.sqrt(2), rtol=0.05)
    np.testing.assert_array_equal(found.symbol, [0, 1])
    np.testing.assert_array_equal(found.censored, 0)


def test_a_rollout_that_never_leaves_counts_all_steps():
    states = jnp.array([[0.5]])
    found = residency(
        net_of(tanh_cell(1), MEMORYLESS, 1.0), states, KEY, n_rollouts=20_000, n_steps=3
    )
    assert float(found.time[0]) == pytest.approx(1 / 2 + 2 / 4 + 3 / 4, rel=0.01)
    assert float(found.censored[0]) == pytest.approx(1 / 8, rel=0.1)


def test_states_share_their_noise():
    """Equal states get equal times; without memory the other symbol's are the complement."""
    states = jnp.array([[0.5], [0.1], [0.5], [-0.3]])
    found = residency(net_of(tanh_cell(1), MEMORYLESS, 1.0), states, KEY, n_rollouts=3)
    assert found.time[0] == found.time[1] == found.time[2]
    first = residency(net_of(tanh_cell(1), MEMORYLESS, 1.0), states, KEY, n_rollouts=3, n_steps=1)
    np.testing.assert_allclose(first.censored[0] + first.censored[3], 1)


def test_each_run_has_noise_of_its_own():
    params = init_params(SMALL, jax.random.key(0))
    states = jax.nn.relu(jax.random.normal(jax.random.key(1), (4, 12)))
    runs = jnp.stack([states, states, 2 * states])
    found = residency(net_of(SMALL, params, 1.0), runs, KEY, n_rollouts=5, n_steps=9)
    keys = jax.random.split(KEY, (3, 5))
    for i in range(3):
        times, _ = one_by_one(SMALL, params, 1.0, runs[i], keys[i], 9)
        np.testing.assert_allclose(found.time[i], times.mean(1), rtol=1e-6)
    assert not np.array_equal(found.time[0], found.time[1])
    assert found.n_valid == 12
    reversed_runs = residency(
        net_of(SMALL, params, 1.0), runs[:, ::-1], KEY, n_rollouts=5, n_steps=9
    )
    np.testing.assert_array_equal(reversed_runs.time[:, ::-1], found.time)


def test_two_wells_agree_with_a_numpy_simulation():
    states = jnp.array([[0.86], [0.2], [-0.86], [-0.05]])
    found = residency(net_of(tanh_cell(1), WELL, 0.6), states, KEY, n_rollouts=4_000)
    rng = np.random.default_rng(0)
    for state, ours, censored in zip(np.asarray(states), found.time, found.censored, strict=True):
        h = np.full(4_000, state[0])
        time = np.full(4_000, 60)
        for t in range(60):
            h = np.tanh(1.5 * h + 0.6 * rng.standard_normal(4_000))
            time = np.where((h * state[0] < 0) & (time == 60), t + 1, time)
        kept = np.mean((time == 60) & (h * state[0] > 0))
        error = 4 * np.std(time) * np.sqrt(2 / 4_000)
        assert float(ours) == pytest.approx(time.mean(), abs=error)
        assert float(censored) == pytest.approx(kept, abs=0.05)
    assert found.time[0] > 1.5 * found.time[1]


def test_a_rotor_leaves_when_it_has_turned_to_the_boundary():
    """Rotation by 0.1 rad per step without noise; symbol 0 for positive x."""
    c, s = np.cos(0.1), np.sin(0.1)
    angles = np.array([1.5, 1.0, 0.3, -0.5, -1.2])
    states = jnp.asarray(0.01 * np.stack([np.cos(angles), np.sin(angles)], axis=1), jnp.float32)
    params = parameters([[c, -s], [s, c]], [[1, 0], [-1, 0]])
    found = residency(net_of(tanh_cell(2), params, 0.0), states, KEY, n_rollouts=2)
    np.testing.assert_array_equal(found.time, np.ceil((np.pi / 2 - angles) / 0.1))
    np.testing.assert_array_equal(found.time_std, 0)
    # x first rises where the angle is negative, then falls: one change of sign
    np.testing.assert_array_equal(found.sign_changes, angles < 0)


def test_a_logit_of_independent_values_turns_in_two_of_three_steps():
    """Three values in random order have the middle one as an extreme in 4 of 6 orders."""
    params = parameters([[0]], [[1], [0]], b_rec=[0], b_out=[5, 0])
    cell = tanh_cell(1, bias=True)
    found = residency(net_of(cell, params, 1.0), jnp.array([[0.0]]), KEY, n_rollouts=2_000)
    assert float(found.sign_change_rate[0]) == pytest.approx(2 / 3, abs=0.01)
    assert float(found.sign_changes[0]) == pytest.approx(59 * 2 / 3, rel=0.015)
    assert (float(found.time[0]), float(found.censored[0])) == (60, 1)


@pytest.mark.parametrize("n_symbols", [1, 3])
def test_a_network_that_never_switches(n_symbols):
    params = parameters(np.zeros((2, 2)), np.zeros((n_symbols, 2)))
    found = residency(net_of(tanh_cell(2, n_symbols), params, 1.0), jnp.ones((4, 2)), KEY)
    np.testing.assert_array_equal(found.time, 60)
    np.testing.assert_array_equal(found.censored, 1)
    np.testing.assert_array_equal(found.sign_changes, 0)
    np.testing.assert_allclose(found.max_probability, 1 / n_symbols, rtol=1e-6)


def test_all_that_leaves_at_once_has_no_rate_of_sign_changes():
    cell = RNNCell(n_symbols=2, hidden_size=1, noise_dim=1, activation="tanh", bias=True)
    params = parameters([[0]], [[0], [1]], b_rec=[9], b_out=[0, 0])
    found = residency(net_of(cell, params, 1.0), jnp.array([[-0.5]]), KEY, n_rollouts=1)
    assert (float(found.time[0]), float(found.sign_changes[0])) == (1, 0)
    assert np.isnan(found.sign_change_rate[0])
    assert np.isnan(found.time_std[0])


def test_states_that_are_not_finite_are_marked_and_leave_the_others_alone():
    states = jnp.array([[0.5], [np.nan], [-0.5], [np.inf], [-np.inf]])
    found = residency(net_of(tanh_cell(1), WELL, 0.6), states, KEY)
    alone = residency(net_of(tanh_cell(1), WELL, 0.6), states[jnp.array([0, 2])], KEY)
    assert found.n_valid == 2
    np.testing.assert_array_equal(found.symbol, [0, -1, 1, -1, -1])
    for name in ("time", "time_std", "censored", "sign_changes", "sign_change_rate"):
        values = np.asarray(getattr(found, name))
        np.testing.assert_array_equal(values[[0, 2]], getattr(alone, name))
        assert np.isnan(values[[1, 3, 4]]).all()
    np.testing.assert_array_equal(zones(found.time, found.max_probability)[1], -1)


def test_a_network_that_diverges_has_no_residency_time():
    cell = RNNCell(n_symbols=2, hidden_size=1, noise_dim=1)
    params = parameters([[1e9]], [[1], [0]])
    states = jnp.array([[1.0], [np.nan]])
    found = residency(net_of(cell, params, 1.0), states, KEY)
    assert found.n_valid == 0
    assert np.isnan(found.time).all()
    np.testing.assert_array_equal(found.symbol, [0, -1])
    silent = residency(
        net_of(cell, params | {"W_rec": jnp.full((1, 1), jnp.nan)}, 1.0), states, KEY
    )
    assert silent.n_valid == 0


def test_the_scale_of_noise_and_states_changes_no_time():
    """h(s x) = s h(x) without bias and with relu: only the softmax is sharper."""
    params = init_params(SMALL, jax.random.key(0))
    states = jax.nn.relu(jax.random.normal(jax.random.key(1), (12, 12)))
    one, four = (
        residency(net_of(SMALL, params, s), s * states, KEY, n_rollouts=5, n_steps=9)
        for s in (1.0, 4.0)
    )
    np.testing.assert_array_equal(one.time, four.time)
    np.testing.assert_array_equal(one.sign_changes, four.sign_changes)
    assert np.all(four.max_probability >= one.max_probability)


def test_nothing_to_measure_is_refused():
    run = partial(residency, net_of(tanh_cell(1), WELL, 1.0))
    with pytest.raises(InputError, match=r"states .*\(0, 1\)"):
        run(jnp.zeros((0, 1)), KEY)
    for name in ("n_rollouts", "n_steps", "n_lanes"):
        with pytest.raises(InputError, match=f"{name}=0"):
            run(jnp.zeros((1, 1)), KEY, **{name: 0})


def test_networks_side_by_side_equal_each_alone():
    params = jax.vmap(partial(init_params, SMALL))(jax.random.split(jax.random.key(0), 2))
    params["W_rec"] = params["W_rec"] * jnp.array([0.5, 2.5])[:, None, None]  # short and long times
    states = jax.nn.relu(jax.random.normal(jax.random.key(1), (2, 9, 12)))
    std, keys = jnp.array([0.5, 1.5]), jax.random.split(KEY, 2)
    run = partial(residency, n_rollouts=4, n_steps=20, n_lanes=16)
    both = jax.jit(jax.vmap(run))(net_of(SMALL, params, std), states, keys)
    for i in range(2):
        own = {name: weight[i] for name, weight in params.items()}
        alone = run(net_of(SMALL, own, std[i]), states[i], keys[i])
        for together, single in zip(both, alone, strict=True):
            np.testing.assert_allclose(together[i], single, rtol=1e-5)
    assert not np.array_equal(both.time[0], both.time[1])


def test_memory_is_that_of_the_lanes():
    """All rollouts at once would take 20 times the memory of the states."""
    cell = RNNCell(n_symbols=3)
    params = init_params(cell, jax.random.key(0))
    states = jax.ShapeDtypeStruct((100_000, 150), jnp.float32)
    compiled = residency.lower(net_of(cell, params), states, KEY).compile()
    analysis = compiled.memory_analysis()
    assert analysis.temp_size_in_bytes < 0.5 * analysis.argument_size_in_bytes


def test_zones_are_those_of_the_paper():
    time = jnp.array([1.0, 1.95, 2.0, 8.0, 8.05, 8.05, 60.0, 60.0, np.nan])
    probability = jnp.array([1.0, 0.5, 1.0, 0.5, 0.81, 0.8, 1.0, 0.4, 1.0])
    np.testing.assert_array_equal(zones(time, probability), [2, 2, 1, 1, 0, 3, 0, 3, -1])
    np.testing.assert_array_equal(jax.jit(zones)(time, probability), zones(time, probability))


def test_shares_of_zones_and_means_over_them():
    rng = np.random.default_rng(0)
    shares = np.array([0.5, 0.3, 0.15, 0.05])
    zone = rng.choice(4, (40, 200), p=shares)
    values = 10.0 * zone + rng.normal(size=zone.shape)
    weights = bootstrap_weights(40, KEY)
    for z, (found, mean) in enumerate(
        zip(zone_shares(zone, weights), zone_means(values, zone, weights), strict=True)
    ):
        assert found.value == pytest.approx(np.mean(zone == z))
        assert found.low < shares[z] < found.high
        # a binomial share of 8000 states that are independent
        width = 2 * 1.96 * np.sqrt(shares[z] * (1 - shares[z]) / 8_000)
        assert found.high - found.low == pytest.approx(width, rel=0.35)
        assert mean.value == pytest.approx(values[zone == z].mean())
        assert mean.low < 10 * z < mean.high


def test_states_without_a_zone_or_value_are_left_out():
    zone = np.array([[0, 0, 1, -1], [0, 2, 1, -1]])
    values = np.array([[1.0, np.nan, 5.0, 9.0], [3.0, 4.0, np.inf, 9.0]])
    weights = bootstrap_weights(2, KEY)
    np.testing.assert_allclose(zone_shares(zone, weights).value, [0.5, 1 / 3, 1 / 6, 0])
    means = zone_means(values, zone, weights)
    np.testing.assert_array_equal(means.value, [2.0, 5.0, 4.0, np.nan])
    nothing = zone_shares(np.full((3, 4), -1), bootstrap_weights(3, KEY))
    assert nothing == Estimate.stack([UNKNOWN] * 4)
