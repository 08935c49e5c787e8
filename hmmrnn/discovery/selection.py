"""Selection: the smallest circuit of each window that does what the whole network does.

Units are ranked on one half of the trials, circuits are chosen there, and all that is said about
them is measured on the other half, with intervals by bootstrap over its trials. A circuit C is
judged by running it with everything else replaced in the window:

    faithfulness  F(C) = (m(C) - m(none)) / (m(full) - m(none)), m = -loss     (1: does everything)
    completeness  F(full minus C)                                 (0: nothing of it is left outside)
    minimality    F(C) - F(C without i), smallest over its 64 weakest units i  (0: one to spare)
    necessity     loss without C - loss of the clean run
    stake         m(full) - m(none); unless it is clearly above zero, F is unknown
    sufficiency   (m(patched) - m(corrupted)) / (m(clean) - m(corrupted)), with the clean
                  states of C put into the corrupted run
    CPR, CMD      area under F over the share of units, and between F and 1 (Mueller et al. 2025)
"""

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from hmmrnn.arrays import Key, host_generator
from hmmrnn.discovery.case import Case, clean_run
from hmmrnn.discovery.interventions import Stand_in, clean_losses, losses
from hmmrnn.errors import InputError
from hmmrnn.intervals import Estimate, bootstrap_weights
from hmmrnn.results import result

CLEARLY = 2.0
"""Standard errors over trials by which a stake must be above zero."""
FAITHFUL = 0.95
"""Faithfulness on the first half that a circuit must reach."""
MOST_SIZES = 28
"""Points of a curve, ever further apart."""
MOST_CHECKED = 64
"""Units of a circuit that are taken out one by one for its minimality, the weakest first."""


@result
class Curve(NamedTuple):
    """Faithfulness of the k strongest units, or edges, in one window, over k."""

    sizes: Int[np.ndarray, " G"]  # from 0 to all of them
    faithfulness: Estimate  # (G,)
    cpr: Estimate
    cmd: Estimate


@result
class Circuit(NamedTuple):
    """The units chosen for one window, and their worth in trials that did not choose them."""

    units: Bool[np.ndarray, " N"]
    chosen_at: float  # faithfulness in the trials that chose them
    stake: Estimate
    faithfulness: Estimate
    completeness: Estimate
    minimality: Estimate
    necessity: Estimate
    sufficiency: Estimate

    def numbers(self) -> dict[str, Any]:
        """Units by index."""
        return {**self._asdict(), "units": np.flatnonzero(self.units)}


@result
class Chosen(NamedTuple):
    """A circuit for each window, and its faithfulness in the trials that chose it."""

    units: Bool[np.ndarray, "W N"]
    at: Float[np.ndarray, " W"]


@result
class Losses(NamedTuple):
    """Losses in one window, for each trial, of the network whole and with all units replaced."""

    full: Float[np.ndarray, " B"]
    none: Float[np.ndarray, " B"]


