"""Fixed points and slow points of a network without input, found by descent on its speed.

From many states that the driven network visits, q(h) = 1/2 |F(h) - h|^2 is made smaller until it
vanishes (a fixed point) or cannot fall any further (a slow point); Newton steps finish what is
close to a fixed point (Sussillo & Barak 2013). The descent goes downhill in q, not along the
dynamics: that a start is led to a point does not mean that the network would go there.

A network of relu units without bias has F(s h) = s F(h) for s > 0. Then q(s h) = s^2 q(h): it
falls along every ray towards the origin, which is a fixed point; no slow point stands anywhere
else; and any other fixed point is one of a whole ray of them.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float, Int

from hmmrnn.arrays import HIGHEST, Scalar
from hmmrnn.errors import InputError
from hmmrnn.linear_algebra import solve
from hmmrnn.nets import Network
from hmmrnn.results import result

FIXED, SLOW, UNFINISHED, INVALID = range(4)
"""Kinds of end points: q vanishes; q > 0 but no way leads down; the steps ran out; not finite."""

RESIDUAL_TOLERANCE = 1e-5
"""A point is fixed if |F(h) - h| is below this share of the mean norm of the starts."""

FLAT = 1e-3
"""q is flat where its gradient (J - I)^T r is shorter than this share of r = F(h) - h."""

MEMORY = 10
"""Pairs of steps and gradients from which L-BFGS estimates the curvature."""

STEP_SIZES = tuple(2.0**-i for i in range(-1, 11))
"""Lengths tried along each direction, all at once; as one product they cost little more than one"""

KINK_REACH = 0.1
KINK_PROBE = 1e-4
MAX_FAILED = 30
"""Where a kink blocks the way: longest half step along it, distance at which the gradient beyond
it is taken, and how many of them are averaged. Lengths are relative to the norm of the starts."""

NEWTON_STEPS = 3
NEWTON_RESIDUAL = 1e-2
NEWTON_REACH = 0.1
"""Newton steps only finish: from a residual below the one, by less than the other.

