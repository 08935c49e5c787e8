"""How much memory an ensemble needs, known before it starts, and how many members therefore fit."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import psutil

from hmmrnn.errors import InputError
from hmmrnn.training.config import TrainConfig
from hmmrnn.training.ensemble import Placement, fixed_data, run_chunk, start

SHARE = 0.8
"""Of the free memory that is planned with; the rest is for what no estimate knows of."""


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


def free_bytes(device: jax.Device) -> int:
    """Memory of `device` that is free; for a CPU that of the machine, or of the job on it."""
    known = device.memory_stats() if device.platform != "cpu" else None
    if known is None:
        return min([int(psutil.virtual_memory().available), *_left_to_control_groups()])
    return int(known["bytes_limit"] - known["bytes_in_use"])


def _left_to_control_groups(
    own: Path = Path("/proc/self/cgroup"), root: Path = Path("/sys/fs/cgroup")
) -> Iterator[int]:
    """What each control group (version 2) around this process, such as a job's, may still take."""
    if not own.exists():
        return
    inner = root / own.read_text().rpartition("::")[2].strip().lstrip("/")
    for group in (inner, *inner.parents):
        limit, used = group / "memory.max", group / "memory.current"
        if limit.exists() and used.exists() and (most := limit.read_text().strip()) != "max":
            yield max(0, int(most) - int(used.read_text()))


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


def readable(size: int) -> str:
    """A number of bytes for people."""
    return f"{size / 1e9:.3g} GB" if size >= 1e8 else f"{size / 1e6:.3g} MB"
