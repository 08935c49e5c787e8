"""Trained networks that come with the package: six HMMs, two losses, five seeds each.

net = hr.zoo.load("linear2", loss="reference", seed=0)
hr.zoo.unpack("runs/linear2", "linear2", loss="reference", seed=0)     # a run folder
"""

from hmmrnn.zoo.entries import Entry, unpack
from hmmrnn.zoo.entries import list_networks as list
from hmmrnn.zoo.entries import load_network as load

__all__ = ["Entry", "list", "load", "unpack"]
