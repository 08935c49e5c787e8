"""Training a whole plan: lanes of devices that take batch after batch, side by side."""

import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import jax

from hmmrnn.errors import InputError, StorageError
from hmmrnn.sweep.folder import Failure, failure, is_done, is_trained, note_failure
from hmmrnn.sweep.grid import Entry
from hmmrnn.sweep.plan import Batch, batches
from hmmrnn.training import Progress, TrainConfig
from hmmrnn.training.ensemble import Placement
from hmmrnn.training.ensemble_run import Run, train_runs
from hmmrnn.training.memory import forget_programs_if_many
from hmmrnn.training.run import InterruptedRun
from hmmrnn.training.run_folder import open_run

Measure = Callable[[Path], None]
"""What is done with a trained network in its folder; raises `InputError` if it cannot be."""

Fitting = Callable[[TrainConfig, int], int]
"""How many of n networks of a configuration train at once; refuses with an `InputError`."""


class Watch(NamedTuple):
    """What a lane tells while it works; called from its thread."""

    begins: Callable[[int, Batch], None] = lambda lane, batch: None
    advances: Callable[[int, Progress], None] = lambda lane, progress: None
    ends: Callable[[int, Entry, Failure | None], None] = lambda lane, entry, failed: None


def lanes_of(devices: Sequence[jax.Device]) -> list[Placement]:
    """One lane for all devices together; on CPUs a lane for each, see `Placement`.

    CPUs train networks of their own faster than they share one, and what a network becomes does
    not depend on the others then.
    """
    if devices[0].platform == "cpu":
        return [Placement.default((device,)) for device in devices]
    return [Placement.default(tuple(devices))]


class Sweep:
    """Entries on their way into the run folders of one sweep."""

    def __init__(
        self,
        outdir: Path,
        measure: Measure,
        watch: Watch = Watch(),  # noqa: B008
        stopping: Callable[[], bool] = lambda: False,
    ) -> None:
        self.outdir, self.measure, self.watch = outdir, measure, watch
        self._asked_to_stop = stopping
        self._broken = threading.Event()
        self._measuring = threading.Lock()  # matplotlib has global state

    def finish(
        self, entries: Sequence[Entry], members_per_batch: Fitting, lanes: Sequence[Placement]
    ) -> None:
        """Train and measure what is not done yet; what fails is tried once more, alone.

        Failures are noted in the run folders.

        Raises:
            InterruptedRun: a stop was asked for; what was begun is saved.
            StorageError: a file could not be written; all lanes have saved what they could.
        """

        def tried(entry: Entry) -> Failure:
            return failure(self.outdir / entry.name)

        left = [entry for entry in entries if not is_done(self.outdir / entry.name)]
        self._run(batches((e for e in left if not tried(e).reasons), members_per_batch), lanes)
        again = [entry for entry in left if tried(entry).reasons and not tried(entry).given_up]
        self._run(batches(again, lambda config, n: members_per_batch(config, 1)), lanes)

    def _run(self, plan: Iterator[Batch], lanes: Sequence[Placement]) -> None:
        """Hand the batches of `plan` to the lanes."""
        lock = threading.Lock()
        errors: queue.SimpleQueue[BaseException] = queue.SimpleQueue()

        def next_batch() -> Batch | None:
            with lock:
                return None if self._stopping() else next(plan, None)

        def work(lane: int) -> None:
            try:
                with jax.default_device(lanes[lane].devices[0]):
                    while (batch := next_batch()) is not None:
                        self._run_batch(lane, batch, lanes[lane])
                        forget_programs_if_many()
            except BaseException as error:
                self._broken.set()
                errors.put(error)

        threads = [
            threading.Thread(target=work, args=(lane,), daemon=True) for lane in range(len(lanes))
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            while thread.is_alive():  # wait in small steps, so that signals are seen
                thread.join(timeout=0.2)
        raised = [errors.get() for _ in range(errors.qsize())]
        grave = [error for error in raised if not isinstance(error, InterruptedRun)]
        for error in (*grave, *raised):
            raise error
        if self._asked_to_stop():
            raise InterruptedRun(0)

    def _stopping(self) -> bool:
        return self._broken.is_set() or self._asked_to_stop()

    def _run_batch(self, lane: int, batch: Batch, placement: Placement) -> None:
        self.watch.begins(lane, batch)
        runs = {entry.name: Run(self.outdir / entry.name, entry.spec) for entry in batch.entries}
        earlier = {name: failure(run.folder) for name, run in runs.items()}
        problems = self._train(batch.problem, list(runs.values()), placement, lane, earlier)
        for entry in batch.entries:
            folder = self.outdir / entry.name
            problem = problems.get(entry.name) or self._measured(folder)
            failed = note_failure(folder, earlier[entry.name], problem) if problem else None
            self.watch.ends(lane, entry, failed)

    def _train(
        self,
        problem: str | None,
        runs: list[Run],
        placement: Placement,
        lane: int,
        earlier: dict[str, Failure],
    ) -> dict[str, str]:
        """Train what is not trained yet, unless there is a `problem`; what went wrong, by name."""
        left = [run for run in runs if not is_trained(run.folder)]
        if not left:
            return {}
        try:
            for run in left:  # what failed begins again
                failed = bool(earlier[run.folder.name].reasons)
                open_run(run.folder, run.spec, resume=not failed, overwrite=failed)
            if problem is not None:
                return {run.folder.name: problem for run in left}
            problems = train_runs(
                left,
                placement,
                stopping=self._stopping,
                observe=lambda progress: self.watch.advances(lane, progress),
            )
        except (InterruptedRun, StorageError):
            raise
        except (InputError, RuntimeError, MemoryError) as error:  # XLA's are RuntimeErrors
            reason = f"{type(error).__name__}: {error}".splitlines()[0]
            return {run.folder.name: reason for run in left}
        return {
            run.folder.name: problem
            for run, problem in zip(left, problems, strict=True)
            if problem is not None
        }

    def _measured(self, folder: Path) -> str | None:
        """Measure a trained network, unless that was done; what went wrong."""
        if is_done(folder):
            return None
        with self._measuring:
            try:
                self.measure(folder)
            except InputError as error:
                return str(error)
        return None
