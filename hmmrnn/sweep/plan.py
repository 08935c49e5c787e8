"""Who trains what, and in which order: equal shapes together, large ones first, shared by work."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from hmmrnn.errors import InputError, StorageError
from hmmrnn.sweep.grid import Entry
from hmmrnn.training import TrainConfig


class Batch(NamedTuple):
    """Networks of one configuration, which differ in seed and noise level and train at once."""

    config: TrainConfig
    entries: tuple[Entry, ...]
    problem: str | None = None  # why they cannot be trained


TROUBLE = (InputError, RuntimeError, MemoryError, OverflowError)
"""What concerns one network or one configuration and stops no other; XLA's are RuntimeErrors."""


def reason_of(error: BaseException) -> str:
    """An error in one line."""
    text = (str(error) or type(error).__name__).splitlines()[0]
    ours = isinstance(error, InputError | StorageError)
    return text if ours else f"{type(error).__name__}: {text}"


def work(config: TrainConfig) -> float:
    """What one training costs, roughly, in multiplications.

    The products of the cell, the work on each unit and step beside them, and the matrices of costs
    of the loss. The two constants make it fit the times of 24 laptop networks on a CPU.
    """
    options, net, k = config.train, config.net, config.target.n_symbols
    n_units, n_steps = net.hidden_size, config.data.n_steps
    each_step = n_units * (n_units + net.noise_dim + k + 300) + 20_000
    cell = options.batch_size * n_steps * each_step
    costs = 0 if config.loss.divergence == "none" else options.batch_size**2 * (n_steps * k + 50)
    return 3.0 * options.epochs * config.steps_per_epoch * (cell + costs)


def by_shape(entries: Iterable[Entry], *, in_order: bool = False) -> dict[TrainConfig, list[Entry]]:
    """Entries of one configuration together, those with the most work in a step first.

    One configuration is one compiled program. The large ones first, so that what does not fit in
    memory is known soon, and small ones fill the time that is left at the end; or `in_order`, the
    configurations as they come first in the grid.
    """
    groups: dict[TrainConfig, list[Entry]] = {}
    for entry in entries:
        groups.setdefault(entry.spec.config, []).append(entry)
    if in_order:
        return groups
    per_step = {c: work(c) / (c.train.epochs * c.steps_per_epoch) for c in groups}
    return {config: groups[config] for config in sorted(groups, key=lambda c: -per_step[c])}


def share(
    entries: Sequence[Entry], process_id: int, n_processes: int, *, in_order: bool = False
) -> list[Entry]:
    """The entries of one process: neighbours in shape, and about equal work for each process.

    It depends on the grid alone, not on what was done before, so no process needs to ask another.
    """
    groups = by_shape(entries, in_order=in_order).values()
    ordered = [entry for group in groups for entry in group]
    each = np.array([work(entry.spec.config) for entry in ordered])
    middle = np.cumsum(each) - each / 2
    owner = np.floor(middle / each.sum() * n_processes).astype(int)
    return [entry for entry, own in zip(ordered, owner, strict=True) if own == process_id]


def batches(
    entries: Iterable[Entry],
    members_per_batch: Callable[[TrainConfig, int], int],
    *,
    in_order: bool = False,
) -> Iterator[Batch]:
    """Entries in batches; `members_per_batch(config, n)` says how many of n train at once.

    It is asked only when the turn of a configuration comes, and may refuse it with an `InputError`.
    Batches of one configuration are of about equal size, so that few programs are compiled.
    """
    for config, group in by_shape(entries, in_order=in_order).items():
        try:
            n_batches = -(-len(group) // members_per_batch(config, len(group)))
        except TROUBLE as error:
            yield Batch(config, tuple(group), reason_of(error))
            continue
        size = -(-len(group) // n_batches)
        for first in range(0, len(group), size):
            yield Batch(config, tuple(group[first : first + size]))
