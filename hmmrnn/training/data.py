"""Target sequences for the loss: a fixed set as in the paper, or fresh ones at every step."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from hmmrnn.arrays import Key
from hmmrnn.hmm import sample_batch
from hmmrnn.training.config import TrainConfig


class FixedData(NamedTuple):
    """Symbols of the fixed set; empty with fresh data."""

    train: Int[Array, "B T"]
    validation: Int[Array, "B T"]


def make_data(config: TrainConfig, key: Key) -> FixedData:
    """Draw the fixed set and split it in thirds; the last third is never seen in training."""
    if config.data.source == "fresh":
        empty = jnp.zeros((0, config.data.n_steps), jnp.int8)
        return FixedData(empty, empty)
    _, symbols = sample_batch(config.hmm, config.data.n_sequences, config.data.n_steps, key)
    third = config.data.n_sequences // 3
    return FixedData(*(symbols[i * third : (i + 1) * third].astype(jnp.int8) for i in range(2)))


def fresh_batch(config: TrainConfig, key: Key) -> Float[Array, "B T K"]:
    """One-hot sequences drawn from the HMM for one step."""
    _, symbols = sample_batch(config.hmm, config.train.batch_size, config.data.n_steps, key)
    return one_hot(config, symbols)


def one_hot(config: TrainConfig, symbols: Int[Array, "B T"]) -> Float[Array, "B T K"]:
    """Symbols as unit vectors."""
    return jax.nn.one_hot(symbols, config.hmm.n_symbols)
