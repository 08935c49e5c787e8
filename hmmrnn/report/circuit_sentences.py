"""The account of how a network switches: sentences with an intervention behind each of them."""

from typing import NamedTuple

import numpy as np

from hmmrnn.circuits.carriers import Arm
from hmmrnn.circuits.dose_responses import DoseResponse
from hmmrnn.circuits.find import PairCircuit, name_of
from hmmrnn.circuits.pair_tests import Match, PairTests, Pulses
from hmmrnn.circuits.state_transitions import StateTransition
from hmmrnn.circuits.surveys import CircuitSurvey
from hmmrnn.circuits.verdict import (
    Criteria,
    Holds,
    control_ratio,
    reverse_ratio,
    silent_ratio,
)
from hmmrnn.intervals import Estimate

CONTROL_DRIVE = "drive of controls removed"
PULSE_DOSE = 1.0
"""Of pulses: what the kick neurons give in real changes."""
KICK_DOSE = 3.0
"""Standard deviations of the noise: the size of kick that the sentences speak of."""
LAST_START = -3
"""Of three-step windows, so that they end before the onset."""
PREVENTS = 0.02
"""Share of changes below which a silence is said to prevent none."""

VERDICTS: dict[Holds, str] = {
    "holds": "The paper's account holds: in all pairs of symbols, few kick neurons and the noise "
    "into their populations make the network switch.",
    "in part": "The paper's account holds for some pairs of symbols and not for others.",
    "does not hold": "The paper's account does not hold in this network.",
    "undecided": "Whether the paper's account holds cannot be said.",
}
PARTS = {
    "found": "kick neurons are missing in a direction",
    "kick": "silencing the kick neurons does not surely halve its rate",
    "noise": "taking the noise from their population does not surely halve its rate",
    "controls": "matched controls change its rate too, or there is no difference to them",
    "selective": "the change back suffers too",
}


class Sentence(NamedTuple):
    """A sentence, and the ordered pair of symbols that it is about; None: the whole network."""

    pair: tuple[int, int] | None
    text: str

    def __str__(self) -> str:
        """One line for a terminal."""
        return self.text if self.pair is None else f"{name_of(self.pair)}: {self.text}"


def account(found: CircuitSurvey) -> list[Sentence]:
    """The verdict, then for each ordered pair what was found and what interventions did."""
    if not found.circuit.pairs:
        nothing = "No symbol changes to another often enough to look for a circuit."
        return [Sentence(None, nothing)]
    sentences = [Sentence(None, VERDICTS[found.verdict])]
    for circuit in found.circuit.pairs:
        pair, switch = circuit.pair, found.state_transitions.get(circuit.pair)
        told = kick_sentences(circuit, found.pair_tests.get(pair), found.criteria[pair])
        if switch is not None and circuit.kick.kick.any():
            told.append(_shared_sentence(circuit, switch))
        if switch is not None:
            told += state_sentences(switch)
        sentences += [Sentence(pair, text) for text in told]
    return sentences


def kick_sentences(found: PairCircuit, tested: PairTests | None, judged: Criteria) -> list[str]:
    """What is known of the kick neurons of a pair."""
    if tested is None:
        return [f"No kick neuron ({found.kick.problem})."]
    silence, noise, response = (
        tested.dose_responses[kind] for kind in ("silence", "noise", "kick")
    )
    sentences = [
        f"{_count(int(found.kick.kick.sum()), 'kick neuron')}. With them silent, this "
        f"change is {_number(silent_ratio(silence))} times as frequent, "
        f"{_controlled(silence, tested.kick_match)}, and states of the other cluster leave for "
        f"this one {_number(reverse_ratio(silence))} times as often. Without their recurrent drive "
        f"it is {_number(silent_ratio(response))} times as frequent.",
        f"{_count(int(found.population.members.sum()), 'unit')} {_acts(found)}. "
        f"Without noise into these it is {_number(silent_ratio(noise))} times as frequent, "
        f"{_controlled(noise, tested.population_match)}. "
        f"Weights and noise agree on who drives this change: rank correlation "
        f"{_number(found.population.agreement)} over units.",
        _regularity_sentence(tested),
    ]
    if tested.pulses is not None:
        sentences.append(_pulse_sentence(tested.pulses))
    if tested.replays is not None:
        mean = tested.replays.elsewhere.on_time
        sentences.append(
            f"The noise of real changes, replayed from other states, brings the change on "
            f"time in {_number(mean[1])} of cases if all units hear it, in {_number(mean[2])} if "
            f"the population alone does, in {_number(mean[3])} if all others do, and in "
            f"{_number(mean[0])} by chance."
        )
    if judged.failing:
        reasons = "; ".join(PARTS[part] for part in judged.failing)
        sentences.append(f"The paper's account fails here: {reasons}.")
    elif judged.holds:
        sentences.append("The paper's account holds here.")
    return sentences


def _controlled(response: DoseResponse, match: Match) -> str:
    """What the same does to controls, and how well they match."""
    if match.n_draws == 0:
        return "but no units are left for controls"
    return (
        f"with matched controls instead (of {match.activity:.2f} times their activity) "
        f"{_number(control_ratio(response))}"
    )


def _acts(found: PairCircuit) -> str:
    """What makes a unit a member of the population."""
    alone = "excite them (there are none of the change back to inhibit)"
    return "excite them and inhibit those of the change back" if found.opposed else alone


