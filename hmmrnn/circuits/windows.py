"""Windowed ablation: a group of units is cut for a few steps around a transition, noise the same.

The steps around each event are run again. When a group is needed shows in which windows the
transition is lost. A window that reaches the steps at which an outcome is read also takes away
what the group itself says to the readout; windows that end before them do not.
"""

from functools import partial
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from hmmrnn.arrays import Key
from hmmrnn.errors import InputError
from hmmrnn.intervals import Estimate, mean
from hmmrnn.interventions import Arms, Trials, under
from hmmrnn.interventions.answers import (
    Index,
    if_finite,
    margin,
    onset_of,
    prefers,
    swing_lost,
)
from hmmrnn.nets import Network, Trajectory
from hmmrnn.recordings.clusters import cluster_mean
from hmmrnn.recordings.events import Events, Stretch, find_events, some, stretch
from hmmrnn.recordings.recorder import Recording
from hmmrnn.results import result

BEFORE, BEFORE_SHORT, AFTER = 25, 12, 15
"""Steps around the onset; the short ones where fewer than 20 events kept the symbol that long."""
MIN_EVENTS, N_EVENTS = 20, 96
WINDOWS = tuple(range(-20, 11))
"""First steps of the windows, relative to the onset."""
WIDTH = 3
SWING_END = (3, 8)
HAPPENED = (5, 10)
"""Steps after the onset, first and last + 1, at which outcomes are read."""

Mode = Literal["silence", "mean"]


@result
class WindowedRuns(NamedTuple):
    """What each of E events becomes when each of G groups is cut in each of W windows.

    Relative to the run without a cut under the same noise. NaN where the states are not finite.
    """

    happens: Float[Array, "G W E"]  # 1 if the new symbol is preferred at half of steps 5..9
    delay: Float[Array, "G W E"]  # steps from the onset to the first of 3 steps; NaN if never
    swing_lost: Float[Array, "G W E"]  # of z_t - z_s at steps 3..7, over its mean clean swing
    clean_happens: Float[Array, " E"]
    clean_delay: Float[Array, " E"]
    n_valid: Int[Array, ""]  # events whose clean run is finite


@result
class WindowEffects(NamedTuple):
    """Means over events for each group and window (G, W), with intervals over runs."""

    windows: tuple[int, ...]
    happens: Estimate
    prevented: Estimate  # share that happens without the cut minus share with it
    delay: Estimate  # of those that happen in spite of it, in steps
    swing_lost: Estimate
    clean_happens: Estimate
    n_events: int
    stay: int  # steps that the old symbol had lasted before each of them


def aligned_events(
    recording: Recording, pair: tuple[int, int], key: Key, n_events: int = N_EVENTS
) -> tuple[Events, Stretch]:
    """Up to `n_events` transitions and the steps around them: 25 before the onset, 15 from it on.

    The old symbol lasted for all steps before the onset. If fewer than 20 transitions have that,
    12 steps do; the stretch says which. It has `n_events` rows, however many events there are.
    """
    for before in (BEFORE, BEFORE_SHORT):
        events = find_events(recording.symbols, pair, before=before, after=AFTER, stay=before)
        if len(events.run) >= MIN_EVENTS:
            break
    events = some(events, n_events, key)
    return events, stretch(recording, events, before, AFTER, n_events)


def replacement(mode: Mode, recording: Recording, symbol: int) -> Float[np.ndarray, " N"]:
    """What stands in for the activity of cut units: zero, or their mean in a symbol's cluster.

    The mean is NaN for a symbol without a cluster.

    Raises:
        InputError: another mode.
    """
    states = np.asarray(recording.states)
    if mode == "silence":
        return np.zeros(states.shape[-1], states.dtype)
    if mode == "mean":
        return cluster_mean(recording, symbol)
    raise InputError(f"mode={mode}: one of silence, mean")


