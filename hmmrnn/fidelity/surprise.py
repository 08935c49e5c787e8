"""How surprising generated sequences are to the HMM, beyond its own entropy."""

import jax
import numpy as np
from jaxtyping import Array, Float, Int

from hmmrnn.arrays import Key, host_generator
from hmmrnn.fidelity.compared import Compared
from hmmrnn.hmm import HMM, log_likelihood, sample_batch
from hmmrnn.intervals import Estimate

ENTROPY_SEQUENCES = 40_000


@jax.jit
def surprise(hmm: HMM, symbols: Int[Array, "B T"]) -> Float[Array, " B"]:
    """-log p(x_1..x_T) / T of each sequence, in nats per symbol; infinite if impossible."""
    scores = jax.lax.map(lambda x: log_likelihood(hmm, x), symbols, batch_size=4096)
    return -scores / symbols.shape[1]


def excess_surprise(
    hmm: HMM,
    ours: Float[Array, " B"],
    theirs: Float[Array, " B"],
    n_steps: int,
    weights: Float[np.ndarray, "R B"],
    key: Key,
) -> Compared:
    """Mean surprise minus the HMM's entropy per symbol of a sequence of `n_steps` steps.

    From the surprises of generated and of HMM sequences; impossible sequences are left out.
    """
    entropy = entropy_draws(hmm, n_steps, len(weights), key)
    network, floor = (surprise_beyond(entropy, x, weights) for x in (ours, theirs))
    return Compared(network, floor, 0.0)


def entropy_draws(hmm: HMM, n_steps: int, n_draws: int, key: Key) -> Float[np.ndarray, " R"]:
    """The HMM's entropy per symbol of a sequence of `n_steps` steps, then draws of its error.

    It has no closed form; a large HMM sample estimates it, and its standard error becomes part of
    every interval.
    """
    key_sample, key_spread = jax.random.split(key)
    _, sample = sample_batch(hmm, ENTROPY_SEQUENCES, n_steps, key_sample)
    entropies = np.asarray(surprise(hmm, sample), np.float64)
    error = entropies.std() / ENTROPY_SEQUENCES**0.5
    spread = host_generator(key_spread).normal(size=n_draws)
    spread[0] = 0  # the first row is the sample itself
    return entropies.mean() + error * spread


def surprise_beyond(
    entropy: Float[np.ndarray, " R"],
    surprises: Float[Array, " B"],
    weights: Float[np.ndarray, "R B"],
) -> Estimate:
    """Mean of the surprises that are finite, minus the entropy of each draw."""
    scores = np.asarray(surprises, np.float64)
    possible = np.isfinite(scores)
    with np.errstate(invalid="ignore"):
        means = weights @ np.where(possible, scores, 0) / (weights @ possible)
    return Estimate.of(means - entropy)
