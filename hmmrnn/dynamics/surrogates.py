"""Is a rotation more than chance? Surrogates that keep all but the direction of turning.

Two nulls. Time reversal: a process that looks the same backwards turns as often one way as the
other. Phase shuffling (Theiler et al. 1992, Testing for nonlinearity in time series, Physica D 58):
two components with the spectra of the real ones but no relation between them turn by chance only.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from hmmrnn.arrays import Key
from hmmrnn.dynamics.rotation import net_turns
from hmmrnn.results import result

N_REVERSED = 1_000
N_SHUFFLED = 200
CHUNK = 10
"""Surrogates of all trajectories that are held in memory at once."""

TIE = 1e-5
"""Relative difference under which a surrogate counts as large as the real run: rounding."""


@result
class Significance(NamedTuple):
    """Rotation beside its surrogates; all NaN without a pair of transitions."""

    value: Float[Array, ""]  # |net turns| of the real runs per pair of their transitions
    null_mean: Float[Array, ""]  # of the surrogates, with their sign
    null_low: Float[Array, ""]  # the 2.5 % and the 97.5 % quantile
    null_high: Float[Array, ""]
    p_value: Float[Array, ""]  # two-sided: (1 + surrogates that turn at least as much) / (1 + all)
    n_surrogates: Int[Array, ""]


@partial(jax.jit, static_argnames="n_surrogates")
def time_reversed(
    turns: Float[Array, " B"],
    n_transitions: Int[Array, " B"],
    key: Key,
    *,
    n_surrogates: int = N_REVERSED,
) -> Significance:
    """Each trajectory's direction of time thrown by a fair coin.

    Reversal changes the sign of its net turns and nothing else. The coin is thrown for whole
    trajectories, not for blocks of them: they are independent of each other, so that the test is
    exact for every stationary process that is reversible, however long it remembers. With B
    trajectories no p-value is below 2^(1 - B).
    """
    signs = jax.random.rademacher(key, (n_surrogates, len(turns)), turns.dtype)
    return _significance(jnp.sum(turns), jnp.sum(signs * turns, axis=1), n_transitions)


@partial(jax.jit, static_argnames="n_surrogates")
def phase_shuffled(
    points: Float[Array, "B T 2"],
    n_transitions: Int[Array, " B"],
    key: Key,
    *,
    n_surrogates: int = N_SHUFFLED,
) -> Significance:
    """Both coordinates of each trajectory with Fourier phases of their own.

    Turns of the surrogates count per pair of transitions of the real runs.
    """

    def turns(key: Key) -> Float[Array, ""]:
        return jnp.sum(net_turns(shuffle_phases(points, key)))

    keys = jax.random.split(key, n_surrogates)
    draws = jax.lax.map(turns, keys, batch_size=min(CHUNK, n_surrogates))
    return _significance(jnp.sum(net_turns(points)), draws, n_transitions)


def shuffle_phases(points: Float[Array, "*B T C"], key: Key) -> Float[Array, "*B T C"]:
    """Series with the amplitude spectrum of each coordinate and uniform, independent phases.

    The mean stays, and so does the amplitude at half the sampling rate, which is real.
    """
    n_steps = points.shape[-2]
    spectrum = jnp.fft.rfft(points, axis=-2)
    frequency = jnp.arange(spectrum.shape[-2])[:, None]
    free = (frequency > 0) & (2 * frequency < n_steps)
    angles = jax.random.uniform(key, spectrum.shape, points.dtype, maxval=2 * jnp.pi)
    turned = spectrum * jnp.exp(1j * jnp.where(free, angles, 0.0))
    return jnp.fft.irfft(turned, n_steps, axis=-2)


def _significance(
    turns: Float[Array, ""], draws: Float[Array, " R"], n_transitions: Int[Array, " B"]
) -> Significance:
    n_pairs = jnp.sum(n_transitions) / 2
    value, null = (jnp.where(n_pairs > 0, x / n_pairs, jnp.nan) for x in (jnp.abs(turns), draws))
    low, high = jnp.quantile(null, jnp.array([0.025, 0.975]))
    larger = jnp.sum(jnp.abs(null) >= (1 - TIE) * value)
    p_value = jnp.where(jnp.isfinite(value), (1 + larger) / (1 + len(draws)), jnp.nan)
    return Significance(value, jnp.mean(null), low, high, p_value, jnp.asarray(len(draws)))
