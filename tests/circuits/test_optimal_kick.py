"""A planted flip-flop whose optimal kick is known, linear networks in closed form, numpy loops."""

from functools import partial

import jax
import jax.numpy as jnp
import networks
import numpy as np
import pytest

from hmmrnn import InputError
from hmmrnn.circuits.carriers import carriers
from hmmrnn.circuits.kick_tests import (
    Groups,
    first_step,
    injection,
    kick_test,
    natural_noise,
    random_kicks,
    window_groups,
)
from hmmrnn.circuits.optimal_kick import difference, lead, optimal_kick, readout_adjoint
from hmmrnn.intervals import UNKNOWN, Estimate, bootstrap_weights
from hmmrnn.nets import RNNCell, init_params
from hmmrnn.nets.noise import white_noise
from hmmrnn.recordings.clusters import Starts
from hmmrnn.recordings.recorder import Recording, record

KEY = jax.random.key(5)
PAIR = jnp.array([0, 2])
M0, M2 = 0, 1
N, D, L, P, B = 8, 12, 10, 60, 20
FLIP_FLOP = RNNCell(n_symbols=3, hidden_size=N, noise_dim=D, bias=True)
CELL = RNNCell(n_symbols=3, hidden_size=7, noise_dim=4, bias=True)
SELF, OTHER = 0.6, 0.8


def flip_flop(noise_std=0.3):
    """M0 = relu(0.4 + 0.6 M0 - 0.8 M2 + u_0 x), M2 likewise with u_2; the rest are distractors.

    Each unit has an input direction of its own in D dimensions. Distractors hear both M0 and M2,
    are more active than they, and are read alike by both symbols, so no kick needs them.
    """
    rng = np.random.default_rng(0)
    W_rec, W_out = np.zeros((N, N)), np.zeros((3, N))
    W_rec[[M0, M2], [M0, M2]], W_rec[[M0, M2], [M2, M0]] = SELF, -OTHER
    W_rec[2:] = rng.normal(size=(N - 2, N)) / 8
    W_in = rng.normal(size=(N, D))
    W_in /= np.linalg.norm(W_in, axis=1, keepdims=True)
    W_out[[0, 2], [M0, M2]] = 5
    W_out[[0, 2], 2:] = 1
    b_rec, b_out = np.full(N, 3.0), np.array([0, -50, 0])
    b_rec[[M0, M2]] = 0.4
    params = networks.weights(W_rec=W_rec, W_in=W_in, W_out=W_out, b_rec=b_rec, b_out=b_out)
    return networks.net_of(FLIP_FLOP, params, jnp.asarray(noise_std))


@pytest.fixture(scope="module")
def network():
    return flip_flop()


@pytest.fixture(scope="module")
def recording(network):
    return record(network, B, 400, KEY)


@pytest.fixture(scope="module")
def weights():
    return bootstrap_weights(B, KEY)


@pytest.fixture(scope="module")
def found(network, recording, weights):
    W_out = network.params["W_out"]
    return carriers(recording.states, recording.symbols, recording.zone, W_out, (0, 2), weights)


@pytest.fixture(scope="module")
def pushed(network, recording, found, weights):
    return kick_test(network, recording, found, weights, KEY, n_starts=P)


def at_rest(n_starts=P):
    """Starts in the cluster of symbol 0."""
    h = np.zeros((n_starts, N), np.float32)
    h[:, M0], h[:, 2:] = 1, 3
    return jnp.asarray(h)


adjoint_of = jax.jit(readout_adjoint, static_argnames="readout")


def unit(x):
    return x / np.linalg.norm(x)


