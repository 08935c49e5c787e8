"""Noise-integrating populations: units that excite one kick group and inhibit the other.

They are read from the recurrent weights, and independently from the noise: if they integrate it,
the low-pass filtered drive of their units says whether a transition is coming. The agreement of
the two is a result.
"""

from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.signal import lfilter
from scipy.special import ndtr
from scipy.stats import false_discovery_control, rankdata, spearmanr

from hmmrnn.arrays import Key, Params, host_generator
from hmmrnn.intervals import Estimate, bootstrap_weights
from hmmrnn.recordings.events import find_events
from hmmrnn.recordings.recorder import Recording
from hmmrnn.results import result

N_RANDOM_TARGETS = 400
FALSE_DISCOVERIES = 0.05
"""Share of units in a population that may be there by chance (Benjamini & Hochberg 1995)."""
FILTER_STEPS = 5.0
"""Time constant of the low-pass filter of the drive, in steps."""
LEAD = 5
"""Steps within which a coming transition counts as coming."""


@result
class Population(NamedTuple):
    """The units that push towards the change of one ordered pair, by weight and by noise."""

    pair: tuple[int, int]
    contrast: Float[np.ndarray, " N"]  # mean weight onto this kick group minus onto the other's
    members: Bool[np.ndarray, " N"]  # excites this one, inhibits the other
    beyond_chance: Bool[np.ndarray, " N"]  # of these, more contrast than onto random units
    prediction: Float[np.ndarray, " N"]  # AUC of the filtered drive for a coming change
    agreement: Estimate  # rank correlation of contrast and prediction over the other units
    difference: Estimate  # mean prediction of the members minus that of all others


def population(
    params: Params,
    recording: Recording,
    pair: tuple[int, int],
    kick: Bool[np.ndarray, " N"],
    opposite: Bool[np.ndarray, " N"],
    key: Key,
) -> Population:
    """The population of one kick group, and how well its noise predicts the change.

    A member excites the kick group and inhibits the opposite one (where there is one) in the mean
    of its weights (Torre et al. 2025); a quarter of random units would. Those beyond chance have
    more contrast than onto random groups of the same sizes, with a false discovery rate of 5 %;
    where few other units receive much, that test has little power. Kick neurons themselves are
    left out. Intervals are over the runs of the recording.
    """
    key_targets, key_boot = jax.random.split(key)
    W = np.asarray(params["W_rec"], np.float64)
    onto, away = _mean_weights(W, kick), _mean_weights(W, opposite)
    contrast = onto - away
    others = ~(kick | opposite)
    members = others & (onto > 0) & ((away < 0) | (not opposite.any()))
    p_value = _chance_of_contrast(W, contrast, int(kick.sum()), int(opposite.sum()), key_targets)
    beyond_chance = members & discoveries(np.where(others, p_value, np.nan))
    waiting, coming = coming_changes(recording, pair)
    drive = filtered_drive(params, recording)
    weights = bootstrap_weights(len(drive), key_boot)
    prediction = prediction_draws(drive, waiting, coming, weights)
    rank = [_rank_correlation(contrast[others], draw[others]) for draw in prediction]
    split = [_mean_difference(draw, members, others) for draw in prediction]
    return Population(
        pair,
        contrast,
        members,
        beyond_chance,
        prediction[0],
        Estimate.of(np.array(rank)),
        Estimate.of(np.array(split)),
    )


def _mean_weights(W: Float[np.ndarray, "N N"], group: Bool[np.ndarray, " N"]) -> np.ndarray:
    """Mean weight of each unit onto a group; zero onto no unit."""
    return W[group].mean(0) if group.any() else np.zeros(len(W))


