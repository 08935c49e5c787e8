"""The kick circuit of a network: kick neurons and integrating populations of every pair."""

from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Bool, Float

from hmmrnn.arrays import Key, host_generator
from hmmrnn.circuits.composition import Composition, composition
from hmmrnn.circuits.connectivity import Blocks, weight_blocks
from hmmrnn.circuits.kick_neurons import KickNeurons, kick_neurons
from hmmrnn.circuits.populations import Population, population
from hmmrnn.dynamics import PCA, pca, project
from hmmrnn.nets import Network
from hmmrnn.programs import keep_programs_of
from hmmrnn.recordings.events import aligned, find_events, symbol_pairs
from hmmrnn.recordings.recorder import Recording, record
from hmmrnn.results import fields, result

N_RUNS, N_STEPS = 48, 400
MEAN_BEFORE, MEAN_AFTER = 20, 10
"""Steps around the onset of the mean activities."""


@result
class PairCircuit(NamedTuple):
    """What was found for the change from one symbol to another."""

    pair: tuple[int, int]
    kick: KickNeurons
    population: Population
    opposed: bool  # whether the change back has kick neurons, for the population to inhibit
    activity: dict[str, Float[np.ndarray, " L"]]  # mean of each group around the onset

    def numbers(self) -> dict[str, Any]:
        """Units by index, with their scores, levels and pushes."""
        kick, group = self.kick, self.population
        masks = {"kick_like": kick.kick_like, "kick": kick.kick}
        return {
            "pair": list(self.pair),
            "n_events": kick.n_events,
            **{name: np.flatnonzero(mask) for name, mask in masks.items()},
            "problem": kick.problem,
            "score": kick.score,
            "p_value": kick.p_value,
            "push": kick.push,
            "push_low": kick.push_low,
            "levels": kick.levels,
            "group_push": kick.group_push,
            "population": np.flatnonzero(group.members),
            "population_beyond_chance": np.flatnonzero(group.beyond_chance),
            "contrast": group.contrast,
            "prediction": group.prediction,
            "agreement": group.agreement,
            "difference": group.difference,
            "activity": self.activity,
        }


@result
class KickCircuit(NamedTuple):
    """The circuits of all ordered pairs of symbols that change often enough."""

    pairs: tuple[PairCircuit, ...]
    groups: dict[str, Bool[np.ndarray, " N"]]  # "kick 0>2", "population 0>2", ...
    blocks: Blocks
    shared: Composition
    plane: PCA
    seen: Float[np.ndarray, "P 2"]  # states in the plane, for pictures
    seen_preactivation: Float[np.ndarray, "P N"]  # of the same steps

    def numbers(self) -> dict[str, Any]:
        """What circuits.json holds of it: unit indices, scores, levels, blocks and overlaps."""
        return {
            "pairs": [fields(pair) for pair in self.pairs],
            "groups": {name: np.flatnonzero(mask) for name, mask in self.groups.items()},
            "blocks": self.blocks,
            "shared": self.shared,
        }


def find_kick_circuit(network: Network, key: Key) -> KickCircuit:
    """Record the network and find its circuits (Torre et al. 2025, by algorithm).

    Raises:
        DivergingNetworkError: hidden states that are not finite.
    """
    network, (key_record, key_find) = network.bare, jax.random.split(key)
    keep_programs_of(network.cell)
    return circuit_of(network, record(network, N_RUNS, N_STEPS, key_record), key_find)


def circuit_of(network: Network, recording: Recording, key: Key) -> KickCircuit:
    """The circuits of a network in a recording of it."""
    key_kick, key_population, key_blocks, key_seen = jax.random.split(key, 4)
    pairs = symbol_pairs(recording.symbols)
    kicks = {
        pair: kick_neurons(network, recording, pair, len(pairs), jax.random.fold_in(key_kick, i))
        for i, pair in enumerate(pairs)
    }
    none = np.zeros(network.hidden_size, bool)
    populations = {}
    for i, (s, t) in enumerate(pairs):
        opposite = kicks[t, s].kick if (t, s) in kicks else none
        populations[s, t] = population(
            network.params,
            recording,
            (s, t),
            kicks[s, t].kick,
            opposite,
            jax.random.fold_in(key_population, i),
        )
    groups = {f"population {name_of(p)}": populations[p].members for p in pairs}
    groups |= {f"kick {name_of(p)}": kicks[p].kick for p in pairs}
    found = tuple(
        PairCircuit(
            pair=p,
            kick=kicks[p],
            population=populations[p],
            opposed=p[::-1] in kicks and bool(kicks[p[::-1]].kick.any()),
            activity=_mean_activity(recording, p, groups),
        )
        for p in pairs
    )
    plane = pca(recording.states, min(2, network.hidden_size))
    chosen = _some_steps(recording, key_seen)
    return KickCircuit(
        pairs=found,
        groups=groups,
        blocks=weight_blocks(network.params, groups, key_blocks),
        shared=composition(groups),
        plane=plane,
        seen=np.asarray(project(plane, recording.states.reshape(-1, len(none))[chosen])),
        seen_preactivation=np.asarray(recording.preactivation).reshape(-1, len(none))[chosen],
    )


def name_of(pair: tuple[int, int]) -> str:
    """An ordered pair of symbols, as the names of groups have it."""
    return f"{pair[0]}>{pair[1]}"


def _mean_activity(
    recording: Recording, pair: tuple[int, int], groups: dict[str, Bool[np.ndarray, " N"]]
) -> dict[str, Float[np.ndarray, " L"]]:
    """Mean hidden state of each group's units, 20 steps before the onsets of a pair to 9 after."""
    events = find_events(recording.symbols, pair, before=MEAN_BEFORE, after=MEAN_AFTER)
    if len(events.run) == 0:
        return {}
    mean = aligned(recording.states, events, MEAN_BEFORE, MEAN_AFTER).mean(0, dtype=np.float64)
    return {name: mean[:, mask].mean(1) for name, mask in groups.items() if mask.any()}


N_SEEN = 3_000


def _some_steps(recording: Recording, key: Key) -> np.ndarray:
    n = recording.symbols.size
    return np.sort(host_generator(key).permutation(n)[:N_SEEN])
