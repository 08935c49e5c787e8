"""Circuits: which units make a network switch, found by algorithm and proved by intervention.

`survey` does everything, `survey_many` for many networks. Its parts, each a function of its own:

| find                |                                                                      |
|---------------------|----------------------------------------------------------------------|
| `record`            | driven runs with noise, pre-activations and residency zones          |
| `find_events`       | lasting changes of the preferred symbol, by ordered pair             |
| `kick_neurons`      | units that fire only with a change, and push it                      |
| `population`        | units that excite one kick group and inhibit the other               |
| `weight_blocks`     | weights between groups, against shuffles                             |
| `composition`       | what the circuits of different pairs share                           |
| `find_kick_circuit` | all of these                                                         |

| prove               |                                                                      |
|---------------------|----------------------------------------------------------------------|
| `dials`             | gains from 0 to 2 on a group, beside matched controls                |
| `parts`             | parts alone and together, silent or all that is left                 |
| `windowed_runs`     | silence for three steps around a change: when each group matters     |
| `pulsed_runs`       | pulses into a group from the middle of a cluster                     |
| `replayed_runs`     | the noise of real changes, into some units only                      |
| `resonance`         | regularity of changes against the noise into the populations         |
| `criteria`          | the rule by which the paper's account holds or not                   |

| whichever way it works |                                                                   |
|------------------------|-------------------------------------------------------------------|
| `carriers`, `holding`  | units that carry the state, and what holds it                     |
| `push_over`            | the optimal kick in the noise, tested by injection                |
| `account`              | sentences with an intervention behind each                        |
"""

from hmmrnn.circuits.account import account
from hmmrnn.circuits.composition import Composition, composition
from hmmrnn.circuits.connectivity import Blocks, weight_blocks
from hmmrnn.circuits.controls import Controls, matched_controls
from hmmrnn.circuits.dials import Dial, Group, dials
from hmmrnn.circuits.events import Events, find_events
from hmmrnn.circuits.experiment import Experiment, experiment, measure
from hmmrnn.circuits.find import KickCircuit, PairCircuit, circuit_of, find_kick_circuit
from hmmrnn.circuits.kick_injection import PushOver, push_over
from hmmrnn.circuits.kick_neurons import KickNeurons, kick_neurons, kick_score
from hmmrnn.circuits.noise_replay import ReplayEffects, replayed_runs
from hmmrnn.circuits.optimal_kick import OptimalKick
from hmmrnn.circuits.outcomes import Outcomes, outcomes
from hmmrnn.circuits.parts import Parts, parts
from hmmrnn.circuits.populations import Population, population
from hmmrnn.circuits.prove import Proof, Setting, prove
from hmmrnn.circuits.pulses import PulseEffects, pulsed_runs
from hmmrnn.circuits.recording import Recording, record
from hmmrnn.circuits.resonance import Resonance, TimeScales, resonance, time_scales
from hmmrnn.circuits.state_units import Carriers, Holding, carriers, holding
from hmmrnn.circuits.survey import CircuitSurvey, Sizes, survey, survey_many
from hmmrnn.circuits.survey import numbers as survey_numbers
from hmmrnn.circuits.switching import Switching, switching
from hmmrnn.circuits.verdict import Criteria, criteria, network_verdict
from hmmrnn.circuits.windows import WindowEffects, unit_push, window_effects, windowed_runs

__all__ = [
    "Blocks",
    "Carriers",
    "CircuitSurvey",
    "Composition",
    "Controls",
    "Criteria",
    "Dial",
    "Events",
    "Experiment",
    "Group",
    "Holding",
    "KickCircuit",
    "KickNeurons",
    "OptimalKick",
    "Outcomes",
    "PairCircuit",
    "Parts",
    "Population",
    "Proof",
    "PulseEffects",
    "PushOver",
    "Recording",
    "ReplayEffects",
    "Resonance",
    "Setting",
    "Sizes",
    "Switching",
    "TimeScales",
    "WindowEffects",
    "account",
    "carriers",
    "circuit_of",
    "composition",
    "criteria",
    "dials",
    "experiment",
    "find_events",
    "find_kick_circuit",
    "holding",
    "kick_neurons",
    "kick_score",
    "matched_controls",
    "measure",
    "network_verdict",
    "outcomes",
    "parts",
    "population",
    "prove",
    "pulsed_runs",
    "push_over",
    "record",
    "replayed_runs",
    "resonance",
    "survey",
    "survey_many",
    "survey_numbers",
    "switching",
    "time_scales",
    "unit_push",
    "weight_blocks",
    "window_effects",
    "windowed_runs",
]
