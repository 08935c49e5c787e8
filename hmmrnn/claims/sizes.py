"""Rules for the claim about sizes (C14), which compares networks that differ in one option.

All compare the mean log10 of the KL of 6-grams of two sets of networks of one preset and loss that
are alike in all else, with a bootstrap over networks of both.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from hmmrnn.claims.evidence import Evidence, number
from hmmrnn.claims.rule import N_DRAWS, Row, Verdict
from hmmrnn.intervals import LEVEL, Estimate

FACTOR = 1.5
"""In the KL; less is hardly a difference."""

ENOUGH = 3
"""Networks on each side."""

UNITS, NOISE, CLIP = 150, 100, (0.3, 0.9)
Side = Callable[[Evidence], bool]


class Comparison(NamedTuple):
    """A claim that one set of networks fits worse than another by a factor, or does not."""

    name: str
    statement: str
    rule_text: str
    worse: Side
    better: Side
    factor: float  # that decides
    differs: bool  # claimed: a larger factor (True) or a smaller one

    statistic: str = "ratio of the KL of 6-grams"


def _plain(network: Evidence, *varied: str) -> bool:
    """Whether all sizes but the varied ones are the zoo's."""
    net, clip = network.config.net, network.config.train.clip_norm
    alike = {
        "units": net.hidden_size == UNITS,
        "noise": net.noise_dim == NOISE,
        "clip": CLIP[0] <= clip <= CLIP[1],
    }
    return all(same for name, same in alike.items() if name not in varied)


COMPARISONS = (
    Comparison(
        "C14a",
        "At least 100 noise dimensions help.",
        "The KL of networks with fewer than 100 noise dimensions is larger than with 100 or more: "
        "the ratio of geometric means is above 1 with its interval.",
        lambda e: _plain(e, "noise") and e.config.net.noise_dim < NOISE,
        lambda e: _plain(e, "noise") and e.config.net.noise_dim >= NOISE,
        1.0,
        True,
    ),
    Comparison(
        "C14b",
        "More than 150 units hardly help.",
        "The KL of networks with 150 units is less than 1.5 times that of larger ones: so is the "
        "interval of the ratio of geometric means.",
        lambda e: _plain(e, "units") and e.config.net.hidden_size == UNITS,
        lambda e: _plain(e, "units") and e.config.net.hidden_size > UNITS,
        FACTOR,
        False,
    ),
    Comparison(
        "C14c",
        "Clipping the gradient at 0.3 to 0.9 is needed.",
        "The KL of networks clipped above 0.9 or below 0.3 is at least 1.5 times that of the "
        "others: so is the interval of the ratio of geometric means.",
        lambda e: _plain(e, "clip") and not CLIP[0] <= e.config.train.clip_norm <= CLIP[1],
        lambda e: _plain(e, "clip") and CLIP[0] <= e.config.train.clip_norm <= CLIP[1],
        FACTOR,
        True,
    ),
)


def compare_sizes(claim: Comparison, networks: Sequence[Evidence], preset: str, loss: str) -> Row:
    """The verdict over networks of one preset and loss, of whatever sizes."""
    worse, better = (
        np.array([kl for e in networks if side(e) and np.isfinite(kl := _log_kl(e))])
        for side in (claim.worse, claim.better)
    )
    n = len(worse) + len(better)
    ratio = Estimate(np.nan, np.nan, np.nan)
    verdict: Verdict = "undecided"
    sentence = f"{len(worse)} networks against {len(better)}"
    if min(len(worse), len(better)) >= ENOUGH:
        ratio = _ratio(worse, better)
        verdict = _verdict(claim, ratio)
        sentence += f": the KL is {ratio.value:.2f} times that of the others"
    else:
        sentence += f"; each side needs {ENOUGH}"
    nothing = Estimate(np.nan, np.nan, np.nan)
    return Row(claim.name, preset, loss, verdict, ratio, n, n, 0, nothing, sentence)


def _log_kl(network: Evidence) -> float:
    if not network.fidelity:
        return np.nan
    order = max(network.fidelity["kl"], key=int)
    return float(np.log10(max(number(network.fidelity, "kl", order, "network").value, 1e-9)))


def _ratio(worse: np.ndarray, better: np.ndarray) -> Estimate:
    rng = np.random.default_rng(0)
    draws = [rng.choice(side, (N_DRAWS, len(side))).mean(axis=1) for side in (worse, better)]
    low, high = np.quantile(draws[0] - draws[1], [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    value = worse.mean() - better.mean()
    return Estimate(*(float(10**x) for x in (value, low, high)))


def _verdict(claim: Comparison, ratio: Estimate) -> Verdict:
    if ratio.low <= claim.factor <= ratio.high:
        return "undecided"
    return "supported" if (ratio.low > claim.factor) == claim.differs else "not supported"
