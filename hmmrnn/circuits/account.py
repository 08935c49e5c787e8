"""The account of how a network switches: sentences with an intervention behind each of them."""

import numpy as np

from hmmrnn.circuits.dials import Dial
from hmmrnn.circuits.find import KickCircuit, PairCircuit, name_of
from hmmrnn.circuits.prove import Match, Proof, Pulses
from hmmrnn.circuits.state_units import Arm
from hmmrnn.circuits.switching import Switching
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


def account(
    circuit: KickCircuit,
    proofs: dict[tuple[int, int], Proof],
    switches: dict[tuple[int, int], Switching],
    judged: dict[tuple[int, int], Criteria],
    verdict: Holds,
) -> list[str]:
    """The verdict, then for each ordered pair what was found and what interventions did."""
    if not circuit.pairs:
        return ["No symbol changes to another often enough to look for a circuit."]
    sentences = [VERDICTS[verdict]]
    for found in circuit.pairs:
        pair = found.pair
        sentences += kick_sentences(found, proofs.get(pair), judged[pair])
        if pair in switches and found.kick.kick.any():
            sentences.append(_shared_sentence(found, switches[pair]))
        if pair in switches:
            sentences += switching_sentences(switches[pair])
    return sentences


def kick_sentences(found: PairCircuit, proof: Proof | None, judged: Criteria) -> list[str]:
    """What is known of the kick neurons of a pair."""
    name = name_of(found.pair)
    if proof is None:
        return [f"{name}: no kick neuron ({found.kick.problem})."]
    silence, noise, dial = (proof.dials[kind] for kind in ("silence", "noise", "kick"))
    sentences = [
        f"{name}: {_count(int(found.kick.kick.sum()), 'kick neuron')}. With them silent, this "
        f"change is {_number(silent_ratio(silence))} times as frequent, "
        f"{_controlled(silence, proof.kick_match)}, and states of the other cluster leave for this "
        f"one {_number(reverse_ratio(silence))} times as often. Without their recurrent drive it "
        f"is {_number(silent_ratio(dial))} times as frequent.",
        f"{name}: {_count(int(found.population.members.sum()), 'unit')} {_acts(found)}. "
        f"Without noise into these it is {_number(silent_ratio(noise))} times as frequent, "
        f"{_controlled(noise, proof.population_match)}. "
        f"Weights and noise agree on who drives this change: rank correlation "
        f"{_number(found.population.agreement)} over units.",
        _regularity_sentence(name, proof),
    ]
    if proof.pulses is not None:
        sentences.append(_pulse_sentence(name, proof.pulses))
    if proof.replays is not None:
        mean = proof.replays.elsewhere.on_time
        sentences.append(
            f"{name}: the noise of real changes, replayed from other states, brings the change on "
            f"time in {_number(mean[1])} of cases if all units hear it, in {_number(mean[2])} if "
            f"the population alone does, in {_number(mean[3])} if all others do, and in "
            f"{_number(mean[0])} by chance."
        )
    if judged.failing:
        reasons = "; ".join(PARTS[part] for part in judged.failing)
        sentences.append(f"{name}: the paper's account fails here: {reasons}.")
    elif judged.holds:
        sentences.append(f"{name}: the paper's account holds here.")
    return sentences


def _controlled(dial: Dial, match: Match) -> str:
    """What the same does to controls, and how well they match."""
    if match.n_draws == 0:
        return "but no units are left for controls"
    return (
        f"with matched controls instead (of {match.activity:.2f} times their activity) "
        f"{_number(control_ratio(dial))}"
    )


def _acts(found: PairCircuit) -> str:
    """What makes a unit a member of the population."""
    alone = "excite them (there are none of the change back to inhibit)"
    return "excite them and inhibit those of the change back" if found.opposed else alone


def _pulse_sentence(name: str, pulses: Pulses) -> str:
    """What a pulse of natural size into the kick neurons does, which come first."""
    dose = pulses.effects.doses.index(PULSE_DOSE)
    row = pulses.effects.probability[0]
    more = pulses.effects.over_controls[0][dose]
    known = np.isfinite(more.value)
    beside = f", {_number(more)} more than pulses of that energy into controls" if known else ""
    return (
        f"{name}: a pulse into them of the size that they give in real changes brings the change "
        f"within 15 steps in {_number(row[dose])} of runs from the middle of the cluster{beside}; "
        f"without a pulse {_number(row[0])} change."
    )


