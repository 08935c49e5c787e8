"""Probability current in a plane: how much of the motion there turns, and never turns back.

Under detailed balance a recording looks the same played backwards, and every current is zero. All
currents here are odd under time reversal, so trajectories that are each reversed at random are the
surrogates.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from hmmrnn.arrays import Key
from hmmrnn.intervals import Estimate, estimate
from hmmrnn.results import result

N_CELLS = 18
"""Cells of the grid along each axis."""

TAIL = 2e-3
"""Share of the points beyond each end of the grid, along each axis."""

MIN_COUNT = 50
"""Points that a cell needs over all trajectories; the others are NaN."""

N_SURROGATES = 999


class FlowSums(NamedTuple):
    """Sums over each of B trajectories in a plane; G cells along each axis."""

    edges: Float[Array, "2 E"]  # of the cells, along each axis
    counts: Float[Array, "B G G"]  # points with a point before and after; the first axis is PC1
    forward: Float[Array, "B G G 2"]  # sum of z_{t+1} - z_t
    square: Float[Array, "B G G"]  # sum of |z_{t+1} - z_t|^2
    centred: Float[Array, "B G G 2"]  # sum of (z_{t+1} - z_{t-1}) / 2
    covariance: Float[Array, "B 2 2"]  # sum of (z_t z_t' + z_{t+1} z_{t+1}') / 2
    lagged: Float[Array, "B 2 2"]  # sum of z_{t+1} z_t'


@result
class Flow(NamedTuple):
    """Mean motion in a plane. Cells with too few points are NaN; the first axis is PC1."""

    edges: Float[np.ndarray, "2 E"]
    counts: Float[np.ndarray, "G G"]
    drift: Float[np.ndarray, "G G 2"]  # <z_{t+1} - z_t | z_t>, per step
    diffusion: Float[np.ndarray, "G G"]  # <|z_{t+1} - z_t - drift|^2 | z_t> / 4, per step
    current: Float[np.ndarray, "G G 2"]  # J = p <z_{t+1} - z_{t-1} | z_t> / 2, p of the cell
    current_p: float  # how often reversed surrogates have as much of it
    share: Estimate  # of the linear flow that turns: 0 in detailed balance, 1 for pure rotation
    share_reversed: float  # 95 % of the surrogates have less
    share_p: float
    turn: Estimate  # radians per step, anticlockwise positive
    n_valid: int  # points in the cells


@partial(jax.jit, static_argnames="n_cells")
def flow_sums(
    points: Float[Array, "B T 2"], inside: Bool[Array, "B T"] | None = None, n_cells: int = N_CELLS
) -> FlowSums:
    """Sums of the motion in a plane, between points that are finite and `inside`.

    The current velocity of Nelson (1966, Derivation of the Schroedinger equation from Newtonian
    mechanics) is the mean of the steps to and from a point; it is zero everywhere in detailed
    balance, also for steps that are not small. Counted in cells as in Battle et al. (2016, Broken
    detailed balance at mesoscopic scales in active biological systems).
    """
    finite = jnp.isfinite(points).all(axis=-1)
    kept = finite if inside is None else inside & finite
    shown = jnp.where(kept[..., None], points, jnp.nan).reshape(-1, 2)
    low, high = jnp.nanquantile(shown, jnp.array([TAIL, 1 - TAIL]), axis=0)
    edges = jnp.linspace(low, high, n_cells + 1, axis=1)
    points = jnp.where(kept[..., None], points, 0.0)
    return FlowSums(edges, *jax.vmap(partial(_one_flow, edges))(points, kept))


def _one_flow(
    edges: Float[Array, "2 E"], z: Float[Array, "T 2"], kept: Bool[Array, " T"]
) -> tuple[Array, ...]:
    """The sums of one trajectory."""
    n = edges.shape[1] - 1
    forward, linked = z[1:] - z[:-1], (kept[1:] & kept[:-1])[:, None, None]
    column, row = (
        jnp.searchsorted(edges[i], z[1:-1, i], side="right", method="compare_all") - 1
        for i in (0, 1)
    )
    inner = kept[:-2] & kept[1:-1] & kept[2:]
    counted = inner & (column >= 0) & (column < n) & (row >= 0) & (row < n)
    terms = (jnp.ones_like(z[1:-1, :1]), forward[1:], jnp.sum(forward[1:] ** 2, 1)[:, None])
    parts = jnp.concatenate([*terms, (forward[1:] + forward[:-1]) / 2], axis=1)
    cell = jnp.where(counted, column * n + row, n * n)
    parts = jnp.where(counted[:, None], parts, 0.0)
    sums = jax.ops.segment_sum(parts, cell, n * n + 1)[:-1].reshape(n, n, 6)
    before, after = z[:-1, :, None], z[1:, :, None]
    products = (before * z[:-1, None] + after * z[1:, None]) / 2, after * z[:-1, None]
    covariance, lagged = (jnp.sum(jnp.where(linked, xy, 0.0), axis=0) for xy in products)
    return sums[..., 0], sums[..., 1:3], sums[..., 3], sums[..., 4:], covariance, lagged


def flow(sums: FlowSums, weights: Float[np.ndarray, "R B"], key: Key) -> Flow:
    """Drift, diffusion, current and its rotational share, with intervals and surrogates (host)."""
    edges, counts, forward, square, centred, covariance, lagged = (
        np.asarray(part, np.float64) for part in sums
    )
    key_share, key_current = jax.random.split(key)
    total = counts.sum(axis=0)
    enough = total >= MIN_COUNT
    with np.errstate(divide="ignore", invalid="ignore"):
        n = np.where(enough, total, np.nan)
        drift = forward.sum(axis=0) / n[..., None]
        diffusion = (square.sum(axis=0) / n - np.sum(drift**2, axis=-1)) / 4
        share, turn = rotational_share(covariance, lagged, weights)
        reversed_p, share_reversed = _reversed_share(covariance, lagged, key_share)
    # |J|^2 / p of all cells, as one sum of squares
    odd = centred[:, enough] / np.sqrt(total[enough])[:, None]
    return Flow(
        edges=edges,
        counts=total,
        drift=drift,
        diffusion=diffusion,
        current=np.where(enough[..., None], centred.sum(axis=0), np.nan) / max(total.sum(), 1),
        current_p=reversal_p(odd.reshape(len(odd), -1), key_current),
        share=share,
        share_reversed=share_reversed,
        share_p=reversed_p,
        turn=turn,
        n_valid=int(total.sum()),
    )


def rotational_share(
    covariance: Float[np.ndarray, "B 2 2"],
    lagged: Float[np.ndarray, "B 2 2"],
    weights: Float[np.ndarray, "R B"],
) -> Estimate:
    """Share of rotation in the linear flow, and radians per step (2,).

    With C_0 = <z z'> and C_1 = <z_{t+1} z_t'>, whitened to A = C_0^-1/2 C_1 C_0^-1/2:

        l = tr A / 2 + i (A_21 - A_12) / 2,  share = (arg l)^2 / ((arg l)^2 + (log |l|)^2)

    A is symmetric in detailed balance, so the share is 0. For z_{t+1} = r R(w) z_t + noise, however
    shaped by a linear map of the plane, l = r exp(i w): the share is w^2 / (w^2 + log(r)^2), of the
    squared norm of the generator log(r) I + w [[0, -1], [1, 0]], and 1 for r = 1. The antisymmetric
    part is twice the angular momentum of the current (Zia & Schmittmann 2007, Probability currents
    as principal characteristics in the statistical mechanics of non-equilibrium steady states).
    Opposite whirls cancel in it; they show in the current of the cells.
    """

    def statistic(means: np.ndarray) -> np.ndarray:
        real, odd = _real_and_odd(means[:, 0], means[:, 1])
        return np.stack([_share(real, odd), np.arctan2(odd, real)], axis=1)

    return estimate(statistic, jnp.stack([covariance, lagged], axis=1), weights)


def reversal_p(odd: Float[np.ndarray, "B F"], key: Key) -> float:
    """How often trajectories, each reversed at random, have as large a sum of squares.

    `odd` are sums over each trajectory of F quantities that change sign under time reversal; the
    statistic is |sum over trajectories|^2. NaN without any. B trajectories have 2^(B - 1)
    different surrogates, so p says little for B < 8.
    """
    observed = float(np.sum(odd.sum(axis=0) ** 2))
    if not observed > 0:
        return np.nan
    drawn = np.sum((_signs(len(odd), key) @ odd) ** 2, axis=1)
    return float((1 + np.sum(drawn >= observed * (1 - 1e-9))) / (1 + N_SURROGATES))


def _signs(n_trajectories: int, key: Key) -> Float[np.ndarray, "R B"]:
    signs = jax.random.rademacher(key, (N_SURROGATES, n_trajectories))
    return np.asarray(signs, np.float64)


def _reversed_share(covariance: np.ndarray, lagged: np.ndarray, key: Key) -> tuple[float, float]:
    """How often surrogates have as large a share, and the share that 95 % of them stay below."""
    odd = (lagged[:, 1, 0] - lagged[:, 0, 1])[:, None]
    whole = covariance.sum(axis=0, keepdims=True)
    real, _ = _real_and_odd(whole, lagged.sum(axis=0, keepdims=True))
    scale = 2 * np.sqrt(np.linalg.det(whole))
    drawn = _share(real, np.abs(_signs(len(odd), key) @ odd)[:, 0] / scale)
    p = reversal_p(odd, key)
    return p, float(np.quantile(drawn, 0.95)) if np.isfinite(drawn).all() else np.nan


def _real_and_odd(covariance: np.ndarray, lagged: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Real and imaginary part of l, for leading axes of matrices; NaN where C_0 is singular."""
    (a, b), (c, d) = np.moveaxis(covariance, (-2, -1), (0, 1))
    (p, q), (r, s) = np.moveaxis(lagged, (-2, -1), (0, 1))
    area = a * d - b * c
    area = np.where(area > 1e-12 * (a + d) ** 2, area, np.nan)
    return (d * p - b * r - c * q + a * s) / (2 * area), (r - q) / (2 * np.sqrt(area))


def _share(real: np.ndarray, odd: np.ndarray) -> np.ndarray:
    turn, decay = np.arctan2(odd, real), np.log(np.hypot(real, odd))
    return turn**2 / (turn**2 + decay**2)
