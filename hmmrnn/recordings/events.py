"""Transitions between symbols: where they are, and the stretches of a recording around them."""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from hmmrnn.arrays import Key, host_generator
from hmmrnn.recordings.recorder import Recording
from hmmrnn.results import result

STAY = 5
"""Steps that the preferred symbol must last before and after a change: flickers do not count."""


@result
class Events(NamedTuple):
    """Changes of the preferred symbol from one to another, each at the first step of the new one.

    E events, in the order of their runs.
    """

    pair: tuple[int, int]  # symbol before, symbol after
    run: Int[np.ndarray, " E"]
    onset: Int[np.ndarray, " E"]


class Stretch(NamedTuple):
    """What the simulator needs to run the steps around E events again; offsets[i] = i - before.

    Rows beyond the events, if there are some, are NaN: nothing comes of them.
    """

    h0: Float[Array, "E N"]  # the state before the first step
    noise: Float[Array, "L E D"]
    before: int  # steps before the onset; the onset itself is step `before`


def symbol_pairs(symbols: Int[np.ndarray | Array, "B T"], min_events: int = 20) -> list[tuple]:
    """Ordered pairs of symbols between which the preferred symbol changes at least that often."""
    symbols = np.asarray(symbols)
    used = [int(s) for s in np.unique(symbols)]
    pairs = [(s, t) for s in used for t in used if s != t]
    return [pair for pair in pairs if len(find_events(symbols, pair).run) >= min_events]


def find_events(
    symbols: Int[np.ndarray | Array, "B T"],
    pair: tuple[int, int],
    *,
    before: int = STAY,
    after: int = STAY,
    stay: int = STAY,
) -> Events:
    """Changes from pair[0] to pair[1] with `before` steps before the onset and `after` from it on.

    The old symbol must have lasted for the last `stay` steps before the onset (at least 1), and
    the new one for the first `STAY` steps, onset included.
    """
    symbols = np.asarray(symbols)
    n_steps = symbols.shape[1]
    old, new = symbols == pair[0], symbols == pair[1]
    onsets = np.arange(max(before + 1, stay), n_steps - max(after, STAY) + 1)
    here = np.ones((len(symbols), len(onsets)), bool)
    for lag in range(1, stay + 1):
        here &= old[:, onsets - lag]
    for lag in range(STAY):
        here &= new[:, onsets + lag]
    run, index = np.nonzero(here)
    return Events((int(pair[0]), int(pair[1])), run, onsets[index])


def some(events: Events, n_events: int, key: Key) -> Events:
    """At most `n_events` of the events, chosen at random; equal numbers compile once."""
    order = host_generator(key).permutation(len(events.run))
    chosen = np.sort(order[:n_events])
    return Events(events.pair, events.run[chosen], events.onset[chosen])


def aligned(x: Array | np.ndarray, events: Events, before: int, after: int) -> np.ndarray:
    """(E, before + after, ...): steps -before .. after - 1 of x (B, T, ...) around each onset."""
    steps = events.onset[:, None] + np.arange(-before, after)
    return np.asarray(x)[events.run[:, None], steps]


def stretch(
    recording: Recording, events: Events, before: int, after: int, n_rows: int = 0
) -> Stretch:
    """The steps -before .. after - 1 around each onset, ready to be run again.

    There are at least `n_rows` rows, so that other numbers of events run the same program.
    """
    first = events.onset - before - 1
    h0 = np.asarray(recording.states)[events.run, first]
    noise = np.swapaxes(aligned(recording.noise, events, before, after), 0, 1)
    return Stretch(starts_of_rows(h0, n_rows), noise_of_rows(noise, n_rows), before)


def starts_of_rows(h0: Float[np.ndarray, "E N"], n_rows: int) -> Float[Array, "R N"]:
    """The states, and NaN in the rows beyond them: what runs from there is NaN and left out."""
    more = max(n_rows - len(h0), 0)
    return jnp.asarray(np.pad(h0, ((0, more), (0, 0)), constant_values=np.nan))


def noise_of_rows(noise: Float[np.ndarray, "L E D"], n_rows: int) -> Float[Array, "L R D"]:
    """The noise, and zeros in the rows beyond it."""
    more = max(n_rows - noise.shape[1], 0)
    return jnp.asarray(np.pad(noise, ((0, 0), (0, more), (0, 0))))
