"""Whether a network has learned its HMM at all, or emits independent symbols still."""

from collections.abc import Mapping
from typing import Any

import numpy as np

LEARNED = 0.5
"""Share of what a symbol says about the next one that a network must have learned."""


def learned(measures: Mapping[str, Any]) -> bool:
    """Whether a network has left the plateau of independent symbols, from its `fidelity.json`.

    Independent symbols of the right shares miss the 2-grams of the HMM by the mutual information of
    neighbouring symbols. Learned means to miss less than half of that.
    """
    missed = measures["kl"]["2"]["network"]["value"]
    return missed is not None and bool(missed < (1 - LEARNED) * mutual_information(measures))


def mutual_information(measures: Mapping[str, Any]) -> float:
    """Nats that a symbol of the HMM says about the next one, from `fidelity.json`."""
    rows = np.array(measures["exact_transitions"], float)
    shares = np.array([share["exact"] for share in measures["symbol_shares"]], float)
    joint = np.nan_to_num(rows) * shares[:, None]
    independent = np.outer(joint.sum(axis=1), joint.sum(axis=0))
    some = joint > 0
    return float(np.sum(joint[some] * np.log(joint[some] / independent[some])))
