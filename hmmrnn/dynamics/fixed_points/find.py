"""Which fixed and slow points a network has, how many starts lead to each, and which are stable."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Complex, Float, Int
from scipy.stats import binomtest

from hmmrnn.arrays import Key, Scalar
from hmmrnn.dynamics.components import PCA, pca, project
from hmmrnn.dynamics.fixed_points.descent import (
    FIXED,
    INVALID,
    SLOW,
    UNFINISHED,
    EndPoints,
)
from hmmrnn.dynamics.fixed_points.rest import RELATIVE_TOLERANCE, end_states_of
from hmmrnn.dynamics.fixed_points.search import Search, search, settle
from hmmrnn.dynamics.spectra import spectra_along
from hmmrnn.intervals import LEVEL, Estimate
from hmmrnn.nets import Network
from hmmrnn.programs import keep_programs_of
from hmmrnn.recordings.recorder import expect_variance
from hmmrnn.results import result_without

SAME = 1e-2
"""Points closer than this share of the mean norm of the starts are one point."""

N_SHOWN = 30
"""Distinct points whose stability is looked at: those that most starts lead to."""

N_NEARBY = 32
NEARBY_STEPS = 400
APPROACH_STEPS = 20
HOME = 1e-2
"""A nearby state is back when this share of the distance is left."""

AT_KINK = 1e-5
"""A relu unit is at its kink if its pre-activation is below this share of the mean norm."""


@result_without("points", "eigenvalues", "plane", "starts_in_plane", "points_in_plane")
class FixedPoints(NamedTuple):
    """G distinct end points, fixed ones first, then by the number of starts that lead to them.

    Fixed points have two counts. `n_found`: starts from which the descent on q ended there.
    `n_attracted`: starts from which the network, left without noise, ended there; only this one
    says what attracts. Intervals (Clopper & Pearson 1934) take the starts for independent.
    """

    points: Float[np.ndarray, "G N"]
    fixed: Bool[np.ndarray, " G"]  # or else slow: q has a minimum above zero
    n_found: Int[np.ndarray, " G"]
    n_attracted: Int[np.ndarray, " G"]
    attracted: Estimate  # (G,) share of the starts
    q: Float[np.ndarray, " G"]
    residual: Float[np.ndarray, " G"]  # |F(h) - h|, relative to `scale`
    from_origin: Float[np.ndarray, " G"]  # norm, relative to `scale`
    at_kink: Bool[np.ndarray, " G"]  # F has no derivative there: a relu unit at exactly zero
    eigenvalues: Complex[np.ndarray, "G N"]  # of the Jacobian; at a kink, of that beside it
    n_unstable: Float[np.ndarray, " G"]  # eigenvalues outside of the unit circle
    returns: Float[np.ndarray, " G"]  # share of nearby states that come back without noise
    stable: Bool[np.ndarray, " G"]  # fixed, all come back, and (but at a kink) none is unstable
    n_starts: int
    n_valid: int  # starts whose end point is finite
    n_fixed: int  # starts that the descent led to a fixed point
    n_slow: int  # to a slow point
    n_settled: int  # starts that come to rest without noise
    n_points: int  # distinct points before the rare ones are left out
    scale: float  # mean norm of the starts
    plane: PCA  # for a picture
    starts_in_plane: Float[np.ndarray, "P 2"]
    points_in_plane: Float[np.ndarray, "G 2"]


def find_fixed_points(
    network: Network, key: Key, *, n_starts: int = 1_000, plane: PCA | None = None
) -> FixedPoints:
    """Find the fixed and slow points of a network without input from states of driven runs.

    Each start is the last state of a run of its own, so that the starts are independent.
    `plane` is for the picture; by default it is that of the starts.

    Raises:
        InputError: no start, or hidden states that are not finite.
    """
    network = network.bare
    keep_programs_of(network.cell)
    return fixed_points_of(network, search(network, key, n_starts), key, plane)


def fixed_points_of(
    network: Network, found: Search, key: Key, plane: PCA | None = None
) -> FixedPoints:
    """What a search found, grouped (host); `key` is that of the search.

    Raises:
        DivergingNetworkError: hidden states that are not finite.
    """
    expect_variance(found.known)
    _, key_nearby = jax.random.split(key)
    return _grouped(network, found, key_nearby, plane)


def distinct(
    network: Network,
    starts: Float[Array, "P N"],
    found: EndPoints,
    key: Key,
    plane: PCA | None = None,
) -> FixedPoints:
    """Group the end points of `starts`, and see which points attract and which are stable.

    The starts are also run without noise, and the places where they come to rest are finished like
    the others: so what attracts is among the points even if no descent ends there.

    Eigenvalues belong to the Jacobian at the point. At a kink there is none: the origin of relu
    units without bias is a corner of many linear regions, each with its own Jacobian. There,
    stability is decided by simulation (`returns`), and the eigenvalues are those of the
    region that the farthest of the nearby states is in after 20 steps.
    """
    return _grouped(network, settle(network, starts, found), key, plane)


def _grouped(network: Network, search: Search, key: Key, plane: PCA | None) -> FixedPoints:
    """As `distinct`, with the starts already settled."""
    starts, found, at_rest = search.starts, search.found, search.at_rest
    scale = float(found.scale)
    plane = pca(starts, min(2, starts.shape[1])) if plane is None else plane
    quiet = end_states_of(starts, search.quiet, search.quiet_residual)
    settled = np.asarray(quiet.residual) < RELATIVE_TOLERANCE
    points, q, residual, kind = (
        np.concatenate([getattr(found, name), getattr(at_rest, name)])
        for name in ("points", "q", "residual", "kind")
    )
    kind[len(starts) :][~settled] = UNFINISHED
    groups = _groups(points / scale, kind, residual)
    n_points, groups = len(groups), groups[:N_SHOWN]
    first = np.array([members[0] for members in groups], int)
    chosen, fixed = points[first], kind[first] == FIXED
    n_attracted = np.zeros(len(chosen), int)
    ends = np.asarray(quiet.states)[settled]
    n_attracted[fixed] = _attracted(ends, chosen[fixed], SAME * scale)
    kink = _at_kink(network, chosen, AT_KINK * scale)
    filled = np.pad(chosen, [(0, _n_filled(len(chosen)) - len(chosen)), (0, 0)])
    near = _nearby(network, jnp.asarray(filled), SAME * scale, key)
    places = np.where(kink[:, None], near.approach[: len(chosen)], chosen)
    spectrum = spectra_along(network, jnp.asarray(places), chunk=1)  # one shape for any G
    returns = np.asarray(near.returns)[: len(chosen)]
    return FixedPoints(
        points=chosen,
        fixed=fixed,
        n_found=np.array([np.sum(members < len(starts)) for members in groups], int),
        n_attracted=n_attracted,
        attracted=Estimate.stack([_share(int(n), len(starts)) for n in n_attracted]),
        q=q[first],
        residual=residual[first],
        from_origin=np.linalg.norm(chosen / scale, axis=1),
        at_kink=kink,
        eigenvalues=spectrum.eigenvalues,
        n_unstable=spectrum.n_unstable,
        returns=returns,
        stable=fixed & (returns == 1) & (kink | (spectrum.n_unstable == 0)),
        n_starts=len(starts),
        n_valid=int(np.sum(found.kind != INVALID)),
        n_fixed=int(np.sum(found.kind == FIXED)),
        n_slow=int(np.sum(found.kind == SLOW)),
        n_settled=quiet.n_settled,
        n_points=n_points,
        scale=scale,
        plane=plane,
        starts_in_plane=_in_plane(plane, starts),
        points_in_plane=_in_plane(plane, jnp.asarray(chosen)),
    )


def _n_filled(n: int) -> int:
    """The next power of two: few shapes to compile for, however many points there are."""
    return 1 << max(n - 1, 0).bit_length()


def _groups(points: np.ndarray, kind: np.ndarray, residual: np.ndarray) -> list[np.ndarray]:
    """Indices of the fixed, then of the slow points that are one: the slowest moving one first."""
    groups: list[np.ndarray] = []
    for wanted in (FIXED, SLOW):
        rest = np.flatnonzero(kind == wanted)
        rest = rest[np.argsort(residual[rest], kind="stable")]
        found = []
        while len(rest):
            near = np.linalg.norm(points[rest] - points[rest[0]], axis=1) < SAME
            found.append(rest[near])
            rest = rest[~near]
        groups += sorted(found, key=lambda members: -len(members))
    return groups


def _attracted(ends: np.ndarray, points: np.ndarray, tolerance: float) -> Int[np.ndarray, " G"]:
    """How many ends are nearest to each point, and closer to it than the tolerance."""
    if len(points) == 0 or len(ends) == 0:
        return np.zeros(len(points), int)
    distance = np.stack([np.linalg.norm(ends - point, axis=1) for point in points], axis=1)
    nearest = np.argmin(distance, axis=1)
    return np.bincount(nearest[np.min(distance, axis=1) < tolerance], minlength=len(points))


def _in_plane(plane: PCA, states: Float[Array, "P N"]) -> Float[np.ndarray, "P 2"]:
    """The first two coordinates of states; a network of one unit has a zero there."""
    places = np.asarray(project(plane, states))[:, :2]
    return np.pad(places, [(0, 0), (0, 2 - places.shape[1])])


def _share(n: int, n_starts: int) -> Estimate:
    bounds = binomtest(n, n_starts).proportion_ci(LEVEL, method="exact")
    return Estimate(n / n_starts, float(bounds.low), float(bounds.high))


class _Nearby(NamedTuple):
    returns: Float[Array, " G"]
    approach: Float[Array, "G N"]  # the farthest of the nearby states, after some steps


@jax.jit
def _nearby(network: Network, points: Float[Array, "G N"], distance: Scalar, key: Key) -> _Nearby:
    """Run states at `distance` from each point, or rather their images, without noise.

    One is back when 1 % of the distance is left, or coming back while what is left, its greatest
    over 100 steps, still shrinks. Images: the states of relu units are never negative.
    """

    def tick(h: Array, _: None) -> tuple[Array, Array]:
        h = network.step(h, 0.0)
        return h, jnp.linalg.norm(h - points[:, None], axis=-1)

    offsets = jax.random.normal(key, (len(points), N_NEARBY, points.shape[1]), points.dtype)
    offsets *= distance / jnp.linalg.norm(offsets, axis=-1, keepdims=True)
    begin = network.step(points[:, None] + offsets, 0.0)
    h, early = jax.lax.scan(tick, begin, length=APPROACH_STEPS)
    _, later = jax.lax.scan(tick, h, length=NEARBY_STEPS - APPROACH_STEPS)
    windows = jnp.concatenate([early, later]).reshape(4, -1, *early.shape[1:]).max(axis=1)
    back = (windows[3] <= HOME * distance) | (windows[3] < (1 - 1e-3) * windows[2])
    farthest = jnp.argmax(early[-1], axis=1)
    return _Nearby(jnp.mean(back, axis=1), h[jnp.arange(len(h)), farthest])


def _at_kink(
    network: Network, points: Float[np.ndarray, "G N"], tolerance: float
) -> Bool[np.ndarray, " G"]:
    """Whether a relu unit that has any input stands at zero."""
    if not network.piecewise_linear:
        return np.zeros(len(points), bool)
    weights = np.asarray(network.params["W_rec"])
    inputs = points @ weights.T + np.asarray(network.params.get("b_rec", 0.0))  # whatever the leak
    return np.any((np.abs(inputs) <= tolerance) & np.any(weights != 0, axis=1), axis=1)
