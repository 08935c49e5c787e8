"""One analysis of many run folders in one process: `--runs='PATTERN'` of the command lines.

Networks of equal shape run side by side on the device. What follows on the host goes network by
network, and a second process may draw one while the next is measured. A run that cannot be
analysed never stops the others.
"""

import signal
import sys
import time
from collections import deque
from collections.abc import Callable, Hashable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from glob import glob
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from absl import flags

from hmmrnn.errors import InputError, StorageError
from hmmrnn.folders import CONFIG, READY, owned
from hmmrnn.nets import long_run
from hmmrnn.programs import forget_programs_if_many
from hmmrnn.storage import read_results
from hmmrnn.sweep.plan import TROUBLE, reason_of
from hmmrnn.training import Fit, RunSpec, load
from hmmrnn.training.run_folder import digest_in, owned_run, read_spec

FLAGS = flags.FLAGS

AT_ONCE_ON_CPU, AT_ONCE = 1, 8
"""Networks side by side. A CPU is no faster with several, and one alone needs no code of its own.
Memory grows with their number: 8 networks of 150 units need some 3 GB at the default sizes.
"""

AHEAD = 1
"""Networks that may be measured while an earlier one is still being drawn."""

Submit = Callable[..., Future]


@contextmanager
def in_place() -> Iterator[Submit]:
    """Host steps are done at once, in this process."""

    def submit(function: Callable[..., Any], *arguments: Any) -> Future:  # noqa: ANN401
        try:
            return _known(function(*arguments))
        except (StorageError, *TROUBLE) as error:
            return _known(error)

    yield submit


@contextmanager
def second_process() -> Iterator[Submit]:
    """Host steps are done one by one in a process beside this one, which ends what it has begun.

    Raises:
        StorageError: that process was killed.
    """
    pool = ProcessPoolExecutor(1, get_context("spawn"), initializer=_leave_interrupts_and_devices)
    try:
        yield pool.submit
    except BrokenProcessPool:
        raise StorageError(
            "the process that draws the figures was killed, perhaps for its memory; "
            "go on with --missing_only"
        ) from None
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


class Step(NamedTuple):
    """One analysis, as it is done with many networks."""

    result: str  # the file that it writes last
    shape: Callable[[RunSpec], Hashable]  # networks of equal shape run side by side
    measure: Callable[[list[Fit]], Iterator[Any]]  # a record of each, or the error it raised
    write: Callable[[Path, str, Any], str]  # with the digest; returns what matters in one line
    hosts: Callable[[], AbstractContextManager[Submit]] = in_place


class Many(NamedTuple):
    """Which run folders, and how many networks side by side (None: as many as suit the device)."""

    pattern: str
    missing_only: bool = False
    at_once: int | None = None


def unbounded(fits: Sequence[Fit]) -> Iterator[str | None]:
    """Why numbers of long runs of each network would mean nothing; None where they do."""
    return (long_run(fit, fit.config.data.n_steps).problem for fit in fits)


def one_or_many() -> Path | Many:
    """The folder of `--run`, or what `--runs` asks for.

    Raises:
        InputError: none or both, or a flag that goes with the other one.
    """
    if (FLAGS.run is None) == (FLAGS.runs is None):
        raise InputError(
            "run, runs: give one of them, --run=DIR for one run folder or --runs='PATTERN' for many"
        )
    if FLAGS.runs is not None:
        return Many(FLAGS.runs, FLAGS.missing_only, FLAGS.networks_at_once)
    if FLAGS.missing_only:
        raise InputError("missing_only: goes with --runs='PATTERN', not with --run")
    return Path(FLAGS.run)


def matching(pattern: str) -> list[Path]:
    """The run folders that a pattern names, in alphabetical order. Raises `InputError` if none."""
    paths = sorted(map(Path, glob(pattern, recursive=True)))  # noqa: PTH207, absolute ones as well
    for path in paths:
        if (path / READY).exists():  # of a process that was killed
            with suppress(InputError, StorageError), owned(path):
                pass
    there = [path for path in paths if (path / CONFIG).is_file()]
    found = [*{path.resolve(): path for path in reversed(there)}.values()][::-1]
    if not found:
        raise InputError(f"runs={pattern}: matches no run folder, which would hold a {CONFIG}")
    return found


def _is_current(folder: Path, result: str) -> bool:
    """Whether a folder has a result of the network in it that can be read."""
    try:
        return bool(read_results(folder / result, digest_in(folder), missing_ok=True))
    except InputError:
        return False


def analyse_all(step: Step, many: Many) -> None:
    """Analyse all runs that match and say so of each.

    Raises:
        InputError: no run folder matches.
        StorageError: the second process was killed.
        SystemExit: with code 1 at the end, if a run was skipped.
    """
    folders = matching(many.pattern)
    missing = [folder for folder in folders if not _is_current(folder, step.result)]
    chosen = missing if many.missing_only else folders
    if len(chosen) < len(folders):
        print(f"{len(folders) - len(chosen)} left out, which have {step.result}", flush=True)
    n_skipped, begin = 0, time.monotonic()
    for i, (folder, line) in enumerate(_outcomes(step, chosen, many.at_once), 1):
        if isinstance(line, Exception):
            n_skipped += 1
            print(f"skipped {folder}: {reason_of(line)}", file=sys.stderr, flush=True)
            continue
        seconds = (time.monotonic() - begin) / i * (len(chosen) - i)
        print(f"{folder}: {line} ({i} of {len(chosen)}{_left(seconds)})", flush=True)
    print(f"{len(chosen) - n_skipped} analysed, {n_skipped} skipped")
    if n_skipped:
        raise SystemExit(1)


