"""One epoch of the paper's recipe with validation: ours against PyTorch and geomloss.

    python -m benchmarks epoch

10 000 sequences of length 100 in batches of 4096, 4096 and 1808, then two full batches held out.
Both sides validate after each epoch; the recipe does after every tenth.
"""

import itertools
from collections.abc import Iterator

import jax
import jax.numpy as jnp

from benchmarks.measure import Comparison, Work, compare
from benchmarks.plan import Plan
from hmmrnn import TrainConfig
from hmmrnn.training.data import FixedData, make_data, one_hot
from hmmrnn.training.ensemble import ALONE, run_chunk
from hmmrnn.training.step import init_state


def cases(plan: Plan) -> Iterator[Comparison]:
    """The one comparison."""
    config = plan.config(16, 6, n_sequences=120) if plan.small else plan.config(4096, 100)
    config = config.replace(train={"validate_every": 1})  # as the baseline does
    data = make_data(config, jax.random.key(0))
    theirs = None if plan.torch is None else their_epoch(plan, config, data)
    case = f"epoch of {len(data.train)} sequences, T={config.data.n_steps}"
    yield compare(case, our_epoch(config, data), theirs, plan.rounds)


def our_epoch(config: TrainConfig, data: FixedData) -> Work:
    """Each call goes on by one epoch."""
    key_init, key_steps = jax.random.split(jax.random.key(1))
    of_one = init_state(config, key_init), data, jnp.ones(()), key_steps
    state, *given = jax.tree.map(lambda leaf: leaf[None], of_one)
    counter = itertools.count()

    def work() -> object:
        nonlocal state
        state, records = run_chunk(config, ALONE, state, *given, 1, next(counter))
        return state, records

    return work


def their_epoch(plan: Plan, config: TrainConfig, data: FixedData) -> Work:
    """Each call goes on by one epoch of the baseline."""
    trainer = plan.trainer(config)
    train, held_out = (plan.torch.tensor(one_hot(config, symbols)) for symbols in data[:2])
    return lambda: trainer.epoch(train, held_out, config.train.batch_size)
