import dataclasses
import inspect
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from networks import net_of
from scipy import special, stats

import hmmrnn.nets.network as simulator
from hmmrnn import InputError
from hmmrnn.nets import NO_INTERVENTION, Intervention, NetConfig, Network, make_cell

from .oracles import KINDS, D, K, N, T, kind_name, looped, network, relative_error

kinds = pytest.mark.parametrize("config", KINDS, ids=kind_name)


@partial(jax.jit, static_argnames="cell")
def roll(cell, params, h0, noise, *gates):
    return net_of(cell, params).run(h0, noise, *gates)


@partial(jax.jit, static_argnames=("cell", "n_steps"))
def sim(cell, params, noise_std, n_steps, keys, *gates):
    return net_of(cell, params, noise_std).simulate(n_steps, keys, *gates)


GATES = Intervention._fields
RELU = KINDS[0]


def drawn(seed, n_steps=T):
    """A start and a noise drive."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=N).astype(np.float32), rng.normal(size=(n_steps, D)).astype(np.float32)


@kinds
@pytest.mark.parametrize("n_steps", [1, T])
def test_rollout_equals_the_loop_of_the_equation(config, n_steps):
    cell, params = network(config)
    h0, noise = drawn(0, n_steps)
    found = roll(cell, params, h0, noise)
    states, logits = looped(config.activation, params, h0, noise)
    assert found.states.shape == (n_steps, N)
    assert found.logits.shape == (n_steps, K)
    assert relative_error(found.states, states) < 1e-5
    assert relative_error(found.logits, logits) < 1e-5


def some_gates(shape):
    rng = np.random.default_rng(8)
    return Intervention(*(rng.uniform(0.5, 1.5, shape).astype(np.float32) for _ in GATES))


@kinds
@pytest.mark.parametrize("shape", [(), (N,), (T, N)], ids=["one", "per unit", "per step"])
def test_a_batch_and_its_gradients_are_those_of_each_trajectory_alone(config, shape):
    cell, params = network(config)
    starts, noises = (jnp.stack(x) for x in zip(*(drawn(seed) for seed in range(5)), strict=True))
    gates = some_gates(shape)

    def together(params, starts, noises):
        batch = net_of(cell, params).run(starts, noises.swapaxes(0, 1), gates)
        return jax.tree.map(lambda x: jnp.swapaxes(x, 0, 1), batch)

    def apart(params, starts, noises):
        return jax.vmap(lambda h0, x: net_of(cell, params).run(h0, x, gates))(starts, noises)

    def loss(run, params, *data):
        return sum(jnp.sum(jnp.sin(x)) for x in run(params, *data))

    given = params, starts, noises
    for found, expected in zip(jax.jit(together)(*given), apart(*given), strict=True):
        assert relative_error(found, expected) < 1e-5
    found = jax.jit(jax.grad(partial(loss, together)))(*given)
    with jax.enable_x64(True):
        exact = jax.tree.map(lambda x: jnp.asarray(np.asarray(x), jnp.float64), given)
        expected = jax.grad(partial(loss, apart))(*exact)
    for name in params:
        assert relative_error(found[name], expected[name]) < 1e-4, name


@kinds
def test_large_batches_step_by_step_are_the_same_runs(config, monkeypatch):
    """Drive and logits inside of the loop, with gates of each step, and their gradient."""
    cell, params = network(config)
    rng = np.random.default_rng(0)
    h0, noise = rng.normal(size=(5, N)), rng.normal(size=(T, 5, D))
    gates = Intervention(state_gain=jnp.asarray(rng.uniform(0.5, 1, (T, N)), jnp.float32))

    def run(params, h0, noise):
        made = net_of(cell, params).run(h0, noise, gates)
        return jnp.sum(jnp.sin(made.logits)) + jnp.sum(jnp.cos(made.states)), made

    inputs = params, *(jnp.asarray(x, jnp.float32) for x in (h0, noise))
    found = []
    for limit in (simulator.STREAMED, 0):
        monkeypatch.setattr(simulator, "STREAMED", limit)
        (_, made), gradient = jax.jit(jax.value_and_grad(run, has_aux=True, argnums=(0, 1, 2)))(
            *inputs
        )
        found.append((made, gradient))
    for one, other in zip(*map(jax.tree.leaves, found), strict=True):
        np.testing.assert_allclose(one, other, rtol=2e-5, atol=2e-5)


@kinds
@pytest.mark.parametrize("initial_state", ["zero", "random"])
def test_simulating_many_keys_is_simulating_each(config, initial_state):
    cell, params = network(dataclasses.replace(config, initial_state=initial_state))
    keys, gates = jax.random.split(jax.random.key(4), (3, 2)), some_gates((T, N))
    runs = net_of(cell, params, 0.7).simulate(T, keys, gates)
    assert runs.states.shape == (T, 3, 2, N)
    for place in np.ndindex(3, 2):
        alone = sim(cell, params, 0.7, T, keys[place], gates)
        for found, expected in zip(runs, alone, strict=True):
            np.testing.assert_allclose(found[:, *place], expected, atol=1e-5)


def test_shapes_that_do_not_belong_together_are_named():
    cell, params = network(RELU)
    h0, noise = map(jnp.asarray, drawn(0))
    with pytest.raises(InputError, match=r"h0 has shape \(7,\).*\(12, 2, 4\)"):
        inspect.unwrap(Network.run)(net_of(cell, params), h0, jnp.stack([noise, noise], axis=1))
    with pytest.raises(InputError, match=r"state_gain has shape \(12, 2, 7\).*vmap"):
        roll(cell, params, h0, noise, Intervention(state_gain=np.ones((T, 2, N))))


@kinds
def test_rollout_starts_at_h_1_and_continues_where_it_stopped(config):
    cell, params = network(config)
    h0, noise = drawn(1)
    whole = roll(cell, params, h0, noise)
    first, _ = looped(config.activation, params, h0, noise[:1])
    assert relative_error(whole.states[0], first[0]) < 1e-5
    rest = roll(cell, params, whole.states[4], noise[5:])
    np.testing.assert_allclose(rest.states, whole.states[5:], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("scale", [0.01, 0.3, 4.0, 70.0])
def test_without_bias_relu_states_scale_with_the_noise(scale):
    cell, params = network(RELU)
    _, noise = drawn(2, 1000)
    once = roll(cell, params, np.zeros(N), noise)
    scaled = roll(cell, params, np.zeros(N), scale * noise)
    assert np.all(np.max(once.states[-100:], axis=1) > 0)  # alive to the end
    for found, expected in zip(scaled, once, strict=True):
        sizes = np.abs(expected).max(axis=1)
        errors = np.abs(found - scale * expected).max(axis=1) / (scale * sizes)
        assert errors.max() < 1e-4
    fresh = [sim(cell, params, std, 1000, jax.random.key(0)) for std in (1.0, scale)]
    assert relative_error(fresh[1].states, scale * fresh[0].states) < 1e-4


@pytest.mark.parametrize("config", KINDS[1:], ids=kind_name)
def test_biased_or_tanh_states_do_not_scale_with_the_noise(config):
    cell, params = network(config)
    _, noise = drawn(2, 1000)
    once, scaled = (roll(cell, params, np.zeros(N), s * noise).states for s in (1, 4))
    assert relative_error(scaled, 4 * once) > 0.02


@pytest.mark.parametrize("shape", [(), (N,), (T, N)])
def test_neutral_gates_leave_the_run_bitwise_alone(shape):
    for config in KINDS[:2]:
        cell, params = network(config)
        h0, noise = drawn(3)
        plain = roll(cell, params, h0, noise)
        neutral = Intervention(*[jnp.ones(shape)] * 3, jnp.zeros(shape))
        for intervention in (NO_INTERVENTION, neutral):
            found = roll(cell, params, h0, noise, intervention)
            np.testing.assert_array_equal(found.states, plain.states)
            np.testing.assert_array_equal(found.logits, plain.logits)


@pytest.mark.parametrize("shape", [(), (N,), (T, N)])
@kinds
def test_interventions_of_every_shape_equal_the_loop(config, shape):
    cell, params = network(config)
    h0, noise = drawn(4)
    rng = np.random.default_rng(5)
    values = {gate: rng.uniform(0.3, 1.2, shape).astype(np.float32) for gate in GATES}
    plain = looped(config.activation, params, h0, noise)[0]
    neutral = {gate: np.asarray(0.0 if gate == "state_offset" else 1.0) for gate in GATES}
    for chosen in [*[(gate,) for gate in GATES], GATES]:
        gates = {gate: values[gate] for gate in chosen}
        everywhere = {
            gate: np.broadcast_to(gates.get(gate, neutral[gate]), shape) for gate in GATES
        }
        found = roll(cell, params, h0, noise, Intervention(**everywhere))
        states, logits = looped(config.activation, params, h0, noise, **gates)
        assert relative_error(found.states, states) < 1e-5
        assert relative_error(found.logits, logits) < 1e-5
        assert relative_error(found.states, plain) > 0.01


@pytest.mark.parametrize("n_runs", [1, 3])
def test_gates_of_each_step_and_run_are_those_of_the_runs_alone(n_runs):
    cell, params = network(RELU)
    starts, noises = zip(*(drawn(seed) for seed in (4, 5, 6)), strict=True)
    h0, noise = np.stack(starts), np.stack(noises, axis=1)
    rng = np.random.default_rng(5)
    gain, offset = rng.uniform(0.3, 1.2, (2, T, n_runs, N)).astype(np.float32)
    found = roll(cell, params, h0, noise, Intervention(state_gain=gain, state_offset=offset))
    for b in range(3):
        own = b % n_runs
        gates = Intervention(state_gain=gain[:, own], state_offset=offset[:, own])
        alone = roll(cell, params, h0[b], noise[:, b], gates)
        np.testing.assert_allclose(found.states[:, b], alone.states, rtol=1e-5, atol=1e-6)
    with pytest.raises(InputError, match=r"state_gain has shape \(12, 2, 7\).*T, B = \(12, 3\)"):
        roll(cell, params, h0, noise, Intervention(state_gain=np.ones((T, 2, N))))


def test_gates_of_different_shapes_mix():
    cell, params = network(RELU)
    h0, noise = drawn(6)
    rng = np.random.default_rng(7)
    gates = dict(
        recurrent_gain=rng.uniform(0.5, 1.5, (T, N)),
        noise_gain=rng.uniform(0.5, 1.5, N),
        state_offset=rng.uniform(0.5, 1.5, (T, 1)),
    )
    found = roll(cell, params, h0, noise, Intervention(**gates))
    assert relative_error(found.states, looped("relu", params, h0, noise, **gates)[0]) < 1e-5


@kinds
@pytest.mark.parametrize("unit", [0, 3, N - 1])
def test_a_silenced_unit_is_a_deleted_unit(config, unit):
    cell, params = network(config)
    h0, noise = drawn(8)
    h0[unit] = 0.0
    found = roll(cell, params, h0, noise, Intervention(state_gain=np.float32(np.arange(N) != unit)))
    kept = np.delete(np.arange(N), unit)
    smaller = {
        "W_in": params["W_in"][kept],
        "W_rec": params["W_rec"][np.ix_(kept, kept)],
        "W_out": params["W_out"][:, kept],
    }
    if config.bias:
        smaller |= {"b_rec": params["b_rec"][kept], "b_out": params["b_out"]}
    states, logits = looped(config.activation, smaller, h0[kept], noise)
    np.testing.assert_array_equal(found.states[:, unit], np.zeros(T))
    assert relative_error(found.states[:, kept], states) < 1e-5
    assert relative_error(found.logits, logits) < 1e-5


@pytest.mark.parametrize("gate", GATES)
def test_a_window_leaves_the_steps_before_it_bitwise_unchanged(gate):
    cell, params = network(RELU)
    h0, noise = drawn(9)
    start, stop = 5, 8
    neutral = 0.0 if gate == "state_offset" else 1.0
    window = np.full((T, N), neutral, np.float32)
    window[start:stop] = 0.5
    plain = roll(cell, params, h0, noise).states
    found = roll(cell, params, h0, noise, Intervention(**{gate: window})).states
    np.testing.assert_array_equal(found[:start], plain[:start])
    assert np.all(np.any(found[start:stop] != plain[start:stop], axis=1))
    after = roll(cell, params, found[stop - 1], noise[stop:]).states  # undisturbed from there on
    np.testing.assert_allclose(found[stop:], after, rtol=1e-5, atol=1e-6)


def test_permuted_hidden_units_give_permuted_states_and_the_same_logits():
    for config in KINDS:
        cell, params = network(config)
        h0, noise = drawn(10)
        order = np.random.default_rng(11).permutation(N)
        permuted = {
            "W_in": params["W_in"][order],
            "W_rec": params["W_rec"][np.ix_(order, order)],
            "W_out": params["W_out"][:, order],
        }
        if config.bias:
            permuted |= {"b_rec": params["b_rec"][order], "b_out": params["b_out"]}
        found, plain = roll(cell, permuted, h0[order], noise), roll(cell, params, h0, noise)
        np.testing.assert_allclose(found.states, plain.states[:, order], rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(found.logits, plain.logits, rtol=1e-5, atol=1e-6)


def test_vmap_over_starts_and_noise_equals_a_loop():
    cell, params = network(RELU)
    pairs = [drawn(seed) for seed in range(4)]
    h0, noise = (np.stack(part) for part in zip(*pairs, strict=True))
    batch = jax.jit(jax.vmap(net_of(cell, params).run))(h0, noise)
    for i in range(4):
        for found, alone in zip(batch, roll(cell, params, h0[i], noise[i]), strict=True):
            np.testing.assert_allclose(np.asarray(found)[i], alone, rtol=1e-5, atol=1e-6)


def test_vmap_over_keys_noise_levels_networks_and_silenced_units_equals_a_loop():
    cell = network(RELU)[0]
    keys = jax.random.split(jax.random.key(3), 3)
    levels = np.array([0.0, 0.5, 2.0], np.float32)
    networks = [network(RELU, seed)[1] for seed in range(2)]
    stacked = jax.tree.map(lambda *leaves: np.stack(leaves), *networks)
    gains = 1 - np.eye(N, dtype=np.float32)

    def states(key, level, params, gain):
        return net_of(cell, params, level).simulate(T, key, Intervention(state_gain=gain)).states

    nested = states
    for axis in range(4):
        nested = jax.vmap(nested, in_axes=[0 if i == axis else None for i in range(4)])
    batch = np.asarray(jax.jit(nested)(keys, levels, stacked, gains))
    alone = jax.jit(states)
    for unit, n, level, key in np.ndindex(N, 2, 3, 3):
        expected = alone(keys[key], levels[level], networks[n], gains[unit])
        found = batch[unit, n, level, key]
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
        np.testing.assert_array_equal(found[:, unit], np.zeros(T))
    assert relative_error(batch[:, :, :, 0], batch[:, :, :, 1]) > 0.1


@pytest.mark.parametrize("start", ["zero", "random"])
def test_different_keys_give_different_runs_and_the_same_key_the_same(start):
    cell, params = network(NetConfig(N, D, initial_state=start))
    keys = jax.random.split(jax.random.key(4), 4)
    runs = np.stack([sim(cell, params, 1.0, T, key).states for key in keys])
    for i in range(4):
        for j in range(i):
            assert relative_error(runs[i], runs[j]) > 0.1
    np.testing.assert_array_equal(sim(cell, params, 1.0, T, keys[0]).states, runs[0])


@pytest.mark.parametrize("config", [KINDS[0], KINDS[3]], ids=kind_name)
def test_without_noise_a_run_is_the_noise_free_loop(config):
    cell, params = network(config)
    found = sim(cell, params, 0.0, T, jax.random.key(5))
    states, logits = looped(config.activation, params, np.zeros(N), np.zeros((T, D)))
    np.testing.assert_allclose(found.states, states, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(found.logits, logits, rtol=1e-5, atol=1e-6)
    if not config.bias:
        np.testing.assert_array_equal(found.states, np.zeros((T, N)))


def test_a_random_start_differs_by_key_without_noise_and_decays_by_the_loop():
    cell, params = network(NetConfig(N, D, initial_state="random"))
    first, second = (sim(cell, params, 0.0, T, jax.random.key(s)).states for s in (6, 7))
    assert relative_error(first, second) > 0.1
    states, _ = looped("relu", params, first[0], np.zeros((T - 1, D)))
    np.testing.assert_allclose(first[1:], states, rtol=1e-5, atol=1e-6)


def test_the_noise_of_a_run_is_independent_normal_with_the_asked_deviation():
    size = 100  # units that show one dimension of the noise each: h = relu(x)
    cell = make_cell(NetConfig(size, size), K)
    params = {
        "W_in": jnp.eye(size),
        "W_rec": jnp.zeros((size, size)),
        "W_out": jnp.zeros((K, size)),
    }
    states = np.asarray(sim(cell, params, 2.5, 1000, jax.random.key(8)).states)
    positive = states[states > 0]
    assert abs(positive.size - states.size / 2) < 4 * np.sqrt(states.size / 4)
    assert stats.kstest(positive / 2.5, stats.halfnorm.cdf).pvalue > 1e-3
    correlation = np.corrcoef(states.T)[~np.eye(size, dtype=bool)]
    assert np.abs(correlation).max() < 5.5 / np.sqrt(1000)
    lagged = np.corrcoef(states[1:].ravel(), states[:-1].ravel())[0, 1]
    assert abs(lagged) < 4 / np.sqrt(states.size)


N_SEQUENCES, N_STEPS = (
    2 * simulator.GENERATION_BATCH + 452,
    20,
)  # three batches that do not come out even


def silent_readout(law):
    """A biased network whose readout says softmax(log law) at every step."""
    cell, params = network(NetConfig(N, D, bias=True))
    return cell, params | {
        "W_out": jnp.zeros((K, N)),
        "b_out": jnp.log(jnp.array(law, jnp.float32)),
    }


@pytest.mark.parametrize("law", [(1 / 3, 1 / 3, 1 / 3), (0.05, 0.25, 0.7)], ids=str)
def test_generated_symbols_follow_the_softmax_of_a_constant_readout(law):
    cell, params = silent_readout(law)
    symbols = np.asarray(
        net_of(cell, params, 1.0).generate(N_SEQUENCES, N_STEPS, jax.random.key(10))
    )
    assert symbols.shape == (N_SEQUENCES, N_STEPS)
    assert np.issubdtype(symbols.dtype, np.integer)
    assert symbols.min() == 0
    assert symbols.max() == K - 1
    for k in range(K):
        hits = symbols == k
        deviation = np.sqrt(law[k] * (1 - law[k]))
        assert abs(hits.mean() - law[k]) < 4 * deviation / np.sqrt(hits.size)
        over_time = (hits.mean(axis=0) - law[k]) / (deviation / np.sqrt(N_SEQUENCES))
        assert np.abs(over_time).max() < 4.5
        over_sequences = hits.mean(axis=1).std() / (deviation / np.sqrt(N_STEPS))
        assert abs(over_sequences - 1) < 0.1
    pairs = np.zeros((K, K))
    np.add.at(pairs, (symbols[:, :-1], symbols[:, 1:]), 1)
    expected = np.outer(law, law) * pairs.sum()
    assert np.abs((pairs - expected) / np.sqrt(expected)).max() < 4.5


def test_generated_sequences_are_all_different_across_batches():
    cell, params = silent_readout((1 / 3, 1 / 3, 1 / 3))
    symbols = np.asarray(
        net_of(cell, params, 1.0).generate(N_SEQUENCES, N_STEPS, jax.random.key(11))
    )
    assert len(np.unique(symbols, axis=0)) == N_SEQUENCES  # 3^20 sequences: repeats are bugs
    other = np.asarray(net_of(cell, params, 1.0).generate(N_SEQUENCES, N_STEPS, jax.random.key(12)))
    assert abs(np.mean(symbols == other) - 1 / 3) < 4 * np.sqrt(2 / 9 / symbols.size)


def test_generated_symbols_have_the_frequencies_of_the_loops_softmax():
    cell, params = network(NetConfig(N, D, bias=True))
    params = params | {"W_out": 4 * params["W_out"]}
    rng = np.random.default_rng(13)
    law = np.zeros((600, 3, K))
    for i in range(len(law)):
        _, logits = looped("relu", params, np.zeros(N), 1.5 * rng.normal(size=(3, D)))
        law[i] = special.softmax(logits, axis=1)
    symbols = np.asarray(
        net_of(cell, params, 1.5).generate(N_SEQUENCES, N_STEPS, jax.random.key(14))
    )
    shares = np.stack([(symbols == k).mean(axis=0) for k in range(K)], axis=-1)[:3]
    error = np.sqrt(law.var(axis=0) / len(law) + shares * (1 - shares) / N_SEQUENCES)
    assert np.abs((shares - law.mean(axis=0)) / error).max() < 4
    assert np.abs((shares - 1 / 3) / error).max() > 10  # the law is not a trivial one


def test_generate_follows_an_intervention_and_takes_few_sequences():
    cell, params = network(RELU)
    key = jax.random.key(15)
    kick = Intervention(state_offset=np.linspace(1.0, 9.0, N))
    sharp = params | {"W_out": 50 * params["W_out"]}
    _, logits = looped("relu", sharp, np.zeros(N), np.zeros((4, D)), state_offset=kick.state_offset)
    symbols = np.asarray(net_of(cell, sharp, 0.0).generate(3, 4, key, kick))
    assert np.diff(np.sort(logits, axis=1)[:, -2:], axis=1).min() > 20
    np.testing.assert_array_equal(symbols, np.tile(logits.argmax(axis=1), (3, 1)))
