"""Entropic optimal transport between two samples: geomloss's schedule, and OTT-JAX to convergence.

The schedule is about ten plain sweeps over the costs; beyond it OTT's solver goes on.
"""

import math
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from ott.geometry.geometry import Geometry
from ott.problems.linear.linear_problem import LinearProblem
from ott.solvers.linear.sinkhorn import Sinkhorn

from hmmrnn.arrays import HIGHEST
from hmmrnn.results import result

Cost = Literal["squared", "euclidean"]
EXPONENT: dict[str, int] = {"squared": 2, "euclidean": 1}
ANNEALING_FACTOR = 0.5  # of the blur, per iteration (geomloss's default `scaling`)
CHECK_EVERY, MAX_ITERATIONS = 10, 20_000  # of OTT's solver, with a tolerance


@result
class Transport(NamedTuple):
    """Entropic transport cost of two equally weighted samples, with its own diagnostic."""

    value: Float[Array, ""]
    marginal_error: Float[Array, ""]  # L1 distance of the plan's second marginal from b, 0 to 2


def annealing(diameter: float, blur: float, exponent: int) -> np.ndarray:
    """Regularisation eps of each iteration: diameter^p, then falling by 2^p to blur^p.

    The schedule of geomloss (Feydy 2020, section 3.3); the first value is used twice.
    """
    top, bottom = exponent * math.log(diameter), exponent * math.log(blur)
    falling = np.exp(np.arange(top, bottom, exponent * math.log(ANNEALING_FACTOR)))
    return np.concatenate([[diameter**exponent], falling, [blur**exponent]])


def cost_matrix(x: Float[Array, "B T K"], y: Float[Array, "b T K"], cost: Cost) -> Array:
    """C_ij = |x_i - y_j|^p / p over flattened sequences; for one-hot x, y and p = 2, Hamming."""
    x, y = x.reshape(len(x), -1), y.reshape(len(y), -1)
    products = jnp.matmul(x, y.T, precision=HIGHEST)
    squared = jnp.sum(x**2, axis=1)[:, None] + jnp.sum(y**2, axis=1) - 2 * products
    if cost == "squared":
        return squared / 2
    apart = squared > 1e-6  # the distance has no gradient where two points meet
    return jnp.where(apart, jnp.sqrt(jnp.where(apart, squared, 1.0)), 0.0)


def transport(
    x: Float[Array, "B T K"],
    y: Float[Array, "b T K"],
    *,
    cost: Cost = "squared",
    blur: float = 0.2,
    tolerance: float = 0.0,
) -> Transport:
    """OT_eps(x, y) = <a, f> + <b, g> in the units of geomloss, eps = blur^p.

    The potentials come from a fixed number of averaged parallel updates along `annealing`, then,
    with a `tolerance`, from OTT's solver until its marginal error is below. One plain update
    carries the gradient to both samples, with the other potential and the other sample held
    constant.
    """
    fixed_x, fixed_y = jax.lax.stop_gradient((x, y))
    costs = cost_matrix(fixed_x, fixed_y, cost)
    schedule = jnp.asarray(_schedule(x, cost, blur), x.dtype)
    f, g = annealed(costs, schedule)
    if tolerance:
        f, g = converged(costs, schedule[-1], f, g, tolerance)
    f, g = jax.lax.stop_gradient((f, g))
    f_last = softmin(cost_matrix(x, fixed_y, cost), g, schedule[-1], axis=1)
    g_last = softmin(cost_matrix(fixed_x, y, cost), f, schedule[-1], axis=0)
    error = column_error(costs, f_last, g, schedule[-1])
    return Transport(jnp.mean(f_last) + jnp.mean(g_last), error)


def self_transport(
    x: Float[Array, "B T K"],
    *,
    cost: Cost = "squared",
    blur: float = 0.2,
    tolerance: float = 0.0,
) -> Transport:
    """OT_eps(x, x), equal to `transport(x, x)`: by symmetry one potential does for both."""
    fixed = jax.lax.stop_gradient(x)
    costs = cost_matrix(fixed, fixed, cost)
    schedule = jnp.asarray(_schedule(x, cost, blur), x.dtype)
    f = annealed_self(costs, schedule)
    if tolerance:
        first, second = converged(costs, schedule[-1], f, f, tolerance)
        f = (first + second) / 2  # the two may have drifted apart by a constant
    f = jax.lax.stop_gradient(f)
    f_last = softmin(cost_matrix(x, fixed, cost), f, schedule[-1], axis=1)
    return Transport(2 * jnp.mean(f_last), column_error(costs, f_last, f, schedule[-1]))


