"""The open hypothesis: the orbit is a product of the loss's bias.

The paper's loss subtracts self terms that are taken over the same batch as the cross term, so it is
biased in finite batches (docs/choosing_a_loss.md). If its bias makes the orbit, networks trained by
it orbit, and networks trained on the same HMM without the bias do not.

It is judged twice. Ha: in networks that are alike in all but the loss, so that nothing else can
make the difference. Hb: in all networks, each loss with its own recipe; these differ in the batch
size, the number of steps and the length of sequences as well.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from hmmrnn.claims.evidence import Evidence, number, recipe
from hmmrnn.claims.motion import orbits, turns
from hmmrnn.claims.rule import MAJORITY, Finding, Row, Verdict, mean_over_networks, wilson
from hmmrnn.claims.sizes import like_the_papers
from hmmrnn.dynamics.regimes import STILL
from hmmrnn.intervals import Estimate, decide
from hmmrnn.results import result

ALL = "all"

ALIKE, AS_TRAINED = "Ha", "Hb"
STATEMENTS = {
    ALIKE: "The orbit is a product of the bias of the paper's loss: networks alike in all but the "
    "loss.",
    AS_TRAINED: "The orbit is a product of the bias of the paper's loss: all networks, each loss "
    "by its own recipe.",
}
STATISTIC = "turns per pair of changes, biased minus unbiased"
RULE = (
    "Of the networks that learned the HMM, do not diverge and have the paper's sizes and clipping, "
    "those of the biased loss orbit (rule of C3) in a majority, and those of unbiased losses turn "
    "at most 0.25 times per pair of changes in a majority, each with Wilson's interval above one "
    "half: supported. One of the two intervals below one half: not supported. Else undecided. Over "
    "all presets: supported if in each, not supported if in one it is not, else undecided."
)


@result
class Turning(NamedTuple):
    """One network on the page of the hypothesis."""

    name: str
    preset: str
    loss: str
    batch_size: int
    n_steps: int  # of the sequences that it was trained on
    seed: int
    usual_sizes: bool  # the paper's units, noise dimensions and clipping
    learned: bool | None
    diverges: bool
    kl: float  # of 6-grams, nats
    dwell_cv: float  # of stays under the emitted symbol that the HMM emits most
    hmm_dwell_cv: float
    preferred_cv: float  # of stays under the preferred symbol, all symbols together
    turns: float  # net, per pair of changes


def turning(network: Evidence) -> Turning:
    """Fidelity, regularity and rotation of a network; NaN where not measured."""
    kl, cv, exact = np.nan, np.nan, np.nan
    if network.fidelity:
        order = max(network.fidelity["kl"], key=int)
        kl = number(network.fidelity, "kl", order, "network").value
        shares = [share["exact"] for share in network.fidelity["symbol_shares"]]
        dwell = network.fidelity["dwell"][int(np.argmax(shares))]["cv"]
        cv = number(dwell, "network").value
        exact = np.nan if dwell["exact"] is None else float(dwell["exact"])
    return Turning(
        name=network.name,
        preset=network.preset,
        loss=network.loss,
        batch_size=network.config.train.batch_size,
        n_steps=network.config.data.n_steps,
        seed=network.seed,
        usual_sizes=like_the_papers(network),
        learned=network.learned,
        diverges="dynamics" in network.problems,
        kl=kl,
        dwell_cv=cv,
        hmm_dwell_cv=exact,
        preferred_cv=number(network.dynamics, "dwell_cv").value,
        turns=turns(network) if network.dynamics else np.nan,
    )


def judge_hypothesis(networks: Sequence[Evidence], name: str) -> list[Row]:
    """The verdicts of Ha or Hb for each preset and over all of them; none without networks."""
    chosen = [network for network in networks if like_the_papers(network)]
    if name == ALIKE:
        chosen = list(_alike_in_all_but_the_loss(chosen))
    presets = list(dict.fromkeys(network.preset for network in chosen))
    rows = [_row(name, preset, [n for n in chosen if n.preset == preset]) for preset in presets]
    return [*rows, _over_presets(name, rows, chosen)]


def _alike_in_all_but_the_loss(networks: Sequence[Evidence]) -> Iterator[Evidence]:
    """Networks of the recipes that have biased and unbiased losses both."""
    groups: dict[tuple[str, float], list[Evidence]] = {}
    for network in networks:
        groups.setdefault((recipe(network.config, "loss"), network.noise_std), []).append(network)
    for group in groups.values():
        if {network.biased for network in group} >= {True, False}:
            yield from group


def _row(name: str, preset: str, networks: Sequence[Evidence]) -> Row:
    biased, unbiased = _sides(networks)
    counts = [(sum(f.holds is True for f in side), len(side)) for side in (biased, unbiased)]
    shares = [wilson(*count) for count in counts]
    verdict: Verdict = "undecided"
    decided = {decide(share, MAJORITY) for share in shares}
    if decided == {"yes"}:
        verdict = "supported"
    elif "no" in decided:
        verdict = "not supported"
    (orbiting, n_biased), (still, n_unbiased) = counts
    return Row(
        claim=name,
        preset=preset,
        loss=ALL,
        verdict=verdict,
        value=_difference([f.value for f in biased], [f.value for f in unbiased]),
        n_networks=len(networks),
        n_judged=n_biased + n_unbiased,
        n_holding=orbiting + still,
        share=wilson(orbiting + still, n_biased + n_unbiased),
        sentence=f"of those that learned the HMM {orbiting} of {n_biased} of the biased loss orbit "
        f"and {still} of {n_unbiased} of unbiased losses do not turn{_left_out(networks)}",
    )


def _over_presets(name: str, rows: Sequence[Row], networks: Sequence[Evidence]) -> Row:
    """Over all presets; the numbers are those of all networks."""
    pooled = _row(name, ALL, networks)
    verdicts = {row.verdict for row in rows}
    verdict: Verdict = "undecided"
    if "not supported" in verdicts:
        verdict = "not supported"
    elif verdicts == {"supported"}:
        verdict = "supported"
    by_verdict = {v: [row.preset for row in rows if row.verdict == v] for v in verdicts}
    told = "; ".join(f"{v} for {', '.join(names)}" for v, names in sorted(by_verdict.items()))
    sentence = f"{told}; {pooled.sentence}" if told else pooled.sentence
    return pooled._replace(verdict=verdict, sentence=sentence)


def _sides(networks: Sequence[Evidence]) -> tuple[list[Finding], list[Finding]]:
    """What the rules find in networks of the biased loss and of unbiased ones."""
    known = [network for network in networks if network.learned and network.dynamics]
    biased = [orbits(network) for network in known if network.biased is True]
    unbiased = [_still(network) for network in known if network.biased is False]
    first, second = ([f for f in side if f.holds is not None] for side in (biased, unbiased))
    return first, second


def _left_out(networks: Sequence[Evidence]) -> str:
    """Who does not count, and why."""
    learned = [network for network in networks if network.learned]
    measured = [network for network in learned if network.dynamics]
    reasons = {
        "did not learn it": sum(network.learned is False for network in networks),
        "diverge": sum("dynamics" in network.problems for network in learned),
        "were not measured": sum(network.learned is None for network in networks)
        + sum(not n.dynamics and "dynamics" not in n.problems for n in learned),
        "never change": sum(not np.isfinite(turns(network)) for network in measured),
        "are of a loss that is neither": sum(network.biased is None for network in measured),
    }
    return "".join(f"; {n} {reason}" for reason, n in reasons.items() if n)


def _still(network: Evidence) -> Finding:
    value = turns(network)
    return Finding(value, abs(value) <= STILL if np.isfinite(value) else None)


def _difference(biased: list[float], others: list[float]) -> Estimate:
    ours, theirs = mean_over_networks(biased), mean_over_networks(others)
    spread = float(np.hypot(ours.high - ours.low, theirs.high - theirs.low)) / 2
    value = ours.value - theirs.value
    return Estimate(value, value - spread, value + spread)


def with_most_batches(networks: Sequence[Turning]) -> str:
    """The preset that was trained with most batch sizes."""
    sizes: dict[str, set[int]] = {}
    for network in networks:
        sizes.setdefault(network.preset, set()).add(network.batch_size)
    return max(sizes, key=lambda preset: len(sizes[preset]))
