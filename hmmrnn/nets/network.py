"""A network: a cell, its parameters and its noise level, with all that it does.

The one simulator is here: everything that runs a network calls `Network.run`. It runs one
trajectory, or a batch of them side by side; `vmap` adds seeds, noise levels and units.
Interventions are data, so that a baseline and an ablation differ in an argument, not in code.
"""

import math
from dataclasses import dataclass, fields, replace
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from hmmrnn.arrays import Key, Keys, Params, Scalar
from hmmrnn.errors import InputError
from hmmrnn.nets.cells import Gates, RNNCell, apply, starts
from hmmrnn.nets.emission import sample_symbols
from hmmrnn.nets.noise import white_noise
from hmmrnn.results import brief, result
from hmmrnn.storage import digest

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


@result
class Trajectory(NamedTuple):
    """One run of a network, or a batch of runs."""

    states: Float[Array, "T *B N"]  # h_1 .. h_T
    logits: Float[Array, "T *B K"]


@partial(
    jax.tree_util.register_dataclass,
    data_fields=["params", "noise_std"],
    meta_fields=["cell"],
)
@dataclass(frozen=True, eq=False, repr=False)
class Network:
    """A recurrent network under white noise.

    A pytree whose leaves are the parameters and the noise level: `jax.jit` compiles once for each
    cell, and `jax.vmap` runs many networks of one cell side by side. What the cell computes, and
    what each gate of an intervention means, is said in `RNNCell`. Trained and planted networks are
    networks with more to them; analyses take any.
    """

    params: Params  # flat: W_in (N, D), W_rec (N, N), W_out (K, N), biases if the cell has them
    noise_std: Scalar
    cell: RNNCell

    def __repr__(self) -> str:
        cell, level = self.cell, brief(self.noise_std)
        sizes = f"{cell.noise_dim} inputs, {cell.hidden_size} units, {cell.n_symbols} symbols"
        return f"{type(self).__name__}({cell.activation}, {sizes}, noise_std={level})"

    @property
    def digest(self) -> str:
        """A short name of its parameters, noise level and cell, which files of analyses carry."""
        sizes = [f"{x.name}={getattr(self.cell, x.name)}" for x in fields(self.cell) if x.init]
        cell = " ".join(x for x in sizes if not x.startswith(("parent=", "name=")))
        rest = {"noise_std": np.float32(self.noise_std), "cell": np.array(cell)}
        return digest({**self.params, **rest})

    @property
    def bare(self) -> "Network":
        """The network alone: one that was trained has its history too, which nothing runs."""
        return Network(dict(self.params), self.noise_std, self.cell)

    @property
    def hidden_size(self) -> int:
        """Hidden units, N."""
        return self.cell.hidden_size

    @property
    def noise_dim(self) -> int:
        """Dimensions of the input, D."""
        return self.cell.noise_dim

    @property
    def n_symbols(self) -> int:
        """Output symbols, K."""
        return self.cell.n_symbols

    @property
    def homogeneous(self) -> bool:
        """Whether h(s x) = s h(x) for every s > 0: scaling all noise scales all states."""
        return self.cell.homogeneous

    @property
    def piecewise_linear(self) -> bool:
        """Whether a step is affine in each region where the same units are active."""
        return self.cell.piecewise_linear

    @property
    def leak(self) -> float:
        """Share of the state that is new in each step."""
        return self.cell.leak

    def replace(self, *, noise_std: Scalar | None = None, **params: Array) -> "Network":
        """The same network with another noise level or other parameters.

        A W_in with another number of columns makes it one that hears so many inputs.
        """
        cell = self.cell
        if "W_in" in params and params["W_in"].shape[-1] != cell.noise_dim:
            cell = cell.clone(noise_dim=params["W_in"].shape[-1])
        level = self.noise_std if noise_std is None else noise_std
        return replace(self, params={**self.params, **params}, noise_std=level, cell=cell)

    def drive(self, x: Float[Array, "*T D"]) -> Float[Array, "*T N"]:
        """Drive W_in x of the noise (or of any input) x."""
        return apply(self.cell, self.params, "drive", x)

    def step(
        self,
        h: Float[Array, "*B N"],
        drive: Float[Array, "*B N"] | float = 0.0,
        gates: Gates = NO_INTERVENTION,
    ) -> Float[Array, "*B N"]:
        """One step from state h under the drive W_in x; a drive of 0 is no input."""
        return apply(self.cell, self.params, "step", h, drive, gates)

    def preactivation(
        self, h: Float[Array, "*B N"], drive: Float[Array, "*B N"] | float = 0.0
    ) -> Float[Array, "*B N"]:
        """What each unit receives in the step from state h, W_rec h + W_in x + b."""
        return apply(self.cell, self.params, "preactivation", h, drive, NO_INTERVENTION)

    def readout(self, h: Float[Array, "*T N"]) -> Float[Array, "*T K"]:
        """Logits of hidden states."""
        return apply(self.cell, self.params, "readout", h)

    def initial_state(self, keys: Keys) -> Float[Array, "*B N"]:
        """h_0 for each of the keys (*B): zero, or the activation of a standard normal draw."""
        return starts(self.cell, keys)

    def noise(self, keys: Keys, n_steps: int) -> Float[Array, "T *B D"]:
        """x_t = noise_std * z_t, z_t ~ N(0, I), of `n_steps` steps for each of the keys (*B)."""
        return self.noise_std * white_noise(keys, n_steps, self.noise_dim)

    def run(
        self,
        h0: Float[Array, "*B N"],
        noise: Float[Array, "T *B D"],
        intervention: Intervention = NO_INTERVENTION,
    ) -> Trajectory:
        """Run from h0 under `noise` (already scaled by its standard deviation) or other inputs.

        A batch run this way is faster than under `vmap`, above all its gradient. Where an
        intervention has three axes, the second one is 1 or that of the batch.

        Raises:
            InputError: h0 of another batch than the noise, or an intervention for another number
                of steps or runs.
        """
        if h0.shape[:-1] != noise.shape[1:-1]:
            raise InputError(f"h0 has shape {h0.shape}, which does not fit noise of {noise.shape}")
        # numbers stay numbers: the compiler drops a gain of 1 that it sees, not one in an array
        intervention = jax.tree.map(
            lambda gate: gate if isinstance(gate, float | int) else jnp.asarray(gate), intervention
        )
        _check(intervention, noise.shape[:-1])
        streamed = math.prod(noise.shape[:-1]) * self.hidden_size > STREAMED

        def tick(h: Array, x: tuple[Array, Array]) -> tuple[Array, tuple[Array, Array | None]]:
            t, driving = x
            gates = jax.tree.map(lambda gate: gate[t] if jnp.ndim(gate) > 1 else gate, intervention)
            logits = self.readout(h) if streamed else None
            h = self.step(h, self.drive(driving) if streamed else driving, gates)
            return h, (h, logits)

        drive = noise if streamed else self.drive(noise)
        last, (states, before) = jax.lax.scan(tick, h0, (jnp.arange(len(noise)), drive))
        if before is None:
            return Trajectory(states, self.readout(states))
        # The readout of h_{t-1} in step t shares what its gradient and that of W_rec keep of a run.
        return Trajectory(states, jnp.concatenate([before[1:], self.readout(last)[None]]))

    def simulate(
        self, n_steps: int, keys: Keys, intervention: Intervention = NO_INTERVENTION
    ) -> Trajectory:
        """Trajectories of `n_steps` steps from h_0 under fresh noise.

        One for each of the keys (*B); what a key gives does not depend on the others.
        """
        split = jax.vmap(jax.random.split, out_axes=1)(keys.reshape(-1))
        keys_state, keys_noise = split.reshape(2, *keys.shape)
        noise = self.noise(keys_noise, n_steps)
        return self.run(self.initial_state(keys_state), noise, intervention)

    def generate(
        self,
        n_sequences: int,
        n_steps: int,
        key: Key,
        intervention: Intervention = NO_INTERVENTION,
    ) -> Int[Array, "B T"]:
        """Symbols of `n_sequences` independent sequences; states are not kept."""
        return _generated(self.bare, n_sequences, n_steps, key, intervention)


@partial(jax.jit, static_argnames=("n_sequences", "n_steps"))
def _generated(
    network: Network, n_sequences: int, n_steps: int, key: Key, intervention: Intervention
) -> Int[Array, "B T"]:
    def batch(keys: Keys) -> Array:
        keys_run, keys_emission = jax.vmap(jax.random.split, out_axes=1)(keys)
        runs = network.simulate(n_steps, keys_run, intervention)
        return jax.vmap(sample_symbols, in_axes=(1, 0))(runs.logits, keys_emission)

    n_batches = -(-n_sequences // GENERATION_BATCH)
    keys = jax.random.split(key, (n_batches, -(-n_sequences // n_batches)))
    return jax.lax.map(batch, keys).reshape(-1, n_steps)[:n_sequences]


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
