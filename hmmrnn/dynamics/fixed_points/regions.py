"""Fixed points of relu networks, exact up to rounding: solved within each linear region.

Where D = diag(W_rec h + b > 0) stays the same, a step is affine, F(h) = D (W_rec h + b). The only
fixed point that its formula has is h* = (I - D W_rec)^-1 D b. It is one of the network if it lies
in that region itself. A leak l makes the step (1-l) h + l D (W_rec h + b), with the same h*.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from hmmrnn.dynamics.fixed_points.descent import in_chunks
from hmmrnn.dynamics.spectra import jacobian
from hmmrnn.errors import InputError
from hmmrnn.linear_algebra import solve
from hmmrnn.nets import Network
from hmmrnn.results import result

TOLERANCE = 1e-5
"""A unit may be on the wrong side of its kink by this share of the length of h*."""


@result
class RegionPoints(NamedTuple):
    """The fixed points of P linear regions; NaN where the equations have no single solution."""

    points: Float[Array, "*P N"]
    consistent: Bool[Array, "*P"]  # h* is in its region, and so is a fixed point of the network


@partial(jax.jit, static_argnames="chunk")
def region_points(
    network: Network, states: Float[Array, "P N"], *, chunk: int = 256
) -> RegionPoints:
    """The fixed point of the region that each state lies in, for `chunk` of them side by side.

    Without bias that is the origin, for every region.

    Raises:
        InputError: a cell that is not piecewise linear, no state, or a chunk below 1.
    """
    return in_chunks(lambda h: fixed_point_of_region(network, h), states, chunk)


def fixed_point_of_region(network: Network, h: Float[Array, " N"]) -> RegionPoints:
    """The fixed point h* of the affine map that holds at h, and whether it is one of the network.

    It is if F(h*) = h*: an active unit that should be silent would have h*_i < 0, which relu does
    not give back, and a silent one that should be active would have F(h*)_i > 0 = h*_i. A unit
    whose pre-activation is 0 counts as silent, as in the derivative of relu. A leak l only makes
    F(h*) - h* smaller, l times, which is taken out again.

    Raises:
        InputError: a cell that is not piecewise linear.
    """
    if not network.piecewise_linear:
        raise InputError(f"activation={network.cell.activation!r}: only relu has linear regions")
    active = network.preactivation(h, 0.0) > 0
    offset = network.leak * jnp.where(active, network.params.get("b_rec", 0.0), 0.0)
    point = solve(jnp.eye(len(h)) - jacobian(network, h), offset)
    point = jnp.where(jnp.all(jnp.isfinite(point)), point, jnp.nan)
    missed = jnp.max(jnp.abs(network.step(point, 0.0) - point)) / network.leak
    return RegionPoints(point, missed <= TOLERANCE * jnp.max(jnp.abs(point)))
