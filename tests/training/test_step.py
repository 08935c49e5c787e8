import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hmmrnn.hmm import sample_batch
from hmmrnn.training.data import FixedData, make_data, one_hot, step_batch
from hmmrnn.training.step import (
    batch_loss,
    epoch,
    generated,
    init_state,
    make_optimizer,
    train_step,
)

KEY = jax.random.key(0)


@pytest.fixture(scope="module")
def step(smoke):
    return jax.jit(lambda state, target, key: train_step(smoke, state, 1.0, target, key))


@pytest.fixture(scope="module")
def target(smoke):
    _, symbols = sample_batch(smoke.target, smoke.train.batch_size, smoke.data.n_steps, KEY)
    return one_hot(smoke, symbols)


def leaves(tree):
    return [np.asarray(leaf) for leaf in jax.tree.leaves(tree)]


def same(a, b):
    return all(np.array_equal(x, y) for x, y in zip(leaves(a), leaves(b), strict=True))


def test_a_good_step_moves_every_parameter(smoke, step, target):
    state = init_state(smoke, KEY)
    after, records = step(state, target, KEY)
    assert int(records.bad_steps) == 0
    for name, before in state.params.items():
        assert not np.array_equal(before, after.params[name])


def test_non_finite_steps_are_skipped_counted_and_forgiven(smoke, step, target):
    state = init_state(smoke, KEY)
    bad, records = step(state, target * jnp.nan, KEY)
    assert int(records.bad_steps) == 1
    assert same(bad.params, state.params)
    assert same(bad.opt_state, state.opt_state)
    assert (int(bad.bad_steps), int(bad.bad_in_row)) == (1, 1)
    good, _ = step(bad, target, KEY)
    assert (int(good.bad_steps), int(good.bad_in_row)) == (1, 0)
    clean, _ = step(state, target, KEY)
    assert same(good.params, clean.params)


def test_too_many_bad_steps_in_a_row_freeze_the_network(smoke, step, target):
    state = init_state(smoke, KEY)._replace(bad_in_row=jnp.int32(smoke.train.max_bad_steps))
    after, _ = step(state, target, KEY)
    assert same(after.params, state.params)


def test_update_is_clipped_adam_as_written_in_numpy(smoke):
    """Two updates of Kingma & Ba (2015), algorithm 1, after clipping by the global norm."""
    config = smoke.replace(train={"b1": 0.8, "b2": 0.7, "clip_norm": 0.5, "schedule": "constant"})
    optimizer = make_optimizer(config)
    params = {"a": jnp.array([1.0, -2.0]), "b": jnp.array([[0.5]])}
    gradients = [
        {"a": jnp.array([3.0, 4.0]), "b": jnp.array([[12.0]])},
        {"a": jnp.array([0.1, -0.2]), "b": jnp.array([[0.05]])},
    ]
    state = optimizer.init(params)
    flat = np.array([1.0, -2.0, 0.5])
    m, v = np.zeros(3), np.zeros(3)
    for t, gradient in enumerate(gradients, start=1):
        updates, state = optimizer.update(gradient, state, params)
        params = jax.tree.map(jnp.add, params, updates)
        g = np.concatenate([np.ravel(gradient["a"]), np.ravel(gradient["b"])])
        g = g * min(1, 0.5 / np.linalg.norm(g))
        m, v = 0.8 * m + 0.2 * g, 0.7 * v + 0.3 * g**2
        flat -= 1e-3 * (m / (1 - 0.8**t)) / (np.sqrt(v / (1 - 0.7**t)) + 1e-8)
    found = np.concatenate([np.ravel(params["a"]), np.ravel(params["b"])])
    np.testing.assert_allclose(found, flat, rtol=1e-6)


def test_generated_sequences_are_one_hot_and_carry_gradients(smoke):
    params = init_state(smoke, KEY).params
    x, p = generated(smoke, params, 1.0, 8, KEY).sequences
    assert x.shape == p.shape == (8, smoke.data.n_steps, 3)
    assert np.array_equal(np.sort(np.unique(x)), [0.0, 1.0])
    assert np.all(np.sum(x, axis=-1) == 1)
    assert np.all(np.asarray(p) > 0)
    np.testing.assert_allclose(np.sum(p, axis=-1), 1, rtol=1e-6)
    weight = jax.random.normal(KEY, x.shape)
    for side in ("symbols", "probabilities"):

        def total(params, side=side):
            return jnp.sum(weight * getattr(generated(smoke, params, 1.0, 8, KEY).sequences, side))

        assert all(np.any(g != 0) for g in jax.grad(total)(params).values())


@pytest.fixture(scope="module")
def peaked(smoke):
    """Parameters whose symbols differ from step to step, and are far from a toss-up."""
    params = init_state(smoke, KEY).params
    return {**params, "W_out": 5 * params["W_out"]}


