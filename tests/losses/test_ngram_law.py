from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import rel_entr
from scipy.stats import entropy

from hmmrnn.errors import InputError
from hmmrnn.hmm import HMM, ngram_law, preset, random, sample_batch
from hmmrnn.losses import chi2, exact_laws, kl_of_law, ngram_shares

from .oracles import (
    cosine_and_ratio,
    enumerated_shares,
    one_hot,
    slopes_from,
    soft_sequences,
    with_bumps,
)

shares_of = jax.jit(ngram_shares, static_argnames=("n", "stride"))
few = settings(max_examples=50, deadline=None, derandomize=True)
N_STEPS = 12
FITTING = [(n, stride) for n in range(1, 7) for stride in (1, 2, 3) if (n - 1) * stride < N_STEPS]
DIRECTED = HMM(  # goes round one way, so that an n-gram and its reversal differ
    initial=np.array([1.0, 0.0, 0.0]),
    transition=np.array([[0.5, 0.5, 0.0], [0.0, 0.6, 0.4], [0.3, 0.0, 0.7]]),
    emission=np.array([[0.9, 0.1, 0.0], [0.1, 0.8, 0.1], [0.0, 0.0, 1.0]]),
)


def as_they_are(shares):
    return shares


def drawn(hmm, n_draws, n_sequences, n_steps, seed):
    """One-hot sequences of an HMM, (draws, B, T, K)."""
    _, symbols = sample_batch(hmm, n_draws * n_sequences, n_steps, jax.random.key(seed))
    return one_hot(symbols, hmm.n_symbols).reshape(n_draws, n_sequences, n_steps, hmm.n_symbols)


def z_score(values, expected=0.0):
    """Distance of the mean over draws from what is expected, in standard errors."""
    error = values.std(axis=0, ddof=1) / np.sqrt(len(values))
    return (values.mean(axis=0) - expected) / np.where(error > 0, error, 1)


# shares


@pytest.mark.parametrize("n_symbols", [2, 3])
@pytest.mark.parametrize(("n", "stride"), FITTING)
def test_shares_are_the_mean_over_all_windows_of_each_word(n, stride, n_symbols):
    p = soft_sequences(2, N_STEPS, n_symbols, seed=n)
    with jax.enable_x64(True):
        found = np.asarray(shares_of(jnp.asarray(p), n, stride))
    np.testing.assert_allclose(found, enumerated_shares(p, n, stride).ravel(), rtol=1e-12)
    assert found.sum() == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize(("n", "stride"), FITTING)
def test_shares_of_one_hot_sequences_are_plain_counts_of_windows(n, stride):
    symbols = np.random.default_rng(n).integers(3, size=(20, N_STEPS))
    n_windows = N_STEPS - (n - 1) * stride
    codes = sum(
        symbols[:, i * stride : i * stride + n_windows] * 3 ** (n - 1 - i) for i in range(n)
    )
    expected = np.bincount(codes.ravel(), minlength=3**n) / codes.size
    np.testing.assert_allclose(shares_of(one_hot(symbols), n, stride), expected, atol=1e-7)


@pytest.mark.parametrize(("n", "stride"), [(1, 1), (2, 2), (5, 1)])
def test_the_gradient_of_shares_is_that_of_finite_differences(n, stride):
    p = soft_sequences(2, 6, 2, seed=0)
    with jax.enable_x64(True):
        shares = partial(ngram_shares, n=n, stride=stride)
        jacobian = np.asarray(jax.jit(jax.jacobian(shares))(jnp.asarray(p)))
        values = np.asarray(jax.jit(jax.vmap(shares))(with_bumps(p)))
    for word, row in enumerate(jacobian):
        slopes = slopes_from(values[:, word]).reshape(p.shape)
        np.testing.assert_allclose(row, slopes, atol=1e-9)
    assert np.abs(jacobian).max() > 1e-3


