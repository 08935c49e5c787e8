"""Ablations: what is left when parts of the circuit, or all but them, are silent."""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float

from hmmrnn.arrays import Key
from hmmrnn.circuits.assays import Assay, Measured, measure
from hmmrnn.circuits.find import KickCircuit
from hmmrnn.circuits.outcomes import Outcomes, outcomes
from hmmrnn.nets import Intervention
from hmmrnn.results import result


@result
class Ablations(NamedTuple):
    """Free runs under G interventions on whole parts of the network."""

    names: tuple[str, ...]
    n_units: tuple[int, ...]  # that each acts on
    outcome: Outcomes


def ablations(
    setting: Assay,
    baseline: Measured,
    circuit: KickCircuit,
    carriers: Bool[np.ndarray, " N"],
    key: Key,
) -> Ablations:
    """Silence each part, and everything but it.

    Necessity: the kick neurons of all pairs, all kick-like units, the populations (silent, and
    only without their noise), the whole circuit of kick neurons and populations. Sufficiency:
    all units silent but the kick neurons, but the populations, but both, and but both and the
    units that carry the state, which the readout needs.
    """
    nobody = np.zeros(len(carriers), bool)
    kick = np.any([pair.kick.kick for pair in circuit.pairs] or [nobody], axis=0)
    like = np.any([pair.kick.kick_like for pair in circuit.pairs] or [nobody], axis=0)
    population = np.any([pair.population.members for pair in circuit.pairs] or [nobody], axis=0)
    whole = kick | population
    silent = {
        "kick neurons silent": kick,
        "kick-like units silent": like,
        "populations silent": population,
        "circuit silent": whole,
        "all but kick neurons silent": ~kick,
        "all but populations silent": ~population,
        "all but circuit silent": ~whole,
        "all but circuit and carriers silent": ~(whole | carriers),
        "carriers silent": carriers,
    }
    chosen: dict[str, tuple[np.ndarray, Intervention]] = {
        name: (mask, Intervention(state_gain=_off(mask))) for name, mask in silent.items()
    }
    chosen["no noise into populations"] = population, Intervention(noise_gain=_off(population))
    chosen["no noise into all others"] = ~population, Intervention(noise_gain=_off(~population))
    measured = measure(setting, [intervention for _, intervention in chosen.values()])
    found = outcomes(setting, measured, baseline, key)
    return Ablations(tuple(chosen), tuple(int(mask.sum()) for mask, _ in chosen.values()), found)


def _off(mask: Bool[np.ndarray, " N"]) -> Float[jnp.ndarray, " N"]:
    return jnp.where(jnp.asarray(mask), 0.0, 1.0)
