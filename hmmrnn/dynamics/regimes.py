"""The regime in which a network switches: an orbit, a double well, or neither, in one sentence."""

from typing import Literal, NamedTuple

import numpy as np

from hmmrnn.dynamics.kramers_moyal import KramersMoyal, Wells
from hmmrnn.dynamics.probability_current import Flow
from hmmrnn.intervals import Estimate
from hmmrnn.results import result

ORBIT = 0.75
"""Net turns per pair of transitions from which on it is an orbit; a perfect one has 1."""

STILL = 0.25
"""Net turns per pair of transitions up to which it is back and forth; exactly that has 0."""

SIGNIFICANT = 0.05
"""p against time-reversed surrogates below which something turns."""

NOTABLE_SHARE = 0.01
"""Share of the flow that must turn before the sentence mentions it."""

Kind = Literal["orbit", "double well", "neither"]
NUMBERS = {2: "two", 3: "three", 4: "four", 5: "five"}


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


@result
class Regime(NamedTuple):
    """A verdict and the sentence that states it."""

    kind: Kind
    sentence: str


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
        return Regime(
            "neither", "There is nothing to judge: no finite step with these symbols was recorded."
        )
    if found.transitions_per_step == 0:
        return Regime(
            "neither",
            "It never switches: one symbol is preferred throughout, so nothing is judged.",
        )
    if np.isnan(turns):
        return Regime("neither", "Its rotation is not defined, so nothing is judged.")
    if turns >= ORBIT:
        return _turning(found)
    if turns <= STILL:
        return _still(found)
    return Regime(
        "neither",
        f"It turns {_turns(found.rotation)}, between back and forth (at most {STILL}) and an orbit "
        f"(at least {ORBIT}), with {_seen(found.density_wells)} along the readout difference.",
    )


def _turning(found: Evidence) -> Regime:
    turns = _turns(found.rotation)
    if not found.rotation.low > STILL:
        return Regime(
            "neither",
            f"It turns {turns}, but that is too uncertain for an orbit: the interval must lie "
            f"above {STILL}.",
        )
    if not found.rotation_p < SIGNIFICANT:
        reason = "was not compared with" if np.isnan(found.rotation_p) else "is no more than in"
        return Regime(
            "neither",
            f"It turns {turns}, but that {reason} its time-reversed surrogates"
            f"{_p(found.rotation_p)}.",
        )
    return Regime(
        "orbit",
        f"It orbits: it turns {turns}, unlike time-reversed surrogates{_p(found.rotation_p)}.",
    )


def _still(found: Evidence) -> Regime:
    turns = _turns(found.rotation)
    density, drift = found.density_wells, found.drift_wells
    if _apart(density) and _apart(drift):
        return Regime(
            "double well",
            f"It hops between {_number(density.n)} wells without orbiting: it turns {turns}, and "
            f"the state is {np.exp(density.barrier.value):.1f} times rarer on the barrier than in "
            f"the shallower well beside it{_origin(drift)}{_remainder(found)}.",
        )
    if not (density.n and drift.n):
        reason = "too few steps show whether there are wells along the readout difference"
    elif density.n >= 2 and drift.n >= 2:
        reason = "the wells along the readout difference are all on the side of one symbol"
    elif density.n >= 2:
        reason = (
            f"the density along the readout difference has {_number(density.n)} peaks, but drift "
            "and diffusion do not make wells of them"
        )
    elif drift.n >= 2:
        reason = (
            f"drift and diffusion along the readout difference suggest {_number(drift.n)} wells, "
            "but no second peak of the density stands out"
        )
    else:
        reason = (
            "there is one broad well along the readout difference, whose noise carries the state "
            "across the boundary between the symbols"
        )
    return Regime(
        "neither", f"It neither orbits nor hops: it turns {turns}, and {reason}{_remainder(found)}."
    )


def _apart(wells: Wells) -> bool:
    """Whether there are wells on both sides of the boundary between the symbols, at zero."""
    return bool(np.any(wells.at < 0) and np.any(wells.at > 0))


def _origin(drift: Wells) -> str:
    """Whether the drift or the uneven noise makes the barrier of the effective potential."""
    whole, part = drift.barrier, drift.drift_part
    if not np.isfinite([*whole.parts, *part.parts]).all():
        return ""
    share = part.value / whole.value
    if part.low <= 0 <= part.high or share < 0:
        return "; no part of the barrier is drift, all of it is noise that is weaker in the wells"
    if share >= 1:
        return "; all of the barrier is drift back into the wells"
    return (
        f"; {100 * share:.0f} % of the barrier is drift back into the wells, "
        "the rest is noise that is weaker in them"
    )


def _remainder(found: Evidence) -> str:
    """What turns in the plane although the state goes back and forth."""
    if not (found.share_p < SIGNIFICANT and found.share.value >= NOTABLE_SHARE):
        return ""
    return (
        f"; a current remains, for {100 * found.share.value:.2g} % of the flow in the plane of two "
        f"components turns{_p(found.share_p)}"
    )


def _turns(rotation: Estimate) -> str:
    value, low, high = (f"{part:.2f}" for part in rotation.parts)
    return f"{value} times per pair of transitions ({low} to {high})"


def _seen(wells: Wells) -> str:
    if wells.n == 0:
        return "too few steps to see wells"
    return "one well" if wells.n == 1 else f"{_number(wells.n)} wells"


def _number(n: int) -> str:
    return NUMBERS.get(n, str(n))


def _p(p: float) -> str:
    if np.isnan(p):
        return ""
    return " (p ≤ 0.001)" if p <= 0.001 else f" (p = {p:.2g})"
