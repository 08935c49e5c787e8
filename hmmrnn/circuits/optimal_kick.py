"""The push that takes a network over from one cluster to another with the least noise.

A kick is a course of input, added to the noise x of L steps. The best one of a small size follows
the adjoint: the gradient of the readout difference at the last step with respect to the input of
each step. Units that are off in the cluster have no gradient, so the kick is improved at a finite
size, where they are on. Whether it works, and whether real transitions use it, are questions of
their own.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from hmmrnn.arrays import HIGHEST, Key, Params, Scalar
from hmmrnn.interventions import hearing_drives
from hmmrnn.nets import Network
from hmmrnn.results import result

N_STEPS = 10
"""Steps of a kick, L."""
N_ITERATIONS = 15
KICK_NORM = 2.0
"""Size at which the kick is improved, in standard deviations of the noise along it."""
N_SIZES = 16
"""Sizes at which the gradients along the kick are taken."""


@result
class OptimalKick(NamedTuple):
    """The kick from s to t. Shares of units sum to 1; those of the gain may be negative."""

    direction: Float[Array, "L D"]  # of norm 1
    linear: Float[Array, "L D"]  # the first-order one: for a kick of no size
    gain: Float[Array, " iterations"]  # what a kick of the finite size adds to the lead of t
    moved: Float[Array, ""]  # what it adds to z_t - z_s, mean over starts
    consistency: Float[Array, "2"]  # |mean over starts of unit gradients|: at no kick, at the kick
    lag_energy: Float[Array, " L"]  # share of the squared norm in each step, the last one last
    unit_energy: Float[Array, " N"]  # share of what the units receive: sum_t (W_in k_t)_i^2
    unit_gain: Float[Array, " N"]  # share of `moved` that it moves through each unit
    participation: Float[Array, ""]  # (sum of energies)^2 / sum of energies^2, in units
    n_valid: Int[Array, ""]


def difference(logits: Float[Array, "P K"], pair: Int[Array, "2"]) -> Float[Array, " P"]:
    """z_t - z_s."""
    return logits[:, pair[1]] - logits[:, pair[0]]


def lead(logits: Float[Array, "P K"], pair: Int[Array, "2"]) -> Float[Array, " P"]:
    """z_t - max_k z_k: negative until t is preferred, then 0. Near s it is z_t - z_s."""
    return logits[:, pair[1]] - jnp.max(logits, axis=-1)


def readout_adjoint(
    network: Network,
    h0: Float[Array, "P N"],
    pulls: Float[Array, "L P N"],
    pair: Int[Array, "2"],
    readout: Callable = difference,
) -> tuple[Float[Array, " P"], Float[Array, "L P N"]]:
    """`readout` of the logits after L steps under the drives `pulls`, and its gradient with them.

    The gradient with respect to the input of step l is W_in^T times the adjoint of that step.
    """
    driven = hearing_drives(network)

    def last(pulls: Array) -> Array:
        return readout(driven.run(h0, pulls).logits[-1], pair)

    value, back = jax.vjp(last, pulls)
    return value, back(jnp.ones_like(value))[0]


@partial(jax.jit, static_argnames=("n_steps", "n_iterations"))
def optimal_kick(
    network: Network,
    h0: Float[Array, "P N"],
    pair: Int[Array, "2"],
    key: Key,
    *,
    norm: Scalar = KICK_NORM,
    n_steps: int = N_STEPS,
    n_iterations: int = N_ITERATIONS,
) -> OptimalKick:
    """The kick of norm 1 that takes most to symbol t by step L, from states of the cluster of s.

    To first order it is the mean gradient of z_t - z_s. From there
    k <- k + g(r k) / |g(r k)| / (1 + i / 2), scaled to norm 1, where r = norm * noise_std and g is
    the gradient of the lead of t at noise plus kick, mean over starts each with noise of its own.
    Of all k the one with the largest gain is kept. The lead ends at 0; z_t - z_s would grow without
    end, also where a third symbol is preferred. Steps that do not shrink jump between directions.

    Shares of the units in what is moved are integrated gradients along the kick (Sundararajan et
    al. 2017).
    """
    noise = network.noise(jax.random.split(key, len(h0)), n_steps)
    pulls = network.drive(noise)
    size = norm * network.noise_std

    def at(kick: Array, readout: Callable) -> tuple[Array, Array]:
        received = network.drive(kick)[:, None]
        return readout_adjoint(network, h0, pulls + received, pair, readout)

    still = jnp.zeros((n_steps, network.noise_dim))
    base, first = at(still, difference)
    valid = jnp.isfinite(base) & jnp.isfinite(first).all((0, 2))

    def mean(x: Array) -> Array:
        return jnp.sum(jnp.where(valid, x, 0), axis=-1) / jnp.sum(valid)

    def by_unit(adjoint: Array) -> Array:
        return mean(jnp.swapaxes(adjoint, 1, 2))

    def ascent(adjoint: Array) -> Array:
        return _unit(jnp.matmul(by_unit(adjoint), network.params["W_in"], precision=HIGHEST))

    def improve(kick: Array, pace: Array) -> tuple[Array, tuple[Array, Array]]:
        value, adjoint = at(size * kick, lead)
        step = jnp.nan_to_num(ascent(adjoint))  # no gradient where all starts have arrived
        return _unit(kick + pace * step), (kick, mean(value - lead_at_rest))

    linear = ascent(first)
    lead_at_rest = at(still, lead)[0]
    paces = 1 / (1 + jnp.arange(n_iterations + 1) / 2)
    _, (kicks, gain) = jax.lax.scan(improve, linear, paces)
    kick = kicks[jnp.argmax(gain)]
    sizes = size * (jnp.arange(N_SIZES) + 0.5) / N_SIZES
    passed = jnp.mean(jax.lax.map(lambda r: by_unit(at(r * kick, difference)[1]), sizes), axis=0)
    last, adjoint = at(size * kick, difference)
    received = network.drive(kick)
    energy = jnp.sum(received**2, axis=0)
    moved = mean(last - base)
    return OptimalKick(
        direction=kick,
        linear=linear,
        gain=gain,
        moved=moved,
        consistency=jnp.stack([_consistency(network.params, x, valid) for x in (first, adjoint)]),
        lag_energy=jnp.sum(kick**2, axis=1),
        unit_energy=energy / jnp.sum(energy),
        unit_gain=size * jnp.sum(passed * received, axis=0) / moved,
        participation=jnp.sum(energy) ** 2 / jnp.sum(energy**2),
        n_valid=jnp.sum(valid),
    )


def _unit(x: Array) -> Array:
    return x / jnp.linalg.norm(x)


def _consistency(
    params: Params, adjoint: Float[Array, "L P N"], valid: Bool[Array, " P"]
) -> Float[Array, ""]:
    """|mean over starts of g / |g||: 1 if all have the same gradient; 0 counts for no gradient."""
    gradient = jnp.matmul(adjoint, params["W_in"], precision=HIGHEST)
    norm = jnp.sqrt(jnp.sum(gradient**2, axis=(0, 2), keepdims=True))
    unit = jnp.where(valid[:, None] & (norm > 0), gradient / norm, 0)
    return jnp.linalg.norm(jnp.sum(unit, axis=1)) / jnp.sum(valid)
