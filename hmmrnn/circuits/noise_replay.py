"""Replaying noise: does the noise that a group of units got make a transition happen again?

The noise before a real transition is given to some units once more, while all others get fresh
noise, from another state of the same cluster. All groups share starts and fresh noise.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from hmmrnn.arrays import Key, host_generator
from hmmrnn.circuits.pulses import mean_over_groups
from hmmrnn.errors import InputError
from hmmrnn.intervals import Estimate, mean, median, ratio
from hmmrnn.interventions import Arms, Trials, under
from hmmrnn.interventions.answers import Index, if_finite, onset_of, prefers
from hmmrnn.nets import Network, Trajectory
from hmmrnn.recordings.clusters import in_cluster
from hmmrnn.recordings.events import Events, aligned, noise_of_rows, starts_of_rows
from hmmrnn.recordings.recorder import Recording
from hmmrnn.results import result

LEAD, LAG = 20, 2
"""Noise is replayed from 20 steps before the onset to 2 after it; then it is fresh for all."""
LAST = 8
"""The last step after the onset at which the transition still counts."""
ON_TIME = 3
"""A transition within so many steps of the event's onset is on time."""


@result
class Replay(NamedTuple):
    """What can be run again of E events, once from another state and once from their own.

    Rows beyond the events, if there are some, are NaN: nothing comes of them.
    """

    run: Int[np.ndarray, " E"]
    noise: Float[Array, "L R D"]  # of steps -lead .. 2 around the onset
    h0: Float[Array, "R N"]  # a cluster state of the old symbol from another run
    own_h0: Float[Array, "R N"]  # the state that the noise met in fact
    lead: int


@result
class ReplayedRuns(NamedTuple):
    """What the noise of E events does when each of G groups receives it; NaN if not finite."""

    reached: Float[Array, "G E"]  # 1 if the new symbol comes and stays 3 steps by step 8
    on_time: Float[Array, "G E"]  # 1 if it comes within 3 steps of the event's onset
    latency: Float[Array, "G E"]  # steps from the event's onset; NaN if it does not come
    n_valid: Int[Array, " G"]


@result
class ReplayEffects(NamedTuple):
    """Of each of G groups (G,), with intervals over runs; differences are paired by event."""

    reached: Estimate
    on_time: Estimate
    on_time_effect: Estimate  # minus that of fresh noise for all
    on_time_over_controls: Estimate
    on_time_share: Estimate  # of what the replay to all units adds to fresh noise
    latency: Estimate  # median over the events that come, in steps
    n_events: int


def replay_of(
    recording: Recording, events: Events, stay: int, key: Key, n_repeats: int = 2, n_rows: int = 0
) -> Replay:
    """Noise of the events from at most 20 steps before the onset, within their `stay`, and starts.

    Each event comes `n_repeats` times, with another start and, later, other fresh noise. A start
    is NaN if no other run has a state in the cluster of the old symbol. There are at least
    `n_rows` rows, so that other numbers of events run the same program.
    """
    lead = min(LEAD, stay)
    run, onset = (np.repeat(x, n_repeats) for x in (events.run, events.onset))
    repeated = Events(events.pair, run, onset)
    noise = np.swapaxes(aligned(recording.noise, repeated, lead, LAG + 1), 0, 1)
    return Replay(
        run=run,
        noise=noise_of_rows(noise, n_rows),
        h0=starts_of_rows(starts_from_other_runs(recording, repeated, key), n_rows),
        own_h0=starts_of_rows(np.asarray(recording.states)[run, onset - lead - 1], n_rows),
        lead=lead,
    )


def starts_from_other_runs(
    recording: Recording, events: Events, key: Key
) -> Float[np.ndarray, "E N"]:
    """For each event a state from the cluster of its old symbol in another run; NaN if none."""
    states = np.asarray(recording.states)
    run, step = np.nonzero(in_cluster(recording, events.pair[0]))
    place = host_generator(key).random(events.run.shape)
    starts = np.full((len(events.run), states.shape[-1]), np.nan, states.dtype)
    for e, own in enumerate(events.run):
        other = np.flatnonzero(run != own)
        if len(other):
            chosen = other[int(place[e] * len(other))]
            starts[e] = states[run[chosen], step[chosen]]
    return starts


@partial(jax.jit, static_argnames="lead")
def replayed_runs(
    network: Network,
    h0: Float[Array, "E N"],
    noise: Float[Array, "L E D"],
    lead: int,
    groups: Bool[Array, "G N"],
    symbol: Index,
    key: Key,
) -> ReplayedRuns:
    """Runs in which the units of a group get the noise of the events and all others fresh noise.

    The noise begins `lead` steps before the onset of the events. Once it has been replayed, all
    units get fresh noise, up to step 8 after the onset.

    Raises:
        InputError: noise that ends before the onset or after step 8.
    """
    n_steps, n_replayed = lead + LAST + 1, len(noise)
    if not lead < n_replayed <= n_steps:
        raise InputError(f"noise has {n_replayed} steps; between {lead + 1} and {n_steps}")
    fresh = network.noise(jax.random.split(key, len(h0)), n_steps)
    trials = Trials(h0, fresh, other=jnp.concatenate([noise, fresh[n_replayed:]]))

    def ask(run: Trajectory, arm: Arms) -> tuple[Array, Array, Array, Array]:
        latency = onset_of(prefers(run.logits, symbol)) - lead
        answers = jnp.isfinite(latency), jnp.abs(latency) <= ON_TIME, latency
        reached, on_time, latency = (if_finite(run.logits, x) for x in answers)
        return reached, on_time, latency, jnp.sum(jnp.isfinite(reached))

    return ReplayedRuns(*under(network, trials, Arms(hears_other=groups), ask))


def replay_groups(
    population: Bool[np.ndarray, " N"], controls: Bool[np.ndarray, "C N"]
) -> Bool[np.ndarray, "G N"]:
    """No unit, all units, the population, all others, then the controls: as `replay_effects`."""
    every = np.ones_like(population)
    return np.concatenate([[~every, every, population, ~population], controls])


def replay_effects(
    runs: ReplayedRuns, run: Int[np.ndarray, " E"], weights: Float[np.ndarray, "R B"]
) -> ReplayEffects:
    """Effects with intervals over the B runs that the events come from.

    Groups in the order of `replay_groups`. The share compares means: (p - p_none) / (p_all -
    p_none), with the same draws of runs in all three.
    """
    reached, on_time, latency = (
        np.asarray(x, np.float64)[:, : len(run)] for x in (runs.reached, runs.on_time, runs.latency)
    )
    controls = np.arange(len(on_time)) >= 4
    gain, beyond = on_time - on_time[0], on_time - mean_over_groups(on_time, controls)
    return ReplayEffects(
        reached=mean(reached, run, weights),
        on_time=mean(on_time, run, weights),
        on_time_effect=mean(gain, run, weights),
        on_time_over_controls=mean(beyond, run, weights),
        on_time_share=ratio(gain, gain[1], run, weights),
        latency=median(latency, run, weights),
        n_events=len(run),
    )
