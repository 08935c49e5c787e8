"""The open hypothesis: the orbit is a product of the loss's bias.

The paper's loss subtracts self terms that are taken over the same batch as the cross term, so it is
biased in finite batches (docs/choosing_a_loss.md). If its bias makes the orbit, networks trained by
it orbit, and networks trained on the same HMM without the bias do not.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from hmmrnn.claims.evidence import Evidence, number
from hmmrnn.claims.motion import orbits, turns
from hmmrnn.claims.rule import MAJORITY, Finding, Row, Verdict, mean_over_networks, wilson
from hmmrnn.dynamics.manner import STILL
from hmmrnn.intervals import Estimate

BIASED = "reference"

STATEMENT = "The orbit is a product of the bias of the paper's loss."
STATISTIC = "turns per pair of changes, biased minus unbiased"
RULE = (
    "Of the networks that learned the HMM, those of the biased loss orbit (rule of C3) in a "
    "majority, and those of unbiased losses turn at most 0.25 times per pair of changes in a "
    "majority, each with Wilson's interval above one half: supported. One of the two intervals "
    "below one half: not supported. Else undecided. Over all presets together by the same rule."
)


class Turning(NamedTuple):
    """One network on the page of the hypothesis."""

    name: str
    preset: str
    loss: str
    batch_size: int
    seed: int
    learned: bool | None
    kl: float  # of 6-grams, nats
    dwell_cv: float  # of the symbol seen most
    hmm_dwell_cv: float
    turns: float  # net, per pair of changes


def turning(network: Evidence) -> Turning:
    """Fidelity, regularity and rotation of a network; NaN where not measured."""
    kl, cv, exact = np.nan, np.nan, np.nan
    if network.fidelity:
        order = max(network.fidelity["kl"], key=int)
        kl = number(network.fidelity, "kl", order, "network").value
        shares = [share["exact"] for share in network.fidelity["symbol_shares"]]
        dwell = network.fidelity["dwell"][int(np.argmax(shares))]["cv"]
        cv, exact = number(dwell, "network").value, float(dwell["exact"])
    return Turning(
        name=network.name,
        preset=network.preset,
        loss=network.loss,
        batch_size=network.config.train.batch_size,
        seed=network.seed,
        learned=network.learned,
        kl=kl,
        dwell_cv=cv,
        hmm_dwell_cv=exact,
        turns=turns(network) if network.dynamics else np.nan,
    )


def judge_hypothesis(networks: Sequence[Evidence], preset: str) -> Row:
    """The verdict over networks of biased and unbiased losses."""
    known = [n for n in networks if n.learned and n.dynamics]
    biased = [orbits(n) for n in known if n.loss == BIASED]
    others = [_still(n) for n in known if n.loss != BIASED]
    parts = [[f for f in side if f.holds is not None] for side in (biased, others)]
    counts = [(sum(f.holds is True for f in side), len(side)) for side in parts]
    shares = [wilson(*count) for count in counts]
    verdict: Verdict = "undecided"
    if all(share.low > MAJORITY for share in shares):
        verdict = "supported"
    elif any(share.high < MAJORITY for share in shares):
        verdict = "not supported"
    (orbiting, n_biased), (still, n_others) = counts
    return Row(
        claim="H",
        preset=preset,
        loss="all",
        verdict=verdict,
        value=_difference([f.value for f in parts[0]], [f.value for f in parts[1]]),
        n_networks=len(networks),
        n_judged=n_biased + n_others,
        n_holding=orbiting + still,
        share=wilson(orbiting + still, n_biased + n_others),
        sentence=f"of those that learned the HMM {orbiting} of {n_biased} of the biased loss orbit "
        f"and {still} of {n_others} of unbiased losses do not turn; "
        f"{len(networks) - len(known)} did not learn it or were not measured",
    )


def _still(network: Evidence) -> Finding:
    value = turns(network)
    return Finding(value, abs(value) <= STILL if np.isfinite(value) else None)


def _difference(biased: list[float], others: list[float]) -> Estimate:
    ours, theirs = mean_over_networks(biased), mean_over_networks(others)
    spread = float(np.hypot(ours.high - ours.low, theirs.high - theirs.low)) / 2
    value = ours.value - theirs.value
    return Estimate(value, value - spread, value + spread)
