"""Target sequences for the loss: a fixed set as in the paper, or fresh ones at every step.

Of data, fresh sequences are random windows of the training part, the fixed set is all windows of
it, end to end. Sequences that end before `data.n_steps` are padded with -1, which is zero one-hot.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from hmmrnn.arrays import Key
from hmmrnn.hmm import HMM, sample_batch
from hmmrnn.losses import Generated, Transport, own_term
from hmmrnn.sequences import SymbolSequences, parts_of, windows
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
    data = _sequences(config, key)
    return data._replace(own=_own_terms(config, data))


def batches(symbols: Int[Array, "B T"], size: int) -> tuple[Int[Array, "n b T"], Int[Array, "r T"]]:
    """A fixed set as full batches in the order of the data, and what is left."""
    full = len(symbols) // size
    return symbols[: full * size].reshape(full, size, -1), symbols[full * size :]


def validation_batches(config: TrainConfig, data: FixedData) -> Int[Array, "n b T"]:
    """The full batches of what validates."""
    size = min(config.train.batch_size, len(data.validation))
    return batches(data.validation, size)[0]


def _sequences(config: TrainConfig, key: Key) -> FixedData:
    if isinstance(config.hmm, SymbolSequences):
        return _parts(config, config.hmm)
    if config.data.source == "fresh":
        empty = jnp.zeros((0, config.data.n_steps), jnp.int8)
        return FixedData(empty, empty)
    _, symbols = sample_batch(config.hmm, config.data.n_sequences, config.data.n_steps, key)
    third = config.data.n_sequences // 3
    return FixedData(*(symbols[i * third : (i + 1) * third].astype(jnp.int8) for i in range(2)))


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
    if isinstance(config.hmm, HMM):
        return fresh_batch(config, key)
    n_sequences, n_steps = config.train.batch_size, config.data.n_steps
    return one_hot(config, random_windows(data.train, n_sequences, n_steps, key))


def fresh_batch(config: TrainConfig, key: Key) -> Float[Array, "B T K"]:
    """One-hot sequences drawn from the HMM for one step."""
    _, symbols = sample_batch(config.hmm, config.train.batch_size, config.data.n_steps, key)
    return one_hot(config, symbols)


def random_windows(
    symbols: Int[Array, "S L"], n_windows: int, n_steps: int, key: Key
) -> Int[Array, "B T"]:
    """Windows of `n_steps` <= L steps at random places; a shorter sequence is one, padded with -1.

    A sequence of length l is drawn with weight max(1, l / n_steps), the number of windows that it
    fills, so that every step of the data counts about the same.
    """
    key_row, key_start = jax.random.split(key)
    lengths = jnp.sum(symbols >= 0, axis=1)
    weights = jnp.cumsum(jnp.maximum(1.0, lengths / n_steps))
    u = jax.random.uniform(key_row, (n_windows,)) * weights[-1]
    row = jnp.minimum(jnp.searchsorted(weights, u, side="right"), len(weights) - 1)
    latest = jnp.maximum(lengths[row] - n_steps, 0)
    start = jax.random.randint(key_start, (n_windows,), 0, latest + 1)
    return symbols[row[:, None], start[:, None] + jnp.arange(n_steps)]


def ended_as(config: TrainConfig, network: Generated, target: Float[Array, "B T K"]) -> Generated:
    """The network's sequences, each zero after the end of the target sequence in the same row."""
    if isinstance(config.hmm, HMM):
        return network  # all have the same length
    inside = jnp.sum(target, axis=-1, keepdims=True) > 0
    return Generated(*(jnp.where(inside, x, 0.0) for x in network))


def one_hot(config: TrainConfig, symbols: Int[Array, "B T"]) -> Float[Array, "B T K"]:
    """Symbols as unit vectors."""
    return jax.nn.one_hot(symbols, config.hmm.n_symbols)


def _parts(config: TrainConfig, data: SymbolSequences) -> FixedData:
    n_steps, parts = config.data.n_steps, parts_of(data)
    train = parts.train.symbols
    if config.data.source == "fixed":
        train, _ = windows(train, n_steps)
    held, _ = windows(parts.validation.symbols, n_steps)
    most = VALIDATION_BATCHES * config.train.batch_size
    if len(held) > most:
        held = held[np.linspace(0, len(held) - 1, most).astype(int)]
    return FixedData(jnp.asarray(train), jnp.asarray(held))
