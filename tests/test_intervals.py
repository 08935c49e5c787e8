import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import norm

from hmmrnn.intervals import (
    BOOTSTRAP_DRAWS,
    UNKNOWN,
    Estimate,
    bootstrap_weights,
    decide,
    estimate,
    estimates,
    mean,
    median,
    ratio,
)

KEY = jax.random.key(0)


def first(values):
    return values[:, 0]


def table(shape=(2, 3)):
    """Numbers from 0 on, the last unknown."""
    value = np.arange(np.prod(shape), dtype=float).reshape(shape)
    value.ravel()[-1] = np.nan
    return Estimate(value, value - 0.5, value + 0.25)


def draws_of(shape, seed=0):
    """Draws (R, *shape) around the place's number, some not finite, one place with none."""
    rng = np.random.default_rng(seed)
    draws = rng.normal(size=(41, *shape)) + np.arange(np.prod(shape)).reshape(shape)
    flat = draws.reshape(41, -1)
    flat[3, 0] = np.nan
    flat[[4, 5], -1] = np.inf
    flat[1:, 1] = np.nan
    flat[0, 2] = np.nan
    return draws


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
    found = [estimate(first, sample, weights) for sample in draws]
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
    assert Estimate.of(np.array([np.nan, 1.0, 2.0])) == UNKNOWN
    partly = Estimate.of(np.array([1.5, 1.0, np.nan, 2.0]))
    assert partly.low < 1.5 < partly.high
    alone = Estimate.of(np.array([1.5, np.nan, np.inf]))
    assert alone == Estimate.of(np.array([1.5])) == Estimate(1.5, np.nan, np.nan)


def test_other_keys_resample_differently():
    a, b = (bootstrap_weights(10, jax.random.key(i)) for i in (0, 1))
    assert not jnp.array_equal(a, b)


def test_normal_draws_have_the_interval_of_their_law():
    """Draws around 5 of a value of 3: 3 -+ 1.96 standard deviations."""
    spread = np.array([[0.5, 2.0], [1.0, 3.0]])
    level = (np.arange(4_000) + 0.5) / 4_000
    draws = 5 + spread * norm.ppf(level)[:, None, None]
    found = Estimate.of(np.concatenate([np.full((1, 2, 2), 3.0), draws]))
    np.testing.assert_array_equal(found.value, np.full((2, 2), 3.0))
    np.testing.assert_allclose(found.low, 3 - 1.96 * spread, atol=0.01)
    np.testing.assert_allclose(found.high, 3 + 1.96 * spread, atol=0.01)


@pytest.mark.parametrize("shape", [(), (5,), (2, 3), (4, 1, 3)])
def test_each_place_has_the_quantiles_of_its_own_draws(shape):
    draws = draws_of(shape) if shape else draws_of((5,))[:, 0]
    found = Estimate.of(draws)
    assert found.shape == shape
    for place in np.ndindex(*shape):
        value, rest = draws[(0, *place)], draws[(slice(1, None), *place)]
        rest = rest[np.isfinite(rest)]
        if np.isnan(value) or len(rest) == 0:
            assert found[place] == Estimate(value, np.nan, np.nan)
            continue
        low, high = value + np.quantile(rest - rest.mean(), [0.025, 0.975])
        low = max(low, 0.0) if min(value, rest.min()) >= 0 else low
        one = found[place] if shape else found
        assert one.parts == pytest.approx((value, low, high), abs=1e-12)
        assert one == Estimate.of(draws[(slice(None), *place)])


def test_what_is_never_negative_has_no_negative_interval():
    draws = np.array([[0.1, 0.1], [0.0, -0.01], [0.0, 0.0], [2.0, 2.0]])
    assert Estimate.of(draws)[0].low == 0
    assert Estimate.of(draws)[1].low < 0


def test_of_no_place_there_is_an_empty_estimate():
    assert Estimate.of(np.zeros((5, 3, 0))).shape == (3, 0)
    assert len(Estimate.of(np.zeros((5, 0)))) == 0
    assert Estimate.stack([]).shape == (0,)
    assert list(Estimate.stack([])) == []


