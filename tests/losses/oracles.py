"""Optimal transport and n-gram shares as slow loops, and the samples that the tests compare."""

import math

import jax
import jax.numpy as jnp
import numpy as np
from ott.geometry.epsilon_scheduler import Epsilon
from ott.geometry.geometry import Geometry
from ott.problems.linear.linear_problem import LinearProblem
from ott.solvers.linear.acceleration import Momentum
from ott.solvers.linear.sinkhorn import Sinkhorn
from scipy.spatial.distance import cdist
from scipy.special import logsumexp, softmax

from hmmrnn.hmm import preset


def one_hot(symbols, n_symbols=3):
    return np.eye(n_symbols, dtype=np.float32)[np.asarray(symbols)]


def hmm_sequences(name, n_sequences, n_steps, seed):
    """One-hot sequences (B, T, K) of a preset HMM, drawn step by step."""
    hmm, rng = preset(name), np.random.default_rng(seed)
    M, K = hmm.n_states, hmm.n_symbols
    symbols = np.empty((n_sequences, n_steps), int)
    law = np.tile(hmm.initial, (n_sequences, 1))
    for t in range(n_steps):
        state = np.minimum(
            np.sum(rng.random((n_sequences, 1)) >= law.cumsum(axis=1), axis=1), M - 1
        )
        law = hmm.transition[state]
        heights = hmm.emission[state].cumsum(axis=1)
        symbols[:, t] = np.minimum(np.sum(rng.random((n_sequences, 1)) >= heights, axis=1), K - 1)
    return one_hot(symbols, K)


def soft_sequences(n_sequences, n_steps, n_symbols, seed, spread=1.5):
    """Points inside the simplex, all in general position, in float64."""
    logits = np.random.default_rng(seed).normal(size=(n_sequences, n_steps, n_symbols))
    return softmax(spread * logits, axis=-1)


def costs_between(x, y, cost="squared"):
    """|x_i - y_j|^p / p by scipy."""
    x, y = (np.asarray(z, float).reshape(len(z), -1) for z in (x, y))
    return cdist(x, y, "sqeuclidean") / 2 if cost == "squared" else cdist(x, y)


def smin(costs, potential, eps):
    """-eps log sum_j b_j exp((g_j - C_ij) / eps) with equal weights b_j = 1 / m."""
    return -eps * logsumexp((potential - costs) / eps, axis=1, b=1 / costs.shape[1])


def halved_schedule(diameter, blur, exponent):
    """diameter^p twice, then the blur halves at each turn while it stays above its target."""
    scales, scale = [diameter], diameter
    while scale > blur:
        scales.append(scale)
        scale /= 2
    return np.array([*scales, blur]) ** exponent


def annealed(costs, schedule):
    """Value, L1 error of the second marginal, and plan after the averaged updates of geomloss."""
    f, g = smin(costs, 0.0, schedule[0]), smin(costs.T, 0.0, schedule[0])
    for eps in schedule:
        f, g = (f + smin(costs, g, eps)) / 2, (g + smin(costs.T, f, eps)) / 2
    eps = schedule[-1]
    f_last, g_last = smin(costs, g, eps), smin(costs.T, f, eps)
    plan = np.exp((f_last[:, None] + g - costs) / eps) / costs.size
    np.testing.assert_allclose(plan.sum(axis=1), 1 / len(costs))
    error = np.abs(plan.sum(axis=0) - 1 / costs.shape[1]).sum()
    return f_last.mean() + g_last.mean(), error, plan


def converged(costs, eps):
    """Plain alternating updates until they stand still: value and optimal plan."""
    g = np.zeros(costs.shape[1])
    for _ in range(200_000):
        f = smin(costs, g, eps)
        before, g = g, smin(costs.T, f, eps)
        if np.abs(g - before).max() < 1e-12:
            plan = np.exp((f[:, None] + g - costs) / eps) / costs.size
            return f.mean() + g.mean(), plan
    raise AssertionError("the oracle did not converge")


@jax.tree_util.register_pytree_node_class
class Schedule(Epsilon):
    """Regularisation at each iteration of OTT, listed; the last one holds from there on."""

    def __init__(self, values):
        super().__init__(target=values[-1])
        self.values = values

    def __call__(self, it):
        return self.target if it is None else self.values[jnp.minimum(it, len(self.values) - 1)]

    def tree_flatten(self):
        return (self.values,), None

    @classmethod
    def tree_unflatten(cls, _, children):
        schedule = object.__new__(cls)
        (schedule.values,) = children
        schedule.target = schedule.values[-1]
        schedule.init = schedule.decay = 1.0
        return schedule


def annealed_by_ott(costs, schedule):
    """The potentials of `annealed` from OTT's own solver; masses b_count, a_count absorb weights.

    Parallel updates with momentum 1/2 are the averaged ones.
    """
    n, m = costs.shape
    eps = schedule[0]
    start = (
        -eps * (jax.nn.logsumexp(-costs / eps, axis=1) - math.log(m)),
        -eps * (jax.nn.logsumexp(-costs / eps, axis=0) - math.log(n)),
    )
    solver = Sinkhorn(
        momentum=Momentum(0, math.inf, 0.5),  # start, threshold, weight of the new value
        parallel_dual_updates=True,
        inner_iterations=len(schedule),
        min_iterations=len(schedule),
        max_iterations=len(schedule),
    )
    problem = LinearProblem(
        Geometry(cost_matrix=costs, epsilon=Schedule(schedule), scale_cost=1.0),
        a=jnp.full(n, m, costs.dtype),
        b=jnp.full(m, n, costs.dtype),
    )
    out = solver(problem, init=start)
    return out.f, out.g


def entropic_cost(costs, plan, eps):
    """<P, C> + eps KL(P | a b): the problem itself, without its dual."""
    return np.sum(plan * costs) + eps * np.sum(plan * np.log(plan * costs.size))


def plan_slopes(x, y, costs, plan, cost):
    """Gradient to x with the plan held: sum_j P_ij (x_i - y_j) / |x_i - y_j|^(2 - p)."""
    scale = 1 if cost == "squared" else np.where(costs > 0, costs, 1)
    return np.einsum("ij,ijtk->itk", plan / scale, x[:, None] - y)


def enumerated_shares(p, n, stride=1):
    """Mean over sequences and windows of prod_i p[t + i stride, w_i], for each word w; (K,) * n."""
    n_sequences, n_steps, n_symbols = p.shape
    windows = [range(t, t + (n - 1) * stride + 1, stride) for t in range(n_steps)]
    windows = [list(window) for window in windows if window[-1] < n_steps]
    shares = np.zeros((n_symbols,) * n)
    for word in np.ndindex(shares.shape):
        for sequence in p:
            for window in windows:
                shares[word] += np.prod([sequence[t, w] for t, w in zip(window, word, strict=True)])
    return shares / (n_sequences * len(windows))


def cosine_and_ratio(found, truth):
    """Cosine of the angle between two gradients, and the ratio of their norms."""
    found, truth = (np.asarray(g, float).ravel() for g in (found, truth))
    sizes = np.linalg.norm(found), np.linalg.norm(truth)
    return found @ truth / np.prod(sizes), sizes[0] / sizes[1]


BUMP = 1e-5


def with_bumps(x):
    """x itself, then x with each coordinate moved up, then with each moved down."""
    bumps = BUMP * np.eye(x.size).reshape(-1, *x.shape)
    return np.concatenate([x[None], x + bumps, x - bumps])


def slopes_from(values):
    """Central differences from the values at the points of `with_bumps`."""
    up, down = np.split(np.asarray(values)[1:], 2)
    return (up - down) / (2 * BUMP)
