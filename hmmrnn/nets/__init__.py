"""Networks: the cells, the one simulator, and emission sampling."""

from hmmrnn.nets.cells import (
    NetConfig,
    RNNCell,
    drive,
    init_params,
    initial_state,
    make_cell,
    preactivation,
    readout,
    step,
)
from hmmrnn.nets.emission import sample_symbols, straight_through
from hmmrnn.nets.long_run import BOUNDED, LONG_RUN_STEPS, LongRun, long_run
from hmmrnn.nets.network import Network
from hmmrnn.nets.simulator import (
    NO_INTERVENTION,
    Intervention,
    Trajectory,
    generate,
    rollout,
    simulate,
)

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
    "drive",
    "generate",
    "init_params",
    "initial_state",
    "long_run",
    "make_cell",
    "preactivation",
    "readout",
    "rollout",
    "sample_symbols",
    "simulate",
    "step",
    "straight_through",
]
