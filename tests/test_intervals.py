import jax
import jax.numpy as jnp
import numpy as np

from hmmrnn.intervals import BOOTSTRAP_DRAWS, bootstrap_weights, estimate, interval


def mean(values):
    return values[:, 0]


def test_weights_are_resampled_shares_and_start_with_the_sample_itself():
    weights = np.asarray(bootstrap_weights(50, jax.random.key(0)), np.float64)
    assert weights.shape == (BOOTSTRAP_DRAWS + 1, 50)
    np.testing.assert_allclose(weights.sum(axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(weights[0], 1 / 50, rtol=1e-6)
    counts = weights[1:] * 50
    np.testing.assert_allclose(counts, np.round(counts), atol=1e-4)
    # A multinomial count has variance 1 - 1/n.
    assert abs(counts.var() - (1 - 1 / 50)) < 0.05


def test_intervals_of_a_mean_cover_it_as_often_as_they_say():
    """95 % intervals of the mean of 100 exponential draws, over 200 experiments."""
    weights = bootstrap_weights(100, jax.random.key(1))
    draws = jax.random.exponential(jax.random.key(2), (200, 100, 1))
    found = [estimate(mean, sample, weights) for sample in draws]
    covered = np.mean([e.low <= 1 <= e.high for e in found])
    assert 0.89 <= covered <= 0.99
    width = np.mean([e.high - e.low for e in found])
    assert abs(width / (2 * 1.96 / np.sqrt(100)) - 1) < 0.1


def test_the_interval_encloses_its_value_also_for_biased_statistics():
    sample = jax.random.normal(jax.random.key(3), (40, 30))
    weights = bootstrap_weights(40, jax.random.key(4))
    found = estimate(lambda means: np.max(np.abs(means), axis=1), sample, weights)
    assert found.low < found.value < found.high


def test_undefined_values_have_no_interval():
    undefined = interval(np.nan, np.array([1.0, 2.0]))
    assert np.isnan([undefined.value, undefined.low, undefined.high]).all()
    partly = interval(1.5, np.array([1.0, np.nan, 2.0]))
    assert partly.low < 1.5 < partly.high


def test_other_keys_resample_differently():
    a, b = (bootstrap_weights(10, jax.random.key(i)) for i in (0, 1))
    assert not jnp.array_equal(a, b)
