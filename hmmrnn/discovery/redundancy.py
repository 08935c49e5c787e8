"""Redundancy: units that are not missed alone because others do the same.

Single interventions overlook a pair of which either one is enough. Units are therefore also
replaced together with the unit that they are most alike, and groups as a whole. What that does is
compared with the most that units can do which do not depend on each other: the sum of their effects
where the loss is linear; where it is a squared distance, the square of the sum of distances, since
changes of the readout that point the same way add up before they are squared.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from hmmrnn.discovery.case import Case, Loss, clean_run
from hmmrnn.discovery.interventions import Stand_in, effects
from hmmrnn.results import result


@result
class Twins(NamedTuple):
    """Each unit replaced together with its twin, the unit it correlates with most.

    What goes beyond two independent units is redundancy.
    """

    twin: Int[np.ndarray, "W N"]
    correlation: Float[np.ndarray, "W N"]  # |r| in the window over trials and steps; 0 if constant
    effect: Float[np.ndarray, "W N"]  # of both, mean over trials
    beyond: Float[np.ndarray, "W N"]  # effect less the most of two independent ones

    def strongest(self, window: int, n: int) -> list[dict[str, Any]]:
        """The pairs that do most beyond what each of the two does alone."""
        seen: dict[tuple[int, int], int] = {}
        for i in np.argsort(-self.beyond[window], kind="stable"):
            a, b = sorted((int(i), int(self.twin[window, i])))
            seen.setdefault((a, b), int(i))
        return [
            {
                "units": pair,
                "correlation": self.correlation[window, i],
                "effect": self.effect[window, i],
                "beyond": self.beyond[window, i],
            }
            for pair, i in list(seen.items())[:n]
        ]


@result
class GroupEffects(NamedTuple):
    """Each group replaced as a whole, means over trials."""

    names: tuple[str, ...]
    effect: Float[np.ndarray, "W G"]
    alone: Float[np.ndarray, "W G"]  # the most that its units would do if they were independent

    def numbers(self) -> dict[str, Any]:
        """Of each group by its name."""
        return {
            name: {"effect": self.effect[:, g], "alone": self.alone[:, g]}
            for g, name in enumerate(self.names)
        }


def twins(case: Case, single: Float[np.ndarray, "W N"], instead: Stand_in) -> Twins:
    """Pair interventions, given the mean effects of single units."""
    states = np.asarray(clean_run(case).states, np.float64)
    n_units = states.shape[-1]
    correlation = np.stack(
        [_correlation(states[first:end].reshape(-1, n_units)) for first, end in case.bounds]
    )
    twin = correlation.argmax(-1)
    pairs = np.eye(n_units, dtype=bool) | (twin[..., None] == np.arange(n_units))
    both = effects(case, pairs, instead).mean(-1)
    two = np.stack([single, np.take_along_axis(single, twin, 1)], axis=-1)
    alone = independent(case.loss, two)
    return Twins(twin, correlation.max(-1), both, both - alone)


def group_effects(
    case: Case,
    groups: Mapping[str, Bool[np.ndarray, " N"]],
    single: Float[np.ndarray, "W N"],
    instead: Stand_in,
) -> GroupEffects:
    """Groups replaced as a whole, beside what their units would do independently."""
    masks = np.array(list(groups.values()), bool).reshape(-1, case.network.hidden_size)
    alone = independent(case.loss, np.where(masks, single[:, None], 0.0))
    return GroupEffects(tuple(groups), effects(case, masks, instead).mean(-1), alone)


def independent(loss: Loss, single: Float[np.ndarray, "*G N"]) -> Float[np.ndarray, "*G"]:
    """The most that units do together which do not depend on each other, from their effects.

    Distances obey the triangle inequality; a squared one is the mean over trials and steps. That
    holds where the target of a curved loss is the network's own readout.
    """
    if not loss.curvature:
        return single.sum(-1)
    return np.sqrt(np.maximum(single, 0.0)).sum(-1) ** 2


def _correlation(x: Float[np.ndarray, "S N"]) -> Float[np.ndarray, "N N"]:
    """|Pearson correlation| of different units; 0 for a unit with itself and for constant ones."""
    centred = x - x.mean(0)
    norm = np.linalg.norm(centred, axis=0)
    varies = norm > 1e-6 * max(float(norm.max(initial=0.0)), 1e-30)
    unit = np.where(varies, centred / np.where(varies, norm, 1.0), 0.0)
    found = np.abs(unit.T @ unit)
    np.fill_diagonal(found, 0.0)
    return found
