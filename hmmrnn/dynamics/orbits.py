"""Orbits: how a state turns around the centre of a plane, how fast, how far out, how regularly.

`orbit` sums up each trajectory on any device; `summarise_orbit` makes numbers with intervals of
these sums on the host.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from hmmrnn.arrays import Key
from hmmrnn.dynamics.components import PCA, padded, pca, project
from hmmrnn.dynamics.rotation import TURN, phase_steps, turns_per_pair
from hmmrnn.intervals import Estimate, bootstrap_weights, estimate
from hmmrnn.results import result_without

N_BINS = 24
"""Bins of the phase, 15 degrees each; the first begins at the positive side of PC1."""

Two = tuple[Array, Array]


class OrbitMoments(NamedTuple):
    """Sums over each of B trajectories; steps over a gap in the mask are left out."""

    direction: Float[Array, ""]  # +1 if all together turn anticlockwise, else -1
    turns: Float[Array, " B"]  # net turns, anticlockwise positive
    n_transitions: Int[Array, " B"]
    n_points: Int[Array, " B"]
    radius: Float[Array, "B 2"]  # distance from the centre, and its square
    phase_counts: Float[Array, "B bins"]  # steps that start in the bin
    phase_advance: Float[Array, "B bins"]  # their angles (rad), positive along `direction`
    phase_distance: Float[Array, "B bins"]  # the same without sign
    periods: Float[Array, "B 3"]  # number of completed turns, steps they took, their squares


@result_without("rotation", "advance", "distance", "occupancy")
class Orbit(NamedTuple):
    """The orbit of one network. Intervals are over its trajectories; NaN where nothing counts."""

    rotation: Estimate  # |net turns| per pair of transitions
    direction: float  # +1: anticlockwise
    radius: Estimate  # mean distance from the centre
    radius_cv: Estimate  # its standard deviation over time and trajectories, over its mean
    period: Estimate  # steps for a completed turn along the direction
    period_cv: Estimate  # 0 for a clock; 0.7 for a turn of two stays with geometric lengths
    advance: Estimate  # (bins,) angle per step along the direction (rad), by phase
    distance: Estimate  # (bins,) mean |angle| per step (rad), by phase
    occupancy: Float[np.ndarray, " bins"]  # share of the steps that start in each bin
    n_periods: int
    n_transitions: int
    n_valid: int  # trajectories with at least one pair of transitions


def plane_points(states: Float[Array, "B T N"]) -> tuple[PCA, Float[Array, "B T 2"]]:
    """The plane of the first two principal components, and the states in it.

    A single unit has one component; its second coordinate is zero.
    """
    plane = pca(states, min(2, states.shape[-1]))
    return plane, padded(project(plane, states), 2)


def phase_bins(angles: Float[Array, "*B T"], n_bins: int) -> Int[Array, "*B T"]:
    """The bin of each angle (rad, of any turn); 0 for one that is not finite."""
    share = jnp.mod(jnp.nan_to_num(angles, posinf=0, neginf=0), TURN) / TURN
    return jnp.minimum((share * n_bins).astype(jnp.int32), n_bins - 1)


def binned(
    values: Float[Array, "T *K"], bins: Int[Array, " T"], n_bins: int
) -> Float[Array, "bins *K"]:
    """Sum of the values that fall into each bin."""
    return jnp.zeros((n_bins, *values.shape[1:])).at[bins].add(values)


@partial(jax.jit, static_argnames="n_bins")
def orbit(
    points: Float[Array, "B T 2"],
    changes: Bool[Array, "B T"],
    valid: Bool[Array, "B T"] | None = None,
    *,
    n_bins: int = N_BINS,
) -> OrbitMoments:
    """Sums over trajectories in a plane whose origin is the centre to turn around.

    `changes` says at which steps the preferred symbol differs from the one before. Only steps
    between two neighbours that are both `valid` count, so runs of valid points are segments of
    their own. Points that are not finite, or too large to square, are not valid.

    A period ends when the phase first stands one more turn ahead, along the common direction, of
    where its segment began; turning back and forth on the way ends none. What is unfinished at
    the end of a segment is left out, which favours short periods in short segments.
    """
    squares = jnp.sum(points**2, axis=-1)
    finite = jnp.isfinite(squares)
    valid = finite if valid is None else finite & valid
    radii = jnp.where(valid, jnp.sqrt(squares), 0.0)
    before = jnp.pad(valid[:, :-1], [(0, 0), (1, 0)])
    joined = valid & before
    angles = phase_steps(points, valid)
    turns = jnp.sum(angles, axis=1) / TURN
    direction = jnp.where(jnp.sum(turns) < 0, -1.0, 1.0)
    bins = phase_bins(jnp.arctan2(points[..., 1], points[..., 0]), n_bins)[:, :-1]
    by_phase = jax.vmap(lambda values, b: binned(values[1:], b, n_bins))
    return OrbitMoments(
        direction=direction,
        turns=turns,
        n_transitions=jnp.sum(changes & joined, axis=1),
        n_points=jnp.sum(valid, axis=1),
        radius=jnp.stack([jnp.sum(radii, axis=1), jnp.sum(radii**2, axis=1)], axis=1),
        phase_counts=by_phase(joined.astype(points.dtype), bins),
        phase_advance=by_phase(direction * angles, bins),
        phase_distance=by_phase(jnp.abs(angles), bins),
        periods=jax.vmap(_periods)(direction * angles, joined),
    )


def _periods(advance: Float[Array, " T"], joined: Bool[Array, " T"]) -> Float[Array, "3"]:
    """Number of completed turns, sum and sum of squares of the steps that each one took."""

    def tick(carry: Two, x: Two) -> tuple[Two, Array]:
        ahead, elapsed = carry  # since the segment began or the last turn was completed
        angle, goes_on = x
        ahead = jnp.where(goes_on, ahead + angle, 0.0)
        elapsed = jnp.where(goes_on, elapsed + 1.0, 0.0)
        done = ahead >= TURN
        steps = jnp.where(done, elapsed, 0.0)
        return (jnp.where(done, ahead - TURN, ahead), jnp.where(done, 0.0, elapsed)), steps

    zero = jnp.zeros((), advance.dtype)
    _, steps = jax.lax.scan(tick, (zero, zero), (advance, joined))
    return jnp.stack([jnp.sum(steps > 0), jnp.sum(steps), jnp.sum(steps**2)])


def summarise_orbit(moments: OrbitMoments, key: Key) -> Orbit:
    """Numbers and intervals of one network's orbit, by bootstrap over its trajectories."""
    weights = bootstrap_weights(len(moments.turns), key)
    turning = jnp.stack([moments.turns, moments.n_transitions], axis=1)
    radii = jnp.column_stack([moments.n_points, moments.radius])
    counts, advance, distance = (
        np.asarray(x, np.float64)
        for x in (moments.phase_counts, moments.phase_advance, moments.phase_distance)
    )
    return Orbit(
        rotation=estimate(lambda m: turns_per_pair(m[:, 0], m[:, 1]), turning, weights),
        direction=float(moments.direction),
        radius=estimate(_mean, radii, weights),
        radius_cv=estimate(_cv, radii, weights),
        period=estimate(_mean, moments.periods, weights),
        period_cv=estimate(_cv, moments.periods, weights),
        advance=profile(advance, counts, weights),
        distance=profile(distance, counts, weights),
        occupancy=ratio(counts.sum(axis=0), counts.sum()),
        n_periods=int(moments.periods[:, 0].sum()),
        n_transitions=int(moments.n_transitions.sum()),
        n_valid=int(np.sum(moments.n_transitions >= 2)),
    )


def profile(
    sums: Float[np.ndarray, "B bins *K"],
    counts: Float[np.ndarray, "B bins *K"],
    weights: Float[np.ndarray, "R B"],
) -> Estimate:
    """Sum over count in each bin, with intervals over trajectories."""
    return Estimate.of(ratio(*(np.einsum("rb,b...->r...", weights, x) for x in (sums, counts))))


def ratio(numerator: np.ndarray, denominator: np.ndarray | float) -> np.ndarray:
    """Their quotient, NaN where the denominator is not positive."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(denominator > 0, numerator / denominator, np.nan)


def _mean(moments: np.ndarray) -> np.ndarray:
    return ratio(moments[:, 1], moments[:, 0])


def _cv(moments: np.ndarray) -> np.ndarray:
    """Standard deviation over mean, from count, sum and sum of squares."""
    mean, square = _mean(moments), ratio(moments[:, 2], moments[:, 0])
    with np.errstate(invalid="ignore"):
        return ratio(np.sqrt(np.maximum(square - mean**2, 0)), mean)
