"""One row of numbers for each ordered pair: what tables and the report show of a survey."""

from typing import NamedTuple

import numpy as np

from hmmrnn.circuits.dose_responses import DoseResponse
from hmmrnn.circuits.find import PairCircuit
from hmmrnn.circuits.pair_tests import PairTests
from hmmrnn.circuits.verdict import (
    Criteria,
    control_ratio,
    reverse_ratio,
    silent_ratio,
    specificity,
)
from hmmrnn.intervals import UNKNOWN, Estimate
from hmmrnn.results import result


@result
class AtZero(NamedTuple):
    """A dose response of s -> t at dose 0: ratios of rates to the baseline."""

    own: Estimate  # of s -> t
    back: Estimate  # of t -> s, from cluster states of t
    control: Estimate  # of s -> t under matched controls: mean and 95 % of them
    specificity: Estimate  # controls' mean minus own
    selectivity: Estimate  # back minus own, both from cluster states, paired
    rate: Estimate  # of s -> t per step under s


@result
class Row(NamedTuple):
    """What is found of one ordered pair, and what tests of it say."""

    pair: tuple[int, int]
    n_events: int
    n_kick: int
    n_kick_like: int
    n_population: int
    n_beyond_chance: int
    group_push: Estimate
    agreement: Estimate  # of weights and noise, as to who belongs to the population
    baseline_rate: Estimate
    kick: AtZero  # kick neurons silent
    recurrent: AtZero  # kick neurons without their recurrent drive (the gain of the paper)
    noise: AtZero  # no noise into their population
    criteria: dict[str, bool | None]
    holds: bool | None
    problem: str


def row(found: PairCircuit, tested: PairTests | None, judged: Criteria, rate: Estimate) -> Row:
    """The row of one pair; without kick neurons there is no dose response to read."""
    dose_responses = tested.dose_responses if tested is not None else {}
    nothing = AtZero(*[UNKNOWN] * 6)
    kick, recurrent, noise = (
        at_zero(dose_responses[kind]) if kind in dose_responses else nothing
        for kind in ("silence", "kick", "noise")
    )
    return Row(
        pair=found.pair,
        n_events=found.kick.n_events,
        n_kick=int(found.kick.kick.sum()),
        n_kick_like=int(found.kick.kick_like.sum()),
        n_population=int(found.population.members.sum()),
        n_beyond_chance=int(found.population.beyond_chance.sum()),
        group_push=found.kick.group_push,
        agreement=found.population.agreement,
        baseline_rate=rate,
        kick=kick,
        recurrent=recurrent,
        noise=noise,
        criteria=judged._asdict(),
        holds=judged.holds,
        problem=found.kick.problem,
    )


def at_zero(response: DoseResponse) -> AtZero:
    """A dose response at dose 0."""
    zero = int(np.flatnonzero(response.doses == 0)[0])
    return AtZero(
        own=silent_ratio(response),
        back=reverse_ratio(response),
        control=control_ratio(response),
        specificity=specificity(response),
        selectivity=response.selectivity.hazard[zero],
        rate=response.outcome.rate[zero, *response.pair],
    )
