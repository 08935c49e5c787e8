import itertools
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hmmlearn.hmm import CategoricalHMM
from hypothesis import given
from hypothesis import strategies as st

from hmmrnn.hmm import HMM, PRESETS, filtered_posteriors, log_likelihood, preset

from .oracles import enumerated_filter, few, hmms, some_hmm

GOLDENS = Path(__file__).parents[1] / "goldens" / "hmm_dynamax.npz"
T = 6
IMPOSSIBLE = HMM(
    initial=np.array([1.0, 0.0]),
    transition=np.array([[0.5, 0.5], [0.0, 1.0]]),
    emission=np.array([[1.0, 0.0], [0.0, 1.0]]),
)


def hmmlearn_of(hmm):
    other = CategoricalHMM(n_components=hmm.n_states, n_features=hmm.n_symbols, init_params="")
    other.startprob_, other.transmat_ = hmm.initial, hmm.transition
    other.emissionprob_ = hmm.emission
    return other


def assert_filter_is_enumeration(hmm, symbols, tolerance):
    posterior, total = filtered_posteriors(hmm, jnp.asarray(symbols))
    evidence, expected = enumerated_filter(hmm, symbols)
    np.testing.assert_allclose(posterior, expected, rtol=0, atol=tolerance)
    if evidence[-1] > 0:
        np.testing.assert_allclose(total, np.log(evidence[-1]), rtol=0, atol=tolerance)
    else:
        assert total == -np.inf


@few
@given(hmm=hmms(n_symbols=(3, 3)), data=st.data())
def test_filter_is_the_sum_over_all_paths(hmm, data):
    symbol = st.integers(0, hmm.n_symbols - 1)
    symbols = data.draw(st.lists(symbol, min_size=T, max_size=T))
    assert_filter_is_enumeration(hmm, symbols, tolerance=2e-5)


@few
@given(hmm=hmms(n_symbols=(3, 3)), data=st.data())
def test_filter_is_the_sum_over_all_paths_to_float64_precision(hmm, data):
    symbol = st.integers(0, hmm.n_symbols - 1)
    symbols = data.draw(st.lists(symbol, min_size=T, max_size=T))
    with jax.enable_x64(True):
        assert filtered_posteriors(hmm, jnp.asarray(symbols)).posterior.dtype == jnp.float64
        assert_filter_is_enumeration(hmm, symbols, tolerance=1e-12)


@few
@given(hmm=hmms(n_states=(3, 3), n_symbols=(2, 2)))
def test_likelihoods_of_all_sequences_sum_to_one(hmm):
    every = jnp.array(list(itertools.product(range(2), repeat=5)))
    likelihoods = jnp.exp(jax.vmap(log_likelihood, in_axes=(None, 0))(hmm, every))
    assert float(likelihoods.sum()) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize(
    ("symbols", "possible"),
    [
        ([1, 1, 1, 1], [0, 0, 0, 0]),
        ([0, 1, 0, 0], [1, 1, 0, 0]),
        ([0, 0, 1, 0], [1, 1, 1, 0]),
        ([0, 0, 1, 1], [1, 1, 1, 1]),
    ],
)
def test_impossible_symbol_ends_the_posterior_without_nan(symbols, possible):
    posterior, total = filtered_posteriors(IMPOSSIBLE, jnp.array(symbols))
    np.testing.assert_allclose(posterior.sum(axis=1), possible, atol=1e-6)
    assert (total == -np.inf) == (not all(possible))
    assert not np.isnan(total)
    assert log_likelihood(IMPOSSIBLE, jnp.array(symbols)) == total


def test_posterior_of_an_identifying_symbol_is_certain():
    posterior, total = filtered_posteriors(preset("linear2"), jnp.array([0, 2, 1]))
    np.testing.assert_allclose(posterior, [[1, 0], [0, 1], [0.05, 0.95]], atol=1e-6)
    by_hand = 0.5 * 0.99 * 0.05 * 0.99 * 0.01
    assert float(total) == pytest.approx(np.log(by_hand), rel=1e-6)


def test_single_step_is_bayes_rule():
    hmm = preset("cyclic4")
    posterior, total = filtered_posteriors(hmm, jnp.array([1]))
    np.testing.assert_allclose(posterior[0], np.array([0.1, 0.9, 0.1, 0.9]) / 2, rtol=1e-6)
    assert float(total) == pytest.approx(np.log(0.5), rel=1e-6)