@pytest.mark.parametrize(("n", "stride"), [(1, 1), (3, 1), (2, 4)])
def test_counts_of_sampled_symbols_have_the_shares_of_their_probabilities_as_mean(n, stride):
    p, n_draws = soft_sequences(3, 8, 3, seed=1), 4000
    rng = np.random.default_rng(2)
    symbols = np.sum(rng.random((n_draws, *p.shape[:-1], 1)) > p.cumsum(axis=-1), axis=-1)
    counts = jax.jit(jax.vmap(partial(ngram_shares, n=n, stride=stride)))(one_hot(symbols))
    expected = shares_of(jnp.asarray(p, jnp.float32), n, stride)
    z = z_score(np.asarray(counts, float), np.asarray(expected))
    assert np.abs(z).max() < 4.5
    assert np.std(z) > 0.5  # or the errors are overestimated


# exact laws


def test_laws_are_listed_by_order_and_stride():
    laws = exact_laws(DIRECTED, 10, (1, 3), (1, 4))
    assert set(laws) == {(1, 1), (1, 4), (3, 1), (3, 4)}
    for (n, stride), law in laws.items():
        np.testing.assert_allclose(law, ngram_law(DIRECTED, n, 10, stride).ravel(), rtol=1e-6)
        assert law.dtype == np.float32


@pytest.mark.parametrize(("n", "stride"), [(1, 1), (2, 1), (3, 1), (4, 1), (3, 2), (2, 5)])
def test_shares_of_the_hmm_itself_follow_its_law(n, stride):
    law = exact_laws(DIRECTED, 8, (n,), (stride,))[n, stride]
    x = drawn(DIRECTED, 2000, 16, 8, seed=3)
    found = jax.jit(jax.vmap(partial(ngram_shares, n=n, stride=stride)))(x)
    assert np.abs(z_score(np.asarray(found, float), law)).max() < 4.5
    backwards = law.reshape((3,) * n).transpose().ravel()
    if n > 1:
        assert np.abs(z_score(np.asarray(found, float), backwards)).max() > 20


@pytest.mark.parametrize(
    ("n_steps", "orders", "strides", "message"),
    [
        (
            12, (2, 11), (1,),
            "loss.ngram_orders=11: 3 symbols have 177147 11-grams, more than 65536",
        ),
        (
            12, (4,), (1, 4),
            "loss.ngram_orders=4, loss.ngram_strides=4: spans 13 steps, more than data.n_steps=12",
        ),
    ],
)  # fmt: skip
def test_ngrams_that_do_not_fit_name_the_options(n_steps, orders, strides, message):
    with pytest.raises(InputError) as raised:
        exact_laws(preset("linear3"), n_steps, orders, strides)
    assert str(raised.value) == message


def test_ngrams_as_long_and_as_many_as_can_be_fit():
    assert set(exact_laws(preset("linear3"), 13, (4, 10), (1,))) == {(4, 1), (10, 1)}
    assert set(exact_laws(preset("linear3"), 13, (4,), (4,))) == {(4, 4)}
    laws = exact_laws(random(2, 2, jax.random.key(0)), 16, (16,), (1,))
    assert len(laws[16, 1]) == 65_536


# kl


@given(st.integers(0, 10_000), st.sampled_from([2, 9, 27]))
@few
def test_kl_is_that_of_scipy_and_vanishes_at_the_law_only(seed, n_words):
    rng = np.random.default_rng(seed)
    law, shares = rng.dirichlet(np.full(n_words, 2.0), size=2)
    with jax.enable_x64(True):
        law_, shares_ = jnp.asarray(law), jnp.asarray(shares)
        found = float(kl_of_law(as_they_are, shares_, law_, 0.0))
        same = float(kl_of_law(as_they_are, law_, law_, 0.0))
    assert found == pytest.approx(entropy(law, shares), rel=1e-9)
    assert found > 0
    assert same == pytest.approx(0, abs=1e-12)