def test_the_kick_uses_the_inputs_of_the_two_units_alone(network, pushed):
    W_in = np.asarray(network.params["W_in"], np.float64)
    kick = np.asarray(pushed.kick.direction, np.float64)
    assert np.linalg.norm(kick) == pytest.approx(1, rel=1e-5)
    plane = np.linalg.svd(W_in[[M0, M2]], full_matrices=False)[2]
    assert np.linalg.norm(kick @ plane.T) > 0.999  # cosine with what it lies in
    strong = np.linalg.norm(kick, axis=1) > 0.1
    shares = np.linalg.solve(W_in[[M0, M2]] @ W_in[[M0, M2]].T, W_in[[M0, M2]] @ kick.T)
    assert np.all(shares[0, strong] < 0)
    assert np.all(shares[1, -4:] > 0)
    np.testing.assert_allclose(pushed.kick.lag_energy.sum(), 1, rtol=1e-5)
    np.testing.assert_allclose(pushed.kick.unit_energy.sum(), 1, rtol=1e-5)
    energy = np.sum((kick @ W_in.T) ** 2, axis=0)
    np.testing.assert_allclose(pushed.kick.unit_energy, energy / energy.sum(), rtol=1e-4)
    assert float(pushed.kick.participation) == pytest.approx(energy.sum() ** 2 / (energy**2).sum())
    assert 0 <= pushed.kick.consistency[0] <= 1


def test_units_that_are_off_take_part_at_a_finite_size(pushed):
    """All moves through M0 and M2, through M2 only where it is on; gradients add up to it."""
    gain = np.asarray(pushed.kick.unit_gain)
    assert gain.sum() == pytest.approx(1, abs=0.05)
    np.testing.assert_allclose(gain[2:], 0, atol=1e-5)
    assert min(gain[:2]) > 0.1
    assert np.all(pushed.kick.gain[0] <= np.max(pushed.kick.gain))
    assert pushed.kick.moved > 0


def test_the_linear_kick_of_a_still_cluster_is_the_closed_form():
    """M2 is off: z_2 - z_0 moves by -5 times what is left of M0, 0.6 to the steps that remain."""
    network = flip_flop(1e-3)
    kick = optimal_kick(network, at_rest(), PAIR, KEY)
    expected = -np.outer(SELF ** np.arange(L - 1, -1, -1), network.params["W_in"][M0])
    np.testing.assert_allclose(kick.linear, unit(expected), atol=1e-5)
    np.testing.assert_allclose(kick.direction, unit(expected), atol=1e-5)
    np.testing.assert_allclose(kick.consistency, 1, rtol=1e-5)
    size = 2e-3 * 5 * np.linalg.norm(expected)
    np.testing.assert_allclose(kick.gain, size, rtol=1e-3)
    np.testing.assert_allclose(kick.unit_gain, np.eye(N)[M0], atol=1e-4)
    assert int(kick.n_valid) == P


def test_no_other_kick_into_the_two_units_does_as_well(network):
    """Against 300 courses that decay into the past, judged by numpy on the pair alone."""
    std = float(network.noise_std)
    kick = optimal_kick(network, at_rest(), PAIR, KEY)
    W_in = np.asarray(network.params["W_in"], np.float64)[[M0, M2]]
    rng = np.random.default_rng(1)
    decay = rng.uniform(0.3, 1, (300, 1, 1)) ** np.arange(L - 1, -1, -1)[:, None]
    courses = decay * (rng.normal(size=(300, 1, 2)) + 0.3 * rng.normal(size=(300, L, 2)))
    courses = np.einsum("alu,ud->ald", courses, W_in)
    courses /= np.linalg.norm(courses, axis=(1, 2), keepdims=True)
    received = np.concatenate([np.asarray(kick.direction)[None], courses]) @ W_in.T
    pulls = std * rng.normal(size=(L, 1_000, D)) @ W_in.T
    h = np.broadcast_to([1.0, 0.0], (301, 1_000, 2))
    W_rec = np.array([[SELF, -OTHER], [-OTHER, SELF]])
    for step in range(L):
        push = 2 * std * received[:, step, None] + pulls[step]
        h = np.maximum(0.4 + h @ W_rec.T + push, 0)
    behind = np.mean(np.maximum(h[..., 0] - h[..., 1], 0), axis=1)
    assert behind[0] < behind[1:].min()


def linear_network():
    """Relu units that are always on."""
    params = init_params(CELL, jax.random.key(3))
    biases = {"b_rec": jnp.full(7, 20.0), "b_out": jnp.array([90.0, 0, 0])}
    return CELL, params | biases | {"W_rec": 0.4 * params["W_rec"]}


