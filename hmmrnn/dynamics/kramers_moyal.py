"""Drift, diffusion and effective potential along one coordinate, from its steps (Kramers-Moyal).

The coordinate is the difference of two logits: its sign says which of the two symbols is preferred.

A step of a network is not infinitesimal. Drift and diffusion are those of one whole step, and the
potential that follows from them is that of a diffusion with the same moments: right to the order
of the share of the distance to the well that one step covers. The potential of the density needs
no such limit, and `second_lag` says how far two steps are from what one step predicts. They differ
when the coordinate alone does not fix its future, such as with fast noise on the readout.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from hmmrnn.intervals import UNKNOWN, Estimate
from hmmrnn.results import result

N_BINS = 48
"""Fewer bins blur wells that are close together in a coordinate with long tails."""

TAIL = 5e-3
"""Share of the samples beyond each end of the bins."""

MIN_COUNT = 100
"""Steps that a bin needs over all trajectories; the others are NaN."""

MIN_BARRIER = 0.2
"""What the interval of a barrier must exceed: a density that dips by less than a fifth has one
well."""


class Moments(NamedTuple):
    """Steps along a coordinate, by trajectory and by the bin that they start from."""

    edges: Float[Array, " E"]  # of the E - 1 bins
    counts: Float[Array, "B X"]
    sum_dx: Float[Array, "B X"]
    sum_dx2: Float[Array, "B X"]
    counts_two: Float[Array, "B X"]  # of pairs of steps
    sum_dx_two: Float[Array, "B X"]


@result
class Wells(NamedTuple):
    """Minima of a potential with a barrier between each and a deeper one."""

    n: int  # 0 where there is no potential
    at: Float[np.ndarray, " W"]  # their coordinates
    barrier: Estimate  # the highest, from its shallower side; NaN with one minimum only
    drift_part: Estimate  # of the same barrier, from -int A / D (in Ito's sense); the rest is log D


@result
class KramersMoyal(NamedTuple):
    """How a coordinate moves, in each bin (X,). Potentials are -log probability, lowest at zero."""

    x: Float[np.ndarray, " X"]  # centres of the bins
    counts: Float[np.ndarray, " X"]
    drift: Estimate  # A(x) = <dx | x>, per step
    diffusion: Estimate  # D(x) = <(dx - A)^2 | x> / 2, per step
    density_potential: Estimate  # -log p(x)
    drift_potential: Estimate  # -int A / D dx + log D
    density_wells: Wells
    drift_wells: Wells
    second_lag: Estimate  # drift of two steps over what one step predicts; 1 for a Markov process
    n_valid: int  # steps that were counted


def readout_difference(
    logits: Float[Array, "B T K"],
    pair: Int[Array, "2"],
    inside: Bool[Array, "B T"] | None = None,
) -> Float[Array, "B T"]:
    """Logit of the first symbol of `pair` minus that of the second, over its standard deviation.

    The deviation is that of the steps `inside`; the scale of a relu network without bias is
    arbitrary. Zero stays where both symbols are equally preferred.
    """
    x = logits[..., pair[0]] - logits[..., pair[1]]
    return x / jnp.std(x, where=jnp.isfinite(x) if inside is None else inside)


def bin_edges(
    x: Float[Array, "B T"], inside: Bool[Array, "B T"] | None = None, n_bins: int = N_BINS
) -> Float[Array, " E"]:
    """Edges of bins of equal width that hold all but `TAIL` of the samples at either end."""
    kept = jnp.isfinite(x) if inside is None else inside & jnp.isfinite(x)
    ends = jnp.nanquantile(jnp.where(kept, x, jnp.nan), jnp.array([TAIL, 1 - TAIL]))
    return jnp.linspace(ends[0], ends[1], n_bins + 1)


@jax.jit
def drift_diffusion(
    x: Float[Array, "B T"], edges: Float[Array, " E"], inside: Bool[Array, "B T"] | None = None
) -> Moments:
    """Count, sum and sum of squares of the steps of x from each bin, for each trajectory.

    Steps count whose ends are both `inside` and finite, and pairs of steps all three of whose
    points are.
    """
    kept = jnp.isfinite(x) if inside is None else inside & jnp.isfinite(x)
    one, two = (
        jax.vmap(lambda path, keep, lag=lag: _sums(path, keep, edges, lag))(x, kept)
        for lag in (1, 2)
    )
    return Moments(edges, one[..., 0], one[..., 1], one[..., 2], two[..., 0], two[..., 1])


def _sums(
    x: Float[Array, " T"], kept: Bool[Array, " T"], edges: Float[Array, " E"], lag: int
) -> Float[Array, "X 3"]:
    """Sums over one trajectory of 1, dx and dx^2 for steps of `lag`."""
    n_bins, n_steps = len(edges) - 1, max(len(x) - lag, 0)
    linked = jnp.stack([kept[i : i + n_steps] for i in range(lag + 1)]).all(axis=0)
    start, dx = x[:n_steps], x[lag:] - x[:n_steps]
    index = jnp.searchsorted(edges, start, side="right") - 1
    counted = linked & (index >= 0) & (index < n_bins)
    powers = jnp.where(counted[:, None], jnp.stack([jnp.ones_like(dx), dx, dx**2], axis=-1), 0.0)
    return jax.ops.segment_sum(powers, jnp.where(counted, index, n_bins), n_bins + 1)[:-1]


def kramers_moyal(moments: Moments, weights: Float[np.ndarray, "R B"]) -> KramersMoyal:
    """Drift, diffusion and potentials with intervals over trajectories (host).

    The stationary density of dx = A dt + sqrt(2 D) dW without current is
    p ~ exp(int A / D dx) / D (Risken 1989, The Fokker-Planck equation, section 5.2). Potentials
    cover the longest run of bins with enough steps.
    """
    edges, *sums = (np.asarray(part, np.float64) for part in moments)
    x, width = (edges[1:] + edges[:-1]) / 2, float(np.mean(np.diff(edges)))
    counts = sums[0].sum(axis=0)
    enough = counts >= MIN_COUNT
    with np.errstate(divide="ignore", invalid="ignore"):
        n, dx, dx2, n_two, dx_two = (np.where(enough, weights @ part, np.nan) for part in sums)
        drift, drift_two = dx / n, dx_two / n_two
        diffusion = np.maximum(dx2 / n - drift**2, 0) / 2
        known = _longest_run(enough & (diffusion[0] > 0))
        density, force, spread = (
            np.where(known, part, np.nan)
            for part in (-np.log(n), _integral(-drift / diffusion, known, width), np.log(diffusion))
        )
    return KramersMoyal(
        x=x,
        counts=counts,
        drift=Estimate.of(drift),
        diffusion=Estimate.of(diffusion),
        density_potential=Estimate.of(_from_lowest(density)),
        drift_potential=Estimate.of(_from_lowest(force + spread)),
        density_wells=find_wells(x, density, force),
        drift_wells=find_wells(x, force + spread, force),
        second_lag=_second_lag(x, n, drift, drift_two),
        n_valid=int(counts.sum()),
    )


def find_wells(
    x: Float[np.ndarray, " X"],
    potential: Float[np.ndarray, "R X"],
    force: Float[np.ndarray, "R X"],
) -> Wells:
    """Wells of a potential: its first row is the value, the others are bootstrap draws.

    The lowest minimum is a well. Another one is a well if the interval of its barrier, from it to
    the highest point on the way to a deeper minimum, lies above `MIN_BARRIER`. `force` is
    -int A / D alone.
    """
    if not np.isfinite(potential[0]).any():
        return Wells(0, np.empty(0), UNKNOWN, UNKNOWN)
    deepest, others = _basins(potential[0])
    rises = [
        tuple(Estimate.of(rows[:, top] - rows[:, bottom]) for rows in (potential, force))
        for bottom, top in others
    ]
    kept = [bottom for (bottom, _), rise in zip(others, rises, strict=True) if _is_high(rise[0])]
    # among barriers that are high enough, if there are any: a noisy one must not stand for them
    shown = [rise for rise in rises if _is_high(rise[0])] or rises
    barrier, part = max(shown, key=lambda rise: rise[0].value, default=(UNKNOWN, UNKNOWN))
    return Wells(1 + len(kept), np.sort(x[[deepest, *kept]]), barrier, part)


def _is_high(barrier: Estimate) -> bool:
    return barrier.low > MIN_BARRIER


def _basins(values: Float[np.ndarray, " X"]) -> tuple[int, list[tuple[int, int]]]:
    """The lowest bin, and (minimum, saddle) of every other minimum, by flooding from below."""
    basin: dict[int, int] = {}  # bin -> its minimum, at the ends of each flooded stretch
    ends: dict[int, tuple[int, int]] = {}  # minimum -> first and last bin of its stretch
    merged = []
    order = [int(i) for i in np.argsort(values) if np.isfinite(values[i])]
    for i in order:
        beside = sorted({basin[j] for j in (i - 1, i + 1) if j in basin}, key=lambda m: values[m])
        if len(beside) == 2:
            merged.append((beside[1], i))
        minimum = beside[0] if beside else i
        stretches = [(i, i), *(ends[m] for m in beside)]
        ends[minimum] = min(s[0] for s in stretches), max(s[1] for s in stretches)
        basin |= dict.fromkeys([i, *ends[minimum]], minimum)
    return order[0], merged


def _longest_run(flags: np.ndarray) -> np.ndarray:
    """Only the longest stretch of neighbouring bins that are set; the first of equal ones."""
    label = np.cumsum(~flags)
    lengths = np.bincount(label[flags], minlength=len(flags) + 1)
    return flags & (label == np.argmax(lengths))


def _integral(slope: np.ndarray, known: np.ndarray, width: float) -> np.ndarray:
    """Integral over bins by trapezoids, from the first known bin."""
    slope = np.where(known, slope, 0.0)
    pieces = width * (slope[:, 1:] + slope[:, :-1]) / 2 * (known[1:] & known[:-1])
    return np.concatenate([np.zeros((len(slope), 1)), np.cumsum(pieces, axis=1)], axis=1)


def _from_lowest(potential: np.ndarray) -> np.ndarray:
    if not np.isfinite(potential[0]).any():
        return potential
    return potential - potential[:, [int(np.nanargmin(potential[0]))]]


def _second_lag(x: np.ndarray, n: np.ndarray, drift: np.ndarray, two: np.ndarray) -> Estimate:
    """Slope of the drift of two steps on A(x) + A(x + A(x)), weighted by counts."""
    known = np.isfinite(drift[0])
    if not known.any():
        return UNKNOWN
    n, drift, two = (np.nan_to_num(part[:, known]) for part in (n, drift, two))
    after = np.stack([np.interp(x[known] + row, x[known], row) for row in drift])
    with np.errstate(invalid="ignore", divide="ignore"):
        return Estimate.of(
            np.sum(n * two * (drift + after), axis=1) / np.sum(n * (drift + after) ** 2, axis=1)
        )
