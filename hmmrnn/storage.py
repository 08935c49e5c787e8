"""JSON and npz files that are either whole or absent, and that say what is wrong with them."""

import contextlib
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
        value = list(value) if getattr(value, "shape", ()) and not columns else value._asdict()
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
