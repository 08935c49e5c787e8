"""The assay: what all interventions on a network share, and the counts that each of them gives."""

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from hmmrnn.analysis import of_one_cell, side_by_side
from hmmrnn.arrays import Key, Keys, host_generator
from hmmrnn.circuits.free_runs import ORDER, Counts, Escapes, counts, escapes
from hmmrnn.dynamics import jacobians, spectrum
from hmmrnn.errors import InputError
from hmmrnn.intervals import Weights, bootstrap_weights
from hmmrnn.interventions import Arms
from hmmrnn.interventions.engine import BLOCK, arms_of, gates_of, in_blocks
from hmmrnn.nets import (
    NO_INTERVENTION,
    Intervention,
    Network,
)
from hmmrnn.recordings.clusters import in_cluster
from hmmrnn.recordings.recorder import Recording
from hmmrnn.results import result

OF_STEPS = ("held", "stand_in", "hears_other", "push", "steps")
"""Of arms: what belongs to trials of known steps and runs."""


@result
class AllStarts(NamedTuple):
    """P states from the cluster of each symbol, with replacement; NaN where there is no such."""

    states: Float[Array, "K P N"]
    run: Int[np.ndarray, "K P"]  # that each was recorded in
    n_runs: int
    n_found: Int[np.ndarray, " K"]  # cluster states that were there to draw from


class Assay(NamedTuple):
    """What all interventions on a network have in common: its noise and where it starts.

    Free runs have noise of their own; what is run again are stretches of the recording.
    """

    network: Network
    recording: Recording
    weights: Float[np.ndarray, "R B"]  # bootstrap, over the runs of the recording
    n_steps: int
    keys: Keys  # (B,), one for each free run
    starts: AllStarts
    keys_starts: Keys  # (K, P)
    law: Float[np.ndarray, " L"] | None  # of n-grams of the HMM; None without one


class Measured(NamedTuple):
    """Counts of G interventions, on the host."""

    counts: Counts
    escapes: Escapes
    critical: Float[np.ndarray, "G B"]  # 1 if the last state has a critical pair; NaN if unknown


def assay(
    network: Network,
    recording: Recording,
    law: Float[np.ndarray, " L"] | None,
    key: Key,
    *,
    n_runs: int = 48,
    n_steps: int = 400,
    n_starts: int = 64,
    weights: Weights | None = None,
) -> Assay:
    """Runs of their own, whose noise no group was found on, and starts from a recording.

    `weights` are those of other intervals over the runs of the recording, where they shall agree.

    Raises:
        InputError: no run or start, or a law of other n-grams than 4 of the network's symbols.
    """
    if min(n_runs, n_starts) < 1:
        raise InputError(f"n_runs={n_runs}, n_starts={n_starts}: at least 1 of each")
    network = network.bare
    n_symbols = network.n_symbols
    if law is not None and len(law) != n_symbols**ORDER:
        raise InputError(f"law has {len(law)} entries; {n_symbols} symbols have {n_symbols**ORDER}")
    key_runs, key_starts, key_noise = jax.random.split(key, 3)
    if weights is None:
        weights = bootstrap_weights(len(recording.symbols), jax.random.fold_in(key, 3))
    return Assay(
        network=network,
        recording=recording,
        weights=weights,
        n_steps=n_steps,
        keys=jax.random.split(key_runs, n_runs),
        starts=all_cluster_starts(recording, n_starts, key_starts),
        keys_starts=jax.random.split(key_noise, (n_symbols, n_starts)),
        law=law,
    )


def all_cluster_starts(recording: Recording, n_starts: int, key: Key) -> AllStarts:
    """`n_starts` states from the cluster of each symbol."""
    n_symbols = recording.logits.shape[-1]
    draws = host_generator(key).random((n_symbols, n_starts))
    run, step = np.zeros((2, n_symbols, n_starts), int)
    n_found = np.zeros(n_symbols, int)
    for symbol in range(n_symbols):
        where = np.nonzero(in_cluster(recording, symbol))
        n_found[symbol] = len(where[0])
        if n_found[symbol]:
            chosen = (draws[symbol] * n_found[symbol]).astype(int)
            run[symbol], step[symbol] = (index[chosen] for index in where)
    states = np.array(np.asarray(recording.states)[run, step])
    states[n_found == 0] = np.nan
    return AllStarts(jnp.asarray(states), run, len(recording.symbols), n_found)


