"""Everything that is found and proved of the circuits of one network, in one call."""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Float

from hmmrnn.analysis import of_one_cell, one_by_one, side_by_side, the_only
from hmmrnn.arrays import Key, named_keys
from hmmrnn.circuits.ablations import Ablations, ablations
from hmmrnn.circuits.assays import Assay, Measured, assay, measure_baselines
from hmmrnn.circuits.find import N_RUNS, N_STEPS, KickCircuit, circuit_of
from hmmrnn.circuits.outcomes import Outcomes, outcomes
from hmmrnn.circuits.pair_tests import PairTests, tests_of_pair
from hmmrnn.circuits.resonance import Resonance, resonance
from hmmrnn.circuits.state_transitions import StateTransition, state_transition
from hmmrnn.circuits.summary import Row, row
from hmmrnn.circuits.verdict import Criteria, Holds, criteria, network_verdict
from hmmrnn.errors import DivergingNetworkError, InputError
from hmmrnn.intervals import bootstrap_weights
from hmmrnn.nets import Network
from hmmrnn.programs import keep_programs_of
from hmmrnn.recordings import expect_finite
from hmmrnn.recordings.recorder import Recording, record_zones
from hmmrnn.results import fields, result
from hmmrnn.storage import plain

MIN_RUNS = 4
KEYS = (
    "record",
    "find",
    "fresh",
    "assay",
    "boot",
    "baseline",
    "pair_tests",
    "ablations",
    "resonance",
    "state_transitions",
)


@result
class CircuitSurvey(NamedTuple):
    """All records of the circuits of one network."""

    circuit: KickCircuit
    baseline: Outcomes  # G = 1
    pair_tests: dict[tuple[int, int], PairTests]  # of the pairs that have kick neurons
    everywhere: Resonance  # the gain of all noise: an identity for relu without bias
    ablations: Ablations
    state_transitions: dict[tuple[int, int], StateTransition]
    criteria: dict[tuple[int, int], Criteria]
    rows: list[Row]  # one for each ordered pair
    verdict: Holds

    def numbers(self) -> dict[str, Any]:
        """What circuits.json holds: unit indices, scores, blocks, all dose curves."""
        table = partial(plain, columns=True)
        pair_tests = [
            {
                **tested._asdict(),
                "dose_responses": table(tested.dose_responses),
                "resonance": table(tested.resonance),
            }
            for tested in self.pair_tests.values()
        ]
        transitions = [
            {**switch._asdict(), "carriers": table(switch.carriers)}
            for switch in self.state_transitions.values()
        ]
        return {
            "verdict": self.verdict,
            "rows": self.rows,
            **fields(self.circuit),
            "baseline": table(self.baseline),
            "pair_tests": pair_tests,
            "noise_into_all_units": table(self.everywhere),
            "ablations": table(self.ablations),
            "state_transitions": transitions,
        }


class Sizes(NamedTuple):
    """How much is simulated."""

    n_runs: int = N_RUNS
    n_steps: int = N_STEPS


def survey(
    network: Network,
    law: Float[np.ndarray, " L"] | None,
    key: Key,
    sizes: Sizes = Sizes(),  # noqa: B008
) -> CircuitSurvey:
    """Find the circuits of a network in one recording, and intervene on them in another.

    `law` is that of the HMM's 4-grams, flat; None without an HMM.

    Raises:
        InputError: fewer than 4 runs or 100 steps.
        DivergingNetworkError: hidden states that are not finite.
    """
    return the_only(survey_many([network], [law], key, sizes))


def survey_many(
    networks: Sequence[Network],
    laws: Sequence[Float[np.ndarray, " L"] | None],
    key: Key,
    sizes: Sizes = Sizes(),  # noqa: B008
) -> Iterator[CircuitSurvey | DivergingNetworkError]:
    """What `survey` finds of each network, or the error that it raises, one after the other.

    The recordings and the runs without intervention have fixed shapes: they are made first, vmapped
    over all networks, under the same noise. What follows depends on the pairs of symbols and the
    groups found in each network, so it goes network by network, with code that is compiled once.

    Raises:
        InputError: networks of different cells, some with a law and some without, or fewer than 4
            runs or 100 steps.
    """
    _expect(sizes)
    networks, keys = of_one_cell(networks), named_keys(key, KEYS)
    keep_programs_of(networks[0].cell)
    recordings = side_by_side(
        partial(_recordings, sizes, keys), [(network,) for network in networks]
    )
    weights = bootstrap_weights(sizes.n_runs, keys["boot"])
    of_sizes = partial(assay, n_runs=sizes.n_runs, n_steps=sizes.n_steps, weights=weights)
    trials = [
        of_sizes(network, fresh, law, keys["assay"])
        for network, law, (_, fresh) in zip(networks, laws, recordings, strict=True)
    ]
    each = zip(networks, recordings, trials, measure_baselines(trials), strict=True)
    yield from one_by_one(partial(_survey_of, keys), each)


def _recordings(
    sizes: Sizes, keys: dict[str, Key], network: Network
) -> tuple[Recording, Recording]:
    """One to find circuits in, and one to intervene on."""
    first, second = (
        record_zones(network, sizes.n_runs, sizes.n_steps, key)
        for key in (keys["record"], keys["fresh"])
    )
    return first, second


def _survey_of(
    keys: dict[str, Key],
    network: Network,
    recordings: tuple[Recording, Recording],
    trial: Assay,
    baseline: Measured,
) -> CircuitSurvey:
    """The survey of one network from its recordings and its free runs."""
    for recording in recordings:
        expect_finite(recording.states)
    circuit = circuit_of(network, recordings[0], keys["find"])
    pair_tests, switches = {}, {}
    for i, found in enumerate(circuit.pairs):
        if found.kick.kick.any():
            pair_tests[found.pair] = tests_of_pair(
                trial, baseline, circuit, found, jax.random.fold_in(keys["pair_tests"], i)
            )
        switch = state_transition(
            trial, found.pair, jax.random.fold_in(keys["state_transitions"], i)
        )
        if switch is not None:
            switches[found.pair] = switch
    everyone = np.ones(network.hidden_size, bool)
    carry = [switch.carriers.both for switch in switches.values()]
    judged = _judged(circuit, pair_tests)
    silent = ablations(
        trial, baseline, circuit, np.any(carry or [~everyone], axis=0), keys["ablations"]
    )
    verdict = network_verdict(list(judged.values()))
    free = outcomes(trial, baseline, baseline, keys["baseline"])
    return CircuitSurvey(
        circuit=circuit,
        baseline=free,
        pair_tests=pair_tests,
        everywhere=resonance(trial, baseline, everyone, keys["resonance"]),
        ablations=silent,
        state_transitions=switches,
        criteria=judged,
        rows=[
            row(found, pair_tests.get(found.pair), judged[found.pair], free.rate[0, *found.pair])
            for found in circuit.pairs
        ],
        verdict=verdict,
    )


def _expect(sizes: Sizes) -> None:
    if sizes.n_runs < MIN_RUNS or sizes.n_steps < 100:
        raise InputError(
            f"n_runs={sizes.n_runs}, n_steps={sizes.n_steps}: at least {MIN_RUNS} runs of 100 steps"
        )


def _judged(
    circuit: KickCircuit, pair_tests: dict[tuple[int, int], PairTests]
) -> dict[tuple[int, int], Criteria]:
    kicks = {found.pair: found.kick for found in circuit.pairs}
    return {
        pair: criteria(
            own,
            kicks.get(pair[::-1]),
            pair_tests[pair].dose_responses if pair in pair_tests else None,
        )
        for pair, own in kicks.items()
    }
