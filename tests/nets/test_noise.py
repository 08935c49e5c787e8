import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from hmmrnn.nets.noise import _normal, pcg4d, white_noise

N_STREAMS, T, D = 1000, 50, 40
ALPHA = 1e-4  # of each test; the draws are always the same


@pytest.fixture(scope="module")
def noise():
    keys = jax.random.split(jax.random.key(3), N_STREAMS)
    draws = jax.jit(white_noise, static_argnums=(1, 2))(keys, T, D)
    return np.asarray(draws, np.float64).swapaxes(0, 1).reshape(N_STREAMS, T * D)


def z_score(products):
    """Of a mean of products of independent standard normals, which has variance 1 / number."""
    return products.mean() * np.sqrt(products.size)


def test_the_hash_follows_its_published_definition():
    def reference(*words):  # in Python's own whole numbers
        words = [(word * 1664525 + 1013904223) % 2**32 for word in words]
        for last in (False, True):
            x, y, z, w = words
            x = (x + y * w) % 2**32
            y = (y + z * x) % 2**32
            z = (z + x * y) % 2**32
            w = (w + y * z) % 2**32
            words = [x, y, z, w] if last else [v ^ (v >> 16) for v in (x, y, z, w)]
        return words

    rng = np.random.default_rng(0)
    words = rng.integers(0, 2**32, (4, 100), dtype=np.uint32)
    found = np.stack(pcg4d(*map(jnp.asarray, words)))
    expected = np.array([reference(*map(int, column)) for column in words.T]).T
    np.testing.assert_array_equal(found, expected)


def test_noise_is_standard_normal(noise):
    assert stats.kstest(noise.ravel(), "norm").pvalue > ALPHA
    assert stats.kstest(noise.ravel() ** 2, stats.chi2(1).cdf).pvalue > ALPHA
    assert 4.5 < np.abs(noise).max() < 6.5  # two million draws: the tail is there


def test_every_place_and_every_stream_has_mean_zero(noise):
    for axis in (0, 1):
        n = noise.shape[axis]
        squares = np.sum((noise.mean(axis=axis) * np.sqrt(n)) ** 2)
        p = stats.chi2(noise.shape[1 - axis]).sf(squares)
        assert ALPHA < p < 1 - ALPHA


@pytest.mark.parametrize("lag", [1, 2, 4, 10, 20, 30, D, 2 * D, 500, 1000])
def test_numbers_of_one_stream_do_not_depend_on_each_other(noise, lag):
    for values in (noise, (noise**2 - 1) / np.sqrt(2)):
        assert abs(z_score(values[:, lag:] * values[:, :-lag])) < stats.norm.isf(ALPHA / 2)


@pytest.mark.parametrize("lag", [1, 2, 7])
def test_streams_do_not_depend_on_each_other(noise, lag):
    for values in (noise, (noise**2 - 1) / np.sqrt(2)):
        assert abs(z_score(values[lag:] * values[:-lag])) < stats.norm.isf(ALPHA / 2)


def test_no_stream_and_no_step_repeats_another(noise):
    assert len(np.unique(noise[:, 0])) > 0.999 * N_STREAMS
    assert len(np.unique(noise[0].round(7))) > 0.99 * T * D


def test_keys_may_have_any_axes_and_do_not_depend_on_each_other():
    keys = jax.random.split(jax.random.key(0), (3, 2))
    together = white_noise(keys, 7, 6)
    assert together.shape == (7, 3, 2, 6)
    mapped = jax.jit(jax.vmap(lambda key: white_noise(key, 7, 6), out_axes=1))(keys[:, 1])
    np.testing.assert_array_equal(together[:, :, 1], mapped)
    np.testing.assert_array_equal(together[:, 2, 0], white_noise(keys[2, 0], 7, 6))


@pytest.mark.parametrize(("n_steps", "dim"), [(1, 1), (3, 5), (5, 3), (2, 8)])
def test_fewer_steps_are_the_beginning_of_more(n_steps, dim):
    key = jax.random.key(1)
    found = white_noise(key, n_steps, dim)
    assert found.shape == (n_steps, dim)
    np.testing.assert_array_equal(found, white_noise(key, n_steps + 4, dim)[:n_steps])


def test_extreme_words_give_finite_numbers_of_the_right_size():
    words = jnp.array([0, 2**31, 2**32 - 1], jnp.uint32)
    lowest, middle, highest = np.asarray(_normal(words), float)
    assert lowest == pytest.approx(-highest, rel=0.05)
    assert 5 < highest < 6  # of 2^23 different numbers
    assert abs(middle) < 1e-6


def test_double_precision_changes_the_type_only():
    single = white_noise(jax.random.key(0), 20, 10)
    with jax.enable_x64(True):
        double = white_noise(jax.random.key(0), 20, 10)
    assert (single.dtype, double.dtype) == (np.float32, np.float64)
    np.testing.assert_array_equal(single, double)
