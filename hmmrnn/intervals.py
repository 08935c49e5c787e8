"""Numbers with intervals, by bootstrap over independent samples (sequences, trajectories)."""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import jax
import numpy as np
from jaxtyping import Array, Float, Int, Shaped

from hmmrnn.arrays import Key, host_generator

Statistic = Callable[[np.ndarray], np.ndarray]
"""From means (R, ...) of R bootstrap samples to R values, or arrays (R, *shape)."""

Weights = Float[np.ndarray, "R B"]
"""How often each of B sequences is drawn in each bootstrap sample, over B; the first row even."""

Verdict = Literal["yes", "no", "undecided"]

BOOTSTRAP_DRAWS = 400
LEVEL = 0.95
N_SHOWN = 3


@partial(jax.tree_util.register_dataclass, data_fields=["value", "low", "high"], meta_fields=[])
@dataclass(frozen=True, eq=False, repr=False)
class Estimate:
    """A number with its 95 % interval, or an array of them: three floats, or three of *shape.

    An index gives the estimate, or the estimates, at that place. NaN where unknown. A format is
    that of each number: f"{found:.2f}" is `0.17 [0.16, 0.18]`.
    """

    value: Any
    low: Any
    high: Any

    @classmethod
    def of(cls, draws: Float[np.ndarray, "R *shape"]) -> "Estimate":
        """The first row, that of the sample, with intervals from the others, of bootstrap samples.

        Draws are shifted so that their mean is the value; those that are not finite are left out.
        An interval says how much the statistic varies between samples of this size. Statistics
        that are biased in finite samples (KL, largest error) are biased once more by resampling,
        which the shift removes; their own bias shows in the floor. The interval of what is never
        negative stays above zero.
        """
        draws = np.asarray(draws)
        ends = [_ends(column) for column in draws.reshape(len(draws), -1).T]
        parts = np.array(ends, np.float64).reshape(-1, 3).T
        return Estimate(*map(_floats, np.ascontiguousarray(parts).reshape(3, *draws.shape[1:])))

    @classmethod
    def stack(cls, estimates: Sequence["Estimate"]) -> "Estimate":
        """Estimates of one shape as one, along a new first axis."""
        each = [one.parts for one in estimates]
        return Estimate(*(np.array([x[i] for x in each], np.float64) for i in range(3)))

    @property
    def parts(self) -> tuple[Any, Any, Any]:
        """Value, low and high."""
        return self.value, self.low, self.high

    @property
    def shape(self) -> tuple[int, ...]:
        """Of each of the three; () for one number."""
        return np.shape(self.value)

    def __getitem__(self, place: Any) -> "Estimate":  # noqa: ANN401
        return Estimate(*(_floats(part[place]) for part in self.parts))

    def __len__(self) -> int:
        return len(self.value)

    def __iter__(self) -> Iterator["Estimate"]:
        return (self[i] for i in range(len(self)))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Estimate):
            return NotImplemented
        pairs = zip(self.parts, other.parts, strict=True)
        return all(np.array_equal(*pair, equal_nan=True) for pair in pairs)

    def __format__(self, spec: str) -> str:
        if not spec:
            return repr(self)
        if self.shape:
            return f"[{', '.join(format(each, spec) for each in self)}]"
        return "{:{s}} [{:{s}}, {:{s}}]".format(*self.parts, s=spec)

    def __repr__(self) -> str:
        if self.shape == ():
            return f"{self:.4g}"
        flat = Estimate(*(np.ravel(part)[:N_SHOWN] for part in self.parts))
        more = ", ..." if math.prod(self.shape) > N_SHOWN else ""
        return f"Estimate {self.shape}: {', '.join(map(repr, flat))}{more}"

    def _asdict(self) -> dict[str, Any]:
        return {"value": self.value, "low": self.low, "high": self.high}


UNKNOWN = Estimate(math.nan, math.nan, math.nan)


def _floats(part: Any) -> Any:  # noqa: ANN401
    return float(part) if np.ndim(part) == 0 else part


