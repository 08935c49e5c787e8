"""Transitions between preferred symbols, and how much the state turns between them."""

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


def net_cycles(plane: Float[Array, "*P T 2"]) -> Float[Array, "*P"]:
    """Signed number of turns around the origin of the plane, anticlockwise positive.

    Sum of the angles from each point to the next, each between -pi and pi, over 2 pi.
    """
    x, y = plane[..., 0], plane[..., 1]
    cross = x[..., :-1] * y[..., 1:] - y[..., :-1] * x[..., 1:]
    dot = x[..., :-1] * x[..., 1:] + y[..., :-1] * y[..., 1:]
    return jnp.sum(jnp.arctan2(cross, dot), axis=-1) / (2 * jnp.pi)


def dwell_moments(changes: Bool[Array, " T"]) -> Float[Array, "3"]:
    """Count, sum and sum of squares of the steps between consecutive transitions."""
    times = jnp.arange(len(changes))
    last = jnp.maximum.accumulate(jnp.where(changes, times, -1))
    before = jnp.concatenate([jnp.array([-1]), last[:-1]])
    complete = changes & (before >= 0)
    dwell = jnp.where(complete, times - before, 0).astype(jnp.float32)
    return jnp.stack([jnp.sum(complete), jnp.sum(dwell), jnp.sum(dwell**2)])
