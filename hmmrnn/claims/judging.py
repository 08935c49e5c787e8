"""The ledger: every claim of Torre et al. (2025), judged for each preset and loss."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from hmmrnn.claims import hypothesis, mechanism, motion
from hmmrnn.claims.evidence import Evidence, recipe
from hmmrnn.claims.hypothesis import ALL, Turning, judge_hypothesis, turning
from hmmrnn.claims.rule import Claim, Row, Verdict, judge
from hmmrnn.claims.sizes import COMPARISONS, compare_sizes
from hmmrnn.hmm import PRESETS
from hmmrnn.results import result

CLAIMS = (
    Claim(
        "C1",
        "The network replicates the emission statistics of its HMM.",
        "KL of 6-grams (nats)",
        motion.replicated,
        of_learned_only=False,
    ),
    Claim(
        "C2",
        "Without input there is one globally attracting fixed point.",
        "share of starts that end at one point",
        motion.attracting_point,
    ),
    Claim(
        "C3",
        "Noise sustains orbits.",
        "net turns per pair of changes",
        motion.orbits,
    ),
    Claim(
        "C4",
        "The orbit's radius is linear in the noise level.",
        "r\N{SUPERSCRIPT TWO} of the line",
        motion.linear_radius,
    ),
    Claim(
        "C5",
        "States lie in slow clusters, kick-zones and fast transitions.",
        "share of states in the rarer of kick-zones and transitions",
        motion.zones_found,
    ),
    Claim(
        "C6a",
        "Emission follows the phase of the orbit.",
        "share of the variance of symbol probabilities",
        motion.phase_explains,
    ),
    Claim(
        "C6b",
        "The readout axes lie in the plane of the orbit.",
        "share of the readout axis in the plane",
        motion.axes_in_plane,
    ),
    Claim(
        "C7",
        "Few kick neurons: negative in clusters, near zero in kick-zones, positive in transitions.",
        "kick neurons of an ordered pair",
        mechanism.kick_neurons,
    ),
    Claim(
        "C8a",
        "Integrating populations excite themselves and inhibit each other.",
        "z within minus z between",
        mechanism.exclusive_populations,
    ),
    Claim(
        "C8b",
        "Each population excites its kick neurons and inhibits the others.",
        "rank correlation with the effect of noise",
        mechanism.kicking_populations,
    ),
    Claim(
        "C8c",
        "The noise into a unit acts as its weights onto the kick neurons say.",
        "rank correlation of weight and effect",
        mechanism.noise_counts,
    ),
    Claim(
        "C9",
        "Silencing kick neurons, or the noise into their populations, stops changes; equal-sized "
        "controls do not.",
        "rate with kick neurons silent over baseline",
        mechanism.silence_stops,
    ),
    Claim(
        "C10",
        "Noise sensitivity is high in kick-zones and low in transitions.",
        "spread from kick-zones over spread from transitions",
        motion.sensitive_kick_zones,
    ),
    Claim(
        "C11",
        "The mechanism appears with a second descent of the loss, a jump in complex eigenvalues "
        "and the second-order term.",
        "epochs between the descent and the jump",
        motion.appears_with_descent,
    ),
    Claim(
        "C12a",
        "Scaling all noise changes no transition.",
        "largest relative change of the rate",
        mechanism.scaling_all_noise,
    ),
    Claim(
        "C12b",
        "Changes are most regular at some noise into the integrating populations.",
        "dip of the CV of stays",
        mechanism.resonates,
    ),
    Claim(
        "C13",
        "The same motif for all six HMMs, one per pair of symbols.",
        "share of ordered pairs with the motif",
        mechanism.same_motif,
    ),
)


@result
class Ledger(NamedTuple):
    """All verdicts, and the networks of the hypothesis one by one."""

    rows: list[Row]
    turnings: list[Turning]

    def numbers(self) -> dict[str, Any]:
        """What `claims.json` holds."""
        stated = [
            {
                "name": c.name,
                "statement": c.statement,
                "statistic": c.statistic,
                "rule": c.rule_text,
            }
            for c in (*CLAIMS, *COMPARISONS)
        ]
        stated += [
            {
                "name": name,
                "statement": statement,
                "statistic": hypothesis.STATISTIC,
                "rule": hypothesis.RULE,
            }
            for name, statement in hypothesis.STATEMENTS.items()
        ]
        return {
            "claims": stated,
            "rows": self.rows,
            "networks": self.turnings,
        }


def ledger(networks: Sequence[Evidence], others: Sequence[Evidence] = ()) -> Ledger:
    """Judge all claims over `networks`, for each loss and preset and over all presets.

    `others`, of other sizes and batch sizes, stand beside them in what compares such: C14 and the
    hypothesis. A network that is given twice counts once.
    """
    networks = without_repeats(networks)
    everyone = without_repeats([*networks, *others])
    rows = [row for claim in CLAIMS for row in _of_claim(claim, networks)]
    for comparison in COMPARISONS:
        found = [
            compare_sizes(comparison, group, preset, loss)
            for loss, preset, group in _groups(everyone)
        ]
        measured = [row for row in found if np.isfinite(row.value.value)]
        rows += measured or [compare_sizes(comparison, [], ALL, ALL)]
    ordered = sorted(everyone, key=_order)
    rows += [row for name in hypothesis.STATEMENTS for row in judge_hypothesis(ordered, name)]
    return Ledger(rows, [turning(network) for network in ordered])


def without_repeats(networks: Sequence[Evidence]) -> list[Evidence]:
    """The first of those that are the same network: one recipe, noise level and seed."""
    distinct: dict[tuple[str, float, int], Evidence] = {}
    for network in networks:
        key = recipe(network.config), network.noise_std, network.seed
        distinct.setdefault(key, network)
    return list(distinct.values())


def _of_claim(claim: Claim, networks: Sequence[Evidence]) -> Iterator[Row]:
    by_loss: dict[str, list[Row]] = {}
    for loss, preset, group in _groups(networks):
        by_loss.setdefault(loss, []).append(judge(claim, group, preset, loss))
    for loss, rows in by_loss.items():
        yield from rows
        members = [e for e in networks if e.loss == loss]
        over_all = judge(claim, members, ALL, loss)
        yield over_presets(rows, over_all) if claim.name == "C13" else over_all


def over_presets(rows: Sequence[Row], over_all: Row) -> Row:
    """C13 of all presets: supported if in each of the six, not supported if not in one of them."""
    verdicts = {row.preset: row.verdict for row in rows if row.preset in PRESETS}
    found: Verdict = "undecided"
    if "not supported" in verdicts.values():
        found = "not supported"
    elif all(verdicts.get(preset) == "supported" for preset in PRESETS):
        found = "supported"
    n_supported = list(verdicts.values()).count("supported")
    sentence = f"supported for {n_supported} of {len(PRESETS)} presets; {over_all.sentence}"
    return over_all._replace(verdict=found, sentence=sentence)


def _groups(networks: Sequence[Evidence]) -> Iterator[tuple[str, str, list[Evidence]]]:
    """Networks by loss and preset, in the order of the presets."""
    found: dict[tuple[str, str], list[Evidence]] = {}
    for network in sorted(networks, key=_order):
        found.setdefault((network.loss, network.preset), []).append(network)
    for (loss, preset), group in found.items():
        yield loss, preset, group


def _order(network: Evidence) -> tuple[Any, ...]:
    names = list(PRESETS)
    place = names.index(network.preset) if network.preset in names else len(names)
    loss = network.loss
    batch = network.config.train.batch_size
    return not network.biased, loss, place, network.preset, batch, network.seed, network.name
