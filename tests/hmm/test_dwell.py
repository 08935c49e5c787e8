import jax
import numpy as np
import pytest
from hypothesis import given

from hmmrnn.errors import InputError
from hmmrnn.hmm import HMM, dwell_law, linear, preset, ring, sample_batch, stationary_law

from .oracles import enumerated_ngrams, few, hmms


def noiseless(initial, transition):
    """Every state emits its own symbol."""
    return HMM(
        initial=np.array(initial),
        transition=np.array(transition),
        emission=np.eye(len(initial)),
    )


@pytest.mark.parametrize(("q", "other"), [(0.05, 0.05), (0.3, 0.9), (0.75, 0.01)])
def test_noiseless_two_state_dwell_is_geometric(q, other):
    hmm = noiseless([0.5, 0.5], [[1 - q, q], [other, 1 - other]])
    law = dwell_law(hmm, 0, 30)
    np.testing.assert_allclose(law.probability, (1 - q) ** np.arange(30) * q, atol=1e-14)
    assert law.mean == pytest.approx(1 / q, rel=1e-12)
    assert law.cv == pytest.approx(np.sqrt(1 - q), rel=1e-10)


def test_two_state_preset_has_the_cv_of_the_paper():
    clean = noiseless([0.5, 0.5], linear(2).transition)
    assert dwell_law(clean, 1, 1).cv == pytest.approx(0.97, abs=0.005)


@few
@given(hmm=hmms(smallest=1))
def test_run_lengths_are_ratios_of_enumerated_ngrams(hmm):
    start = stationary_law(hmm)
    for symbol in range(hmm.n_symbols):
        law = dwell_law(hmm, symbol, 2)
        others = [k for k in range(hmm.n_symbols) if k != symbol]
        starts = enumerated_ngrams(hmm, 2, start)[others, symbol].sum()
        for length in (1, 2):
            grams = enumerated_ngrams(hmm, length + 2, start)
            runs = grams[(slice(None), *[symbol] * length)]
            expected = runs[np.ix_(others, others)].sum() / starts
            assert law.probability[length - 1] == pytest.approx(expected, rel=1e-9)


@few
@given(hmm=hmms(n_states=(1, 4), smallest=1))
def test_moments_are_those_of_the_probabilities(hmm):
    for symbol in range(hmm.n_symbols):
        law = dwell_law(hmm, symbol, 2000)
        lengths = np.arange(1, 2001)
        assert law.probability.shape == (2000,)
        assert law.probability.min() >= 0
        assert law.probability.sum() == pytest.approx(1, abs=1e-12)
        mean = (lengths * law.probability).sum()
        spread = np.sqrt(((lengths - mean) ** 2 * law.probability).sum())
        assert law.mean == pytest.approx(mean, rel=1e-9)
        assert law.cv == pytest.approx(spread / mean, rel=1e-7)


@few
@given(hmm=hmms(n_states=(1, 4)))
def test_chain_with_zeros_has_a_law_or_none_at_all(hmm):
    for symbol in range(hmm.n_symbols):
        with np.errstate(invalid="ignore"):
            probability, mean, _ = dwell_law(hmm, symbol, 3000)
        if np.isnan(mean):
            assert np.all(np.isnan(probability))
        else:
            assert probability.sum() == pytest.approx(1, abs=1e-9)
            expected = (np.arange(1, 3001) * probability).sum()
            assert mean == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("symbol", [0, 1, 2])
def test_runs_in_a_long_sample_have_the_exact_law(symbol):
    hmm, n_sequences = preset("linear3"), 64
    law = dwell_law(hmm, symbol, 6)
    _, symbols = sample_batch(hmm, n_sequences, 4000, jax.random.key(0))
    means, second_moments, shares, n_runs = [], [], [], 0
    for sequence in np.asarray(symbols):
        edges = np.flatnonzero(np.diff(sequence)) + 1
        runs, lengths = sequence[edges[:-1]], np.diff(edges)  # the cut first and last run are out
        lengths = lengths[runs == symbol]
        n_runs += len(lengths)
        means.append(lengths.mean())
        second_moments.append((lengths**2).mean())
        shares.append([(lengths == d).mean() for d in range(1, 7)])
    seen = np.column_stack([means, second_moments])
    exact = [law.mean, (law.cv * law.mean) ** 2 + law.mean**2]
    error = seen.std(axis=0, ddof=1) / np.sqrt(n_sequences)
    assert np.all(np.abs(seen.mean(axis=0) - exact) < 4 * error)
    error = np.std(shares, axis=0, ddof=1) / np.sqrt(n_sequences)
    error = np.maximum(error, np.sqrt(law.probability / n_runs))  # lengths seen hardly ever
    assert np.all(np.abs(np.mean(shares, axis=0) - law.probability) < 4 * error)


