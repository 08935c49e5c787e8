"""Where the network settles when its noise is switched off."""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from hmmrnn.nets import Network
from hmmrnn.results import result_without

RELATIVE_TOLERANCE = 1e-3


@result_without("states")
class EndStates(NamedTuple):
    """States after many steps without noise, from P starts."""

    states: Float[Array, "P N"]
    residual: Float[Array, " P"]  # |F(h) - h| at the end, relative to the typical driven |h|
    n_starts: int
    n_settled: int  # starts whose residual is under the tolerance
    n_distinct: int  # different end states among the settled ones
    distance_from_origin: float  # median over the settled ones, relative; NaN if none settled


def end_states(network: Network, starts: Float[Array, "P N"], n_steps: int) -> EndStates:
    """Run every start for `n_steps` steps without noise and compare where they end.

    Lengths are relative to the mean norm of the starts; two end states are the same if they are
    closer than 0.1 % of it. A slow approach counts as not settled: raise `n_steps`.
    """
    return end_states_of(starts, *relax(network, starts, n_steps))


def end_states_of(
    starts: Float[Array, "P N"], states: Float[Array, "P N"], residual: Float[Array, " P"]
) -> EndStates:
    """What `relax` found, counted (host)."""
    scale = float(jnp.mean(jnp.linalg.norm(starts, axis=1)))
    scale = scale if scale > 0 else 1.0
    residual = residual / scale
    settled = np.asarray(residual < RELATIVE_TOLERANCE)
    ends = np.asarray(states, np.float64)[settled] / scale
    return EndStates(
        states=states,
        residual=residual,
        n_starts=len(starts),
        n_settled=int(settled.sum()),
        n_distinct=_count_distinct(ends),
        distance_from_origin=float(np.median(np.linalg.norm(ends, axis=1)))
        if len(ends)
        else float("nan"),
    )


@partial(jax.jit, static_argnames="n_steps")
def relax(
    network: Network, starts: Float[Array, "P N"], n_steps: int
) -> tuple[Float[Array, "P N"], Float[Array, " P"]]:
    """States after `n_steps` steps without noise, and |F(h) - h| there."""

    def one(h: Float[Array, " N"]) -> tuple[Array, Array]:
        end = jax.lax.fori_loop(0, n_steps, lambda _, h: network.step(h, 0.0), h)
        return end, jnp.linalg.norm(network.step(end, 0.0) - end)

    return jax.vmap(one)(starts)


def _count_distinct(ends: np.ndarray) -> int:
    """Number of groups of points closer than the tolerance to the first point of their group."""
    found: list[np.ndarray] = []
    for end in ends:
        if all(np.linalg.norm(end - other) > RELATIVE_TOLERANCE for other in found):
            found.append(end)
    return len(found)
