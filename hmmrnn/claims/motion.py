"""Rules for the claims about fidelity and motion (C1 to C6, C10, C11)."""

from itertools import combinations

import numpy as np

from hmmrnn.claims.evidence import Evidence, number
from hmmrnn.claims.rule import Finding
from hmmrnn.dynamics.regimes import SIGNIFICANT
from hmmrnn.intervals import Estimate, decide

FAITHFUL_KL = 0.01
"""Nats of a 6-gram: it takes 300 independent ones to tell with odds of 20 to 1."""

FAITHFUL_CHANGE = 0.1
"""Relative error of the volatility."""

RARE = 0.01
"""Share of states below which a zone does not count as found."""

ENOUGH_SNAPSHOTS = 10
"""Of a training, to tell when something rose: of 10 a clean rise gives p < 0.05 but at the ends."""

HOMOGENEOUS = "relu without biases: h is homogeneous in the noise"


def replicated(network: Evidence) -> Finding:
    """The KL of 6-grams (or the longest measured) is below 0.01 nats, and the volatility is less
    than 10 % off the HMM's.
    """
    if not network.fidelity:
        return Finding(np.nan, None, reason=network.why_not("fidelity"))
    order = max(network.fidelity["kl"], key=int)
    kl = number(network.fidelity, "kl", order, "network").value
    volatility = number(network.fidelity, "volatility", "network").value
    exact = network.fidelity["volatility"]["exact"]
    off = abs(volatility - exact)
    return Finding(kl, bool(kl < FAITHFUL_KL and off < FAITHFUL_CHANGE * exact))


def attracting_point(network: Evidence) -> Finding:
    """Without noise, at least 99 % of 1000 starts end at one and the same stable fixed point. (That
    the origin is a fixed point is so by construction without biases; that it attracts is not.)
    """
    points = network.dynamics.get("fixed_points")
    if not points:
        return Finding(np.nan, None, reason=network.why_not("dynamics"))
    attracted = [share["value"] or 0.0 for share in points["attracted"]]
    if not attracted:
        return Finding(0.0, False)
    best = int(np.argmax(attracted))
    stable = bool(points["fixed"][best] and points["stable"][best])
    return Finding(attracted[best], stable and attracted[best] >= 0.99)


def orbits(network: Evidence) -> Finding:
    """The state turns at least 0.75 times per pair of changes, with an interval above 0.25 and
    p < 0.05 against time-reversed surrogates, in pairs of symbols that make more than half of the
    changes of all pairs looked at (six at most). A network that uses two symbols is one pair, and
    must turn more than phase-shuffled surrogates as well (p < 0.05; for one of several pairs there
    are none).
    """
    turning = turns(network)
    if not np.isfinite(turning):
        reason = "no changes" if network.dynamics else network.why_not("dynamics")
        return Finding(np.nan, None, reason=reason)
    pairs = network.dynamics.get("pairs") or []
    if pairs:
        changes = np.array([pair["n_forth"] + pair["n_back"] for pair in pairs])
        orbiting = np.array([pair["kind"] == "orbit" for pair in pairs])
        return Finding(turning, bool(changes @ orbiting > changes.sum() / 2))
    shuffled = network.dynamics["surrogates"]["phase_shuffled"]["p_value"]
    kind = network.dynamics["regime"]["kind"]
    return Finding(turning, bool(kind == "orbit" and (shuffled or 1.0) < SIGNIFICANT))


def turns(network: Evidence) -> float:
    """Net turns per pair of changes; of several pairs of symbols the mean, weighted by changes.

    It is near 1 where a network orbits and near 0 where it goes back and forth.
    """
    pairs = network.dynamics.get("pairs") or []
    if not pairs:
        return number(network.dynamics, "rotation").value
    known = [(p["n_forth"] + p["n_back"], number(p, "rotation").value) for p in pairs]
    changes, values = np.array([k for k in known if np.isfinite(k[1])]).reshape(-1, 2).T
    return float(changes @ values / changes.sum()) if changes.sum() else np.nan


def linear_radius(network: Evidence) -> Finding:
    """The radius at five noise levels follows a line with r^2 > 0.95 and a positive slope."""
    levels = network.dynamics.get("noise_levels")
    if not levels:
        return Finding(np.nan, None, reason=network.why_not("dynamics"))
    explained = levels["r_squared"]["value"]
    if levels["by_construction"]:
        return Finding(_or_nan(explained), True, by_construction=True, reason=HOMOGENEOUS)
    if explained is None:
        return Finding(np.nan, None, reason="the radius is not finite at every noise level")
    return Finding(explained, explained > 0.95 and levels["slope"]["low"] > 0)


