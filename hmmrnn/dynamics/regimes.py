"""The regime in which a network switches: an orbit, a double well, or neither."""

from typing import Literal, NamedTuple

import numpy as np

from hmmrnn.dynamics.kramers_moyal import KramersMoyal, Wells
from hmmrnn.dynamics.probability_current import Flow
from hmmrnn.intervals import Estimate
from hmmrnn.results import result, result_without

ORBIT = 0.75
"""Net turns per pair of transitions from which on it is an orbit; a perfect one has 1."""

STILL = 0.25
"""Net turns per pair of transitions up to which it is back and forth; exactly that has 0."""

SIGNIFICANT = 0.05
"""p against time-reversed surrogates below which something turns."""

Kind = Literal["orbit", "double well", "neither"]
Reason = Literal[
    "turns",
    "wells apart",
    "no finite step",
    "never switches",
    "no rotation",
    "between",
    "uncertain",
    "no surrogates",
    "like surrogates",
    "too few steps",
    "wells on one side",
    "peaks without drift",
    "drift without peaks",
    "one broad well",
]
"""What decided; of an orbit and a double well the first two, else why it is neither."""


@result
class Evidence(NamedTuple):
    """What the verdict rests on. Wells are along the readout difference of two symbols."""

    transitions_per_step: float
    rotation: Estimate  # net turns per pair of transitions
    rotation_p: float  # how often time-reversed surrogates turn as much
    density_wells: Wells
    drift_wells: Wells
    share: Estimate  # of the flow in the plane that turns
    share_p: float


@result_without("evidence")
class Regime(NamedTuple):
    """A verdict, the reason for it, and what it rests on."""

    kind: Kind
    reason: Reason
    evidence: Evidence


def evidence(
    transitions_per_step: float,
    rotation: Estimate,
    rotation_p: float,
    along: KramersMoyal,
    flow: Flow,
) -> Evidence:
    """What the verdict needs of the records."""
    return Evidence(
        transitions_per_step,
        rotation,
        rotation_p,
        along.density_wells,
        along.drift_wells,
        flow.share,
        flow.share_p,
    )


def regime(found: Evidence) -> Regime:
    """The verdict, by rules fixed beforehand.

    Orbit: at least 0.75 net turns per pair of transitions, with an interval above 0.25 and p < 0.05
    against time-reversed surrogates. Double well: at most 0.25 net turns, and at least two wells
    along the readout difference on both sides of the boundary between the symbols, in the potential
    of the density as well as in that of drift and diffusion; what counts as a well is said in
    `find_wells`. Neither: everything else, with the reason.
    """
    turns = found.rotation.value
    if np.isnan(found.transitions_per_step):
        return Regime("neither", "no finite step", found)
    if found.transitions_per_step == 0:
        return Regime("neither", "never switches", found)
    if np.isnan(turns):
        return Regime("neither", "no rotation", found)
    if turns >= ORBIT:
        return _turning(found)
    if turns <= STILL:
        return _still(found)
    return Regime("neither", "between", found)


def _turning(found: Evidence) -> Regime:
    if not found.rotation.low > STILL:
        return Regime("neither", "uncertain", found)
    if np.isnan(found.rotation_p):
        return Regime("neither", "no surrogates", found)
    if not found.rotation_p < SIGNIFICANT:
        return Regime("neither", "like surrogates", found)
    return Regime("orbit", "turns", found)


def _still(found: Evidence) -> Regime:
    density, drift = found.density_wells, found.drift_wells
    if _apart(density) and _apart(drift):
        return Regime("double well", "wells apart", found)
    if not (density.n and drift.n):
        return Regime("neither", "too few steps", found)
    if density.n >= 2 and drift.n >= 2:
        return Regime("neither", "wells on one side", found)
    if density.n >= 2:
        return Regime("neither", "peaks without drift", found)
    if drift.n >= 2:
        return Regime("neither", "drift without peaks", found)
    return Regime("neither", "one broad well", found)


def _apart(wells: Wells) -> bool:
    """Whether there are wells on both sides of the boundary between the symbols, at zero."""
    return bool(np.any(wells.at < 0) and np.any(wells.at > 0))
