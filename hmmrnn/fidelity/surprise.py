"""How surprising generated sequences are to the HMM, beyond its own entropy."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from hmmrnn.arrays import Key
from hmmrnn.fidelity.compared import Compared
from hmmrnn.hmm import HMM, log_likelihood, sample_batch
from hmmrnn.intervals import interval

ENTROPY_SEQUENCES = 40_000


@jax.jit
def surprise(hmm: HMM, symbols: Int[Array, "B T"]) -> Float[Array, " B"]:
    """-log p(x_1..x_T) / T of each sequence, in nats per symbol; infinite if impossible."""
    scores = jax.lax.map(lambda x: log_likelihood(hmm, x), symbols, batch_size=4096)
    return -scores / symbols.shape[1]


def excess_surprise(
    hmm: HMM,
    ours: Int[Array, "B T"],
    theirs: Int[Array, "B T"],
    weights: Float[np.ndarray, "R B"],
    key: Key,
) -> Compared:
    """Mean surprise of sequences minus the HMM's entropy per symbol of a T-step sequence.

    The entropy has no closed form; a large independent HMM sample estimates it, and its own
    bootstrap uncertainty is part of the interval.
    """
    key_sample, key_boot = jax.random.split(key)
    _, sample = sample_batch(hmm, ENTROPY_SEQUENCES, ours.shape[1], key_sample)
    entropies = surprise(hmm, sample)
    spread = jax.random.normal(key_boot, (len(weights),)) * jnp.std(entropies)
    entropy = np.asarray(jnp.mean(entropies) + spread.at[0].set(0) / ENTROPY_SEQUENCES**0.5)

    def excess(symbols: Array) -> np.ndarray:
        scores = np.asarray(surprise(hmm, symbols), np.float64)
        possible = bool(np.all(np.isfinite(scores)))
        return weights @ scores - entropy if possible else np.full(len(weights), np.inf)

    network, floor = excess(ours), excess(theirs)
    return Compared(interval(network[0], network[1:]), interval(floor[0], floor[1:]), 0.0)
