"""Rules for the claims about the circuit that makes a network switch (C7 to C9, C12, C13)."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from hmmrnn.claims.evidence import Evidence, number
from hmmrnn.claims.rule import Finding
from hmmrnn.intervals import decide

FEW = 0.2
"""Share of all units that are still few kick neurons; the paper's have 10 to 20 of 150."""

TOO_FEW = "too few changes between any two symbols"
BY_DEFINITION = "populations are defined by these weights"


def kick_neurons(network: Evidence) -> Finding:
    """In every ordered pair of symbols that changes often there are units whose pre-activation is
    negative in clusters, near zero in kick-zones and positive in transitions, more than with
    shuffled times, that push the readout by a fifth of its swing or more; and they are at most a
    fifth of all units. The value is the mean number of them.
    """
    rows = _rows(network)
    if isinstance(rows, Finding):
        return rows
    found = [row["criteria"]["found"] for row in rows]
    counts = [row["n_kick"] for row in rows]
    mean = float(np.mean(counts))
    if None in found and False not in found:
        return Finding(mean, None, reason="too few changes or states in some zones")
    few = max(counts) <= FEW * network.config.net.hidden_size
    return Finding(mean, all(found) and few)


def exclusive_populations(network: Evidence) -> Finding:
    """For all opposite changes that have populations, weights within each population are above and
    weights between the two below what 95 % of shuffles (rows and columns keep their sums) have. The
    value is the mean z-score of weights within minus that of weights between.
    """
    if not network.circuits:
        return Finding(np.nan, None, reason=network.why_not("circuits"))
    contrasts, holds = [], []
    for within, between in _opposite_blocks(network.circuits["blocks"]):
        contrasts += [np.mean([b["z"] for b in within]) - np.mean([b["z"] for b in between])]
        holds += [
            all(b["mean"] > b["high"] for b in within)
            and all(b["mean"] < b["low"] for b in between)
        ]
    if not contrasts:
        return Finding(np.nan, None, reason="no pair of populations was found")
    return Finding(float(np.mean(contrasts)), all(holds))


def kicking_populations(network: Evidence) -> Finding:
    """That each population excites its kick neurons and inhibits those of the change back is its
    definition. The value is what is not: the rank correlation, over units, of that weight with the
    effect of the unit's noise on the change.
    """
    if not network.circuits:
        return Finding(np.nan, None, reason=network.why_not("circuits"))
    known = [row["agreement"]["value"] for row in network.circuits["rows"] if row["n_population"]]
    known = [value for value in known if value is not None]
    if not known:
        return Finding(np.nan, None, reason="no population was found")
    return Finding(float(np.mean(known)), True, by_construction=True, reason=BY_DEFINITION)


def noise_counts(network: Evidence) -> Finding:
    """The rank correlation, over units, of a unit's weight onto the kick neurons with the effect of
    its noise on the change is above 0 with its interval, for every population; where one is below 0
    by as much it does not hold, else it is undecided. The value is the mean correlation.
    """
    if not network.circuits:
        return Finding(np.nan, None, reason=network.why_not("circuits"))
    rows = network.circuits["rows"]
    known = [number(row, "agreement") for row in rows if row["n_population"]]
    known = [found for found in known if np.isfinite(found.low)]
    if not known:
        return Finding(np.nan, None, reason="no population was found")
    mean, decided = np.mean([found.value for found in known]), {decide(e, 0) for e in known}
    if "no" in decided:
        return Finding(float(mean), False)
    return Finding(float(mean), True if decided == {"yes"} else None)


def silence_stops(network: Evidence) -> Finding:
    """With kick neurons silent, and with no noise into their population, the rate of their change
    is below half of the baseline's (95 % intervals, paired by noise); in both, matched controls of
    equal size leave at least three quarters of it in the mean, and less is taken away by them. So
    in every ordered pair that has kick neurons. The value is the mean ratio with kick neurons
    silent.
    """
    rows = _rows(network)
    if isinstance(rows, Finding):
        return rows
    with_kick = [row for row in rows if row["n_kick"]]
    if not with_kick:
        return Finding(np.nan, None, reason="no kick neurons to silence")
    ratios = [row["kick"]["own"]["value"] for row in with_kick]
    known = [ratio for ratio in ratios if ratio is not None]
    mean = float(np.mean(known)) if known else np.nan
    parts = [row["criteria"][part] for row in with_kick for part in ("kick", "noise", "controls")]
    if False in parts:
        return Finding(mean, False)
    unknown = "too few changes, or no controls, in some pairs"
    return Finding(mean, None, reason=unknown) if None in parts else Finding(mean, True)