def test_an_index_is_that_of_all_three():
    found = table()
    assert found.shape == (2, 3)
    assert len(found) == 2
    assert found[1, 0] == found[1][0] == Estimate(3.0, 2.5, 3.25)
    assert all(type(part) is float for part in found[1, 0].parts)
    assert found[0] == Estimate.stack([found[0, 0], found[0, 1], found[0, 2]])
    assert found[:, 1:].shape == (2, 2)
    assert found[:, 1:][1, 1] == UNKNOWN
    assert found[np.array([True, False])].shape == (1, 3)
    assert [one.low for one in found[0]] == [-0.5, 0.5, 1.5]
    with pytest.raises(IndexError):
        found[2]


def test_one_number_is_no_sequence():
    one = Estimate(1.0, 0.5, 2.0)
    assert one.shape == ()
    for use in (len, list, lambda e: e[0]):
        with pytest.raises(TypeError):
            use(one)


def test_stacked_estimates_are_those_that_were_stacked():
    rows = [table((3,)), table((3,))]
    assert list(Estimate.stack(rows)) == rows
    assert Estimate.stack(list(Estimate.stack(rows))) == Estimate.stack(rows)
    assert Estimate.stack([UNKNOWN, Estimate(1, 0, 2)]).value.dtype == np.float64
    with pytest.raises(ValueError, match="shape"):
        Estimate.stack([table((3,)), table((2,))])


def test_equal_is_exact_and_of_shape_and_place():
    assert table() == table()
    assert (UNKNOWN == UNKNOWN) is True
    assert (table() == table((3, 2))) is False
    for name in ("value", "low", "high"):
        parts = {key: part.copy() for key, part in table()._asdict().items()}
        parts[name][0, 1] = np.nextafter(parts[name][0, 1], np.inf)
        assert Estimate(**parts) != table()
    assert Estimate(1.0, 0.0, 2.0) != (1.0, 0.0, 2.0)
    assert Estimate(1.0, np.nan, np.nan) != UNKNOWN


def test_a_format_is_that_of_each_number():
    assert f"{Estimate(0.166812, 0.16422, 0.169649):.2f}" == "0.17 [0.16, 0.17]"
    rows = Estimate(np.array([[1.0, 2.0]]), np.array([[0.5, 1.5]]), np.array([[1.25, 2.25]]))
    assert f"{rows:.1f}" == "[[1.0 [0.5, 1.2], 2.0 [1.5, 2.2]]]"


def test_shown_with_four_digits_and_never_long():
    assert repr(Estimate(0.166812, 0.16422, 0.169649)) == "0.1668 [0.1642, 0.1696]"
    assert repr(UNKNOWN) == "nan [nan, nan]"
    assert f"{Estimate(0.166812, -0.16422, 12.0):.2f}" == "0.17 [-0.16, 12.00]"
    assert f"{UNKNOWN:.2f} {UNKNOWN}" == "nan [nan, nan] nan [nan, nan]"
    assert repr(table((2,))) == "Estimate (2,): 0 [-0.5, 0.25], nan [nan, nan]"
    wide = np.full((100, 100, 31, 4), -1.23456789e-300)
    assert repr(Estimate(wide, wide, wide)).startswith("Estimate (100, 100, 31, 4): -1.235e-300 [")
    assert len(repr(Estimate(wide, wide, wide))) <= 200


def test_a_tree_of_three_arrays():
    doubled = jax.tree.map(lambda x: 2 * x, {"a": table()})["a"]
    np.testing.assert_array_equal(doubled.high, 2 * table().high)
    assert len(jax.tree.leaves(table())) == 3


@pytest.mark.parametrize(
    ("ends", "verdict"),
    [
        ((0.6, 0.51, 0.7), "yes"),
        ((0.6, 0.5, 0.7), "undecided"),
        ((0.4, 0.3, 0.5), "undecided"),
        ((0.4, 0.3, 0.49), "no"),
        ((0.6, np.nan, np.nan), "undecided"),
        ((np.nan, np.nan, np.nan), "undecided"),
    ],
)
def test_a_threshold_decides_outside_of_the_interval(ends, verdict):
    assert decide(Estimate(*ends), 0.5) == verdict


