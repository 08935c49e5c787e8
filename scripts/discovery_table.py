"""How right circuit discovery is where the circuit is known: the worst of several networks.

    python scripts/discovery_table.py [--seeds=5] [--only=ring|filter|trained|robustness]

Prints a Markdown table, a line for each kind of network: AUPRC and precision in the worst window,
timing, the best baseline, edges, and for filters what the circuit does alone. With 5 seeds about
20 minutes on 2 CPU cores.
"""

import argparse
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import NamedTuple

import jax
import numpy as np

from hmmrnn.arrays import Key
from hmmrnn.cli.launch import set_global_switches
from hmmrnn.discovery import (
    baselines,
    case_of,
    edge_attribution,
    effects,
    halves,
    judged,
    random_k_class,
    score,
    smallest_faithful,
    stand_ins,
    units,
)
from hmmrnn.discovery.known_truth import isolation
from hmmrnn.tasks import Task, hmm_inference, ring_attractor, trained_inference
from hmmrnn.tasks.ring import CONDITIONS

GIVEAWAY = "weights out"
"""The planted core drives all distractors, so that its outgoing weights are the largest."""
NOISES = (0.0, 0.1, 0.3, 1.0)

Make = Callable[[Key], Task]
Row = dict[str, float]


class Keys(NamedTuple):
    """Of one network and its analysis."""

    task: Key
    case: Key
    values: Key
    probes: Key
    other: Key


def units_row(make: Make, seed: int) -> Row:
    """How well single interventions find the units."""
    keys = Keys(*jax.random.split(jax.random.key(seed), 5))
    task = make(keys.task)
    case = case_of(task, keys.case)
    values = stand_ins(case, "mean")
    found = effects(case, units(case), values).mean(-1).astype(float)
    truth = np.asarray(task.truth)
    scores = [score(*rows) for rows in zip(found, truth, strict=True)]
    rivals = {
        name: [score(*rows).auprc for rows in zip(strength, truth, strict=True)]
        for name, strength in baselines(case, keys.other).items()
    }
    found_auprc = np.array([s.auprc for s in scores])
    activity = {name: row for name, row in rivals.items() if name != GIVEAWAY}
    return {
        "AUPRC": found_auprc.min(),
        "precision": min(s.precision for s in scores),
        "timing": score(found.ravel(), truth.ravel()).auprc,
        "margin": (found_auprc - np.max(list(activity.values()), axis=0)).min(),
        "margin over weights out": (found_auprc - rivals[GIVEAWAY]).min(),
        "-unconnected": -float(np.abs(found[:, task.unconnected]).max(initial=0.0)),
        **_relays(task, found),
    }


def _relays(task: Task, found: np.ndarray) -> Row:
    """Minus the largest effect of a cue relay outside of the cue, over the median one inside."""
    names = list(task.windows)
    if "cue" not in names:
        return {}
    relays = found[:, task.groups["relays"]]
    inside = names.index("cue")
    return {"-relays": -float(np.delete(relays, inside, 0).max() / np.median(relays[inside]))}


def edges_row(make: Make, seed: int) -> Row:
    """How well attribution finds the edges."""
    keys = Keys(*jax.random.split(jax.random.key(seed), 5))
    task = make(keys.task)
    case = case_of(task, keys.case)
    found = edge_attribution(case, stand_ins(case, "mean"), keys.probes)
    truth = task.edges & task.truth[:, :, None] & task.truth[:, None]
    return {
        "edges": min(
            score(strength.ravel().astype(float), true.ravel()).auprc
            for strength, true in zip(found, truth, strict=True)
        )
    }


def filter_row(make: Make, seed: int) -> Row:
    """What the circuit of a filter does alone, and what decoding says of it."""
    keys = Keys(*jax.random.split(jax.random.key(seed), 5))
    task = make(keys.task)
    case = case_of(task, keys.case)
    which = halves(len(case.h0), keys.other)
    choosing, judging = (case.trials(trials) for trials in which)
    chooses, judges = (stand_ins(half, "mean") for half in (choosing, judging))
    strength = effects(choosing, units(choosing), chooses).mean(-1)
    chosen = smallest_faithful(choosing, strength, chooses)
    (circuit,) = judged(judging, chosen, strength, judges, keys.probes)
    alone = isolation(case, task, circuit.units, which[1])
    train = np.arange(len(case.h0)) % 2 == 0
    decoded = random_k_class(case, task.latent, np.asarray(task.truth[0]), train, 100, keys.other)
    return {
        "faithfulness": circuit.faithfulness.value,
        "-KL of all": -alone.full,
        "-KL of circuit": -alone.isolated,
        "KL to spare": 2 * alone.full + 1e-3 - alone.isolated,
        "decoded by circuit": decoded.circuit,
        "-decoded by random units": -decoded.random,
        "decoded, circuit less random": decoded.circuit - decoded.random,
    }


def worst(make: Make, rows: tuple[Callable[[Make, int], Row], ...], seeds: range) -> Row:
    """The smallest of each number over networks."""
    found: dict[str, list[float]] = {}
    for seed in seeds:
        for row in rows:
            for name, value in row(make, seed).items():
                found.setdefault(name, []).append(float(value))
    return {name: min(values) for name, values in found.items()}


def ring(condition: str, contamination: float, noise_std: float) -> Make:
    """Rings of one condition."""
    return partial(
        ring_attractor, condition=condition, contamination=contamination, noise_std=noise_std
    )


def table(seeds: range, only: str | None) -> Iterator[tuple[str, Row]]:
    """All lines, as they are measured."""
    conditions: Mapping[str, tuple[float, float]] = {
        "clean": (0.0, 0.0),
        "contaminated 0.2, noise 0.1": (0.2, 0.1),
    }
    if only in (None, "ring"):
        for state, (contamination, noise) in conditions.items():
            for condition in CONDITIONS:
                make = ring(condition, contamination, noise)
                yield f"ring {condition}, {state}", worst(make, (units_row, edges_row), seeds)
    for name, make in (("filter", hmm_inference), ("trained", trained_inference)):
        for contamination in (0.0, 0.01, 0.02, 0.05) if only in (None, name) else ():
            noise = 0.1 if contamination else 0.0
            chosen = partial(make, contamination=contamination, noise_std=noise)
            line = f"{name}, contaminated {contamination}, noise {noise}"
            yield line, worst(chosen, (units_row, edges_row, filter_row), seeds)
    if only in (None, "robustness"):
        for noise in NOISES:
            for condition in CONDITIONS:
                made = worst(ring(condition, 0.2, noise), (units_row,), seeds)
                yield f"ring {condition}, contaminated 0.2, noise {noise}", made
            chosen = partial(hmm_inference, contamination=0.02, noise_std=noise)
            made = worst(chosen, (units_row, filter_row), seeds)
            yield f"filter, contaminated 0.02, noise {noise}", made


def main() -> None:
    """Print the lines as they come."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=5, help="networks of each kind")
    parser.add_argument("--only", choices=("ring", "filter", "trained", "robustness"))
    asked = parser.parse_args()
    set_global_switches()
    for name, row in table(range(asked.seeds), asked.only):
        numbers = "; ".join(f"{key} {value:.3g}" for key, value in row.items())
        print(f"| {name} | {numbers} |", flush=True)


if __name__ == "__main__":
    main()