def scaling_all_noise(network: Evidence) -> Finding:
    """Without biases, scaling the noise into all units scales all states and changes no preferred
    symbol. Else the rate of changes must stay within 10 % between half and twice the noise.
    """
    response = network.circuits.get("noise_into_all_units")
    if not response:
        return Finding(np.nan, None, reason=network.why_not("circuits"))
    ratios = np.array(response["outcome"]["per_step_ratio"]["value"], float)
    gains = np.array(response["gains"])
    inside = ratios[(gains >= 0.5) & (gains <= 2)]
    worst = float(np.max(np.abs(inside - 1)))
    if response["identity"]:
        return Finding(worst, True, by_construction=True, reason="relu without biases")
    if np.isnan(worst):
        return Finding(worst, None, reason="no changes at some noise level")
    return Finding(worst, worst < 0.1)


def resonates(network: Evidence) -> Finding:
    """In more than half of the ordered pairs with a population, stays are most regular at a gain of
    the noise into the population that is neither the smallest nor the largest: the dip in their CV,
    chosen on half of the runs and measured on the other, is above 0 with its interval. The value is
    the mean dip.
    """
    dips = [
        tested["resonance"]["dip"]
        for tested in network.circuits.get("pair_tests", [])
        if tested["resonance"]["n_units"] and not tested["resonance"]["identity"]
    ]
    known = [dip for dip in dips if dip["value"] is not None and dip["low"] is not None]
    if not known:
        reason = "no population to drive" if network.circuits else network.why_not("circuits")
        return Finding(np.nan, None, reason=reason)
    holding = np.mean([dip["low"] > 0 for dip in known])
    return Finding(float(np.mean([dip["value"] for dip in known])), bool(holding > 0.5))


def same_motif(network: Evidence) -> Finding:
    """Kick neurons, their populations and what silencing does are as in the paper for each ordered
    pair of symbols that changes often: the verdict on its account is `holds`, by the rule of
    `hmmrnn circuits`. The value is the share of pairs in which it holds.
    """
    rows = _rows(network)
    if isinstance(rows, Finding):
        return rows
    share = float(np.mean([row["holds"] is True for row in rows]))
    if network.circuits["verdict"] == "undecided":
        return Finding(share, None, reason="the verdict on its account is undecided")
    return Finding(share, network.circuits["verdict"] == "holds")


def _rows(network: Evidence) -> list[dict[str, Any]] | Finding:
    if not network.circuits:
        return Finding(np.nan, None, reason=network.why_not("circuits"))
    return network.circuits["rows"] or Finding(np.nan, None, reason=TOO_FEW)


Block = dict[str, float]


def _opposite_blocks(blocks: dict[str, Any]) -> Iterator[tuple[list[Block], list[Block]]]:
    """Weights within and between the populations of s>t and t>s, where both exist."""
    names = blocks["names"]
    parts = {"mean": "mean", "low": "null_low", "high": "null_high", "z": "z"}
    tables = {short: np.array(blocks[long], float) for short, long in parts.items()}

    def block(to: str, sender: str) -> Block:
        place = names.index(to), names.index(sender)
        return {short: float(table[place]) for short, table in tables.items()}

    for name in names:
        kind, _, change = name.rpartition(" ")
        s, _, t = change.partition(">")
        other = f"{kind} {t}>{s}"
        if kind != "population" or not s < t or other not in names:
            continue
        within = [block(name, name), block(other, other)]
        between = [block(name, other), block(other, name)]
        if all(np.isfinite(b["z"]) for b in (*within, *between)):
            yield within, between
