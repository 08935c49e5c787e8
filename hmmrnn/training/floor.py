"""The floor of a loss: what two samples of the HMM, or of data, score against each other."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from hmmrnn.arrays import Key
from hmmrnn.losses import Generated
from hmmrnn.sequences import SymbolSequences, parts_of
from hmmrnn.sequences.parts import padded_to
from hmmrnn.training.config import TrainConfig
from hmmrnn.training.data import FixedData, step_batch

FLOOR_SEQUENCES = 16_384
"""Sequences drawn on each side in all, at most 64 and at least 8 batches."""


class Floor(NamedTuple):
    """Data-versus-data value of the loss at the batch size of the training."""

    mean: Float[Array, ""]
    std: Float[Array, ""]  # of one batch, not of the mean


@jax.jit
def loss_floor(config: TrainConfig, key: Key) -> Floor:
    """Mean and spread of the loss over pairs of independent HMM batches.

    Of data, batches of random windows of the held-out part against such of the training part.
    Symbols stand for their own probabilities. A network's n-gram shares, from which
    the sampling of symbols is integrated out, are less noisy, so its KL may fall below this floor.
    """
    held_out, train = _sides(config)

    def one(key: Key) -> Array:
        key_x, key_y, key_loss = jax.random.split(key, 3)
        x = step_batch(config, held_out, key_x)
        return config.objective(Generated(x, x), step_batch(config, train, key_y), key_loss)[0]

    n_draws = min(64, max(8, FLOOR_SEQUENCES // config.train.batch_size))
    values = jax.lax.map(one, jax.random.split(key, n_draws))
    return Floor(jnp.mean(values), jnp.std(values, ddof=1))


def _sides(config: TrainConfig) -> tuple[FixedData, FixedData]:
    """What the batches of both sides are cut from; nothing where an HMM draws them."""
    if not isinstance(config.hmm, SymbolSequences):
        nothing = jnp.zeros((0, config.data.n_steps), jnp.int8)
        return FixedData(nothing, nothing), FixedData(nothing, nothing)
    parts, n_steps = parts_of(config.hmm), config.data.n_steps
    held_out, train = (
        jnp.asarray(padded_to(part.symbols, n_steps)) for part in (parts.held_out, parts.train)
    )
    return FixedData(held_out, held_out), FixedData(train, train)