def _regularity_sentence(name: str, proof: Proof) -> str:
    """Whether noise into the population makes changes regular, and which group is slower."""
    found, times = proof.resonance, proof.time_scales
    slower = (
        f"The population remembers itself {_number(times.ratio)} times as long as the kick neurons."
    )
    if not np.isfinite(found.best_gain):
        return f"{name}: {slower}"
    if not found.dip.low > 0:
        return (
            f"{name}: no gain of the noise into the population makes stays under {found.symbol} "
            f"more regular than both ends of the range do (CV lower by {_number(found.dip)} at "
            f"{found.best_gain:g}). {slower}"
        )
    return (
        f"{name}: stays under {found.symbol} are most regular at {found.best_gain:g} times the "
        f"noise into the population alone; their CV there is {_number(found.dip)} below that of "
        f"the more regular end of the range of gains. {slower}"
    )


def _shared_sentence(found: PairCircuit, switch: Switching) -> str:
    """Kick neurons that are also among the units that tell the clusters apart."""
    carry = switch.carriers
    counts = [int((found.kick.kick & mask).sum()) for mask in (carry.in_s, carry.in_t)]
    s, t = found.pair
    return (
        f"{name_of(found.pair)}: of these kick neurons, {counts[1]} also carry the state {t} and "
        f"{counts[0]} the state {s}."
    )


def switching_sentences(found: Switching) -> list[str]:
    """What carries the state of a pair, holds it and pushes it over."""
    name, (s, t) = name_of(found.pair), found.pair
    carry, arms = found.carriers, found.holding.arms
    n_s, n_t = int(carry.in_s.sum()), int(carry.in_t.sum())
    sentences = [
        f"{name}: {n_s + n_t} units carry 90 % of the difference between the two clusters, {n_s} "
        f"of them more active under {s} and {n_t} under {t}.",
        f"{name}: with the carriers of {t} kept as they are in the cluster of {s}, "
        f"{_number(arms['t clamped'].arrival)} of runs arrive at {t} within 40 steps (free "
        f"{_number(arms['baseline'].arrival)}); with all but the carriers kept there "
        f"{_number(arms['rest clamped'].arrival)}"
        + _beside(arms, "controls clamped", f", with as many others as carry {s} ")
        + ".",
        f"{name}: without recurrent drive into the carriers of {s}, the symbol lasts "
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


def _push_sentence(found: Switching) -> str:
    name, push = name_of(found.pair), found.push
    injection, natural = push.injection, push.natural
    at = injection.doses.index(KICK_DOSE)
    s, t = found.pair
    groups = (f"the carriers of {s}", f"those of {t}", "those of the others that it drives most")
    shares = ", ".join(
        f"{100 * gain:.0f} % through {group}" for group, gain in zip(groups, push.gain, strict=True)
    )
    return (
        f"{name}: the optimal kick in the noise, of {KICK_DOSE:.0f} standard deviations over 10 "
        f"steps, brings the change in {_number(injection.optimal.probability[at])} of runs from "
        f"the cluster, a random kick of that size in {_number(injection.random.probability[at])}; "
        f"it moves the readout {shares}. Before real changes the noise lies "
        f"{_number(natural.events, 1)} standard deviations along it, else "
        f"{_number(natural.others, 1)} (AUC {_number(natural.auc)})."
    )


def _window_sentence(found: Switching) -> str:
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
            f"{name_of(found.pair)}: no three-step silence before the change, of "
            f"{', '.join(groups[:2])} or {groups[2]}, prevents it (at most {_number(most)})."
        )
    return (
        f"{name_of(found.pair)}: of three-step silences before the change, that of "
        f"{groups[group]} from step {effects.windows[early[i]]} on prevents most: "
        f"{_number(most)} of changes (the largest of {values.size})."
    )


def _count(n: int, noun: str) -> str:
    return f"{n} {noun}" + ("" if n == 1 else "s")


def _number(estimate: Estimate, digits: int = 2) -> str:
    if not np.isfinite(estimate.value):
        return "unknown"
    return format(estimate if np.isfinite(estimate.low) else estimate.value, f".{digits}f")
