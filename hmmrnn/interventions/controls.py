"""Control groups: as many other units, as active and with as much weight on the rest."""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from hmmrnn.arrays import Key, Params, host_generator
from hmmrnn.results import result

NEAREST = 5
"""Candidates among which each partner is drawn."""
SMALLEST = 1e-3
"""Share of the largest activity or norm that counts as none at all, on the log scale."""


@result
class Controls(NamedTuple):
    """C control groups of the size of a group, and how well they match it (1 is perfectly)."""

    masks: Bool[np.ndarray, "C N"]
    activity_ratio: Float[np.ndarray, " C"]  # summed activity over that of the group
    out_norm_ratio: Float[np.ndarray, " C"]  # summed norms over those of the group
    n_available: int  # candidates; no draws at all where they are fewer than the group


def activity_and_norm(
    params: Params, states: Float[Array | np.ndarray, "*B N"]
) -> tuple[Float[np.ndarray, " N"], Float[np.ndarray, " N"]]:
    """Mean |h_i| of each unit, and the norm of its column of W_rec and W_out, one on the other."""
    outgoing = np.concatenate([np.asarray(params[name], float) for name in ("W_rec", "W_out")])
    activity = jnp.mean(jnp.abs(states), axis=tuple(range(states.ndim - 1)))
    return np.asarray(activity, float), np.linalg.norm(outgoing, axis=0)


def matched_controls(
    activity: Float[np.ndarray, " N"],
    out_norm: Float[np.ndarray, " N"],
    group: Bool[np.ndarray, " N"],
    excluded: Bool[np.ndarray, " N"],
    n_draws: int,
    key: Key,
) -> Controls:
    """Control groups without a unit of the group or an excluded one, matched unit by unit.

    The units of the group take turns, in random order, to draw a partner among the 5 nearest
    candidates that are left: at the smallest distance of (log activity, log norm).
    """
    group = np.asarray(group)
    members = np.flatnonzero(group)
    candidates = np.flatnonzero(~group & ~np.asarray(excluded))
    if len(members) > len(candidates):
        none = np.full(0, np.nan)
        return Controls(np.zeros((0, len(group)), bool), none, none, len(candidates))
    order, pick = host_generator(key).random((2, n_draws, len(members)))
    points = np.stack([_log(activity), _log(out_norm)], axis=1)
    distance = np.linalg.norm(points[members, None] - points[candidates], axis=-1)
    masks = np.zeros((n_draws, len(group)), bool)
    for mask, turns, draws in zip(masks, np.argsort(order, axis=1), pick, strict=True):
        mask[candidates[_partners(distance, turns, draws)]] = True
    return Controls(
        masks=masks,
        activity_ratio=_share(masks, group, activity),
        out_norm_ratio=_share(masks, group, out_norm),
        n_available=len(candidates),
    )


def _partners(
    distance: Float[np.ndarray, "M C"], turns: Int[np.ndarray, " M"], draws: np.ndarray
) -> list[int]:
    """One candidate for each member, none twice."""
    distance = distance.copy()
    taken: list[int] = []
    for member, draw in zip(turns, draws, strict=True):
        n_near = min(NEAREST, distance.shape[1] - len(taken))
        nearest = np.argsort(distance[member], kind="stable")[:n_near]
        taken.append(int(nearest[int(draw * n_near)]))
        distance[:, taken[-1]] = np.inf
    return taken


def _log(values: Float[np.ndarray, " N"]) -> np.ndarray:
    largest = np.max(values)
    return np.log(np.maximum(values, SMALLEST * largest if largest > 0 else 1.0))


def _share(masks: np.ndarray, group: np.ndarray, values: np.ndarray) -> np.ndarray:
    own = values[group].sum()
    sums = masks @ np.asarray(values, float)
    return sums / own if own > 0 else np.full(len(masks), np.nan)
