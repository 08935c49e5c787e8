"""Numbers of the network beside the same numbers of its HMM, or of data."""

from typing import NamedTuple

import numpy as np

from hmmrnn.intervals import Estimate
from hmmrnn.nets import LongRun
from hmmrnn.results import result


@result
class Compared(NamedTuple):
    """A statistic of the network beside what the HMM itself shows, or the data."""

    network: Estimate
    floor: Estimate  # the same statistic of an HMM sample of the same size, or of training data
    exact: float | None  # its value for the HMM, where it is known in closed form; of held-out data

    def in_short(self) -> str:
        """A few words, for a line of a record that holds it."""
        exact = "" if self.exact is None else f", exact {self.exact:.4g}"
        floor = "" if np.isnan(self.floor.value) else f", floor {self.floor.value:.4g}"
        return f"{self.network}{floor}{exact}"


@result
class SymbolDwell(NamedTuple):
    """Run lengths of one symbol, from long sequences."""

    mean: Compared  # steps
    cv: Compared  # standard deviation over mean
    lengths: np.ndarray  # (L,) 1, 2, ..., L
    network: np.ndarray  # (L,) probability of each length
    exact: np.ndarray  # (L,) the HMM's law
    n_runs: int  # complete runs of the network


@result
class Fidelity(NamedTuple):
    """Everything measured by `compare`. Shapes: K symbols, orders n = 1..6."""

    kl: dict[int, Compared]  # nats; KL(generated n-grams | exact law), among possible ones
    impossible_share: float  # of the generated n-grams of highest order, that the HMM cannot emit
    excess_surprise: Compared  # nats per symbol, of possible sequences; < 0: too typical
    impossible_sequences: float  # share of generated sequences that the HMM cannot emit
    volatility: Compared  # share of steps at which the symbol changes
    symbol_shares: list[Compared]  # K
    transitions: np.ndarray  # (K, K) next symbol (column) given the present one (row), network
    exact_transitions: np.ndarray  # (K, K)
    transition_error: Compared  # largest absolute difference of the two matrices
    dwell: list[SymbolDwell]  # K
    matched_distance: Compared  # Euclidean, after optimal matching to an HMM sample
    ngram_shares: np.ndarray  # (K^n,) of the highest order n that fits, network
    exact_ngrams: np.ndarray  # (K^n,)
    n_sequences: int
    n_steps: int
    long_run: LongRun  # whether the network stays bounded; if not, dwell times are NaN
