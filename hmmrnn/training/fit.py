"""Training as a pure function: `train(config, noise_std, key) -> Fit`, chunk after chunk."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int

from hmmrnn.arrays import Key, Scalar
from hmmrnn.nets import Network
from hmmrnn.training.config import TrainConfig
from hmmrnn.training.data import FixedData, make_data
from hmmrnn.training.floor import Floor, loss_floor
from hmmrnn.training.origin import Origin
from hmmrnn.training.step import Records, TrainState, init_state, run_chunk


class Snapshots(NamedTuple):
    """Parameters on the way; rows of epochs not reached yet are zero."""

    epochs: Int[Array, " E"]
    params: dict[str, Array]  # each with a leading axis E


class Progress(NamedTuple):
    """A training after some of its epochs: all that is needed to go on or to stop here."""

    state: TrainState
    records: Records  # (epochs,), rows of epochs to come are zero
    snapshots: Snapshots
    floor: Floor


@partial(
    jax.tree_util.register_dataclass,
    data_fields=["params", "noise_std", "records", "snapshots", "floor", "mean_params"],
    meta_fields=["cell", "config"],
)
@dataclass(frozen=True, eq=False)
class Fit(Network):
    """A trained network with the history of its training."""

    records: Records  # (epochs,)
    snapshots: Snapshots
    floor: Floor
    config: TrainConfig
    mean_params: dict[str, Array] = field(default_factory=dict)
    """Over the last `train.average_epochs`; empty without them."""

    @classmethod
    def of(cls, config: TrainConfig, noise_std: Array, progress: Progress) -> "Fit":
        """The fit that `progress` has reached."""
        state, records, snapshots, floor = progress
        network = state.params, noise_std, config.cell
        return cls(*network, records, snapshots, floor, config, state.mean_params)


class Streams(NamedTuple):
    """One random stream for each purpose, so that none depends on how another is used."""

    init: Key
    data: Key
    floor: Key
    steps: Key


def train(config: TrainConfig, noise_std: Scalar, key: Key, origin: Origin | None = None) -> Fit:
    """Train one network; a pure function, so `jax.vmap` over keys or noise levels is an ensemble.

    Members of an ensemble equal their solo runs up to rounding. With an `origin` it begins with
    the parameters and Adam's moments of another training, under the schedule of `config`.

    Non-finite steps are skipped and counted in `records.bad_steps`; a network that has
    `config.train.max_bad_steps` of them in a row stays as it was before.
    """
    progress = start(config, key, origin)
    for later in advance(config, noise_std, progress, key, origin=origin):
        progress = later
    return Fit.of(config, jnp.asarray(noise_std), progress)


def start(config: TrainConfig, key: Key, origin: Origin | None = None) -> Progress:
    """The training before its first epoch."""
    streams = streams_of(key)
    state = init_state(config, streams.init) if origin is None else origin.state(config)
    records = jax.eval_shape(
        partial(run_chunk, config, n_epochs=config.train.epochs, done=0),
        state,
        jax.eval_shape(partial(make_data, config), streams.data),
        jnp.zeros(()),
        streams.steps,
    )[1]
    epochs = snapshot_epochs(config)
    snapshots = Snapshots(
        jnp.array(epochs, jnp.int32),
        {name: jnp.zeros((len(epochs), *p.shape), p.dtype) for name, p in state.params.items()},
    )
    blank = jax.tree.map(lambda r: jnp.zeros(r.shape, r.dtype), records)
    first = Progress(state, blank, snapshots, loss_floor(config, streams.floor))
    return _with_snapshot(first, config, 0)


def advance(
    config: TrainConfig,
    noise_std: Scalar,
    progress: Progress,
    key: Key,
    done: int = 0,
    origin: Origin | None = None,
) -> Iterator[Progress]:
    """Go on from `progress` after `done` epochs; yields after each chunk of epochs.

    The same `key` as for `start` continues the same random streams, so a training that was
    interrupted between two chunks ends in the same parameters, bit for bit.
    """
    streams = streams_of(key, origin)
    data: FixedData = make_data(config, streams.data)
    level = jnp.asarray(noise_std, jnp.float32)
    state = _own_buffers(progress.state, level)
    while done < config.train.epochs:
        n_epochs = min(config.train.chunk_epochs, config.train.epochs - done)
        state, records = run_chunk(config, state, data, level, streams.steps, n_epochs, done)
        progress = recorded(config, done, progress, jax.tree.map(jnp.array, state), records)
        done += n_epochs
        yield progress


def recorded(
    config: TrainConfig, done: int, progress: Progress, state: TrainState, records: Records
) -> Progress:
    """`progress` after a chunk of epochs that began after `done` of them."""
    n_epochs = len(records.loss)
    history = jax.tree.map(
        lambda all_, new: jax.lax.dynamic_update_slice(jnp.asarray(all_), new, (done,)),
        progress.records,
        records,
    )
    later = Progress(state, history, progress.snapshots, progress.floor)
    return _with_snapshot(later, config, done + n_epochs)


def snapshot_epochs(config: TrainConfig) -> list[int]:
    """Epochs whose parameters are kept: the first, every `snapshot_every`-th, the last."""
    every, last = config.train.snapshot_every, config.train.epochs
    return sorted({*range(0, last, every), last}) if every else []


def _with_snapshot(progress: Progress, config: TrainConfig, done: int) -> Progress:
    epochs = snapshot_epochs(config)
    if done not in epochs:
        return progress
    row = epochs.index(done)
    params = {
        name: jnp.asarray(kept).at[row].set(progress.state.params[name])
        for name, kept in progress.snapshots.params.items()
    }
    return progress._replace(snapshots=progress.snapshots._replace(params=params))


def _own_buffers(state: TrainState, level: Array) -> TrainState:
    """A copy of `state` whose buffers a chunk may reuse.

    Under vmap every leaf gets the axis of the members, also where only the noise level or only
    the key differs between them; buffers without it would be too small to be reused.
    """
    member = jnp.isfinite(level) | jnp.isfinite(state.params["W_rec"][0, 0])
    return jax.tree.map(lambda leaf: jnp.where(member, leaf, leaf), state)


def streams_of(key: Key, origin: Origin | None = None) -> Streams:
    """The streams of a run.

    One that begins where another of the same key was left has the same fixed data and other noise.
    """
    streams = Streams(*jax.random.split(key, 4))
    if origin is None:
        return streams
    return streams._replace(steps=jax.random.fold_in(streams.steps, int(origin.digest[:8], 16)))
