"""Networks: the cells, the one simulator, and emission sampling."""

from hmmrnn.nets.cells import (
    NetConfig,
    RNNCell,
    drive,
    init_params,
    initial_state,
    make_cell,
    readout,
    step,
)
from hmmrnn.nets.emission import sample_symbols, straight_through
from hmmrnn.nets.network import Network
from hmmrnn.nets.simulator import (
    NO_INTERVENTION,
    Intervention,
    Run,
    Trajectory,
    generate,
    rollout,
    run,
    simulate,
)

__all__ = [
    "NO_INTERVENTION",
    "Intervention",
    "NetConfig",
    "Network",
    "RNNCell",
    "Run",
    "Trajectory",
    "drive",
    "generate",
    "init_params",
    "initial_state",
    "make_cell",
    "readout",
    "rollout",
    "run",
    "sample_symbols",
    "simulate",
    "step",
    "straight_through",
]
