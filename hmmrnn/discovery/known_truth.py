"""The judge of discovery: what was found of a planted task, beside what is true of it."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from jaxtyping import Array, Bool, Float, Int
from scipy.special import log_softmax

from hmmrnn.arrays import Key
from hmmrnn.discovery.case import Case, clean_run
from hmmrnn.discovery.decoding import Decoding, random_k, random_k_class
from hmmrnn.discovery.interventions import replaced_run
from hmmrnn.discovery.judge import Score, Verdict, compare, score
from hmmrnn.discovery.kick_comparison import Overlap
from hmmrnn.discovery.surveys import Discovery
from hmmrnn.results import result
from hmmrnn.tasks import Task

N_DRAWS = 100


@result
class Isolation(NamedTuple):
    """KL per step of the readout's law from the exact one, in nats."""

    full: float  # of the whole network
    isolated: float  # of the circuit that was found, all other units held at their mean
    others: float  # of all other units, the circuit held at its mean


@result
class Judgement(NamedTuple):
    """How right a discovery is."""

    units: dict[str, Verdict]  # of each ranking
    edges: dict[str, list[Score]]  # of attribution and of plain |weights|, in each window
    unconnected: float  # largest |effect| of a unit from which no path leads to the readout
    decoding: Decoding  # of what the task is about, from the true units and from random ones
    decoded_as: str  # "accuracy" of a class, or "R^2"
    isolation: Isolation | None  # where the task is to know a law


class Examined(NamedTuple):
    """One case, what was found of it, and the truth where it is known."""

    name: str
    case: Case
    groups: Mapping[str, Bool[np.ndarray, " N"]]
    found: Discovery
    judged: Judgement | None
    truth: Bool[np.ndarray, "W N"] | None
    kick: Mapping[str, Overlap] | None
    onset: int  # the step that figures call 0

    @property
    def end(self) -> str:
        """Of the names of its files."""
        return self.name.replace(" ", "_")


def judgement(found: Discovery, case: Case, task: Task, key: Key) -> Judgement:
    """Scores of everything found; where the task is inference, its circuit is isolated as well."""
    true_edges = task.edges & task.truth[:, :, None] & task.truth[:, None]
    weights = np.abs(np.asarray(task.network.params["W_rec"], float))
    silent = found.effect.value[:, task.unconnected]
    train = np.arange(len(case.h0)) % 2 == 0
    used = np.asarray(task.truth.any(0))
    infers = is_inference(task)
    decoded = (
        random_k_class(case, task.latent, used, train, N_DRAWS, key)
        if infers
        else random_k(case, used, train, N_DRAWS, key)
    )
    return Judgement(
        units=compare(found.strengths, task.truth),
        edges={
            "attribution": [_edges(*rows) for rows in zip(found.edges, true_edges, strict=True)],
            "weights": [_edges(weights, truth) for truth in true_edges],
        },
        unconnected=float(np.abs(silent).max(initial=0.0)),
        decoding=decoded,
        decoded_as="accuracy" if infers else "R^2",
        isolation=isolation(case, task, found.circuits[0].units, found.judging) if infers else None,
    )


def is_inference(task: Task) -> bool:
    """Whether the latent is the state of an HMM, and the target the law of the next one."""
    return bool(np.all(task.latent == np.round(task.latent)))


def isolation(
    case: Case, task: Task, circuit: Bool[np.ndarray, " N"], trials: Int[np.ndarray, " b"]
) -> Isolation:
    """The readout's KL from the exact law with nothing, all else, and the circuit held.

    In some trials, best not those that chose the circuit.
    """
    whole, target, case = (0, len(case.inputs)), task.target[:, trials], case.trials(trials)
    means = clean_run(case).states.mean((0, 1))[None, None, None]
    laws = [
        replaced_run(case, group, whole, means, 0).logits
        for group in (np.zeros_like(circuit), ~circuit, circuit)
    ]
    return Isolation(*(divergence(target, readout) for readout in laws))


def divergence(exact: Float[Array, "T B K"], readout: Float[Array, "T B K"]) -> float:
    """Mean KL(exact | readout) in nats; one output is log odds, several are log-probabilities."""
    p, q = (_log_law(np.asarray(x, float)) for x in (exact, readout))
    return float((np.exp(p) * (p - q)).sum(-1).mean())


def _log_law(x: Float[np.ndarray, "T B K"]) -> Float[np.ndarray, "T B M"]:
    several = np.concatenate([np.zeros_like(x), x], axis=-1) if x.shape[-1] == 1 else x
    return log_softmax(several, axis=-1)


def _edges(strength: Float[np.ndarray, "N N"], truth: Bool[np.ndarray, "N N"]) -> Score:
    return score(np.asarray(strength, float).ravel(), truth.ravel())
