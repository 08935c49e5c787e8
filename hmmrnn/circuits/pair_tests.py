"""Tests of a kick circuit: every intervention on one ordered pair of symbols, in one call."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool

from hmmrnn.arrays import Key, named_keys
from hmmrnn.circuits.assays import Assay, Measured
from hmmrnn.circuits.dose_responses import DoseResponse, Group, dose_responses
from hmmrnn.circuits.find import KickCircuit, PairCircuit, name_of
from hmmrnn.circuits.noise_replay import (
    ReplayEffects,
    replay_effects,
    replay_groups,
    replay_of,
    replayed_runs,
)
from hmmrnn.circuits.pulses import (
    DOSES,
    N_STARTS,
    PulseEffects,
    group_pulses,
    pulse_effects,
    pulsed_runs,
    state_difference,
    transition_activity,
)
from hmmrnn.circuits.resonance import Resonance, TimeScales, resonance, time_scales
from hmmrnn.circuits.windows import (
    WIDTH,
    WINDOWS,
    WindowEffects,
    aligned_events,
    replacement,
    window_effects,
    windowed_runs,
)
from hmmrnn.interventions.controls import Controls, activity_and_norm, matched_controls
from hmmrnn.recordings.clusters import cluster_starts
from hmmrnn.recordings.events import find_events
from hmmrnn.results import result

N_CONTROLS = 20
N_WINDOW_CONTROLS = 4
CONTROL_DOSES = (0.0,)


@result
class Windows(NamedTuple):
    """A windowed ablation and the groups that were silenced."""

    names: tuple[str, ...]
    effects: WindowEffects


@result
class Pulses(NamedTuple):
    """Pulses into groups; "all units" along the difference between the two clusters."""

    names: tuple[str, ...]
    effects: PulseEffects


@result
class Replays(NamedTuple):
    """The noise of transitions replayed from a cluster state, and from the state that it met."""

    names: tuple[str, ...]
    elsewhere: ReplayEffects
    own_start: ReplayEffects


@result
class Match(NamedTuple):
    """How well controls match their group, as mean ratios."""

    n_draws: int
    n_available: int
    activity: float
    out_norm: float


@result
class PairTests(NamedTuple):
    """What interventions on the circuit of one ordered pair do."""

    pair: tuple[int, int]
    dose_responses: dict[str, DoseResponse]
    kick_match: Match
    population_match: Match
    windows: Windows | None
    pulses: Pulses | None
    replays: Replays | None
    resonance: Resonance
    time_scales: TimeScales


class Rivals(NamedTuple):
    """Control groups of one pair, C draws each."""

    kick: Controls
    population: Controls


def tests_of_pair(
    assay: Assay, baseline: Measured, circuit: KickCircuit, found: PairCircuit, key: Key
) -> PairTests:
    """All interventions on the kick neurons and the population of one pair."""
    keys = named_keys(
        key, ("controls", "dose_responses", "windows", "pulses", "replays", "resonance", "scales")
    )
    own = Group(found.kick.kick, found.population.members)
    rivals = _rivals(assay, circuit, own, keys["controls"])
    return PairTests(
        pair=found.pair,
        dose_responses=dose_responses(
            assay,
            baseline,
            found.pair,
            own,
            Group(rivals.kick.masks, rivals.population.masks),
            keys["dose_responses"],
            control_doses=CONTROL_DOSES,
        ),
        kick_match=match_of(rivals.kick),
        population_match=match_of(rivals.population),
        windows=_windows(assay, circuit, found, rivals, keys["windows"]),
        pulses=_pulses(assay, circuit, found, rivals, keys["pulses"]),
        replays=_replays(assay, found, rivals, keys["replays"]),
        resonance=resonance(
            assay,
            baseline,
            own.population,
            keys["resonance"],
            symbol=found.pair[0],
        ),
        time_scales=time_scales(assay.recording.states, own.population, own.kick, keys["scales"]),
    )


def match_of(controls: Controls) -> Match:
    """Mean ratios of activity and out-weight norm over the draws; NaN without any."""
    if len(controls.masks) == 0:
        return Match(0, controls.n_available, np.nan, np.nan)
    return Match(
        len(controls.masks),
        controls.n_available,
        float(np.mean(controls.activity_ratio)),
        float(np.mean(controls.out_norm_ratio)),
    )


def _rivals(assay: Assay, circuit: KickCircuit, own: Group, key: Key) -> Rivals:
    """Control groups of units outside of the whole circuit; none where it leaves too few. Units of
    the opposite population are no controls: they act on this change as well.
    """
    key_kick, key_population = jax.random.split(key)
    activity, norm = activity_and_norm(assay.network.params, assay.recording.states)
    both = [mask for pair in circuit.pairs for mask in (pair.kick.kick, pair.population.members)]
    circuit_units = np.any(both, axis=0)
    return Rivals(
        *(
            matched_controls(activity, norm, group, circuit_units & ~group, N_CONTROLS, k)
            for group, k in ((own.kick, key_kick), (own.population, key_population))
        )
    )


def _windows(
    assay: Assay, circuit: KickCircuit, found: PairCircuit, rivals: Rivals, key: Key
) -> Windows | None:
    """Silence in windows: both groups of the pair, both of the way back, and controls."""
    back = found.pair[::-1]
    names = [f"{kind} {name_of(p)}" for p in (found.pair, back) for kind in ("kick", "population")]
    groups = {name: circuit.groups[name] for name in names if name in circuit.groups}
    for i, mask in enumerate(rivals.kick.masks[:N_WINDOW_CONTROLS]):
        groups[f"control {i}"] = mask
    return windowed(assay, found.pair, groups, key)


def windowed(
    assay: Assay, pair: tuple[int, int], groups: dict[str, Bool[np.ndarray, " N"]], key: Key
) -> Windows | None:
    """Silence each group in each window around the events of a pair; None without events."""
    events, around = aligned_events(assay.recording, pair, key)
    if len(events.run) == 0:
        return None
    starts = tuple(w for w in WINDOWS if w >= -around.before and w % 2 == 0)
    network = assay.network
    runs = windowed_runs(
        network,
        around.h0,
        around.noise,
        around.before,
        pair,
        jnp.asarray(np.stack(list(groups.values()))),
        jnp.asarray(replacement("silence", assay.recording, pair[0])),
        jnp.asarray(starts),
        WIDTH,
    )
    effects = window_effects(runs, starts, events, around.before, assay.weights)
    return Windows(tuple(groups), effects)


def _pulses(
    assay: Assay, circuit: KickCircuit, found: PairCircuit, rivals: Rivals, key: Key
) -> Pulses | None:
    key_starts, key_runs = jax.random.split(key)
    s, t = found.pair
    recording, network = assay.recording, assay.network
    starts = cluster_starts(recording, s, N_STARTS, key_starts)
    there, back = (find_events(recording.symbols, pair) for pair in ((s, t), (t, s)))
    if min(len(starts.h), len(there.run)) == 0:
        return None
    activity = transition_activity(recording, there)
    rows = {f"kick {name_of((s, t))}": (activity, found.kick.kick)}
    opposite = f"kick {name_of((t, s))}"
    if opposite in circuit.groups and circuit.groups[opposite].any() and len(back.run):
        rows[opposite] = (transition_activity(recording, back), circuit.groups[opposite])
    difference = state_difference(recording, (s, t))
    if np.isfinite(difference).all():
        rows["all units"] = (difference, np.ones(len(difference), bool))
    for i, mask in enumerate(rivals.kick.masks):
        rows[f"control {i}"] = (activity, mask)
    pulses = group_pulses(*(np.stack(part) for part in zip(*rows.values(), strict=True)))
    runs = pulsed_runs(
        network,
        starts.h,
        jnp.asarray(pulses),
        jnp.asarray(DOSES),
        t,
        key_runs,
    )
    controls = np.array([name.startswith("control") for name in rows])
    return Pulses(tuple(rows), pulse_effects(runs, DOSES, starts, controls, assay.weights))


def _replays(assay: Assay, found: PairCircuit, rivals: Rivals, key: Key) -> Replays | None:
    key_events, key_starts, key_fresh = jax.random.split(key, 3)
    events, around = aligned_events(assay.recording, found.pair, key_events)
    if len(events.run) == 0:
        return None
    n_repeats = 2
    replay = replay_of(
        assay.recording, events, around.before, key_starts, n_repeats, n_repeats * len(around.h0)
    )
    groups = replay_groups(found.population.members, rivals.population.masks)
    network = assay.network
    elsewhere, own = (
        replay_effects(
            replayed_runs(
                network,
                h0,
                replay.noise,
                replay.lead,
                jnp.asarray(groups),
                found.pair[1],
                key_fresh,
            ),
            replay.run,
            assay.weights,
        )
        for h0 in (replay.h0, replay.own_h0)
    )
    named = ("nobody", "all units", f"population {name_of(found.pair)}", "all others")
    controls = tuple(f"control {i}" for i in range(len(rivals.population.masks)))
    return Replays(named + controls, elsewhere, own)
