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
from hmmrnn.storage import plain

FACTOR = 1.5
"""In the KL; less is hardly a difference."""

ENOUGH = 3
"""Networks on each side."""

UNITS, NOISE, CLIP = 150, 100, (0.3, 0.9)
RECORDED = ("chunk_epochs", "snapshot_every", "checkpoint_every", "keep_checkpoints")
"""Options that say what is kept of a training, and do not change its networks."""

Side = Callable[[float], bool]


class Comparison(NamedTuple):
    """A claim that networks with some values of an option fit worse than those with others."""

    name: str
    statement: str
    rule_text: str
    section: str
    option: str
    worse: Side
    better: Side
    factor: float  # that decides
    differs: bool  # claimed: a larger factor (True) or a smaller one

    statistic: str = "ratio of the KL of 6-grams"

    def value(self, network: Evidence) -> float:
        """The network's value of the option."""
        return float(getattr(getattr(network.config, self.section), self.option))

    def recipe(self, network: Evidence) -> str:
        """All that networks must have in common to be compared."""
        fields = network.config.to_dict()
        for option in (self.option, *RECORDED):
            fields[self.section if option == self.option else "train"].pop(option)
        return repr(plain({**fields, "noise_std": network.noise_std}))


COMPARISONS = (
    Comparison(
        "C14a",
        "At least 100 noise dimensions help.",
        "The KL of networks with fewer than 100 noise dimensions is larger than with 100 or more: "
        "the ratio of geometric means is above 1 with its interval.",
        "net",
        "noise_dim",
        lambda n: n < NOISE,
        lambda n: n >= NOISE,
        1.0,
        True,
    ),
    Comparison(
        "C14b",
        "More than 150 units hardly help.",
        "The KL of networks with 150 units is less than 1.5 times that of larger ones: so is the "
        "interval of the ratio of geometric means.",
        "net",
        "hidden_size",
        lambda n: n == UNITS,
        lambda n: n > UNITS,
        FACTOR,
        False,
    ),
    Comparison(
        "C14c",
        "Clipping the gradient at 0.3 to 0.9 is needed.",
        "The KL of networks clipped above 0.9 or below 0.3 is at least 1.5 times that of the "
        "others: so is the interval of the ratio of geometric means.",
        "train",
        "clip_norm",
        lambda norm: not CLIP[0] <= norm <= CLIP[1],
        lambda norm: CLIP[0] <= norm <= CLIP[1],
        FACTOR,
        True,
    ),
)


def compare_sizes(claim: Comparison, networks: Sequence[Evidence], preset: str, loss: str) -> Row:
    """The verdict over networks of one preset and loss, of whatever sizes and recipes.

    Only networks of one recipe are compared; of several, the one with most networks to compare.
    """
    worse, better = max(_sides(claim, networks), key=lambda sides: min(map(len, sides)))
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


def _sides(claim: Comparison, networks: Sequence[Evidence]) -> list[tuple[np.ndarray, np.ndarray]]:
    """log10 of the KL on both sides, for each recipe; at least one pair of them."""
    recipes: dict[str, list[Evidence]] = {}
    for network in networks:
        if np.isfinite(_log_kl(network)):
            recipes.setdefault(claim.recipe(network), []).append(network)

    def of(members: Sequence[Evidence], side: Side) -> np.ndarray:
        return np.array([_log_kl(network) for network in members if side(claim.value(network))])

    return [(of(m, claim.worse), of(m, claim.better)) for m in (*recipes.values(), [])]


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
