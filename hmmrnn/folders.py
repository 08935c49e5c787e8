"""A folder of results: one process owns it at a time, and results change places all at once.

.run.lock        held by its owner; the system frees it when the owner dies
.hmmrnn-new-*    results on their way; nothing of them counts yet
.hmmrnn-ready    results that are complete, about to take the places of earlier ones
manifest.json    also lists which files are ours, and which analysis wrote each

A process that is killed leaves earlier results whole, or complete new ones ready: the next owner
puts those in place and removes what is left of others.
"""

import contextlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from filelock import Timeout

from hmmrnn.errors import FolderInUseError, InputError, StorageError
from hmmrnn.storage import PARTIAL, locked, read_json, write_json

CONFIG = "config.json"
RUN = (
    CONFIG,
    "data.npz",
    "history.npz",
    "snapshots.npz",
    "params.npz",
    "mean_params.npz",
    "state.npz",
    "origin.npz",
    "checkpoints",
    "checkpoints-damaged",
    "failure.json",
    "fidelity.json",
    "dynamics.json",
    "trajectory_view.npz",
    "circuits.json",
    "discovery.json",
    "discovery_*.npz",
    "figures/*.svg",
    "report.html",
)
"""What is ours in a run folder of an older version, which has no list of it: names, patterns."""

LOCK = ".run.lock"
MANIFEST = "manifest.json"
NEW, READY, PLAN = ".hmmrnn-new-", ".hmmrnn-ready", ".plan.json"
FIGURES = "figures"
SHOWN = 3
"""Files that a message names."""


@contextlib.contextmanager
def owned(folder: Path) -> Iterator[None]:
    """While open, nobody else works in `folder`; what a killed process left is put in order first.

    Raises:
        FolderInUseError: another one is at work there.
        StorageError: the folder cannot be written.
    """
    try:
        with locked(folder / LOCK, patience=0):
            settle(folder)
            yield
    except Timeout:
        raise FolderInUseError(
            f"{folder}: another process is at work in this folder; wait for its end, or choose "
            "another folder"
        ) from None


@contextlib.contextmanager
def replacing(
    folder: Path,
    by: str,
    before: Iterable[str] = (),
    *,
    later: Iterable[str] = (),
    alone: bool = False,
) -> Iterator[Path]:
    """A new folder for results, whose files take the places of those that `by` wrote before.

    They do so together, after the block: if it fails, or its process is killed, all is as it was.
    `before` are patterns of what was written by it when there were no lists yet, the first that of
    its numbers; `later` names what will be written by other ways. With `alone` nothing else that is
    ours stays. Only the owner of `folder` may open it.

    Raises:
        InputError: a file of somebody else is in the way; it is left as it is.
        StorageError: something could not be written.
    """
    with _storing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        beside = Path(tempfile.mkdtemp(prefix=NEW, dir=folder))
    try:
        yield beside
        names = sorted(str(p.relative_to(beside)) for p in beside.rglob("*") if p.is_file())
        earlier = files_in(folder, by, before)
        _expect_free(folder, [*names, *later, MANIFEST], earlier)
        gone = [n for n, of in earlier.items() if (alone or of == by) and n not in names]
        manifest = read_manifest(beside) or ({} if alone else read_manifest(folder))
        kept = {n: of for n, of in earlier.items() if n not in gone}
        told = read_manifest(beside).get("files", {})
        own = [name for name in (*names, *later) if name != MANIFEST]
        listed = {**kept, **told, **dict.fromkeys(own, by)}
        write_json(beside / MANIFEST, {**manifest, "files": dict(sorted(listed.items()))})
        write_json(beside / PLAN, {"remove": gone})
        with _storing(folder):
            beside.chmod(0o755)
            beside.rename(folder / READY)
    except BaseException:
        shutil.rmtree(beside, ignore_errors=True)
        raise
    settle(folder)


def settle(folder: Path) -> None:
    """Put results that are complete in place, and remove what a killed process left.

    Raises:
        StorageError: that cannot be done.
    """
    ready = folder / READY
    if ready.is_dir() and not ready.is_symlink():
        try:
            _put_in_place(folder, ready)
        except OSError as error:
            raise StorageError(
                f"{folder}: new results are complete in {READY} and could not be put in place "
                f"({error.strerror or error}); mend that and try again"
            ) from None
    with _storing(folder):
        for place in (folder, folder / FIGURES):
            if place.is_dir() and not place.is_symlink():
                for left in [path for path in place.iterdir() if _is_left(path.name)]:
                    _remove(left)


def _is_left(name: str) -> bool:
    """Whether this is the name of something of ours that was begun."""
    return name.startswith(NEW) or re.fullmatch(rf"\..+\.[0-9a-f]{{8}}{PARTIAL}", name) is not None


