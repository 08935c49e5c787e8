"""Resumable state on disk: orbax makes each save atomic and keeps the last few, numpy holds it.

A checkpoint is one `arrays.npz`, readable without this library. Its zip checksums reveal damage,
and a full disk is an ordinary `OSError`.
"""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import orbax.checkpoint as ocp

from hmmrnn.errors import InputError, NoWholeCheckpointError, StorageError
from hmmrnn.storage import DAMAGE, read_npz, save_npz
from hmmrnn.training.fit import Progress
from hmmrnn.training.run_folder import DAMAGED

ARRAYS = "arrays.npz"
RUN = "run"


class NpzHandler(ocp.CheckpointHandler):
    """Writes the leaves of a pytree as one npz file inside orbax's step folder."""

    def save(self, directory: Path, args: "NpzSave") -> None:
        """Write all leaves in tree order."""
        leaves = {f"{i:04d}": leaf for i, leaf in enumerate(jax.tree.leaves(args.tree))}
        save_npz(Path(directory) / ARRAYS, {**leaves, RUN: args.run})

    def restore(self, directory: Path, args: "NpzRestore") -> Any:  # noqa: ANN401
        """Read the leaves back into the structure of `args.like`."""
        leaves, structure = jax.tree.flatten(args.like)
        arrays = read_npz(Path(directory) / ARRAYS)
        run = str(arrays.pop(RUN, args.run))  # those of older versions do not say
        stored = [arrays[f"{i:04d}"] for i in range(len(arrays))]
        if run != args.run or [_form(x) for x in stored] != [_form(x) for x in leaves]:
            raise InputError(
                f"{directory}: is a checkpoint of another run, or of a network of other sizes; "
                "begin again with --overwrite, or bring back those of this run"
            )
        return jax.tree.unflatten(structure, stored)


@ocp.args.register_with_handler(NpzHandler, for_save=True)
@dataclass
class NpzSave(ocp.args.CheckpointArgs):
    """What to save."""

    tree: Any
    run: str  # digest of its configuration


@ocp.args.register_with_handler(NpzHandler, for_restore=True)
@dataclass
class NpzRestore(ocp.args.CheckpointArgs):
    """A pytree with the structure of what is stored."""

    like: Any
    run: str


class Checkpoints:
    """The checkpoints of one run, a folder for each saved epoch."""

    def __init__(self, folder: Path, keep: int, run: str) -> None:
        """`run` is the digest of the configuration of the run that they belong to."""
        self.folder, self._run = folder, run
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StorageError(f"{folder}: {error.strerror or error}") from None
        here = jax.process_index()
        self._manager = ocp.CheckpointManager(
            folder.absolute(),
            item_handlers=NpzHandler(),
            options=ocp.CheckpointManagerOptions(
                max_to_keep=keep,
                enable_async_checkpointing=False,
                cleanup_tmp_directories=True,
                create=False,
                # each process has run folders of its own, and never waits for another one's
                multiprocessing_options=ocp.options.MultiprocessingOptions(
                    primary_host=None,
                    active_processes={here},
                    barrier_sync_key_prefix=f"process-{here}",
                ),
            ),
        )

    def save(self, progress: Progress) -> None:
        """Save what `progress` holds, as the checkpoint of its epoch.

        Raises:
            StorageError: it cannot be written; the checkpoints before it are as they were.
        """
        epoch = int(progress.state.epoch)
        if epoch in self._manager.all_steps():
            return
        try:
            self._manager.save(epoch, args=NpzSave(progress, self._run))
        except OSError as error:
            raise StorageError(
                f"checkpoint of epoch {epoch} could not be written to {self.folder} "
                f"({error.strerror or error}); earlier checkpoints are intact: "
                "free some space and continue with --resume"
            ) from None

    def restore(self, like: Progress, warn: Callable[[str], None]) -> Progress | None:
        """The newest checkpoint that is whole; None if there never was one.

        Damaged ones are reported and moved aside, not removed.

        Raises:
            StorageError: the disk cannot be read.
            NoWholeCheckpointError: there are checkpoints, but none is whole.
            InputError: they belong to another run.
        """
        epochs = sorted(self._manager.all_steps(), reverse=True)
        for epoch in epochs:
            try:
                return self._manager.restore(epoch, args=NpzRestore(like, self._run))
            except InputError:
                raise
            except DAMAGE as error:
                if isinstance(error, OSError) and not isinstance(error, FileNotFoundError):
                    raise StorageError(
                        f"checkpoint of epoch {epoch} in {self.folder} cannot be read "
                        f"({error.strerror or error}); it is left as it is"
                    ) from None
                warn(
                    f"checkpoint of epoch {epoch} in {self.folder} is damaged "
                    f"({_first_line(error)}); trying the one before it"
                )
                self._move_aside(epoch)
        if epochs:
            raise NoWholeCheckpointError(
                f"no checkpoint in {self.folder} is whole (they were moved to {self._aside}); "
                "begin again with --overwrite"
            )
        return None

    @property
    def _aside(self) -> Path:
        return self.folder.with_name(DAMAGED)

    def _move_aside(self, epoch: int) -> None:
        target = self._aside / str(epoch)
        target.parent.mkdir(exist_ok=True)
        if target.exists():
            shutil.rmtree(target)
        (self.folder / str(epoch)).rename(target)
        self._manager.reload()

    def close(self) -> None:
        """Release orbax's resources."""
        self._manager.close()


def _form(leaf: Any) -> tuple[tuple[int, ...], str]:  # noqa: ANN401
    return tuple(leaf.shape), str(leaf.dtype)


def _first_line(error: BaseException) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
