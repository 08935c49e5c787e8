"""Training an ensemble into run folders, one for each network; saving, resuming, divergence."""

import contextlib
import time
import warnings
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from hmmrnn.errors import InputError, NoWholeCheckpointError
from hmmrnn.nets import LongRun, long_run
from hmmrnn.training.checkpoint import Checkpoints
from hmmrnn.training.config import TrainConfig
from hmmrnn.training.ensemble import Placement, advance_members, start_members
from hmmrnn.training.fit import Fit, Progress, start
from hmmrnn.training.origin import keep_state
from hmmrnn.training.run import InterruptedRun, Observer, divergence
from hmmrnn.training.run_folder import (
    CHECKPOINTS,
    STATE,
    RunSpec,
    only_trainer,
    open_run,
    save_fit,
    wall_time_so_far,
    write_manifest,
)


class Run(NamedTuple):
    """One network to train and the folder it goes to."""

    folder: Path
    spec: RunSpec


class Part(NamedTuple):
    """Members that have come equally far."""

    rows: list[int]
    progress: Progress  # leaves (S, ...)
    done: int  # epochs


def train_runs(
    runs: Sequence[Run],
    placement: Placement,
    *,
    stopping: Callable[[], bool] = lambda: False,
    observe: Observer = lambda progress: None,
) -> list[str | None]:
    """Train networks that differ in seed and noise level only, each into its own run folder.

    What was begun there is finished; members that are behind the others catch up first. Each
    folder ends as `train_run` would have left it, up to rounding (see `Placement`). `observe` gets
    the progress of the members that are being trained, with a leading axis of members, before
    their first chunk and after each one.

    Returns:
        For each network None, or how it diverged: then its folder holds checkpoints and no result.

    Raises:
        InputError: networks of several configurations, or a folder that holds something else.
        InterruptedRun: `stopping` said so between two chunks; checkpoints were saved first.
        StorageError: a file could not be written; the checkpoints before it are intact.
    """
    config = runs[0].spec.config
    if any(run.spec.config != config for run in runs):
        raise InputError("networks of one ensemble differ in seed and noise level only")
    if any(run.spec.origin is not None for run in runs):
        raise InputError("an ensemble begins anew: train what has an origin one by one")
    with contextlib.ExitStack() as stack:
        for run in runs:
            stack.enter_context(only_trainer(run.folder))
            open_run(run.folder, run.spec, resume=True, overwrite=False)
        books = [
            stack.enter_context(
                contextlib.closing(
                    Checkpoints(run.folder / CHECKPOINTS, config.train.keep_checkpoints)
                )
            )
            for run in runs
        ]
        return _Company(config, runs, books, placement, stopping, observe).train()