def _ends(draws: Float[np.ndarray, " R"]) -> tuple[float, float, float]:
    value, draws = float(draws[0]), draws[1:]
    draws = draws[np.isfinite(draws)]
    if len(draws) == 0 or not np.isfinite(value):
        return value, math.nan, math.nan
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(draws - draws.mean(), [tail, 1 - tail])
    if min(value, draws.min()) >= 0:
        low = max(low, -value)
    return value, float(value + low), float(value + high)


def decide(found: Estimate, threshold: float) -> Verdict:
    """Whether a number lies above the threshold; undecided if its interval holds it or is NaN."""
    if found.low > threshold:
        return "yes"
    return "no" if found.high < threshold else "undecided"


def bootstrap_weights(n_sequences: int, key: Key) -> Weights:
    """How often each sequence is drawn in each bootstrap sample, over n; the first row is even.

    One row of weights serves every statistic, so intervals of different statistics are paired.
    """
    shape = BOOTSTRAP_DRAWS, n_sequences
    drawn = host_generator(key).integers(n_sequences, size=shape)
    drawn = drawn + n_sequences * np.arange(BOOTSTRAP_DRAWS)[:, None]
    # Counted by numpy: compiled code would be made anew for each number of sequences.
    counts = np.bincount(drawn.ravel(), minlength=drawn.size).reshape(shape)
    return np.concatenate([np.ones((1, n_sequences)), counts]) / n_sequences


def estimate(statistic: Statistic, per_sequence: Array | np.ndarray, weights: Weights) -> Estimate:
    """`statistic` of the mean over sequences of `per_sequence` (B, ...), with its interval."""
    means = weights @ np.asarray(per_sequence, np.float64).reshape(len(per_sequence), -1)
    return Estimate.of(statistic(means.reshape(len(weights), *per_sequence.shape[1:])))


def estimates(
    statistic: Statistic, samples: Iterable[Array | np.ndarray], weights: Weights
) -> Estimate:
    """`estimate` of each of several samples of the same sequences, stacked."""
    return Estimate.stack([estimate(statistic, sample, weights) for sample in samples])


PerEvent = Shaped[np.ndarray | Array, "*#shape E"]
Sequences = Int[np.ndarray, " E"]
"""Which sequence each of E events is of; events of one sequence depend on each other."""


def ratio(part: PerEvent, whole: PerEvent, run: Sequences, weights: Weights) -> Estimate:
    """Sum of `part` over sum of `whole`, with intervals over the B sequences; NaN is left out.

    NaN where the sum of `whole` is not positive.
    """
    return _over_events(_ratio, (part, whole), run, weights)


def mean(values: PerEvent, run: Sequences, weights: Weights) -> Estimate:
    """Mean over events with intervals over the B sequences, as `ratio`."""
    return ratio(values, np.ones(len(run)), run, weights)


def median(values: PerEvent, run: Sequences, weights: Weights) -> Estimate:
    """Median over events, as `ratio`: the first value at which half of the weight is reached."""
    return _over_events(_median, (values,), run, weights)


def _over_events(
    draws: Callable[..., np.ndarray],
    values: tuple[PerEvent, ...],
    run: Sequences,
    weights: Weights,
) -> Estimate:
    every = np.stack(np.broadcast_arrays(*(np.asarray(x, np.float64) for x in values)), axis=-2)
    shape, rows = every.shape[:-2], []
    # one by one: a product with all at once is rounded otherwise
    for each in every.reshape(math.prod(shape), len(values), len(run)):
        known = np.isfinite(each).all(axis=0)
        rows.append(draws(*each[:, known], run[known], weights))
    return Estimate.of(np.array(rows).T.reshape(len(weights), *shape))


def _ratio(part: np.ndarray, whole: np.ndarray, run: np.ndarray, weights: np.ndarray) -> np.ndarray:
    top, bottom = (weights @ np.bincount(run, x, weights.shape[1]) for x in (part, whole))
    return np.divide(top, bottom, out=np.full_like(top, np.nan), where=bottom > 0)


def _median(values: np.ndarray, run: np.ndarray, weights: np.ndarray) -> np.ndarray:
    if len(values) == 0:
        return np.full(len(weights), np.nan)
    order = np.argsort(values, kind="stable")
    total = np.cumsum(weights[:, run[order]], axis=1)
    half = np.argmax(total >= 0.5 * total[:, -1:], axis=1)
    return np.where(total[:, -1] > 0, values[order][half], np.nan)