def _chance_of_contrast(
    W: Float[np.ndarray, "N N"], contrast: np.ndarray, n_kick: int, n_opposite: int, key: Key
) -> Float[np.ndarray, " N"]:
    """Chance that a unit has as much contrast between two random groups of the same sizes."""
    if n_kick == 0:
        return np.full(len(W), np.nan)
    units = np.tile(np.arange(len(W)), (N_RANDOM_TARGETS, 1))
    draws = host_generator(key).permuted(units, axis=1)
    null = W[draws[:, :n_kick]].mean(1)
    if n_opposite:
        null = null - W[draws[:, n_kick : n_kick + n_opposite]].mean(1)
    spread = null.std(0)
    z = np.divide(contrast - null.mean(0), spread, out=np.zeros(len(W)), where=spread > 0)
    return ndtr(-z)  # means of several weights are nearly normal, and 400 draws have no far tail


def discoveries(p_value: Float[np.ndarray, " N"]) -> Bool[np.ndarray, " N"]:
    """Which of the known p-values pass at a false discovery rate of 5 %."""
    known = np.isfinite(p_value)
    found = np.zeros(len(p_value), bool)
    if known.any():
        found[known] = false_discovery_control(p_value[known]) <= FALSE_DISCOVERIES
    return found


def filtered_drive(params: Params, recording: Recording) -> Float[np.ndarray, "B T N"]:
    """W_in x_t of each unit, averaged over its past with weights that fall by 1/e in 5 steps."""
    drive = np.asarray(recording.noise) @ np.asarray(params["W_in"]).T
    keep = np.exp(-1 / FILTER_STEPS)
    return lfilter([1 - keep], [1, -keep], drive, axis=1).astype(np.float32)


def coming_changes(
    recording: Recording, pair: tuple[int, int]
) -> tuple[Bool[np.ndarray, "B T"], Bool[np.ndarray, "B T"]]:
    """Steps under the old symbol that last at least 5 more, and those within 5 of a change.

    Steps before changes to a third symbol, or to one that does not last, belong to neither.
    """
    symbols = np.asarray(recording.symbols)
    old = symbols == pair[0]
    events = find_events(symbols, pair)
    coming = np.zeros_like(old)
    waiting = old.copy()
    for lag in range(1, LEAD + 1):
        coming[events.run, events.onset - lag] = True
        waiting[:, :-lag] &= old[:, lag:]
    waiting[:, -LEAD:] = False
    return waiting & ~coming, coming & old


def prediction_draws(
    drive: Float[np.ndarray, "B T N"],
    waiting: Bool[np.ndarray, "B T"],
    coming: Bool[np.ndarray, "B T"],
    weights: Float[np.ndarray, "R B"],
) -> Float[np.ndarray, "R N"]:
    """AUC of each unit's drive for steps before a change against waiting ones, for each draw.

    Of all runs together, by ranks: the mean rank of the steps before a change, rescaled. In a
    draw, runs have new weights and ranks stay.
    """
    used = waiting | coming
    run = np.nonzero(used)[0]
    ranks = rankdata(drive[used], axis=0) / max(used.sum(), 1)
    label = coming[used]
    sums, counts = (
        np.array([weights @ _by_run(run[label == is_coming], x[label == is_coming], len(drive))
                  for is_coming in (True, False)])
        for x in (ranks, np.ones((len(ranks), 1)))
    )  # fmt: skip
    with np.errstate(invalid="ignore", divide="ignore"):
        means = sums / counts
    return 0.5 + means[0] - means[1]


def _by_run(run: Int[np.ndarray, " P"], x: Float[np.ndarray, "P N"], n_runs: int) -> np.ndarray:
    total = np.zeros((n_runs, x.shape[1]))
    np.add.at(total, run, x)
    return total


def _rank_correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Spearman's; NaN where one of them does not vary or is unknown."""
    if len(a) < 3 or not np.isfinite(b).all() or np.ptp(a) == 0 or np.ptp(b) == 0:
        return np.nan
    return float(spearmanr(a, b).statistic)


def _mean_difference(draw: np.ndarray, members: np.ndarray, others: np.ndarray) -> float:
    rest = others & ~members
    if not members.any() or not rest.any():
        return np.nan
    return float(draw[members].mean() - draw[rest].mean())