Where F is affine a Newton step from anywhere lands on the fixed point of that region's formula,
though the region need not hold it: without bias that is the origin, whatever the start.
"""

TINY = 1e-30

Record = TypeVar("Record", bound=tuple)
Map = Callable[[Array], Array]


@result
class EndPoints(NamedTuple):
    """Where the descent from P starts ended. Lengths are relative to `scale`."""

    points: Float[Array, "P N"]
    q: Float[Array, " P"]  # 1/2 |F(h) - h|^2, in units of the states
    residual: Float[Array, " P"]  # |F(h) - h|, relative
    kind: Int[Array, " P"]  # FIXED, SLOW, UNFINISHED or INVALID
    moved: Float[Array, " P"]  # from the start, relative
    moved_by_newton: Float[Array, " P"]  # part of it that the finishing steps did, relative
    n_steps: Int[Array, " P"]  # of the descent
    scale: Scalar

    @property
    def n_valid(self) -> Int[Array, "*S"]:
        """End points that are finite."""
        return jnp.sum(self.kind != INVALID, axis=-1)


def speed(network: Network, h: Float[Array, " N"]) -> Float[Array, ""]:
    """q(h) = 1/2 |F(h) - h|^2, zero at a fixed point (Sussillo & Barak 2013, eq. 1)."""
    return _half_square(network.step(h, 0.0) - h)


def end_points(
    network: Network,
    starts: Float[Array, "P N"],
    scale: Scalar | None = None,
    *,
    n_steps: int = 500,
    chunk: int = 256,
) -> EndPoints:
    """Descend on q from every start for at most `n_steps` steps, then finish by Newton steps.

    Lengths are measured by `scale`, by default the mean norm of the starts. `chunk` starts are
    worked on side by side, which bounds the memory by chunk N^2 numbers.

    Raises:
        InputError: no start, or a chunk below 1.
    """
    scale = mean_norm(starts) if scale is None else jnp.asarray(scale)
    return _find(network, starts, scale, jnp.asarray(n_steps), chunk)


@partial(jax.jit, static_argnames="chunk")
def _find(
    network: Network,
    starts: Float[Array, "P N"],
    scale: Float[Array, ""],
    n_steps: Int[Array, ""],
    chunk: int,
) -> EndPoints:
    def relative(u: Array) -> Array:
        return network.step(scale * u, 0.0) / scale

    def one(start: Float[Array, " N"]) -> EndPoints:
        low = descend(lambda u: _half_square(relative(u) - u), start, n_steps)
        end = _newton(relative, low.point)
        residual = jnp.linalg.norm(relative(end) - end)
        lowest = (low.flatness <= FLAT) | (low.n_failed == MAX_FAILED)
        kind = jnp.where(lowest, SLOW, UNFINISHED)
        kind = jnp.where(residual <= RESIDUAL_TOLERANCE, FIXED, kind)
        kind = jnp.where(jnp.isfinite(residual), kind, INVALID)
        return EndPoints(
            points=scale * end,
            q=0.5 * (scale * residual) ** 2,
            residual=residual,
            kind=kind,
            moved=jnp.linalg.norm(end - start),
            moved_by_newton=jnp.linalg.norm(end - low.point),
            n_steps=low.n_steps,
            scale=scale,
        )

    return in_chunks(one, starts / scale, chunk)._replace(scale=scale)


class Descent(NamedTuple):
    """State of one descent on 1/2 |r|^2, and at its end, its result."""

    point: Float[Array, " N"]
    value: Float[Array, ""]
    gradient: Float[Array, " N"]
    slope: Float[Array, " N"]  # shortest combination of the gradients around the point
    memory: optax.OptState
    n_failed: Int[Array, ""]  # directions in a row without any lower point
    n_steps: Int[Array, ""]

    @property
    def flatness(self) -> Float[Array, ""]:
        """|slope| over |r|: 0 at a minimum above zero."""
        return jnp.linalg.norm(self.slope) / jnp.sqrt(2 * self.value)


def descend(
    objective: Callable[[Array], Array], start: Float[Array, " N"], n_steps: Int[Array, ""]
) -> Descent:
    """Go downhill on `objective` = 1/2 |r|^2 from `start`, to zero or to a local minimum.

    Directions are those of L-BFGS (Liu & Nocedal 1989). Along each the best of a few lengths is
    taken, so that a batch of descents needs no search loop. If none is lower, the way is blocked
    by a kink: a relu unit that changes sides. Then the gradient beyond the kink is averaged in,
    such that the result is as short as possible (conjugate subgradients; Wolfe 1975): it points
    along the kink, or vanishes at a minimum that stands there.
    """
    lbfgs = optax.scale_by_lbfgs(memory_size=MEMORY)
    sizes = jnp.array(STEP_SIZES, start.dtype)
    fresh = lbfgs.init(start)

    def go_on(now: Descent) -> Bool[Array, ""]:
        falling = (2 * now.value > RESIDUAL_TOLERANCE**2) & (now.flatness > 0.1 * FLAT)
        return falling & (now.n_failed < MAX_FAILED) & (now.n_steps < n_steps)

    def move(now: Descent) -> Descent:
        direction, memory = lbfgs.update(now.gradient, now.memory, now.point)
        unit = now.slope / jnp.linalg.norm(now.slope)
        direction = jnp.where(now.n_failed > 0, KINK_REACH * unit, direction)
        trials = now.point - sizes[:, None] * direction
        values = jax.vmap(objective)(trials)
        best = jnp.nanargmin(values)
        lower = values[best] < now.value
        seen = jnp.where(lower, trials[best], now.point - KINK_PROBE * unit)
        value, gradient = jax.value_and_grad(objective)(seen)
        moved = Descent(seen, value, gradient, gradient, memory, jnp.int32(0), now.n_steps + 1)
        stayed = now._replace(
            slope=_shortest(now.slope, gradient),
            memory=fresh,
            n_failed=now.n_failed + 1,
            n_steps=now.n_steps + 1,
        )
        return jax.tree.map(partial(jnp.where, lower), moved, stayed)

    value, gradient = jax.value_and_grad(objective)(start)
    begin = Descent(start, value, gradient, gradient, fresh, jnp.int32(0), jnp.int32(0))
    return jax.lax.while_loop(go_on, move, begin)


def _shortest(a: Float[Array, " N"], b: Float[Array, " N"]) -> Float[Array, " N"]:
    """The point closest to zero between a and b."""
    across = a - b
    along = jnp.vdot(a, across) / jnp.maximum(jnp.vdot(across, across), TINY)
    return a - jnp.clip(along, 0, 1) * across


def _newton(relative: Map, u: Float[Array, " N"]) -> Float[Array, " N"]:
    """Finish a point by steps -(J - I)^-1 (F(u) - u), each taken only if it is small and helps."""

    def difference(u: Array) -> Array:
        return relative(u) - u

    def polish(_: Array, u: Array) -> Array:
        rest = difference(u)
        change = -solve(jax.jacfwd(difference)(u), rest)
        before, after = jnp.linalg.norm(rest), jnp.linalg.norm(difference(u + change))
        small = (before < NEWTON_RESIDUAL) & (jnp.linalg.norm(change) < NEWTON_REACH)
        return jnp.where(small & (after < before), u + change, u)

    return jax.lax.fori_loop(0, NEWTON_STEPS, polish, u)


def in_chunks(one: Callable[[Array], Record], starts: Float[Array, "P N"], chunk: int) -> Record:
    """`one` of every start, at most `chunk` of them side by side; all chunks are of equal size.

    Raises:
        InputError: no start, or a chunk below 1.
    """
    if chunk < 1 or len(starts) < 1:
        raise InputError(f"chunk={chunk}, {len(starts)} starts: at least 1 of each")
    n_chunks = -(-len(starts) // chunk)
    filled = jnp.concatenate([starts, starts[: -len(starts) % n_chunks]])
    found = jax.lax.map(jax.vmap(one), filled.reshape(n_chunks, -1, starts.shape[1]))
    return jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:])[: len(starts)], found)


def mean_norm(starts: Float[Array, "P N"]) -> Float[Array, ""]:
    """Mean norm of the starts that are finite; 1 if there is none or all of them are zero."""
    norms = jnp.linalg.norm(starts, axis=1)
    finite = jnp.isfinite(norms)
    mean = jnp.sum(jnp.where(finite, norms, 0)) / jnp.maximum(jnp.sum(finite), 1)
    return jnp.where(mean > 0, mean, 1.0)


def _half_square(x: Float[Array, " N"]) -> Float[Array, ""]:
    return 0.5 * jnp.vdot(x, x, precision=HIGHEST)