def test_share_of_time_is_rate_of_runs_times_mean_length():
    hmm = ring(5, 0.2, 0.05)
    for symbol in range(3):
        pairs = enumerated_ngrams(hmm, 2, stationary_law(hmm))
        runs_per_step = pairs[:, symbol].sum() - pairs[symbol, symbol]
        share = runs_per_step * dwell_law(hmm, symbol, 1).mean
        assert share == pytest.approx(pairs[:, symbol].sum(), rel=1e-10)


def assert_nan(law, max_length):
    assert law.probability.shape == (max_length,)
    assert np.all(np.isnan(law.probability))
    assert np.isnan(law.mean)
    assert np.isnan(law.cv)


def test_symbol_that_is_never_emitted_has_no_law():
    hmm = HMM(
        initial=np.array([0.5, 0.5]),
        transition=np.array([[0.9, 0.1], [0.2, 0.8]]),
        emission=np.array([[0.5, 0.0, 0.5], [0.1, 0.0, 0.9]]),
    )
    assert_nan(dwell_law(hmm, 1, 7), 7)
    assert np.isfinite(dwell_law(hmm, 0, 7).mean)


def test_symbol_that_never_ends_or_never_starts_has_no_law():
    frozen = noiseless([0.5, 0.5], np.eye(2))
    absorbing = noiseless([1.0, 0.0], [[0.9, 0.1], [0.0, 1.0]])
    for hmm in (frozen, absorbing):
        for symbol in (0, 1):
            assert_nan(dwell_law(hmm, symbol, 4), 4)


def test_closed_class_that_no_run_enters_does_no_harm():
    hmm = HMM(
        initial=np.array([0.5, 0.25, 0.25]),
        transition=np.array([[0.6, 0.4, 0.0], [0.5, 0.5, 0.0], [0.0, 0.0, 1.0]]),
        emission=np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]]),
    )
    law = dwell_law(hmm, 0, 20)
    np.testing.assert_allclose(law.probability, 0.6 ** np.arange(20) * 0.4, atol=1e-14)
    assert law.mean == pytest.approx(2.5, rel=1e-12)


@pytest.mark.parametrize("length", [1, 2, 4])
def test_clockwork_has_runs_of_one_length_and_cv_zero(length):
    emission = np.zeros((5, 2))
    emission[:length, 0] = emission[length:, 1] = 1
    hmm = HMM(
        initial=np.eye(5)[0],
        transition=np.roll(np.eye(5), 1, axis=1),
        emission=emission,
    )
    law = dwell_law(hmm, 0, 6)
    np.testing.assert_allclose(law.probability, np.eye(6)[length - 1], atol=1e-14)
    assert law.mean == pytest.approx(length, rel=1e-14)
    assert law.cv == pytest.approx(0, abs=1e-7)


def test_runs_of_one_length_along_several_paths_have_cv_zero():
    # State 0 emits symbol 1; each run of symbol 0 is one of 1, 2, 3 and then one of 4, 5, 6.
    for weights in np.random.default_rng(0).dirichlet(np.ones(3), (40, 4)):
        transition = np.zeros((7, 7))
        transition[0, 1:4] = weights[0]
        transition[1:4, 4:7] = weights[1:]
        transition[4:7, 0] = 1
        emission = np.tile([1.0, 0.0], (7, 1))
        emission[0] = [0, 1]
        law = dwell_law(HMM(initial=np.eye(7)[0], transition=transition, emission=emission), 0, 4)
        assert law.mean == pytest.approx(2, rel=1e-14)
        assert law.cv == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("symbol", [-1, 3])
def test_unknown_symbol_is_an_input_error(symbol):
    with pytest.raises(InputError, match=f"symbol={symbol}: .*0 to 2"):
        dwell_law(preset("linear3"), symbol, 5)
