"""A number of the network beside the same number of its HMM."""

from typing import NamedTuple

from hmmrnn.intervals import Estimate


class Compared(NamedTuple):
    """A statistic of the network beside what the HMM itself shows."""

    network: Estimate
    floor: Estimate  # the same statistic of an HMM sample of the same size
    exact: float | None  # its value for the HMM, where it is known in closed form
