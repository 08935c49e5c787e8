"""Circuits: which units make a network switch, found by algorithm and tested by intervention.

`survey` does everything, `survey_many` for many networks. Its parts, each a file:

| find                |                                                                      |
|---------------------|----------------------------------------------------------------------|
| `kick_neurons`      | units that fire only with a change, and push it                      |
| `populations`       | units that excite one kick group and inhibit the other               |
| `connectivity`      | weights between groups, against shuffles                             |
| `composition`       | what the circuits of different pairs share                           |
| `find`              | all of these                                                         |

| test                |                                                                      |
|---------------------|----------------------------------------------------------------------|
| `pair_tests`        | all interventions on one ordered pair                                |
| `dose_responses`    | gains from 0 to 2 on a group, beside matched controls                |
| `ablations`         | parts alone and together, silent or all that is left                 |
| `windows`           | silence for three steps around a change: when each group matters     |
| `pulses`            | pulses into a group from the middle of a cluster                     |
| `noise_replay`      | the noise of real changes, into some units only                      |
| `resonance`         | regularity of changes against the noise into the populations         |
| `verdict`           | the rule by which the paper's account holds or not                   |

| whichever way it works |                                                                   |
|------------------------|-------------------------------------------------------------------|
| `state_transitions`    | all of these for one ordered pair                                 |
| `carriers`             | units that carry the state, and what holds it                     |
| `optimal_kick`         | the least noise that takes the network over                       |
| `kick_tests`           | that kick injected, and looked for in the noise of real changes   |
"""

from hmmrnn.circuits.find import KickCircuit, find_kick_circuit
from hmmrnn.circuits.surveys import CircuitSurvey, Sizes, survey, survey_many

__all__ = [
    "CircuitSurvey",
    "KickCircuit",
    "Sizes",
    "find_kick_circuit",
    "survey",
    "survey_many",
]
