"""JSON and npz files that are either whole or absent, and that say what is wrong with them."""

import contextlib
import hashlib
import json
import math
import os
import secrets
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

PARTIAL = ".partial"
"""How names of files end that are being written."""

LARGEST, MOST_PACKED = 2**31, 100
"""Bytes that a packed file may take when it is unpacked, unless it is packed less densely."""

DAMAGE = (
    OSError,
    MemoryError,
    RecursionError,
    ValueError,
    KeyError,
    EOFError,
    TypeError,
    RuntimeError,
    OverflowError,
    SyntaxError,
    AttributeError,
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


def digest_of_json(value: Any) -> str:  # noqa: ANN401
    """A short name of what a JSON file holds, whatever its layout."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]


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
    """The value in a strict JSON file.

    Raises:
        InputError: it is missing, cut short or no JSON, or has a field twice or a number that is
            not finite.
    """
    with _reading(path):
        text = path.read_text(encoding="utf-8")
        if not text.strip():
            raise ValueError("it is empty")
        return json.loads(
            text, object_pairs_hook=_once_each, parse_constant=_no_number, parse_float=_finite
        )


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """The arrays in an npz file, never unpickled. Raises `InputError` if missing or damaged."""
    with _reading(path):
        return read_npz(path)


def read_npz(path: Path) -> dict[str, np.ndarray]:
    """All arrays of an npz file; raises one of `DAMAGE` if it is missing, cut short or changed."""
    with path.open("rb") as stream, zipfile.ZipFile(stream) as members:
        entries = members.infolist()
        unpacked = sum(entry.file_size for entry in entries)
        packed = sum(entry.compress_size for entry in entries)
        if unpacked > max(LARGEST, MOST_PACKED * packed):
            raise ValueError(f"it would unpack to {unpacked:.2g} bytes")
        if len({entry.filename for entry in entries}) < len(entries):
            raise ValueError("it has an array twice")
        for entry in entries:
            with members.open(entry) as member:
                _expect_whole(entry, member)
        stream.seek(0)
        with np.load(stream, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}


def _expect_whole(entry: zipfile.ZipInfo, member: Any) -> None:  # noqa: ANN401
    """Raise unless the header of an array asks for the bytes that there are."""
    version = np.lib.format.read_magic(member)
    read = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }
    if version not in read:
        raise ValueError(f"{entry.filename} is of version {version}")
    shape, _, dtype = read[version](member)
    if dtype.hasobject or dtype.names is not None:
        raise ValueError(f"{entry.filename} holds {dtype}, not numbers")
    if any(size < 0 for size in shape):
        raise ValueError(f"{entry.filename} has shape {shape}")
    if math.prod(shape) * dtype.itemsize > entry.file_size:
        raise EOFError(f"truncated: {entry.filename} is shorter than its shape {shape}")


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
    temporary = path.with_name(f".{path.name[:100]}.{secrets.token_hex(4)}{PARTIAL}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("xb") as file:
            fill(file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
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
        raise StorageError(f"{path.parent}: {error.strerror or error}") from None
    try:
        yield
    finally:
        lock.release()


@contextlib.contextmanager
def _reading(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise InputError(f"{_short(path)}: cannot be read ({error.strerror or error})") from None
    except (EOFError, zipfile.BadZipFile) as error:
        reason = "truncated" if _is_cut(path) else _reason(error)
        raise InputError(f"{path}: is damaged ({reason})") from None
    except json.JSONDecodeError as error:
        whole = error.doc.strip()
        cut = error.pos >= len(whole) or {"{": "}", "[": "]"}.get(whole[0], "") != whole[-1]
        reason = "truncated" if cut and whole[0] in "{[" else _reason(error)
        raise InputError(f"{path}: is damaged or no JSON ({reason})") from None
    except DAMAGE as error:
        raise InputError(f"{path}: is damaged or of another kind ({_reason(error)})") from None


def _reason(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200] or type(error).__name__


def _short(path: Path) -> str:
    name = str(path)
    return name if len(name) <= 300 else f"{name[:300]}..."


def _is_cut(path: Path) -> bool:
    """Whether a file begins as a zip archive does, so that it is its end that is missing."""
    with contextlib.suppress(OSError), path.open("rb") as file:
        return file.read(4) in (b"PK\x03\x04", b"")
    return False


def _once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object of JSON, in which no field stands twice."""
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the field {twice!r} stands there twice")
    return found


def _no_number(text: str) -> Any:  # noqa: ANN401
    raise ValueError(f"{text} is no number of JSON")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text} is too large for a number")
    return value