def zones_found(network: Evidence) -> Finding:
    """Clusters hold more than half of the states, and kick-zones and transitions, by the residency
    times of the paper, at least 1 % each, with intervals above 0. (That clusters are slow and
    transitions fast is how they are defined, and no finding.)
    """
    if "zones" not in network.dynamics:
        return Finding(np.nan, None, reason=network.why_not("dynamics"))
    cluster, kick, fast = (
        number(network.dynamics, "zones", zone, "share")
        for zone in ("cluster", "kick-zone", "transition")
    )
    rare = min(kick.value, fast.value)
    found = rare >= RARE and kick.low > 0 and fast.low > 0
    return Finding(rare, bool(cluster.value > 0.5 and found))


def phase_explains(network: Evidence) -> Finding:
    """The phase in the plane of two components explains more than half of the variance of the
    symbol probabilities, with its interval.
    """
    found = number(network.dynamics, "emission_by_phase", "explained")
    if not np.isfinite(found.low):
        reason = "it has no phase" if network.dynamics else network.why_not("dynamics")
        return Finding(found.value, None, reason=reason)
    return Finding(found.value, {"yes": True, "no": False}.get(decide(found, 0.5)))


def axes_in_plane(network: Evidence) -> Finding:
    """The plane of two components holds more than half of the squared length of the readout axis:
    the difference of the readout weights of the two symbols that are preferred most often.
    """
    shares = (network.dynamics.get("readout") or {}).get("share_in_plane")
    if not shares:
        return Finding(np.nan, None, reason=network.why_not("dynamics"))
    pairs = list(combinations(range(network.config.target.n_symbols), 2))
    first, second = sorted(network.dynamics["regime"]["symbols"])
    share = shares[pairs.index((first, second))]
    if share is None:
        return Finding(np.nan, None, reason="the readout does not tell its symbols apart")
    return Finding(share, share > 0.5)


def sensitive_kick_zones(network: Evidence) -> Finding:
    """States that start in kick-zones spread more under noise than those that start in transitions:
    the ratio of the traces of their covariances after six steps, all noise fresh, is above 1 by
    more than its interval (from independent samples, in logarithms). Below 1 by as much it does not
    hold, else it is undecided.
    """
    kick, fast = (
        number(network.dynamics, "noise_sensitivity", zone, "covariance_trace_1")
        for zone in ("kick-zone", "transition")
    )
    if not (kick.value > 0 and fast.value > 0):
        few = "too few states of one of the zones"
        reason = few if network.dynamics else network.why_not("dynamics")
        return Finding(np.nan, None, reason=reason)
    distance = np.log(kick.value / fast.value)
    spread = np.hypot(_log_half_width(kick), _log_half_width(fast))
    decided = abs(distance) > spread
    return Finding(float(np.exp(distance)), bool(distance > 0) if decided else None)


def _log_half_width(found: Estimate) -> float:
    low, high = max(found.low, found.value * 1e-3), found.high
    return float(np.log(high / low) / 2)


def appears_with_descent(network: Evidence) -> Finding:
    """The loss descends a second time; the share of complex pairs near the unit circle rises at a
    change point (p < 0.05); the two lie within a tenth of the training of each other, or within the
    interval of the change point; and the mean shift is larger after the descent began than before.
    With fewer than ten snapshots a rise cannot be told, and it is not judged.
    """
    course = network.dynamics.get("development")
    if not course:
        reason = "no snapshots" if network.dynamics else network.why_not("dynamics")
        return Finding(np.nan, None, reason=reason)
    jump, onset = course["bifurcation"], course["descent"]["onset"]
    if jump["n_valid"] < ENOUGH_SNAPSHOTS:
        reason = f"fewer than {ENOUGH_SNAPSHOTS} snapshots of its training"
        return Finding(np.nan, None, reason=reason)
    rises = jump["epoch"] is not None and jump["p_value"] is not None
    if onset is None or not rises or jump["p_value"] >= SIGNIFICANT:
        return Finding(np.nan, False)
    apart = abs(jump["epoch"] - onset)
    inside = None not in (jump["low"], jump["high"]) and jump["low"] <= onset <= jump["high"]
    together = inside or apart <= network.config.train.epochs / 10
    epochs = np.array(course["epochs"])
    shifts = np.array([_or_nan(shift) for shift in course["median_mean_shift"]])
    known = np.isfinite(shifts)
    later, earlier = (shifts[known & side] for side in (epochs >= onset, epochs < onset))
    larger = bool(len(later) and len(earlier) and np.median(later) > np.median(earlier))
    return Finding(float(apart), bool(together and larger))


def _or_nan(value: float | None) -> float:
    return np.nan if value is None else float(value)
