"""Sequences drawn from an HMM: one scan for one sequence, vmapped at the call site."""

from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from hmmrnn.arrays import Key, States, Symbols
from hmmrnn.hmm.model import HMM


@partial(jax.jit, static_argnames="n_steps")
def sample(hmm: HMM, n_steps: int, key: Key) -> tuple[States, Symbols]:
    """Hidden states and symbols, each (T,), of one sequence of length `n_steps`.

    States and symbols invert the cumulative law of their row, so a probability of zero is never
    drawn, whatever the rounding.
    """
    start, step, emit = (
        cumulative(jnp.asarray(p)) for p in (hmm.initial, hmm.transition, hmm.emission)
    )
    uniforms = jax.random.uniform(key, (n_steps, 2))

    def tick(law: Float[Array, " M"], u: Float[Array, "2"]) -> tuple[Array, tuple[Array, Array]]:
        state = invert(law, u[0])
        return step[state], (state, invert(emit[state], u[1]))

    _, (states, symbols) = jax.lax.scan(tick, start, uniforms)
    return states, symbols


@partial(jax.jit, static_argnames=("n_sequences", "n_steps"))
def sample_batch(
    hmm: HMM, n_sequences: int, n_steps: int, key: Key
) -> tuple[Int[Array, "B T"], Int[Array, "B T"]]:
    """States and symbols of `n_sequences` independent sequences."""
    keys = jax.random.split(key, n_sequences)
    return jax.vmap(sample, in_axes=(None, None, 0))(hmm, n_steps, keys)


def cumulative(rows: Float[Array, "*R K"]) -> Float[Array, "*R K"]:
    """Cumulative sums that never fall and end at exactly 1, so that zero probabilities add nothing.

    A parallel sum of many float32 numbers moves by a rounding error also where nothing is added;
    the running maximum over the other entries takes that back.
    """
    total = jnp.where(rows > 0, jnp.cumsum(rows, axis=-1), 0.0)
    total = jax.lax.cummax(total, axis=rows.ndim - 1)
    return total / total[..., -1:]


def invert(law: Float[Array, " K"], u: Float[Array, ""]) -> Int[Array, ""]:
    """The index at which a cumulative law first exceeds u in [0, 1)."""
    return jnp.sum(u >= law).astype(jnp.int32)
