"""Records made by hand, for tests of what reads them."""

import numpy as np

from hmmrnn.circuits.dose_responses import Contrast, DoseResponse
from hmmrnn.circuits.kick_neurons import KickNeurons, Levels
from hmmrnn.circuits.outcomes import Outcomes
from hmmrnn.intervals import UNKNOWN, Estimate

K = 2


def table(value, width=0.05, shape=(1, K, K)):
    """The same estimate everywhere."""
    full = np.full(shape, float(value))
    return Estimate(full, full - width, full + width)


def outcome(own, back, pair=(0, 1), width=0.05):
    """Outcomes at one dose: ratios of rates in free runs and from cluster states."""
    ratio, hazard = table(np.nan), table(np.nan)
    for known, change, value in ((ratio, pair, own), (hazard, pair[::-1], back)):
        for part, shift in zip(known.parts, (0, -width, width), strict=True):
            part[0, *change] = value + shift
    blank = {name: table(np.nan) for name in Outcomes._fields}
    counts = {"n_valid": np.array([4]), "n_valid_starts": np.full((1, K), 4)}
    return Outcomes(**(blank | counts | {"ratio": ratio, "rate": ratio, "hazard_ratio": hazard}))


def response(kind, own=0.1, back=1.0, control=1.0, specific=0.9, pair=(0, 1)):
    """A dose response at dose 0."""
    known, selective = (table(x, shape=(1,)) for x in (specific, back - own))
    return DoseResponse(
        kind=kind,
        pair=pair,
        doses=np.array([0.0]),
        outcome=outcome(own, back, pair),
        selectivity=Contrast(table(np.nan, shape=(1,)), selective),
        control_doses=np.array([0.0]),
        n_controls=20,
        control=outcome(control, 1.0, pair),
        specificity=Contrast(known, known),
    )


def kick_neurons(n_kick=3, pair=(0, 1), n_units=10, enough=True):
    """A finding of `n_kick` kick neurons, the first units."""
    kick = np.arange(n_units) < n_kick
    level = np.zeros(n_units)
    return KickNeurons(
        pair=pair,
        n_events=100,
        levels=Levels(level, level, level, level),
        score=level,
        p_value=level,
        push=level,
        push_low=level,
        kick_like=kick,
        kick=kick,
        group_push=Estimate(0.5, 0.4, 0.6) if n_kick else UNKNOWN,
        enough=enough,
        problem="" if n_kick else "nothing found",
    )
