"""Residency time: how long a state keeps its preferred symbol under fresh noise.

It divides the states of a driven run into clusters, kick-zones and transitions.
"""

import math
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from hmmrnn.arrays import Key
from hmmrnn.errors import InputError
from hmmrnn.intervals import Estimate, ratio
from hmmrnn.nets import Network
from hmmrnn.results import result

N_ROLLOUTS = 20
N_STEPS = 60
TRANSITION_BELOW = 2.0
"""Steps: a state with a shorter residency time is in transition (Torre et al. 2025)."""
CLUSTER_ABOVE = 8.0
"""Steps: a state with a longer one belongs to a cluster, if its softmax is sharp enough."""
CLUSTER_PROBABILITY = 0.8

ZONES = ("cluster", "kick-zone", "transition", "other")
CLUSTER, KICK_ZONE, TRANSITION, OTHER = range(4)
N_ZONES = len(ZONES)

N_LANES = 2048
"""Rollouts that run side by side. Many more leave the processor's cache, and many fewer keep none
of its cores busy; results do not depend on it.
"""


@result
class Residency(NamedTuple):
    """What rollouts from each state say about it; NaN where one of them, or the state, diverges."""

    time: Float[Array, "*B P"]  # steps to another preferred symbol, mean over rollouts
    time_std: Float[Array, "*B P"]  # over rollouts; NaN for one rollout
    censored: Float[Array, "*B P"]  # share of rollouts that never left and count with all steps
    sign_changes: Float[Array, "*B P"]  # of the logit's slope until it leaves, mean over rollouts
    sign_change_rate: Float[Array, "*B P"]  # of those that were possible; NaN if none was
    symbol: Int[Array, "*B P"]  # the preferred one at the start; -1 where the state is not finite
    max_probability: Float[Array, "*B P"]  # largest softmax probability at the start
    n_valid: Int[Array, ""]  # states without NaN


class _Starts(NamedTuple):
    """What a rollout from each of P states needs to begin."""

    h: Float[Array, "P N"]
    symbol: Int[Array, " P"]
    logit: Float[Array, " P"]  # of the preferred symbol


class _Lanes(NamedTuple):
    """Rollouts under way, one per lane: rollout job % R of state job // R, after t steps."""

    job: Int[Array, " L"]
    t: Int[Array, " L"]
    h: Float[Array, "L N"]
    symbol: Int[Array, " L"]
    logit: Float[Array, " L"]
    slope: Float[Array, " L"]  # sign of the last change of the logit that was not zero
    changes: Int[Array, " L"]


class _Totals(NamedTuple):
    """Sums over the finished rollouts of each state."""

    n: Int[Array, " P"]
    time: Int[Array, " P"]
    square: Int[Array, " P"]
    censored: Int[Array, " P"]
    changes: Int[Array, " P"]


@partial(jax.jit, static_argnames=("n_rollouts", "n_steps", "n_lanes"))
def residency(
    network: Network,
    states: Float[Array, "*B P N"],
    key: Key,
    *,
    n_rollouts: int = N_ROLLOUTS,
    n_steps: int = N_STEPS,
    n_lanes: int = N_LANES,
) -> Residency:
    """Residency time of each state, and sign changes of its logit (Torre et al. 2025).

    Residency time: the first t in 1..n_steps at which argmax W_out h_t is not the preferred symbol
    of the start h_0, or n_steps. Sign changes: with z_t the logit of that symbol, how often
    z_t - z_{t-1} changes sign from t = 1 until the residency time; differences of zero do not
    count.

    The r-th rollout of all P states of a run has the same noise, so that they differ by themselves
    and not by their draws. Twenty draws are few, though: under others, states near a threshold
    change their zone together. So each of B runs has noise of its own, and intervals over runs
    contain its draw.

    Memory is that of `n_lanes` hidden states and of the drive, `n_rollouts` times `n_steps` hidden
    states for each run; beyond them, one number of each kind for each state.

    Raises:
        InputError: no state, rollout, step or lane.
    """
    *shape, N = states.shape
    if min(*shape, n_rollouts, n_steps, n_lanes) < 1:
        raise InputError(
            f"states of shape {states.shape}, n_rollouts={n_rollouts}, n_steps={n_steps}, "
            f"n_lanes={n_lanes}: at least 1 of each"
        )
    keys = jax.random.split(key, (math.prod(shape[:-1]), n_rollouts))
    noise = network.noise(keys, n_steps)
    flat = states.reshape(-1, N)
    logits = network.readout(flat)
    symbol = jnp.argmax(logits, axis=-1)
    starts = _Starts(flat, symbol, jnp.max(logits, axis=-1))
    totals = _totals(network, starts, network.drive(noise), n_lanes)
    finite = jnp.isfinite(flat).all(-1) & jnp.isfinite(logits).all(-1)
    valid = finite & (totals.n == n_rollouts)
    n = jnp.where(valid, totals.n, jnp.nan)  # a constant would become a product with its inverse
    time, square, censored, changes = (total / n for total in totals[1:])
    variance = jnp.maximum(square - time**2, 0) * n / (n - 1)
    found = Residency(
        time=time,
        time_std=jnp.sqrt(variance),
        censored=censored,
        sign_changes=changes,
        sign_change_rate=changes / (time - 1),
        symbol=jnp.where(finite, symbol, -1),
        max_probability=jnp.max(jax.nn.softmax(logits), axis=-1),
        n_valid=jnp.sum(valid),
    )
    return jax.tree.map(lambda x: x.reshape(shape) if x.ndim else x, found)


