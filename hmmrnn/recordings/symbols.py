"""Transitions between preferred symbols, and the steps between them."""

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int


def preferred_symbols(logits: Float[Array, "*P T K"]) -> Int[Array, "*P T"]:
    """The symbol with the largest logit at each step."""
    return jnp.argmax(logits, axis=-1)


def transitions(preferred: Int[Array, "*P T"]) -> Bool[Array, "*P T"]:
    """Whether the preferred symbol differs from the one before; never at the first step."""
    change = preferred[..., 1:] != preferred[..., :-1]
    first = jnp.zeros_like(preferred[..., :1], bool)
    return jnp.concatenate([first, change], axis=-1)


def dwell_moments(changes: Bool[Array, " T"]) -> Float[Array, "3"]:
    """Count, sum and sum of squares of the steps between consecutive transitions."""
    times = jnp.arange(len(changes))
    last = jnp.maximum.accumulate(jnp.where(changes, times, -1))
    before = jnp.concatenate([jnp.array([-1]), last[:-1]])
    complete = changes & (before >= 0)
    dwell = jnp.where(complete, times - before, 0).astype(jnp.float32)
    return jnp.stack([jnp.sum(complete), jnp.sum(dwell), jnp.sum(dwell**2)])
