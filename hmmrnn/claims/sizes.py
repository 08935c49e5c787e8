"""Rules for the claim about sizes (C14), which compares networks that differ in one option.

All compare the mean log10 of the KL of 6-grams of two sets of networks of one preset and loss that
are alike in all else, with the interval of Welch's t test. A set that never learned its HMM may be
the worse one; where neither side learned it, nothing is compared.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from scipy import stats

from hmmrnn.claims.evidence import Evidence, number, recipe
from hmmrnn.claims.rule import Row, Verdict
from hmmrnn.intervals import LEVEL, UNKNOWN, Estimate, decide
from hmmrnn.results import result

FACTOR = 1.5
"""In the KL; less is hardly a difference."""

ENOUGH = 3
"""Networks on each side."""

UNITS, NOISE, CLIP = 150, 100, (0.3, 0.9)

Side = Callable[[float], bool]


@result
class Comparison(NamedTuple):
    """A claim that networks with some values of an option fit worse than those with others."""

    name: str
    statement: str
    rule_text: str
    option: str  # dotted
    worse: Side
    better: Side
    differs: bool  # claimed: a KL that is larger by `FACTOR` (True), or one that is not

    statistic: str = "ratio of the KL of 6-grams"

    def value(self, network: Evidence) -> float:
        """The network's value of the option."""
        section, _, option = self.option.partition(".")
        return float(getattr(getattr(network.config, section), option))


COMPARISONS = (
    Comparison(
        "C14a",
        "At least 100 noise dimensions help.",
        "The KL of networks with fewer than 100 noise dimensions is at least 1.5 times that of "
        "networks with 100 or more, alike in all else: so is the interval of the ratio of "
        "geometric means, of at least three networks on each side.",
        "net.noise_dim",
        lambda n: n < NOISE,
        lambda n: n >= NOISE,
        differs=True,
    ),
    Comparison(
        "C14b",
        "More than 150 units hardly help.",
        "The KL of networks with 150 units is less than 1.5 times that of larger ones, alike in "
        "all else: so is the interval of the ratio of geometric means, of at least three networks "
        "on each side.",
        "net.hidden_size",
        lambda n: n == UNITS,
        lambda n: n > UNITS,
        differs=False,
    ),
    Comparison(
        "C14c",
        "Clipping the gradient at 0.3 to 0.9 is needed.",
        "The KL of networks clipped above 0.9 or below 0.3 is at least 1.5 times that of the "
        "others, alike in all else: so is the interval of the ratio of geometric means, of at "
        "least three networks on each side.",
        "train.clip_norm",
        lambda norm: not CLIP[0] <= norm <= CLIP[1],
        lambda norm: CLIP[0] <= norm <= CLIP[1],
        differs=True,
    ),
)


def like_the_papers(network: Evidence) -> bool:
    """Whether a network has the paper's number of noise dimensions or more, units and clipping."""
    net, clip = network.config.net, network.config.train.clip_norm
    return net.hidden_size >= UNITS and net.noise_dim >= NOISE and CLIP[0] <= clip <= CLIP[1]


@result
class Sides(NamedTuple):
    """Networks of one recipe on both sides of a comparison."""

    worse: list[Evidence]
    better: list[Evidence]

    @property
    def enough(self) -> bool:
        """Whether there is something to compare."""
        return min(map(len, self)) >= ENOUGH and any(map(_mostly_learned, self))


def compare_sizes(claim: Comparison, networks: Sequence[Evidence], preset: str, loss: str) -> Row:
    """The verdict over networks of one preset and loss, of whatever sizes and recipes.

    Only networks of one recipe are compared; of several recipes, those of which there are most.
    """
    sides = max(_by_recipe(claim, networks), key=lambda s: (s.enough, min(map(len, s))))
    n = sum(map(len, sides))
    ratio = _ratio(*sides) if sides.enough else UNKNOWN
    return Row(
        claim=claim.name,
        preset=preset,
        loss=loss,
        verdict=_verdict(claim, ratio),
        value=ratio,
        n_networks=n,
        n_judged=n if sides.enough else 0,
        n_holding=0,
        share=UNKNOWN,
        sentence=_sentence(claim, sides, ratio),
    )


def _by_recipe(claim: Comparison, networks: Sequence[Evidence]) -> list[Sides]:
    """The two sides within each recipe; at least one pair of them."""
    recipes: dict[tuple[str, float], list[Evidence]] = {}
    for network in networks:
        if np.isfinite(_log_kl(network)):
            common = recipe(network.config, claim.option), network.noise_std
            recipes.setdefault(common, []).append(network)
    return [
        Sides(*([n for n in alike if side(claim.value(n))] for side in (claim.worse, claim.better)))
        for alike in (*recipes.values(), [])
    ]


def _mostly_learned(networks: Sequence[Evidence]) -> bool:
    return sum(network.learned is True for network in networks) > len(networks) / 2


def _log_kl(network: Evidence) -> float:
    if not network.fidelity:
        return np.nan
    order = max(network.fidelity["kl"], key=int)
    return float(np.log10(max(number(network.fidelity, "kl", order, "network").value, 1e-9)))


def _ratio(worse: Sequence[Evidence], better: Sequence[Evidence]) -> Estimate:
    ours, theirs = ([_log_kl(network) for network in side] for side in (worse, better))
    bounds = stats.ttest_ind(ours, theirs, equal_var=False).confidence_interval(LEVEL)
    value = np.mean(ours) - np.mean(theirs)
    return Estimate(*(float(10**x) for x in (value, bounds.low, bounds.high)))


def _verdict(claim: Comparison, ratio: Estimate) -> Verdict:
    larger = decide(ratio, FACTOR)
    if larger == "undecided":
        return "undecided"
    return "supported" if (larger == "yes") == claim.differs else "not supported"


def _each(claim: Comparison, sides: Sides) -> str:
    """The ratio of each value on the worse side, where there are several."""
    values = sorted({claim.value(network) for network in sides.worse})
    if len(values) == 1:
        return ""
    usual = np.mean([_log_kl(network) for network in sides.better])
    parts = []
    for value in values:
        own = [_log_kl(network) for network in sides.worse if claim.value(network) == value]
        parts.append(f"{10 ** (np.mean(own) - usual):.2f} with {value:g}")
    return f" ({', '.join(parts)})"


def _sentence(claim: Comparison, sides: Sides, ratio: Estimate) -> str:
    option = claim.option.partition(".")[2]

    def said(side: Sequence[Evidence]) -> str:
        values = ", ".join(f"{value:g}" for value in sorted({claim.value(n) for n in side}))
        learned = sum(network.learned is True for network in side)
        return f"{len(side)} networks with {option} {values} ({learned} learned the HMM)"

    if not all(sides):
        return "no networks to compare"
    of = sides.better[0].config
    told = (
        f"{said(sides.worse)} against {said(sides.better)}, batch {of.train.batch_size}, "
        f"{of.data.n_steps} steps"
    )
    if np.isfinite(ratio.value):
        return f"{told}: the KL is {ratio.value:.2f} times that of the others{_each(claim, sides)}"
    if min(map(len, sides)) < ENOUGH:
        return f"{told}; each side needs {ENOUGH}"
    return f"{told}; neither side learned the HMM"
