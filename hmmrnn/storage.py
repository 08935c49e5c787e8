"""JSON and npz files that are either whole or absent, and that say what is wrong with them."""

import contextlib
import hashlib
import json
import math
import os
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np
from filelock import FileLock, Timeout

from hmmrnn.errors import InputError, StorageError
from hmmrnn.results import fields

FORMAT = 1
"""Of files of results. Some from before there was a number have the same fields."""

RENAMED = ("manner", "proofs", "switching")
"""Fields that have other names now; files with them are stale."""

DAMAGE = (
    OSError,
    ValueError,
    KeyError,
    EOFError,
    TypeError,
    RuntimeError,
    zipfile.BadZipFile,
    zlib.error,
)
"""What reading a file raises that is missing, cut short, changed or of another kind."""

MISFITS = (KeyError, IndexError, TypeError, ValueError, AttributeError)
"""What looking for fields raises in a file that another version of hmmrnn wrote."""


def write_results(path: Path, found: Any, network: str | None) -> None:  # noqa: ANN401
    """Write what was found of a network as JSON: a record, or numbers by name.

    `network` is its `Network.digest`; None for what was found of several.

    Raises:
        StorageError: it cannot be written.
    """
    known = {"format": FORMAT} if network is None else {"format": FORMAT, "network": network}
    write_json(path, known | plain(found))


def read_results(
    path: Path, network: str | None = None, *, missing_ok: bool = False
) -> dict[str, Any]:
    """The numbers by name that `write_results` wrote; {} if there is no file, where that is fine.

    Those of before there was a digest are taken for those of any network.

    Raises:
        InputError: no such file, a damaged or an empty one, one of another format, or of another
            network than that of the digest.
    """
    found = {} if missing_ok and not path.exists() else read_json(path)
    if not isinstance(found, dict):
        raise InputError(f"{path}: is {type(found).__name__}, not an object with named fields")
    if (number := found.get("format", FORMAT)) != FORMAT:
        raise InputError(f"{path}: stale, its format is {number} and not {FORMAT}; measure again")
    if old := [name for name in RENAMED if name in found]:
        raise InputError(f"{path}: stale, {old[0]!r} has another name now; measure again")
    if network is not None and found.get("network", network) != network:
        raise InputError(f"{path}: stale, it is of other parameters than those here; measure again")
    numbers = {name: value for name, value in found.items() if name not in ("format", "network")}
    if not numbers and path.exists():
        raise InputError(f"{path}: holds no numbers; measure again")
    return numbers


@contextlib.contextmanager
def known_form(path: Path, *also: type[Exception]) -> Iterator[None]:
    """Within it, fields that a file lacks are an `InputError`: another version wrote it.

    They show as one of `MISFITS`, or of some errors of a library.
    """
    misfits: tuple[type[Exception], ...] = (*MISFITS, *also)
    try:
        yield
    except InputError:  # which says what is wrong itself
        raise
    except misfits as error:
        raise InputError(
            f"{path}: stale, another version of hmmrnn wrote it "
            f"({type(error).__name__}: {error}); measure again"
        ) from None


def digest(arrays: Mapping[str, Any]) -> str:
    """A short name of named arrays: the same for equal names, types, shapes and bits only."""
    total = hashlib.sha256()
    for name, array in sorted(arrays.items()):
        whole = np.ascontiguousarray(array)
        total.update(f"{name} {whole.dtype.str} {whole.shape} ".encode())
        total.update(whole.tobytes())
    return total.hexdigest()[:16]


def write_json(path: Path, value: Any) -> None:  # noqa: ANN401
    """Write `value` as strict JSON; NaN and infinities become null. Raises `StorageError`."""
    text = json.dumps(plain(value), indent=2, allow_nan=False) + "\n"
    _write(path, lambda file: file.write(text.encode()))


def write_text(path: Path, text: str) -> None:
    """Write a text file. Raises `StorageError`."""
    write_bytes(path, text.encode())


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file. Raises `StorageError`."""
    _write(path, lambda file: file.write(content))


def write_arrays(path: Path, arrays: Mapping[str, Any]) -> None:
    """Write named arrays as npz. Raises `StorageError`."""
    _write(path, lambda file: save_npz(file, arrays))


def save_npz(file: IO[bytes] | Path, arrays: Mapping[str, Any]) -> None:
    """`numpy.savez` for any mapping of names to arrays.

    Raises:
        TypeError: what is no array of numbers or texts, and would be pickled.
    """
    named: dict[str, Any] = {name: np.asarray(array) for name, array in arrays.items()}
    if pickled := [name for name, array in named.items() if array.dtype.hasobject]:
        raise TypeError(f"{pickled[0]} is {type(arrays[pickled[0]]).__name__}, not an array")
    np.savez(file, **named)


def read_json(path: Path) -> Any:  # noqa: ANN401
    """The value in a JSON file. Raises `InputError` if it is missing, cut short or no JSON."""
    with _reading(path):
        return json.loads(path.read_text(encoding="utf-8"))


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """The arrays in an npz file, never unpickled. Raises `InputError` if missing or damaged."""
    with _reading(path):
        return read_npz(path)


def read_npz(path: Path) -> dict[str, np.ndarray]:
    """All arrays of an npz file; raises one of `DAMAGE` if it is missing, cut short or changed."""
    with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
        return {name: file[name] for name in file.files}


def plain(value: Any, *, columns: bool = False) -> Any:  # noqa: ANN401
    """Records, arrays and numbers as what JSON knows; what is not finite as None.

    An `Estimate` of many places is a nested list of {value, low, high}, or, in `columns`, one of
    nested lists.
    """
    if hasattr(value, "_asdict"):
        value = list(value) if getattr(value, "shape", ()) and not columns else fields(value)
    if isinstance(value, Mapping):
        return {str(name): plain(entry, columns=columns) for name, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(entry, columns=columns) for entry in value]
    if isinstance(value, (str, bool, int)) or value is None:
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return plain(np.asarray(value).tolist())


def _write(path: Path, fill: Callable[[IO[bytes]], Any]) -> None:
    """Fill a temporary neighbour, flush it to the disk, and put it in the place of `path`."""
    temporary = path.with_name(f".{path.name}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            fill(file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise StorageError(
            f"{path} could not be written ({error.strerror or error}); "
            "a file that was there before is unchanged"
        ) from None


@contextlib.contextmanager
def locked(path: Path, patience: float = -1) -> Iterator[None]:
    """Hold a lock file, which the system frees when its holder dies.

    Raises:
        Timeout: it is held for longer than `patience`, in seconds; a negative one never ends.
        StorageError: it cannot be written.
    """
    lock = FileLock(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=patience)
    except Timeout:
        raise
    except OSError as error:
        raise StorageError(f"outdir={path.parent}: {error.strerror or error}") from None
    try:
        yield
    finally:
        lock.release()


@contextlib.contextmanager
def _reading(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from None
    except DAMAGE as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"{path}: is damaged or of another kind ({reason})") from None
