"""Discovery: which units of a network at work matter, when, and through which connections.

`survey` does everything for a `Case`: a network, its trials, windows of steps, and a loss. A case
comes from your own network and trials (`case_of_trials`), from a planted task (`case_of`), whose
truth `judgement` then knows, or from the transitions of a trained network (`transition_case`). Its
parts, by file:

| file                               |                                                        |
|------------------------------------|--------------------------------------------------------|
| `interventions`                    | windowed interventions: zero, mean, resample, patch    |
| `attributions`                     | their effects from backward passes                     |
| `effective`                        | effective connectivity, over windows, towards readouts |
| `edges`                            | which connections matter                               |
| `selection`                        | circuits of units, chosen on one half of the trials    |
| `edge_circuits`                    | circuits of edges                                      |
| `redundancy`                       | redundancy                                             |
| `rankings`, `decoding`             | what must be beaten                                    |
| `judge`                            | AUPRC and precision at the true size                   |
"""

from hmmrnn.discovery.attributions import attribution
from hmmrnn.discovery.case import Case, case_of, case_of_trials, clean_run
from hmmrnn.discovery.decoding import random_k_class
from hmmrnn.discovery.edges import edge_attribution
from hmmrnn.discovery.interventions import Kind, effects, stand_ins, units
from hmmrnn.discovery.judge import score
from hmmrnn.discovery.kick_comparison import Overlap, overlaps
from hmmrnn.discovery.known_truth import Judgement, judgement
from hmmrnn.discovery.rankings import baselines
from hmmrnn.discovery.selection import halves, judged, of_size, smallest_faithful
from hmmrnn.discovery.surveys import Discovery, survey
from hmmrnn.discovery.transitions import Recorded, record_runs, transition_case

__all__ = [
    "Case",
    "Discovery",
    "Judgement",
    "Kind",
    "Overlap",
    "Recorded",
    "attribution",
    "baselines",
    "case_of",
    "case_of_trials",
    "clean_run",
    "edge_attribution",
    "effects",
    "halves",
    "judged",
    "judgement",
    "of_size",
    "overlaps",
    "random_k_class",
    "record_runs",
    "score",
    "smallest_faithful",
    "stand_ins",
    "survey",
    "transition_case",
    "units",
]