def test_the_adjoint_of_a_linear_network_is_a_power_of_its_weights():
    cell, params = linear_network()
    pulls = jnp.asarray(np.random.default_rng(0).normal(size=(6, 20, 7)), jnp.float32)
    value, adjoint = adjoint_of(networks.net_of(cell, params), jnp.ones((20, 7)), pulls, PAIR)
    W, out = (np.asarray(params[name], np.float64) for name in ("W_rec", "W_out"))
    for step in range(6):
        expected = np.linalg.matrix_power(W.T, 5 - step) @ (out[2] - out[0])
        np.testing.assert_allclose(adjoint[step], np.tile(expected, (20, 1)), rtol=1e-4, atol=1e-6)
    assert value.shape == (20,)


def test_the_kick_of_a_linear_network_is_its_gradient():
    cell, params = linear_network()
    kick = optimal_kick(
        networks.net_of(cell, params, 0.5), jnp.ones((20, 7)), PAIR, KEY, norm=2.0, n_steps=6
    )
    W, W_in, out = (np.asarray(params[x], np.float64) for x in ("W_rec", "W_in", "W_out"))
    adjoint = [np.linalg.matrix_power(W.T, 5 - i) @ (out[2] - out[0]) for i in range(6)]
    gradient = adjoint @ W_in
    for direction in (kick.linear, kick.direction):
        np.testing.assert_allclose(direction, unit(gradient), atol=1e-5)
    size = np.linalg.norm(gradient)
    np.testing.assert_allclose(kick.gain, size, rtol=1e-3)
    np.testing.assert_allclose(kick.moved, size, rtol=1e-3)
    through = np.sum(adjoint * (unit(gradient) @ W_in.T), axis=0)
    np.testing.assert_allclose(kick.unit_gain, through / size, atol=1e-4)
    energy = np.sum(unit(gradient) ** 2, axis=1)
    np.testing.assert_allclose(kick.lag_energy, energy, rtol=1e-4)


@pytest.mark.parametrize("readout", [difference, lead])
def test_the_adjoint_agrees_with_finite_differences(readout):
    cell = RNNCell(n_symbols=3, hidden_size=6, noise_dim=4, activation="tanh")
    params = init_params(cell, jax.random.key(2))
    params["W_out"] = 4 * params["W_out"]
    rng = np.random.default_rng(1)
    h0 = jnp.asarray(rng.normal(size=(5, 6)), jnp.float32)
    noise = jnp.asarray(rng.normal(size=(4, 5, 4)), jnp.float32)

    def value(noise):
        return readout(networks.net_of(cell, params).run(h0, noise).logits[-1], PAIR)

    pulls = noise @ params["W_in"].T
    found, adjoint = adjoint_of(networks.net_of(cell, params), h0, pulls, PAIR, readout)
    np.testing.assert_allclose(found, jax.jit(value)(noise), rtol=1e-4, atol=1e-6)
    gradient = adjoint @ params["W_in"]
    bump = jax.jit(jax.vmap(value))
    steps = 0.02 * np.eye(16).reshape(16, 4, 1, 4)  # one step and dimension, all starts at once
    slope = (bump(noise + steps) - bump(noise - steps)) / 0.04
    expected = np.moveaxis(np.asarray(slope).reshape(4, 4, 5), 1, 2)
    np.testing.assert_allclose(gradient, expected, atol=2e-3)
    assert np.abs(expected).max() > 0.1


def test_the_lead_is_zero_from_the_first_place_on():
    logits = jnp.array([[3.0, 1, 2], [1, 3, 2], [1, 2, 3]])
    np.testing.assert_array_equal(lead(logits, PAIR), [-1, -1, 0])
    np.testing.assert_array_equal(difference(logits, PAIR), [-1, 1, 2])


def small_network(key=KEY):
    """Without biases, so that its states scale with the noise."""
    none = {"b_rec": jnp.zeros(7), "b_out": jnp.zeros(3)}
    return init_params(CELL, key) | none | {"W_out": jax.random.normal(key, (3, 7))}


def small_starts(n_starts=20):
    return jax.nn.relu(jax.random.normal(jax.random.key(1), (n_starts, 7)))


def same(one, other, atol=1e-5):
    for x, y in zip(one, other, strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-4, atol=atol)


