"""How the dynamics arise in training: the same measures at every snapshot of the parameters."""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from hmmrnn.arrays import Key, Keys, Params, host_generator
from hmmrnn.dynamics.change_points import (
    ChangePoint,
    SecondDescent,
    change_point,
    first_jump,
    second_descent,
)
from hmmrnn.dynamics.components import padded
from hmmrnn.dynamics.mean_shifts import one_step_shift
from hmmrnn.dynamics.orbits import plane_points
from hmmrnn.dynamics.rotation import net_turns, turns_per_pair
from hmmrnn.dynamics.spectra import spectra_along
from hmmrnn.intervals import Estimate, bootstrap_weights
from hmmrnn.nets import Network
from hmmrnn.recordings.recorder import Runs, driven_runs
from hmmrnn.results import result_without

N_RUNS = 16
N_STEPS = 300
N_PROBES = 8
"""States of each run, evenly apart, whose Jacobian is taken."""

SNAPSHOTS_AT_ONCE = 8


class Snapshot(NamedTuple):
    """One network at one epoch; NaN where its runs are not finite."""

    rate: Float[Array, "*S B"]  # changes of the preferred symbol per step
    turns: Float[Array, "*S B"]  # around the mean, in its own plane
    explained: Float[Array, "*S 2"]
    path: Float[Array, "*S T 2"]  # the first run in the plane
    symbols: Int[Array, "*S T"]
    probes: Float[Array, "*S B P N"]
    mean_shift: Float[Array, "*S N"]  # of each unit, mean over the probes


@result_without("paths", "symbols", "mean_shift")
class Development(NamedTuple):
    """E snapshots of one training. Intervals are over runs, which share their noise; (E,) each."""

    epochs: Int[np.ndarray, " E"]
    transitions_per_step: Estimate
    rotation: Estimate  # net turns per pair of transitions; NaN without any
    critical_share: Estimate  # of the states with a critical pair of eigenvalues
    unstable_share: Estimate  # of the eigenvalues, mean over states
    mean_shift: Float[np.ndarray, "E N"]  # of each unit, over the typical norm of the state
    explained: Float[np.ndarray, "E 2"]
    paths: Float[np.ndarray, "E T 2"]
    symbols: Int[np.ndarray, "E T"]
    bifurcation_by_jump: float  # epoch, by the rule of the paper; NaN if there is none
    bifurcation: ChangePoint  # rise of the critical share
    switching: ChangePoint  # of the transitions per step
    descent: SecondDescent  # of the loss
    n_valid: int  # snapshots whose runs are finite


