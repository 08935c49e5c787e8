"""Entropic optimal transport between two samples, solved by OTT-JAX along geomloss's schedule."""

import math
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from ott.geometry.epsilon_scheduler import Epsilon
from ott.geometry.geometry import Geometry
from ott.problems.linear.linear_problem import LinearProblem
from ott.solvers.linear.acceleration import Momentum
from ott.solvers.linear.sinkhorn import Sinkhorn

from hmmrnn.arrays import HIGHEST

Cost = Literal["squared", "euclidean"]
EXPONENT: dict[str, int] = {"squared": 2, "euclidean": 1}
ANNEALING_FACTOR = 0.5  # of the blur, per iteration (geomloss's default `scaling`)


class Transport(NamedTuple):
    """Entropic transport cost of two equally weighted samples, with its own diagnostic."""

    value: Float[Array, ""]
    marginal_error: Float[Array, ""]  # L1 distance of the plan's second marginal from b, 0 to 2


@jax.tree_util.register_pytree_node_class
class Schedule(Epsilon):
    """Regularisation at each iteration, listed; the last one holds from there on."""

    values: Float[Array, " I"]

    def __init__(self, values: Array) -> None:
        super().__init__(target=values[-1])
        self.values = values

    def __call__(self, it: Array | int | None) -> Array:
        """Regularisation at iteration `it`; the final one for None."""
        return self.target if it is None else self.values[jnp.minimum(it, len(self.values) - 1)]

    def tree_flatten(self) -> tuple[tuple, None]:
        """The listed values."""
        return (self.values,), None

    @classmethod
    def tree_unflatten(cls, _: None, children: tuple) -> "Schedule":
        """A schedule of any leaves, tracers too."""
        schedule = object.__new__(cls)
        schedule.values = children[0]
        schedule.target = children[0][-1]
        schedule.init = schedule.decay = 1.0
        return schedule


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
    extra_iterations: int = 0,
) -> Transport:
    """OT_eps(x, y) = <a, f> + <b, g> in the units of geomloss, eps = blur^p.

    The potentials come from a fixed number of averaged parallel updates along `annealing`, after
    which one plain update carries the gradient to both samples, with the other potential and the
    other sample held constant. `extra_iterations` go on at the final eps, towards convergence.
    """
    schedule = annealing(math.sqrt(math.prod(x.shape[1:])), blur, EXPONENT[cost])
    schedule = np.concatenate([schedule, np.repeat(schedule[-1:], extra_iterations)])
    eps = jnp.asarray(schedule[-1], x.dtype)
    fixed_x, fixed_y = jax.lax.stop_gradient((x, y))
    f, g = jax.lax.stop_gradient(
        _potentials(cost_matrix(fixed_x, fixed_y, cost), jnp.asarray(schedule, x.dtype))
    )
    costs = cost_matrix(fixed_x, fixed_y, cost)
    f_last = softmin(cost_matrix(x, fixed_y, cost), g, eps, axis=1)
    g_last = softmin(cost_matrix(fixed_x, y, cost), f, eps, axis=0)
    # The plan of (f_last, g) has exact rows; its columns are b_j exp((g_j - g'_j) / eps).
    g_implied = softmin(costs, jax.lax.stop_gradient(f_last), eps, axis=0)
    column_error = jnp.mean(jnp.abs(jnp.expm1((g - g_implied) / eps)))
    return Transport(jnp.mean(f_last) + jnp.mean(g_last), jax.lax.stop_gradient(column_error))


def softmin(costs: Float[Array, "B b"], potential: Array, eps: Array, axis: int) -> Array:
    """-eps log mean exp((potential - C) / eps), the soft c-transform, reducing `axis`."""
    potential = jnp.expand_dims(potential, 1 - axis)
    total = jax.nn.logsumexp((potential - costs) / eps, axis=axis)
    return -eps * (total - math.log(costs.shape[axis]))


def _potentials(costs: Float[Array, "B b"], schedule: Float[Array, " I"]) -> tuple[Array, Array]:
    """Potentials after the whole schedule, each update averaged with the value before it.

    OTT's potentials absorb the weights, f + eps log a; masses a = b_count, b = a_count make the
    two conventions agree, so that the annealed averages are geomloss's own.
    """
    n, m = costs.shape
    problem = LinearProblem(
        Geometry(cost_matrix=costs, epsilon=Schedule(schedule), scale_cost=1.0),
        a=jnp.full(n, m, costs.dtype),
        b=jnp.full(m, n, costs.dtype),
    )
    start = (
        softmin(costs, jnp.zeros(m, costs.dtype), schedule[0], axis=1),
        softmin(costs, jnp.zeros(n, costs.dtype), schedule[0], axis=0),
    )
    solver = Sinkhorn(
        momentum=Momentum(0, math.inf, 0.5),  # start, threshold, weight of the new value
        parallel_dual_updates=True,
        inner_iterations=len(schedule),
        min_iterations=len(schedule),
        max_iterations=len(schedule),
    )
    out = solver(problem, init=start)
    return out.f, out.g
