"""Training into a run folder: checkpoints, signals, resuming, and stopping when it diverges."""

import contextlib
import signal
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import FrameType

import jax

from hmmrnn.errors import InputError, TrainingDivergedError
from hmmrnn.nets import long_run
from hmmrnn.training.checkpoint import Checkpoints
from hmmrnn.training.fit import Fit, Progress, advance, start
from hmmrnn.training.origin import keep_state
from hmmrnn.training.run_folder import (
    CHECKPOINTS,
    STATE,
    RunSpec,
    continued,
    expect_same,
    is_finished,
    load,
    only_trainer,
    open_run,
    save_fit,
    wall_time_so_far,
    write_manifest,
)

Observer = Callable[[Progress], None]
"""Called with the progress before the first chunk and after each one."""


class InterruptedRun(Exception):  # noqa: N818
    """A signal asked the training to stop; its state is saved as the checkpoint of `epoch`."""

    def __init__(self, epoch: int, signal_number: int = signal.SIGINT) -> None:
        super().__init__(f"stopped after epoch {epoch}")
        self.epoch, self.signal_number = epoch, signal_number


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
    if resume and not overwrite and is_finished(folder):
        with contextlib.suppress(InputError):  # another run, or damaged: see below
            expect_same(folder, spec)
            return load(folder)
    with stop_requests() as stopping, only_trainer(folder):
        open_run(folder, spec, resume=resume, overwrite=overwrite)
        if is_finished(folder):
            with contextlib.suppress(InputError):  # damaged results are made again
                return load(folder)
        with contextlib.closing(
            Checkpoints(folder / CHECKPOINTS, spec.config.train.keep_checkpoints)
        ) as checkpoints:
            fit = _train(folder, spec, checkpoints, stopping, observe)
        if asked := stopping():  # too late to leave anything out, but what follows is not wanted
            raise InterruptedRun(spec.config.train.epochs, asked)
        return fit


def _train(
    folder: Path,
    spec: RunSpec,
    checkpoints: Checkpoints,
    stopping: Callable[[], int],
    observe: Observer,
) -> Fit:
    """The training loop of `train_run`, in a folder made ready for it."""
    began = time.monotonic() - wall_time_so_far(folder)
    config, key = spec.config, jax.random.key(spec.seed)

    def save(progress: Progress, status: str) -> None:
        checkpoints.save(progress)
        write_manifest(folder, spec, status, time.monotonic() - began)

    def check(progress: Progress) -> None:
        """Save and stop if training cannot or should not go on."""
        done = int(progress.state.epoch)
        if int(progress.state.bad_in_row) >= config.train.max_bad_steps:
            save(progress, "diverged")
            raise TrainingDivergedError(divergence(spec, folder, done))
        if (asked := stopping()) and done < config.train.epochs:
            save(progress, "interrupted")
            raise InterruptedRun(done, asked)

    begin = partial(start, config, origin=spec.origin)
    like = jax.eval_shape(begin, key)
    restored = checkpoints.restore(like, partial(warnings.warn, stacklevel=3))
    progress = begin(key) if restored is None else restored
    done = int(progress.state.epoch)
    observe(progress)
    check(progress)
    for progress in advance(  # noqa: B020
        config, spec.noise_std, progress, key, done, spec.origin
    ):
        done = int(progress.state.epoch)
        if done == config.train.keep_state_at:
            keep_state(folder / STATE, progress.state)
        observe(progress)
        check(progress)
        if done % config.train.checkpoint_every == 0 or done == config.train.epochs:
            save(progress, "running")
    fit = Fit.of(config, jax.numpy.float32(spec.noise_std), progress)
    save_fit(folder, fit)
    elapsed = time.monotonic() - began
    write_manifest(folder, spec, "finished", elapsed, long_run=long_run(fit, config.data.n_steps))
    return fit


@contextlib.contextmanager
def stop_requests() -> Iterator[Callable[[], int]]:
    """While open, SIGTERM and SIGINT are only noted; the yielded function has their number, or 0.

    The second one raises KeyboardInterrupt, with its number, at once.
    Python allows this in the main thread only; elsewhere the signals keep their meaning.
    """
    received: list[int] = []

    def note(signum: int, frame: FrameType | None) -> None:
        if received:  # asked twice: do not wait for the end of the chunk
            raise KeyboardInterrupt(signum)
        received.append(signum)

    if threading.current_thread() is not threading.main_thread():
        yield lambda: 0
        return
    previous = {number: signal.signal(number, note) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield lambda: received[0] if received else 0
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def divergence(spec: RunSpec, folder: Path, epoch: int) -> str:
    """What happened and what to try, of a training that diverged."""
    options = spec.config.train
    return (
        f"training stopped at epoch {epoch}: {options.max_bad_steps} steps in a row had a "
        f"non-finite loss or gradient; the last good parameters are in {folder / CHECKPOINTS}; "
        f"try, in a new folder, a smaller --train.learning_rate (now {options.learning_rate:g}), "
        f"--train.clip_norm (now {options.clip_norm:g}) or --noise_std (now {spec.noise_std:g})"
    )
