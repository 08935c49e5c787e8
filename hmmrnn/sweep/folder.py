"""The folder of a sweep: which grid it belongs to, who works in it, and what failed.

sweep.json       the grid, with a fingerprint of every network
NAME/            one run folder for each network; failure.json in it says what went wrong
sweep.csv  sweep.npz  figures/      the table, and what it shows
"""

import contextlib
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from filelock import Timeout

from hmmrnn.errors import InputError
from hmmrnn.folders import CONFIG, list_file
from hmmrnn.storage import locked, plain, read_json, read_results, write_json
from hmmrnn.sweep.grid import Entry
from hmmrnn.training import RunSpec, load, read_spec
from hmmrnn.training.config import fingerprinted, recipe
from hmmrnn.training.run_folder import FAILURE, digest_in, is_finished

SWEEP = "sweep.json"
MEASURED = "fidelity.json"
MAX_ATTEMPTS = 2
PATIENCE = 2.0
"""Seconds; others that only look whether a lock is free hold it for a moment."""


class Failure(NamedTuple):
    """Why a network could not be made, each time it was tried."""

    reasons: list[str]

    @property
    def given_up(self) -> bool:
        """Whether it is not tried again."""
        return len(self.reasons) >= MAX_ATTEMPTS


def open_sweep(
    outdir: Path,
    entries: Sequence[Entry],
    *,
    resume: bool,
    measures: Mapping[str, int] = MappingProxyType({}),
) -> None:
    """Make `outdir` ready for a grid: new or empty, or the same grid and `measures` again.

    Raises:
        InputError: it holds another grid, another thing, or this grid and `resume` is not asked.
        StorageError: it cannot be written.
    """
    if outdir.exists() and not outdir.is_dir():
        raise InputError(f"outdir={outdir}: is a file, not a folder")
    occupied = outdir.exists() and any(not p.name.startswith(".") for p in outdir.iterdir())
    if occupied and not (outdir / SWEEP).exists():
        raise InputError(f"outdir={outdir}: holds files that are no sweep; choose another folder")
    prints = {entry.name: fingerprint(entry.spec) for entry in entries}
    with only_one(outdir):  # of several processes that begin together
        if not (outdir / SWEEP).exists():
            write_json(outdir / SWEEP, {"measures": measures, "networks": prints})
            return
        _expect_same(outdir, prints, measures)
    if not resume:
        raise InputError(
            f"outdir={outdir}: already holds this sweep; continue it with --resume, or choose "
            "another folder"
        )


@contextlib.contextmanager
def only_one(outdir: Path) -> Iterator[None]:
    """While open, no other process is in here with the same folder. Raises `StorageError`."""
    with locked(outdir / ".sweep.lock"):
        yield


def fingerprint(spec: RunSpec) -> str:
    """Of everything that determines a network; the same in all formats of configurations."""
    fields = {**fingerprinted(spec.config), "noise_std": spec.noise_std, "seed": spec.seed}
    return hashlib.sha256(json.dumps(plain(fields), sort_keys=True).encode()).hexdigest()[:16]


def _expect_same(outdir: Path, prints: dict[str, str], measures: Mapping[str, int]) -> None:
    fields = read_json(outdir / SWEEP)
    stored = fields.get("networks") if isinstance(fields, dict) else None
    if not isinstance(stored, dict):
        raise InputError(f"{outdir / SWEEP}: is no description of a sweep; choose another folder")
    if stored == prints:
        if (known := fields.get("measures", {})) != dict(measures):
            raise InputError(
                f"outdir={outdir}: its networks are measured with {known}, not {dict(measures)}; "
                "one table holds one kind of numbers"
            )
        return
    changed = sorted(name for name in {*stored, *prints} if stored.get(name) != prints.get(name))
    raise InputError(
        f"outdir={outdir}: belongs to another grid, of {len(stored)} networks (this one has "
        f"{len(prints)}); they differ in {', '.join(changed[:3])}"
        f"{' and others' if len(changed) > 3 else ''}; choose another folder"
    )


@contextlib.contextmanager
def working_as(outdir: Path, process_id: int, n_processes: int = 1) -> Iterator[None]:
    """Be the only process of this number in the folder; the system frees a dead one's place.

    Raises:
        InputError: another process has this number, or others share the grid in another way.
        StorageError: the folder cannot be written.
    """
    try:
        with locked(outdir / _lock_of(process_id, n_processes), PATIENCE):
            _expect_same_sharing(outdir, n_processes)
            yield
    except Timeout:
        raise InputError(
            f"process_id={process_id}: another process with this number works in {outdir}; "
            "give each its own number from 0 to num_processes - 1"
        ) from None


def _expect_same_sharing(outdir: Path, n_processes: int) -> None:
    """Two ways to share a grid would train the same networks at once."""
    for path in outdir.glob(_lock_of("*", "*")):
        others = path.stem.rpartition("-")[2]
        if others != str(n_processes):
            try:
                with locked(path, PATIENCE):
                    pass
            except Timeout:
                raise InputError(
                    f"num_processes={n_processes}: a sweep of {others} processes is at work in "
                    f"{outdir}; wait for its end, or take the same number"
                ) from None


def wait_for_others(outdir: Path, process_id: int, n_processes: int) -> None:
    """Wait until every other process has ended its work in the folder, or its life."""
    for other in range(n_processes):
        if other != process_id:
            with locked(outdir / _lock_of(other, n_processes)):
                pass


def _lock_of(process_id: int | str, n_processes: int | str) -> str:
    return f".process-{process_id}-of-{n_processes}.lock"


def failure(folder: Path) -> Failure:
    """What went wrong with the network of a run folder so far."""
    if not (folder / FAILURE).exists():
        return Failure([])
    reasons = None
    with contextlib.suppress(InputError, KeyError, TypeError):
        reasons = read_json(folder / FAILURE)["reasons"]
    if not isinstance(reasons, list):  # a damaged record: try again
        return Failure([])
    return Failure([str(reason) for reason in reasons])


def note_failure(folder: Path, reason: str) -> Failure:
    """Record one more failure. Raises `StorageError`."""
    now = Failure([*failure(folder).reasons, reason])
    keep_failure(folder, now)
    return now


def keep_failure(folder: Path, known: Failure) -> None:
    """Write what went wrong so far, if anything. Raises `StorageError`."""
    if known.reasons:
        write_json(
            folder / FAILURE,
            {
                "attempts": len(known.reasons),
                "reasons": known.reasons,
                "given_up": known.given_up,
            },
        )
        list_file(folder, FAILURE, "sweep")


def is_trained(folder: Path, spec: RunSpec | None = None) -> bool:
    """Whether a run folder holds a finished training, of `spec`, whose files are whole."""
    if not (folder / CONFIG).exists() or not is_finished(folder):
        return False
    try:
        load(folder)
        return spec is None or _network_of(read_spec(folder)) == _network_of(spec)
    except InputError:
        return False


def _network_of(spec: RunSpec) -> RunSpec:
    """What decides the network, without what is only kept of its training."""
    return spec._replace(config=recipe(spec.config))


def is_done(folder: Path, spec: RunSpec | None = None) -> bool:
    """Whether the network in a run folder, of `spec`, is trained and measured."""
    if not (folder / MEASURED).exists() or not is_trained(folder, spec):
        return False
    try:
        return bool(read_results(folder / MEASURED, digest_in(folder)))
    except InputError:
        return False


def forget_failure(folder: Path) -> None:
    """Let the network of a run folder be tried again."""
    (folder / FAILURE).unlink(missing_ok=True)
