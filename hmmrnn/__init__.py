"""Train noise-driven recurrent networks to emulate hidden Markov models, and find out how."""

from hmmrnn import (
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
from hmmrnn.errors import (
    DivergingNetworkError,
    InputError,
    StorageError,
    TrainingDivergedError,
)
from hmmrnn.training import Fit, TrainConfig, load, train, train_ensemble

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
