"""Everything that is measured of the dynamics of one network, in one call."""

from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Array, Float, Int

from hmmrnn.arrays import Key, Params
from hmmrnn.dynamics.development import Development, development
from hmmrnn.dynamics.distinct_points import DistinctPoints, fixed_points
from hmmrnn.dynamics.distinct_points import numbers as fixed_point_numbers
from hmmrnn.dynamics.global_dynamics import GlobalDynamics, global_dynamics
from hmmrnn.dynamics.global_dynamics import numbers as global_numbers
from hmmrnn.dynamics.local_dynamics import LocalDynamics, local_dynamics
from hmmrnn.dynamics.local_dynamics import numbers as local_numbers
from hmmrnn.dynamics.portrait import Portrait, portrait_of
from hmmrnn.dynamics.portrait import numbers as portrait_numbers
from hmmrnn.dynamics.residency import residency, zones
from hmmrnn.dynamics.runs import driven_runs, finite_runs
from hmmrnn.dynamics.view import TrajectoryView, trajectory_view
from hmmrnn.errors import InputError
from hmmrnn.nets import Network

VIEW_STEPS = 400


class Sizes(NamedTuple):
    """How much is simulated."""

    n_trajectories: int = 64
    n_steps: int = 1_000  # of each, after the warm-up
    n_starts: int = 1_000  # of the search for fixed points
    n_states: int = 2_000  # whose residency time is measured


class Course(NamedTuple):
    """A network on its way through training."""

    epochs: Int[Array, " E"]  # of the snapshots; the last one is the network itself
    params: Params  # with a leading axis E
    loss: Float[np.ndarray, " L"]  # of each epoch


class Survey(NamedTuple):
    """All records of the dynamics of one network."""

    portrait: Portrait
    globally: GlobalDynamics
    fixed: DistinctPoints
    locally: LocalDynamics
    view: TrajectoryView
    development: Development | None  # None for a training without snapshots


def survey(network: Network, course: Course, key: Key, sizes: Sizes = Sizes()) -> Survey:  # noqa: B008
    """Measure a network and the snapshots of its training.

    Raises:
        InputError: sizes that are too small, or a network of one symbol.
        DivergingNetworkError: hidden states that are not finite.
    """
    key_runs, key_portrait, key_global, key_fixed, key_local, key_view, key_course = (
        jax.random.split(key, 7)
    )
    if sizes.n_states < sizes.n_trajectories:
        raise InputError(
            f"n_states={sizes.n_states}: at least one for each of the "
            f"{sizes.n_trajectories} trajectories"
        )
    runs = finite_runs(network, sizes.n_trajectories, sizes.n_steps, key_runs)
    globally = global_dynamics(network, runs, key_global)
    # the same number twice: keep one of its two bootstrap intervals
    seen = portrait_of(network, runs, key_portrait)._replace(rotation=globally.orbit.rotation)
    return Survey(
        portrait=seen,
        globally=globally,
        fixed=fixed_points(network, key_fixed, n_starts=sizes.n_starts, plane=globally.plane),
        locally=local_dynamics(network, runs, globally.plane, key_local, n_states=sizes.n_states),
        view=_view(network, course, seen, key_view),
        development=development(
            network.cell, course.epochs, course.params, network.noise_std, course.loss, key_course
        ),
    )


def _view(network: Network, course: Course, seen: Portrait, key: Key) -> TrajectoryView:
    """The interactive view, with the residency zones of the path that it shows."""
    key_path, key_residency = jax.random.split(key)
    cell, params, noise_std = network.cell, network.params, network.noise_std
    path = driven_runs(cell, params, noise_std, VIEW_STEPS, key_path[None]).states
    stay = residency(cell, params, noise_std, path, key_residency)
    n_before = max(len(course.epochs) - 1, 0)
    return trajectory_view(
        cell,
        params,
        {name: value[:-1] for name, value in course.params.items()} if n_before else None,
        course.epochs if n_before else np.array([len(course.loss)]),
        noise_std,
        key_path,
        n_steps=VIEW_STEPS,
        zones=zones(stay.time, stay.max_probability)[0],
        plane=seen.plane,
    )


def numbers(found: Survey) -> dict[str, Any]:
    """What dynamics.json holds: numbers with their intervals, no states and no paths."""
    return {
        **portrait_numbers(found.portrait),
        **global_numbers(found.globally),
        "fixed_points": fixed_point_numbers(found.fixed),
        **local_numbers(found.locally),
        "development": _dated(found.development),
    }


def _dated(found: Development | None) -> dict[str, Any] | None:
    if found is None:
        return None
    left_out = ("paths", "symbols", "mean_shift")
    kept = {name: value for name, value in found._asdict().items() if name not in left_out}
    return kept | {"median_mean_shift": np.median(found.mean_shift, axis=1)}
