"""Everything that is found and proved of the circuits of one network, in one call."""

from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Float

from hmmrnn.arrays import Key
from hmmrnn.circuits.account import account
from hmmrnn.circuits.experiment import experiment, measure_baseline
from hmmrnn.circuits.find import N_RUNS, N_STEPS, KickCircuit, circuit_of
from hmmrnn.circuits.find import numbers as circuit_numbers
from hmmrnn.circuits.outcomes import Outcomes, outcomes
from hmmrnn.circuits.parts import Parts, parts
from hmmrnn.circuits.prove import Proof, Setting, prove
from hmmrnn.circuits.recording import record
from hmmrnn.circuits.resonance import Resonance, resonance
from hmmrnn.circuits.summary import Row, row
from hmmrnn.circuits.switching import Switching, switching
from hmmrnn.circuits.verdict import Criteria, Holds, at, criteria, network_verdict
from hmmrnn.errors import InputError
from hmmrnn.intervals import bootstrap_weights
from hmmrnn.nets import Network

MIN_RUNS = 4


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
    _expect(sizes)
    keys = dict(
        zip(
            (
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
            ),
            jax.random.split(key, 10),
            strict=True,
        )
    )
    recording = record(network, sizes.n_runs, sizes.n_steps, keys["record"])
    circuit = circuit_of(network, recording, keys["find"])
    fresh = record(network, sizes.n_runs, sizes.n_steps, keys["prove_on"])
    trial = experiment(
        network,
        fresh,
        law,
        keys["experiment"],
        n_runs=sizes.n_runs,
        n_steps=sizes.n_steps,
    )
    baseline = measure_baseline(trial)
    weights = bootstrap_weights(sizes.n_runs, keys["boot"])
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
    everyone = np.ones(network.cell.hidden_size, bool)
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
            row(found, proofs.get(found.pair), judged[found.pair], at(free.rate, 0, *found.pair))
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


def numbers(found: CircuitSurvey) -> dict[str, Any]:
    """What circuits.json holds: unit indices, scores, blocks, all dose curves, the account."""
    return {
        "verdict": found.verdict,
        "account": found.account,
        "rows": found.rows,
        **circuit_numbers(found.circuit),
        "baseline": found.baseline,
        "proofs": list(found.proofs.values()),
        "noise_into_all_units": found.everywhere,
        "parts": found.parts,
        "switching": list(found.switching.values()),
    }
