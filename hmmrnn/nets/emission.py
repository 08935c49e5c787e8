"""From logits to symbols: exact sampling, and a sample that lets gradients through."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from hmmrnn.arrays import Key


def straight_through(
    logits: Float[Array, "*T K"], temperature: float, key: Key
) -> Float[Array, "*T K"]:
    """Exactly one-hot samples of softmax(logits) whose gradient is that of the relaxed sample.

    y = onehot(argmax(logits + g)), dy = d softmax((logits + g) / temperature), g ~ Gumbel(0, 1)
    (Jang, Gu & Poole 2017, section 2.2).
    """
    perturbed = logits + jax.random.gumbel(key, logits.shape, logits.dtype)
    soft = jax.nn.softmax(perturbed / temperature, axis=-1)
    hard = jax.nn.one_hot(jnp.argmax(perturbed, axis=-1), logits.shape[-1], dtype=logits.dtype)
    return hard + (soft - jax.lax.stop_gradient(soft))  # the bracket is exactly zero


def sample_symbols(logits: Float[Array, "*T K"], key: Key) -> Int[Array, "*T"]:
    """One symbol from softmax(logits) at each step; -1 where the logits are not finite."""
    symbols = jax.random.categorical(key, logits, axis=-1)
    return jnp.where(jnp.all(jnp.isfinite(logits), axis=-1), symbols, -1)