@partial(jax.jit, static_argnames=("before", "width"))
def windowed_runs(
    network: Network,
    h0: Float[Array, "E N"],
    noise: Float[Array, "L E D"],
    before: int,
    pair: tuple[Index, Index],
    groups: Bool[Array, "G N"],
    level: Float[Array, " N"],
    windows: Int[Array, " W"],
    width: int = WIDTH,
) -> WindowedRuns:
    """Run stretches again with h_i = level_i for the units of a group in a window, else free.

    The onset is step `before`. A window w covers the steps w .. w + width - 1 relative to it.

    Raises:
        InputError: a stretch that ends before step 9 after the onset.
    """
    _expect_steps(noise, before, HAPPENED[1])
    n_groups, n_windows = len(groups), len(windows)

    def ask(run: Trajectory, arm: Arms) -> tuple[Array, Array, Array]:
        preferred = prefers(run.logits, pair[1])
        share = jnp.mean(preferred[before + HAPPENED[0] : before + HAPPENED[1]], axis=0)
        return (
            if_finite(run.logits, share >= 0.5),
            if_finite(run.logits, onset_of(preferred) - before),
            margin(run.logits, pair),
        )

    # The run without a cut is one of them, so that it is rounded as they are.
    firsts = before + jnp.tile(windows, n_groups)
    held = jnp.pad(jnp.repeat(groups, n_windows, axis=0), ((1, 0), (0, 0)))
    steps = jnp.pad(jnp.stack([firsts, firsts + width], axis=1), ((1, 0), (0, 0)))
    trials = Trials(h0, noise, instead=level[None, None, None])
    happens, delay, ahead = under(network, trials, Arms(held=held, steps=steps), ask)
    end = slice(before + SWING_END[0], before + SWING_END[1])
    lost = swing_lost(ahead[0], ahead[1:, end], before, SWING_END)
    by_group = partial(jnp.reshape, shape=(n_groups, n_windows, len(h0)))
    return WindowedRuns(
        happens=by_group(happens[1:]),
        delay=by_group(delay[1:]),
        swing_lost=by_group(lost),
        clean_happens=happens[0],
        clean_delay=delay[0],
        n_valid=jnp.sum(jnp.isfinite(ahead[0]).all(0)),
    )


def window_effects(
    runs: WindowedRuns,
    windows: tuple[int, ...],
    events: Events,
    before: int,
    weights: Float[np.ndarray, "R B"],
) -> WindowEffects:
    """Effect sizes of each group and window, with intervals over the B runs of the recording."""
    happens, delay, lost, clean = (
        np.asarray(x)[..., : len(events.run)]
        for x in (runs.happens, runs.delay, runs.swing_lost, runs.clean_happens)
    )
    return WindowEffects(
        windows=windows,
        happens=mean(happens, events.run, weights),
        prevented=mean(clean - happens, events.run, weights),
        delay=mean(delay, events.run, weights),
        swing_lost=mean(lost, events.run, weights),
        clean_happens=mean(clean, events.run, weights),
        n_events=len(events.run),
        stay=before,
    )


@partial(jax.jit, static_argnames=("before", "first", "last", "horizon"))
def unit_push(
    network: Network,
    h0: Float[Array, "E N"],
    noise: Float[Array, "L E D"],
    before: int,
    pair: tuple[Index, Index],
    first: int = -8,
    last: int = 2,
    horizon: tuple[int, int] = SWING_END,
) -> Float[Array, "E N"]:
    """How much of the readout's swing is lost when one unit is silent at steps first .. last - 1.

    (clean - silenced) / mean over events of the clean swing, for z = z_t - z_s averaged over the
    horizon. The swing is from the first 5 steps of the stretch to the horizon.

    Raises:
        InputError: a stretch that does not contain the window and the horizon.
    """
    _expect_steps(noise, before, horizon[1])
    if not -before <= first < last <= horizon[1] or first > horizon[0]:
        raise InputError(
            f"steps {first} .. {last} - 1 are not between {-before} and the end of the horizon, "
            f"{horizon[0]} .. {horizon[1]} - 1, or begin after it does"
        )
    start = before + first
    lead = network.run(h0, noise[:start])
    h = jnp.concatenate([h0[None], lead.states])[-1]
    rest = noise[start : before + horizon[1]]
    masks = jnp.eye(network.hidden_size + 1, network.hidden_size, k=-1, dtype=bool)  # first: nobody
    arms = Arms(held=masks, steps=jnp.tile(jnp.array([0, last - first]), (len(masks), 1)))
    trials = Trials(h, rest, instead=jnp.zeros((1, 1, 1, network.hidden_size), h0.dtype))
    ahead = under(network, trials, arms, lambda run, arm: margin(run.logits, pair))
    clean = jnp.concatenate([margin(lead.logits, pair), ahead[0]])
    return swing_lost(clean, ahead[1:, horizon[0] - horizon[1] :], before, horizon).T


def _expect_steps(noise: Float[Array, "L E D"], before: int, end: int) -> None:
    if len(noise) < before + end:
        raise InputError(
            f"the stretch has {len(noise)} steps with the onset at {before}, not {before + end}"
        )
