"""Discovery: which units of a network at work matter, when, and through which connections.

`survey` does everything for a `Case`: a network, its trials, windows of steps, and a loss. A case
comes from your own network and trials (`case_of_trials`), from a planted task (`case_of`), whose
truth `judgement` then knows, or from the transitions of a trained network (`transition_case`). Its
parts, each a function of its own:

| function                           |                                                        |
|------------------------------------|--------------------------------------------------------|
| `effects`, `stand_ins`             | windowed interventions: zero, mean, resample, patch    |
| `attribution`                      | their effects from backward passes                     |
| `connectivity`, `transfer`, ...    | effective connectivity, over windows, towards readouts |
| `edge_attribution`, `edge_effects` | which connections matter                               |
| `smallest_faithful`, `judged`      | circuits of units, chosen on one half of the trials    |
| `edge_circuit`                     | circuits of edges                                      |
| `twins`, `group_effects`           | redundancy                                             |
| `baselines`, `random_k`            | what must be beaten                                    |
| `score`, `curve`                   | AUPRC and precision at the true size                   |
"""

from hmmrnn.discovery.attribution import METHODS, attribution
from hmmrnn.discovery.baselines import BASELINES, baselines
from hmmrnn.discovery.case import (
    Case,
    Lag,
    SquaredError,
    case_of,
    case_of_trials,
    checked,
    clean_run,
)
from hmmrnn.discovery.decoding import Decoding, random_k, random_k_class
from hmmrnn.discovery.edge_circuits import EdgeCircuit, edge_circuit
from hmmrnn.discovery.edges import edge_attribution, edge_effects
from hmmrnn.discovery.effective import (
    between_groups,
    connectivity,
    mean_connectivity,
    projected,
    readout_sensitivity,
    step_jacobian,
    transfer,
)
from hmmrnn.discovery.interventions import Kind, clean_losses, effects, losses, stand_ins, units
from hmmrnn.discovery.judge import Score, Verdict, curve, score
from hmmrnn.discovery.kick_comparison import Overlap, overlaps
from hmmrnn.discovery.known_truth import Isolation, Judgement, judgement
from hmmrnn.discovery.movie import Movie, movie
from hmmrnn.discovery.numbers import arrays, numbers
from hmmrnn.discovery.redundancy import GroupEffects, Twins, group_effects, twins
from hmmrnn.discovery.selection import (
    Circuit,
    Curve,
    curves,
    halves,
    judged,
    of_size,
    smallest_faithful,
)
from hmmrnn.discovery.survey import Agreement, Discovery, survey
from hmmrnn.discovery.transitions import Recorded, record_runs, transition_case

__all__ = [
    "BASELINES",
    "METHODS",
    "Agreement",
    "Case",
    "Circuit",
    "Curve",
    "Decoding",
    "Discovery",
    "EdgeCircuit",
    "GroupEffects",
    "Isolation",
    "Judgement",
    "Kind",
    "Lag",
    "Movie",
    "Overlap",
    "Recorded",
    "Score",
    "SquaredError",
    "Twins",
    "Verdict",
    "arrays",
    "attribution",
    "baselines",
    "between_groups",
    "case_of",
    "case_of_trials",
    "checked",
    "clean_losses",
    "clean_run",
    "connectivity",
    "curve",
    "curves",
    "edge_attribution",
    "edge_circuit",
    "edge_effects",
    "effects",
    "group_effects",
    "halves",
    "judged",
    "judgement",
    "losses",
    "mean_connectivity",
    "movie",
    "numbers",
    "of_size",
    "overlaps",
    "projected",
    "random_k",
    "random_k_class",
    "readout_sensitivity",
    "record_runs",
    "score",
    "smallest_faithful",
    "stand_ins",
    "step_jacobian",
    "survey",
    "transfer",
    "transition_case",
    "twins",
    "units",
]