def softmin(costs: Float[Array, "B b"], potential: Array, eps: Array, axis: int) -> Array:
    """-eps log mean exp((potential - C) / eps), the soft c-transform, reducing `axis`."""
    potential = jnp.expand_dims(potential, 1 - axis)
    total = jax.nn.logsumexp((potential - costs) / eps, axis=axis)
    return -eps * (total - math.log(costs.shape[axis]))


def annealed(costs: Float[Array, "B b"], schedule: Float[Array, " I"]) -> tuple[Array, Array]:
    """Potentials f (B,), g (b,) after the schedule, each update averaged with the value before it.

    softmin(g)_i = f_i - eps log mean_j exp((f_i + g_j - C_ij) / eps), so one exponential of each
    cost serves both updates and no maximum is needed: averaged potentials obey f_i + g_j - C_ij <=
    eps log max(B, b) at the eps before, so the exponent is at most 2^p log max(B, b). The start is
    no average; there it is at most 2 max C / eps, no more than 2 for one-hot sequences.
    """
    n, m = costs.shape
    start = (
        softmin(costs, jnp.zeros(m, costs.dtype), schedule[0], 1),
        softmin(costs, jnp.zeros(n, costs.dtype), schedule[0], 0),
    )

    def update(potentials: tuple[Array, Array], eps: Array) -> tuple[tuple[Array, Array], None]:
        f, g = potentials
        plan = _plan(costs, f, g, eps)
        return (_moved(f, plan, eps, axis=1), _moved(g, plan, eps, axis=0)), None

    return jax.lax.scan(update, start, schedule)[0]


def annealed_self(costs: Float[Array, "B B"], schedule: Float[Array, " I"]) -> Array:
    """`annealed` for symmetric costs, where both potentials are one."""

    def update(f: Array, eps: Array) -> tuple[Array, None]:
        return _moved(f, _plan(costs, f, f, eps), eps, axis=1), None

    start = softmin(costs, jnp.zeros(len(costs), costs.dtype), schedule[0], 1)
    return jax.lax.scan(update, start, schedule)[0]


LARGEST_EXPONENT = 80.0  # beyond it, single precision overflows


def _plan(costs: Array, f: Array, g: Array, eps: Array) -> Float[Array, "B b"]:
    """Unnormalised transport plan; capped, for samples much wider than the schedule's diameter."""
    return jnp.exp(jnp.minimum((f[:, None] + g - costs) / eps, LARGEST_EXPONENT))


def _moved(potential: Array, plan: Array, eps: Array, axis: int) -> Array:
    """Half way from a potential to the one that gives the plan its marginal.

    A mean too small for the precision counts as the smallest number, which limits the way.
    """
    mean = jnp.maximum(jnp.mean(plan, axis=axis), jnp.finfo(plan.dtype).tiny)
    return potential - eps / 2 * jnp.log(mean)


def converged(
    costs: Float[Array, "B b"], eps: Array, f: Array, g: Array, tolerance: float
) -> tuple[Array, Array]:
    """Potentials at regularisation `eps` from OTT's alternating updates, started at f and g.

    OTT's potentials absorb the weights, f + eps log a; masses a = b_count, b = a_count make its
    convention and ours agree.
    """
    n, m = costs.shape
    problem = LinearProblem(
        Geometry(cost_matrix=costs, epsilon=eps, scale_cost=1.0),
        a=jnp.full(n, m, costs.dtype),
        b=jnp.full(m, n, costs.dtype),
    )
    solver = Sinkhorn(
        threshold=tolerance * n * m,
        inner_iterations=CHECK_EVERY,
        max_iterations=MAX_ITERATIONS,
    )
    out = solver(problem, init=(f, g))
    return out.f, out.g


def column_error(costs: Array, f: Array, g: Array, eps: Array) -> Float[Array, ""]:
    """L1 distance of the second marginal of the plan (f, g), whose rows are exact, from b.

    The columns of the plan are b_j exp((g_j - g'_j) / eps), with g' the soft c-transform of f.
    """
    implied = softmin(costs, jax.lax.stop_gradient(f), eps, axis=0)
    return jnp.mean(jnp.abs(jnp.expm1((g - implied) / eps)))


def _schedule(x: Array, cost: Cost, blur: float) -> np.ndarray:
    """`annealing` from the diagonal of the unit box, which holds one-hot sequences."""
    return annealing(math.sqrt(math.prod(x.shape[1:])), blur, EXPONENT[cost])