def test_statistics_of_arrays_and_of_several_samples():
    """A mean and a square of it, at once and alone."""
    sample = np.random.default_rng(1).normal(3, 1, (40, 2))
    weights = bootstrap_weights(40, KEY)
    both = estimate(lambda m: np.stack([m, m**2], axis=1), sample, weights)
    assert both.shape == (2, 2)
    np.testing.assert_allclose(both.value, [sample.mean(0), sample.mean(0) ** 2])
    assert both[1, 0] == estimate(lambda m: m[:, 0] ** 2, sample, weights)
    found = estimates(first, [sample, sample**2], weights)
    assert found == Estimate.stack([estimate(first, x, weights) for x in (sample, sample**2)])


def test_means_over_events_count_events_and_resample_runs():
    rng = np.random.default_rng(3)
    run = np.sort(rng.integers(0, 5, 40))
    values = rng.normal(size=40) + run
    values[[3, 17]] = np.nan
    weights = bootstrap_weights(5, KEY)
    found = mean(values, run, weights)
    assert found.value == pytest.approx(np.nanmean(values))
    counts = np.rint(5 * weights).astype(int)
    draws = [np.nanmean(np.repeat(values, count[run])) for count in counts[1:]]
    shift = found.value - np.mean(draws)
    assert found.low == pytest.approx(np.quantile(draws, 0.025) + shift)
    assert found.high == pytest.approx(np.quantile(draws, 0.975) + shift)


def test_one_event_in_each_sequence_is_the_ordinary_estimate():
    values = np.random.default_rng(4).normal(size=30)
    weights = bootstrap_weights(30, KEY)
    one = mean(values, np.arange(30), weights)
    other = estimate(first, values[:, None], weights)
    np.testing.assert_allclose(one.parts, other.parts)


def test_the_median_is_that_of_each_drawn_sample():
    rng = np.random.default_rng(0)
    run = rng.integers(4, size=23)
    values = np.where(rng.random(23) < 0.2, np.nan, rng.integers(9, size=23).astype(float))
    weights = bootstrap_weights(4, KEY)
    known = np.isfinite(values)
    draws = []
    for row in np.round(weights * 4).astype(int):
        sample = np.sort(np.repeat(values[known], row[run[known]]))
        draws.append(sample[(len(sample) - 1) // 2] if len(sample) else np.nan)
    found = median(values, run, weights)
    assert found.value == draws[0]
    spread = np.quantile(np.array(draws[1:]) - np.nanmean(draws[1:]), [0.025, 0.975])
    np.testing.assert_allclose([found.low, found.high], np.maximum(found.value + spread, 0))
    assert median(np.full(3, np.nan), np.arange(3), weights) == UNKNOWN


def test_a_ratio_of_sums_with_its_interval():
    run = np.array([0, 0, 1, 2, 3, 3])
    part, whole = np.array([1.0, 0, 2, np.nan, 1, 1]), np.array([2.0, 2, 4, 5, 1, np.nan])
    weights = bootstrap_weights(4, KEY)
    found = ratio(part, whole, run, weights)
    assert found.value == pytest.approx(4 / 9)
    assert found.low < 4 / 9 < found.high
    half = ratio(whole / 2, whole, run, weights)
    np.testing.assert_allclose(half.parts, 0.5)
    assert np.isnan(ratio(part, 0 * whole, run, weights).value)


def test_many_rows_of_events_are_each_alone():
    rng = np.random.default_rng(2)
    run, weights = np.sort(rng.integers(0, 5, 30)), bootstrap_weights(5, KEY)
    values = np.where(rng.random((2, 3, 30)) < 0.2, np.nan, rng.normal(size=(2, 3, 30)))
    whole = rng.random(30)
    for place in np.ndindex(2, 3):
        assert mean(values, run, weights)[place] == mean(values[place], run, weights)
        assert median(values, run, weights)[place] == median(values[place], run, weights)
        one = ratio(values[place], whole, run, weights)
        assert ratio(values, whole, run, weights)[place] == one


def test_no_event_has_no_mean():
    weights, nobody = bootstrap_weights(4, KEY), np.zeros(0, int)
    for found in (mean, median):
        assert found(np.zeros(0), nobody, weights) == UNKNOWN
        assert found(np.full(3, np.nan), np.arange(3), weights) == UNKNOWN
        assert found(np.zeros((2, 0)), nobody, weights) == Estimate.stack([UNKNOWN] * 2)
        assert found(np.zeros((0, 3)), np.arange(3), weights).shape == (0,)