def _pulse_sentence(pulses: Pulses) -> str:
    """What a pulse of natural size into the kick neurons does, which come first."""
    dose = pulses.effects.doses.index(PULSE_DOSE)
    row = pulses.effects.probability[0]
    more = pulses.effects.over_controls[0][dose]
    known = np.isfinite(more.value)
    beside = f", {_number(more)} more than pulses of that energy into controls" if known else ""
    return (
        f"A pulse into them of the size that they give in real changes brings the change "
        f"within 15 steps in {_number(row[dose])} of runs from the middle of the cluster{beside}; "
        f"without a pulse {_number(row[0])} change."
    )


def _regularity_sentence(tested: PairTests) -> str:
    """Whether noise into the population makes changes regular, and which group is slower."""
    found, times = tested.resonance, tested.time_scales
    slower = (
        f"The population remembers itself {_number(times.ratio)} times as long as the kick neurons."
    )
    if not np.isfinite(found.best_gain):
        return slower
    if not found.dip.low > 0:
        return (
            f"No gain of the noise into the population makes stays under {found.symbol} "
            f"more regular than both ends of the range do (CV lower by {_number(found.dip)} at "
            f"{found.best_gain:g}). {slower}"
        )
    return (
        f"Stays under {found.symbol} are most regular at {found.best_gain:g} times the "
        f"noise into the population alone; their CV there is {_number(found.dip)} below that of "
        f"the more regular end of the range of gains. {slower}"
    )


def _shared_sentence(found: PairCircuit, switch: StateTransition) -> str:
    """Kick neurons that are also among the units that tell the clusters apart."""
    carry = switch.carriers
    counts = [int((found.kick.kick & mask).sum()) for mask in (carry.in_s, carry.in_t)]
    s, t = found.pair
    return (
        f"Of these kick neurons, {counts[1]} also carry the state {t} and "
        f"{counts[0]} the state {s}."
    )


def state_sentences(found: StateTransition) -> list[str]:
    """What carries the state of a pair, holds it and pushes it over."""
    s, t = found.pair
    carry, arms = found.carriers, found.holding.arms
    n_s, n_t = int(carry.in_s.sum()), int(carry.in_t.sum())
    sentences = [
        f"{n_s + n_t} units carry 90 % of the difference between the two clusters, {n_s} "
        f"of them more active under {s} and {n_t} under {t}.",
        f"With the carriers of {t} kept as they are in the cluster of {s}, "
        f"{_number(arms['t clamped'].arrival)} of runs arrive at {t} within 40 steps (free "
        f"{_number(arms['baseline'].arrival)}); with all but the carriers kept there "
        f"{_number(arms['rest clamped'].arrival)}"
        + _beside(arms, "controls clamped", f", with as many others as carry {s} ")
        + ".",
        f"Without recurrent drive into the carriers of {s}, the symbol lasts "
        f"{_number(arms['drive of s removed'].survival, 1)} of at most 40 steps (free "
        f"{_number(arms['baseline'].survival, 1)}"
        + (
            f", without drive into as many others {_number(arms[CONTROL_DRIVE].survival, 1)}"
            if CONTROL_DRIVE in arms
            else ""
        )
        + ").",
        _push_sentence(found),
    ]
    late = _window_sentence(found)
    return [*sentences, late] if late else sentences


def _beside(arms: dict[str, Arm], name: str, text: str) -> str:
    """An arm of the controls, where there are any."""
    return f"{text}{_number(arms[name].arrival)}" if name in arms else ""


def _push_sentence(found: StateTransition) -> str:
    push = found.push
    injection, natural = push.injection, push.natural
    at = injection.doses.index(KICK_DOSE)
    s, t = found.pair
    groups = (f"the carriers of {s}", f"those of {t}", "those of the others that it drives most")
    shares = ", ".join(
        f"{100 * gain:.0f} % through {group}" for group, gain in zip(groups, push.gain, strict=True)
    )
    return (
        f"The optimal kick in the noise, of {KICK_DOSE:.0f} standard deviations over 10 "
        f"steps, brings the change in {_number(injection.optimal.probability[at])} of runs from "
        f"the cluster, a random kick of that size in {_number(injection.random.probability[at])}; "
        f"it moves the readout {shares}. Before real changes the noise lies "
        f"{_number(natural.events, 1)} standard deviations along it, else "
        f"{_number(natural.others, 1)} (AUC {_number(natural.auc)})."
    )


def _window_sentence(found: StateTransition) -> str:
    """The group and the window, of those that end before the readout, that prevent most."""
    if found.windows is None:
        return ""
    effects, (s, t) = found.windows.effects, found.pair
    early = [i for i, w in enumerate(effects.windows) if w <= LAST_START]
    values = effects.prevented.value[:, early]
    if not early or not np.isfinite(values).any():
        return ""
    group, i = np.unravel_index(np.nanargmax(values), values.shape)
    most = effects.prevented[group, early[i]]
    others = "those of the others that the kick drives most"
    groups = (f"the carriers of {s}", f"the carriers of {t}", others)
    if most.value < PREVENTS:
        return (
            f"No three-step silence before the change, of "
            f"{', '.join(groups[:2])} or {groups[2]}, prevents it (at most {_number(most)})."
        )
    return (
        f"Of three-step silences before the change, that of "
        f"{groups[group]} from step {effects.windows[early[i]]} on prevents most: "
        f"{_number(most)} of changes (the largest of {values.size})."
    )


def _count(n: int, noun: str) -> str:
    return f"{n} {noun}" + ("" if n == 1 else "s")


def _number(estimate: Estimate, digits: int = 2) -> str:
    if not np.isfinite(estimate.value):
        return "unknown"
    return format(estimate if np.isfinite(estimate.low) else estimate.value, f".{digits}f")
