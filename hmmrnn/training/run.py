"""Training into run folders, one for each network: checkpoints, signals, resuming, divergence."""

import contextlib
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from hmmrnn.errors import InputError, NoWholeCheckpointError, TrainingDivergedError
from hmmrnn.folders import CONFIG
from hmmrnn.nets import long_run
from hmmrnn.programs import keep_programs_of
from hmmrnn.storage import digest_of_json, read_json
from hmmrnn.training.checkpoint import Checkpoints
from hmmrnn.training.ensemble import ALONE, Placement, advance, member, start
from hmmrnn.training.fit import Fit, Progress
from hmmrnn.training.memory import expect_possible
from hmmrnn.training.origin import keep_state
from hmmrnn.training.run_folder import (
    CHECKPOINTS,
    STATE,
    RunSpec,
    continued,
    end_run,
    expect_same,
    is_finished,
    load,
    only_trainer,
    open_run,
    wall_time_so_far,
    write_manifest,
)
from hmmrnn.training.signals import InterruptedRun, Stopping, stop_requests

Observer = Callable[[Progress], None]
"""Called with the progress before the first chunk and after each one."""


class Run(NamedTuple):
    """One network to train and the folder it goes to."""

    folder: Path
    spec: RunSpec


def train_run(
    folder: Path,
    spec: RunSpec,
    *,
    resume: bool = False,
    overwrite: bool = False,
    observe: Observer = lambda progress: None,
) -> Fit:
    """Train `spec` into `folder`, or finish what was begun there, and write its files.

    The parameters are those of `train(config, noise_std, key(seed), origin)`, bit for bit, however
    often the training was interrupted. A finished run is only loaded. Call it in the main thread
    to have SIGTERM and SIGINT handled.

    Raises:
        InputError: the folder holds something else, or another process trains into it.
        InterruptedRun: SIGTERM or SIGINT arrived; a checkpoint was saved first, and all files if
            it came after the last one.
        TrainingDivergedError: too many bad steps in a row; a checkpoint was saved first.
        StorageError: a file could not be written; the checkpoints before it are intact.
    """
    spec = continued(folder, spec) if resume else spec
    expect_possible(spec.config)
    if resume and not overwrite and is_finished(folder):
        with contextlib.suppress(InputError):  # another run, or damaged: see below
            expect_same(folder, spec)
            return load(folder)
    with stop_requests() as stopping, only_trainer(folder):
        open_run(folder, spec, resume=resume, overwrite=overwrite)
        if is_finished(folder):
            with contextlib.suppress(InputError):  # damaged results are made again
                return load(folder)

        def observe_one(progress: Progress) -> None:
            observe(member(progress, 0))

        (problem,) = _Trainer([Run(folder, spec)], ALONE, stopping, observe_one).train()
        if problem is not None:
            raise TrainingDivergedError(problem)
        if asked := stopping():  # too late to leave anything out, but what follows is not wanted
            raise InterruptedRun(spec.config.train.epochs, asked)
        return load(folder)


def train_runs(
    runs: Sequence[Run],
    placement: Placement,
    *,
    stopping: Stopping = lambda: 0,
    observe: Observer = lambda progress: None,
) -> list[str | None]:
    """Train networks that differ in seed and noise level only, each into its own run folder.

    What was begun there is finished; members that are behind the others catch up first. Each
    folder ends as `train_run` would have left it, up to rounding (see `Placement`). `observe` gets
    the progress of the members that are being trained, with a leading axis of members, before
    their first chunk and after each one. One whose checkpoints are all damaged begins again.

    Returns:
        For each network None, or how it diverged: then its folder holds checkpoints and no result.

    Raises:
        InputError: networks of several configurations, or a folder that holds something else.
        InterruptedRun: `stopping` said so between two chunks; checkpoints were saved first.
        StorageError: a file could not be written; the checkpoints before it are intact.
    """
    if len({(run.spec.config, run.spec.origin) for run in runs}) > 1:
        raise InputError("networks of one ensemble differ in seed and noise level only")
    expect_possible(runs[0].spec.config, len(runs))
    with contextlib.ExitStack() as stack:
        for run in runs:
            stack.enter_context(only_trainer(run.folder))
            open_run(run.folder, run.spec, resume=True, overwrite=False)
        return _Trainer(runs, placement, stopping, observe, begin_again=True).train()


class _Part(NamedTuple):
    """Members that have come equally far."""

    rows: list[int]
    progress: Progress  # leaves (S, ...)
    done: int  # epochs


