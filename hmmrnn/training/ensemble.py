"""Many networks of one configuration trained in one compiled program, on one device or on many.

The members differ in their random key and their noise level and know nothing of each other: their
axis is sharded over the devices with `jax.shard_map`, so the compiled step needs no communication.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, Float, Int

from hmmrnn.arrays import Keys
from hmmrnn.errors import InputError
from hmmrnn.training.config import TrainConfig
from hmmrnn.training.data import FixedData, make_data
from hmmrnn.training.fit import Fit, Progress, recorded, start, streams_of
from hmmrnn.training.step import Records, TrainState, epochs

MEMBERS = PartitionSpec("members")


@dataclass(frozen=True)
class Placement:
    """Where the members of an ensemble run: on which devices, and how on each of them.

    Vectorised (vmap), a device works on all of its members at once, which fills a GPU. One after
    another (`jax.lax.map`), each member is computed exactly as if it were alone, bit for bit on
    one device, and a CPU is faster that way: its products of batches of small matrices are slow.
    """

    devices: tuple[jax.Device, ...]
    vectorised: bool

    @classmethod
    def default(cls, devices: tuple[jax.Device, ...] = ()) -> "Placement":
        """`devices`, or all of this process; vectorised unless they are CPUs."""
        devices = devices or tuple(jax.local_devices())
        return cls(devices, devices[0].platform != "cpu")

    @property
    def sharding(self) -> NamedSharding:
        """That of an array whose first axis are the members."""
        return NamedSharding(Mesh(np.array(self.devices), ("members",)), MEMBERS)

    def each(self, step: Callable[..., Any]) -> Callable[..., Any]:
        """`step` of one member as a function of arrays with a leading axis of members."""

        def local(*trees: Any) -> Any:  # noqa: ANN401
            if self.vectorised:
                return jax.vmap(step)(*trees)
            return jax.lax.map(lambda one: step(*one), trees)

        mesh = self.sharding.mesh
        # Nothing is replicated and nothing communicates, so there is nothing for JAX to check.
        return jax.shard_map(local, mesh=mesh, in_specs=MEMBERS, out_specs=MEMBERS, check_vma=False)

    def filled(self, n_members: int) -> np.ndarray:
        """Indices of the members that fill all devices evenly: the last ones stand there twice."""
        per_device = -(-n_members // len(self.devices))
        return np.minimum(np.arange(per_device * len(self.devices)), n_members - 1)


def train_ensemble(
    config: TrainConfig,
    noise_std: Float[Array, " S"],
    keys: Keys,
    placement: Placement | None = None,
) -> Fit:
    """Train S networks at once; member s equals `train(config, noise_std[s], keys[s])`.

    Equal up to rounding, which training amplifies, or bit for bit (see `Placement`). A member that
    diverges stays as it was before its `train.max_bad_steps` bad steps and leaves the others alone.

    Returns:
        The fits, every array with a leading axis S; `member(fits, s)` is one of them.

    Raises:
        InputError: no members, or noise levels and keys of different number.
    """
    if len(keys) == 0 or keys.shape != noise_std.shape:
        raise InputError(
            f"{len(noise_std)} noise levels and {len(keys)} keys: an ensemble needs as many of "
            "each, and at least one"
        )
    placement = placement or Placement.default()
    filled = placement.filled(len(keys))
    progress = start_members(config, keys[filled], placement)
    for later in advance_members(config, noise_std[filled], progress, keys[filled], placement):
        progress = later
    fits = Fit.of(config, jnp.asarray(noise_std[filled], jnp.float32), progress)
    return jax.tree.map(lambda leaf: leaf[: len(keys)], fits)


def member(fits: Fit, index: int) -> Fit:
    """One network of an ensemble."""
    return jax.tree.map(lambda leaf: leaf[index], fits)


@partial(jax.jit, static_argnames=("config", "placement"))
def start_members(config: TrainConfig, keys: Keys, placement: Placement) -> Progress:
    """The trainings before their first epoch; their number is a multiple of the devices'."""
    return placement.each(partial(start, config))(keys)


def advance_members(
    config: TrainConfig,
    noise_std: Float[Array, " S"],
    progress: Progress,
    keys: Keys,
    placement: Placement,
    done: int = 0,
    until: int | None = None,
) -> Iterator[Progress]:
    """Go on from `progress` after `done` epochs; yields after each chunk of epochs, to `until`.

    The same as `advance` for each member: the same keys continue the same random streams.
    """
    last = config.train.epochs if until is None else until
    place = partial(jax.device_put, device=placement.sharding)
    progress, keys, level = place((progress, keys, jnp.asarray(noise_std, jnp.float32)))
    data = members_data(config, keys, placement)
    state = jax.tree.map(jnp.array, progress.state)  # its buffers are reused by the chunks
    while done < last:
        n_epochs = min(config.train.chunk_epochs, last - done)
        state, records = run_members(config, placement, state, data, level, keys, n_epochs, done)
        now = jax.tree.map(jnp.array, state)
        progress = jax.vmap(partial(recorded, config, done))(progress, now, records)
        done += n_epochs
        yield progress


@partial(jax.jit, static_argnames=("config", "placement"))
def members_data(config: TrainConfig, keys: Keys, placement: Placement) -> FixedData:
    """The fixed data of each member."""
    return placement.each(lambda key: make_data(config, streams_of(key).data))(keys)


@partial(jax.jit, static_argnames=("config", "placement", "n_epochs"), donate_argnames="state")
def run_members(
    config: TrainConfig,
    placement: Placement,
    state: TrainState,
    data: FixedData,
    noise_std: Float[Array, " S"],
    keys: Keys,
    n_epochs: int,
    done: int | Int[Array, ""],
) -> tuple[TrainState, Records]:
    """`n_epochs` epochs of every member in one program, after `done` of them.

    The buffers of `state` are reused.
    """

    def one(state: TrainState, data: FixedData, noise_std: Array, key: Keys) -> Any:  # noqa: ANN401
        return epochs(config, state, data, noise_std, streams_of(key).steps, n_epochs, done)

    return placement.each(one)(state, data, noise_std, keys)
