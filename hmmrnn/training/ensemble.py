"""The trainer: networks of one configuration, chunk of epochs after chunk, in one program.

The members of an ensemble differ in their random key and their noise level and know nothing of each
other: their axis is sharded over the devices with `jax.shard_map`, so the compiled step needs no
communication. A single training is an ensemble of one.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, Float, Int

from hmmrnn.arrays import Key, Keys, Scalar
from hmmrnn.errors import InputError
from hmmrnn.programs import keep_programs_of
from hmmrnn.training.config import TrainConfig
from hmmrnn.training.data import FixedData, make_data
from hmmrnn.training.fit import Fit, Progress, Snapshots, snapshot_epochs, streams_of
from hmmrnn.training.floor import loss_floor
from hmmrnn.training.origin import Origin
from hmmrnn.training.step import Records, TrainState, epochs, init_state

MEMBERS = PartitionSpec("members")


@dataclass(frozen=True)
class Placement:
    """Where the members of an ensemble run: on which devices, and how on each of them.

    Vectorised (vmap), a device works on all of its members at once, which fills a GPU. One after
    another (`jax.lax.map`), each member is computed exactly as if it were alone, bit for bit on
    one device, and a CPU is faster that way: its products of batches of small matrices are slow.
    Without devices they run where JAX puts them.
    """

    devices: tuple[jax.Device, ...] = ()
    vectorised: bool = False

    @classmethod
    def default(cls, devices: tuple[jax.Device, ...] = ()) -> "Placement":
        """`devices`, or all of this process; vectorised unless they are CPUs."""
        devices = devices or tuple(jax.local_devices())
        return cls(devices, devices[0].platform != "cpu")

    @property
    def sharding(self) -> NamedSharding:
        """That of an array whose first axis are the members."""
        return NamedSharding(Mesh(np.array(self.devices), ("members",)), MEMBERS)

    def put(self, tree: Any) -> Any:  # noqa: ANN401
        """`tree`, whose leaves have a leading axis of members, with each member in its place."""
        return jax.device_put(tree, self.sharding) if self.devices else tree

    def each(self, step: Callable[..., Any]) -> Callable[..., Any]:
        """`step` of one member as a function of arrays with a leading axis of members."""

        def local(*trees: Any) -> Any:  # noqa: ANN401
            if self.vectorised:
                return jax.vmap(step)(*trees)
            return jax.lax.map(lambda one: step(*one), trees)

        if not self.devices:
            return local
        mesh = self.sharding.mesh
        # Nothing is replicated and nothing communicates, so there is nothing for JAX to check.
        return jax.shard_map(local, mesh=mesh, in_specs=MEMBERS, out_specs=MEMBERS, check_vma=False)

    def filled(self, n_members: int) -> np.ndarray:
        """Indices of the members that fill all devices evenly: the last ones stand there twice."""
        n_devices = len(self.devices) or 1
        return np.minimum(np.arange(-(-n_members // n_devices) * n_devices), n_members - 1)


ALONE = Placement()


def train(config: TrainConfig, noise_std: Scalar, key: Key, origin: Origin | None = None) -> Fit:
    """Train one network; a pure function, so `jax.vmap` over keys or noise levels is an ensemble.

    Members of an ensemble equal their solo runs up to rounding. With an `origin` it begins with
    the parameters and Adam's moments of another training, under the schedule of `config`.

    Non-finite steps are skipped and counted in `records.bad_steps`; a network that has
    `config.train.max_bad_steps` of them in a row stays as it was before.
    """
    level = jnp.asarray(noise_std, jnp.float32)
    return member(train_ensemble(config, level[None], key[None], ALONE, origin), 0)


def train_ensemble(
    config: TrainConfig,
    noise_std: Float[Array, " S"],
    keys: Keys,
    placement: Placement | None = None,
    origin: Origin | None = None,
) -> Fit:
    """Train S networks at once; member s equals `train(config, noise_std[s], keys[s], origin)`.

    Equal up to rounding, which training amplifies, or bit for bit (see `Placement`). A member that
    diverges stays as it was before its `train.max_bad_steps` bad steps and leaves the others alone.

    Returns:
        The fits, every array with a leading axis S; `member(fits, s)` is one of them.

    Raises:
        InputError: no members, or noise levels and keys of different number.
    """
    if len(keys) == 0 or len(keys) != len(noise_std):
        raise InputError(
            f"{len(noise_std)} noise levels and {len(keys)} keys: an ensemble needs as many of "
            "each, and at least one"
        )
    if not any(isinstance(x, jax.core.Tracer) for x in (noise_std, keys)):
        keep_programs_of(config.cell)
    placement = placement or Placement.default()
    filled, level = placement.filled(len(keys)), jnp.asarray(noise_std, jnp.float32)
    given = None if origin is None else origin.state(config)
    progress = start(config, keys[filled], placement, given)
    for later in advance(config, level[filled], progress, keys[filled], placement, origin=origin):
        progress = later
    return Fit.of(config, level, jax.tree.map(lambda leaf: leaf[: len(keys)], progress))


Members = TypeVar("Members", Fit, Progress)


def member(members: Members, index: int) -> Members:
    """One network of an ensemble."""
    leaves, structure = jax.tree.flatten(members)
    return jax.tree.unflatten(structure, _rows(leaves, index))


@jax.jit
def _rows(leaves: list[Array], index: int | Int[Array, ""]) -> list[Array]:
    return [leaf[index] for leaf in leaves]


@partial(jax.jit, static_argnames="placement")
def start(
    config: TrainConfig,
    keys: Keys,
    placement: Placement = ALONE,
    given: TrainState | None = None,
) -> Progress:
    """The trainings of S networks before their first epoch; S is a multiple of the devices'.

    All begin with the state that is `given`, or each anew.
    """
    kept_at = jnp.array(snapshot_epochs(config), jnp.int32)

    def one(key: Key) -> Progress:
        streams = streams_of(key)
        state = init_state(config, streams.init) if given is None else given
        snapshots = {
            name: jnp.zeros((len(kept_at), *p.shape), p.dtype).at[:1].set(p)
            for name, p in state.params.items()
        }
        floor = loss_floor(config, streams.floor)
        return Progress(state, Records.blank(config), Snapshots(kept_at, snapshots), floor)

    return placement.each(one)(keys)


def advance(
    config: TrainConfig,
    noise_std: Float[Array, " S"],
    progress: Progress,
    keys: Keys,
    placement: Placement = ALONE,
    done: int = 0,
    until: int | None = None,
    origin: Origin | None = None,
) -> Iterator[Progress]:
    """Go on from `progress` after `done` epochs; yields after each chunk of epochs, to `until`.

    The same `keys` as for `start` continue the same random streams, so trainings that were
    interrupted between two chunks end in the same parameters, bit for bit.
    """
    last = config.train.epochs if until is None else until
    streams = jax.vmap(partial(streams_of, origin=origin))(keys)
    level = jnp.asarray(noise_std, jnp.float32)
    progress, streams, level = placement.put((progress, streams, level))
    data = fixed_data(config, placement, streams.data)
    while done < last:
        n_epochs = min(config.train.chunk_epochs, last - done)
        state, records = run_chunk(
            config, placement, progress.state, data, level, streams.steps, n_epochs, done
        )
        done += n_epochs
        progress = recorded(progress, state, records, done)
        yield progress


@partial(jax.jit, static_argnames="placement")
def fixed_data(config: TrainConfig, placement: Placement, keys: Keys) -> FixedData:
    """The fixed data of each member, from the keys of their streams."""
    return placement.each(partial(make_data, config))(keys)


@partial(jax.jit, static_argnames=("placement", "n_epochs"))
def run_chunk(
    config: TrainConfig,
    placement: Placement,
    state: TrainState,
    data: FixedData,
    noise_std: Float[Array, " S"],
    keys: Keys,
    n_epochs: int,
    done: int | Int[Array, ""],
) -> tuple[TrainState, Records]:
    """`n_epochs` epochs of every member in one program, after `done` of them."""

    def one(state: TrainState, data: FixedData, noise_std: Array, key: Key) -> Any:  # noqa: ANN401
        return epochs(config, state, data, noise_std, key, n_epochs, done)

    return placement.each(one)(state, data, noise_std, keys)


@jax.jit
def recorded(
    progress: Progress, state: TrainState, records: Records, done: int | Int[Array, ""]
) -> Progress:
    """`progress` after a chunk of epochs that ended with epoch `done`."""

    def one(progress: Progress, state: TrainState, records: Records) -> Progress:
        def entered(history: Array, new: Array) -> Array:
            new = new.astype(history.dtype)
            return jax.lax.dynamic_update_slice(history, new, (done - len(new),))

        def kept(snapshots: Array, params: Array) -> Array:
            due = progress.snapshots.epochs == done
            return jnp.where(jnp.expand_dims(due, range(1, snapshots.ndim)), params, snapshots)

        history = jax.tree.map(entered, progress.records, records)
        snapshots = jax.tree.map(kept, progress.snapshots.params, state.params)
        return Progress(
            state, history, progress.snapshots._replace(params=snapshots), progress.floor
        )

    return jax.vmap(one)(progress, state, records)
