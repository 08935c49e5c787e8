import jax
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.linalg import null_space

from hmmrnn.errors import InputError
from hmmrnn.hmm import (
    HMM,
    ngram_law,
    preset,
    sample_batch,
    symbol_law,
    symbol_transitions,
    volatility,
)

from .oracles import enumerated_ngrams, few, hmms

MUTE = HMM(  # symbol 1 is never emitted
    initial=np.array([1.0, 0.0]),
    transition=np.array([[0.5, 0.5], [0.25, 0.75]]),
    emission=np.array([[0.5, 0.0, 0.5], [0.1, 0.0, 0.9]]),
)


def balance(hmm):
    """Stationary law of an irreducible chain."""
    vector = null_space(hmm.transition.T - np.eye(hmm.n_states))[:, 0]
    return vector / vector.sum()


@few
@given(hmm=hmms(smallest=1), n=st.integers(1, 4))
def test_long_run_law_is_the_sum_over_all_state_paths(hmm, n):
    expected = enumerated_ngrams(hmm, n, balance(hmm))
    np.testing.assert_allclose(ngram_law(hmm, n), expected, atol=1e-12)


def shown(law, steps):
    """The law of the symbols at `steps`, from the law of all consecutive symbols."""
    return law.sum(axis=tuple(axis for axis in range(law.ndim) if axis not in steps))


@few
@given(hmm=hmms(n_states=(1, 2), smallest=1), n_stride=st.sampled_from([(2, 2), (2, 4), (3, 2)]))
def test_law_with_a_stride_is_the_sum_over_all_state_paths_and_symbols_between(hmm, n_stride):
    n, stride = n_stride
    span = (n - 1) * stride + 1
    whole = enumerated_ngrams(hmm, span, balance(hmm))
    expected = shown(whole, range(0, span, stride))
    np.testing.assert_allclose(ngram_law(hmm, n, stride=stride), expected, atol=1e-12)


@few
@given(hmm=hmms(n_states=(1, 2)), n=st.integers(1, 3), stride=st.integers(1, 2))
def test_law_of_a_finite_sequence_averages_over_all_windows(hmm, n, stride):
    n_steps = 5
    whole = enumerated_ngrams(hmm, n_steps, hmm.initial)  # (K, K, K, K, K)
    span = (n - 1) * stride + 1
    windows = [shown(whole, range(t, t + span, stride)) for t in range(n_steps - span + 1)]
    expected = np.mean(windows, axis=0)
    np.testing.assert_allclose(ngram_law(hmm, n, n_steps, stride), expected, atol=1e-13)


@few
@given(hmm=hmms(n_states=(1, 4)), n_stride=st.sampled_from([(2, 2), (2, 5), (3, 2), (4, 2)]))
def test_law_with_a_stride_is_the_longer_law_without_its_middle_symbols(hmm, n_stride):
    n, stride = n_stride
    span = (n - 1) * stride + 1
    for n_steps in (None, span, 20):
        expected = shown(ngram_law(hmm, span, n_steps), range(0, span, stride))
        np.testing.assert_allclose(ngram_law(hmm, n, n_steps, stride), expected, atol=1e-12)


@few
@given(hmm=hmms(n_states=(1, 4), n_symbols=(2, 4)), n=st.integers(1, 5))
def test_law_sums_to_one_in_any_length(hmm, n):
    for n_steps in (None, n, 50):
        law = ngram_law(hmm, n, n_steps)
        assert law.shape == (hmm.n_symbols,) * n
        assert law.min() >= 0
        assert law.sum() == pytest.approx(1, abs=1e-12)


@few
@given(hmm=hmms(n_states=(1, 4)), n=st.integers(2, 5))
def test_long_run_law_has_the_shorter_law_as_both_its_margins(hmm, n):
    law, shorter = ngram_law(hmm, n), ngram_law(hmm, n - 1)
    np.testing.assert_allclose(law.sum(axis=-1), shorter, atol=1e-12)
    np.testing.assert_allclose(law.sum(axis=0), shorter, atol=1e-12)


