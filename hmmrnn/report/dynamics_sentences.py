"""What the dynamics of a network come to, in sentences: its regimes and its fixed points."""

from typing import Any

import numpy as np

from hmmrnn.dynamics import Survey
from hmmrnn.dynamics.fixed_points.find import SAME, FixedPoints
from hmmrnn.dynamics.kramers_moyal import Wells
from hmmrnn.dynamics.regimes import ORBIT, SIGNIFICANT, STILL, Evidence, Reason, Regime
from hmmrnn.intervals import Estimate
from hmmrnn.storage import plain

NOTABLE_SHARE = 0.01
"""Share of the flow that must turn before the sentence mentions it."""
N_TOLD = 4
"""Fixed points that are told of, those that most starts end at."""
NUMBERS = {2: "two", 3: "three", 4: "four", 5: "five"}

NOTHING: dict[Reason, str] = {
    "no finite step": "There is nothing to judge: no finite step with these symbols was recorded.",
    "never switches": "It never switches: one symbol is preferred throughout, so nothing is "
    "judged.",
    "no rotation": "Its rotation is not defined, so nothing is judged.",
}


def with_sentences(found: Survey) -> dict[str, Any]:
    """What dynamics.json holds: all numbers, with a sentence for each regime and the points."""
    fields, whole = plain(found), found.in_plane
    fields["regime"]["sentence"] = regime_sentence(whole.regime)
    for pair, regime in zip(fields["pairs"], whole.regimes, strict=True):
        pair["sentence"] = regime_sentence(regime)
    fields["fixed_points"]["summary"] = fixed_point_summary(found.fixed)
    return fields


def regime_sentence(regime: Regime) -> str:
    """The verdict with its numbers, or why there is none."""
    found, reason = regime.evidence, regime.reason
    if reason in NOTHING:
        return NOTHING[reason]
    turns = _turns(found.rotation)
    if regime.kind == "orbit":
        p = _p(found.rotation_p)
        return f"It orbits: it turns {turns}, unlike time-reversed surrogates{p}."
    if regime.kind == "double well":
        return (
            f"It hops between {_number(found.density_wells.n)} wells without orbiting: it turns "
            f"{turns}, and the state is {np.exp(found.density_wells.barrier.value):.1f} times "
            "rarer on the barrier than in the shallower well beside it"
            f"{_origin(found.drift_wells)}{_remainder(found)}."
        )
    if reason == "between":
        return (
            f"It turns {turns}, between back and forth (at most {STILL}) and an orbit (at least "
            f"{ORBIT}), with {_seen(found.density_wells)} along the readout difference."
        )
    if reason == "uncertain":
        return (
            f"It turns {turns}, but that is too uncertain for an orbit: the interval must lie "
            f"above {STILL}."
        )
    if reason == "no surrogates":
        return f"It turns {turns}, but that was not compared with its time-reversed surrogates."
    if reason == "like surrogates":
        return (
            f"It turns {turns}, but that is no more than in its time-reversed surrogates"
            f"{_p(found.rotation_p)}."
        )
    return (
        f"It neither orbits nor hops: it turns {turns}, and {_why_no_wells(reason, found)}"
        f"{_remainder(found)}."
    )


def fixed_point_summary(found: FixedPoints) -> str:
    """What the search for fixed points found, in a few sentences with their counts."""
    n_fixed, n_stable = int(np.sum(found.fixed)), int(np.sum(found.stable))
    n_other = found.n_starts - found.n_fixed - found.n_slow
    sentences = [
        f"Descent on the speed from {found.n_starts} states led {found.n_fixed} to fixed points, "
        f"{found.n_slow} to slow points and {n_other} to neither.",
        f"Without noise {found.n_settled} of the {found.n_starts} states come to rest.",
        f"Distinct points: {n_fixed} fixed, {n_stable} of them stable, and "
        f"{len(found.fixed) - n_fixed} slow.",
    ]
    if found.n_points > len(found.fixed):
        sentences[-1] = (
            f"There are {found.n_points} distinct points; those that most states led to: "
            f"{n_fixed} fixed, {n_stable} of them stable, and {len(found.fixed) - n_fixed} slow."
        )
    largest = np.argsort(-found.n_attracted, kind="stable")[:N_TOLD]
    return " ".join(sentences + [_told(found, int(i)) for i in largest if found.n_attracted[i] > 0])


def _told(found: FixedPoints, i: int) -> str:
    norm, share = found.from_origin[i], found.attracted[i]
    name = "the origin" if norm < SAME else f"a fixed point {norm:.2g} mean norms from the origin"
    return (
        f"{found.n_attracted[i]} of {found.n_starts} end at {name} "
        f"(95 % interval of the share {share.low:.3f} to {share.high:.3f})."
    )


def _why_no_wells(reason: Reason, found: Evidence) -> str:
    along = "along the readout difference"
    if reason == "too few steps":
        return f"too few steps show whether there are wells {along}"
    if reason == "wells on one side":
        return f"the wells {along} are all on the side of one symbol"
    if reason == "peaks without drift":
        return (
            f"the density {along} has {_number(found.density_wells.n)} peaks, but drift and "
            "diffusion do not make wells of them"
        )
    if reason == "drift without peaks":
        return (
            f"drift and diffusion {along} suggest {_number(found.drift_wells.n)} wells, but no "
            "second peak of the density stands out"
        )
    return (
        f"there is one broad well {along}, whose noise carries the state across the boundary "
        "between the symbols"
    )


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
