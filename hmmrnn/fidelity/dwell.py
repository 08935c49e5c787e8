"""How long symbols last in generated sequences."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int


def run_length_counts(
    symbols: Int[Array, "B T"], symbol: int, max_length: int
) -> Float[Array, "B L"]:
    """Number of complete runs of `symbol` with length 1..max_length in each sequence.

    Runs cut by either end of the sequence, after which it is padded with -1, are left out; longer
    runs count as `max_length`.
    """

    def one(x: Int[Array, " T"]) -> Array:
        inside = x == symbol
        elapsed = jnp.arange(len(x)) - jax.lax.cummax(
            jnp.where(inside, -1, jnp.arange(len(x)))
        )  # position within the run, as long as a run that touches the start is ignored below
        from_start = jnp.cumprod(inside)
        ends = inside[:-1] & ~inside[1:] & (x[1:] >= 0) & (from_start[:-1] == 0)
        length = jnp.clip(elapsed[:-1], 1, max_length)
        return jnp.zeros(max_length).at[length - 1].add(ends)

    return jax.vmap(one)(symbols)


def dwell_mean(counts: Float[np.ndarray, "R L"]) -> Float[np.ndarray, " R"]:
    """Mean run length for each row of counts; NaN without a complete run."""
    lengths = np.arange(1, counts.shape[1] + 1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return counts @ lengths / counts.sum(axis=1)


def dwell_cv(counts: Float[np.ndarray, "R L"]) -> Float[np.ndarray, " R"]:
    """Standard deviation of the run length over its mean, for each row; NaN without a run."""
    lengths = np.arange(1, counts.shape[1] + 1)
    mean = dwell_mean(counts)
    with np.errstate(invalid="ignore", divide="ignore"):
        square = counts @ lengths**2 / counts.sum(axis=1)
        return np.sqrt(np.maximum(square - mean**2, 0)) / mean


def shown_lengths(mean: float, max_length: int) -> int:
    """Lengths that a figure needs: five times the mean, at least 10."""
    return max_length if np.isnan(mean) else min(max_length, max(10, round(5 * mean)))