def test_finite_law_tends_to_the_long_run_law():
    gap = [np.abs(ngram_law(MUTE, 3, n) - ngram_law(MUTE, 3)).max() for n in (102, 1002, 10002)]
    np.testing.assert_allclose(np.array(gap[1:]) / gap[:-1], 0.1, rtol=1e-6)


def test_symbol_law_by_hand():
    np.testing.assert_allclose(symbol_law(preset("linear2")), [0.495, 0.01, 0.495], atol=1e-14)
    np.testing.assert_allclose(symbol_law(preset("cyclic4")), [0.25, 0.5, 0.25], atol=1e-14)
    np.testing.assert_allclose(symbol_law(MUTE, 1), [0.5, 0, 0.5], atol=1e-15)
    np.testing.assert_allclose(symbol_law(MUTE, 2), [0.4, 0, 0.6], atol=1e-15)


def test_volatility_by_hand():
    stay = 0.99 * (0.95 * 0.99) + 0.01 * 0.01
    assert volatility(preset("linear2")) == pytest.approx(1 - stay, abs=1e-14)
    same = 0.5 * (0.5 * 0.5 + 0.5 * 0.1) + 0.5 * (0.5 * 0.5 + 0.5 * 0.9)
    assert volatility(MUTE, 2) == pytest.approx(1 - same, abs=1e-15)


@few
@given(hmm=hmms(smallest=1))
def test_symbol_transitions_are_the_law_of_pairs_given_its_first_symbol(hmm):
    for n_steps in (None, 2, 9):
        rows, pairs = symbol_transitions(hmm, n_steps), ngram_law(hmm, 2, n_steps)
        np.testing.assert_allclose(rows.sum(axis=1), 1, atol=1e-12)
        np.testing.assert_allclose(rows * pairs.sum(axis=1)[:, None], pairs, atol=1e-13)


def test_row_of_a_symbol_that_is_never_emitted_is_nan_and_no_other():
    for n_steps in (None, 10):
        rows = symbol_transitions(MUTE, n_steps)
        np.testing.assert_array_equal(np.isnan(rows), [[False] * 3, [True] * 3, [False] * 3])
        np.testing.assert_array_equal(rows[[0, 2], 1], 0)


@pytest.mark.parametrize("name", ["linear3", "cyclic4"])
def test_long_sample_has_the_exact_volatility_and_symbol_transitions(name):
    hmm = preset(name)
    _, symbols = sample_batch(hmm, 300, 200, jax.random.key(0))
    now, then = np.asarray(symbols)[:, :-1], np.asarray(symbols)[:, 1:]

    def z_scores(per_sequence):  # mean zero, and sequences are independent
        error = per_sequence.std(axis=0, ddof=1) / np.sqrt(len(per_sequence))
        return per_sequence.mean(axis=0) / np.where(error > 0, error, 1)

    assert abs(z_scores((now != then).mean(axis=1) - volatility(hmm))) < 4
    first = (now[..., None] == np.arange(3)).astype(float)
    second = (then[..., None] == np.arange(3)).astype(float)
    pairs = np.einsum("bti,btj->bij", first, second)
    surprise = pairs - first.sum(axis=1)[:, :, None] * symbol_transitions(hmm)
    assert np.abs(z_scores(surprise)).max() < 4


@pytest.mark.parametrize(
    ("compute", "message"),
    [
        (lambda: ngram_law(MUTE, 0), "n=0, stride=1: both are at least 1"),
        (lambda: ngram_law(MUTE, -1, 10), "n=-1, stride=1: both are"),
        (lambda: ngram_law(MUTE, 2, stride=0), "n=2, stride=0: both are at least 1"),
        (lambda: ngram_law(MUTE, 5, 4), "n=5, .* spans 5 steps of at most n_steps=4"),
        (lambda: ngram_law(MUTE, 3, 6, 3), "n=3, stride=3: .* spans 7 steps of at most n_steps=6"),
        (lambda: symbol_law(MUTE, 0), "n=1, .* at most n_steps=0"),
        (lambda: volatility(MUTE, 1), "n=2, .* at most n_steps=1"),
        (lambda: symbol_transitions(MUTE, 1), "n=2, .* at most n_steps=1"),
    ],
)
def test_ngram_that_does_not_fit_is_an_input_error(compute, message):
    with pytest.raises(InputError, match=message):
        compute()
