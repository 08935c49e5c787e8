"""Networks: the cells, the network with its one simulator, and emission sampling."""

from hmmrnn.nets.cells import NetConfig, RNNCell, init_params, make_cell
from hmmrnn.nets.emission import sample_symbols, straight_through
from hmmrnn.nets.long_runs import BOUNDED, LONG_RUN_STEPS, LongRun, long_run
from hmmrnn.nets.network import NO_INTERVENTION, Intervention, Network, Trajectory

__all__ = [
    "BOUNDED",
    "LONG_RUN_STEPS",
    "NO_INTERVENTION",
    "Intervention",
    "LongRun",
    "NetConfig",
    "Network",
    "RNNCell",
    "Trajectory",
    "init_params",
    "long_run",
    "make_cell",
    "sample_symbols",
    "straight_through",
]
