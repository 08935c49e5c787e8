"""Effective connectivity over time, between the units that matter most: what a figure can show."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.cluster.hierarchy import leaves_list, linkage, optimal_leaf_ordering

from hmmrnn.discovery.case import Case, clean_run
from hmmrnn.discovery.effective import mean_connectivity
from hmmrnn.results import result

N_SHOWN = 40
LEAST = 1e-3
"""Share of the strongest effect below which a unit is not shown."""
N_STEPS = 6
ELSEWHERE = "others"


@result
class Movie(NamedTuple):
    """S_{j->i}(t) between m units at L steps, (receiver, sender), of one trial and of the mean."""

    steps: Int[np.ndarray, " L"]
    units: Int[np.ndarray, " m"]  # in the order shown: by group, then alike ones side by side
    group: tuple[str, ...]  # of each of these units
    single: Float[np.ndarray, "L m m"]  # the first trial
    mean: Float[np.ndarray, "L m m"]  # over trials


def movie(
    case: Case, groups: Mapping[str, Bool[np.ndarray, " N"]], strength: Float[np.ndarray, "W N"]
) -> Movie:
    """The up to 40 units with the largest share of a window's strongest effect, at 6 steps or more.

    There is one step from the middle of each window, or six evenly spaced ones if there are fewer.
    """
    largest = np.maximum(np.abs(strength).max(1, keepdims=True), 1e-30)
    share = (np.abs(strength) / largest).max(0)
    best = np.argsort(-share, kind="stable")[: min(N_SHOWN, max(2, int((share > LEAST).sum())))]
    member = {
        int(u): next((name for name, mask in groups.items() if mask[u]), ELSEWHERE) for u in best
    }
    shown = np.array(_ordered(case, best, member), int)
    steps = _steps(case)
    single, mean = (
        np.asarray(mean_connectivity(each, steps))[:, shown[:, None], shown]
        for each in (case.trials(slice(0, 1)), case)
    )
    return Movie(steps, shown, tuple(member[int(u)] for u in shown), single, mean)


def _steps(case: Case) -> Int[np.ndarray, " L"]:
    middles = np.array([(first + end) // 2 for first, end in case.bounds])
    if len(middles) >= N_STEPS:
        return middles
    return np.linspace(0, len(case.inputs) - 1, N_STEPS).round().astype(int)


def _ordered(case: Case, units: Int[np.ndarray, " m"], member: Mapping[int, str]) -> list[int]:
    """Units by group, within each of them such that neighbours correlate."""
    states = np.asarray(clean_run(case).states, np.float64)
    order: list[int] = []
    for name in dict.fromkeys(member[int(u)] for u in sorted(units)):
        own = np.array([u for u in units if member[int(u)] == name])
        order += [int(u) for u in own[_alike(states[..., own].reshape(-1, len(own)))]]
    return order


def _alike(x: Float[np.ndarray, "S m"]) -> Int[np.ndarray, " m"]:
    if x.shape[1] < 3:
        return np.arange(x.shape[1])
    scale = x.std(0)
    z = (x - x.mean(0)) / np.where(scale > 0, scale, 1.0)
    tree = linkage(z.T, "average")
    return np.asarray(leaves_list(optimal_leaf_ordering(tree, z.T)), int)
