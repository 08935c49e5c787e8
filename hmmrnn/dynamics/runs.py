"""Noise-driven runs of a network: what the analyses of its dynamics look at."""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from hmmrnn.arrays import Key, Keys
from hmmrnn.dynamics.transitions import preferred_symbols, transitions
from hmmrnn.errors import DivergingNetworkError, InputError
from hmmrnn.nets import Network
from hmmrnn.results import result

WARM_UP = 20
"""Steps before the first one that is looked at (Torre et al. 2025)."""


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
    runs = network.simulate(WARM_UP + n_steps, keys)
    states, logits = (jnp.swapaxes(x[WARM_UP:], 0, 1) for x in runs)
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
