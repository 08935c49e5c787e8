"""Which units carry a state of the network, and what holds it there.

A unit carries the difference between two symbols if it makes up much of the difference of their
logits between their clusters. What holds a cluster is found by taking things away: the drive of
these units, their weights on each other, or their freedom to move.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from hmmrnn.arrays import Key, Params
from hmmrnn.intervals import Estimate, mean
from hmmrnn.interventions import Arms, Trials, under
from hmmrnn.interventions.answers import first_of, if_finite, onset_of
from hmmrnn.nets import Network, Trajectory
from hmmrnn.recordings import preferred_symbols
from hmmrnn.recordings.clusters import Starts
from hmmrnn.recordings.events import STAY
from hmmrnn.recordings.residency_times import CLUSTER
from hmmrnn.results import result

CARRIED = 0.9
"""Share of the readout difference that the carriers make up."""
HOLD_STEPS = 40
BLOCK_GAINS = (0.0, 0.5, 0.75, 0.9, 1.0, 1.1)
N_STARTS = 256
N_NAMED = 6
"""Arms of `Holding` that do not depend on gains or controls."""


@result
class Carriers(NamedTuple):
    """How each unit tells the clusters of two symbols s and t apart."""

    pair: tuple[int, int]
    d_prime: Float[np.ndarray, " N"]  # (mean_t - mean_s) / pooled standard deviation
    contribution: Estimate  # (N,) share of the readout difference, sums to 1; interval over runs
    mean_s: Float[np.ndarray, " N"]  # E[h | cluster s]
    mean_t: Float[np.ndarray, " N"]
    in_s: Bool[np.ndarray, " N"]  # carriers that are more active in s
    in_t: Bool[np.ndarray, " N"]
    n_needed: Estimate  # units that make up the first 90 %
    readout_difference: Estimate  # z_t - z_s in cluster t minus that in cluster s
    n_states: tuple[int, int]  # in the cluster of s, of t

    @property
    def both(self) -> Bool[np.ndarray, " N"]:
        """All carriers."""
        return self.in_s | self.in_t


class _Change(NamedTuple):
    """What one arm changes: units without recurrent drive, clamped units, weights of a block."""

    undriven: Bool[np.ndarray, " N"]
    clamped: Bool[np.ndarray, " N"]
    block: Bool[np.ndarray, "*N N"]
    gain: float


class Left(NamedTuple):
    """What P starts do in each of G arms; NaN where a run diverges."""

    time: Float[Array, "G P"]  # first step at which the symbol is not s, or all steps
    left: Float[Array, "G P"]  # 1 if there is such a step
    arrived: Float[Array, "G P"]  # 1 if t was preferred for 5 steps in a row


@result
class Arm(NamedTuple):
    """What one change does to the escape from a cluster; the last three less the baseline."""

    escape: Estimate  # probability that the symbol changes within 40 steps
    survival: Estimate  # steps until it does, at most 40
    arrival: Estimate  # probability that t is preferred for 5 steps in a row
    escape_change: Estimate
    survival_change: Estimate
    arrival_change: Estimate
    n_valid: int


@result
class Holding(NamedTuple):
    """What holds the cluster of s, against leaving it and against arriving at t.

    `arms`: `baseline`; `drive of s removed` (no recurrent drive into its carriers); `s clamped`,
    `t clamped`, `both clamped` (carriers kept at their mean in cluster s); `rest clamped` (all
    others kept there); `drive of controls removed`, `controls clamped` (means over controls).
    """

    pair: tuple[int, int]
    arms: dict[str, Arm]
    gains: tuple[float, ...]
    within: list[Arm]  # weights among the carriers of s multiplied by each gain
    across: list[Arm]  # weights from the carriers of s onto those of t
    drive_controls: list[Arm]  # one for each control group
    clamp_controls: list[Arm]
    n_starts: int


def carriers(
    states: Float[np.ndarray | Array, "B T N"],
    symbols: Int[np.ndarray | Array, "B T"],
    zone: Int[np.ndarray | Array, "B T"],
    W_out: Float[np.ndarray | Array, "K N"],
    pair: tuple[int, int],
    weights: Float[np.ndarray, "R B"],
) -> Carriers:
    """The units that carry the difference between the clusters of pair = (s, t).

    Share of unit i: (W_out[t,i] - W_out[s,i]) (E[h_i | cluster t] - E[h_i | cluster s]), over the
    sum over units. Carriers are the units with the largest |share| that make up 90 % of the sum of
    |share|, if the interval of their share over runs excludes 0. All is NaN, and no unit a carrier,
    if one of the clusters is empty.
    """
    states, readout = np.asarray(states, np.float64), np.asarray(W_out, np.float64)
    symbols, zone = np.asarray(symbols), np.asarray(zone)
    here = [(zone == CLUSTER) & (symbols == symbol) for symbol in pair]
    counts, means, squares = zip(*(_moments(states, mask, weights) for mask in here), strict=True)
    variance = sum(square[0] - mean[0] ** 2 for square, mean in zip(squares, means, strict=True))
    apart = means[1] - means[0]
    parts = (readout[pair[1]] - readout[pair[0]]) * apart
    total = parts.sum(1)
    with np.errstate(invalid="ignore", divide="ignore"):
        d_prime = np.where(apart[0] == 0, 0, apart[0] / np.sqrt(np.maximum(variance, 0) / 2))
        shares = parts / np.where(total == 0, np.nan, total)[:, None]
    profile = Estimate.of(shares)
    needed = _first_part(np.abs(shares))
    carries = needed[0] & ((profile.low > 0) | (profile.high < 0))
    n_needed = np.where(np.isfinite(shares).all(1), needed.sum(1), np.nan)
    return Carriers(
        pair=(int(pair[0]), int(pair[1])),
        d_prime=d_prime,
        contribution=profile,
        mean_s=means[0][0],
        mean_t=means[1][0],
        in_s=carries & (apart[0] < 0),
        in_t=carries & (apart[0] > 0),
        n_needed=Estimate.of(n_needed),
        readout_difference=Estimate.of(total),
        n_states=(int(counts[0]), int(counts[1])),
    )


def _moments(
    states: Float[np.ndarray, "B T N"],
    mask: Bool[np.ndarray, "B T"],
    weights: Float[np.ndarray, "R B"],
) -> tuple[int, np.ndarray, np.ndarray]:
    """Number of the states in `mask`; their mean and mean square (R, N) under each weighting."""
    count = weights @ mask.sum(1)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean, square = (
            weights @ np.einsum("bt,btn->bn", mask, x) / count[:, None] for x in (states, states**2)
        )
    return int(mask.sum()), mean, square


def _first_part(sizes: Float[np.ndarray, "R N"]) -> Bool[np.ndarray, "R N"]:
    """In each row, the largest entries that make up the first 90 % of its sum; none if NaN."""
    order = np.argsort(-sizes, axis=1, kind="stable")
    sizes = np.take_along_axis(sizes, order, 1)
    before = np.cumsum(sizes, axis=1) - sizes
    first = (before < CARRIED * sizes.sum(1, keepdims=True)) & (sizes > 0)
    chosen = np.zeros_like(first)
    np.put_along_axis(chosen, order, first, 1)
    return chosen


@partial(jax.jit, static_argnames="n_steps")
def leave(
    network: Network,
    h0: Float[Array, "P N"],
    arms: Arms,
    level: Float[Array, " N"],
    pair: Int[Array, "2"],
    key: Key,
    *,
    n_steps: int = HOLD_STEPS,
) -> Left:
    """When each start leaves symbol pair[0] in each arm; noise differs by start and not by arm.

    Units that an arm holds are held at `level`.
    """
    keys = jax.random.split(key, len(h0))
    noise = network.noise(keys, n_steps)

    trials = Trials(h0, noise, instead=level[None, None, None])

    def ask(run: Trajectory, arm: Arms) -> Left:
        symbols = preferred_symbols(run.logits)
        away = symbols != pair[0]
        arrived = jnp.isfinite(onset_of(symbols == pair[1], STAY))
        return Left(
            *(if_finite(run.logits, x) for x in (first_of(away, n_steps), away.any(0), arrived))
        )

    return under(network, trials, arms, ask)


def holding(
    network: Network,
    starts: Starts,
    found: Carriers,
    controls: Bool[np.ndarray, "C N"],
    weights: Float[np.ndarray, "R B"],
    key: Key,
    *,
    gains: tuple[float, ...] = BLOCK_GAINS,
    n_steps: int = HOLD_STEPS,
) -> Holding:
    """What holds `starts`, states of the cluster of s, in place; see `Holding`.

    `controls` are groups of as many units as carry s, from the other units: `matched_controls`,
    matched to the activity in the cluster of s. The recurrent drive of units that are silent there
    is inhibition, so without it they would wake up.
    """
    changes = _changes(found, controls, gains)
    arms = _arms(network.params, list(changes.values()))
    level, pair = jnp.asarray(found.mean_s, starts.h.dtype), jnp.asarray(found.pair)
    runs = leave(network, starts.h, arms, level, pair, key, n_steps=n_steps)
    kinds = np.stack([np.asarray(x, np.float64) for x in (runs.left, runs.time, runs.arrived)])
    values = {name: kinds[:, i] for i, name in enumerate(changes)}

    def arm(*names: str) -> Arm:
        chosen = np.mean([values[name] for name in names], axis=0)
        each = np.concatenate([chosen, chosen - values["baseline"]])
        n_valid = int(np.isfinite(chosen[0]).sum())
        return Arm._make([*mean(each, starts.run, weights), n_valid])

    drives = [name for name in changes if name.startswith("drive of control ")]
    clamps = [name for name in changes if name.startswith("clamp of control ")]
    named = {name: arm(name) for name in list(changes)[:N_NAMED]}
    if len(controls):
        named |= {"drive of controls removed": arm(*drives), "controls clamped": arm(*clamps)}
    return Holding(
        pair=found.pair,
        arms=named,
        gains=gains,
        within=[arm(f"within {gain}") for gain in gains],
        across=[arm(f"across {gain}") for gain in gains],
        drive_controls=[arm(name) for name in drives],
        clamp_controls=[arm(name) for name in clamps],
        n_starts=len(starts.run),
    )


def _changes(
    found: Carriers, controls: Bool[np.ndarray, "C N"], gains: tuple[float, ...]
) -> dict[str, _Change]:
    """All changes by name; the first `N_NAMED` are those of `Holding.arms`."""
    nobody = np.zeros_like(found.in_s)
    none = _Change(nobody, nobody, nobody, 1.0)
    clamped = {"s": found.in_s, "t": found.in_t, "both": found.both, "rest": ~found.both}
    blocks = {"within": found.in_s, "across": found.in_t}
    changes = {"baseline": none, "drive of s removed": none._replace(undriven=found.in_s)}
    for name, mask in clamped.items():
        changes[f"{name} clamped"] = none._replace(clamped=mask)
    for name, mask in blocks.items():
        onto = found.in_s & mask.reshape(-1, 1)
        changes |= {f"{name} {gain}": none._replace(block=onto, gain=gain) for gain in gains}
    for i, mask in enumerate(controls):
        changes[f"drive of control {i}"] = none._replace(undriven=mask)
        changes[f"clamp of control {i}"] = none._replace(clamped=mask)
    return changes


def _arms(params: Params, changes: list[_Change]) -> Arms:
    W_rec = np.asarray(params["W_rec"])
    scaled = [np.where(change.block, change.gain * W_rec, W_rec) for change in changes]
    undriven = np.stack([change.undriven for change in changes])
    return Arms(
        recurrent_gain=jnp.asarray(~undriven, float),
        held=jnp.asarray(np.stack([change.clamped for change in changes])),
        weights={"W_rec": jnp.asarray(np.stack(scaled), W_rec.dtype)},
    )