def test_the_scale_of_the_noise_changes_no_direction_and_no_step():
    params, h0 = small_network(), small_starts()
    one, four = (
        optimal_kick(networks.net_of(CELL, params, s), s * h0, PAIR, KEY, n_steps=6)
        for s in (1.0, 4.0)
    )
    same(one._replace(gain=4 * one.gain, moved=4 * one.moved), four)
    kicks, doses = random_kicks(one.direction, 2, KEY) @ params["W_in"].T, jnp.array([0.0, 3.0])
    steps = [
        first_step(networks.net_of(CELL, params, s), s * h0, kicks, doses, PAIR, KEY)
        for s in (1.0, 4.0)
    ]
    np.testing.assert_array_equal(*steps)


def test_labels_of_units_do_not_matter():
    params, h0 = small_network(), small_starts()
    order = np.array([3, 0, 6, 1, 5, 2, 4])
    other = networks.relabelled(params, order)
    one = optimal_kick(networks.net_of(CELL, params, 1.0), h0, PAIR, KEY, n_steps=6)
    other = optimal_kick(networks.net_of(CELL, other, 1.0), h0[:, order], PAIR, KEY, n_steps=6)
    units = {name: getattr(one, name)[order] for name in ("unit_energy", "unit_gain")}
    same(one._replace(**units), other, atol=1e-4)


def test_states_that_are_not_finite_are_left_out():
    params, h0 = small_network(), small_starts()
    broken = h0.at[3:5].set(jnp.nan)
    found = optimal_kick(networks.net_of(CELL, params, 1.0), broken, PAIR, KEY, n_steps=6)
    assert int(found.n_valid) == 18
    assert np.isfinite(found.direction).all()
    nothing = optimal_kick(
        networks.net_of(CELL, params, 1.0), jnp.full((20, 7), jnp.nan), PAIR, KEY, n_steps=6
    )
    assert int(nothing.n_valid) == 0
    assert np.isnan(nothing.direction).all()


def test_steps_equal_a_numpy_loop():
    params, h0 = small_network(), small_starts()
    weights = {name: np.asarray(x, np.float64) for name, x in params.items()}
    kicks = jax.random.normal(jax.random.key(8), (3, 6, 7))
    doses = jnp.array([0.0, 0.5, 2.0])
    found = np.asarray(first_step(networks.net_of(CELL, params, 0.7), h0, kicks, doses, PAIR, KEY))
    keys = jax.random.split(KEY, 20)
    noise = 0.7 * np.asarray(jax.jit(partial(white_noise, n_steps=11, dim=4))(keys), np.float64)
    expected = np.full(found.shape, 12)
    for a, g, p in np.ndindex(found.shape):
        h = np.asarray(h0[p], np.float64)
        for step, x in enumerate(noise[:, p], 1):
            push = 0.7 * float(doses[g]) * np.asarray(kicks[a, step - 1]) if step <= 6 else 0
            h = np.maximum(weights["W_rec"] @ h + weights["W_in"] @ x + push, 0)
            if np.argmax(weights["W_out"] @ h) == 2:
                expected[a, g, p] = step
                break
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(found[0, 0], found[2, 0])  # no dose, no difference
    assert len(np.unique(found)) > 5
    wild = params | {"W_rec": jnp.full((7, 7), 1e30)}
    assert np.isnan(first_step(networks.net_of(CELL, wild, 0.7), h0, kicks, doses, PAIR, KEY)).all()


def test_networks_side_by_side_equal_each_alone():
    keys = jax.random.split(KEY)
    each = [small_network(key) for key in keys]
    h0 = jnp.stack([small_starts(), 2 * small_starts()])
    std = jnp.array([0.7, 1.0])
    stacked = jax.tree.map(lambda *x: jnp.stack(x), *each)
    run = partial(optimal_kick, n_steps=6)
    nets = networks.net_of(CELL, stacked, std)
    both = jax.vmap(run, in_axes=(0, 0, None, 0))(nets, h0, PAIR, keys)
    kicks = jax.random.normal(jax.random.key(8), (3, 6, 7))
    doses = jnp.array([0.0, 0.5, 2.0])
    axes = (0, 0, None, None, None, 0)
    together = jax.vmap(first_step, in_axes=axes)(nets, h0, kicks, doses, PAIR, keys)
    for i in range(2):
        net = networks.net_of(CELL, each[i], std[i])
        same([x[i] for x in both], run(net, h0[i], PAIR, keys[i]), atol=1e-4)
        alone = first_step(net, h0[i], kicks, doses, PAIR, keys[i])
        np.testing.assert_array_equal(together[i], alone)
    assert not np.allclose(both.direction[0], both.direction[1])


