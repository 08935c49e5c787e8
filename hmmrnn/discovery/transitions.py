"""Transitions of a trained network as trials: windows are aligned to the change of symbol."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Int

from hmmrnn.arrays import Key, host_generator
from hmmrnn.discovery.case import Case, Lag, checked
from hmmrnn.errors import InputError
from hmmrnn.nets import Network
from hmmrnn.recordings import expect_finite
from hmmrnn.recordings.events import Events, aligned, find_events, stretch
from hmmrnn.recordings.recorder import Recording, recorded
from hmmrnn.results import result

BEFORE, AFTER = 20, 8
"""Steps around the onset of the new symbol that are run again."""
OLD_LASTS = 12
"""Steps before the onset, at least, for which the old symbol was preferred."""
SCORED = (3, 8)
"""Steps after the onset, first and last + 1, at which the lead of the new symbol is read."""
WIDTH = 4
MIN_EVENTS = 16


@result
class Recorded(NamedTuple):
    """Many short independent runs; one transition of each at most becomes a trial."""

    n_runs: int = 256
    n_steps: int = 200


def record_runs(network: Network, sizes: Recorded, key: Key) -> Recording:
    """Runs to take transitions from.

    Raises:
        DivergingNetworkError: hidden states that are not finite.
    """
    keys = jax.random.split(key, sizes.n_runs)
    recording = recorded(network.bare, sizes.n_steps, keys)
    expect_finite(recording.states)
    return recording


def transition_case(
    network: Network, recording: Recording, pair: tuple[int, int], n_trials: int, key: Key
) -> Case:
    """Changes from symbol pair[0] to pair[1], one of each run, 20 steps before and 8 from it on.

    The loss is by how much the new symbol stays behind the old one in the readout at steps 3 .. 7
    after the onset. Windows are of 4 steps. The mean of a unit is that in steps at which the old
    symbol is preferred; the corrupted run of a trial is another one, in which the old symbol stays.
    What decoders are fitted to is the lead of the new symbol.

    Raises:
        InputError: fewer than 16 runs with such a change, or fewer than 2 with stays.
    """
    key_changes, key_stays, key_pairs = jax.random.split(key, 3)
    network, (old, new) = network.bare, pair
    symbols = np.asarray(recording.symbols)
    around = {"before": BEFORE, "after": AFTER, "stay": OLD_LASTS}
    changes = _one_of_each_run(find_events(symbols, pair, **around), key_changes)
    if len(changes.run) < MIN_EVENTS:
        raise InputError(
            f"the symbol changes from {old} to {new} in {len(changes.run)} of {len(symbols)} runs: "
            f"at least {MIN_EVENTS} are needed; record more or longer runs"
        )
    changes = Events(pair, changes.run[:n_trials], changes.onset[:n_trials])
    stays = _one_of_each_run(_stays(symbols, pair), key_stays)
    if len(stays.run) < 2:
        raise InputError(
            f"symbol {old} stays for {OLD_LASTS + AFTER} steps in {len(stays.run)} runs, and "
            "corrupted runs take at least 2; "
            "record more or longer runs"
        )
    which = _elsewhere(changes.run, stays.run, key_pairs)
    stays = Events(pair, stays.run[which], stays.onset[which])
    logits = np.swapaxes(aligned(recording.logits, changes, BEFORE, AFTER), 0, 1)
    trials, others = (stretch(recording, each, BEFORE, AFTER) for each in (changes, stays))
    firsts = range(-BEFORE, AFTER, WIDTH)
    rest = np.asarray(recording.states)[symbols == old].mean(0, dtype=np.float64)
    steps = np.arange(BEFORE + AFTER) - BEFORE
    return checked(
        Case(
            network=network,
            inputs=trials.noise,
            h0=trials.h0,
            target=jnp.zeros((BEFORE + AFTER, len(changes.run), network.n_symbols)),
            decoded=jnp.asarray(logits[..., new] - logits[..., old])[..., None],
            windows={
                f"{first}..{first + WIDTH - 1}": (first + BEFORE, first + BEFORE + WIDTH)
                for first in firsts
            },
            loss=Lag(old, new),
            scored=(steps >= SCORED[0]) & (steps < SCORED[1]),
            means=jnp.tile(jnp.asarray(rest, trials.h0.dtype), (len(firsts), 1)),
            other_h0=others.h0,
            other_inputs=others.noise,
        )
    )


def _elsewhere(
    run: Int[np.ndarray, " E"], other: Int[np.ndarray, " F"], key: Key
) -> Int[np.ndarray, " E"]:
    """For each event one of F others from another run, each as seldom as possible."""
    order = np.resize(host_generator(key).permutation(len(other)), len(run))
    for i in np.flatnonzero(other[order] == run):
        fits = (other[order] != run[i]) & (other[order[i]] != run)
        j = int(np.argmax(fits))  # exchange with one that both fit
        order[i], order[j] = order[j], order[i]
    return order


def _stays(symbols: Int[np.ndarray, "B T"], pair: tuple[int, int]) -> Events:
    """Steps around which the old symbol stays as long as it would have to and beyond."""
    n_runs, n_steps = symbols.shape
    here: Bool[np.ndarray, "B T"] = symbols == pair[0]
    steps = np.arange(BEFORE + 1, n_steps - AFTER + 1)
    lasting = np.ones((n_runs, len(steps)), bool)
    for lag in range(-OLD_LASTS, AFTER):
        lasting &= here[:, steps + lag]
    run, index = np.nonzero(lasting)
    return Events(pair, run, steps[index])


def _one_of_each_run(events: Events, key: Key) -> Events:
    """One event of each run at random, so that trials are independent."""
    order = host_generator(key).permutation(len(events.run))
    _, first = np.unique(events.run[order], return_index=True)
    chosen = order[first]
    return Events(events.pair, events.run[chosen], events.onset[chosen])
