"""Numbers with intervals, by bootstrap over independent samples (sequences, trajectories)."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Array, Float

from hmmrnn.arrays import Key, host_generator

Statistic = Callable[[np.ndarray], np.ndarray]
"""From means (R, ...) of R bootstrap samples to R values."""

BOOTSTRAP_DRAWS = 400
LEVEL = 0.95


class Estimate(NamedTuple):
    """A number with its 95 % interval."""

    value: float
    low: float
    high: float


class Profile(NamedTuple):
    """A function in bins of its argument with its 95 % interval in each; NaN where unknown."""

    value: Float[np.ndarray, "bins *K"]
    low: Float[np.ndarray, "bins *K"]
    high: Float[np.ndarray, "bins *K"]


def bootstrap_weights(n_sequences: int, key: Key) -> Float[np.ndarray, "R B"]:
    """How often each sequence is drawn in each bootstrap sample, over n; the first row is even.

    One row of weights serves every statistic, so intervals of different statistics are paired.
    """
    shape = BOOTSTRAP_DRAWS, n_sequences
    drawn = host_generator(key).integers(n_sequences, size=shape)
    drawn = drawn + n_sequences * np.arange(BOOTSTRAP_DRAWS)[:, None]
    # Counted by numpy: compiled code would be made anew for each number of sequences.
    counts = np.bincount(drawn.ravel(), minlength=drawn.size).reshape(shape)
    return np.concatenate([np.ones((1, n_sequences)), counts]) / n_sequences


def estimate(
    statistic: Statistic,
    per_sequence: Array,
    weights: Float[np.ndarray, "R B"],
) -> Estimate:
    """`statistic` of the mean over sequences of `per_sequence` (B, ...), with its interval.

    NaN is left out of the interval.
    """
    means = weights @ np.asarray(per_sequence, np.float64).reshape(len(per_sequence), -1)
    values = statistic(means.reshape(len(weights), *per_sequence.shape[1:]))
    return interval(values[0], values[1:])


def interval(value: float, draws: np.ndarray) -> Estimate:
    """The interval around `value` from bootstrap `draws`, shifted so that their mean is `value`.

    It says how much the statistic varies between samples of this size. Statistics that are biased
    in finite samples (KL, largest error) are biased once more by resampling, which the shift
    removes; their own bias shows in the floor. The interval of what is never negative stays above
    zero.
    """
    draws = draws[np.isfinite(draws)]
    if len(draws) == 0 or not np.isfinite(value):
        return Estimate(float(value), np.nan, np.nan)
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(draws - draws.mean(), [tail, 1 - tail])
    if min(value, draws.min()) >= 0:
        low = max(low, -value)
    return Estimate(float(value), float(value + low), float(value + high))
