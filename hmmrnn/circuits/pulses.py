"""Pulses: does a push of one group of units, from the middle of a cluster, switch the symbol?

Cutting a group shows whether it is needed; a pulse shows whether it is enough. All groups and
doses share starts and noise, and all pulses of one dose have the same norm.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from hmmrnn.arrays import Key
from hmmrnn.errors import InputError
from hmmrnn.intervals import Estimate, mean, median
from hmmrnn.interventions import Arms, Trials, under
from hmmrnn.interventions.answers import Index, if_finite, onset_of, prefers
from hmmrnn.nets import Network, Trajectory
from hmmrnn.recordings.clusters import Starts, cluster_mean
from hmmrnn.recordings.events import Events, aligned
from hmmrnn.recordings.recorder import Recording
from hmmrnn.results import result

DOSES = (0.0, 0.5, 1.0, 2.0, 4.0)
"""Multiples of the pulse that a group gives in real transitions; the first is none."""
N_STARTS = 200
N_PULSE, N_AFTER = 3, 15
"""Steps of the pulse, and steps after it within which the symbol must change."""
LEAD, LAG = 3, 1
"""A group's activity in real transitions is that of steps -3 .. 1 around the onset."""


@result
class PulsedRuns(NamedTuple):
    """What G pulses at V doses do to each of P starts; NaN where states are not finite."""

    reached: Float[Array, "G V P"]  # 1 if the symbol is preferred 3 times in a row after the pulse
    latency: Float[Array, "G V P"]  # steps from the last of the pulse to the first of these; NaN
    n_valid: Int[Array, "G V"]  # starts whose runs are finite


@result
class PulseEffects(NamedTuple):
    """Probability that each of G pulses triggers the transition at each dose, intervals over runs.

    All are (G, V). The effect is the probability minus that of the first dose, paired by start.
    """

    doses: tuple[float, ...]
    probability: Estimate
    effect: Estimate
    over_controls: Estimate  # probability minus the mean of the controls, paired
    latency: Estimate  # median over the starts that switch, in steps
    n_starts: int


def transition_activity(recording: Recording, events: Events) -> Float[np.ndarray, " N"]:
    """Mean activity of each unit at steps -3 .. 1 around the onsets; NaN without an event."""
    around = aligned(recording.states, events, LEAD, LAG + 1)
    if len(around) == 0:
        return np.full(around.shape[-1], np.nan, around.dtype)
    return around.mean((0, 1), dtype=np.float64).astype(around.dtype)


def state_difference(recording: Recording, pair: tuple[int, int]) -> Float[np.ndarray, " N"]:
    """From the mean state of the cluster of pair[0] to that of pair[1].

    A pulse along it takes units away as well as adding them: states can become negative.
    """
    return cluster_mean(recording, pair[1]) - cluster_mean(recording, pair[0])


def group_pulses(
    activity: Float[np.ndarray, "G N"], groups: Bool[np.ndarray, "H N"]
) -> Float[np.ndarray, "G N"]:
    """The activity of each group's units, scaled to the norm of the first group's.

    Equal norms are equal energies. A group that is silent in transitions gets the same for each
    of its units; an empty one gets nothing, and nobody gets anything if the first is empty.

    Raises:
        InputError: shapes that differ.
    """
    if activity.shape != groups.shape:
        raise InputError(f"activity has shape {activity.shape}, groups have {groups.shape}")
    pulses = np.where(groups, activity, 0.0)
    norm = np.linalg.norm(pulses[0])
    silent = ~pulses.any(axis=1, keepdims=True)
    pulses = np.where(silent, groups, pulses)
    own = np.linalg.norm(pulses, axis=1, keepdims=True)
    scale = np.divide(norm, own, out=np.zeros_like(own), where=own != 0)
    return np.where(groups, pulses * scale, 0.0)


@partial(jax.jit, static_argnames=("n_pulse", "n_after"))
def pulsed_runs(
    network: Network,
    h0: Float[Array, "P N"],
    pulses: Float[Array, "G N"],
    doses: Float[Array, " V"],
    symbol: Index,
    key: Key,
    *,
    n_pulse: int = N_PULSE,
    n_after: int = N_AFTER,
) -> PulsedRuns:
    """Runs under fresh noise with dose x pulse added to the states of the first `n_pulse` steps.

    Only steps after the pulse count: during it, the pulse itself is read out. Each start has its
    own noise, which all pulses and doses share.

    Raises:
        InputError: no step of the pulse, or fewer than 3 after it.
    """
    if n_pulse < 1 or n_after < 3:
        raise InputError(f"n_pulse={n_pulse}, n_after={n_after}: at least 1 and 3 steps")
    n_steps = n_pulse + n_after
    noise = network.noise(jax.random.split(key, len(h0)), n_steps)

    def ask(run: Trajectory, arm: Arms) -> tuple[Array, Array, Array]:
        latency = onset_of(prefers(run.logits, symbol)[n_pulse:]) + 1
        reached = if_finite(run.logits, jnp.isfinite(latency))
        return reached, if_finite(run.logits, latency), jnp.sum(jnp.isfinite(reached))

    given = doses[:, None] * pulses[:, None]
    offsets = given.reshape(-1, given.shape[-1])
    arms = Arms(state_offset=offsets, steps=jnp.tile(jnp.array([0, n_pulse]), (len(offsets), 1)))
    found = under(network, Trials(h0, noise), arms, ask)
    return PulsedRuns(*(x.reshape(*given.shape[:2], *x.shape[1:]) for x in found))


def pulse_effects(
    runs: PulsedRuns,
    doses: tuple[float, ...],
    starts: Starts,
    controls: Bool[np.ndarray, " G"],
    weights: Float[np.ndarray, "R B"],
) -> PulseEffects:
    """Dose-responses with intervals over the B runs that the starts come from.

    `controls` says which of the groups are controls of the others.
    """
    reached, latency = (np.asarray(x, np.float64) for x in (runs.reached, runs.latency))
    control = mean_over_groups(reached, controls)
    return PulseEffects(
        doses=doses,
        probability=mean(reached, starts.run, weights),
        effect=mean(reached - reached[:, :1], starts.run, weights),
        over_controls=mean(reached - control, starts.run, weights),
        latency=median(latency, starts.run, weights),
        n_starts=len(starts.run),
    )


def mean_over_groups(
    values: Float[np.ndarray, "G *shape"], which: Bool[np.ndarray, " G"]
) -> Float[np.ndarray, "*shape"]:
    """Mean over some of the groups; NaN if there is none."""
    if not which.any():
        return np.full(values.shape[1:], np.nan)
    return np.mean(values[which], axis=0)
