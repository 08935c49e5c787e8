"""The paper's recipe, epoch after epoch, by whatever checkout stands first in PYTHONPATH.

    PYTHONPATH=CHECKOUT python benchmarks/elsewhere.py PRESET FILE

Says `ready` after the first epoch, then trains one more for each line that it reads and prints the
seconds it took. The parameters after the third one go to FILE. It asks for nothing but what all
checkouts have had.
"""

import sys
import tempfile
import time
from pathlib import Path

import jax
import numpy as np

from hmmrnn import TrainConfig
from hmmrnn.cli.launch import set_global_switches
from hmmrnn.hmm import preset
from hmmrnn.training import Progress, RunSpec
from hmmrnn.training.run import train_run

KEPT_AFTER = 3


class Server:
    """Follows a training, which waits for a line before each epoch but the first."""

    def __init__(self, path: str) -> None:
        self.path, self.began = path, 0.0

    def __call__(self, progress: Progress) -> None:
        """Say how long the last epoch took, and wait."""
        done = int(jax.block_until_ready(progress).state.epoch)
        seconds = time.perf_counter() - self.began
        if done == 0:
            return
        if done == KEPT_AFTER:
            np.savez(self.path, **{k: np.asarray(v) for k, v in progress.state.params.items()})
        print("ready" if done == 1 else seconds, flush=True)
        if not sys.stdin.readline():
            raise SystemExit
        self.began = time.perf_counter()


def main(name: str, path: str) -> None:
    """Serve epochs."""
    set_global_switches()
    spec = RunSpec(TrainConfig.profile("paper", preset(name)), 1.0, 1)
    with tempfile.TemporaryDirectory() as folder:
        train_run(Path(folder) / "run", spec, observe=Server(path))


if __name__ == "__main__":
    main(*sys.argv[1:])
