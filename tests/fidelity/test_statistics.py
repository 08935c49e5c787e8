from itertools import groupby, permutations, product

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist
from scipy.special import rel_entr

from hmmrnn.fidelity import kl_from_law, matched_distances, ngram_shares
from hmmrnn.fidelity.dwell import dwell_cv, dwell_mean, run_length_counts

symbol_rows = st.lists(st.integers(0, 2), min_size=9, max_size=9)
batches = st.lists(symbol_rows, min_size=1, max_size=4).map(np.array)


@settings(max_examples=25, deadline=None)
@given(batches, st.integers(1, 4))
def test_ngram_shares_by_counting_tuples(symbols, n):
    found = np.asarray(ngram_shares(jnp.asarray(symbols), n, 3))
    for row, sequence in zip(found, symbols, strict=True):
        windows = [tuple(sequence[i : i + n]) for i in range(9 - n + 1)]
        expected = [windows.count(gram) / len(windows) for gram in product(range(3), repeat=n)]
        np.testing.assert_allclose(row, expected, atol=1e-6)


def test_kl_agrees_with_scipy_and_is_conditional_on_the_possible():
    rng = np.random.default_rng(0)
    p, q = rng.dirichlet(np.ones(9), 3), rng.dirichlet(np.ones(9))
    p[0, :3] = 0
    p[0] /= p[0].sum()
    np.testing.assert_allclose(kl_from_law(p, q), rel_entr(p, q).sum(axis=1), rtol=1e-12)
    allowed = np.arange(9) != 4
    conditional = p[1, allowed] / p[1, allowed].sum()
    expected = rel_entr(conditional, q[allowed]).sum()
    assert kl_from_law(p[1:2], np.where(allowed, q, 0))[0] == pytest.approx(expected)
    np.testing.assert_allclose(kl_from_law(q[None], q), 0, atol=1e-15)


@settings(max_examples=25, deadline=None)
@given(batches, st.integers(0, 2))
def test_run_lengths_by_grouping(symbols, symbol):
    found = np.asarray(run_length_counts(jnp.asarray(symbols), symbol, 4))
    for row, sequence in zip(found, symbols, strict=True):
        runs = [(value, len(list(group))) for value, group in groupby(sequence)]
        inner = [length for value, length in runs[1:-1] if value == symbol]
        expected = [sum(min(length, 4) == d for length in inner) for d in (1, 2, 3, 4)]
        assert row.tolist() == expected


def test_dwell_moments_of_listed_lengths():
    lengths = np.array([1, 1, 2, 5, 7])
    counts = np.bincount(lengths, minlength=9)[1:][None].astype(float)
    assert dwell_mean(counts)[0] == pytest.approx(lengths.mean())
    assert dwell_cv(counts)[0] == pytest.approx(lengths.std() / lengths.mean())
    assert np.isnan(dwell_mean(np.zeros((1, 8)))[0])
    assert np.isnan(dwell_cv(np.zeros((1, 8)))[0])


def test_matching_finds_a_hidden_permutation():
    rng = np.random.default_rng(1)
    symbols = rng.integers(3, size=(40, 12))
    assert np.all(matched_distances(symbols, symbols[rng.permutation(40)], 3) == 0)


def test_matching_is_the_best_of_all_permutations():
    rng = np.random.default_rng(2)
    x, y = rng.integers(3, size=(2, 6, 12))
    distance = cdist(*(np.eye(3)[s].reshape(6, -1) for s in (x, y)))
    every = [distance[np.arange(6), list(order)].sum() for order in permutations(range(6))]
    assert matched_distances(x, y, 3).sum() == pytest.approx(min(every), rel=1e-6)