def test_random_kicks_have_the_size_of_each_step():
    like = jnp.asarray(np.random.default_rng(0).normal(size=(L, D)), jnp.float32)
    drawn = random_kicks(like, 200, KEY)
    expected = np.broadcast_to(np.linalg.norm(like, axis=1), (200, L))
    np.testing.assert_allclose(np.linalg.norm(drawn, axis=-1), expected, rtol=1e-5)
    cosines = np.einsum("ald,ld->a", drawn, like) / np.sum(np.square(like))
    assert abs(cosines.mean()) < 4 * cosines.std() / np.sqrt(200)
    assert 0 < cosines.std() < 0.3


def test_the_kick_switches_where_random_ones_do_not(pushed):
    found = pushed.injection
    base = found.optimal.probability[0]
    assert base == found.reverse.probability[0] == found.random.probability[0]
    assert base.value < 0.6
    assert found.optimal.probability[-1].value > 0.95
    assert found.reverse.probability[3].value < base.value
    assert found.advantage.probability[3].low > 0.2
    assert found.advantage.probability[0] == Estimate(0, 0, 0)
    low, high = found.random_range[3]
    assert low <= found.random.probability[3].value <= high < found.optimal.probability[3].low
    values = found.optimal.probability.value.tolist()
    assert values == sorted(values)
    steps = found.optimal.steps.value.tolist()
    assert steps == sorted(steps, reverse=True)
    assert found.n_starts == found.n_valid == P


def test_only_the_carriers_have_to_receive_the_kick(network, pushed, weights):
    """M0 and M2 get all that matters; without them the kick is as good as none."""
    masks = np.zeros((2, N), bool)
    masks[0, [M0, M2]] = True
    groups = Groups(("pair", "nobody"), masks)
    starts = Starts(at_rest(), np.arange(P) % B)
    cell, params, std = network.cell, network.params, network.noise_std
    run = partial(
        injection, networks.net_of(cell, params, std), starts, pushed.kick, groups, (0, 2)
    )
    found = run(weights, KEY, n_random=2)
    pair, nobody = found.through
    assert pair == found.without[1] == found.optimal
    for estimate in (*nobody.probability, *found.without[0].probability):
        assert estimate == found.optimal.probability[0]


def test_groups_are_the_carriers_and_the_strongest_others(found, pushed):
    names, masks = pushed.groups
    assert names == ("carriers of s", "carriers of t", "pushers")
    np.testing.assert_array_equal(np.flatnonzero(masks[0]), [M0])
    np.testing.assert_array_equal(np.flatnonzero(masks[1]), [M2])
    energy = np.asarray(pushed.kick.unit_energy)
    assert np.flatnonzero(masks[2]) == [2 + np.argmax(energy[2:])]
    np.testing.assert_allclose(pushed.energy, [energy[mask].sum() for mask in masks], rtol=1e-5)
    np.testing.assert_allclose(pushed.gain[:2].sum(), 1, atol=0.05)
    unknown = pushed.kick._replace(unit_energy=jnp.full(N, jnp.nan))
    assert not window_groups(found, unknown).masks[2].any()


def test_real_transitions_are_pushed_along_the_kick(pushed):
    natural = pushed.natural
    assert natural.n_events > 20
    assert natural.events.low > 0.5
    assert natural.others.value < 0
    assert natural.auc.low > 0.75
    assert natural.share.low > 0.15


