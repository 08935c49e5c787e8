"""The one simulator: everything that runs a network calls `rollout`, for one trajectory.

`vmap` adds batch, seeds, noise levels and units. Interventions are data, so that a baseline and an
ablation differ in an argument, not in code.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from hmmrnn.arrays import Key, Params, Scalar
from hmmrnn.errors import InputError
from hmmrnn.nets import cells
from hmmrnn.nets.cells import Gates, RNNCell
from hmmrnn.nets.emission import sample_symbols
from hmmrnn.nets.noise import white_noise

Intervention = Gates
"""Gains and offsets with shape () or (N,) for all steps alike, or (T, N) for each step."""

NO_INTERVENTION = Intervention()

GENERATION_BATCH = 1024
"""Sequences simulated at once by `generate`: bounds its memory whatever the number asked for."""


class Trajectory(NamedTuple):
    """One run of a network."""

    states: Float[Array, "T N"]  # h_1 .. h_T
    logits: Float[Array, "T K"]


def rollout(
    cell: RNNCell,
    params: Params,
    h0: Float[Array, " N"],
    noise: Float[Array, "T D"],
    intervention: Intervention = NO_INTERVENTION,
) -> Trajectory:
    """Run the network from h0 under `noise` (already scaled by its standard deviation).

    Raises:
        InputError: an intervention for another number of steps.
    """
    n_steps = noise.shape[0]
    for name, gate in intervention._asdict().items():
        if jnp.ndim(gate) == 2 and len(gate) != n_steps:
            raise InputError(f"{name} is given for {len(gate)} steps, the noise for {n_steps}")

    def tick(h: Array, x: tuple[Array, Array]) -> tuple[Array, Array]:
        t, drive = x
        gates = jax.tree.map(lambda gate: gate[t] if jnp.ndim(gate) == 2 else gate, intervention)
        h = cells.step(cell, params, h, drive, gates)
        return h, h

    times = jnp.arange(n_steps)
    _, states = jax.lax.scan(tick, h0, (times, cells.drive(cell, params, noise)))
    return Trajectory(states, cells.readout(cell, params, states))


def simulate(
    cell: RNNCell,
    params: Params,
    noise_std: Scalar,
    n_steps: int,
    key: Key,
    intervention: Intervention = NO_INTERVENTION,
) -> Trajectory:
    """One trajectory of `n_steps` steps under fresh noise x_t = noise_std * z_t, z_t ~ N(0, I)."""
    key_state, key_noise = jax.random.split(key)
    noise = noise_std * white_noise(key_noise, (n_steps, cell.noise_dim))
    return rollout(cell, params, cells.initial_state(cell, key_state), noise, intervention)


@partial(jax.jit, static_argnames=("cell", "n_sequences", "n_steps"))
def generate(
    cell: RNNCell,
    params: Params,
    noise_std: Scalar,
    n_sequences: int,
    n_steps: int,
    key: Key,
    intervention: Intervention = NO_INTERVENTION,
) -> Int[Array, "B T"]:
    """Symbols of `n_sequences` independent sequences; states are not kept."""

    def one(key: Key) -> Array:
        key_run, key_emission = jax.random.split(key)
        logits = simulate(cell, params, noise_std, n_steps, key_run, intervention).logits
        return sample_symbols(logits, key_emission)

    n_batches = -(-n_sequences // GENERATION_BATCH)
    keys = jax.random.split(key, (n_batches, -(-n_sequences // n_batches)))
    return jax.lax.map(jax.vmap(one), keys).reshape(-1, n_steps)[:n_sequences]
