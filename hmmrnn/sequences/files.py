"""Files of sequences: npz, or text with one sequence in each line."""

import re
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from hmmrnn.errors import InputError
from hmmrnn.sequences.record import END, SymbolSequences
from hmmrnn.storage import read_arrays, write_arrays

SEPARATORS = re.compile(r" *[,;\t] *| +")


def read_sequences(path: str | Path) -> SymbolSequences:
    """The sequences in a file, npz or text.

    npz: `symbols` (S, L), padded with -1 or up to `lengths` (S,); or `symbols` (n,) of one
    sequence, or of several one after the other with `lengths`. Optional: `n_symbols`, `names`,
    `name`.

    Text: one sequence in each line, entries separated by commas, semicolons or blanks; empty lines
    and what follows `#` are left out. Whole numbers are symbols. Of words, each different one is
    a symbol, numbered in sorted order. A first line that is no sequence is a
    header: words above numbers, or words that are all different and never come again.

    Raises:
        InputError: the file cannot be read, or holds no such sequences.
    """
    path = Path(path)
    try:
        return _from_npz(path) if path.suffix == ".npz" else _from_text(path)
    except InputError as error:
        raise InputError(f"data={path}: {str(error).removeprefix(f'{path}: ')}") from None


def write_sequences(path: Path, data: SymbolSequences) -> None:
    """Write an npz file that `read_sequences` reads back equal. Raises `StorageError`."""
    write_arrays(
        path,
        {
            "symbols": data.symbols[data.symbols >= 0],
            "lengths": data.lengths,
            "n_symbols": data.n_symbols,
            "names": np.array(data.names, str),
            "name": np.array(data.name),
        },
    )


def _from_npz(path: Path) -> SymbolSequences:
    if path.exists() and not zipfile.is_zipfile(path):
        raise InputError("is no npz file; text has another ending, as .csv or .txt")
    arrays = read_arrays(path)
    if "symbols" not in arrays:
        raise InputError(f"lacks the array symbols; it has {', '.join(arrays) or 'none'}")
    symbols, lengths = arrays["symbols"], arrays.get("lengths")
    count = arrays.get("n_symbols", np.array(0))
    if count.shape or count.dtype.kind not in "iu":
        raise InputError(f"n_symbols {count.shape} of {count.dtype}: must be one whole number")
    options: dict[str, Any] = {
        "n_symbols": int(count),
        "names": tuple(map(str, arrays["names"])) if "names" in arrays else (),
        "name": str(arrays["name"]) if "name" in arrays else path.stem,
    }
    if lengths is None:
        return SymbolSequences(np.atleast_2d(symbols), **options)
    if lengths.dtype.kind not in "iu" or lengths.ndim != 1 or (lengths < 0).any():
        raise InputError(f"lengths {lengths.shape} of {lengths.dtype}: one whole number a sequence")
    if symbols.ndim == 1:
        if lengths.sum() != len(symbols):
            raise InputError(f"lengths add up to {lengths.sum()}, symbols are {len(symbols)}")
        return SymbolSequences.of(np.split(symbols, np.cumsum(lengths)[:-1]), **options)
    if symbols.ndim != 2 or len(lengths) != len(symbols) or (lengths > symbols.shape[1]).any():
        raise InputError(f"lengths {lengths.shape} do not fit symbols {symbols.shape}")
    if symbols.dtype.kind in "iu":  # others are refused below
        beyond = np.arange(symbols.shape[1]) >= lengths[:, None]
        if early := np.flatnonzero((~beyond & (symbols < 0)).any(axis=1)).tolist():
            raise InputError(f"symbols[{early[0]}] has a symbol below 0 before its end")
        symbols = np.where(beyond, END, symbols.astype(np.int64))
    return SymbolSequences(symbols, **options)


def _from_text(path: Path) -> SymbolSequences:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror or error})") from None
    except UnicodeDecodeError:
        raise InputError("is no text; arrays are read from .npz files") from None
    lines = [
        (number, SEPARATORS.split(content))
        for number, line in enumerate(text.splitlines(), 1)
        if (content := line.partition("#")[0].strip())
    ]
    if not lines:
        raise InputError("holds no sequence")
    rows = [_without_rest(number, entries) for number, entries in lines]
    if _is_header(rows):
        rows, lines = rows[1:], lines[1:]
    names = sorted({entry for row in rows for entry in row})
    if all(_number(name) is None for name in names):
        index = {name: i for i, name in enumerate(names)}
        return SymbolSequences.of(
            [[index[entry] for entry in row] for row in rows], names=tuple(names), name=path.stem
        )
    numbers = [
        [_whole(line[0], entry) for entry in row] for line, row in zip(lines, rows, strict=True)
    ]
    return SymbolSequences.of(numbers, name=path.stem)


def _without_rest(number: int, entries: list[str]) -> list[str]:
    """Entries without empty ones at the end, as spreadsheets leave them."""
    while entries and not entries[-1]:
        entries = entries[:-1]
    if not all(entries):
        raise InputError(f"line {number} has an empty entry; cut the sequence in two there")
    return entries


def _is_header(rows: list[list[str]]) -> bool:
    first, others = rows[0], rows[1:]
    if not others or all(_number(entry) is not None for entry in first):
        return False
    later = {entry for row in others for entry in row}
    if all(_number(entry) is not None for entry in later):
        return True
    return len(set(first)) == len(first) and not later & set(first)


def _number(entry: str) -> float | None:
    try:
        return float(entry)
    except ValueError:
        return None


def _whole(line: int, entry: str) -> int:
    value = _number(entry)
    if value is None:
        raise InputError(f"line {line}: {entry} among numbers; give all symbols words, or none")
    if not value.is_integer():  # nan and inf as well
        raise InputError(f"line {line}: {entry} is no whole number")
    if value < 0:
        raise InputError(f"line {line}: {entry} is below 0; symbols are 0, 1, 2, ...")
    return int(value)
