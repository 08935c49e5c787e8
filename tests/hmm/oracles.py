"""Slow, obvious truths for the HMM layer, and hypothesis strategies that draw HMMs."""

import itertools

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st

from hmmrnn.hmm import HMM

few = settings(max_examples=25, deadline=None, derandomize=True)


@st.composite
def probability_rows(draw, n_rows, width, smallest=0):
    """Rows of integer weights over their sum, so exact zeros are common if `smallest` is 0."""
    row = st.lists(st.integers(smallest, 9), min_size=width, max_size=width).filter(any)
    weights = np.array(draw(st.lists(row, min_size=n_rows, max_size=n_rows)), dtype=float)
    return weights / weights.sum(axis=1, keepdims=True)


@st.composite
def hmms(draw, n_states=(1, 3), n_symbols=(2, 3), smallest=0):
    """HMMs with sizes in the given inclusive ranges."""
    M = draw(st.integers(*n_states))
    K = draw(st.integers(*n_symbols))
    return HMM(
        initial=draw(probability_rows(1, M, smallest))[0],
        transition=draw(probability_rows(M, M, smallest)),
        emission=draw(probability_rows(M, K, smallest)),
    )


def some_hmm(n_states, n_symbols, seed):
    """An HMM without zeros, the same on every run."""
    rng = np.random.default_rng(seed)
    return HMM(
        initial=rng.dirichlet(np.ones(n_states)),
        transition=rng.dirichlet(np.ones(n_states), n_states),
        emission=rng.dirichlet(np.ones(n_symbols), n_states),
    )


def state_paths(hmm, n_steps, start=None):
    """Every one of the M^T state paths with its probability."""
    start = hmm.initial if start is None else start
    for path in itertools.product(range(hmm.n_states), repeat=n_steps):
        probability = start[path[0]]
        for before, after in itertools.pairwise(path):
            probability = probability * hmm.transition[before, after]
        yield path, probability


def enumerated_filter(hmm, symbols):
    """p(x_1..x_t) and p(z_t | x_1..x_t) for every t, summed over all paths."""
    evidence, posterior = [], []
    for t in range(1, len(symbols) + 1):
        by_last_state = np.zeros(hmm.n_states)
        for path, probability in state_paths(hmm, t):
            emitted = np.prod([hmm.emission[z, x] for z, x in zip(path, symbols, strict=False)])
            by_last_state[path[-1]] += probability * emitted
        total = by_last_state.sum()
        evidence.append(total)
        posterior.append(by_last_state / total if total > 0 else np.zeros(hmm.n_states))
    return np.array(evidence), np.array(posterior)


def enumerated_ngrams(hmm, n, start):
    """Law of the first n symbols from state law `start`, shape (K,) * n, summed over all paths."""
    law = np.zeros((hmm.n_symbols,) * n)
    for path, probability in state_paths(hmm, n, start):
        for word in np.ndindex(law.shape):
            law[word] += probability * np.prod(hmm.emission[list(path), list(word)])
    return law
