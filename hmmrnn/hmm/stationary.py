"""Long-run laws of an HMM, exact, in float64 on the host."""

import numpy as np

from hmmrnn.hmm.model import HMM

SQUARINGS = 64


def stationary_law(hmm: HMM) -> np.ndarray:
    """Long-run share of time in each state, (M,), starting from `hmm.initial`.

    The Cesaro limit of initial @ transition^t. It exists for every chain, also a reducible or
    periodic one, and equals the limit for the lazy chain (I + transition) / 2, whose powers
    converge and are reached by repeated squaring.
    """
    power = (np.eye(hmm.n_states) + hmm.transition) / 2
    for _ in range(SQUARINGS):
        power = power @ power
        power /= power.sum(axis=1, keepdims=True)
    return hmm.initial @ power


def mean_state_law(hmm: HMM, n_steps: int) -> np.ndarray:
    """Law of the state, (M,), averaged over the first `n_steps` >= 1 steps."""
    law, total = hmm.initial, np.zeros(hmm.n_states)
    for _ in range(n_steps):
        total, law = total + law, law @ hmm.transition
    return total / n_steps
