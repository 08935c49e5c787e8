"""Training a whole plan: lanes of devices that take batch after batch, side by side."""

import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax

from hmmrnn.errors import FolderInUseError, InputError
from hmmrnn.folders import CONFIG
from hmmrnn.programs import forget_programs_if_many
from hmmrnn.sweep.folder import (
    Failure,
    failure,
    is_done,
    is_trained,
    keep_failure,
    note_failure,
)
from hmmrnn.sweep.grid import Entry
from hmmrnn.sweep.plan import TROUBLE, Batch, batches, reason_of
from hmmrnn.training import Progress, TrainConfig
from hmmrnn.training.ensemble import Placement
from hmmrnn.training.run import Run, train_runs
from hmmrnn.training.run_folder import (
    FAILURE,
    continued,
    has_diverged,
    only_trainer,
    open_run,
    owned_run,
)
from hmmrnn.training.signals import InterruptedRun

Measure = Callable[[Path], None]
"""What is done with a trained network in its folder."""

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
        self,
        entries: Sequence[Entry],
        members_per_batch: Fitting,
        lanes: Sequence[Placement],
        *,
        in_order: bool = False,
    ) -> None:
        """Train and measure what is not done yet; what fails is tried once more, alone.

        The largest first, or `in_order` of the entries. Failures are noted in the run folders.

        Raises:
            InterruptedRun: a stop was asked for; what was begun is saved.
            StorageError: a file could not be written; all lanes have saved what they could.
        """

        def tried(entry: Entry) -> Failure:
            return failure(self.outdir / entry.name)

        left = [entry for entry in entries if not is_done(self.outdir / entry.name, entry.spec)]
        untried = (entry for entry in left if not tried(entry).reasons)
        self._run(batches(untried, members_per_batch, in_order=in_order), lanes)
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
        runs = [Run(self.outdir / entry.name, entry.spec) for entry in batch.entries]
        problems = self._train(batch.problem, runs, placement, lane)
        for entry, run in zip(batch.entries, runs, strict=True):
            problem = problems.get(run.folder)
            if isinstance(problem, FolderInUseError):  # the other one's, and not a failure
                self.watch.ends(lane, entry, Failure([str(problem)]))
                continue
            try:
                problem = problem or self._measured(run.folder)
            except FolderInUseError as error:
                self.watch.ends(lane, entry, Failure([str(error)]))
                continue
            failed = self._noted(run.folder, str(problem)) if problem else None
            self.watch.ends(lane, entry, failed)

    def _noted(self, folder: Path, problem: str) -> Failure:
        """The failure, in its folder unless a file of somebody else has its name there."""
        theirs = not (folder / CONFIG).exists() and not failure(folder).reasons
        if theirs and (folder / FAILURE).exists():
            return Failure([problem])
        return note_failure(folder, problem)

    def _train(
        self, problem: str | None, runs: list[Run], placement: Placement, lane: int
    ) -> dict[Path, str | FolderInUseError]:
        """Train what is not trained yet, unless there is a `problem`; what went wrong."""
        problems: dict[Path, str | FolderInUseError] = {}
        left: list[Run] = []
        for run in runs:
            try:
                if is_trained(run.folder, run.spec):
                    continue
                left.append(_made_ready(run))
            except FolderInUseError as error:
                problems[run.folder] = error
            except InputError as error:
                problems[run.folder] = str(error)
        if not left:
            return problems
        if problem is not None:
            return problems | {run.folder: problem for run in left}
        for alike in _by_configuration(left):
            try:
                found: list[Any] = train_runs(
                    alike,
                    placement,
                    stopping=self._stopping,
                    observe=lambda progress: self.watch.advances(lane, progress),
                )
            except FolderInUseError as error:
                found = [error] * len(alike)
            except TROUBLE as error:
                found = [reason_of(error)] * len(alike)
            named = zip(alike, found, strict=True)
            problems |= {run.folder: why for run, why in named if why is not None}
        return problems

    def _measured(self, folder: Path) -> str | None:
        """Measure a trained network, unless that was done; what went wrong."""
        if is_done(folder):
            return None
        if self._stopping():
            raise InterruptedRun(0)
        with self._measuring:
            try:
                with owned_run(folder):
                    self.measure(folder)
            except FolderInUseError:
                raise
            except TROUBLE as error:
                return reason_of(error)
        return None


def _by_configuration(runs: list[Run]) -> list[list[Run]]:
    """Those that an older version began may keep less of a training than the others."""
    groups: dict[TrainConfig, list[Run]] = {}
    for run in runs:
        groups.setdefault(run.spec.config, []).append(run)
    return list(groups.values())


def _made_ready(run: Run) -> Run:
    """Begin or continue; what has diverged would stay so, and begins again.

    Raises:
        FolderInUseError: another process trains into it.
        InputError: the folder holds something else, which is left alone.
    """
    with only_trainer(run.folder):
        run = run._replace(spec=continued(run.folder, run.spec))
        open_run(run.folder, run.spec, resume=True, overwrite=False)
        if has_diverged(run.folder):
            earlier = failure(run.folder)
            open_run(run.folder, run.spec, resume=False, overwrite=True)
            keep_failure(run.folder, earlier)
    return run
