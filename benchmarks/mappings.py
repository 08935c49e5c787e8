"""Memory mappings of a process in which many networks are trained and surveyed, one after another.

    python -m benchmarks mappings --ours-only

Forty learning rates, then ten hidden sizes, each trained for two epochs and its dynamics surveyed
at small sizes. On a CPU a compiled program takes some mappings; Linux allows a process 65 530, and
XLA aborts there. Fewer than 5 000 are to be added at any time.
"""

from collections.abc import Iterator

import jax
import numpy as np

from benchmarks.measure import Comparison
from benchmarks.plan import Plan
from hmmrnn import TrainConfig, train
from hmmrnn.dynamics import Course, Sizes, survey
from hmmrnn.hmm import preset
from hmmrnn.programs import n_mappings

SIZES = Sizes(n_trajectories=16, n_steps=100, n_starts=16, n_states=32)


def cases(plan: Plan) -> Iterator[Comparison]:
    """The most that were added, and those that were left."""
    n_rates, n_sizes = (2, 2) if plan.small else (40, 10)
    rates = [{"train": {"learning_rate": 1e-4 * 1.1**i}} for i in range(n_rates)]
    sizes = [{"net": {"hidden_size": 16 + i}} for i in range(1, n_sizes + 1)]
    jax.clear_caches()  # of other parts
    before, counts = n_mappings(), list[int]()
    for change in rates + sizes:
        train_and_survey(smoke().replace(**change))
        counts.append(n_mappings() - before)
    case = f"mappings added by {n_rates} learning rates and {n_sizes} hidden sizes"
    note = f"at most; {before} before, {counts[0]} by the first, {counts[n_rates - 1]} by all rates"
    yield Comparison(case, (float(max(counts)),), unit="", note=note)


def smoke() -> TrainConfig:
    """The plumbing of a training: two epochs of a small network."""
    options = {"epochs": 2, "snapshot_every": 1}
    return TrainConfig.profile("smoke", preset("linear3")).replace(train=options)


def train_and_survey(config: TrainConfig) -> None:
    """As a user does for each network."""
    key_train, key_survey = jax.random.split(jax.random.key(0))
    fit = train(config, 1.0, key_train)
    course = Course(fit.snapshots.epochs, fit.snapshots.params, np.asarray(fit.records.loss))
    survey(fit, course, key_survey, SIZES)
