"""How much memory an ensemble needs, known before it starts, and how many members therefore fit."""

from functools import partial

import jax
import jax.numpy as jnp

from hmmrnn.errors import InputError
from hmmrnn.memory import SHARE, expect_room, readable
from hmmrnn.training.config import TrainConfig
from hmmrnn.training.ensemble import Placement, fixed_data, run_chunk, start

MOST_SYMBOLS = 500
MOST_STEPS = 2**31 - 1
"""The optimiser counts its steps in 32 bits."""


def expect_possible(config: TrainConfig, n_members: int = 1, *, on_host: bool = False) -> None:
    """Refuse what can never be trained here, in an instant and before anything is allocated.

    By a lower bound of the memory: parameters with gradient and moments, states of a step with
    their gradient, data, history and snapshots.

    Raises:
        InputError: it says how much is needed, and what to lower.
    """
    net, options, n_symbols = config.net, config.train, config.target.n_symbols
    steps = options.epochs * config.steps_per_epoch
    if steps > MOST_STEPS:
        raise InputError(
            f"train.epochs={options.epochs} of {config.steps_per_epoch} steps are {steps} "
            f"steps; at most {MOST_STEPS} can be counted: lower train.epochs or "
            "train.steps_per_epoch"
        )
    if n_symbols > MOST_SYMBOLS:
        raise InputError(
            f"{n_symbols} symbols: a network of more than {MOST_SYMBOLS} takes minutes to compile "
            "and longer to train; join symbols that are rare or alike"
        )
    n_steps, batch = config.data.n_steps, options.batch_size
    n_params = net.hidden_size * (net.hidden_size + net.noise_dim + n_symbols)
    at_once = min(options.sequences_at_once or batch, batch)
    n_kept = options.epochs // options.snapshot_every if options.snapshot_every else 0
    fixed = config.data.source == "fixed"
    numbers = {
        "net.hidden_size": 4 * n_params,
        "train.batch_size, data.n_steps or train.sequences_at_once": 2
        * at_once
        * n_steps
        * net.hidden_size,
        "train.batch_size": batch * n_steps * n_symbols
        + (0 if config.loss.divergence == "none" else 2 * batch**2),
        "train.epochs": 8 * options.epochs,
        "train.epochs, or raise train.snapshot_every": n_kept * n_params,
        "data.n_sequences": config.n_training_sequences * n_steps if fixed else 0,
    }
    expect_room(
        4 * n_members * sum(numbers.values()),
        f"this training (net.hidden_size={net.hidden_size}, net.noise_dim={net.noise_dim}, "
        f"data.n_steps={config.data.n_steps}, train.batch_size={options.batch_size}, "
        f"train.epochs={options.epochs})",
        max(numbers, key=lambda name: numbers[name]),
        on_host=on_host,
    )


def needed_bytes(config: TrainConfig, placement: Placement, n_members: int) -> int:
    """Peak memory of `n_members` networks in training, on each device.

    What XLA has laid out for the compiled program (arguments, results and temporaries), and the
    history and snapshots beside it. Nothing is computed.

    Raises:
        InputError: the compiler of this device does not tell.
    """
    keys = jax.eval_shape(lambda: jax.random.split(jax.random.key(0), n_members))
    progress = jax.eval_shape(partial(start, config, placement=placement), keys)
    data = jax.eval_shape(partial(fixed_data, config, placement), keys)
    level = jax.ShapeDtypeStruct((n_members,), jnp.float32)
    n_epochs = min(config.train.chunk_epochs, config.train.epochs)
    program = run_chunk.lower(
        config, placement, progress.state, data, level, keys, n_epochs, 0
    ).compile()
    laid_out = program.memory_analysis()
    if laid_out is None:
        raise InputError(
            f"{placement.devices[0].device_kind}: its compiler does not tell how much memory a "
            "program needs; say how many networks train at once with --members_per_batch"
        )
    beside = sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(progress))
    return (
        laid_out.argument_size_in_bytes
        + laid_out.output_size_in_bytes
        - laid_out.alias_size_in_bytes
        + laid_out.temp_size_in_bytes
        + 2 * beside // len(placement.devices)  # old and new while a chunk is entered
    )


def members_that_fit(config: TrainConfig, placement: Placement, n_members: int, free: int) -> int:
    """The most members, at most `n_members`, that train at once with `free` bytes on each device.

    A multiple of the number of devices, unless it is all of them.

    Raises:
        InputError: not even one member on each device fits.
    """
    n_devices, planned = len(placement.devices), int(SHARE * free)
    n_tried = len(placement.filled(n_members))
    while (needed := needed_bytes(config, placement, n_tried)) > planned:
        if n_tried == n_devices:
            raise InputError(_too_large(config, needed, free))
        per_device = n_tried // n_devices
        fitting = max(1, min(per_device - 1, per_device * planned // needed))
        n_tried = fitting * n_devices
    return min(n_tried, n_members)


def _too_large(config: TrainConfig, needed: int, free: int) -> str:
    options = config.train
    at_once = options.sequences_at_once or options.batch_size
    return (
        f"a training step of one network (net.hidden_size={config.net.hidden_size}, "
        f"net.noise_dim={config.net.noise_dim}, data.n_steps={config.data.n_steps}, "
        f"train.batch_size={options.batch_size}) needs {readable(needed)} of memory and "
        f"{readable(int(SHARE * free))} of the {readable(free)} free are planned for it; lower "
        f"train.sequences_at_once (now {at_once}), train.batch_size or net.hidden_size"
    )
