"""Kick neurons: units that fire only while the preferred symbol changes, and make it change.

Torre et al. (2025) found them by eye: pre-activation negative in the source cluster, near zero in
the kick-zone, positive in the transition. Here each part is measured in every unit, and judged
against transition times shuffled within clusters. Units that merely follow a transition pass that
test as well; so kick neurons must also push: the change suffers when they are silent.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float

from hmmrnn.arrays import Key, host_generator
from hmmrnn.circuits.windows import unit_push, windowed_runs
from hmmrnn.intervals import UNKNOWN, Estimate, bootstrap_weights, mean
from hmmrnn.nets import Network
from hmmrnn.recordings.events import Events, find_events, some, stretch
from hmmrnn.recordings.recorder import Recording
from hmmrnn.recordings.residency_times import CLUSTER, KICK_ZONE, TRANSITION
from hmmrnn.results import result

BEFORE, AFTER = 12, 10
"""Steps around the onset of a change within which kick-zone and transition are looked for."""
MIN_SHUFFLES = 200
LEVEL = 0.05
"""Largest chance that any unit of any pair passes under shuffled times."""
N_EVENTS = 96
MIN_EVENTS = 20
SHARE_OF_STRONGEST = 0.2
"""A kick neuron pushes at least this much of what the strongest one does."""
MIN_GROUP_PUSH = 0.2
"""Share of the readout's swing that must be lost when all kick neurons of a pair are silent."""
PUSH_STEPS = (-8, 2)
"""Steps around the onset at which units are silenced: long enough for the change to fail, not only
to come later."""


@result
class Levels(NamedTuple):
    """Mean pre-activation of each unit, in its standard deviation under the old symbol."""

    source: Float[np.ndarray, " N"]  # the old symbol's cluster
    kick_zone: Float[np.ndarray, " N"]
    transition: Float[np.ndarray, " N"]
    target: Float[np.ndarray, " N"]  # the new symbol's cluster


@result
class KickNeurons(NamedTuple):
    """The kick neurons of one ordered pair of symbols, and how they were chosen."""

    pair: tuple[int, int]
    n_events: int
    levels: Levels
    score: Float[np.ndarray, " N"]  # of the paper's definition; above 0: it holds
    p_value: Float[np.ndarray, " N"]  # that the best of all units scores as much by chance
    push: Float[np.ndarray, " N"]  # share of the swing that is lost without the unit
    push_low: Float[np.ndarray, " N"]  # end of its 95 % interval over runs
    kick_like: Bool[np.ndarray, " N"]  # by definition and shuffles
    kick: Bool[np.ndarray, " N"]  # those that push; none if the group does not
    group_push: Estimate  # share of the swing that is lost without all that push
    enough: bool  # whether there were events and zones to look at
    problem: str  # why there is no kick neuron; empty where there is one


def kick_neurons(
    network: Network, recording: Recording, pair: tuple[int, int], n_pairs: int, key: Key
) -> KickNeurons:
    """Find the kick neurons of the changes from pair[0] to pair[1].

    A unit is kick-like if its score is above 0 and above what the best of all units reaches under
    shuffled times in all but 5 % / n_pairs of the shuffles. It is a kick neuron if, besides,
    silencing it from 8 steps before the onset to 1 after costs the swing of the readout something
    (95 % interval over runs) and at least a fifth of what the strongest costs. All of them silent
    must cost a fifth of the swing, or the answer is empty.
    """
    key_shuffle, key_events, key_boot = jax.random.split(key, 3)
    events = find_events(recording.symbols, pair, before=BEFORE, after=AFTER)
    levels, paths = levels_of(recording, events)
    score = kick_score(levels)
    none = np.zeros(len(score), bool)
    unknown = np.full(len(score), np.nan)
    found = KickNeurons(
        pair, len(events.run), levels, score, unknown, unknown, unknown, none, none,
        UNKNOWN, False, "",
    )  # fmt: skip
    if len(events.run) < MIN_EVENTS:
        return found._replace(problem=f"only {len(events.run)} lasting changes of symbol")
    if not np.isfinite(score).any():
        return found._replace(problem="a cluster, the kick-zone or the transition has no state")
    found = found._replace(enough=True)
    n_shuffles = max(MIN_SHUFFLES, int(2 * n_pairs / LEVEL))
    best = best_by_chance(recording, events, levels, paths, key_shuffle, n_shuffles)
    p_value = (1 + (best[:, None] >= score).sum(0)) / (1 + len(best))
    p_value = np.where(np.isfinite(score), p_value, np.nan)  # of a unit that never moves
    kick_like = (score > 0) & (p_value <= LEVEL / n_pairs)
    found = found._replace(p_value=p_value, kick_like=kick_like)
    if not kick_like.any():
        return found._replace(problem="no unit has the paper's three levels of pre-activation")
    return _that_push(network, recording, some(events, N_EVENTS, key_events), found, key_boot)


def kick_score(levels: Levels) -> Float[np.ndarray, " N"]:
    """How clearly a unit is off, at threshold, on, and off again; above 0 if it is.

    min(-c, t, (t - c) / 2 - |k|, t - d) for the levels c of the source cluster, k of the
    kick-zone, t of the transition and d of the target cluster, in standard deviations: negative in
    the cluster, positive in the transition, in the kick-zone closer to zero than half the way
    between the two, and higher in the transition than after it. The last condition tells a unit
    that fires with the change from one that codes the new symbol.
    """
    c, k, t, d = levels
    return np.minimum.reduce([-c, t, (t - c) / 2 - np.abs(k), t - d])


