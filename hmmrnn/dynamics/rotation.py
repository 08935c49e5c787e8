"""Net rotation: how often a state turns around the centre of a plane, per pair of transitions.

A point has a phase, its angle around the origin of the plane. One net turn for each pair of
transitions between symbols is an orbit; going back and forth between two symbols changes the phase
as much, and takes it back again.
"""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

TURN = 2 * np.pi


def phase(points: Float[Array, "*B T 2"]) -> Float[Array, "*B T"]:
    """Angle around the origin in rad, unwrapped: continuous over turns, anticlockwise positive."""
    every = jnp.ones(points.shape[:-1], bool)
    start = jnp.arctan2(points[..., :1, 1], points[..., :1, 0])
    return start + jnp.cumsum(phase_steps(points, every), axis=-1)


def phase_steps(points: Float[Array, "*B T 2"], valid: Bool[Array, "*B T"]) -> Float[Array, "*B T"]:
    """Angle from the point before to each point, in (-pi, pi); zero at the first and over gaps."""
    angles = jnp.where(valid[..., 1:] & valid[..., :-1], _angles(points), 0.0)
    return jnp.concatenate([jnp.zeros_like(points[..., :1, 0]), angles], axis=-1)


def net_turns(points: Float[Array, "*B T 2"]) -> Float[Array, "*B"]:
    """Signed number of turns around the origin: the angles of all steps over 2 pi."""
    return jnp.sum(_angles(points), axis=-1) / TURN


def turns_per_pair(turns: np.ndarray, n_transitions: np.ndarray) -> np.ndarray:
    """|Net turns| over half the number of transitions, NaN without any (means or sums of both)."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(n_transitions > 0, np.abs(turns) / (n_transitions / 2), np.nan)


def _angles(points: Float[Array, "*B T 2"]) -> Float[Array, "*B T-1"]:
    """From each point to the next; a step straight through the origin turns to neither side."""
    x, y = points[..., 0], points[..., 1]
    cross = x[..., :-1] * y[..., 1:] - y[..., :-1] * x[..., 1:]
    dot = x[..., :-1] * x[..., 1:] + y[..., :-1] * y[..., 1:]
    return jnp.where(cross != 0, jnp.arctan2(cross, dot), 0.0)
