from . import (
    circuits,
    dynamics,
    fidelity,
    hmm,
    interop,
    losses,
    nets,
    sequences,
    training,
    zoo,
)
from .errors import (
    DivergingNetworkError,
    InputError,
    StorageError,
    TrainingDivergedError,
)
from .training import Fit, TrainConfig, load, train, train_ensemble

__all__ = [
    "DivergingNetworkError",
    "Fit",
    "InputError",
    "StorageError",
    "TrainConfig",
    "TrainingDivergedError",
    "circuits",
    "dynamics",
    "fidelity",
    "hmm",
    "interop",
    "load",
    "losses",
    "nets",
    "sequences",
    "train",
    "train_ensemble",
    "training",
    "zoo",
]