class Paths(NamedTuple):
    """Which steps before each event belong to the kick-zone and to the transition."""

    kick_zone: Bool[np.ndarray, "E L"]  # step j is BEFORE - j before the onset; the last, the onset
    transition: Bool[np.ndarray, "E L"]


def levels_of(recording: Recording, events: Events) -> tuple[Levels, Paths]:
    """Levels of pre-activation along the events of a pair; NaN where a zone is not visited.

    The kick-zone and the transition are those on the way to an event: steps of that zone in the
    unbroken stay under the old symbol before it, at most 12 steps back. The onset itself counts as
    transition.
    """
    a, zone, symbols = (
        np.asarray(x) for x in (recording.preactivation, recording.zone, recording.symbols)
    )
    old, new = events.pair
    steps = events.onset[:, None] + np.arange(-BEFORE, 1)
    before = symbols[events.run[:, None], steps]
    unbroken = np.flip(np.cumprod(np.flip(before[:, :-1] == old, 1), axis=1), 1).astype(bool)
    on_path = np.pad(unbroken, ((0, 0), (0, 1)))
    zones = zone[events.run[:, None], steps]
    is_onset = np.arange(-BEFORE, 1) == 0
    paths = Paths(on_path & (zones == KICK_ZONE), (on_path & (zones == TRANSITION)) | is_onset)
    source, target = ((zone == CLUSTER) & (symbols == s) for s in (old, new))
    spread = _std(a[symbols == old])
    path = a[events.run[:, None], steps]
    means = (_mean(a[source]), _mean(path[paths.kick_zone]), _mean(path[paths.transition]))
    return Levels(*(mean / spread for mean in (*means, _mean(a[target])))), paths


def best_by_chance(
    recording: Recording,
    events: Events,
    levels: Levels,
    paths: Paths,
    key: Key,
    n_shuffles: int = MIN_SHUFFLES,
) -> Float[np.ndarray, " R"]:
    """The best score of all units when each event is moved to a random time in the cluster.

    Kick-zone and transition keep their steps relative to the event; the levels of both clusters
    stay. The units of one shuffle move together, so the largest score controls the chance that any
    unit passes (Westfall & Young 1993): nearly, since the levels of the clusters are taken as
    known. With signals made by hand, any unit passed a limit of 5 % in 7 % of recordings for white
    noise and in 15 % for noise with a correlation of 0.8 from step to step.
    """
    a, symbols, zone = (
        np.asarray(x) for x in (recording.preactivation, recording.symbols, recording.zone)
    )
    old = symbols == events.pair[0]
    calm = (zone == CLUSTER) & old
    for lag in range(1, BEFORE + 1):
        calm[:, lag:] &= old[:, :-lag]
    calm[:, :BEFORE] = False
    runs, steps = np.nonzero(calm)
    if len(runs) == 0:
        return np.full(n_shuffles, np.inf)  # nothing to compare with: no unit may pass
    scale = _std(a[old])
    draws = host_generator(key).integers(len(runs), size=(n_shuffles, len(events.run)))
    best = []
    for draw in draws:
        run, step = runs[draw], steps[draw]
        shuffled = {}
        for name, mask in paths._asdict().items():
            event, index = np.nonzero(mask)
            shuffled[name] = _mean(a[run[event], step[event] + index - BEFORE]) / scale
        best.append(np.nanmax(kick_score(levels._replace(**shuffled))))
    return np.array(best)


def _that_push(
    network: Network, recording: Recording, events: Events, found: KickNeurons, key: Key
) -> KickNeurons:
    """`found` with the kick-like units that push, if together they push enough."""
    n_events = len(events.run)
    around = stretch(recording, events, BEFORE, AFTER, N_EVENTS)
    swing = (network, around.h0, around.noise, BEFORE, found.pair)
    lost = np.asarray(unit_push(*swing, *PUSH_STEPS))[:n_events]
    weights = bootstrap_weights(len(recording.symbols), key)
    push, low, _ = mean(lost.T, events.run, weights).parts
    strongest = np.max(push, where=found.kick_like, initial=0.0)
    kick = found.kick_like & (low > 0) & (push >= SHARE_OF_STRONGEST * strongest)
    found = found._replace(push=push, push_low=low)
    if not kick.any():
        return found._replace(problem="no kick-like unit pushes the change")
    width = PUSH_STEPS[1] - PUSH_STEPS[0]
    silent = windowed_runs(
        *swing, jnp.asarray(kick[None]), jnp.zeros(len(kick)), jnp.array(PUSH_STEPS[:1]), width
    )
    silent_lost = np.asarray(silent.swing_lost)[0, 0, :n_events]
    group_push = mean(silent_lost, events.run, weights)
    if not (group_push.value >= MIN_GROUP_PUSH and group_push.low > 0):
        problem = f"kick-like units push too little: {group_push:.2f} of the swing"
        return found._replace(group_push=group_push, problem=problem)
    return found._replace(kick=kick, group_push=group_push)


def _mean(x: Float[np.ndarray, "P N"]) -> Float[np.ndarray, " N"]:
    return x.mean(0, dtype=np.float64) if len(x) else np.full(x.shape[-1], np.nan)


def _std(x: Float[np.ndarray, "P N"]) -> Float[np.ndarray, " N"]:
    """Standard deviation of each unit; NaN for a unit that never moves."""
    if len(x) < 2:
        return np.full(x.shape[-1], np.nan)
    spread = x.std(0, dtype=np.float64)
    return np.where(spread > 0, spread, np.nan)
