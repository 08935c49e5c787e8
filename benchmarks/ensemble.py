"""Epochs of the paper's recipe for 1, 8 and 48 networks at once, and what its grid would take.

    python -m benchmarks ensemble --ours-only

Ours only, on whatever device jax has. A network of each sequence length of the paper, N = 150 and
D = 100, at batch 4096. Utilisation is the time that the matrix products of an epoch take at the
measured rate over the time that it takes. The last line projects the 150 networks of the paper's
grid: the products of each at the best rate that its sequence length reached. Not more members are
tried than fit into memory. Under eight minutes on one H200 is the aim; it has not run on one yet.
"""

import itertools
import statistics
from collections.abc import Iterator

import jax
import jax.numpy as jnp

from benchmarks.measure import Comparison, Work, compare
from benchmarks.plan import Plan, step_flops
from hmmrnn import TrainConfig
from hmmrnn.errors import InputError
from hmmrnn.hmm import preset
from hmmrnn.memory import free_bytes
from hmmrnn.sweep.grid import read_grid
from hmmrnn.training.ensemble import Placement, fixed_data, run_chunk, start
from hmmrnn.training.memory import members_that_fit

PRESETS = ("linear2", "linear3", "linear5")  # T = 100, 30, 40
MEMBERS = 1, 8, 48
ROUNDS = 2
"""At most: a round of 48 networks takes long."""


def cases(plan: Plan) -> Iterator[Comparison]:
    """Seconds per epoch and member, then the hours of the grid."""
    placement, rates = Placement.default(), dict[int, float]()
    for name in ("fully3",) if plan.small else PRESETS:
        config = small(name) if plan.small else TrainConfig.profile("paper", preset(name))
        flops = epoch_flops(config)
        for n_asked in (1, 2, 3) if plan.small else MEMBERS:
            case = f"ensemble of {n_asked}, epoch of {name}"
            try:
                free = free_bytes(placement.devices[0])
                n = members_that_fit(config, placement, n_asked, free)
            except InputError as error:
                yield Comparison(case, (float("nan"),), note=str(error))
                continue
            floor = plan.floor(flops)
            timed = compare(case, epochs_of(config, placement, n), None, min(plan.rounds, ROUNDS))
            each = tuple(seconds / n for seconds in timed.ours)
            rate = flops / statistics.median(each)
            rates[config.data.n_steps] = max(rate, rates.get(config.data.n_steps, 0.0))
            note = f"per member; utilisation {floor / statistics.median(each):.0%}"
            if n < n_asked:
                note += f"; only {n} fit into memory"
            yield timed._replace(ours=each, floor=floor, note=note)
    note = "means nothing at small sizes" if plan.small else "projected"
    case = "ensemble of 150, the whole of the paper's grid"
    yield Comparison(case, (projected(rates),), unit="h", note=note)


def small(name: str) -> TrainConfig:
    """A tiny one, to test the program."""
    return TrainConfig.profile("paper", preset(name)).replace(
        net={"hidden_size": 8, "noise_dim": 4},
        data={"n_steps": 6, "n_sequences": 120},
        train={"batch_size": 16},
    )


def epochs_of(config: TrainConfig, placement: Placement, n_members: int) -> Work:
    """Each call goes on by one epoch of every member."""
    keys = jax.random.split(jax.random.key(0), n_members)
    state, data = start(config, keys, placement).state, fixed_data(config, placement, keys)
    level, counter = jnp.ones(n_members), itertools.count()

    def work() -> object:
        nonlocal state
        done = next(counter)
        state, records = run_chunk(config, placement, state, data, level, keys, 1, done)
        return state, records

    return work


def epoch_flops(config: TrainConfig) -> float:
    """Operations of the matrix products of an epoch with its smaller last batch, not validated."""
    full, rest = divmod(config.n_training_sequences, config.train.batch_size)
    sizes = [config.train.batch_size] * full + [rest] * (rest > 1)
    return float(sum(step_flops(config.replace(train={"batch_size": b})) for b in sizes))


def projected(rates: dict[int, float]) -> float:
    """Hours for the paper's grid, at the rate (operations per second) of the nearest length."""
    seconds = 0.0
    for entry in read_grid("paper"):
        config = entry.spec.config
        nearest = min(rates, key=lambda n: abs(n - config.data.n_steps))
        seconds += config.train.epochs * epoch_flops(config) / rates[nearest]
    return seconds / 3600
