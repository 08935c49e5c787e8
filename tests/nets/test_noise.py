import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from hmmrnn.nets.noise import pcg4d, white_noise

N_STREAMS, SHAPE = 1000, (50, 40)
ALPHA = 1e-4  # of each test; the draws are always the same


@pytest.fixture(scope="module")
def noise():
    keys = jax.random.split(jax.random.key(3), N_STREAMS)
    draws = jax.jit(jax.vmap(lambda key: white_noise(key, SHAPE)))(keys)
    return np.asarray(draws, np.float64).reshape(N_STREAMS, -1)


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


@pytest.mark.parametrize("lag", [1, 2, 3, 4, 8, 40, 80, 500, 1000])
def test_numbers_of_one_stream_do_not_depend_on_each_other(noise, lag):
    for values in (noise, (noise**2 - 1) / np.sqrt(2)):
        assert abs(z_score(values[:, lag:] * values[:, :-lag])) < stats.norm.isf(ALPHA / 2)


@pytest.mark.parametrize("lag", [1, 2, 7])
def test_streams_do_not_depend_on_each_other(noise, lag):
    for values in (noise, (noise**2 - 1) / np.sqrt(2)):
        assert abs(z_score(values[lag:] * values[:-lag])) < stats.norm.isf(ALPHA / 2)


def test_no_stream_is_the_beginning_of_another_or_repeats(noise):
    assert len(np.unique(noise[:, 0])) > 0.999 * N_STREAMS
    words = np.unique(noise[0].round(7))
    assert len(words) > 0.99 * noise.shape[1]


def test_streams_are_the_same_alone_under_vmap_and_under_jit():
    keys = jax.random.split(jax.random.key(0), 3)
    together = jax.jit(jax.vmap(lambda key: white_noise(key, (7, 3))))(keys)
    alone = jnp.stack([white_noise(key, (7, 3)) for key in keys])
    np.testing.assert_array_equal(together, alone)


def test_double_precision_has_its_own_digits():
    with jax.enable_x64(True):
        noise = np.asarray(white_noise(jax.random.key(0), (20_000,)))
    assert noise.dtype == np.float64
    assert np.any(noise != noise.astype(np.float32))
    assert stats.kstest(noise, "norm").pvalue > ALPHA