@pytest.mark.parametrize("seed", range(3))
def test_likelihood_and_last_posterior_are_those_of_hmmlearn(seed):
    hmm = some_hmm(3, 3, seed)
    symbols = jax.random.randint(jax.random.key(seed), (20,), 0, 3)
    observed = np.asarray(symbols)[:, None]
    with jax.enable_x64(True):
        posterior, total = filtered_posteriors(hmm, symbols)
    assert float(total) == pytest.approx(hmmlearn_of(hmm).score(observed), rel=1e-11)
    smoothed = hmmlearn_of(hmm).predict_proba(observed)
    np.testing.assert_allclose(posterior[-1], smoothed[-1], atol=1e-10)


@pytest.mark.parametrize("name", ["linear2", "linear5", "cyclic4"])
def test_two_thousand_steps_neither_underflow_nor_drift(name):
    hmm = preset(name)
    symbols = jax.random.randint(jax.random.key(1), (2000,), 0, 3)  # unlikely, not impossible
    expected = hmmlearn_of(hmm).score(np.asarray(symbols)[:, None])
    posterior, total = filtered_posteriors(hmm, symbols)
    assert float(total) == pytest.approx(expected, rel=1e-5)
    np.testing.assert_allclose(posterior.sum(axis=1), 1, atol=1e-5)
    with jax.enable_x64(True):
        exact = filtered_posteriors(hmm, symbols)
    assert float(exact.log_likelihood) == pytest.approx(expected, rel=1e-11)
    np.testing.assert_allclose(posterior, exact.posterior, atol=1e-4)


@pytest.mark.parametrize("name", PRESETS)
def test_filter_is_that_of_dynamax(name):
    with np.load(GOLDENS) as golden, jax.enable_x64(True):
        symbols = golden[f"{name}_symbols"]
        posterior, total = filtered_posteriors(preset(name), jnp.asarray(symbols))
        assert symbols.shape == (50,)
        np.testing.assert_allclose(posterior, golden[f"{name}_posterior"], rtol=0, atol=1e-11)
        np.testing.assert_allclose(total, golden[f"{name}_log_likelihood"], rtol=1e-12)


def test_a_living_float32_copy_of_the_hmm_does_not_leak_into_float64():
    hmm, symbols = preset("linear3"), jnp.arange(5) % 3
    traces = [jax.make_jaxpr(lambda p=p: jnp.log(p))() for p in jax.tree.leaves(hmm)]
    with jax.enable_x64(True):
        assert filtered_posteriors(hmm, symbols).posterior.dtype == jnp.float64
    assert [trace.out_avals[0].dtype for trace in traces] == [jnp.float32] * 3


def test_vmap_over_sequences_and_over_hmms_equals_a_loop():
    pair = [some_hmm(3, 3, seed) for seed in (0, 1)]
    stacked = jax.tree.map(lambda *leaf: jnp.stack(leaf), *pair)
    sequences = jax.random.randint(jax.random.key(2), (4, 20), 0, 3)
    over_both = jax.vmap(jax.vmap(filtered_posteriors, in_axes=(None, 0)), in_axes=(0, None))
    posterior, total = over_both(stacked, sequences)
    assert posterior.shape == (2, 4, 20, 3)
    for i, hmm in enumerate(pair):
        for j, symbols in enumerate(sequences):
            alone = filtered_posteriors(hmm, symbols)
            np.testing.assert_allclose(posterior[i, j], alone.posterior, atol=1e-6)
            np.testing.assert_allclose(total[i, j], alone.log_likelihood, rtol=1e-6)


def test_relabelling_the_states_permutes_the_posterior():
    hmm, order = some_hmm(3, 3, seed=5), np.array([2, 0, 1])
    renamed = HMM(
        initial=hmm.initial[order],
        transition=hmm.transition[np.ix_(order, order)],
        emission=hmm.emission[order],
    )
    symbols = jax.random.randint(jax.random.key(6), (20,), 0, 3)
    before, after = filtered_posteriors(hmm, symbols), filtered_posteriors(renamed, symbols)
    np.testing.assert_allclose(after.posterior, before.posterior[:, order], atol=1e-5)
    np.testing.assert_allclose(after.log_likelihood, before.log_likelihood, rtol=1e-6)
