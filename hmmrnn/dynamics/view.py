"""Paths of the hidden state in three principal components, from one training snapshot to the next.

What the interactive view of the report shows. All snapshots are looked at along the components of
the final network and under the same draw of the noise, so that only their parameters differ.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from hmmrnn.arrays import Key, Params
from hmmrnn.dynamics.components import PCA, padded, pca, project
from hmmrnn.errors import InputError
from hmmrnn.nets import Network
from hmmrnn.recordings.recorder import driven_runs
from hmmrnn.recordings.residency_times import OTHER
from hmmrnn.results import result

MAX_SNAPSHOTS = 24
DIGITS = 4
"""Significant digits of the coordinates that are kept."""


class Paths(NamedTuple):
    """One network's paths at S moments of its training; NaN where it diverges."""

    driven: Float[Array, "S T 3"]
    symbols: Int[Array, "S T"]  # preferred; -1 where the state is not finite
    quiet: Float[Array, "S P Q 3"]
    explained: Float[Array, "3"]


@result
class TrajectoryView(NamedTuple):
    """What the view draws, of S snapshots with the final network as the last one."""

    driven: Float[np.ndarray, "S T 3"]  # one noise-driven path in the final network's components
    symbols: Int[np.ndarray, "S T"]  # its preferred symbols; -1 where the state is not finite
    zones: Int[np.ndarray, " T"]  # residency zones of the last path; -1: not computed
    phase: Float[np.ndarray, "S T"]  # angle in the plane of PC1 and PC2, in radians
    quiet: Float[np.ndarray, "S P Q 3"]  # without noise, each from a state of the driven path
    epochs: Int[np.ndarray, " S"]
    explained: Float[np.ndarray, "3"]  # share of the final network's variance


def trajectory_view(
    network: Network,
    snapshots: Params | None,
    epochs: Int[np.ndarray | Array, " S"],
    key: Key,
    *,
    n_steps: int = 400,
    n_quiet: int = 8,
    quiet_steps: int = 60,
    zones: Int[np.ndarray | Array, " T"] | None = None,
    plane: PCA | None = None,
) -> TrajectoryView:
    """The view of a network and of the earlier `snapshots` of its parameters.

    Snapshots have a leading axis of length S - 1, `epochs` ends with the final one. Of more than 24
    moments, 24 are chosen evenly. The path of the final network is the run of `driven_runs` for
    `key[None]`, to which `zones` (T,) belong. Without a `plane`, the components are those of this
    path. Paths without noise start evenly spread over each snapshot's own path and take
    `quiet_steps` steps, so Q = quiet_steps + 1.

    Raises:
        InputError: epochs, zones or numbers of steps that do not fit.
    """
    epochs = np.asarray(epochs)
    n_before = 0 if snapshots is None else len(next(iter(snapshots.values())))
    if len(epochs) != n_before + 1:
        raise InputError(
            f"epochs has {len(epochs)} entries for {n_before} snapshots and the final network"
        )
    if not 1 <= n_quiet <= n_steps or n_steps < 2 or quiet_steps < 1:
        raise InputError(
            f"n_steps={n_steps}, n_quiet={n_quiet}, quiet_steps={quiet_steps}: "
            "at least 2 steps, 1 quiet path and 1 quiet step, and no more paths than steps"
        )
    zones = np.full(n_steps, -1) if zones is None else np.asarray(zones)
    if zones.shape != (n_steps,) or zones.min() < -1 or zones.max() > OTHER:
        raise InputError(
            f"zones has shape {zones.shape} and values {zones.min()} to {zones.max()}, "
            f"not ({n_steps},) and -1 to {OTHER}"
        )
    chosen = np.unique(np.linspace(0, n_before, MAX_SNAPSHOTS).round().astype(int))
    found = trajectory_paths(
        network,
        _chosen(network.params, snapshots, chosen),
        plane,
        key,
        n_steps=n_steps,
        n_quiet=n_quiet,
        quiet_steps=quiet_steps,
    )
    driven = np.asarray(found.driven)
    return TrajectoryView(
        driven=_rounded(driven),
        symbols=np.asarray(found.symbols, np.int16),
        zones=zones.astype(np.int8),
        phase=_rounded(np.arctan2(driven[..., 1], driven[..., 0])),
        quiet=_rounded(np.asarray(found.quiet)),
        epochs=epochs[chosen].astype(np.int32),
        explained=_rounded(np.asarray(found.explained)),
    )


@partial(jax.jit, static_argnames=("n_steps", "n_quiet", "quiet_steps"))
def trajectory_paths(
    network: Network,
    snapshots: Params,
    plane: PCA | None,
    key: Key,
    *,
    n_steps: int,
    n_quiet: int,
    quiet_steps: int,
) -> Paths:
    """Driven and quiet paths of `snapshots` (leading axis S, the final network last).

    For many networks, `vmap` over network, snapshots, plane and key.
    """
    starts_at = np.linspace(0, n_steps - 1, n_quiet).round().astype(int)
    silence = jnp.zeros((quiet_steps, n_quiet, network.noise_dim))

    def one(params: Params) -> tuple[Array, Array, Array]:
        at = network.replace(**params)
        run = driven_runs(at, n_steps, key[None])
        starts = run.states[0, starts_at]
        later = at.run(starts, silence).states
        quiet = jnp.swapaxes(jnp.concatenate([starts[None], later]), 0, 1)
        finite = jnp.all(jnp.isfinite(run.states[0]), axis=-1)
        return run.states[0], jnp.where(finite, run.symbols[0], -1), quiet

    driven, symbols, quiet = jax.vmap(one)(snapshots)
    plane = pca(driven[-1], min(3, network.hidden_size)) if plane is None else plane
    return Paths(
        driven=_three(project(plane, driven)),
        symbols=symbols,
        quiet=_three(project(plane, quiet)),
        explained=_three(plane.explained),
    )


def _chosen(params: Params, snapshots: Params | None, chosen: np.ndarray) -> dict[str, Array]:
    """Parameters of the chosen moments, stacked, with the final ones at the end."""
    if snapshots is None:
        return {name: value[None] for name, value in params.items()}
    return {
        name: jnp.concatenate([jnp.asarray(snapshots[name])[chosen[:-1]], value[None]])
        for name, value in params.items()
    }


def _three(points: Float[Array, "*P C"]) -> Float[Array, "*P 3"]:
    """Points with three coordinates, NaN if not finite; those that a small network lacks are 0."""
    three = padded(points, 3)
    return jnp.where(jnp.isfinite(three), three, jnp.nan)


def _rounded(values: np.ndarray) -> Float[np.ndarray, "..."]:
    """Values with the significant digits that a picture can show, which store in less space."""
    exact = np.asarray(values, np.float64)
    size = np.abs(np.where(np.isfinite(exact) & (exact != 0), exact, 1.0))
    unit = 10.0 ** (np.floor(np.log10(size)) - DIGITS + 1)
    return (np.round(exact / unit) * unit).astype(np.float32)