def halves(n_trials: int, key: Key) -> tuple[Int[np.ndarray, " b"], Int[np.ndarray, " c"]]:
    """Trials to choose with and trials to judge with, at random.

    Raises:
        InputError: fewer than 4 trials.
    """
    if n_trials < 4:
        raise InputError(f"n_trials={n_trials}: choosing and judging need at least 4")
    order = host_generator(key).permutation(n_trials)
    return np.sort(order[: n_trials // 2]), np.sort(order[n_trials // 2 :])


def strongest(strength: Float[np.ndarray, " N"], size: int) -> Bool[np.ndarray, " N"]:
    """The `size` strongest units; of equal ones the first."""
    chosen = np.zeros(len(strength), bool)
    chosen[np.argsort(-strength, kind="stable")[:size]] = True
    return chosen


def curve_sizes(n: int) -> Int[np.ndarray, " G"]:
    """Sizes from nothing to everything, ever further apart."""
    grid = np.unique(np.rint(np.geomspace(1, n, MOST_SIZES)).astype(int))
    return np.concatenate([[0], grid])


def curves(
    case: Case, strength: Float[np.ndarray, "W N"], instead: Stand_in, key: Key
) -> list[Curve]:
    """Faithfulness over size in each window, on the trials of `case`."""
    n_units = case.network.hidden_size
    sizes = curve_sizes(n_units)
    kept = np.array([[strongest(row, int(k)) for k in sizes] for row in strength])
    found = losses(case, ~kept, instead)
    weights = bootstrap_weights(found.shape[-1], key)
    return [curve_of(sizes, loss, weights) for loss in found]


def curve_of(
    sizes: Int[np.ndarray, " G"], loss: Float[np.ndarray, "G B"], weights: Float[np.ndarray, "R B"]
) -> Curve:
    """The curve of the losses of circuits of each size, from nothing kept to everything."""
    draws = faithfulness_of(loss, Losses(full=loss[-1], none=loss[0]), weights)
    share = sizes / sizes[-1]
    cpr, cmd = (np.trapezoid(y, share, axis=1) for y in (draws, np.abs(1 - draws)))
    return Curve(sizes, *map(Estimate.of, (draws, cpr, cmd)))


def smallest_faithful(
    case: Case, strength: Float[np.ndarray, "W N"], instead: Stand_in, threshold: float = FAITHFUL
) -> Chosen:
    """For each window the first size at which the strongest units are at least so faithful.

    Nobody where nothing is clearly at stake.
    """
    n_units = case.network.hidden_size
    kept = np.array([[strongest(row, k) for k in range(n_units + 1)] for row in strength])
    found = losses(case, ~kept, instead)
    made = [mean_faithfulness(loss) for loss in found]
    sizes = [int(np.argmax(faithful >= threshold)) for faithful in made]
    windows = np.arange(len(sizes))
    at = np.array([faithful[size] for faithful, size in zip(made, sizes, strict=True)])
    return Chosen(kept[windows, sizes], at)


def of_size(case: Case, strength: Float[np.ndarray, "W N"], instead: Stand_in, size: int) -> Chosen:
    """For each window the `size` strongest units.

    Raises:
        InputError: more units than there are, or none.
    """
    if not 1 <= size <= case.network.hidden_size:
        raise InputError(
            f"size={size}: must be 1 to {case.network.hidden_size}, the number of units"
        )
    chosen = np.array([strongest(row, size) for row in strength])
    groups = np.stack([np.ones_like(chosen), ~chosen, np.zeros_like(chosen)], axis=1)
    made = [mean_faithfulness(loss) for loss in losses(case, groups, instead)]
    return Chosen(chosen, np.array([faithful[1] for faithful in made]))


def mean_faithfulness(loss: Float[np.ndarray, "G B"]) -> Float[np.ndarray, " G"]:
    """F of circuits from nothing kept to everything, in the mean of trials."""
    weights = np.full((1, loss.shape[1]), 1 / loss.shape[1])
    return faithfulness_of(loss, Losses(full=loss[-1], none=loss[0]), weights)[0]


def judged(
    case: Case,
    chosen: Chosen,
    strength: Float[np.ndarray, "W N"],
    instead: Stand_in,
    key: Key,
) -> list[Circuit]:
    """What circuits, one for each window, are worth on the trials of `case`."""
    circuits, chosen_at = chosen
    weights = bootstrap_weights(len(case.h0), key)
    nobody, everybody = np.zeros_like(circuits), np.ones_like(circuits)
    groups = np.stack([nobody, everybody, ~circuits, circuits], axis=1)
    found = losses(case, groups, instead)
    patched = losses(case.corrupted(), groups[:, [0, 3]], clean_run(case).states[None])
    clean = clean_losses(case)
    spare = _without_one(case, circuits, strength, instead)
    made = []
    for w, loss in enumerate(found):
        ends = Losses(loss[0], loss[1])
        faithful, left = faithfulness_of(loss[2:], ends, weights).T
        drops = faithful[:, None] - faithfulness_of(spare[w], ends, weights)
        with np.errstate(divide="ignore", invalid="ignore"):
            corrupt, restored, whole = (weights @ x for x in (*patched[w], clean[w]))
            sufficient = (corrupt - restored) / (corrupt - whole)
        made.append(
            Circuit(
                units=circuits[w],
                chosen_at=float(chosen_at[w]),
                stake=Estimate.of(weights @ (ends.none - ends.full)),
                faithfulness=Estimate.of(faithful),
                completeness=Estimate.of(left),
                minimality=Estimate.of(drops.min(1) if drops.size else np.full(len(drops), np.nan)),
                necessity=Estimate.of(weights @ (loss[3] - loss[0])),
                sufficiency=Estimate.of(sufficient),
            )
        )
    return made


def _without_one(
    case: Case,
    circuits: Bool[np.ndarray, "W N"],
    strength: Float[np.ndarray, "W N"],
    instead: Stand_in,
) -> list[Float[np.ndarray, "m B"]]:
    """Losses of each circuit without one of its weakest units, for each of these."""
    weakest = []
    for units, row in zip(circuits, strength, strict=True):
        inside = np.flatnonzero(units)
        weakest.append(inside[np.argsort(row[inside], kind="stable")][:MOST_CHECKED])
    most = max(1, *(len(units) for units in weakest))
    groups = np.repeat(~circuits[:, None], most, axis=1)
    for w, units in enumerate(weakest):
        groups[w, np.arange(len(units)), units] = True
    found = losses(case, groups, instead)
    return [loss[: len(units)] for loss, units in zip(found, weakest, strict=True)]


def faithfulness_of(
    loss: Float[np.ndarray, "G B"], ends: Losses, weights: Float[np.ndarray, "R B"]
) -> Float[np.ndarray, "R G"]:
    """F in each bootstrap sample; NaN where nothing is clearly at stake."""
    if not at_stake(ends):
        return np.full((len(weights), len(loss)), np.nan)
    none, full = weights @ ends.none, weights @ ends.full
    with np.errstate(divide="ignore", invalid="ignore"):
        return (none[:, None] - weights @ loss.T) / (none - full)[:, None]


def at_stake(ends: Losses) -> bool:
    """Whether replacing everything raises the loss by more than two standard errors over trials."""
    rise = ends.none - ends.full
    return bool(rise.mean() > CLEARLY * rise.std() / len(rise) ** 0.5)