class _Company:
    """The networks of one call of `train_runs`, with what is needed to save them."""

    def __init__(
        self,
        config: TrainConfig,
        runs: Sequence[Run],
        books: Sequence[Checkpoints],
        placement: Placement,
        stopping: Callable[[], bool],
        observe: Observer,
    ) -> None:
        self.config, self.runs, self.books = config, runs, books
        self.placement, self.stopping, self.observe = placement, stopping, observe
        self.keys = jnp.stack([jax.random.key(run.spec.seed) for run in runs])
        self.noise_std = jnp.array([run.spec.noise_std for run in runs], jnp.float32)
        now = time.monotonic()
        self.diverged_at: dict[int, int] = {}  # epoch, by row
        self.began = [now - wall_time_so_far(run.folder) for run in runs]

    def train(self) -> list[str | None]:
        """Bring all members to the end, the hindmost first, and write their results."""
        parts = self._restored()
        while len(parts) > 1:
            hindmost, next_, *others = parts
            parts = [_joined(self._advanced(hindmost, next_.done), next_), *others]
        (whole,) = parts
        return self._finish(self._advanced(whole, self.config.train.epochs))

    def _restored(self) -> list[Part]:
        """The newest checkpoints, or the start, by how far they are."""
        like = jax.eval_shape(partial(start, self.config), self.keys[0])
        restored = [_newest(book, like) for book in self.books]
        by_epoch: dict[int, list[int]] = {}
        for row, progress in enumerate(restored):
            done = 0 if progress is None else int(progress.state.epoch)
            by_epoch.setdefault(done, []).append(row)
        parts = []
        for done, rows in sorted(by_epoch.items()):
            kept = [progress for row in rows if (progress := restored[row]) is not None]
            # A member without a checkpoint stands at its start, like all that have done nothing.
            progress = _stacked(kept) if len(kept) == len(rows) else self._started(rows)
            parts.append(Part(rows, progress, done))
        return parts

    def _started(self, rows: list[int]) -> Progress:
        filled = self.placement.filled(len(rows))
        progress = start_members(self.config, self.keys[jnp.array(rows)][filled], self.placement)
        return _on_host(progress, len(rows))

    def _advanced(self, part: Part, until: int) -> Part:
        """The part after `until` epochs; saves checkpoints on the way."""
        rows, progress, done = part
        self.observe(progress)
        self._check(part)
        if done >= until:
            return part
        filled = self.placement.filled(len(rows))
        members = jnp.array(rows)[filled]
        for progress in advance_members(  # noqa: B020
            self.config,
            self.noise_std[members],
            jax.tree.map(lambda leaf: leaf[filled], progress),
            self.keys[members],
            self.placement,
            done,
            until,
        ):
            done = min(done + self.config.train.chunk_epochs, until)
            part = Part(rows, progress, done)
            if done == self.config.train.keep_state_at:
                self._keep_states(part)
            self.observe(progress)
            self._check(part)
            last = self.config.train.epochs
            if done % self.config.train.checkpoint_every == 0 or done == last:
                self._save(part, "running")
            if self._note_divergence(part):
                break  # nothing of it will change any more
        return Part(rows, _on_host(progress, len(rows)), until)

    def _check(self, part: Part) -> None:
        if self.stopping() and part.done < self.config.train.epochs:
            self._save(part, "interrupted")
            raise InterruptedRun(part.done)

    def _save(self, part: Part, status: str) -> None:
        progress = _on_host(part.progress, len(part.rows))
        for place, row in enumerate(part.rows):
            self.books[row].save(_member(progress, place))
            self._write_manifest(row, status)

    def _keep_states(self, part: Part) -> None:
        progress = _on_host(part.progress, len(part.rows))
        for place, row in enumerate(part.rows):
            keep_state(self.runs[row].folder / STATE, _member(progress, place).state)

    def _finish(self, whole: Part) -> list[str | None]:
        """Write the results of all members that did not diverge."""
        problems: list[str | None] = [None] * len(self.runs)
        self._note_divergence(whole)
        for place, row in enumerate(whole.rows):
            folder, spec = self.runs[row]
            progress = _member(whole.progress, place)
            if row in self.diverged_at:
                self.books[row].save(progress)
                self._write_manifest(row, "diverged")
                problems[row] = divergence(spec, folder, self.diverged_at[row])
                continue
            fit = Fit.of(self.config, jnp.float32(spec.noise_std), progress)
            save_fit(folder, fit)
            self._write_manifest(row, "finished", long_run(fit, self.config.data.n_steps))
        return problems

    def _note_divergence(self, part: Part) -> bool:
        """Remember who has diverged and when; whether all of the part have."""
        in_row = np.asarray(part.progress.state.bad_in_row)[: len(part.rows)]
        for place in np.flatnonzero(in_row >= self.config.train.max_bad_steps):
            self.diverged_at.setdefault(part.rows[place], part.done)
        return self.diverged_at.keys() >= set(part.rows)

    def _write_manifest(self, row: int, status: str, long_run: LongRun | None = None) -> None:
        folder, spec = self.runs[row]
        elapsed = time.monotonic() - self.began[row]
        write_manifest(folder, spec, status, elapsed, len(self.runs), long_run)


def _newest(book: Checkpoints, like: Progress) -> Progress | None:
    """The newest checkpoint; one whose checkpoints are all damaged begins again."""
    warn = partial(warnings.warn, stacklevel=4)
    try:
        return book.restore(like, warn)
    except NoWholeCheckpointError:
        warn(f"no checkpoint in {book.folder} is whole; this network begins again")
        return None


def _stacked(progresses: list[Progress]) -> Progress:
    return jax.tree.map(lambda *leaves: np.stack(leaves), *progresses)


def _on_host(progress: Progress, n_members: int) -> Progress:
    """Without the members that only fill a device."""
    return jax.tree.map(lambda leaf: np.asarray(leaf)[:n_members], progress)


def _member(progress: Progress, place: int) -> Progress:
    return jax.tree.map(lambda leaf: leaf[place], progress)


def _joined(a: Part, b: Part) -> Part:
    both = jax.tree.map(lambda x, y: np.concatenate([x, y]), a.progress, b.progress)
    return Part(a.rows + b.rows, both, b.done)