def planted_pushes(along, across, n_runs=60, n_steps=200):
    """White noise with a push along the kick, and another across it, before each onset."""
    rng = np.random.default_rng(2)
    directions = np.linalg.qr(rng.normal(size=(4 * 5, 2)))[0].T.reshape(2, 4, 5)
    noise = rng.normal(size=(n_runs, n_steps, 5))
    symbols = np.zeros((n_runs, n_steps), int)
    for onset in range(20, n_steps - 10, 30):
        symbols[:, onset : onset + 15] = 2
        noise[:, onset - 3 : onset + 1] += along * directions[0] + across * directions[1]
    states = jnp.zeros((n_runs, n_steps, 2))
    zone = np.where(np.arange(n_steps) % 2, 1, 0) * np.ones((n_runs, 1), int)
    arrays = (jnp.asarray(x) for x in (2.0 * noise, symbols, zone))
    noise, symbols, zone = arrays
    recording = Recording(states, noise.astype(jnp.float32), states, states, symbols, zone)
    return recording, jnp.asarray(directions[0], jnp.float32)


def test_planted_pushes_are_found_with_their_size():
    """A push of 1.5 makes an area of Phi(1.5 / sqrt 2) = 0.856."""
    recording, direction = planted_pushes(1.5, 1.0)
    found = natural_noise(recording, (0, 2), direction, 2.0, bootstrap_weights(60, KEY))
    assert found.n_events == 60 * 6
    assert found.events.low < 1.5 < found.events.high
    assert found.events_std == pytest.approx(1, abs=0.1)
    assert found.others.low < 0 < found.others.high
    assert found.others_std == pytest.approx(1, abs=0.05)
    assert found.auc.low < 0.8556 < found.auc.high
    assert found.share.low < 1.5**2 / (1.5**2 + 1) < found.share.high
    assert found.share.high - found.share.low < 0.5


def test_windows_and_area_equal_a_plain_count():
    recording, direction = planted_pushes(0.5, 0, n_runs=3, n_steps=60)
    found = natural_noise(recording, (0, 2), direction, 2.0, bootstrap_weights(3, KEY))
    symbols, zone = np.asarray(recording.symbols), np.asarray(recording.zone)
    noise, kick = np.asarray(recording.noise) / 2, np.asarray(direction)
    events, others = [], []
    for run, onset in np.ndindex(symbols.shape):
        if onset < 5 or onset > 55:
            pass
        elif symbols[run, onset] == 2 and symbols[run, onset - 1] == 0:
            events.append(np.sum(noise[run, onset - 3 : onset + 1] * kick))
    for run, last in np.ndindex(symbols.shape):
        first = last - 4
        if first >= 0 and zone[run, first] == 0 and not symbols[run, first : last + 1].any():
            others.append(np.sum(noise[run, first + 1 : last + 1] * kick))
    assert (found.n_events, found.n_others) == (len(events), len(others))
    assert found.events.value == pytest.approx(np.mean(events), rel=1e-4)
    assert found.others.value == pytest.approx(np.mean(others), rel=1e-4)
    larger = np.mean(np.asarray(events)[:, None] > np.asarray(others))
    assert found.auc.value == pytest.approx(larger, abs=1e-9)


def test_without_a_push_there_is_none():
    recording, direction = planted_pushes(0, 1.5)
    found = natural_noise(recording, (0, 2), direction, 2.0, bootstrap_weights(60, KEY))
    assert found.events.low < 0 < found.events.high
    assert found.auc.low < 0.5 < found.auc.high
    assert found.share.low < 0.05


def test_pairs_without_events_or_starts_have_no_numbers(network, recording, weights):
    W_out = network.params["W_out"]
    states, symbols, zone = recording.states, recording.symbols, recording.zone
    for pair in ((0, 1), (1, 0)):  # symbol 1 never occurs
        found = carriers(states, symbols, zone, W_out, pair, weights)
        pushed = kick_test(network, recording, found, weights, KEY, n_starts=P)
        assert pushed.natural.n_events == 0
        assert pushed.natural.events == pushed.natural.auc == pushed.natural.share == UNKNOWN
        assert pushed.injection.n_starts == (P if pair[0] == 0 else 0)
    assert np.isnan(pushed.kick.direction).all()
    assert np.isnan(pushed.injection.optimal.probability.parts).all()
    assert pushed.natural.n_others == 0


def test_a_recording_shorter_than_the_kick_is_refused():
    recording, direction = planted_pushes(0, 0, n_runs=2, n_steps=30)
    short = Recording(*(x[:, :4] for x in recording))
    with pytest.raises(InputError, match=" 4 steps"):
        natural_noise(short, (0, 2), direction, 2.0, bootstrap_weights(2, KEY))
