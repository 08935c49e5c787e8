"""How a network switches, whichever way it works: what carries the state, holds it, pushes it."""

from typing import NamedTuple

import numpy as np

from hmmrnn.arrays import Key, named_keys
from hmmrnn.circuits.assays import Assay
from hmmrnn.circuits.carriers import Carriers, Holding, carriers, holding
from hmmrnn.circuits.kick_tests import KickTest, kick_test
from hmmrnn.circuits.pair_tests import Windows, windowed
from hmmrnn.interventions.controls import activity_and_norm, matched_controls
from hmmrnn.recordings.clusters import cluster_starts, in_cluster
from hmmrnn.results import result

N_STARTS = 128
N_CONTROLS = 5


@result
class StateTransition(NamedTuple):
    """The measurements behind the account of one ordered pair of symbols."""

    pair: tuple[int, int]
    carriers: Carriers
    holding: Holding
    push: KickTest
    windows: Windows | None  # carriers of both symbols and the units that the kick drives most


def state_transition(assay: Assay, pair: tuple[int, int], key: Key) -> StateTransition | None:
    """Measure how the network gets from pair[0] to pair[1]; None where a cluster is missing."""
    keys = named_keys(key, ("starts", "controls", "holding", "push", "windows"))
    network, recording, weights = assay.network, assay.recording, assay.weights
    if not all(in_cluster(recording, symbol).any() for symbol in pair):
        return None
    found = carriers(
        recording.states,
        recording.symbols,
        recording.zone,
        network.params["W_out"],
        pair,
        weights,
    )
    inside = np.asarray(recording.states)[in_cluster(recording, pair[0])]
    activity, norm = activity_and_norm(network.params, inside)
    rivals = matched_controls(activity, norm, found.in_s, found.in_t, N_CONTROLS, keys["controls"])
    starts = cluster_starts(recording, pair[0], N_STARTS, keys["starts"])
    push = kick_test(network, recording, found, weights, keys["push"])
    groups = dict(zip(push.groups.names, push.groups.masks, strict=True))
    return StateTransition(
        pair=pair,
        carriers=found,
        holding=holding(
            network,
            starts,
            found,
            rivals.masks,
            weights,
            keys["holding"],
        ),
        push=push,
        windows=windowed(assay, pair, groups, keys["windows"]),
    )
