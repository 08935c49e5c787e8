"""A first portrait of how a network moves: its plane, its transitions, its rest."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from hmmrnn.arrays import Key
from hmmrnn.dynamics.components import PCA, padded, pca, project
from hmmrnn.dynamics.fixed_points.rest import EndStates, end_states
from hmmrnn.dynamics.rotation import net_turns, turns_per_pair
from hmmrnn.intervals import Estimate, bootstrap_weights, estimate
from hmmrnn.nets import Network
from hmmrnn.programs import keep_programs_of
from hmmrnn.recordings.recorder import Runs, finite_runs
from hmmrnn.recordings.symbols import dwell_moments
from hmmrnn.results import result_without

N_COMPONENTS = 3
QUIET_STEPS = 500
N_QUIET_SHOWN = 8
QUIET_SHOWN_STEPS = 60
N_STARTS = 200


@result_without("driven", "driven_symbols", "quiet")
class Portrait(NamedTuple):
    """The dynamics at a glance. Intervals are over trajectories of one network."""

    plane: PCA  # of the driven states, 3 components
    transitions_per_step: Estimate  # changes of the preferred symbol
    dwell_cv: Estimate  # of the steps between changes; NaN without any
    rotation: Estimate  # net turns in the plane per pair of transitions; NaN without any
    end: EndStates  # without noise, from states of the driven trajectories
    driven: Float[np.ndarray, "T 3"]  # one trajectory in the components
    driven_symbols: Int[np.ndarray, " T"]  # its preferred symbols
    quiet: Float[np.ndarray, "P T 3"]  # without noise, from points of the driven one
    n_trajectories: int
    n_steps: int


def portrait(
    network: Network, key: Key, *, n_trajectories: int = 64, n_steps: int = 1_000
) -> Portrait:
    """Measure `n_trajectories` noise-driven runs of `n_steps` steps, after 20 steps of warm-up.

    Rotation is |net turns around the mean in the plane of the first two components| over half the
    number of transitions: 1 for an orbit, 0 for going back and forth.

    Raises:
        InputError: fewer than 2 trajectories or steps, or hidden states that are not finite.
    """
    network, (key_runs, key_portrait) = network.bare, jax.random.split(key)
    keep_programs_of(network.cell)
    runs = finite_runs(network, n_trajectories, n_steps, key_runs)
    return portrait_of(network, runs, key_portrait)


def portrait_of(network: Network, runs: Runs, key: Key) -> Portrait:
    """The portrait of a network from runs that are at hand."""
    key_starts, key_boot = jax.random.split(key)
    states, changes = runs.states, runs.changes
    n_trajectories, n_steps = changes.shape
    plane = pca(states, min(N_COMPONENTS, network.hidden_size))
    points = padded(project(plane, states), N_COMPONENTS)
    per_run = jnp.concatenate(
        [
            jnp.mean(changes, axis=1)[:, None],
            net_turns(points[..., :2])[:, None],
            jax.vmap(dwell_moments)(changes),
        ],
        axis=1,
    )
    weights = bootstrap_weights(n_trajectories, key_boot)
    visited = states.reshape(-1, states.shape[-1])
    starts = jax.random.choice(key_starts, visited, (min(N_STARTS, len(visited)),), replace=False)

    def turning(means: np.ndarray) -> np.ndarray:
        return turns_per_pair(means[:, 1], means[:, 0] * n_steps)

    rate, rotation, cv = (
        estimate(statistic, per_run, weights)
        for statistic in (lambda means: means[:, 0], turning, _dwell_cv)
    )
    return Portrait(
        plane=plane,
        transitions_per_step=rate,
        dwell_cv=cv,
        rotation=rotation,
        end=end_states(network, starts, QUIET_STEPS),
        driven=np.asarray(points[0]),
        driven_symbols=np.asarray(runs.symbols[0]),
        quiet=np.asarray(_quiet(network, plane, starts[:N_QUIET_SHOWN])),
        n_trajectories=n_trajectories,
        n_steps=n_steps,
    )


@jax.jit  # or each call would compile its loop anew
def _quiet(network: Network, plane: PCA, starts: Float[Array, "P N"]) -> Float[Array, "P T 3"]:
    """Paths without noise from `starts`, in the components."""
    silence = jnp.zeros((QUIET_SHOWN_STEPS, len(starts), network.noise_dim))
    paths = network.run(starts, silence).states
    paths = jnp.swapaxes(jnp.concatenate([starts[None], paths]), 0, 1)
    return padded(project(plane, paths), N_COMPONENTS)


def _dwell_cv(means: np.ndarray) -> np.ndarray:
    """Standard deviation over mean of the dwell times, from their summed moments."""
    with np.errstate(invalid="ignore", divide="ignore"):
        mean, square = means[:, 3] / means[:, 2], means[:, 4] / means[:, 2]
        return np.sqrt(np.maximum(square - mean**2, 0)) / mean
