from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special

from hmmrnn.nets import sample_symbols, straight_through

B, T, K = 6, 20, 4
TEMPERATURES = [0.1, 0.5, 1.0, 3.0]
emit = jax.jit(partial(straight_through, temperature=1.0))
sample = jax.jit(sample_symbols)


def drawn(seed=0, scale=2.0):
    return (scale * np.random.default_rng(seed).normal(size=(B, T, K))).astype(np.float32)


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
def test_logits_that_are_not_finite_give_no_symbol(wrong):
    logits = drawn()
    logits[2, 3, 1] = wrong
    symbols = np.array(sample(logits, jax.random.key(0)))
    assert symbols[2, 3] == -1
    symbols[2, 3] = 0
    assert set(symbols.ravel()) == set(range(K))


def test_samples_are_bitwise_one_hot_and_the_same_at_every_temperature():
    @jax.jit
    def emit_all(logits, key):
        return [straight_through(logits, temperature, key) for temperature in TEMPERATURES]

    for scale in (0.01, 2.0, 100.0):
        samples = np.array(emit_all(drawn(0, scale), jax.random.key(0)))
        assert samples.shape == (len(TEMPERATURES), B, T, K)
        assert np.all((samples == 0) | (samples == 1))
        np.testing.assert_array_equal(samples.sum(axis=-1), 1)
        assert np.all(samples == samples[0])


def test_the_gradient_is_that_of_the_relaxed_softmax():
    weights = np.random.default_rng(3).normal(size=(B, T, K))
    with jax.enable_x64(True):
        key, logits = jax.random.key(2), jnp.asarray(drawn(1), jnp.float64)
        gumbel = jax.random.gumbel(key, logits.shape, logits.dtype)

        def relaxed(logits, temperature):
            e = jnp.exp((logits + gumbel - 30) / temperature)
            return jnp.sum(weights * e / jnp.sum(e, axis=-1, keepdims=True))

        def emitted(logits, temperature):
            return jnp.sum(weights * straight_through(logits, temperature, key))

        def gradients(logits):
            return [
                [jax.grad(form)(logits, t) for form in (emitted, relaxed)] for t in TEMPERATURES
            ]

        pairs = np.array(jax.jit(gradients)(logits))
    noisy = np.asarray(logits) + np.asarray(gumbel)
    for temperature, (found, expected) in zip(TEMPERATURES, pairs, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-13)
        # and by hand: (diag(s) - s s^T) w / temperature
        s = special.softmax(noisy / temperature, axis=-1)
        by_hand = s * (weights - np.sum(s * weights, axis=-1, keepdims=True)) / temperature
        np.testing.assert_allclose(found, by_hand, rtol=1e-10, atol=1e-13)
        assert np.abs(found).max() > 0.05


@pytest.mark.parametrize("draw", ["straight_through", "sample_symbols"])
def test_frequencies_are_those_of_the_softmax(draw):
    logits = np.array([[0.0, 0.0, 0.0, 0.0], [2.0, -1.0, 0.5, 0.0], [-3.0, 4.0, 0.0, 1.0]])
    n = 20_000
    many = np.tile(logits, (n, 1, 1)).astype(np.float32)
    if draw == "straight_through":
        symbols = np.argmax(emit(many, key=jax.random.key(4)), axis=-1)
    else:
        symbols = np.asarray(sample(many, jax.random.key(5)))
    law = special.softmax(logits, axis=-1)
    shares = (symbols[..., None] == np.arange(K)).mean(axis=0)
    assert np.abs((shares - law) / np.sqrt(law * (1 - law) / n)).max() < 4.5
    edges = np.arange(K + 1)
    joint = np.histogram2d(symbols[:, 0], symbols[:, 1], bins=[edges, edges])[0] / n
    expected = np.outer(law[0], law[1])  # draws of different steps are independent
    assert np.abs((joint - expected) / np.sqrt(expected / n)).max() < 4.5


def test_an_impossible_symbol_is_never_drawn():
    many = drawn(6)
    many[..., 1] = -np.inf
    for seed in range(20):
        assert not np.any(np.asarray(sample(many, jax.random.key(seed))) == 1)
        one_hots = np.asarray(emit(many, key=jax.random.key(seed)))
        assert np.isfinite(one_hots).all()
        assert not np.any(one_hots[..., 1])


def test_keys_decide_the_draws():
    logits = drawn(8, 0.5)
    keys = [jax.random.key(seed) for seed in (0, 1)]
    one_hots = [np.asarray(emit(logits, key=key)) for key in keys]
    symbols = [np.asarray(sample(logits, key)) for key in keys]
    assert not np.array_equal(*one_hots)
    assert not np.array_equal(*symbols)
    np.testing.assert_array_equal(emit(logits, key=keys[0]), one_hots[0])
    assert symbols[0].shape == (B, T)


def test_vmap_equals_a_loop():
    logits, keys = drawn(9), jax.random.split(jax.random.key(10), B)
    batch = np.asarray(
        jax.jit(jax.vmap(partial(straight_through, temperature=1.0)))(logits, key=keys)
    )
    for i in range(B):
        np.testing.assert_array_equal(batch[i], emit(logits[i], key=keys[i]))
