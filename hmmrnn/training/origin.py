"""The state of one training kept in a file, and another training that begins from it.

state.npz        params.NAME, adam_mean.NAME, adam_square.NAME, adam_steps, epoch
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from hmmrnn.errors import InputError
from hmmrnn.nets import RNNCell, init_params
from hmmrnn.storage import read_arrays, write_arrays
from hmmrnn.training.config import TrainConfig
from hmmrnn.training.step import TrainState, fresh_state, make_optimizer

TREES = ("params", "adam_mean", "adam_square")
COUNTS = ("adam_steps", "epoch")


@dataclass(frozen=True, eq=False)
class Origin:
    """Parameters and Adam's moments after some epochs of a training; equal if their digests are."""

    arrays: dict[str, np.ndarray]

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the content, 16 digits."""
        content = hashlib.sha256()
        for name in sorted(self.arrays):
            array = np.ascontiguousarray(self.arrays[name])
            content.update(f"{name} {array.dtype.str} {array.shape} ".encode() + array.tobytes())
        return content.hexdigest()[:16]

    @property
    def epoch(self) -> int:
        """Epochs after which it was kept."""
        return int(self.arrays["epoch"])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Origin) and self.digest == other.digest

    def __hash__(self) -> int:
        return hash(self.digest)

    def state(self, config: TrainConfig) -> TrainState:
        """The state before the first epoch of `config`, whose schedule begins anew.

        Raises:
            InputError: the parameters have the shapes of another cell.
        """
        expect_fits(self.arrays, config.cell, "origin")
        params, mean, square = (self._tree(name) for name in TREES)
        steps = jnp.asarray(self.arrays["adam_steps"], jnp.int32)
        moments = optax.ScaleByAdamState(steps, mean, square)
        fresh = make_optimizer(config).init(params)
        placed = jax.tree.map(
            lambda part: moments if _is_adam(part) else part, fresh, is_leaf=_is_adam
        )
        return fresh_state(config, params, placed)

    def _tree(self, name: str) -> dict[str, jax.Array]:
        prefix = f"{name}."
        return {
            key.removeprefix(prefix): jnp.asarray(array)
            for key, array in self.arrays.items()
            if key.startswith(prefix)
        }


def keep_state(path: Path, state: TrainState) -> None:
    """Write what another training needs to begin from `state`. Raises `StorageError`."""
    (adam,) = (
        part for part in jax.tree.leaves(state.opt_state, is_leaf=_is_adam) if _is_adam(part)
    )
    trees = dict(zip(TREES, (state.params, adam.mu, adam.nu), strict=True))
    arrays: dict[str, Any] = {
        f"{tree}.{name}": np.asarray(array)
        for tree, params in trees.items()
        for name, array in params.items()
    }
    write_arrays(path, {**arrays, "adam_steps": adam.count, "epoch": state.epoch})


def read_origin(path: str | Path) -> Origin:
    """A kept state. Raises `InputError` for a file that is missing, damaged or another thing."""
    path = Path(path)
    arrays = read_arrays(path)
    names = {name.partition(".")[2] for name in arrays if "." in name}
    expected = {*COUNTS, *(f"{tree}.{name}" for tree in TREES for name in names)}
    counts = [arrays[name] for name in COUNTS if name in arrays]
    whole = all(c.shape == () and c.dtype.kind == "i" and c >= 0 for c in counts)
    if set(arrays) != expected or not names or not whole:
        raise InputError(f"origin={path}: holds no state of a training, as state.npz does")
    trees = {name: array for name, array in arrays.items() if name not in COUNTS}
    if bad := [n for n, a in trees.items() if a.dtype.kind != "f" or not np.isfinite(a).all()]:
        raise InputError(f"origin={path}: {bad[0]} is not finite, or no real numbers")
    return Origin(arrays)


def expect_fits(arrays: dict[str, np.ndarray], cell: RNNCell, what: str) -> None:
    """Raise `InputError` unless the trees of `arrays` have the shapes of the cell's parameters."""
    shapes = jax.eval_shape(lambda: init_params(cell, jax.random.key(0)))
    expected = dict(_shapes({f"{tree}.{name}": p for tree in TREES for name, p in shapes.items()}))
    found = dict(_shapes({name: array for name, array in arrays.items() if "." in name}))
    if found != expected:
        wrong = sorted(set(found.items()) ^ set(expected.items()))
        raise InputError(f"{what}: belongs to another network; they differ in {wrong[0]}")


def _shapes(arrays: dict[str, Any]) -> Iterator[tuple[str, tuple[int, ...]]]:
    return ((name, tuple(array.shape)) for name, array in arrays.items())


def _is_adam(part: Any) -> bool:  # noqa: ANN401
    return isinstance(part, optax.ScaleByAdamState)
