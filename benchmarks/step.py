"""One training step of the paper's recipe, target given: ours against PyTorch and geomloss.

    python -m benchmarks step

The floor is the time of the step's matrix products: drive, recurrence, readout, loss.
"""

import itertools
from collections.abc import Iterator
from functools import partial

import jax

from benchmarks.measure import Comparison, Work, compare
from benchmarks.plan import Plan, step_flops
from hmmrnn import TrainConfig
from hmmrnn.training.data import fresh_batch
from hmmrnn.training.step import init_state, train_step


def cases(plan: Plan) -> Iterator[Comparison]:
    """One comparison for each size."""
    for n, n_steps in plan.sizes:
        config = plan.config(n, n_steps)
        theirs = None if plan.torch is None else their_step(plan, config)
        floor = plan.floor(step_flops(config))
        case = f"step B={n} T={n_steps}"
        yield compare(case, our_step(config), theirs, plan.rounds, floor=floor)


def our_step(config: TrainConfig) -> Work:
    """Each call goes on by one step; the buffers of the state are reused."""
    key_init, key_target, key_steps = jax.random.split(jax.random.key(0), 3)
    state = init_state(config, key_init)
    target = fresh_batch(config, key_target)
    step = jax.jit(partial(train_step, config), donate_argnums=0)
    counter = itertools.count()

    def work() -> object:
        nonlocal state
        state, records = step(state, 1.0, target, jax.random.fold_in(key_steps, next(counter)))
        return state, records

    return work


def their_step(plan: Plan, config: TrainConfig) -> Work:
    """Each call goes on by one step of the baseline."""
    trainer = plan.trainer(config)
    target = plan.torch.tensor(fresh_batch(config, jax.random.key(1)))
    return lambda: trainer.step(target)
