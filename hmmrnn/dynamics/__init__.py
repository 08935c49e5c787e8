"""Dynamics: how the state of a network moves, with its noise and without it."""

from hmmrnn.dynamics.end_states import EndStates, end_states
from hmmrnn.dynamics.pca import PCA, pca, project
from hmmrnn.dynamics.portrait import Portrait, numbers, portrait
from hmmrnn.dynamics.transitions import (
    dwell_moments,
    net_cycles,
    preferred_symbols,
    transitions,
)

__all__ = [
    "PCA",
    "EndStates",
    "Portrait",
    "dwell_moments",
    "end_states",
    "net_cycles",
    "numbers",
    "pca",
    "portrait",
    "preferred_symbols",
    "project",
    "transitions",
]
