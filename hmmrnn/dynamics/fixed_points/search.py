"""The search for fixed points as far as it needs no host: descents, and runs without noise."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from hmmrnn.arrays import Key
from hmmrnn.dynamics.fixed_points.descent import EndPoints, end_points
from hmmrnn.dynamics.fixed_points.rest import relax
from hmmrnn.errors import InputError
from hmmrnn.nets import Network
from hmmrnn.recordings.recorder import driven_runs, has_variance

START_STEPS = 80
"""Steps that lead to a start, after the warm-up."""
QUIET_STEPS = 1_000


class Search(NamedTuple):
    """A search from P starts, on the device."""

    starts: Float[Array, "P N"]
    known: Bool[Array, ""]  # whether the runs that they come from have a variance
    found: EndPoints  # where the descent on q led
    quiet: Float[Array, "P N"]  # where the network goes without noise
    quiet_residual: Float[Array, " P"]  # |F(h) - h| there
    at_rest: EndPoints  # those places, finished


def search(network: Network, key: Key, n_starts: int) -> Search:
    """The search of `fixed_points` as far as it needs no host; vmap it over networks.

    Raises:
        InputError: no start.
    """
    if n_starts < 1:
        raise InputError(f"n_starts={n_starts}: at least 1")
    key_runs, _ = jax.random.split(key)
    keys = jax.random.split(key_runs, n_starts)
    states = driven_runs(network, START_STEPS, keys).states
    starts = states[:, -1]
    found = end_points(network, starts)
    return settle(network, starts, found)._replace(known=has_variance(states))


def settle(network: Network, starts: Float[Array, "P N"], found: EndPoints) -> Search:
    """Run the starts without noise, and finish the places where they come to rest."""
    quiet, residual = relax(network, starts, QUIET_STEPS)
    at_rest = end_points(network, quiet, found.scale)
    return Search(starts, jnp.asarray(True), found, quiet, residual, at_rest)
