"""What a planted task is: a network, its trials, and which units do the work, and when."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from jaxtyping import Array, Bool, Float

from hmmrnn.errors import InputError
from hmmrnn.nets import Network
from hmmrnn.results import result

Windows = Mapping[str, tuple[int, int]]


@result
class Task(NamedTuple):
    """A network with a known mechanism, at work: `network.run(h0, inputs)` runs it.

    Step t of a window is row t of `inputs` and of the states of that run. Steps in which
    it is not clear who is at work lie in no window. `edges` and `unconnected` are about weights;
    in a window, the edges at work are those between units of its truth.
    """

    network: Network  # its noise level is that of the private noise
    inputs: Float[Array, "T B D"]  # the task's own inputs, then the private noise of each unit
    h0: Float[Array, "B N"]
    target: Float[Array, "T B K"]  # what the readout should be
    latent: Float[np.ndarray, "T B"]  # what it is about: an angle in radians, an HMM's state
    windows: Windows  # name: first step and the step after the last
    truth: Bool[np.ndarray, "W N"]  # the units at work in each window, in the order of `windows`
    edges: Bool[np.ndarray, "N N"]  # (receiver, sender): planted weights between such units
    unconnected: Bool[np.ndarray, " N"]  # no path leads from the unit to the readout
    groups: Mapping[str, Bool[np.ndarray, " N"]]


def without_path(
    W_rec: Float[np.ndarray, "N N"], W_out: Float[np.ndarray, "K N"]
) -> Bool[np.ndarray, " N"]:
    """The units from which no path of nonzero weights leads to the readout."""
    reached = (W_out != 0).any(0)
    while True:
        further = reached | (W_rec[reached] != 0).any(0)
        if (further == reached).all():
            return ~reached
        reached = further


def check_at_least(low: float, **values: float) -> None:
    """Refuse values below `low`, and NaN.

    Raises:
        InputError: names the first such value.
    """
    for name, value in values.items():
        if not value >= low:
            raise InputError(f"{name}={value}: must be at least {low}")
