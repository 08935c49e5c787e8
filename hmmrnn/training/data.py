"""Target sequences for the loss: a fixed set as in the paper, or fresh ones at every step.

Sequences of data that end before `data.n_steps` are padded with -1, which is zero one-hot.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from hmmrnn.arrays import Key
from hmmrnn.losses import Generated, Transport, own_term
from hmmrnn.training.config import TrainConfig

VALIDATION_BATCHES = 2
"""Of windows of data, at most, spread evenly over the validation part."""


class OwnTerms(NamedTuple):
    """What `own_term` makes of the batches of a fixed set, which come again in every epoch."""

    train: Transport | None  # (full batches,); None with fresh sequences
    rest: Transport | None  # of the last, smaller batch, if there is one
    validation: Transport | None  # (full batches,)


class FixedData(NamedTuple):
    """Symbols of the fixed set, empty with fresh ones of an HMM; of data those to cut from."""

    train: Int[Array, "B L"]
    validation: Int[Array, "b T"]
    own: OwnTerms | None = None  # where the loss has such terms


def make_data(config: TrainConfig, key: Key) -> FixedData:
    """Draw the fixed set and split it in thirds; the last third is never seen in training."""
    n_fixed = config.data.n_sequences if config.data.source == "fixed" else 0
    most = VALIDATION_BATCHES * config.train.batch_size
    data = FixedData(*config.target.training_set(n_fixed, config.data.n_steps, most, key))
    return data._replace(own=_own_terms(config, data))


def batches(symbols: Int[Array, "B T"], size: int) -> tuple[Int[Array, "n b T"], Int[Array, "r T"]]:
    """A fixed set as full batches in the order of the data, and what is left."""
    full = len(symbols) // size
    return symbols[: full * size].reshape(full, size, -1), symbols[full * size :]


def validation_batches(config: TrainConfig, data: FixedData) -> Int[Array, "n b T"]:
    """The full batches of what validates."""
    size = min(config.train.batch_size, len(data.validation))
    return batches(data.validation, size)[0]


@jax.jit
def _own_terms(config: TrainConfig, data: FixedData) -> OwnTerms | None:
    term = own_term(config.loss)
    if term is None or not len(data.validation):
        return None

    def of(symbols: Array) -> Transport:
        return term(one_hot(config, symbols))

    train, rest = None, jnp.zeros((0, config.data.n_steps))
    if config.data.source == "fixed":
        full, rest = batches(data.train, config.train.batch_size)
        train = jax.lax.map(of, full)
    return OwnTerms(
        train,
        of(rest) if len(rest) > 1 else None,
        jax.lax.map(of, validation_batches(config, data)),
    )


def step_batch(config: TrainConfig, data: FixedData, key: Key) -> Float[Array, "B T K"]:
    """One-hot target of one step, with fresh data."""
    n_sequences, n_steps = config.train.batch_size, config.data.n_steps
    return one_hot(config, config.target.parts.train.draw(data.train, n_sequences, n_steps, key))


def ended_as(config: TrainConfig, network: Generated, target: Float[Array, "B T K"]) -> Generated:
    """The network's sequences, each zero after the end of the target sequence in the same row."""
    if not config.target.parts.train.padded:
        return network  # all have the same length
    inside = jnp.sum(target, axis=-1, keepdims=True) > 0
    return Generated(*(jnp.where(inside, x, 0.0) for x in network))


def one_hot(config: TrainConfig, symbols: Int[Array, "B T"]) -> Float[Array, "B T K"]:
    """Symbols as unit vectors."""
    return jax.nn.one_hot(symbols, config.target.n_symbols)
