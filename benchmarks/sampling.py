"""Time to draw 30 000 sequences of length 100 from an HMM: ours against hmmlearn.

    python -m benchmarks sampling

hmmlearn draws a tenth of the sequences, since its loop takes the same time for each, and its times
are scaled by 10.
"""

import itertools
from collections.abc import Iterator

import jax
import numpy as np

from benchmarks.measure import Comparison, Work, compare
from benchmarks.plan import Plan
from hmmrnn.hmm import HMM, preset, sample_batch


def cases(plan: Plan) -> Iterator[Comparison]:
    """The one comparison."""
    n, n_steps = (40, 6) if plan.small else (30_000, 100)
    hmm = preset(plan.preset)
    counter = itertools.count()
    yield compare(
        f"sampling of {n} sequences, T={n_steps}",
        lambda: sample_batch(hmm, n, n_steps, jax.random.key(next(counter))),
        None if plan.ours_only else hmmlearn_sampling(hmm, n // 10, n_steps),
        plan.rounds,
        share=0.1,
        baseline="hmmlearn",
    )


def hmmlearn_sampling(hmm: HMM, n: int, n_steps: int) -> Work:
    """Each call draws `n` sequences of the same HMM in hmmlearn."""
    from hmmlearn.hmm import CategoricalHMM

    model = CategoricalHMM(hmm.n_states)
    model.startprob_, model.transmat_ = np.array(hmm.initial), np.array(hmm.transition)
    model.emissionprob_ = np.array(hmm.emission)
    model.n_features = hmm.n_symbols

    def work() -> None:
        for i in range(n):
            model.sample(n_steps, random_state=i)

    return work
