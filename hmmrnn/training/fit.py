"""A trained network with the history of its training, and a training on its way to one."""

from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple

import jax
from jaxtyping import Array, Int

from hmmrnn.arrays import Key, Scalar
from hmmrnn.nets import Network
from hmmrnn.results import result
from hmmrnn.training.config import TrainConfig
from hmmrnn.training.floor import Floor
from hmmrnn.training.origin import Origin
from hmmrnn.training.step import Records, TrainState


@result
class Snapshots(NamedTuple):
    """Parameters on the way; rows of epochs not reached yet are zero."""

    epochs: Int[Array, "*S E"]
    params: dict[str, Array]  # each with an axis E


@result
class Progress(NamedTuple):
    """A training after some of its epochs: all that is needed to go on or to stop here.

    Leaves of an ensemble have a leading axis S.
    """

    state: TrainState
    records: Records  # (epochs,), rows of epochs to come are zero
    snapshots: Snapshots
    floor: Floor


@partial(
    jax.tree_util.register_dataclass,
    data_fields=["params", "noise_std", "records", "snapshots", "floor", "mean_params"],
    meta_fields=["cell", "config"],
)
@dataclass(frozen=True, eq=False, repr=False)
class Fit(Network):
    """A trained network with the history of its training."""

    records: Records  # (epochs,)
    snapshots: Snapshots
    floor: Floor
    config: TrainConfig
    mean_params: dict[str, Array] = field(default_factory=dict)
    """Over the last `train.average_epochs`; empty without them."""

    def replace(self, *, noise_std: Scalar | None = None, **params: Array) -> Network:
        """A network with another noise level or other parameters, which nobody trained."""
        return self.bare.replace(noise_std=noise_std, **params)

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


def streams_of(key: Key, origin: Origin | None = None) -> Streams:
    """The streams of a training.

    One that begins where another of the same key was left has the same fixed data and other noise.
    """
    streams = Streams(*jax.random.split(key, 4))
    if origin is None:
        return streams
    return streams._replace(steps=jax.random.fold_in(streams.steps, int(origin.digest[:8], 16)))


def snapshot_epochs(config: TrainConfig) -> list[int]:
    """Epochs whose parameters are kept: the first, every `snapshot_every`-th, the last."""
    every, last = config.train.snapshot_every, config.train.epochs
    return sorted({*range(0, last, every), last}) if every else []
