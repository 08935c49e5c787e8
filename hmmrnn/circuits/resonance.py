"""Stochastic resonance: how regular transitions are when the noise into some units changes.

And how slowly these units change, against those that they kick.
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from hmmrnn.arrays import Key
from hmmrnn.circuits.assays import Assay, Measured, measure
from hmmrnn.circuits.dose_responses import Group, scaled
from hmmrnn.circuits.outcomes import Outcomes, divided, quantities, summary, weights_of
from hmmrnn.intervals import UNKNOWN, Estimate, bootstrap_weights
from hmmrnn.results import result

GAINS = tuple(i / 4 for i in range(13))
FALLEN = float(np.exp(-1))


@result
class Resonance(NamedTuple):
    """Transitions at V gains of the noise into some units, everything else as trained.

    A resonance is a dip: stays under one symbol that are most regular at a gain between the
    smallest and the largest. That gain is chosen on the even runs and the dip is measured on the
    odd ones, so that a minimum found among noisy numbers is none. Stays under all symbols together
    would not do: where the gain moves only some of them, their pooled CV has a dip where all means
    are equal.
    """

    gains: Float[np.ndarray, " V"]
    n_units: int  # that the gain applies to
    identity: bool  # true by construction: gains above 0 change no symbol at all
    outcome: Outcomes  # (V, ...): pooled_cv and dwell_cv say how regular, per_step how many
    symbol: int | None  # whose stays are judged; None: all together
    best_gain: float  # with the smallest CV on the even runs; NaN without two CVs
    dip: Estimate  # the smaller CV of the two ends, minus that at the best gain; odd runs


@result
class TimeScales(NamedTuple):
    """How long the mean activity of a population and of a kick group remembers itself, in steps.

    Intervals over runs. For a process that forgets at rate r both times are near 1 / r.
    """

    population: Estimate  # integrated autocorrelation time
    kick: Estimate
    ratio: Estimate  # of the first to the second
    population_decay: Estimate  # steps until the autocorrelation has fallen to 1 / e
    kick_decay: Estimate
    decay_ratio: Estimate


def resonance(
    setting: Assay,
    baseline: Measured,
    units: Bool[np.ndarray, " N"],
    key: Key,
    *,
    symbol: int | None = None,
    gains: Sequence[float] = GAINS,
) -> Resonance:
    """Vary the noise into `units` alone, and see how regular the stays under a symbol are."""
    units = np.asarray(units)
    measured = measure(setting, scaled("noise", Group(np.zeros_like(units), units), gains))
    runs, starts = weights_of(setting, key)
    rows = quantities(setting, measured, baseline, runs, starts)
    even = np.arange(len(setting.keys)) % 2 == 0
    choice = _cv(quantities(setting, measured, baseline, runs[:1] * even, starts[:1]), symbol)[0]
    tested = _cv(quantities(setting, measured, baseline, runs * ~even, starts), symbol)
    best = _least(choice)
    known = np.flatnonzero(np.isfinite(choice))
    ends = known[[0, -1]] if len(known) else [0, 0]
    dip = np.min(tested[:, ends], axis=1) - tested[:, best]
    return Resonance(
        gains=np.asarray(gains, float),
        n_units=int(units.sum()),
        identity=bool(units.all()) and setting.network.homogeneous,
        outcome=summary(rows, measured),
        symbol=symbol,
        best_gain=float(gains[best]) if len(known) > 1 else np.nan,
        dip=Estimate.of(dip) if len(known) > 1 else UNKNOWN,
    )


def _cv(found: dict[str, np.ndarray], symbol: int | None) -> Float[np.ndarray, "R V"]:
    return found["pooled_cv"] if symbol is None else found["dwell_cv"][..., symbol]


def _least(values: np.ndarray) -> int:
    return int(np.argmin(np.where(np.isfinite(values), values, np.inf)))


def time_scales(
    states: Float[Array | np.ndarray, "B T N"],
    population: Bool[np.ndarray, " N"],
    kick: Bool[np.ndarray, " N"],
    key: Key,
) -> TimeScales:
    """Autocorrelation times of the mean activity of two groups of units along the same runs.

    The integrated time is 1/2 + sum_k rho_k over the lags before the autocorrelation rho first is
    0 or less, at most a quarter of the run. NaN for a group that is empty or does not change.
    """
    weights = bootstrap_weights(len(states), key)
    values = jnp.asarray(states)
    courses = (
        np.asarray(values[..., np.flatnonzero(mask)].mean(-1), float)
        if np.any(mask)
        else np.full(values.shape[:2], np.nan)
        for mask in (population, kick)
    )
    (slow, slow_decay), (fast, fast_decay) = (_times(weights, x) for x in courses)
    rows = slow, fast, divided(slow, fast), slow_decay, fast_decay, divided(slow_decay, fast_decay)
    return TimeScales(*map(Estimate.of, rows))


def _times(
    weights: Float[np.ndarray, "R B"], course: Float[np.ndarray, "B T"]
) -> tuple[np.ndarray, np.ndarray]:
    """Integrated and 1/e time (R,) from the autocorrelation over weighted runs."""
    n_lags = course.shape[1] // 4 + 1
    x = course - course.mean()
    covariance = weights @ np.stack([_lagged(x, lag) for lag in range(n_lags)], axis=1)
    rho = divided(covariance, covariance[:, :1])
    positive = np.logical_and.accumulate(rho > 0, axis=1)
    integrated = np.where(positive, rho, 0).sum(axis=1) - 0.5
    moves = covariance[:, 0] > 0
    return np.where(moves, integrated, np.nan), np.where(moves, _fallen(rho), np.nan)


def _lagged(x: Float[np.ndarray, "B T"], lag: int) -> Float[np.ndarray, " B"]:
    return np.mean(x[:, : x.shape[1] - lag] * x[:, lag:], axis=1)


def _fallen(rho: Float[np.ndarray, "R L"]) -> Float[np.ndarray, " R"]:
    """The lag at which rho first is 1/e, on straight lines between lags; NaN if it never is."""
    below = rho <= FALLEN
    after = np.argmax(below, axis=1)
    rows = np.arange(len(rho))
    high, low = rho[rows, np.maximum(after - 1, 0)], rho[rows, after]
    step = divided(high - FALLEN, high - low)
    return np.where(below.any(axis=1), after - 1 + step, np.nan)
