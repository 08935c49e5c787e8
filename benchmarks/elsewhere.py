"""The paper's recipe, epoch after epoch, by whatever checkout stands first in PYTHONPATH.

    PYTHONPATH=CHECKOUT python benchmarks/elsewhere.py PRESET FILE

Says `ready` after the first epoch, then trains one more for each line that it reads and prints the
seconds it took. The parameters after the third one go to FILE. It asks for nothing but what all
checkouts have had.
"""

import sys
import time

import jax
import numpy as np

from hmmrnn import TrainConfig
from hmmrnn.cli.launch import set_global_switches
from hmmrnn.hmm import preset
from hmmrnn.training.fit import advance, start

KEPT_AFTER = 3


def main(name: str, path: str) -> None:
    """Serve epochs."""
    set_global_switches()
    config, key = TrainConfig.profile("paper", preset(name)), jax.random.key(1)
    epochs = advance(config, 1.0, start(config, key), key)
    jax.block_until_ready(next(epochs))
    print("ready", flush=True)
    for done, _ in enumerate(sys.stdin, 2):
        begin = time.perf_counter()
        progress = jax.block_until_ready(next(epochs))
        seconds = time.perf_counter() - begin
        if done == KEPT_AFTER:
            np.savez(path, **{k: np.asarray(v) for k, v in progress.state.params.items()})
        print(seconds, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
