"""Noise sensitivity: how far rollouts from one state spread when part of their noise differs."""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from hmmrnn.arrays import Key, Keys
from hmmrnn.errors import InputError
from hmmrnn.intervals import Estimate, bootstrap_weights
from hmmrnn.nets import Network
from hmmrnn.recordings.residency_times import TRANSITION
from hmmrnn.results import result

MIXES = (0.0, 0.5, 1.0)
"""Shares g of fresh noise: none, half, all (Torre et al. 2025)."""
N_ROLLOUTS = 100
N_STEPS = 6

SENSITIVITY_ZONES = TRANSITION + 1
"""Starts come from clusters, kick-zones and transitions."""


@result
class NoiseSensitivity(NamedTuple):
    """Spread of the rollouts from each start, by G shares of fresh noise and by step."""

    covariance_trace: Float[Array, "*P G T"]  # of the hidden state over rollouts
    distance: Float[Array, "*P G T"]  # to the mean path, mean over rollouts
    start_norm: Float[Array, "*P"]
    n_valid: Int[Array, ""]  # starts without NaN


@result
class ZoneSensitivity(NamedTuple):
    """Means over the starts of one zone, with intervals; (G, T) by share of fresh noise and step.

    Relative: the trace over the squared norm of the start, the distance over its norm. Only these
    compare networks, since weights and noise set the scale of a relu network's states. Between the
    zones of one network they also compare the norms of the starts; the others do not.
    """

    covariance_trace: Estimate
    distance: Estimate
    relative_trace: Estimate
    relative_distance: Estimate
    n_starts: int


@partial(jax.jit, static_argnames="n_starts")
def starts_by_zone(
    states: Float[Array, "P N"], zone: Int[Array, " P"], n_starts: int, key: Key
) -> Float[Array, "Z n N"]:
    """Up to `n_starts` states of clusters, kick-zones and transitions, drawn at random.

    Without replacement; NaN in place of those that a zone does not have.
    """
    n_found = min(n_starts, len(states))

    def draw(z: Array, key: Key) -> Array:
        order = jnp.argsort(jnp.where(zone == z, jax.random.uniform(key, zone.shape), jnp.inf))
        chosen = order[:n_found]
        found = jnp.where((zone[chosen] == z)[:, None], states[chosen], jnp.nan)
        return jnp.pad(found, ((0, n_starts - n_found), (0, 0)), constant_values=jnp.nan)

    keys = jax.random.split(key, SENSITIVITY_ZONES)
    return jax.vmap(draw)(jnp.arange(SENSITIVITY_ZONES), keys)


@partial(jax.jit, static_argnames=("mixes", "n_rollouts", "n_steps"))
def noise_sensitivity(
    network: Network,
    starts: Float[Array, "*P N"],
    key: Key,
    *,
    mixes: tuple[float, ...] = MIXES,
    n_rollouts: int = N_ROLLOUTS,
    n_steps: int = N_STEPS,
) -> NoiseSensitivity:
    """Spread of rollouts under the noise (1 - g) frozen + g fresh (Torre et al. 2025).

    All rollouts of a start share its frozen noise, each has its own fresh noise, the same for all
    shares g. So g = 0 has no spread at all, and in a linear network the covariance is g^2 times
    that of g = 1: the frozen part moves the mean alone. The noise as a whole has the variance
    ((1 - g)^2 + g^2) noise_std^2, half of the full one at g = 1/2.

    Raises:
        InputError: fewer than 2 rollouts, or no step.
    """
    if n_rollouts < 2 or n_steps < 1:
        raise InputError(
            f"n_rollouts={n_rollouts}, n_steps={n_steps}: at least 2 rollouts and 1 step"
        )
    share = jnp.asarray(mixes)[:, None, None]

    def spread(x: tuple[Array, Keys]) -> tuple[Array, Array]:
        start, keys = x
        noise = network.noise(keys, n_steps)
        frozen, fresh = noise[:, None, :1], noise[:, None, 1:]
        mixed = (1 - share) * frozen + share * fresh
        h0 = jnp.broadcast_to(start, (*mixed.shape[1:3], start.shape[-1]))
        paths = network.run(h0, mixed).states
        # Relative to one of them, rollouts that are equal have a mean that is exactly so.
        paths = paths - paths[:, :, :1]
        squares = jnp.sum((paths - jnp.mean(paths, axis=2, keepdims=True)) ** 2, axis=-1)
        trace = jnp.sum(squares, axis=2) / (n_rollouts - 1)
        return trace.T, jnp.mean(jnp.sqrt(squares), axis=2).T

    *shape, N = starts.shape
    flat = starts.reshape(-1, N)
    keys = jax.random.split(key, (len(flat), 1 + n_rollouts))
    trace, distance = jax.lax.map(spread, (flat, keys))
    trace, distance = (x.reshape(*shape, *x.shape[1:]) for x in (trace, distance))
    norm = jnp.linalg.norm(starts, axis=-1)
    valid = jnp.isfinite(trace + distance).all((-2, -1)) & jnp.isfinite(norm)
    trace, distance = (jnp.where(valid[..., None, None], x, jnp.nan) for x in (trace, distance))
    return NoiseSensitivity(trace, distance, norm, jnp.sum(valid))


def sensitivity_by_zone(found: NoiseSensitivity, key: Key) -> list[ZoneSensitivity]:
    """Means over the starts of each zone: `found` is that of `starts_by_zone`, (Z, n, ...).

    Intervals are over starts. They are NaN for fewer than two starts.
    """
    trace, distance = (np.asarray(x, np.float64) for x in (found.covariance_trace, found.distance))
    norm = np.asarray(found.start_norm, np.float64)[..., None, None]
    norm = np.where(norm > 0, norm, np.nan)
    valid = np.all(np.isfinite(trace), axis=(-2, -1))

    def of_zone(z: int, key: Key) -> ZoneSensitivity:
        n_starts = int(valid[z].sum())
        weights = bootstrap_weights(n_starts, key) if n_starts > 1 else np.ones((1, n_starts))
        trace_z, distance_z, norm_z = (x[z][valid[z]] for x in (trace, distance, norm))
        return ZoneSensitivity(
            covariance_trace=_means(trace_z, weights),
            distance=_means(distance_z, weights),
            relative_trace=_means(trace_z / norm_z**2, weights),
            relative_distance=_means(distance_z / norm_z, weights),
            n_starts=n_starts,
        )

    return [of_zone(z, key_zone) for z, key_zone in enumerate(jax.random.split(key, len(trace)))]


def _means(values: Float[np.ndarray, "n G T"], weights: Float[np.ndarray, "R n"]) -> Estimate:
    """The mean over starts for each share of fresh noise and step; NaN without a start."""
    if len(values) == 0:
        values, weights = np.full((1, *values.shape[1:]), np.nan), np.ones((1, 1))
    means = np.einsum("rn,ngt->gtr", weights, values)
    return Estimate.of(np.moveaxis(means, -1, 0))
