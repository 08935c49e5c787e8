"""Every measure that needs no host runs under `jit` and `vmap` over networks, keys and all."""

from functools import cache
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from networks import net_of

from hmmrnn import dynamics, recordings
from hmmrnn.dynamics import PCA
from hmmrnn.dynamics.fixed_points.descent import end_points
from hmmrnn.dynamics.kramers_moyal import bin_edges, drift_diffusion, readout_difference
from hmmrnn.dynamics.mean_shifts import monte_carlo_shift, one_step_shift, propagated_shift
from hmmrnn.dynamics.noise_levels import radius_by_noise, scaling_error
from hmmrnn.dynamics.orbits import plane_points
from hmmrnn.dynamics.probability_current import flow_sums
from hmmrnn.dynamics.readout_geometry import carried_variance, emission_by_phase, readout_axes
from hmmrnn.dynamics.rotation import net_turns, phase
from hmmrnn.dynamics.sensitivity import starts_by_zone
from hmmrnn.dynamics.symbol_pairs import pair_sums
from hmmrnn.dynamics.through_training import measure_snapshot
from hmmrnn.dynamics.view import trajectory_paths
from hmmrnn.nets import RNNCell, init_params
from hmmrnn.recordings.recorder import Runs

CELL = RNNCell(n_symbols=3, hidden_size=6, noise_dim=4, activation="tanh")
S, B, T, P = 2, 4, 40, 5
STD = 1.0
PAIR = jnp.array([0, 1])
LEVELS = jnp.array([0.5, 2.0])


class Subject(NamedTuple):
    """A network with its runs, or several of them along a leading axis."""

    params: dict
    runs: Runs
    plane: PCA
    points: jax.Array

    @property
    def network(self):
        return net_of(CELL, self.params, STD)

    @property
    def starts(self):
        return self.runs.states[0, :P]

    @property
    def coordinate(self):
        return readout_difference(self.runs.logits, PAIR)

    @property
    def zone(self):
        return self.runs.symbols.ravel()

    @property
    def snapshots(self):
        return jax.tree.map(lambda value: jnp.stack([value / 2, value]), self.params)


def subject(key):
    key_params, key_runs = jax.random.split(key)
    params = init_params(CELL, key_params)
    params["W_rec"] = 2 * params["W_rec"]
    runs = recordings.driven_runs(net_of(CELL, params, STD), T, jax.random.split(key_runs, B))
    return Subject(params, runs, *plane_points(runs.states))


@pytest.fixture(scope="module")
def several():
    return jax.jit(jax.vmap(subject))(jax.random.split(jax.random.key(0), S))


def fixed_points(of, key):
    found = end_points(of.network, of.starts, n_steps=50)
    return found.points, found.residual, found.kind  # rounding may change the number of steps


MEASURES = {
    "driven_runs": lambda of, key: recordings.driven_runs(of.network, T, jax.random.split(key, B)),
    "end_points": fixed_points,
    "jacobians": lambda of, key: dynamics.jacobians(of.network, of.starts),
    "orbit": lambda of, key: dynamics.orbit(of.points, of.runs.changes),
    "time_reversed": lambda of, key: dynamics.time_reversed(
        net_turns(of.points), of.runs.changes.sum(1), key, n_surrogates=50
    ),
    "phase_shuffled": lambda of, key: dynamics.phase_shuffled(
        of.points, of.runs.changes.sum(1), key, n_surrogates=20
    ),
    "radius_by_noise": lambda of, key: radius_by_noise(
        of.network, LEVELS, T, jax.random.split(key, B)
    ),
    "scaling_error": lambda of, key: scaling_error(of.network, 2.0, T, jax.random.split(key, B)),
    "emission_by_phase": lambda of, key: emission_by_phase(phase(of.points), of.runs.logits),
    "readout_axes": lambda of, key: readout_axes(of.params["W_out"], of.plane),
    "carried_variance": lambda of, key: carried_variance(
        of.params["W_out"], of.plane, of.runs.states
    ),
    "drift_diffusion": lambda of, key: drift_diffusion(
        of.coordinate, bin_edges(of.coordinate, n_bins=8)
    ),
    "flow_sums": lambda of, key: flow_sums(of.points, n_cells=5),
    "pair_sums": lambda of, key: pair_sums(of.runs.states, of.runs.logits, of.runs.symbols, PAIR),
    "residency": lambda of, key: recordings.residency(
        of.network, of.starts, key, n_rollouts=4, n_steps=10, n_lanes=8
    ),
    "noise_sensitivity": lambda of, key: dynamics.noise_sensitivity(
        of.network, of.starts, key, n_rollouts=4, n_steps=3
    ),
    "starts_by_zone": lambda of, key: starts_by_zone(
        of.runs.states.reshape(B * T, -1), of.zone, 3, key
    ),
    "one_step_shift": lambda of, key: one_step_shift(of.network, of.starts),
    "propagated_shift": lambda of, key: propagated_shift(of.network, of.starts, 3),
    "monte_carlo_shift": lambda of, key: monte_carlo_shift(of.network, of.starts, key, 5, 3),
    "measure_snapshot": lambda of, key: measure_snapshot(of.network, T, jax.random.split(key, B)),
    "trajectory_paths": lambda of, key: trajectory_paths(
        of.network, of.snapshots, None, key, n_steps=T, n_quiet=2, quiet_steps=4
    ),
}

USES_KEY = {
    *("driven_runs", "time_reversed", "phase_shuffled", "radius_by_noise", "scaling_error"),
    *("residency", "noise_sensitivity", "starts_by_zone", "monte_carlo_shift"),
    *("measure_snapshot", "trajectory_paths"),
}


@cache
def for_all(name):
    return jax.jit(jax.vmap(MEASURES[name]))


def leaves(tree):
    return [np.asarray(leaf, np.float64) for leaf in jax.tree.leaves(tree)]


@pytest.mark.parametrize("name", MEASURES)
def test_networks_together_give_what_each_gives_alone(several, name):
    measure = jax.jit(MEASURES[name])
    keys = jax.random.split(jax.random.key(1), S)
    together = leaves(for_all(name)(several, keys))
    for i in range(S):
        alone = leaves(measure(jax.tree.map(lambda x, i=i: x[i], several), keys[i]))
        for a, b in zip(together, alone, strict=True):
            np.testing.assert_allclose(a[i], b, rtol=1e-3, atol=1e-4)
    assert any(np.isfinite(a).any() and not np.array_equal(*a) for a in together)


@pytest.mark.parametrize("name", sorted(USES_KEY))
def test_keys_decide(several, name):
    """The same network under two keys gives two results."""
    one = jax.tree.map(lambda x: jnp.stack([x[0]] * S), several)
    found = for_all(name)(one, jax.random.split(jax.random.key(2), S))
    assert any(not np.array_equal(*a, equal_nan=True) for a in leaves(found))
