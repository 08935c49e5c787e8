"""Exact law of how long a symbol lasts: the length of its uninterrupted runs."""

from typing import NamedTuple

import numpy as np

from hmmrnn.errors import InputError
from hmmrnn.hmm.model import HMM
from hmmrnn.hmm.stationary import stationary_law
from hmmrnn.results import result


@result
class DwellLaw(NamedTuple):
    """Run lengths of one symbol in the stationary HMM; NaN for a symbol that starts no run."""

    probability: np.ndarray  # (max_length,) of lengths 1, 2, ..., max_length
    mean: float  # steps, over all lengths
    cv: float  # standard deviation over mean, over all lengths


def dwell_law(hmm: HMM, symbol: int, max_length: int) -> DwellLaw:
    """Law of the run lengths of `symbol`.

    A run starts in state j with weight s_j = sum_i pi_i (1 - e_i) A_ij e_j, e the emission of
    the symbol; with Q = A diag(e), P(length > d) = s Q^d 1 / s 1: a discrete phase-type law,
    whose moments are E[L] = s R 1 and E[L(L+1)] = 2 s R^2 1 with R = (I - Q)^-1.

    Raises:
        InputError: no such symbol.
    """
    if not 0 <= symbol < hmm.n_symbols:
        raise InputError(f"symbol={symbol}: the HMM has symbols 0 to {hmm.n_symbols - 1}")
    emit = hmm.emission[:, symbol]
    start = (stationary_law(hmm) * (1 - emit)) @ hmm.transition * emit
    if start.sum() <= np.finfo(float).tiny:
        return DwellLaw(np.full(max_length, np.nan), np.nan, np.nan)
    start = start / start.sum()
    stay = hmm.transition * emit
    survival = np.empty(max_length + 1)  # P(length > d), d = 0, 1, ...
    row = start
    for d in range(max_length + 1):
        survival[d] = row.sum()
        row = row @ stay
    reached = _reachable(start, stay)
    resolvent = np.linalg.inv(np.eye(reached.sum()) - stay[np.ix_(reached, reached)])
    mean = start[reached] @ resolvent.sum(axis=1)
    second = 2 * start[reached] @ resolvent @ resolvent.sum(axis=1) - mean
    variance = max(second - mean**2, 0.0)  # rounding can make it negative
    return DwellLaw(-np.diff(survival), float(mean), float(np.sqrt(variance) / mean))


def _reachable(start: np.ndarray, stay: np.ndarray) -> np.ndarray:
    """States that a run can visit; the others could make I - Q singular."""
    reached = start > 0
    for _ in range(len(start)):
        reached = reached | (reached @ (stay > 0))
    return reached