def test_symbols_follow_the_probabilities(smoke, peaked):
    x, p = (np.asarray(z, float) for z in generated(smoke, peaked, 1.0, 4000, KEY).sequences)
    surprise = (x - p).reshape(4000, -1)  # has mean zero given the noise
    assert np.ptp(p) > 0.5
    assert np.abs(surprise.mean(axis=0) * np.sqrt(4000) / surprise.std(axis=0)).max() < 4.5
    variance = np.mean(p * (1 - p), axis=0).ravel()
    np.testing.assert_allclose(surprise.var(axis=0), variance, rtol=0.15)


def test_volatility_is_the_expected_share_of_changing_symbols(smoke, peaked, target):
    _, found = jax.jit(lambda p: batch_loss(p, smoke, 1.0, target, KEY))(peaked)
    volatility = found.volatility
    key_run, _ = jax.random.split(KEY)
    made = generated(smoke, peaked, 1.0, len(target), key_run).sequences
    p = np.asarray(made.probabilities, float)
    draws = np.random.default_rng(0).random((500, *p.shape[:-1], 1))
    symbols = np.sum(draws > p.cumsum(axis=-1), axis=-1)
    share = np.mean(symbols[..., 1:] != symbols[..., :-1], axis=(1, 2))
    error = share.std(ddof=1) / np.sqrt(len(share))
    assert abs(share.mean() - float(volatility)) < 4 * error
    assert error < 1e-3


def test_volatility_carries_no_gradient(smoke, peaked, target):
    volatility = jax.grad(lambda p: batch_loss(p, smoke, 1.0, target, KEY)[1].volatility)
    gradient = jax.jit(volatility)(peaked)
    assert all(np.all(g == 0) for g in gradient.values())


def test_without_transport_only_the_marginal_error_is_nan(smoke, target):
    config = smoke.replace(loss={"divergence": "none", "ngram_weight": 1.0, "ngram_orders": (3,)})
    state, records = jax.jit(lambda s: epoch(config, s, make_data(config, KEY), 1.0, KEY, 0))(
        init_state(config, KEY)
    )
    recorded = records.arrays()
    missing = {name for name, value in recorded.items() if np.isnan(value)}
    assert missing == {"marginal_error", "validation_loss"}
    assert set(recorded) == set(records._fields) - {"activity"}
    assert int(records.bad_steps) == int(state.bad_steps) == 0
    assert not same(state.params, init_state(config, KEY).params)


def test_fixed_data_is_one_pass_with_a_smaller_last_batch(smoke):
    """The reference: the same three steps, called one by one on slices of the data."""
    config = smoke.replace(data={"source": "fixed", "n_sequences": 120}, train={"batch_size": 16})
    data = make_data(config, KEY)
    assert data.train.shape == data.validation.shape == (40, smoke.data.n_steps)
    assert not np.array_equal(data.train, data.validation)
    state, _ = jax.jit(lambda s: epoch(config, s, data, 1.0, KEY, 0))(init_state(config, KEY))
    key_steps, _ = jax.random.split(jax.random.fold_in(KEY, 0))
    expected = init_state(config, KEY)
    one = jax.jit(lambda state, target, key: train_step(config, state, 1.0, target, key)[0])
    for i, batch in enumerate((data.train[:16], data.train[16:32], data.train[32:])):
        key = jax.random.fold_in(key_steps, i)
        key = jax.random.split(key)[1] if len(batch) == 16 else key
        expected = one(expected, one_hot(config, batch), key)
    for name in expected.params:
        np.testing.assert_allclose(state.params[name], expected.params[name], atol=2e-5)


def test_validation_does_not_touch_the_training_data(smoke):
    config = smoke.replace(data={"source": "fixed", "n_sequences": 120}, train={"batch_size": 16})
    data = make_data(config, KEY)
    run = jax.jit(lambda d: epoch(config, init_state(config, KEY), d, 1.0, KEY, 0))
    state, records = run(data)
    other, other_records = run(FixedData(data.train, (data.validation + 1) % 3))
    assert same(state.params, other.params)
    assert float(records.validation_loss) != float(other_records.validation_loss)


@pytest.mark.parametrize("at_once", [1, 5, 8, 11])
def test_simulating_in_parts_changes_nothing_but_the_memory(smoke, at_once):
    config = smoke.replace(train={"batch_size": 12})
    parts = smoke.replace(train={"batch_size": 12, "sequences_at_once": at_once})
    state = init_state(config, jax.random.key(0))
    target = step_batch(config, make_data(config, KEY), jax.random.key(1))

    def slopes(config):
        loss = jax.value_and_grad(
            lambda p: batch_loss(p, config, 1.0, target, jax.random.key(2))[0]
        )
        return jax.jit(loss)(state.params)

    (value, gradient), (expected, truth) = slopes(parts), slopes(config)
    np.testing.assert_allclose(value, expected, rtol=1e-4)
    for name, slope in truth.items():
        np.testing.assert_allclose(gradient[name], slope, atol=1e-4 * np.abs(slope).max())
