"""The floor of a loss: what two samples of the HMM, or of data, score against each other."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from hmmrnn.arrays import Key
from hmmrnn.losses import Generated
from hmmrnn.results import result
from hmmrnn.training.config import TrainConfig
from hmmrnn.training.data import one_hot

FLOOR_SEQUENCES = 16_384
"""Sequences drawn on each side in all, at most 64 and at least 8 batches."""


@result
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
    parts, size = config.target.parts, (config.train.batch_size, config.data.n_steps)
    held_out, train = (part.rows(size[1]) for part in (parts.held_out, parts.train))

    def one(key: Key) -> Array:
        key_x, key_y, key_loss = jax.random.split(key, 3)
        x = one_hot(config, parts.held_out.draw(held_out, *size, key_x))
        y = one_hot(config, parts.train.draw(train, *size, key_y))
        return config.objective(Generated(x, x), y, key_loss)[0]

    n_draws = min(64, max(8, FLOOR_SEQUENCES // size[0]))
    values = jax.lax.map(one, jax.random.split(key, n_draws))
    return Floor(jnp.mean(values), jnp.std(values, ddof=1))