def measure(
    setting: Assay, arms: Arms | Intervention | list[Intervention], *, n_spectra: int = 0
) -> Measured:
    """Counts in G arms, or under one or several interventions with entries () or (N,).

    Spectra are those at the last states of some of the runs.

    Raises:
        InputError: no intervention, or arms with anything but gains, offsets and weights: free
            runs and escapes have other steps and runs.
    """
    if not isinstance(arms, Arms):
        several = arms if isinstance(arms, list) else [arms]
        arms = arms_of(several, setting.network.hidden_size)
    if odd := [name for name in OF_STEPS if getattr(arms, name) is not None]:
        raise InputError(f"{odd[0]}: free runs take gains, offsets and weights; use `under`")
    run, left = in_blocks(lambda block: _counted(_fixed(setting), block, _own(setting)), arms)
    critical = np.full(run.finite.shape, np.nan)
    for i in range(arms.n):
        if n_spectra:
            arm = jax.tree.map(lambda x, i=i: x[i], arms)
            network = setting.network.replace(**(arm.weights or {}))
            last = run.last[i, :n_spectra]
            critical[i, :n_spectra] = has_critical_pair(network, gates_of(arm), last)
    return Measured(run, left, np.where(run.finite, critical, np.nan))


def measure_baseline(setting: Assay, *, n_spectra: int = 0) -> Measured:
    """The network left alone (G = 1), to which all interventions are compared."""
    return measure(setting, NO_INTERVENTION, n_spectra=n_spectra)


def measure_baselines(settings: Sequence[Assay]) -> list[Measured]:
    """`measure_baseline` of networks of one shape, by vmapped calls.

    Raises:
        InputError: experiments of different cells or sizes, or with a law and without one.
    """
    first, *_ = of_one_cell([setting.network for setting in settings])
    fixed = {_fixed(setting) for setting in settings}
    if len(fixed) != 1:
        raise InputError("side by side: need as many steps, and a law for all or none")
    block = arms_of([NO_INTERVENTION] * BLOCK, first.hidden_size)
    found = side_by_side(
        partial(_counted, fixed.pop(), block), [(_own(setting),) for setting in settings]
    )
    baselines = []
    for setting, counted in zip(settings, found, strict=True):
        run, left = jax.tree.map(lambda x: np.asarray(x)[:1], counted)
        baselines.append(Measured(run, left, np.full((1, len(setting.keys)), np.nan)))
    return baselines


def _fixed(setting: Assay) -> tuple[int, int]:
    """Steps and order of n-grams, which are compiled in; without a law nobody asks for n-grams."""
    return setting.n_steps, ORDER if setting.law is not None else 1


class _Own(NamedTuple):
    """What a network has of its own."""

    network: Network
    keys: Keys
    starts: Float[Array, "K P N"]
    keys_starts: Keys


def _own(setting: Assay) -> _Own:
    starts = setting.starts.states
    return _Own(setting.network, setting.keys, starts, setting.keys_starts)


def _counted(fixed: tuple[int, int], block: Arms, own: _Own) -> tuple[Counts, Escapes]:
    (n_steps, order), (network, keys, starts, keys_starts) = fixed, own
    return (
        counts(network, block, n_steps, keys, order=order),
        escapes(network, block, starts, keys_starts),
    )


def has_critical_pair(
    network: Network, gates: Intervention, states: Float[Array | np.ndarray, "P N"]
) -> Float[np.ndarray, " P"]:
    """Whether the Jacobian at each state, without input, has a critical pair: 1, 0 or NaN.

    The Jacobian is that of the network under the intervention, whose entries are () or (N,).
    """
    found = spectrum(_jacobians_under(network, gates, jnp.asarray(states))).n_critical_pairs
    return np.where(np.isnan(found), np.nan, found > 0)


@jax.jit
def _jacobians_under(
    network: Network, gates: Intervention, states: Float[Array, "P N"]
) -> Float[Array, "P N N"]:
    """diag(state_gain) of the Jacobian with diag(recurrent_gain) W_rec."""
    rows, scale = (
        jnp.broadcast_to(jnp.asarray(gain), network.hidden_size)[:, None]
        for gain in (gates.recurrent_gain, gates.state_gain)
    )
    return scale * jacobians(network.replace(W_rec=rows * network.params["W_rec"]), states)
