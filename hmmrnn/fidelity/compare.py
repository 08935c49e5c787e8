"""How faithful a network is: what it generates against the exact quantities of its HMM."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from hmmrnn.arrays import Key
from hmmrnn.errors import InputError
from hmmrnn.fidelity.compared import Compared
from hmmrnn.fidelity.dwell import dwell_cv, dwell_mean, run_length_counts
from hmmrnn.fidelity.matching import matched_distances
from hmmrnn.fidelity.ngrams import impossible_share, kl, ngram_shares
from hmmrnn.fidelity.surprise import excess_surprise, surprise
from hmmrnn.hmm import (
    HMM,
    dwell_law,
    ngram_law,
    sample_batch,
    symbol_law,
    symbol_transitions,
    volatility,
)
from hmmrnn.intervals import Statistic, bootstrap_weights, estimate, interval
from hmmrnn.nets import Network, generate

Weights = Float[np.ndarray, "R B"]  # bootstrap samples
ORDERS = (1, 2, 3, 4, 5, 6)
MAX_NGRAMS = 2**13


class SymbolDwell(NamedTuple):
    """Run lengths of one symbol, from long sequences."""

    mean: Compared  # steps
    cv: Compared  # standard deviation over mean
    lengths: np.ndarray  # (L,) 1, 2, ..., L
    network: np.ndarray  # (L,) probability of each length
    exact: np.ndarray  # (L,) the HMM's law
    n_runs: int  # complete runs of the network


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


def compare(
    network: Network,
    hmm: HMM,
    key: Key,
    *,
    n_sequences: int = 10_000,
    n_steps: int = 40,
    n_long: int = 200,
    n_long_steps: int = 2_000,
    n_matched: int = 1_000,
) -> Fidelity:
    """Measure generated sequences against `hmm`, with bootstrap intervals over sequences.

    Beside each number stands its floor, the same statistic of an HMM sample of the same size.
    n-grams, surprise and matching use `n_sequences` of `n_steps` (take the length trained on);
    dwell times use `n_long` sequences of `n_long_steps`, so that few runs are cut off, and are
    NaN if the network diverges on the way.

    Raises:
        InputError: network and HMM have different numbers of symbols, sizes too small, or a
            network that diverges within `n_steps`.
    """
    k = hmm.n_symbols
    if network.cell.n_symbols != k:
        raise InputError(f"the network has {network.cell.n_symbols} symbols, the HMM {k}")
    if n_sequences < 2 or n_steps < 2 or not 1 <= n_matched <= n_sequences:
        raise InputError(
            f"n_sequences={n_sequences}, n_steps={n_steps}, n_matched={n_matched}: need at least "
            "2 sequences of 2 steps, and no more matched than generated"
        )
    key_net, key_hmm, key_boot, key_entropy, key_matched, key_long = jax.random.split(key, 6)
    ours = generate(network.cell, network.params, network.noise_std, n_sequences, n_steps, key_net)
    if bool(jnp.any(ours < 0)):
        raise InputError(
            f"the network diverges under its noise: not all logits of {n_steps} steps are finite"
        )
    theirs = sample_batch(hmm, n_sequences, n_steps, key_hmm)[1]
    weights = bootstrap_weights(n_sequences, key_boot)
    orders = [n for n in ORDERS if n <= n_steps and (n == 1 or k**n <= MAX_NGRAMS)]
    pairs = np.asarray(ngram_shares(ours, 2, k)).mean(axis=0).reshape(1, k, k)
    longest = np.asarray(ngram_shares(ours, orders[-1], k)).mean(axis=0)
    exact_longest = ngram_law(hmm, orders[-1], n_steps)
    surprises = surprise(hmm, ours)
    return Fidelity(
        kl={n: _kl(hmm, ours, theirs, n, weights) for n in orders},
        impossible_share=float(impossible_share(longest[None], exact_longest)[0]),
        excess_surprise=excess_surprise(
            hmm, surprises, surprise(hmm, theirs), n_steps, weights, key_entropy
        ),
        impossible_sequences=float(jnp.mean(~jnp.isfinite(surprises))),
        volatility=_volatility(hmm, ours, theirs, weights),
        symbol_shares=[_symbol_share(hmm, ours, theirs, i, weights) for i in range(k)],
        transitions=_rows(pairs)[0],
        exact_transitions=symbol_transitions(hmm, n_steps),
        transition_error=_transition_error(hmm, ours, theirs, weights),
        dwell=_dwell(network, hmm, n_long, n_long_steps, key_long),
        matched_distance=_matched(hmm, ours, theirs, n_matched, key_matched),
        ngram_shares=longest,
        exact_ngrams=exact_longest.ravel(),
        n_sequences=n_sequences,
        n_steps=n_steps,
    )


def _both(
    statistic: Statistic,
    per_sequence: Callable[[Array], Array],
    ours: Array,
    theirs: Array,
    weights: Weights,
    exact: float | None,
) -> Compared:
    """`statistic` of network and HMM sample, each from what `per_sequence` makes of them."""
    return Compared(
        network=estimate(statistic, per_sequence(ours), weights),
        floor=estimate(statistic, per_sequence(theirs), weights),
        exact=exact,
    )


def _first(means: np.ndarray) -> np.ndarray:
    return means[:, 0]


def _kl(hmm: HMM, ours: Array, theirs: Array, n: int, weights: Weights) -> Compared:
    law = ngram_law(hmm, n, ours.shape[1])
    return _both(
        lambda shares: kl(shares, law),
        lambda symbols: ngram_shares(symbols, n, hmm.n_symbols),
        ours,
        theirs,
        weights,
        0.0,
    )


def _volatility(hmm: HMM, ours: Array, theirs: Array, weights: Weights) -> Compared:
    def changes(symbols: Array) -> Array:
        return jnp.mean(symbols[:, 1:] != symbols[:, :-1], axis=1)[:, None]

    return _both(_first, changes, ours, theirs, weights, volatility(hmm, ours.shape[1]))


def _symbol_share(hmm: HMM, ours: Array, theirs: Array, symbol: int, weights: Weights) -> Compared:
    def share(symbols: Array) -> Array:
        return jnp.mean(symbols == symbol, axis=1)[:, None]

    exact = float(symbol_law(hmm, ours.shape[1])[symbol])
    return _both(_first, share, ours, theirs, weights, exact)


def _transition_error(hmm: HMM, ours: Array, theirs: Array, weights: Weights) -> Compared:
    k, exact = hmm.n_symbols, symbol_transitions(hmm, ours.shape[1])

    def worst(pairs: np.ndarray) -> np.ndarray:
        error = np.abs(_rows(pairs.reshape(-1, k, k)) - exact)
        error[np.isnan(error) & ~np.isnan(exact)] = 1.0  # the symbol is missing altogether
        return np.nanmax(error, axis=(1, 2), initial=0.0)

    return _both(worst, lambda s: ngram_shares(s, 2, k), ours, theirs, weights, 0.0)


def _dwell(
    network: Network, hmm: HMM, n_sequences: int, n_steps: int, key: Key
) -> list[SymbolDwell]:
    key_net, key_hmm, key_boot = jax.random.split(key, 3)
    ours = generate(network.cell, network.params, network.noise_std, n_sequences, n_steps, key_net)
    ours = jnp.where(jnp.any(ours < 0), -1, ours)  # then what came before would mislead
    theirs = sample_batch(hmm, n_sequences, n_steps, key_hmm)[1]
    weights = bootstrap_weights(n_sequences, key_boot)
    return [_dwell_of(hmm, ours, theirs, symbol, weights) for symbol in range(hmm.n_symbols)]


def _dwell_of(hmm: HMM, ours: Array, theirs: Array, symbol: int, weights: Weights) -> SymbolDwell:
    max_length = ours.shape[1]
    law = dwell_law(hmm, symbol, max_length)

    def counts(symbols: Array) -> Array:
        return run_length_counts(symbols, symbol, max_length)

    mean = _both(dwell_mean, counts, ours, theirs, weights, law.mean)
    cv = _both(dwell_cv, counts, ours, theirs, weights, law.cv)
    shown = _shown_lengths(law.mean, max_length)
    total = np.asarray(counts(ours)).sum(axis=0)
    with np.errstate(invalid="ignore"):
        shares = total / total.sum()
    return SymbolDwell(
        mean=mean,
        cv=cv,
        lengths=np.arange(1, shown + 1),
        network=shares[:shown],
        exact=law.probability[:shown],
        n_runs=int(total.sum()),
    )


def _shown_lengths(mean: float, max_length: int) -> int:
    """Lengths that a figure needs: five times the mean, at least 10."""
    return max_length if np.isnan(mean) else min(max_length, max(10, round(5 * mean)))


def _matched(hmm: HMM, ours: Array, theirs: Array, n: int, key: Key) -> Compared:
    key_sample, key_boot = jax.random.split(key)
    sample = np.asarray(sample_batch(hmm, n, ours.shape[1], key_sample)[1])
    weights = bootstrap_weights(n, key_boot)

    def mean_distance(symbols: Array) -> np.ndarray:
        return weights @ matched_distances(np.asarray(symbols[:n]), sample, hmm.n_symbols)

    network, floor = (mean_distance(s) for s in (ours, theirs))
    return Compared(interval(network[0], network[1:]), interval(floor[0], floor[1:]), None)


def _rows(pairs: Float[np.ndarray, "R K K"]) -> Float[np.ndarray, "R K K"]:
    """Pair shares as conditional probabilities; NaN for a symbol that never occurs."""
    with np.errstate(invalid="ignore"):
        return pairs / pairs.sum(axis=2, keepdims=True)
