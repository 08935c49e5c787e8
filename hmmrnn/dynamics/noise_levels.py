"""How far the state moves at different noise levels.

Torre et al. 2025 report that the radius of the orbit grows in proportion to the noise. Without
bias and with relu that is an identity, not a finding: f(s a) = s f(a) for s > 0, so the same noise
scaled by s gives the same states scaled by s, from a silent start.
"""

from dataclasses import replace
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from scipy.ndimage import gaussian_filter

from hmmrnn.arrays import HIGHEST, Key, Keys, Scalar
from hmmrnn.dynamics.components import PCA, padded
from hmmrnn.dynamics.orbits import plane_points, ratio
from hmmrnn.intervals import Estimate, bootstrap_weights, estimate, estimates
from hmmrnn.nets import Network
from hmmrnn.recordings.recorder import driven_runs
from hmmrnn.results import result

LEVELS = (0.1, 1.0, 2.0, 3.0, 4.0)
"""Standard deviations of the noise (Torre et al. 2025, who call them variances)."""

N_CELLS = 40
MARGIN = 0.15  # of the extent, on each side of the grid
MASS = 0.9


class NoiseRuns(NamedTuple):
    """B trajectories of T steps at each of V noise levels, with the same noise but for its size."""

    plane: PCA  # of the states at noise level 1
    points: Float[Array, "V B T 2"]  # along the axes of that plane; the silent state is the origin
    radius: Float[Array, "V B"]  # mean distance in the plane from the mean of the level's states


@result
class RadiusFit(NamedTuple):
    """radius = intercept + slope * noise level, by least squares; intervals over trajectories."""

    levels: Float[np.ndarray, " V"]
    radius: Estimate  # (V,)
    slope: Estimate
    intercept: Estimate
    r_squared: Estimate
    by_construction: bool  # whether the network is homogeneous


@result
class Region(NamedTuple):
    """Where points lie: a density on a grid, and the smallest region with most of its mass."""

    x: Float[np.ndarray, " G"]  # middles of the cells
    y: Float[np.ndarray, " G"]
    density: Float[np.ndarray, "G G"]  # first axis x
    threshold: float  # the region is where the density is at least this
    area: float  # of the region; NaN for points that do not move or are not finite
    mass: float  # share of the points in the region


@partial(jax.jit, static_argnames="n_steps")
def scaling_error(network: Network, scale: Scalar, n_steps: int, keys: Keys) -> Float[Array, " B"]:
    """Largest |h(s x) - s h(x)| over the largest |s h(x)|, for each of the keys (B,).

    Zero but for rounding in a homogeneous network that forgets; NaN in one that never leaves zero.
    """
    scaled, states = (
        network.replace(noise_std=s).simulate(n_steps, keys).states for s in (scale, 1.0)
    )
    error = jnp.max(jnp.abs(scaled - scale * states), axis=(0, 2))
    size = jnp.max(jnp.abs(scale * states), axis=(0, 2))
    return jnp.where(size > 0, error / size, jnp.nan)


@partial(jax.jit, static_argnames="n_steps")
def radius_by_noise(
    network: Network, levels: Float[Array, " V"], n_steps: int, keys: Keys
) -> NoiseRuns:
    """Runs at each noise level for each of the keys (B,), in the plane at noise level 1."""
    plane, _ = plane_points(driven_runs(network.replace(noise_std=1.0), n_steps, keys).states)

    def at(level: Array) -> tuple[Array, Array]:
        states = driven_runs(network.replace(noise_std=level), n_steps, keys).states
        points = padded(jnp.matmul(states, plane.axes.T, precision=HIGHEST), 2)
        away = points - jnp.mean(points, axis=(0, 1))
        return points, jnp.mean(jnp.hypot(away[..., 0], away[..., 1]), axis=1)

    return NoiseRuns(plane, *jax.lax.map(at, levels))


def fit_radius(
    levels: Float[Array, " V"], radius: Float[Array, "V B"], network: Network, key: Key
) -> RadiusFit:
    """The straight line through the mean radii. Resamples trajectories, all levels of one at once.

    NaN with fewer than two levels; R^2 is NaN where the radius is the same at all levels.
    """
    noise = np.asarray(levels, np.float64)
    weights = bootstrap_weights(radius.shape[1], key)
    slope, intercept, r_squared = estimate(partial(_line, noise), radius.T, weights)
    return RadiusFit(
        levels=noise,
        radius=estimates(_itself, radius, weights),
        slope=slope,
        intercept=intercept,
        r_squared=replace(r_squared, high=min(r_squared.high, 1.0)),
        by_construction=network.homogeneous,
    )


def _itself(means: np.ndarray) -> np.ndarray:
    return means


def _line(noise: np.ndarray, radii: np.ndarray) -> Float[np.ndarray, "R 3"]:
    """Slope, intercept and R^2 of each row of radii (R, V) over the noise levels."""
    x = noise - noise.mean()
    y = radii - radii.mean(axis=1, keepdims=True)
    slope = ratio(y @ x, np.sum(x**2))
    rest = np.sum((y - slope[:, None] * x) ** 2, axis=1)
    intercept = radii.mean(axis=1) - slope * noise.mean()
    return np.stack([slope, intercept, 1 - ratio(rest, np.sum(y**2, axis=1))], axis=1)


def occupied_region(
    points: Float[np.ndarray, "P 2"],
    *,
    n_cells: int = N_CELLS,
    smoothing: float = 1.0,
    mass: float = MASS,
) -> Region:
    """The smallest region that holds a share `mass` of the points, on a grid around them.

    A histogram of n_cells x n_cells, smoothed by a Gaussian kernel of `smoothing` cells.
    """
    finite = np.asarray(points, np.float64)[np.isfinite(points).all(axis=1)]
    blank = np.full((n_cells, n_cells), np.nan)
    if len(finite) == 0 or np.ptp(finite, axis=0).max() == 0:
        return Region(blank[0], blank[0], blank, np.nan, np.nan, np.nan)
    low, high = np.quantile(finite, [0.001, 0.999], axis=0)
    widths = np.where(high > low, high - low, np.max(high - low))  # points on a line
    widths = np.where(widths > 0, widths, np.ptp(finite, axis=0).max())
    edges = np.linspace(low - MARGIN * widths, low + (1 + MARGIN) * widths, n_cells + 1)
    counts, _, _ = np.histogram2d(finite[:, 0], finite[:, 1], bins=(edges[:, 0], edges[:, 1]))
    cell = float(np.prod(edges[1] - edges[0]))
    density = gaussian_filter(counts, smoothing, mode="constant") / (len(finite) * cell)
    falling = np.sort(density, axis=None)[::-1]
    held = np.cumsum(falling) * cell
    last = int(np.searchsorted(held, min(mass, held[-1])))
    last = min(last, len(falling) - 1)
    middles = (edges[1:] + edges[:-1]) / 2
    return Region(
        x=middles[:, 0],
        y=middles[:, 1],
        density=density,
        threshold=float(falling[last]),
        area=float((last + 1) * cell),
        mass=float(held[last]),
    )
