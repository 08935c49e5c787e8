"""How a network moves as a whole: its orbit, its readout, its noise levels, and its regime."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from hmmrnn.arrays import Key, named_keys
from hmmrnn.dynamics.components import PCA
from hmmrnn.dynamics.kramers_moyal import (
    KramersMoyal,
    bin_edges,
    drift_diffusion,
    kramers_moyal,
    readout_difference,
)
from hmmrnn.dynamics.noise_levels import (
    LEVELS,
    NoiseRuns,
    RadiusFit,
    Region,
    fit_radius,
    occupied_region,
    radius_by_noise,
)
from hmmrnn.dynamics.orbits import Orbit, orbit, plane_points, summarise_orbit
from hmmrnn.dynamics.probability_current import Flow, flow, flow_sums
from hmmrnn.dynamics.readout_geometry import (
    CarriedVariance,
    Emission,
    ReadoutAxes,
    carried_variance,
    emission_by_phase,
    readout_axes,
    summarise_emission,
)
from hmmrnn.dynamics.regimes import Regime, evidence, regime
from hmmrnn.dynamics.rotation import phase
from hmmrnn.dynamics.surrogates import Significance, phase_shuffled, time_reversed
from hmmrnn.dynamics.symbol_pairs import SymbolPair, all_pairs, leading_pair, pair_sums, symbol_pair
from hmmrnn.intervals import bootstrap_weights
from hmmrnn.nets import Network
from hmmrnn.recordings.recorder import Runs
from hmmrnn.results import fields, result

N_LEVEL_RUNS = 16
N_LEVEL_STEPS = 500
MAX_PAIRS = 6
"""Pairs of symbols that are looked at: those with the most changes between them."""

MIN_SHARE = 0.02
"""Of all changes that a pair must have: a handful of them says nothing of rotation or wells."""
KEYS = ("orbit", "reverse", "shuffle", "emission", "levels", "flow", "pairs")


@result
class PlaneDynamics(NamedTuple):
    """The plane of PC1 and PC2 and what happens in it. Intervals are over trajectories."""

    plane: PCA
    orbit: Orbit
    time_reversed: Significance
    phase_shuffled: Significance
    emission: Emission
    axes: ReadoutAxes
    carried: CarriedVariance
    region: Region  # that the states occupy at the network's own noise level
    radius: RadiusFit
    regions: list[Region]  # at each level of `radius`
    symbols: tuple[int, int]  # the two that are preferred most often
    along: KramersMoyal  # the difference of their logits
    flow: Flow
    regime: Regime
    pairs: list[SymbolPair]  # each in the plane of its own segments; empty if there is one pair
    regimes: list[Regime]  # of each pair

    def numbers(self) -> dict[str, Any]:
        """What a table needs: no paths, no grids."""
        pairs = zip(self.pairs, self.regimes, strict=True)
        return {
            "orbit": self.orbit,
            "surrogates": {
                "time_reversed": self.time_reversed,
                "phase_shuffled": self.phase_shuffled,
            },
            "emission_by_phase": self.emission,
            "readout": {
                "share_in_plane": self.axes.pairs.share,
                "angle_to_plane_degrees": self.axes.pairs.angle,
                "chance_share": self.axes.chance,
                "carried_variance": self.carried.total,
            },
            "noise_levels": {
                **self.radius._asdict(),
                "occupied_area": [region.area for region in self.regions],
            },
            "regime": {
                **fields(self.regime),
                "symbols": self.symbols,
                **_wells(self.along),
                **_turning_flow(self.flow),
            },
            "pairs": [
                {
                    **fields(pair),
                    **fields(each),
                    **_wells(pair.along),
                    **_turning_flow(pair.flow),
                }
                for pair, each in pairs
            ],
        }


def plane_dynamics(network: Network, runs: Runs, key: Key) -> PlaneDynamics:
    """Measure `runs` of the network, and others at several noise levels.

    Raises:
        InputError: a network of one symbol.
    """
    network = network.bare
    return plane_dynamics_of(network, runs, level_runs(network, key), key)


def level_runs(network: Network, key: Key) -> NoiseRuns:
    """Runs at each noise level for the same draw of the noise; vmap it over networks."""
    key_runs, _ = jax.random.split(named_keys(key, KEYS)["levels"])
    keys = jax.random.split(key_runs, N_LEVEL_RUNS)
    return radius_by_noise(network, jnp.asarray(LEVELS), N_LEVEL_STEPS, keys)


def plane_dynamics_of(network: Network, runs: Runs, levels: NoiseRuns, key: Key) -> PlaneDynamics:
    """As `plane_dynamics`, from runs at several noise levels that are at hand (same key)."""
    keys = named_keys(key, KEYS)
    plane, points = plane_points(runs.states)
    moments = orbit(points, runs.changes)
    turning = summarise_orbit(moments, keys["orbit"])
    reversed_time = time_reversed(moments.turns, moments.n_transitions, keys["reverse"])
    weights = bootstrap_weights(len(points), keys["flow"])
    symbols = leading_pair(runs.symbols, network.n_symbols)
    x = readout_difference(runs.logits, symbols)
    along = kramers_moyal(drift_diffusion(x, bin_edges(x)), weights)
    in_plane = flow(flow_sums(points), weights, keys["flow"])
    rate = float(jnp.mean(runs.changes))
    pairs = _pairs(runs, network.n_symbols, keys["pairs"])
    _, key_fit = jax.random.split(keys["levels"])
    return PlaneDynamics(
        plane=plane,
        orbit=turning,
        time_reversed=reversed_time,
        phase_shuffled=phase_shuffled(points, moments.n_transitions, keys["shuffle"]),
        emission=summarise_emission(
            emission_by_phase(phase(points), runs.logits), keys["emission"]
        ),
        axes=readout_axes(network.params["W_out"], plane),
        carried=carried_variance(network.params["W_out"], plane, runs.states),
        region=occupied_region(np.asarray(points).reshape(-1, 2)),
        radius=fit_radius(jnp.asarray(LEVELS), levels.radius, network, key_fit),
        regions=[occupied_region(np.asarray(at).reshape(-1, 2)) for at in levels.points],
        symbols=(int(symbols[0]), int(symbols[1])),
        along=along,
        flow=in_plane,
        regime=regime(
            evidence(rate, turning.rotation, float(reversed_time.p_value), along, in_plane)
        ),
        pairs=pairs,
        regimes=[
            regime(
                evidence(p.transitions_per_step.value, p.rotation, p.rotation_p, p.along, p.flow)
            )
            for p in pairs
        ],
    )


def _pairs(runs: Runs, n_symbols: int, key: Key) -> list[SymbolPair]:
    """The pairs of symbols between which the network changes often, the most frequent first.

    Empty if there is one such pair: then all is said in the plane of all states.
    """
    before, after = np.asarray(runs.symbols[:, :-1]), np.asarray(runs.symbols[:, 1:])
    pairs = all_pairs(n_symbols)
    counts = np.array(
        [
            np.sum((before == i) & (after == j)) + np.sum((before == j) & (after == i))
            for i, j in pairs
        ]
    )
    order = [
        int(i) for i in np.argsort(-counts, kind="stable") if counts[i] > MIN_SHARE * counts.sum()
    ]
    if len(order) < 2:
        return []
    order = order[:MAX_PAIRS]
    keys = jax.random.split(key, len(order))
    return [
        symbol_pair(
            pair_sums(runs.states, runs.logits, runs.symbols, jnp.asarray(pairs[i])),
            (int(pairs[i][0]), int(pairs[i][1])),
            key_pair,
        )
        for i, key_pair in zip(order, keys, strict=True)
    ]


def _wells(along: KramersMoyal) -> dict[str, Any]:
    return {
        "n_wells": along.density_wells.n,
        "barrier": along.density_wells.barrier,
        "n_drift_wells": along.drift_wells.n,
        "drift_barrier": along.drift_wells.barrier,
        "second_lag": along.second_lag,
    }


def _turning_flow(found: Flow) -> dict[str, Any]:
    return {
        "rotational_share": found.share,
        "rotational_share_reversed": found.share_reversed,
        "rotational_share_p": found.share_p,
        "current_p": found.current_p,
    }
