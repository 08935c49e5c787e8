"""The cluster of a symbol in a recording: its steps, its mean, and states to start from."""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from hmmrnn.arrays import Key, host_generator
from hmmrnn.recordings.recorder import Recording
from hmmrnn.recordings.residency_times import CLUSTER


class Starts(NamedTuple):
    """P states from the cluster of one symbol, and the run that each comes from."""

    h: Float[Array, "P N"]
    run: Int[np.ndarray, " P"]


def in_cluster(recording: Recording, symbol: int) -> Bool[np.ndarray, "B T"]:
    """Which steps of a recording are in the cluster of a symbol."""
    return (np.asarray(recording.zone) == CLUSTER) & (np.asarray(recording.symbols) == symbol)


def cluster_mean(recording: Recording, symbol: int) -> Float[np.ndarray, " N"]:
    """Mean hidden state in the cluster of a symbol; NaN for a symbol without one."""
    states = np.asarray(recording.states)
    found = states[in_cluster(recording, symbol)]
    if len(found) == 0:
        return np.full(states.shape[-1], np.nan, states.dtype)
    return found.mean(0, dtype=np.float64).astype(states.dtype)


def cluster_starts(
    recording: Recording, symbol: int, n_starts: int, key: Key, runs: slice = slice(None)
) -> Starts:
    """At most `n_starts` states of the cluster of `symbol`, drawn at random from some runs."""
    here = np.zeros(recording.symbols.shape, bool)
    here[runs] = in_cluster(recording, symbol)[runs]
    found = np.argwhere(here)
    chosen = np.sort(host_generator(key).permutation(len(found))[:n_starts])
    run, step = found[chosen].T
    return Starts(jnp.asarray(np.asarray(recording.states)[run, step]), run)
