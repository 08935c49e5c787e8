"""One number over several networks: its mean, with an interval over networks."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from hmmrnn.arrays import Key
from hmmrnn.intervals import UNKNOWN, Estimate, bootstrap_weights
from hmmrnn.results import result


@result
class Across(NamedTuple):
    """A number of several networks, such as the seeds of one preset and loss."""

    networks: dict[str, Estimate]  # each with its interval over trajectories
    mean: Estimate  # over the networks where it is defined, interval by bootstrap over them
    n_valid: int  # how many those are


def across_networks(networks: Mapping[str, Estimate], key: Key) -> Across:
    """Mean of a number over networks. No interval for one network, NaN for none.

    The bootstrap knows only the networks at hand: with three its interval is too narrow.
    """
    values = np.array([entry.value for entry in networks.values()], np.float64)
    values = values[np.isfinite(values)]
    draws = bootstrap_weights(len(values), key) @ values if len(values) > 1 else values
    mean = Estimate.of(draws) if len(draws) else UNKNOWN
    return Across(dict(networks), mean, len(values))
