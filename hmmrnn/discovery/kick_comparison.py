"""How the circuits of a transition compare with groups that another analysis found."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool

from hmmrnn.discovery.judge import score
from hmmrnn.discovery.surveys import Discovery
from hmmrnn.results import result


@result
class Overlap(NamedTuple):
    """One group of n units beside what was found, in each window."""

    n: int
    auprc: list[float]  # of the units' effects, if the group were the truth
    shared: list[int]  # units of the group in the chosen circuit
    expected: list[float]  # of as many random units


def overlaps(found: Discovery, groups: Mapping[str, Bool[np.ndarray, " N"]]) -> dict[str, Overlap]:
    """Each group beside the discovery; AUPRC is NaN for a group of nobody or everybody."""
    return {name: _overlap(found, mask) for name, mask in groups.items()}


def _overlap(found: Discovery, mask: Bool[np.ndarray, " N"]) -> Overlap:
    sizes = [int(circuit.units.sum()) for circuit in found.circuits]
    return Overlap(
        n=int(mask.sum()),
        auprc=[score(np.asarray(row, float), mask).auprc for row in found.effect.value],
        shared=[int((circuit.units & mask).sum()) for circuit in found.circuits],
        expected=[size * float(mask.mean()) for size in sizes],
    )