def _left(seconds: float) -> str:
    if seconds == 0:
        return ""
    shown = f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"
    return f", about {shown} left"


def _outcomes(
    step: Step, folders: Sequence[Path], at_once: int | None
) -> Iterator[tuple[Path, str | Exception]]:
    """The line of each folder, or why it has none; each is ours until then.

    However it ends, the process that writes has ended before the folders are free.
    """
    waiting: deque[tuple[Path, Future]] = deque()
    with ExitStack() as all_held, step.hosts() as submit:
        held: dict[Path, ExitStack] = {}

        def take(folder: Path) -> None:
            held[folder] = all_held.enter_context(ExitStack())
            held[folder].enter_context(owned_run(folder))

        def ended(folder: Path, future: Future) -> tuple[Path, str | Exception]:
            outcome = _outcome(folder, future)
            if folder in held:
                held.pop(folder).close()
            return outcome

        for folder, digest, found in _measured(step, folders, at_once or _suitable(), take):
            failed = isinstance(found, Exception)
            written = _known(found) if failed else submit(step.write, folder, digest, found)
            waiting.append((folder, written))
            while waiting and (waiting[0][1].done() or len(waiting) > AHEAD):
                yield ended(*waiting.popleft())
        for folder, future in waiting:
            yield ended(folder, future)


def _outcome(folder: Path, future: Future) -> tuple[Path, str | Exception]:
    try:
        return folder, future.result()
    except BrokenProcessPool:  # concerns all that follow
        raise
    except (StorageError, *TROUBLE) as error:
        return folder, error


def _measured(
    step: Step, folders: Sequence[Path], at_once: int, take: Callable[[Path], None]
) -> Iterator[tuple[Path, str, Any]]:
    """The digest of each network and its record, or why it has none.

    `take` makes a folder ours.
    """
    runs: list[tuple[Path, RunSpec]] = []
    for folder in folders:
        try:
            runs.append((folder, read_spec(folder)))
        except InputError as error:
            yield folder, "", error
    for group, size in in_groups(runs, step.shape, at_once):
        forget_programs_if_many()  # each shape has compiled code of its own
        loaded: list[tuple[Path, Fit]] = []
        for folder in group:
            try:
                take(folder)
                loaded.append((folder, load(folder)))
            except (InputError, StorageError) as error:
                yield folder, "", error
        if loaded:
            yield from _side_by_side(step, loaded, size)


def _side_by_side(
    step: Step, loaded: list[tuple[Path, Fit]], size: int
) -> Iterator[tuple[Path, str, Any]]:
    fits = [fit for _, fit in loaded]
    fits += fits[-1:] * (size - len(fits))  # groups of one size share their compiled code
    waiting = [(folder, fit.digest) for folder, fit in loaded]
    try:
        for found in step.measure(fits):
            yield *waiting.pop(0), _on_host(found)
            if not waiting:
                return
    except (StorageError, *TROUBLE) as error:  # out of memory as well: fewer networks_at_once
        for folder, digest in waiting:
            yield folder, digest, error


def in_groups(
    runs: Sequence[tuple[Path, RunSpec]], shape: Callable[[RunSpec], Hashable], at_once: int
) -> Iterator[tuple[list[Path], int]]:
    """Folders of equal shape, at most `at_once` together, with the size that all such groups have.

    Groups of one shape are as even as can be, so that little is done twice to fill up the last.
    """
    by_shape: dict[Hashable, list[Path]] = {}
    for folder, spec in runs:
        by_shape.setdefault(shape(spec), []).append(folder)
    for alike in by_shape.values():
        n_groups = -(-len(alike) // at_once)
        size = -(-len(alike) // n_groups)
        for first in range(0, len(alike), size):
            yield alike[first : first + size], size


def _suitable() -> int:
    return AT_ONCE_ON_CPU if jax.default_backend() == "cpu" else AT_ONCE


def _on_host(found: Any) -> Any:  # noqa: ANN401
    """A record whose arrays need no device, so that it can go to another process."""
    return jax.tree.map(lambda x: np.asarray(x) if isinstance(x, jax.Array) else x, found)


def _known(result: Any) -> Future:  # noqa: ANN401
    """A future that is here."""
    future: Future = Future()
    if isinstance(result, Exception):
        future.set_exception(result)
    else:
        future.set_result(result)
    return future


def _leave_interrupts_and_devices() -> None:
    """In the second process: an interrupt ends what has begun first, and only the first process
    holds an accelerator.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    jax.config.update("jax_platforms", "cpu")
