"""Exact law of n consecutive symbols, and the quantities that follow from it."""

import numpy as np

from hmmrnn.errors import InputError
from hmmrnn.hmm.model import HMM
from hmmrnn.hmm.stationary import mean_state_law, stationary_law


def ngram_law(hmm: HMM, n: int, n_steps: int | None = None, stride: int = 1) -> np.ndarray:
    """Probability of every n-gram, shape (K,) * n: n symbols, each `stride` steps after the last.

    Averaged over the positions of a sequence of `n_steps` steps, or in the long run if None.
    Exact recursion: p(x_1..x_n, z_n) gains a symbol by (p @ transition^stride) * emission[:, x].

    Raises:
        InputError: n or stride < 1, or a sequence shorter than the n-gram.
    """
    span = (n - 1) * stride + 1
    if n < 1 or stride < 1 or (n_steps is not None and n_steps < span):
        raise InputError(
            f"n={n}, stride={stride}: both are at least 1, and the n-gram spans {span} steps of "
            f"at most n_steps={n_steps}"
        )
    start = stationary_law(hmm) if n_steps is None else mean_state_law(hmm, n_steps - span + 1)
    transition = np.linalg.matrix_power(hmm.transition, stride)
    joint = start * hmm.emission.T  # (K, M): symbol so far, state
    for _ in range(n - 1):
        joint = (joint @ transition)[..., None, :] * hmm.emission.T
    return joint.sum(axis=-1)


def symbol_law(hmm: HMM, n_steps: int | None = None) -> np.ndarray:
    """Share of each symbol, (K,)."""
    return ngram_law(hmm, 1, n_steps)


def symbol_transitions(hmm: HMM, n_steps: int | None = None) -> np.ndarray:
    """Probability (K, K) of the next symbol (column) given the present one (row).

    The row of a symbol that is never emitted is NaN.
    """
    pairs = ngram_law(hmm, 2, n_steps)
    with np.errstate(invalid="ignore"):
        return pairs / pairs.sum(axis=1, keepdims=True)


def volatility(hmm: HMM, n_steps: int | None = None) -> float:
    """Expected share of steps at which the symbol differs from the one before."""
    return float(1 - np.trace(ngram_law(hmm, 2, n_steps)))