@dataclass(eq=False)
class _Trainer:
    """The networks of one call in folders made ready for them, with what is needed to save them."""

    runs: Sequence[Run]
    placement: Placement
    stopping: Stopping
    observe: Observer
    begin_again: bool = False  # what has checkpoints of which none is whole

    def __post_init__(self) -> None:
        self.config, _, _, self.origin = self.runs[0].spec
        self.keys = jnp.stack([jax.random.key(run.spec.seed) for run in self.runs])
        self.noise_std = jnp.array([run.spec.noise_std for run in self.runs], jnp.float32)
        self.checkpoints: list[Checkpoints] = []
        self.diverged_at: dict[int, int] = {}  # epoch, by row
        now = time.monotonic()
        self.began = [now - wall_time_so_far(run.folder) for run in self.runs]

    def train(self) -> list[str | None]:
        """Bring all members to the end, the hindmost first, and write their results."""
        keep_programs_of(self.config.cell)
        with contextlib.ExitStack() as stack:
            for run in self.runs:
                opened = Checkpoints(
                    run.folder / CHECKPOINTS,
                    self.config.train.keep_checkpoints,
                    digest_of_json(read_json(run.folder / CONFIG)),
                )
                self.checkpoints.append(stack.enter_context(contextlib.closing(opened)))
            hindmost, *others = self._restored()
            for next_ in others:
                if hindmost.done < next_.done:
                    hindmost = self._advanced(hindmost, next_.done)
                hindmost = _joined(hindmost, next_)
            return self._finished(self._advanced(hindmost, self.config.train.epochs))

    def _restored(self) -> list[_Part]:
        """The newest checkpoints, or the start, by how far they are."""
        parts, fresh = [], []
        together = jax.eval_shape(partial(self._started, list(range(len(self.runs)))))
        like = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape[1:], x.dtype), together)
        for row, checkpoints in enumerate(self.checkpoints):
            progress = self._newest(checkpoints, like)
            if progress is None:
                fresh.append(row)
            else:
                members = jax.tree.map(lambda leaf: leaf[None], progress)
                parts.append(_Part([row], members, int(progress.state.epoch)))
        if fresh:
            parts.append(_Part(fresh, _on_host(self._started(fresh), len(fresh)), 0))
        return sorted(parts, key=lambda part: part.done)

    def _newest(self, checkpoints: Checkpoints, like: Progress) -> Progress | None:
        warn = partial(warnings.warn, stacklevel=5)
        try:
            return checkpoints.restore(like, warn)
        except NoWholeCheckpointError:
            if not self.begin_again:
                raise
            warn(f"no checkpoint in {checkpoints.folder} is whole; this network begins again")
            return None

    def _started(self, rows: list[int]) -> Progress:
        filled = np.array(rows)[self.placement.filled(len(rows))]
        given = None if self.origin is None else self.origin.state(self.config)
        return start(self.config, self.keys[filled], self.placement, given)

    def _advanced(self, part: _Part, until: int) -> _Part:
        """The part after `until` epochs; saves checkpoints on the way."""
        rows, progress, done = part
        if self._all_diverged(part) or done >= until:
            return part._replace(done=until)
        options, places = self.config.train, self.placement.filled(len(rows))
        filled = np.array(rows)[places]
        for progress in advance(  # noqa: B020
            self.config,
            self.noise_std[filled],
            jax.tree.map(lambda leaf: leaf[places], progress),
            self.keys[filled],
            self.placement,
            done,
            until,
            self.origin,
        ):
            done = min(done + options.chunk_epochs, until)
            part = _Part(rows, progress, done)
            if done == options.keep_state_at:
                for row, one in self._members(part):
                    keep_state(self.runs[row].folder / STATE, one.state)
            if self._all_diverged(part):
                break  # nothing of it will change any more
            if done % options.checkpoint_every == 0 or done == options.epochs:
                self._save(part, "running")
        return _Part(rows, _on_host(progress, len(rows)), until)

    def _all_diverged(self, part: _Part) -> bool:
        """Show the part, note who has diverged, and stop if that was asked for."""
        self.observe(part.progress)
        in_row = np.asarray(part.progress.state.bad_in_row)[: len(part.rows)]
        for place in np.flatnonzero(in_row >= self.config.train.max_bad_steps):
            self.diverged_at.setdefault(part.rows[place], part.done)
        if self.diverged_at.keys() >= set(part.rows):
            return True
        if (asked := self.stopping()) and part.done < self.config.train.epochs:
            self._save(part, "interrupted")
            raise InterruptedRun(part.done, asked)
        return False

    def _members(self, part: _Part) -> Iterator[tuple[int, Progress]]:
        """Row and progress of each."""
        progress = _on_host(part.progress, len(part.rows))
        for place, row in enumerate(part.rows):
            yield row, jax.tree.map(lambda leaf, place=place: leaf[place], progress)

    def _save(self, part: _Part, status: str) -> None:
        for row, progress in self._members(part):
            self.checkpoints[row].save(progress)
            self._write_manifest(row, status)

    def _finished(self, whole: _Part) -> list[str | None]:
        """Write the results of all members that did not diverge."""
        problems: list[str | None] = [None] * len(self.runs)
        for row, progress in self._members(whole):
            run = self.runs[row]
            if row in self.diverged_at:
                self.checkpoints[row].save(progress)
                self._write_manifest(row, "diverged")
                problems[row] = divergence(run, self.diverged_at[row])
                continue
            fit = Fit.of(self.config, jnp.float32(run.spec.noise_std), progress)
            ran, elapsed = long_run(fit, self.config.data.n_steps), self._elapsed(row)
            end_run(run.folder, run.spec, fit, elapsed, len(self.runs), ran)
        return problems

    def _write_manifest(self, row: int, status: str) -> None:
        folder, spec = self.runs[row]
        write_manifest(folder, spec, status, self._elapsed(row), len(self.runs))

    def _elapsed(self, row: int) -> float:
        return time.monotonic() - self.began[row]


def _on_host(progress: Progress, n_members: int) -> Progress:
    """Without the members that only fill a device."""
    return jax.tree.map(lambda leaf: np.asarray(leaf)[:n_members], progress)


def _joined(a: _Part, b: _Part) -> _Part:
    both = jax.tree.map(lambda x, y: np.concatenate([x, y]), a.progress, b.progress)
    return _Part(a.rows + b.rows, both, b.done)


def divergence(run: Run, epoch: int) -> str:
    """What happened and what to try, of a training that diverged."""
    options = run.spec.config.train
    return (
        f"training stopped at epoch {epoch}: {options.max_bad_steps} steps in a row had a "
        f"non-finite loss or gradient; the last good parameters are in {run.folder / CHECKPOINTS}; "
        f"try, in a new folder, a smaller --train.learning_rate (now {options.learning_rate:g}), "
        f"--train.clip_norm (now {options.clip_norm:g}) or --noise_std (now {run.spec.noise_std:g})"
    )
