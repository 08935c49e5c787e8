"""Everything that is measured of the dynamics of one network, in one call."""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Array, Float, Int

from hmmrnn.analysis import of_one_cell, one_by_one, side_by_side, the_only
from hmmrnn.arrays import Key, Params, named_keys
from hmmrnn.dynamics.fixed_points.find import FixedPoints, fixed_points_of
from hmmrnn.dynamics.fixed_points.search import Search, search
from hmmrnn.dynamics.noise_levels import NoiseRuns
from hmmrnn.dynamics.plane_dynamics import PlaneDynamics, level_runs, plane_dynamics_of
from hmmrnn.dynamics.portraits import Portrait, portrait_of
from hmmrnn.dynamics.through_training import (
    Development,
    Snapshot,
    development_of,
    measure_snapshots,
)
from hmmrnn.dynamics.view import TrajectoryView, trajectory_view
from hmmrnn.dynamics.zone_dynamics import Near, ZoneDynamics, near_states, zone_dynamics_of
from hmmrnn.errors import DivergingNetworkError, InputError
from hmmrnn.nets import Network
from hmmrnn.programs import keep_programs_of
from hmmrnn.recordings.recorder import Runs, driven_runs, expect_finite
from hmmrnn.recordings.residency_times import residency, zones
from hmmrnn.results import fields, result

VIEW_STEPS = 400
KEYS = ("runs", "portrait", "in_plane", "fixed", "by_zone", "view", "course")


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


@result
class Survey(NamedTuple):
    """All records of the dynamics of one network."""

    portrait: Portrait
    in_plane: PlaneDynamics
    fixed: FixedPoints
    by_zone: ZoneDynamics
    view: TrajectoryView
    development: Development | None  # None for a training without snapshots

    def numbers(self) -> dict[str, Any]:
        """What dynamics.json holds: numbers with their intervals, no states and no paths."""
        return {
            **fields(self.portrait),
            **fields(self.in_plane),
            "fixed_points": self.fixed,
            **fields(self.by_zone),
            "development": _dated(self.development),
        }


def survey(network: Network, course: Course, key: Key, sizes: Sizes = Sizes()) -> Survey:  # noqa: B008
    """Measure a network and the snapshots of its training.

    Raises:
        InputError: sizes that are too small, or a network of one symbol.
        DivergingNetworkError: hidden states that are not finite.
    """
    return the_only(survey_many([network], [course], key, sizes))


def survey_many(
    networks: Sequence[Network],
    courses: Sequence[Course],
    key: Key,
    sizes: Sizes = Sizes(),  # noqa: B008
) -> Iterator[Survey | DivergingNetworkError]:
    """What `survey` finds of each network, or the error that it raises, one after the other.

    First `measure` is vmapped over all networks, under the same noise; memory is that of all of
    them together. What the host does with it follows network by network.

    Raises:
        InputError: networks of different cells or numbers of snapshots, sizes that are too small,
            or networks of one symbol.
    """
    _expect(sizes)
    networks = of_one_cell(networks)
    keep_programs_of(networks[0].cell)
    if len({len(course.epochs) for course in courses}) > 1:
        raise InputError("networks side by side need the same number of snapshots")
    each = [
        (network, _snapshots(course)) for network, course in zip(networks, courses, strict=True)
    ]
    found = side_by_side(partial(measure, key, sizes), each)
    yield from one_by_one(partial(_survey_of, key), zip(networks, courses, found, strict=True))


class Measured(NamedTuple):
    """What the device measures of one network for a survey, in arrays of fixed shape."""

    runs: Runs
    levels: NoiseRuns
    search: Search
    near: Near
    snapshots: Snapshot | None


def measure(key: Key, sizes: Sizes, network: Network, snapshots: Params | None) -> Measured:
    """Runs, search and residency: the work of a survey that takes the device the longest.

    Each part is compiled for itself, so that a survey of one network and one of many share it.
    """
    keys = named_keys(key, KEYS)
    keys_runs = jax.random.split(keys["runs"], sizes.n_trajectories)
    runs = driven_runs(network, sizes.n_steps, keys_runs)
    return Measured(
        runs=runs,
        levels=level_runs(network, keys["in_plane"]),
        search=search(network, keys["fixed"], sizes.n_starts),
        near=near_states(network, runs, keys["by_zone"], sizes.n_states),
        snapshots=None
        if snapshots is None
        else measure_snapshots(network, snapshots, keys["course"]),
    )


def _expect(sizes: Sizes) -> None:
    if sizes.n_trajectories < 2 or sizes.n_steps < 2:
        raise InputError(
            f"n_trajectories={sizes.n_trajectories}, n_steps={sizes.n_steps}: at least 2 of each"
        )
    if sizes.n_states < sizes.n_trajectories:
        raise InputError(
            f"n_states={sizes.n_states}: at least one for each of the "
            f"{sizes.n_trajectories} trajectories"
        )


def _snapshots(course: Course) -> dict[str, Array] | None:
    return dict(course.params) if len(course.epochs) else None


def _survey_of(key: Key, network: Network, course: Course, found: Measured) -> Survey:
    """What follows from the measures of one network, most of it on the host."""
    keys = named_keys(key, KEYS)
    runs = found.runs
    expect_finite(runs.states)
    in_plane = plane_dynamics_of(network, runs, found.levels, keys["in_plane"])
    # the same number twice: keep one of its two bootstrap intervals
    seen = portrait_of(network, runs, keys["portrait"])._replace(rotation=in_plane.orbit.rotation)
    return Survey(
        portrait=seen,
        in_plane=in_plane,
        fixed=fixed_points_of(network, found.search, keys["fixed"], in_plane.plane),
        by_zone=zone_dynamics_of(network, found.near, in_plane.plane, keys["by_zone"]),
        view=_view(network, course, seen, keys["view"]),
        development=None
        if found.snapshots is None
        else development_of(
            network, course.epochs, course.params, found.snapshots, course.loss, keys["course"]
        ),
    )


def _view(network: Network, course: Course, seen: Portrait, key: Key) -> TrajectoryView:
    """The interactive view, with the residency zones of the path that it shows."""
    key_path, key_residency = jax.random.split(key)
    path = driven_runs(network, VIEW_STEPS, key_path[None]).states
    stay = residency(network, path, key_residency)
    n_before = max(len(course.epochs) - 1, 0)
    return trajectory_view(
        network,
        {name: value[:-1] for name, value in course.params.items()} if n_before else None,
        course.epochs if n_before else np.array([len(course.loss)]),
        key_path,
        n_steps=VIEW_STEPS,
        zones=zones(stay.time, stay.max_probability)[0],
        plane=seen.plane,
    )


def _dated(found: Development | None) -> dict[str, Any] | None:
    if found is None:
        return None
    return {**fields(found), "median_mean_shift": np.median(found.mean_shift, axis=1)}
