"""What unbiased noise does to the mean of the hidden state.

Torre et al. 2025 expand h around the noise-free path: the first-order term averages to zero, the
second-order one is (1/2) f''(a) times a variance. But relu'' is zero almost everywhere, so for relu
that term vanishes too, and all of the shift comes from the kink. The quantity with a meaning for
each activation f is the exact mean shift E[f(a + s z)] - f(a), z ~ N(0, 1), where
s_i = noise_std |W_in[i]| is the standard deviation of the drive of unit i. Without bias and with
relu it is proportional to the noise, of first order in its size.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from hmmrnn.arrays import Key
from hmmrnn.nets import Network, RNNCell
from hmmrnn.results import result

LAST_NODE, N_NODES = 6.0, 64  # of the quadrature, on each side of 0
TAIL, N_TAIL_TERMS = 3.0, 12  # beyond it, so many terms are exact to 2e-6


@result
class MeanShift(NamedTuple):
    """Mean of the noisy state minus the noise-free one, by unit."""

    one_step: Float[Array, "T N"]  # exact: one step from each state of the path
    propagated: Float[Array, "T N"]  # mean field: 1 to T steps from the first state of the path


@result
class MonteCarloShift(NamedTuple):
    """What P starts do under noise, minus the noise-free path: means over draws of the noise."""

    mean: Float[Array, "T P N"]
    standard_error: Float[Array, "T P N"]
    linear: Float[Array, "T P N"]  # of the first-order response to the same draws
    linear_standard_error: Float[Array, "T P N"]


def mean_shift(network: Network, states: Float[Array, "T N"]) -> MeanShift:
    """The exact shift of one step along a path, and the shift propagated from its start."""
    propagated = propagated_shift(network, states[:1], len(states))
    return MeanShift(one_step_shift(network, states), propagated[:, 0])


def one_step_shift(network: Network, states: Float[Array, "*P N"]) -> Float[Array, "*P N"]:
    """E[h_t | h_{t-1}] - F(h_{t-1}), exactly: what noise adds to the mean in one step from h.

    With a leak l it is the share l of the shift of the activation: only that part sees the noise.
    """
    a = network.preactivation(states, 0.0)
    return network.leak * activation_mean_shift(network.cell, a, _drive_std(network))


def propagated_shift(
    network: Network, starts: Float[Array, "P N"], n_steps: int
) -> Float[Array, "T P N"]:
    """The mean-field path m_t = E_z[f(W_rec m_{t-1} + b + s z)] minus the noise-free path.

    With a leak l, m_t = (1-l) m_{t-1} + l E_z[f(...)]. Exact for the first step. Later ones neglect
    how far single runs spread around their mean, which adds to the variance that each unit sees:
    compare with `monte_carlo_shift`.
    """

    def tick(paths: tuple[Array, Array], _: None) -> tuple[tuple[Array, Array], Array]:
        mean, quiet = paths
        shift = one_step_shift(network, mean)
        mean = network.step(mean, 0.0) + shift
        quiet = network.step(quiet, 0.0)
        return (mean, quiet), mean - quiet

    return jax.lax.scan(tick, (starts, starts), length=n_steps)[1]


def monte_carlo_shift(
    network: Network,
    starts: Float[Array, "P N"],
    key: Key,
    n_draws: int,
    n_steps: int,
) -> MonteCarloShift:
    """Mean of `n_draws` noisy runs of `n_steps` steps from each start, minus its quiet run.

    The linear response is the derivative of the run with respect to the noise, at no noise, along
    the same draws: its mean is zero but for the finite number of draws. Standard errors need 2
    draws, and are NaN for one.
    """
    silence = jnp.zeros((n_steps, len(starts), network.noise_dim))
    run = partial(_states, network, starts)
    quiet = run(silence)

    def draw(sums: Array, key_draw: Key) -> tuple[Array, None]:
        keys = jax.random.split(key_draw, len(starts))
        noise = network.noise(keys, n_steps)
        change = run(noise) - quiet
        linear = jax.jvp(run, (silence,), (noise,))[1]
        return sums + jnp.stack([change, change**2, linear, linear**2]), None

    sums = jnp.zeros((4, *quiet.shape))
    sums = jax.lax.scan(draw, sums, jax.random.split(key, n_draws))[0] / n_draws
    change, change_squared, linear, linear_squared = sums
    return MonteCarloShift(
        *_mean_and_error(change, change_squared, n_draws),
        *_mean_and_error(linear, linear_squared, n_draws),
    )


def rectified_mean_shift(
    a: Float[Array, "*P"], s: Float[Array, "..."] | float
) -> Float[Array, "*P"]:
    """E[relu(a + s z)] - relu(a) = s pdf(a/s) + a cdf(a/s) - relu(a), s >= 0.

    It is s g(|a|/s) with g(u) = pdf(u) - u Q(u), Q the upper tail: even in a, never negative. Far
    out the two terms cancel, and the continued fraction of Mills' ratio Q/pdf takes their place:
    with K = 1/(u + 2/(u + 3/(u + ...))), g = pdf K / (u + K) (Abramowitz & Stegun 26.2.14).
    """
    s = jnp.asarray(s, a.dtype)
    u = jnp.abs(a) / jnp.where(s == 0, 1, s)
    density = jnp.exp(-(u**2) / 2) / np.sqrt(2 * np.pi)
    near = density - u * jax.scipy.special.erfc(u / np.sqrt(2)) / 2
    far = jnp.maximum(u, TAIL)
    tail = far
    for term in range(N_TAIL_TERMS, 1, -1):
        tail = far + term / tail
    return jnp.where(s == 0, 0 * a, s * jnp.where(u < TAIL, near, density / (far * tail + 1)))


def activation_mean_shift(
    cell: RNNCell, a: Float[Array, "*P N"], s: Float[Array, " N"]
) -> Float[Array, "*P N"]:
    """E[f(a + s z)] - f(a): in closed form for relu, by quadrature for others.

    The quadrature has evenly spaced nodes, which converge exponentially for a smooth f (Trefethen &
    Weideman 2014, SIAM Review 56). For tanh it is exact to 1e-7 up to s = 5 and to 1e-4 up to
    s = 10, where as many Gauss-Hermite nodes are off by 1e-3 and 1e-2.
    """
    if cell.piecewise_linear:
        return rectified_mean_shift(a, s)
    f = cell.activate
    nodes = np.linspace(0, LAST_NODE, N_NODES)
    weights = np.exp(-(nodes**2) / 2)
    weights = weights[1:] / (1 + 2 * weights[1:].sum())
    pairs = jnp.asarray(nodes[1:], a.dtype), jnp.asarray(weights, a.dtype)

    def add(total: Array, pair: tuple[Array, Array]) -> tuple[Array, None]:
        z, weight = pair
        return total + weight * ((f(a + s * z) - f(a)) + (f(a - s * z) - f(a))), None

    return jax.lax.scan(add, jnp.zeros_like(a), pairs)[0]


def _states(
    network: Network, starts: Float[Array, "P N"], noise: Float[Array, "T P D"]
) -> Float[Array, "T P N"]:
    return network.run(starts, noise).states


def _mean_and_error(mean: Array, square: Array, n_draws: int) -> tuple[Array, Array]:
    """A mean with its standard error, from means of values and of their squares."""
    variance = jnp.maximum(square - mean**2, 0) / (n_draws - 1 if n_draws > 1 else jnp.nan)
    return mean, jnp.sqrt(variance)


def _drive_std(network: Network) -> Float[Array, " N"]:
    """Standard deviation of the noise drive of each unit."""
    return network.noise_std * jnp.linalg.norm(network.params["W_in"], axis=1)
