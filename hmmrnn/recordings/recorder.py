"""The recorder: noise-driven runs of a network, which all measures of a network at work look at."""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from hmmrnn.arrays import Key, Keys
from hmmrnn.errors import DivergingNetworkError, InputError
from hmmrnn.nets import Network
from hmmrnn.recordings.residency_times import residency, zones
from hmmrnn.recordings.symbols import preferred_symbols, transitions
from hmmrnn.results import result

SHORT_WARM_UP = 20
"""Steps before the first one of `driven_runs` (Torre et al. 2025)."""
WARM_UP = 100
"""The same of a recording: several dwell times, so that runs do not remember h_0."""


@result
class Runs(NamedTuple):
    """B runs of T steps of one network, after their warm-up."""

    states: Float[Array, "B T N"]
    logits: Float[Array, "B T K"]
    symbols: Int[Array, "B T"]  # the preferred one: with the largest logit
    changes: Bool[Array, "B T"]  # whether it differs from the step before


@partial(jax.jit, static_argnames="n_steps")
def driven_runs(network: Network, n_steps: int, keys: Keys) -> Runs:
    """One run of `n_steps` steps for each of the keys (B,), after 20 steps of warm-up."""
    runs = network.simulate(SHORT_WARM_UP + n_steps, keys)
    states, logits = (jnp.swapaxes(x[SHORT_WARM_UP:], 0, 1) for x in runs)
    symbols = preferred_symbols(logits)
    return Runs(states, logits, symbols, transitions(symbols))


def finite_runs(network: Network, n_trajectories: int, n_steps: int, key: Key) -> Runs:
    """Runs of a network that an analysis can rely on.

    Raises:
        InputError: fewer than 2 trajectories or steps.
        DivergingNetworkError: hidden states that are not finite, or too large to square.
    """
    if n_trajectories < 2 or n_steps < 2:
        raise InputError(f"n_trajectories={n_trajectories}, n_steps={n_steps}: at least 2 of each")
    keys = jax.random.split(key, n_trajectories)
    runs = driven_runs(network, n_steps, keys)
    expect_finite(runs.states)
    return runs


def expect_finite(states: Float[Array, "B T N"]) -> None:
    """Refuse runs that have no variance.

    Raises:
        DivergingNetworkError: hidden states that are not finite, or too large to square.
    """
    expect_variance(has_variance(states))


@jax.jit
def has_variance(states: Float[Array, "B T N"]) -> Bool[Array, ""]:
    """Whether the states are finite, and small enough to square."""
    return jnp.isfinite(jnp.sum(states**2))


def expect_variance(known: Bool[Array, ""]) -> None:
    """Raise `DivergingNetworkError` unless `has_variance` holds."""
    if not bool(known):
        raise DivergingNetworkError(
            "the hidden states are not finite, or too large to have a variance: "
            "the network diverges under its noise"
        )


@result
class Recording(NamedTuple):
    """B runs of T steps of one network; step t leads from states[:, t - 1] to states[:, t]."""

    states: Float[Array, "B T N"]
    noise: Float[Array, "B T D"]  # x_t, already scaled
    preactivation: Float[Array, "B T N"]  # a_t = W_rec h_{t-1} + W_in x_t + b
    logits: Float[Array, "B T K"]
    symbols: Int[Array, "B T"]  # preferred
    zone: Int[Array, "B T"]  # of residency: 0 cluster, 1 kick-zone, 2 transition, 3 other


def record(network: Network, n_runs: int, n_steps: int, key: Key) -> Recording:
    """Runs of a network under its noise, after 100 steps of warm-up, with their residency zones.

    Raises:
        InputError: no run, or fewer than 2 steps.
        DivergingNetworkError: hidden states that are not finite.
    """
    recording = record_zones(network.bare, n_runs, n_steps, key)
    expect_finite(recording.states)
    return recording


def record_zones(network: Network, n_runs: int, n_steps: int, key: Key) -> Recording:
    """As `record`, whether the states are finite or not; vmap it over networks.

    Raises:
        InputError: no run, or fewer than 2 steps.
    """
    if n_runs < 1 or n_steps < 2:
        raise InputError(f"n_runs={n_runs}, n_steps={n_steps}: at least 1 run of 2 steps")
    key_runs, key_zones = jax.random.split(key)
    keys = jax.random.split(key_runs, n_runs)
    runs = recorded(network, n_steps, keys)
    stay = residency(network, runs.states, key_zones)
    return runs._replace(zone=zones(stay.time, stay.max_probability))


@partial(jax.jit, static_argnames="n_steps")
def recorded(network: Network, n_steps: int, keys: Keys) -> Recording:
    """One run for each of the keys (B,); zones are -1, not known yet."""
    split = jax.vmap(jax.random.split, out_axes=1)(keys)
    noise = network.noise(split[1], WARM_UP + n_steps)
    h0 = network.initial_state(split[0])
    runs = network.run(h0, noise)
    before = jnp.concatenate([h0[None], runs.states[:-1]])
    received = network.preactivation(before, network.drive(noise))
    states, noise, received, logits = (
        jnp.swapaxes(x[WARM_UP:], 0, 1) for x in (runs.states, noise, received, runs.logits)
    )
    symbols = preferred_symbols(logits)
    return Recording(states, noise, received, logits, symbols, jnp.full(symbols.shape, -1))
