"""How a claim is judged: network by network by a rule fixed beforehand, then by how many hold.

A rule looks at one network and finds that the claim holds in it, that it does not, or that its
numbers do not decide. Over networks the share in which it holds gets a Wilson interval. The claim
is supported if that lies above one half, not supported if it lies below, else undecided: five
networks decide only if all five agree. Networks that cannot be judged are counted and left out.
"""

import statistics
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from scipy.stats import binomtest

from hmmrnn.claims.evidence import Evidence
from hmmrnn.intervals import LEVEL, UNKNOWN, Estimate, decide
from hmmrnn.results import result
from hmmrnn.storage import known_form

MAJORITY = 0.5
N_DRAWS = 2000

Verdict = Literal["supported", "not supported", "true by construction", "undecided"]
WORDS: dict[str, Verdict] = {"yes": "supported", "no": "not supported", "undecided": "undecided"}


@result
class Finding(NamedTuple):
    """What a rule finds in one network."""

    value: float  # of the claim's statistic; NaN where it is not defined
    holds: bool | None  # None: the numbers do not decide
    by_construction: bool = False  # it could not be otherwise
    reason: str = ""  # why it was not judged, or where it could not be otherwise


@result
class Claim(NamedTuple):
    """A statement, and the rule that judges it in one network. The rule's docstring says which."""

    name: str  # C1, ...
    statement: str
    statistic: str  # what `Finding.value` is, with its unit
    rule: Callable[[Evidence], Finding]
    of_learned_only: bool = True  # says nothing about a network that never learned its HMM

    def find(self, network: Evidence) -> Finding:
        """What the rule finds, if it can be asked."""
        if self.of_learned_only and network.learned is None:
            return Finding(np.nan, None, reason=network.why_not("fidelity"))
        if self.of_learned_only and not network.learned:
            return Finding(np.nan, None, reason="it never learned the HMM")
        return self.rule(network)

    @property
    def rule_text(self) -> str:
        """The rule in words."""
        return " ".join((self.rule.__doc__ or "").split())


@result
class Row(NamedTuple):
    """One line of the ledger: a claim over networks of one preset and loss, or over all presets."""

    claim: str
    preset: str  # or "all"
    loss: str
    verdict: Verdict
    value: Estimate  # mean of the statistic over networks, bootstrap over networks
    n_networks: int
    n_judged: int
    n_holding: int
    share: Estimate  # of the judged in which it holds, with Wilson's interval
    sentence: str


def _found(claim: Claim, network: Evidence) -> Finding:
    with known_form(Path(network.name)):
        return claim.find(network)


def judge(claim: Claim, networks: Sequence[Evidence], preset: str, loss: str) -> Row:
    """The verdict over some networks."""
    findings = [_found(claim, network) for network in networks]
    judged = [f for f in findings if f.holds is not None and not f.by_construction]
    n_true = sum(f.by_construction for f in findings)
    n_holding = sum(f.holds is True for f in judged)
    share = wilson(n_holding, len(judged))
    verdict = WORDS[decide(share, MAJORITY)]
    if n_true and not judged:
        verdict = "true by construction"
    return Row(
        claim=claim.name,
        preset=preset,
        loss=loss,
        verdict=verdict,
        value=mean_over_networks([f.value for f in findings]),
        n_networks=len(findings),
        n_judged=len(judged),
        n_holding=n_holding,
        share=share,
        sentence=_sentence(findings, len(judged), n_holding, n_true),
    )


def _sentence(findings: Sequence[Finding], n_judged: int, n_holding: int, n_true: int) -> str:
    parts = []
    if n_judged:
        parts.append(f"holds in {n_holding} of {n_judged} networks")
    if n_true:
        (reason, *_) = [f.reason for f in findings if f.by_construction]
        parts.append(f"true by construction in {n_true}" + (f": {reason}" if reason else ""))
    reasons = [f.reason or "its numbers do not decide" for f in findings if f.holds is None]
    parts += [f"{reasons.count(reason)} not judged: {reason}" for reason in dict.fromkeys(reasons)]
    return "; ".join(parts) or "no network"


def wilson(n_holding: int, n: int) -> Estimate:
    """A share with Wilson's 95 % interval; all NaN of nothing."""
    if not n:
        return UNKNOWN
    found = binomtest(n_holding, n).proportion_ci(LEVEL, "wilson")
    return Estimate(n_holding / n, float(found.low), float(found.high))


def mean_over_networks(values: Sequence[float]) -> Estimate:
    """Mean of the finite values with a percentile bootstrap interval over networks.

    One network alone has no interval. The draws are always the same ones.
    """
    finite = [value for value in values if np.isfinite(value)]
    if len(finite) < 2:
        return Estimate.of(np.array(finite)) if finite else UNKNOWN
    drawn = np.random.default_rng(0).choice(finite, (N_DRAWS, len(finite)))
    low, high = np.quantile(drawn.mean(axis=1), [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Estimate(statistics.fmean(finite), float(low), float(high))
