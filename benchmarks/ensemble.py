"""One training step of 48 seeds at once, vmapped; ours only.

python -m benchmarks ensemble
"""

import itertools
import statistics
from collections.abc import Iterator
from functools import partial

import jax

from benchmarks.measure import Comparison, Work, compare
from benchmarks.plan import Plan
from hmmrnn import TrainConfig
from hmmrnn.training.data import fresh_batch
from hmmrnn.training.step import init_state, train_step


def cases(plan: Plan) -> Iterator[Comparison]:
    """The one case."""
    n_seeds, n, n_steps = (3, 16, 6) if plan.small else (48, 256, 30)
    work = ensemble_step(plan.config(n, n_steps), n_seeds)
    timed = compare(f"ensemble of {n_seeds} seeds, B={n} T={n_steps}", work, None, plan.rounds)
    each = statistics.median(timed.ours) / n_seeds
    yield timed._replace(note=f"{1e3 * each:.3g} ms per seed")


def ensemble_step(config: TrainConfig, n_seeds: int) -> Work:
    """Each call goes on by one step of every seed."""
    key_init, key_target, key_steps = jax.random.split(jax.random.key(0), 3)
    states = jax.vmap(partial(init_state, config))(jax.random.split(key_init, n_seeds))
    targets = jax.vmap(partial(fresh_batch, config))(jax.random.split(key_target, n_seeds))
    step = jax.jit(jax.vmap(partial(train_step, config), in_axes=(0, None, 0, 0)), donate_argnums=0)
    counter = itertools.count()

    def work() -> object:
        nonlocal states
        keys = jax.random.split(jax.random.fold_in(key_steps, next(counter)), n_seeds)
        states, records = step(states, 1.0, targets, keys)
        return states, records

    return work
