"""Time to draw 30 000 sequences of length 100 from an HMM: ours against hmmlearn.

    python -m benchmarks.sampling

About 20 seconds on 2 CPU cores. Alternates the two, prints medians and their ratio. hmmlearn
draws a tenth of the sequences, since its loop takes the same time for each, and is scaled by 10.
"""

import statistics
import time
from collections.abc import Callable

import jax
import numpy as np
from hmmlearn.hmm import CategoricalHMM

from hmmrnn.hmm import HMM, preset, sample_batch

N_SEQUENCES, N_STEPS, ROUNDS = 30_000, 100, 5


def seconds(work: Callable[[], object]) -> float:
    """Wall time of one call."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def theirs(hmm: HMM) -> CategoricalHMM:
    """The same HMM in hmmlearn."""
    model = CategoricalHMM(hmm.n_states)
    model.startprob_, model.transmat_ = np.array(hmm.initial), np.array(hmm.transition)
    model.emissionprob_ = np.array(hmm.emission)
    model.n_features = hmm.n_symbols
    return model


def main() -> None:
    """Measure and print."""
    hmm = preset("linear2")
    model = theirs(hmm)

    def ours(i: int) -> None:
        jax.block_until_ready(sample_batch(hmm, N_SEQUENCES, N_STEPS, jax.random.key(i)))

    def hmmlearn() -> None:
        for i in range(N_SEQUENCES // 10):
            model.sample(N_STEPS, random_state=i)

    ours(0)
    rounds = [(seconds(lambda i=i: ours(i)), 10 * seconds(hmmlearn)) for i in range(1, ROUNDS + 1)]
    mine, other = (statistics.median(column) for column in zip(*rounds, strict=True))
    ratios = sorted(b / a for a, b in rounds)
    print(f"hmmrnn {mine:.3f} s, hmmlearn {other:.1f} s")
    print(f"ratio {statistics.median(ratios):.0f} ({ratios[0]:.0f} to {ratios[-1]:.0f})")


if __name__ == "__main__":
    main()