def _totals(
    network: Network, starts: _Starts, pulls: Float[Array, "T B R N"], n_lanes: int
) -> _Totals:
    """Run all rollouts, each until it leaves.

    `Network.run` runs every trajectory to its end. Here a lane whose rollout has left takes up
    the next one at once, so that no step is spent on rollouts that are over.
    """
    n_steps, n_runs, n_rollouts, N = pulls.shape
    n_jobs = n_rollouts * len(starts.h)
    n_lanes = min(n_lanes, n_jobs)
    pulls = pulls.reshape(-1, N)

    def begin(job: Array) -> _Lanes:
        h, symbol, logit = (_rows(x, jnp.minimum(job, n_jobs - 1) // n_rollouts) for x in starts)
        idle = jnp.zeros_like(job)
        return _Lanes(job, idle, h, symbol, logit, jnp.zeros_like(logit), idle)

    def tick(carry: tuple[Array, _Lanes, _Totals]) -> tuple[Array, _Lanes, _Totals]:
        next_job, lanes, totals = carry
        job = jnp.minimum(lanes.job, n_jobs - 1)
        row = (lanes.t * n_runs + job // (n_jobs // n_runs)) * n_rollouts + job % n_rollouts
        h = network.step(lanes.h, _rows(pulls, row))
        logits = network.readout(h)
        logit = jnp.take_along_axis(logits, lanes.symbol[:, None], axis=-1)[:, 0]
        slope = jnp.sign(logit - lanes.logit)
        moved = lanes._replace(
            t=lanes.t + 1,
            h=h,
            logit=logit,
            slope=jnp.where(slope == 0, lanes.slope, slope),
            changes=lanes.changes + (slope * lanes.slope < 0),
        )
        finite = jnp.isfinite(logits).all(-1)
        left = jnp.argmax(logits, axis=-1) != lanes.symbol
        over = left | ~finite | (moved.t == n_steps)
        totals = _added(totals, moved, ~left, over & finite, n_rollouts)
        fresh = begin(jnp.where(over, next_job + jnp.cumsum(over) - 1, lanes.job))
        lanes = jax.tree.map(lambda new, old: jnp.where(_like(over, old), new, old), fresh, moved)
        return next_job + jnp.sum(over), lanes, totals

    none = _Totals(*jnp.zeros((len(_Totals._fields), len(starts.h)), int))
    first = jnp.asarray(n_lanes), begin(jnp.arange(n_lanes)), none
    return jax.lax.while_loop(lambda carry: jnp.any(carry[1].job < n_jobs), tick, first)[2]


def _added(totals: _Totals, lanes: _Lanes, stayed: Array, over: Array, n_rollouts: int) -> _Totals:
    """`totals` with the rollouts that are over; those beyond the last state are dropped."""
    state = lanes.job // n_rollouts
    values = _Totals(jnp.ones_like(lanes.t), lanes.t, lanes.t**2, stayed, lanes.changes)
    return jax.tree.map(
        lambda total, value: total.at[state].add(jnp.where(over, value, 0), mode="drop"),
        totals,
        values,
    )


def _rows(table: Float[Array, "P *N"] | Int[Array, " P"], index: Int[Array, " L"]) -> Array:
    """Rows of `table`; checks of the index would take longer than the copy."""
    return table.at[index].get(mode="promise_in_bounds")


def _like(mask: Array, x: Array) -> Array:
    """`mask` with as many axes as `x`."""
    return mask.reshape(mask.shape + (1,) * (x.ndim - 1))


@jax.jit
def zones(time: Float[Array, "*P"], max_probability: Float[Array, "*P"]) -> Int[Array, "*P"]:
    """The zone of each state: 0 cluster, 1 kick-zone, 2 transition, 3 other; -1 without a time.

    Transition: time < 2. Kick-zone: 2 <= time <= 8. Cluster: time > 8 and softmax > 0.8 (Torre et
    al. 2025). In a relu network without bias the scale of the noise changes the softmax alone: it
    moves states between cluster and other, and no state else.
    """
    conditions = [
        jnp.isnan(time),
        time < TRANSITION_BELOW,
        time <= CLUSTER_ABOVE,
        max_probability > CLUSTER_PROBABILITY,
    ]
    return jnp.select(conditions, [-1, TRANSITION, KICK_ZONE, CLUSTER], OTHER)


def zone_shares(
    zone: Int[np.ndarray | Array, "B T"], weights: Float[np.ndarray, "R B"]
) -> Estimate:
    """Share of the states in each of the four zones (4,), with intervals over the B trajectories.

    They hold the draw of the noise if each trajectory has its own, as in `residency`.
    """
    zone = np.asarray(zone)
    counts = np.sum([zone == z for z in range(N_ZONES)], axis=-1)
    return ratio(counts, np.sum(zone >= 0, axis=1), np.arange(len(zone)), weights)


def zone_means(
    values: Float[np.ndarray | Array, "B T"] | Int[np.ndarray | Array, "B T"],
    zone: Int[np.ndarray | Array, "B T"],
    weights: Float[np.ndarray, "R B"],
) -> Estimate:
    """Mean of `values` over the states of each zone (4,), such as residency times.

    Intervals are over the leading axis: trajectories of one network, or networks. NaN is left out.
    """
    values, zone = np.asarray(values, np.float64), np.asarray(zone)
    chosen = [(zone == z) & np.isfinite(values) for z in range(N_ZONES)]
    sums = np.array([np.where(mask, values, 0).sum(1) for mask in chosen])
    return ratio(sums, np.sum(chosen, axis=-1), np.arange(len(zone)), weights)
