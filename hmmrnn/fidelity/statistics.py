"""Statistics of sequences with their intervals: of a network, and of its HMM as their floor."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from hmmrnn.arrays import Key
from hmmrnn.fidelity.dwell import dwell_cv, dwell_mean, run_length_counts
from hmmrnn.fidelity.generated import Generated, Sizes
from hmmrnn.fidelity.matching import matched_distances
from hmmrnn.fidelity.ngrams import kl_from_law, ngram_shares
from hmmrnn.fidelity.surprise import entropy_draws, surprise, surprise_beyond
from hmmrnn.hmm import HMM, ngram_law, sample_batch, symbol_transitions
from hmmrnn.intervals import Estimate, Weights, bootstrap_weights, estimate, estimates
from hmmrnn.results import result
from hmmrnn.targets import Target

ORDERS = (1, 2, 3, 4, 5, 6)
MAX_NGRAMS = 2**13


class Scale(NamedTuple):
    """What all sequences are measured with; made once for each HMM. R bootstrap samples."""

    hmm: HMM
    sizes: Sizes
    orders: list[int]  # of n-grams
    weights: Weights  # over the short sequences
    long_weights: Weights
    matched_weights: Weights
    partners: Int[np.ndarray, "b T"]  # the HMM sequences that others are matched to
    entropy: Float[np.ndarray, " R"]  # nats per symbol


@result
class Statistics(NamedTuple):
    """Numbers of one set of sequences; `Fidelity` says what they are. K symbols."""

    kl: dict[int, Estimate]
    excess_surprise: Estimate
    impossible_sequences: float
    volatility: Estimate
    symbol_shares: Estimate  # (K,)
    transition_error: Estimate
    dwell_mean: Estimate  # (K,)
    dwell_cv: Estimate  # (K,)
    run_lengths: list[Float[np.ndarray, " L"]]  # K; how many runs have each length
    matched_distance: Estimate


def compared_orders(target: Target, n_steps: int) -> list[int]:
    """Lengths n <= 6 whose n-grams are not too many, and of data occur ten times each; 1 always.

    With fewer, their divergence would tell of the size of the data.
    """
    k, held_out = target.n_symbols, target.parts.held_out
    return [1, *(n for n in ORDERS[1:n_steps] if k**n <= MAX_NGRAMS and held_out.supports(n))]


def scale_of(hmm: HMM, sizes: Sizes, keys: dict[str, Key]) -> tuple[Scale, Generated]:
    """The scale of an HMM, and the HMM sample whose statistics are the floors."""
    n_steps = sizes.n_steps
    key_partners, key_matched = jax.random.split(keys["matched"])
    weights = bootstrap_weights(sizes.n_sequences, keys["weights"])
    scale = Scale(
        hmm=hmm,
        sizes=sizes,
        orders=compared_orders(hmm, n_steps),
        weights=weights,
        long_weights=bootstrap_weights(sizes.n_long, keys["long_weights"]),
        matched_weights=bootstrap_weights(sizes.n_matched, key_matched),
        partners=np.asarray(sample_batch(hmm, sizes.n_matched, n_steps, key_partners)[1]),
        entropy=entropy_draws(hmm, n_steps, len(weights), keys["entropy"]),
    )
    sample = Generated(
        sample_batch(hmm, sizes.n_sequences, n_steps, keys["short"])[1],
        sample_batch(hmm, sizes.n_long, sizes.n_long_steps, keys["long"])[1],
    )
    return scale, sample


def statistics(scale: Scale, of: Generated) -> Statistics:
    """All statistics of sequences that have no -1 in the short ones."""
    hmm, weights, short = scale.hmm, scale.weights, of.short
    surprises = surprise(hmm, short)
    symbols = range(hmm.n_symbols)
    present = [jnp.mean(short == symbol, axis=1)[:, None] for symbol in symbols]
    changes = jnp.mean(short[:, 1:] != short[:, :-1], axis=1)[:, None]
    lengths = [run_length_counts(of.long, symbol, of.long.shape[1]) for symbol in symbols]
    return Statistics(
        kl={n: _kl(scale, short, n) for n in scale.orders},
        excess_surprise=surprise_beyond(scale.entropy, surprises, weights),
        impossible_sequences=float(jnp.mean(~jnp.isfinite(surprises))),
        volatility=estimate(_first, changes, weights),
        symbol_shares=estimates(_first, present, weights),
        transition_error=_transition_error(scale, short),
        dwell_mean=estimates(dwell_mean, lengths, scale.long_weights),
        dwell_cv=estimates(dwell_cv, lengths, scale.long_weights),
        run_lengths=[np.asarray(counts).sum(axis=0) for counts in lengths],
        matched_distance=_matched(scale, short),
    )


def rows(pairs: Float[np.ndarray, "R K K"]) -> Float[np.ndarray, "R K K"]:
    """Pair shares as conditional probabilities; NaN for a symbol that never occurs."""
    with np.errstate(invalid="ignore"):
        return pairs / pairs.sum(axis=2, keepdims=True)


def worst_row(pairs: Float[np.ndarray, "R K K"], exact: np.ndarray) -> Float[np.ndarray, " R"]:
    """Largest absolute difference of conditional probabilities from `exact` (K, K)."""
    error = np.abs(rows(pairs) - exact)
    error[np.isnan(error) & ~np.isnan(exact)] = 1.0  # the symbol is missing altogether
    return np.nanmax(error, axis=(1, 2), initial=0.0)


def _first(means: np.ndarray) -> np.ndarray:
    return means[:, 0]


def _kl(scale: Scale, symbols: Int[Array, "B T"], n: int) -> Estimate:
    law = ngram_law(scale.hmm, n, symbols.shape[1])
    shares = ngram_shares(symbols, n, scale.hmm.n_symbols)
    return estimate(lambda means: kl_from_law(means, law), shares, scale.weights)


def _transition_error(scale: Scale, symbols: Int[Array, "B T"]) -> Estimate:
    k, exact = scale.hmm.n_symbols, symbol_transitions(scale.hmm, symbols.shape[1])

    def worst(pairs: np.ndarray) -> np.ndarray:
        return worst_row(pairs.reshape(-1, k, k), exact)

    return estimate(worst, ngram_shares(symbols, 2, k), scale.weights)


def _matched(scale: Scale, symbols: Int[Array, "B T"]) -> Estimate:
    some = np.asarray(symbols[: scale.sizes.n_matched])
    distances = matched_distances(some, scale.partners, scale.hmm.n_symbols)
    return Estimate.of(scale.matched_weights @ distances)
