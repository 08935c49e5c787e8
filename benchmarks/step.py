"""One training step of the paper's recipe, target given: ours against PyTorch and geomloss.

    python -m benchmarks step

Ours takes several steps in a call, as training does, which compiles whole epochs into one program;
the baseline's steps are looped over. The floor is the time of the step's matrix products:
drive, recurrence, readout, loss.
"""

import itertools
from collections.abc import Iterator
from functools import partial

import jax
from jaxtyping import Array

from benchmarks.measure import Comparison, Work, compare
from benchmarks.plan import Plan, step_flops
from hmmrnn import TrainConfig
from hmmrnn.training.data import make_data, step_batch
from hmmrnn.training.step import Records, TrainState, init_state, train_step

SEQUENCES_PER_CALL = 4 * 4096


def cases(plan: Plan) -> Iterator[Comparison]:
    """One comparison for each size."""
    for n, n_steps in plan.sizes:
        config, units = plan.config(n, n_steps), max(1, SEQUENCES_PER_CALL // n)
        theirs = None if plan.torch is None else their_steps(plan, config, units)
        floor = plan.floor(step_flops(config))
        case = f"step B={n} T={n_steps}"
        ours = our_steps(config, units)
        yield compare(case, ours, theirs, plan.rounds, units=units, floor=floor)


def our_steps(config: TrainConfig, number: int) -> Work:
    """Each call goes on by `number` steps in one compiled scan, as training does."""
    key_init, key_target, key_steps = jax.random.split(jax.random.key(0), 3)
    state = init_state(config, key_init)
    draw = partial(step_batch, config, make_data(config, key_target))
    targets = jax.vmap(draw)(jax.random.split(key_target, number))

    @partial(jax.jit, donate_argnums=0)
    def steps(state: TrainState, targets: Array, keys: Array) -> tuple[TrainState, Records]:
        return jax.lax.scan(
            lambda state, x: train_step(config, state, 1.0, *x), state, (targets, keys)
        )

    counter = itertools.count()

    def work() -> object:
        nonlocal state
        key = jax.random.fold_in(key_steps, next(counter))
        state, records = steps(state, targets, jax.random.split(key, number))
        return state, records

    return work


def their_steps(plan: Plan, config: TrainConfig, number: int) -> Work:
    """Each call goes on by `number` steps of the baseline."""
    trainer, key = plan.trainer(config), jax.random.key(1)
    target = plan.torch.tensor(step_batch(config, make_data(config, key), key))
    return lambda: [trainer.step(target) for _ in range(number)]