def _put_in_place(folder: Path, ready: Path) -> None:
    plan = ready / PLAN
    gone: Any = []
    with contextlib.suppress(InputError, KeyError, TypeError):  # files that are not ours are none
        gone = read_json(plan)["remove"] if plan.exists() else []
    for name in gone if isinstance(gone, list) else []:
        if _is_inside(str(name)):
            remove_file(folder, str(name))
    paths = [path for path in ready.rglob("*") if path.is_file() and path != plan]
    for path in sorted(paths, key=lambda p: (p.name == MANIFEST, p.suffix == ".json", p.name)):
        target = folder / path.relative_to(ready)
        target.parent.mkdir(parents=True, exist_ok=True)
        path.replace(target)
    shutil.rmtree(ready)


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest; empty if it is missing or damaged."""
    try:
        found = read_json(folder / MANIFEST)
    except InputError:
        return {}
    return found if isinstance(found, dict) else {}


def files_in(folder: Path, by: str, before: Iterable[str]) -> dict[str, str]:
    """The files of ours by name, with who wrote each.

    Where there is no list, but a run or the first of `before`, those that fit the patterns `before`
    are taken for `by`'s.
    """
    listed = read_manifest(folder).get("files")
    if isinstance(listed, Mapping):
        return {str(name): str(of) for name, of in listed.items() if _is_inside(str(name))}
    patterns = dict.fromkeys(RUN, "run") if (folder / CONFIG).exists() else {}
    own = [*before]
    if patterns or any((folder / name).exists() for name in own[:1]):
        patterns |= dict.fromkeys(own, by)
    return {
        str(path.relative_to(folder)): of
        for pattern, of in patterns.items()
        for path in folder.glob(pattern)
    }


def list_file(folder: Path, name: str, by: str) -> None:
    """Add a file that was written by itself to the list, where there is one."""
    manifest = read_manifest(folder)
    if isinstance(manifest.get("files"), Mapping):
        write_json(folder / MANIFEST, {**manifest, "files": {**manifest["files"], name: by}})


def remove_file(folder: Path, name: str) -> None:
    """Remove a file of ours, or a folder of checkpoints; never through a link."""
    path = folder / name
    if any((folder / part).is_symlink() for part in Path(name).parents if part.name):
        return
    if path.is_dir() and not path.is_symlink():
        for step in path.iterdir():  # of orbax, one for each epoch
            ours = step.name.isdigit() and (step / "default" / "arrays.npz").exists()
            if ours and not step.is_symlink():
                shutil.rmtree(step)
        with contextlib.suppress(OSError):  # something else is in it
            path.rmdir()
        return
    path.unlink(missing_ok=True)
    if path.parent != folder:
        with contextlib.suppress(OSError):
            path.parent.rmdir()


def foreign_in(folder: Path, ours: Iterable[str]) -> list[str]:
    """What is in a folder beside files of ours."""
    mine = set(ours)
    found = (p for p in folder.rglob("*") if not p.is_dir() or p.is_symlink())
    names = sorted(str(path.relative_to(folder)) for path in found)
    return [n for n in names if n not in {*mine, MANIFEST} and not n.startswith(".")]


def named(names: Iterable[str]) -> str:
    """The first few, and how many there are."""
    names = list(names)
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more


def _expect_free(folder: Path, names: Sequence[str], ours: Mapping[str, str]) -> None:
    manifest = read_manifest(folder)
    drawn = any(Path(name).parts[0] == FIGURES for name in names)
    if drawn and (folder / FIGURES).is_symlink():
        raise InputError(f"{folder / FIGURES}: is a link, through which nothing is written")
    taken = [name for name in names if name not in ours and os.path.lexists(folder / name)]
    there = taken + [name for name in names if _blocked(folder, name)]
    known = {"files", "status"} & {*manifest} or (folder / CONFIG).exists()
    foreign = [name for name in dict.fromkeys(there) if name != MANIFEST or not known]
    if foreign:
        raise InputError(
            f"{folder}: {named(foreign)} was not written by hmmrnn and is left as it is; "
            "move it away, or choose another folder"
        )


def _blocked(folder: Path, name: str) -> bool:
    """Whether a folder is where a file should go, or a file where its folder should be."""
    path = folder / name
    file = path.suffix != "" and path.is_dir() and not path.is_symlink()
    return file or (path.parent != folder and path.parent.exists() and not path.parent.is_dir())


def _is_inside(name: str) -> bool:
    """Whether a name of a list leads to a place in its folder."""
    path = Path(name)
    plain = "\0" not in name and bool(path.parts) and not path.is_absolute()
    return plain and ".." not in path.parts


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


@contextlib.contextmanager
def _storing(folder: Path) -> Iterator[None]:
    try:
        yield
    except StorageError:
        raise
    except OSError as error:
        raise StorageError(
            f"{folder}: cannot be written ({error.strerror or error}); earlier results are as they "
            "were"
        ) from None
