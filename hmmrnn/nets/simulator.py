"""The one simulator: everything that runs a network calls `rollout`.

It runs one trajectory, or a batch of them side by side; `vmap` adds seeds, noise levels and units.
Interventions are data, so that a baseline and an ablation differ in an argument, not in code.
"""

import math
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from hmmrnn.arrays import Key, Keys, Params, Scalar
from hmmrnn.errors import InputError
from hmmrnn.nets import cells
from hmmrnn.nets.cells import Gates, RNNCell
from hmmrnn.nets.emission import sample_symbols
from hmmrnn.nets.noise import white_noise

Intervention = Gates
"""Gains and offsets: () or (N,) for all steps, (T, N) for each, (T, B, N) for each step and run."""

NO_INTERVENTION = Intervention()

GENERATION_BATCH = 1024
"""Sequences simulated at once by `generate`: bounds its memory whatever the number asked for."""


STREAMED = 1 << 22
"""Numbers of all hidden states (T B N) above which drive and logits are computed step by step.

At once they are fewer and larger products; step by step they never leave the cache, and a gradient
keeps the states once instead of three times, which is faster where memory has to be asked for.
"""


class Trajectory(NamedTuple):
    """One run of a network, or a batch of runs."""

    states: Float[Array, "T *B N"]  # h_1 .. h_T
    logits: Float[Array, "T *B K"]


def rollout(
    cell: RNNCell,
    params: Params,
    h0: Float[Array, "*B N"],
    noise: Float[Array, "T *B D"],
    intervention: Intervention = NO_INTERVENTION,
) -> Trajectory:
    """Run the network from h0 under `noise` (already scaled by its standard deviation).

    A batch run this way is faster than under `vmap`, above all its gradient. Where an intervention
    has three axes, the second one is 1 or that of the batch.

    Raises:
        InputError: h0 of another batch than the noise, or an intervention for another number of
            steps or runs.
    """
    if h0.shape[:-1] != noise.shape[1:-1]:
        raise InputError(f"h0 has shape {h0.shape}, which does not fit noise of {noise.shape}")
    # numbers stay numbers: the compiler drops a gain of 1 that it sees, not one in an array
    intervention = jax.tree.map(
        lambda gate: gate if isinstance(gate, float | int) else jnp.asarray(gate), intervention
    )
    _check(intervention, noise.shape[:-1])

    streamed = math.prod(noise.shape[:-1]) * cell.hidden_size > STREAMED

    def tick(h: Array, x: tuple[Array, Array]) -> tuple[Array, tuple[Array, Array | None]]:
        t, driving = x
        gates = jax.tree.map(lambda gate: gate[t] if jnp.ndim(gate) > 1 else gate, intervention)
        logits = cells.readout(cell, params, h) if streamed else None
        driving = cells.drive(cell, params, driving) if streamed else driving
        h = cells.step(cell, params, h, driving, gates)
        return h, (h, logits)

    drive = noise if streamed else cells.drive(cell, params, noise)
    last, (states, before) = jax.lax.scan(tick, h0, (jnp.arange(len(noise)), drive))
    if before is None:
        return Trajectory(states, cells.readout(cell, params, states))
    # The readout of h_{t-1} in step t shares what its gradient and that of W_rec keep of a run.
    return Trajectory(
        states, jnp.concatenate([before[1:], cells.readout(cell, params, last)[None]])
    )


def _check(intervention: Intervention, steps_and_runs: tuple[int, ...]) -> None:
    n_steps, *n_runs = steps_and_runs
    for name, gate in intervention._asdict().items():
        ndim = jnp.ndim(gate)
        one_batch = ndim == 3 and len(n_runs) == 1 and gate.shape[1] in (1, *n_runs)
        if ndim > 2 and not one_batch:
            raise InputError(
                f"{name} has shape {gate.shape}, not (), (N,), (T, N) or (T, B, N) with "
                f"T, B = {steps_and_runs}; use vmap"
            )
        if ndim > 1 and len(gate) != n_steps:
            raise InputError(f"{name} is given for {len(gate)} steps, the noise for {n_steps}")


def simulate(
    cell: RNNCell,
    params: Params,
    noise_std: Scalar,
    n_steps: int,
    keys: Keys,
    intervention: Intervention = NO_INTERVENTION,
) -> Trajectory:
    """Trajectories of `n_steps` steps under fresh noise x_t = noise_std * z_t, z_t ~ N(0, I).

    One for each of the keys (*B); what a key gives does not depend on the others.
    """
    split = jax.vmap(jax.random.split, out_axes=1)(keys.reshape(-1))
    keys_state, keys_noise = split.reshape(2, *keys.shape)
    noise = noise_std * white_noise(keys_noise, n_steps, cell.noise_dim)
    return rollout(cell, params, cells.initial_state(cell, keys_state), noise, intervention)


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

    def batch(keys: Keys) -> Array:
        keys_run, keys_emission = jax.vmap(jax.random.split, out_axes=1)(keys)
        runs = simulate(cell, params, noise_std, n_steps, keys_run, intervention)
        return jax.vmap(sample_symbols, in_axes=(1, 0))(runs.logits, keys_emission)

    n_batches = -(-n_sequences // GENERATION_BATCH)
    keys = jax.random.split(key, (n_batches, -(-n_sequences // n_batches)))
    return jax.lax.map(batch, keys).reshape(-1, n_steps)[:n_sequences]
