"""Matched Euclidean distance of HMM samples at other lengths and numbers of pairs.

Usage: `python scripts/matched_distance.py linear3 100 6000` (preset, steps, pairs); about 7 seconds
for 6000 pairs on 2 CPU cores. Prints 7.299; the paper gives 7.29 for `linear3`.
"""

import sys

import jax
import numpy as np

from hmmrnn.fidelity import matched_distances
from hmmrnn.hmm import preset, sample_batch


def main(name: str, n_steps: int, n_pairs: int) -> None:
    """Print the mean distance of two independent samples of a preset."""
    hmm = preset(name)
    x, y = (np.asarray(sample_batch(hmm, n_pairs, n_steps, jax.random.key(i))[1]) for i in (0, 1))
    print(
        f"{name} T={n_steps} pairs={n_pairs}: {matched_distances(x, y, hmm.n_symbols).mean():.3f}"
    )


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
