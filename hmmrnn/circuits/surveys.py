"""Everything that is found and proved of the circuits of one network, in one call."""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Float

from hmmrnn.analysis import of_one_cell, one_by_one, side_by_side, the_only
from hmmrnn.arrays import Key, named_keys
from hmmrnn.circuits.account import account
from hmmrnn.circuits.experiment import Experiment, Measured, experiment, measure_baselines
from hmmrnn.circuits.find import N_RUNS, N_STEPS, KickCircuit, circuit_of
from hmmrnn.circuits.outcomes import Outcomes, outcomes
from hmmrnn.circuits.parts import Parts, parts
from hmmrnn.circuits.prove import Proof, Setting, prove
from hmmrnn.circuits.resonance import Resonance, resonance
from hmmrnn.circuits.summary import Row, row
from hmmrnn.circuits.switching import Switching, switching
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
    "prove_on",
    "experiment",
    "boot",
    "baseline",
    "prove",
    "parts",
    "resonance",
    "switching",
)


@result
class CircuitSurvey(NamedTuple):
    """All records of the circuits of one network."""

    circuit: KickCircuit
    baseline: Outcomes  # G = 1
    proofs: dict[tuple[int, int], Proof]  # of the pairs that have kick neurons
    everywhere: Resonance  # the gain of all noise: an identity for relu without bias
    parts: Parts
    switching: dict[tuple[int, int], Switching]
    criteria: dict[tuple[int, int], Criteria]
    rows: list[Row]  # one for each ordered pair
    verdict: Holds
    account: list[str]  # sentences with numbers

    def numbers(self) -> dict[str, Any]:
        """What circuits.json holds: unit indices, scores, blocks, all dose curves, the account."""
        table = partial(plain, columns=True)
        proofs = [
            {**proof._asdict(), "dials": table(proof.dials), "resonance": table(proof.resonance)}
            for proof in self.proofs.values()
        ]
        switching = [
            {**switch._asdict(), "carriers": table(switch.carriers)}
            for switch in self.switching.values()
        ]
        return {
            "verdict": self.verdict,
            "account": self.account,
            "rows": self.rows,
            **fields(self.circuit),
            "baseline": table(self.baseline),
            "proofs": proofs,
            "noise_into_all_units": table(self.everywhere),
            "parts": table(self.parts),
            "switching": switching,
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
    trials = [
        experiment(
            network, fresh, law, keys["experiment"], n_runs=sizes.n_runs, n_steps=sizes.n_steps
        )
        for network, law, (_, fresh) in zip(networks, laws, recordings, strict=True)
    ]
    each = zip(networks, recordings, trials, measure_baselines(trials), strict=True)
    yield from one_by_one(partial(_survey_of, keys), each)


def _recordings(
    sizes: Sizes, keys: dict[str, Key], network: Network
) -> tuple[Recording, Recording]:
    """One to find circuits in, and one to prove them on."""
    first, second = (
        record_zones(network, sizes.n_runs, sizes.n_steps, key)
        for key in (keys["record"], keys["prove_on"])
    )
    return first, second


def _survey_of(
    keys: dict[str, Key],
    network: Network,
    recordings: tuple[Recording, Recording],
    trial: Experiment,
    baseline: Measured,
) -> CircuitSurvey:
    """The survey of one network from its recordings and its free runs."""
    for recording in recordings:
        expect_finite(recording.states)
    recording, fresh = recordings
    circuit = circuit_of(network, recording, keys["find"])
    weights = bootstrap_weights(len(trial.keys), keys["boot"])
    setting = Setting(network, fresh, trial, baseline, weights)
    proofs, switches = {}, {}
    for i, found in enumerate(circuit.pairs):
        if found.kick.kick.any():
            proofs[found.pair] = prove(
                setting, circuit, found, jax.random.fold_in(keys["prove"], i)
            )
        switch = switching(setting, found.pair, jax.random.fold_in(keys["switching"], i))
        if switch is not None:
            switches[found.pair] = switch
    everyone = np.ones(network.hidden_size, bool)
    carry = [switch.carriers.both for switch in switches.values()]
    judged = _judged(circuit, proofs)
    found_parts = parts(
        trial, baseline, circuit, np.any(carry or [~everyone], axis=0), keys["parts"]
    )
    verdict = network_verdict(list(judged.values()))
    free = outcomes(trial, baseline, baseline, keys["baseline"])
    return CircuitSurvey(
        circuit=circuit,
        baseline=free,
        proofs=proofs,
        everywhere=resonance(trial, baseline, everyone, keys["resonance"]),
        parts=found_parts,
        switching=switches,
        criteria=judged,
        rows=[
            row(found, proofs.get(found.pair), judged[found.pair], free.rate[0, *found.pair])
            for found in circuit.pairs
        ],
        verdict=verdict,
        account=account(circuit, proofs, switches, judged, verdict),
    )


def _expect(sizes: Sizes) -> None:
    if sizes.n_runs < MIN_RUNS or sizes.n_steps < 100:
        raise InputError(
            f"n_runs={sizes.n_runs}, n_steps={sizes.n_steps}: at least {MIN_RUNS} runs of 100 steps"
        )


def _judged(
    circuit: KickCircuit, proofs: dict[tuple[int, int], Proof]
) -> dict[tuple[int, int], Criteria]:
    kicks = {found.pair: found.kick for found in circuit.pairs}
    return {
        pair: criteria(own, kicks.get(pair[::-1]), proofs[pair].dials if pair in proofs else None)
        for pair, own in kicks.items()
    }
