"""Where the readout looks: emission along the phase of an orbit, readout axes beside its plane."""

from functools import partial
from itertools import combinations
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from hmmrnn.arrays import HIGHEST, Key
from hmmrnn.dynamics.components import PCA, project
from hmmrnn.dynamics.orbits import N_BINS, binned, phase_bins, profile, ratio
from hmmrnn.intervals import Estimate, bootstrap_weights, estimate
from hmmrnn.results import result, result_without


class EmissionMoments(NamedTuple):
    """Sums over each of B trajectories."""

    counts: Float[Array, "B bins"]  # points in each bin of phase
    sums: Float[Array, "B bins K"]  # of the emission probabilities there
    squares: Float[Array, "B K"]  # of the emission probabilities, over all bins


@result_without("probability", "occupancy")
class Emission(NamedTuple):
    """Emission probabilities along the phase; intervals are over trajectories."""

    probability: Estimate  # (bins, K)
    occupancy: Float[np.ndarray, " bins"]  # share of the points in each bin
    explained: Estimate  # share of the variance of the probabilities between bins of phase
    n_valid: int  # trajectories with at least one point that counts


@result
class AxisGeometry(NamedTuple):
    """How M directions of state space lie to a plane; NaN for a direction of length zero."""

    share: Float[Array, " M"]  # |P w|^2 / |w|^2: 1 in the plane, 0 orthogonal to it
    angle: Float[Array, " M"]  # degrees between w and the plane: 0 in the plane
    projection: Float[Array, "M 2"]  # coordinates of P w along the axes of the plane


@result
class ReadoutAxes(NamedTuple):
    """The readout beside the plane of an orbit.

    What all symbols share drops out of a softmax, so rows without their mean and differences of
    two rows are what the emission depends on.
    """

    symbols: AxisGeometry  # the K rows of W_out
    centred: AxisGeometry  # the K rows without their mean
    pairs: AxisGeometry  # w_i - w_j for all i < j, in the order of `symbol_pairs`
    chance: Float[Array, ""]  # mean share of a random direction, 2 / N


@result
class CarriedVariance(NamedTuple):
    """How much of the variance of the readout along given states passes through the plane."""

    pairs: Float[Array, " M"]  # of each difference of two logits, i < j; NaN if it never varies
    total: Float[Array, ""]  # of all differences together


@partial(jax.jit, static_argnames="n_bins")
def emission_by_phase(
    phases: Float[Array, "B T"],
    logits: Float[Array, "B T K"],
    valid: Bool[Array, "B T"] | None = None,
    *,
    n_bins: int = N_BINS,
) -> EmissionMoments:
    """Softmax of the logits by bin of phase (rad, of any turn); what is not finite is left out."""
    finite = jnp.isfinite(phases) & jnp.isfinite(logits).all(axis=-1)
    valid = finite if valid is None else finite & valid
    emission = jax.nn.softmax(jnp.where(valid[..., None], logits, 0.0), axis=-1)
    emission = jnp.where(valid[..., None], emission, 0.0)
    by_phase = jax.vmap(partial(binned, n_bins=n_bins))
    bins = phase_bins(phases, n_bins)
    return EmissionMoments(
        counts=by_phase(valid.astype(logits.dtype), bins),
        sums=by_phase(emission, bins),
        squares=jnp.sum(emission**2, axis=1),
    )


def summarise_emission(moments: EmissionMoments, key: Key) -> Emission:
    """Mean emission in each bin and the share of its variance that the phase explains."""
    counts, sums = (np.asarray(x, np.float64) for x in (moments.counts, moments.sums))
    weights = bootstrap_weights(len(counts), key)
    bins, symbols = sums.shape[1:]
    every = [moments.counts, moments.sums.reshape(len(counts), -1), moments.squares]

    def explained(means: np.ndarray) -> np.ndarray:
        n, s, q = np.split(means, [bins, bins * (1 + symbols)], axis=1)
        s = s.reshape(-1, bins, symbols)
        total = n.sum(axis=1)
        overall = ratio(s.sum(axis=1), total[:, None]) ** 2
        between = np.nansum(ratio(s**2, n[..., None]), axis=(1, 2))
        spread = ratio(q.sum(axis=1), total) - overall.sum(axis=1)
        steady = spread <= 1e-6  # the squares have single precision
        return np.where(steady, np.nan, ratio(ratio(between, total) - overall.sum(axis=1), spread))

    return Emission(
        probability=profile(sums, np.repeat(counts[..., None], symbols, axis=2), weights),
        occupancy=ratio(counts.sum(axis=0), counts.sum()),
        explained=estimate(explained, jnp.concatenate(every, axis=1), weights),
        n_valid=int(np.sum(counts.sum(axis=1) > 0)),
    )


def symbol_pairs(n_symbols: int) -> list[tuple[int, int]]:
    """All i < j, in the order of the results."""
    return list(combinations(range(n_symbols), 2))


@jax.jit
def readout_axes(W_out: Float[Array, "K N"], plane: PCA) -> ReadoutAxes:
    """Share, angle and projection of the readout's rows and of their differences."""
    return ReadoutAxes(
        symbols=axis_geometry(W_out, plane),
        centred=axis_geometry(W_out - jnp.mean(W_out, axis=0), plane),
        pairs=axis_geometry(_differences(W_out), plane),
        chance=jnp.minimum(2 / W_out.shape[1], 1.0),
    )


def axis_geometry(directions: Float[Array, "M N"], plane: PCA) -> AxisGeometry:
    """How each direction lies to the plane of the first two components."""
    axes = plane.axes[:2]
    inside = jnp.matmul(directions, axes.T, precision=HIGHEST)
    outside = directions - jnp.matmul(inside, axes, precision=HIGHEST)
    within, off = (jnp.linalg.norm(x, axis=1) for x in (inside, outside))
    length = within**2 + off**2
    some = length > 0
    share = jnp.where(some, within**2 / jnp.where(some, length, 1.0), jnp.nan)
    angle = jnp.where(some, jnp.degrees(jnp.arctan2(off, within)), jnp.nan)
    return AxisGeometry(share, angle, jnp.pad(inside, [(0, 0), (0, 2 - inside.shape[1])]))


@jax.jit
def carried_variance(
    W_out: Float[Array, "K N"], plane: PCA, states: Float[Array, "B T N"]
) -> CarriedVariance:
    """Variance of (w_i - w_j) . P (h - mean) over that of (w_i - w_j) . h, along the states."""
    differences = _differences(W_out)
    flat = PCA(plane.mean, plane.axes[:2], plane.explained[:2])
    weights = jnp.matmul(differences, flat.axes.T, precision=HIGHEST)
    inside = jnp.matmul(project(flat, states), weights.T, precision=HIGHEST)
    every = jnp.matmul(states - plane.mean, differences.T, precision=HIGHEST)
    carried, total = (jnp.var(x, axis=(0, 1)) for x in (inside, every))
    return CarriedVariance(_quotient(carried, total), _quotient(carried.sum(), total.sum()))


def _quotient(part: Float[Array, "*M"], whole: Float[Array, "*M"]) -> Float[Array, "*M"]:
    return jnp.where(whole > 0, part / jnp.where(whole > 0, whole, 1.0), jnp.nan)


def _differences(W_out: Float[Array, "K N"]) -> Float[Array, "M N"]:
    first, second = np.triu_indices(len(W_out), 1)
    return W_out[first] - W_out[second]
