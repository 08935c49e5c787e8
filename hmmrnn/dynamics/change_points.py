"""When something happened in training: a jump, a change of level, a second descent of the loss."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from hmmrnn.results import result

JUMP = 0.02
GRID = 10
"""Torre et al. (2025): the first rise by more than 0.02 between values 10 epochs apart."""

LEVEL = 0.95
N_PERMUTATIONS = 999
SIGNIFICANT = 0.05

FLAT = 0.05
FALL = 0.1
SHORTEST = 0.03
"""A plateau: at least 3 % of the epochs, over which the loss keeps within 5 % of its whole fall;
a descent: more than 10 % of it."""


@result
class ChangePoint(NamedTuple):
    """The epoch at which the level of a series changes; NaN for "it does not"."""

    epoch: float  # first epoch of the new level
    low: float  # 95 % interval; from the last epoch seen on the old level at least
    high: float
    before: float  # mean level
    after: float
    p_value: float  # share of shuffled series that one change describes as well
    n_valid: int  # epochs at which the series is known


@result
class SecondDescent(NamedTuple):
    """A loss that falls, rests, and falls again; NaN where it does not."""

    plateau_start: float  # epochs
    onset: float  # end of the plateau, where the second descent begins
    first_fall: float  # share of the whole fall before the plateau
    second_fall: float  # and after it


def first_jump(epochs: Int[np.ndarray, " E"], values: Float[np.ndarray, " E"]) -> float:
    """First epoch at which `values` rose by more than 0.02 within 10 epochs (the paper's rule).

    With snapshots further apart than 10 epochs, from one to the next. NaN if there is none.
    """
    known = np.isfinite(values)
    epochs, values = epochs[known], values[known]
    start = epochs[0] if len(epochs) else 0
    chosen = [i for i, e in enumerate(epochs) if (e - start) % GRID == 0]
    if len(chosen) < 2 or np.diff(epochs[chosen]).max() > GRID:
        chosen = list(range(len(epochs)))
    rises = np.diff(values[chosen])
    jumps = np.flatnonzero(rises > JUMP)
    return float(epochs[chosen[jumps[0] + 1]]) if len(jumps) else np.nan


def change_point(
    epochs: Int[np.ndarray, " E"],
    values: Float[np.ndarray, " E"],
    draws: Float[np.ndarray, "R E"],
    rng: np.random.Generator,
    *,
    rises_only: bool = False,
) -> ChangePoint:
    """The one change of level that describes `values` best in the least-squares sense.

    With `rises_only`, the best one among those to a higher level.
    `draws` are bootstrap samples of the series; the interval is that of their own change points,
    and never narrower than the gap between the snapshots around the change. There is no change if
    one describes shuffled epochs as well in more than 5 % of cases (a series with a trend has one
    too: `before` and `after` say how large it is).
    """
    known = np.isfinite(values)
    epochs, values, draws = epochs[known], values[known], draws[:, known]
    n = len(values)
    if n < 4 or np.ptp(values) == 0:
        return ChangePoint(np.nan, np.nan, np.nan, np.nan, np.nan, np.nan, n)
    split, gain = (x[0] for x in _best_split(values[None], rises_only))
    shuffled = rng.permuted(np.tile(values, (N_PERMUTATIONS, 1)), axis=1)
    p_value = (1 + np.sum(_best_split(shuffled, rises_only)[1] >= gain)) / (1 + N_PERMUTATIONS)
    before, after = values[:split].mean(), values[split:].mean()
    if p_value > SIGNIFICANT:
        return ChangePoint(np.nan, np.nan, np.nan, before, after, p_value, n)
    drawn = _best_split(np.nan_to_num(draws), rises_only)[0]
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(drawn, [tail, 1 - tail], method="closest_observation").astype(int)
    return ChangePoint(
        epoch=float(epochs[split]),
        low=float(epochs[min(low, split) - 1]),
        high=float(epochs[max(high, split)]),
        before=float(before),
        after=float(after),
        p_value=float(p_value),
        n_valid=n,
    )


def second_descent(loss: Float[np.ndarray, " E"]) -> SecondDescent:
    """Find the longest plateau of the loss of each epoch that stands between two descents.

    The loss is smoothed by a running median of 2 % of the epochs, at least 3.
    """
    nothing = SecondDescent(np.nan, np.nan, np.nan, np.nan)
    known = np.flatnonzero(np.isfinite(loss))
    if len(known) < 8:
        return nothing
    smooth = _running_median(loss[known], max(3, len(known) // 50))
    fall = smooth[0] - smooth.min()
    if not fall > 0:
        return nothing
    ends = _flat_until(smooth, FLAT * fall)
    starts = np.arange(len(smooth))
    before, after = (smooth[0] - smooth) / fall, (smooth - smooth.min()) / fall
    long_enough = ends - starts >= max(3, SHORTEST * len(smooth))
    plateaus = long_enough & (before[starts] > FALL) & (after[ends] > FALL)
    if not plateaus.any():
        return nothing
    start = int(np.argmax(np.where(plateaus, ends - starts, -1)))
    end = int(ends[start])
    return SecondDescent(
        plateau_start=float(known[start] + 1),
        onset=float(known[end] + 1),
        first_fall=float(before[start]),
        second_fall=float(after[end]),
    )


def _best_split(
    series: Float[np.ndarray, "R E"], rises_only: bool
) -> tuple[np.ndarray, np.ndarray]:
    """For each series the first index of its second level, and the squares that it explains."""
    n = series.shape[1]
    left = np.arange(1, n)
    sums = np.cumsum(series - series.mean(axis=1, keepdims=True), axis=1)[:, :-1]
    gains = sums**2 * n / (left * (n - left))  # between-group sum of squares
    if rises_only:
        gains = np.where(sums < 0, gains, 0.0)
    return left[np.argmax(gains, axis=1)], gains.max(axis=1)


def _running_median(values: np.ndarray, width: int) -> np.ndarray:
    width += 1 - width % 2
    padded = np.pad(values, width // 2, mode="edge")
    return np.median(np.lib.stride_tricks.sliding_window_view(padded, width), axis=1)


def _flat_until(values: np.ndarray, tolerance: float) -> np.ndarray:
    """For each index the last one up to which the values stay within `tolerance` of each other."""
    ends, end = np.empty(len(values), int), 0
    for start in range(len(values)):
        end = max(end, start)
        while end + 1 < len(values) and np.ptp(values[start : end + 2]) <= tolerance:
            end += 1
        ends[start] = end
    return ends