@partial(jax.jit, static_argnames="n_steps")
def measure_snapshot(network: Network, n_steps: int, keys: Keys) -> Snapshot:
    """The measures of one network that need no host, from one run for each of the keys (B,)."""
    runs = driven_runs(network, n_steps, keys)
    states = runs.states
    plane, points = plane_points(states)
    probes = states[:, :: -(-n_steps // N_PROBES)]
    shift = one_step_shift(network, probes)
    scale = jnp.mean(jnp.linalg.norm(states, axis=-1))
    return Snapshot(
        rate=jnp.where(_finite(runs), jnp.mean(runs.changes, axis=1), jnp.nan),
        turns=net_turns(points),
        explained=padded(plane.explained, 2),
        path=points[0],
        symbols=runs.symbols[0],
        probes=probes,
        mean_shift=jnp.mean(shift, axis=(0, 1)) / jnp.where(scale > 0, scale, 1.0),
    )


def development(
    network: Network,
    epochs: Int[Array, " E"],
    snapshots: Params,
    loss: Float[np.ndarray, " L"],
    key: Key,
    *,
    n_runs: int = N_RUNS,
    n_steps: int = N_STEPS,
) -> Development | None:
    """Measure every snapshot of the parameters (leading axis E), and date what changed.

    All snapshots get the same noise. `loss` is that of each epoch. None without snapshots.
    """
    if len(epochs) == 0:
        return None
    found = measure_snapshots(network, snapshots, key, n_runs=n_runs, n_steps=n_steps)
    return development_of(network, epochs, snapshots, found, loss, key)


def measure_snapshots(
    network: Network,
    snapshots: Params,
    key: Key,
    *,
    n_runs: int = N_RUNS,
    n_steps: int = N_STEPS,
) -> Snapshot:
    """The measures of every snapshot that need no host; vmap it over networks."""
    key_runs, _ = jax.random.split(key)
    keys = jax.random.split(key_runs, n_runs)
    return _measure_all(network, dict(snapshots), n_steps, keys)


def development_of(
    network: Network,
    epochs: Int[Array, " E"],
    snapshots: Params,
    found: Snapshot,
    loss: Float[np.ndarray, " L"],
    key: Key,
) -> Development:
    """As `development`, from what the device measured (host; same key)."""
    n_runs, n_steps = found.rate.shape[1], found.path.shape[1]
    _, key_boot = jax.random.split(key)
    critical, unstable = _spectra(network, snapshots, found.probes)
    weights = bootstrap_weights(n_runs, key_boot)
    rate, turns = (np.asarray(x, np.float64) for x in (found.rate, found.turns))
    series = {
        "transitions_per_step": rate @ weights.T,
        "rotation": turns_per_pair(turns @ weights.T, rate @ weights.T * n_steps),
        "critical_share": critical @ weights.T,
        "unstable_share": unstable @ weights.T,
    }
    at = np.asarray(epochs)
    rng = host_generator(key)
    dated = {
        name: change_point(at, s[:, 0], s[:, 1:].T, rng, rises_only=name == "critical_share")
        for name, s in series.items()
        if name in ("critical_share", "transitions_per_step")
    }
    return Development(
        epochs=at,
        **{name: Estimate.of(rows.T) for name, rows in series.items()},
        mean_shift=np.asarray(found.mean_shift),
        explained=np.asarray(found.explained),
        paths=np.asarray(found.path),
        symbols=np.asarray(found.symbols),
        bifurcation_by_jump=first_jump(at, series["critical_share"][:, 0]),
        bifurcation=dated["critical_share"],
        switching=dated["transitions_per_step"],
        descent=second_descent(np.asarray(loss, np.float64)),
        n_valid=int(np.isfinite(rate).all(axis=1).sum()),
    )


@partial(jax.jit, static_argnames="n_steps")
def _measure_all(network: Network, snapshots: Params, n_steps: int, keys: Keys) -> Snapshot:
    return jax.lax.map(
        lambda params: measure_snapshot(network.replace(**params), n_steps, keys),
        snapshots,
        batch_size=SNAPSHOTS_AT_ONCE,
    )


def _finite(runs: Runs) -> Array:
    return jnp.isfinite(jnp.sum(runs.states**2, axis=(1, 2)))


def _spectra(
    network: Network, snapshots: Params, probes: Float[Array, "E B P N"]
) -> tuple[Float[np.ndarray, "E B"], Float[np.ndarray, "E B"]]:
    """Shares of probes with a critical pair, and of unstable eigenvalues, in each run."""
    critical: list[np.ndarray] = []
    unstable: list[np.ndarray] = []
    for snapshot, states in enumerate(probes):
        at = network.replace(**{name: value[snapshot] for name, value in snapshots.items()})
        found = spectra_along(at, states.reshape(-1, states.shape[-1]))
        finite = np.isfinite(found.eigenvalues).all(axis=1)
        for shares, values in (
            (critical, np.asarray(found.n_critical_pairs) > 0),
            (unstable, np.asarray(found.n_unstable) / states.shape[-1]),
        ):
            known = np.where(finite, values, np.nan)
            shares.append(known.reshape(states.shape[:2]).mean(axis=1))
    return np.array(critical), np.array(unstable)