def test_words_without_law_cost_nothing_and_words_without_share_a_finite_sum():
    law = np.array([0.5, 0.0, 0.3, 0.2, 0.0])
    shares = np.array([0.25, 0.25, 0.0, 0.4, 0.1])
    moved = shares + np.array([0, -0.2, 0, 0, 0.2])  # among the words without law
    with jax.enable_x64(True):
        both = jax.value_and_grad(
            lambda s, floor: kl_of_law(as_they_are, s, jnp.asarray(law), floor)
        )
        for floor in (1e-12, 1e-5, 0.1):
            value, gradient = both(jnp.asarray(shares), floor)
            expected = rel_entr(law, (shares + floor) / (1 + 5 * floor)).sum()
            np.testing.assert_allclose(value, expected, rtol=1e-12)
            np.testing.assert_allclose(gradient, -law / (shares + floor), rtol=1e-12)
            np.testing.assert_allclose(both(jnp.asarray(moved), floor)[0], expected, rtol=1e-12)


@pytest.mark.parametrize("floor", [1e-5, 1e-3])
def test_the_floor_moves_kl_at_the_law_from_zero_by_a_bounded_amount(floor):
    law = ngram_law(preset("linear3"), 6, 30).ravel()
    with jax.enable_x64(True):
        value = float(kl_of_law(as_they_are, jnp.asarray(law), jnp.asarray(law), floor))
    assert 0 < value <= np.log1p(floor * len(law))


# chi2


def test_chi2_is_the_product_of_the_errors_of_both_halves():
    rng = np.random.default_rng(0)
    x, law = soft_sequences(7, 6, 3, seed=1), rng.dirichlet(np.ones(9))
    first, second = (enumerated_shares(half, 2).ravel() - law for half in (x[:3], x[3:]))
    with jax.enable_x64(True):
        found = chi2(partial(ngram_shares, n=2), jnp.asarray(x), jnp.asarray(law), 1e-3)
    np.testing.assert_allclose(found, np.sum(first * second / (law + 1e-3)), rtol=1e-12)


@pytest.mark.parametrize(("n", "stride"), [(2, 1), (6, 1), (3, 2)])
def test_chi2_has_mean_zero_on_the_same_hmm_and_is_positive_on_another(n, stride):
    hmm = preset("linear3")
    law = jnp.asarray(exact_laws(hmm, 12, (n,), (stride,))[n, stride])

    @jax.jit
    @jax.vmap
    def value(x):
        return chi2(partial(ngram_shares, n=n, stride=stride), x, law, 1e-3)

    same = np.asarray(value(drawn(hmm, 1000, 64, 12, seed=4)), float)
    other = np.asarray(value(drawn(preset("linear2"), 100, 64, 12, seed=5)), float)
    assert abs(z_score(same)) < 3
    assert z_score(other) > 30
    assert same.std(ddof=1) / np.sqrt(1000) < 0.03 * other.mean()  # or zero says nothing


# gradients


@pytest.mark.parametrize("discrepancy", [kl_of_law, chi2])
def test_the_gradient_of_a_discrepancy_is_that_of_finite_differences(discrepancy):
    p, law = soft_sequences(4, 5, 2, seed=3), np.array([0.1, 0.2, 0, 0.3, 0.1, 0.1, 0.1, 0.1])
    with jax.enable_x64(True):

        def value(p):
            return discrepancy(partial(ngram_shares, n=3), p, jnp.asarray(law), 1e-3)

        values, gradients = jax.jit(jax.vmap(jax.value_and_grad(value)))(with_bumps(p))
    gradient, slopes = np.asarray(gradients)[0], slopes_from(values).reshape(p.shape)
    np.testing.assert_allclose(gradient, slopes, atol=1e-7 * np.abs(slopes).max())
    assert np.abs(gradient).max() > 1e-3


def test_single_precision_is_enough_for_long_ngrams():
    p = soft_sequences(64, 30, 3, seed=6)
    with jax.enable_x64(True):
        expected = np.asarray(shares_of(jnp.asarray(p), 8))
    found = np.asarray(shares_of(jnp.asarray(p, jnp.float32), 8))
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    assert cosine_and_ratio(found, expected) == pytest.approx((1, 1), abs=1e-6)
