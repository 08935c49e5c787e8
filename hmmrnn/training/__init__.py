"""Training: configuration records, `train(config, noise_std, key) -> Fit`, and run folders.

Training into a folder, with checkpoints, is `hmmrnn.training.run.train_run`; it is imported by
name only, because orbax takes seconds to load.
"""

from hmmrnn.training.config import DataConfig, OptimConfig, TrainConfig
from hmmrnn.training.ensemble import member, train, train_ensemble
from hmmrnn.training.fit import Fit, Progress
from hmmrnn.training.floor import loss_floor
from hmmrnn.training.origin import read_origin
from hmmrnn.training.run_folder import RunSpec, load, read_spec
from hmmrnn.training.step import Records

__all__ = [
    "DataConfig",
    "Fit",
    "OptimConfig",
    "Progress",
    "Records",
    "RunSpec",
    "TrainConfig",
    "load",
    "loss_floor",
    "member",
    "read_origin",
    "read_spec",
    "train",
    "train_ensemble",
]
