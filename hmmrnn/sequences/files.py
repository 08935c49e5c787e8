"""Files of sequences: npz, or text with one sequence in each line."""

import csv
import re
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from hmmrnn.errors import InputError
from hmmrnn.hmm import HMM
from hmmrnn.sequences.record import DATA_FILE, SymbolSequences
from hmmrnn.sequences.splits import END
from hmmrnn.storage import read_arrays
from hmmrnn.targets import Target

SEPARATORS = ("\t", ";", ",")
"""The first of them that occurs separates entries; blanks do where there is none."""

SHOWN = 8
"""Names of symbols in a line."""

COMMENT = re.compile(r"(?:^|(?<=\s))#.*")


def read_sequences(path: str | Path) -> SymbolSequences:
    """The sequences in a file, npz or text.

    npz: `symbols` (S, L), padded with -1 or up to `lengths` (S,); or `symbols` (n,) of one
    sequence, or of several one after the other with `lengths`. Optional: `n_symbols`, `names`,
    `name`.

    Text: one sequence in each line, entries separated by tabs, semicolons or commas, else by
    blanks; quotes hold an entry together. Empty lines are left out, and what follows a `#` at the
    beginning of a line or after a blank. Whole numbers are symbols, from 0 without gaps. Of other
    entries each different one is a symbol, numbered in sorted order. A first line that is no
    sequence is a header: words above numbers, or words that are all different and never come again.

    Raises:
        InputError: the file cannot be read, or holds no such sequences.
    """
    path = Path(path)
    try:
        return _from_npz(path) if path.suffix == ".npz" else _from_text(path)
    except InputError as error:
        raise InputError(f"data={path}: {str(error).removeprefix(f'{path}: ')}") from None


def described(data: SymbolSequences) -> str:
    """What was read, in a line."""
    low, high = data.lengths.min(), data.lengths.max()
    steps = f"{low}" if low == high else f"{low} to {high}"
    words = f" ({', '.join(data.names[:SHOWN])}{', ...' * (len(data.names) > SHOWN)})"
    return (
        f"{len(data.symbols)} sequences of {steps} steps, {data.n_symbols} symbols"
        f"{words if data.names else ''}"
    )


def target_of(fields: Any, folder: Path | None) -> Target:  # noqa: ANN401
    """The HMM or the data that `to_dict` described, with the data from `folder`.

    Raises:
        InputError: fields that describe neither, or data that are missing, damaged or others.
    """
    if not isinstance(fields, dict) or set(fields) != {"sequences"}:
        return HMM.from_dict(fields)
    known = fields["sequences"]
    if not isinstance(known, dict) or not isinstance(known.get("digest"), str):
        raise InputError("target.sequences lacks the digest of the data")
    if folder is None:
        raise InputError(f"the data are in {DATA_FILE} beside it; name the folder")
    data = read_sequences(folder / DATA_FILE)
    if data.digest != known["digest"]:
        raise InputError(
            f"data={folder / DATA_FILE}: holds other data (digest {data.digest}, not "
            f"{known['digest']}) than the run was made with; put back the file, or choose another "
            "folder"
        )
    return data


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
    names = arrays.get("names", np.array([], str))
    if names.ndim != 1:
        raise InputError(f"names {names.shape}: one word for each symbol")
    if not count and not len(names) and symbols.dtype.kind in "iu" and lengths is None:
        _expect_all_used(set(np.unique(symbols[symbols >= 0]).tolist()) or {0})
    options: dict[str, Any] = {
        "n_symbols": int(count),
        "names": tuple(map(str, names)),
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
    lines = _lines(path)
    if _is_header([entries for _, entries in lines]):
        lines = lines[1:]
    _expect_sequences(lines)
    names = sorted({entry for _, row in lines for entry in row})
    if all(_number(name) is None for name in names):
        index = {name: i for i, name in enumerate(names)}
        return SymbolSequences.of(
            [[index[entry] for entry in row] for _, row in lines],
            names=tuple(names),
            name=path.stem,
        )
    rows = [[_whole(number, entry) for entry in row] for number, row in lines]
    _expect_no_count(rows)
    _expect_all_used({symbol for row in rows for symbol in row})
    return SymbolSequences.of(rows, name=path.stem)


def _lines(path: Path) -> list[tuple[int, list[str]]]:
    """Entries of each line that has some, with the line's number."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror or error})") from None
    except UnicodeDecodeError:
        raise InputError("is no text; arrays are read from .npz files") from None
    kept = [
        (number, content)
        for number, line in enumerate(text.splitlines(), 1)
        if (content := COMMENT.sub("", line).strip(" "))
    ]
    if not kept:
        raise InputError("holds no sequence")
    separator = next((s for s in SEPARATORS if any(s in line for _, line in kept)), None)
    return [(number, _entries(number, line, separator)) for number, line in kept]


def _entries(number: int, line: str, separator: str | None) -> list[str]:
    """Entries of a line, unquoted, without empty ones at the end, as spreadsheets leave them."""
    if separator is None:
        return line.split()
    try:
        (fields,) = csv.reader([line], delimiter=separator, skipinitialspace=True, strict=True)
    except csv.Error:
        raise InputError(f"line {number} has a quote that is not closed") from None
    entries = [field.strip() for field in fields]
    while entries and not entries[-1]:
        entries.pop()
    if not all(entries):
        raise InputError(f"line {number} has an empty entry; cut the sequence in two there")
    return entries


def _is_header(rows: list[list[str]]) -> bool:
    first, others = rows[0], rows[1:]
    if not others or any(_number(entry) is not None for entry in first):
        return False
    later = {entry for row in others for entry in row}
    if all(_number(entry) is not None for entry in later):
        return True
    return len(set(first)) == len(first) and not later & set(first)


def _expect_sequences(lines: list[tuple[int, list[str]]]) -> None:
    short = [number for number, row in lines if len(row) < 2]
    if short and len(short) == len(lines):
        raise InputError(
            "has one symbol in each line; a line is one sequence: put the recording into one line"
        )
    if short:
        raise InputError(f"line {short[0]} has 1 step; a sequence has at least 2: leave it out")


def _expect_no_count(rows: list[list[int]]) -> None:
    """Raise an `InputError` if the first row is the numbers of columns, as tables have them."""
    first, later = rows[0], [symbol for row in rows[1:] for symbol in row]
    if later and first == list(range(len(first))) and max(later) < first[-1]:
        raise InputError(
            f"the first sequence counts from 0 to {first[-1]}, and {first[-1]} never comes again: "
            "if it is a header, delete it"
        )


def _expect_all_used(used: set[int]) -> None:
    """Raise an `InputError` if a number below the largest never occurs."""
    unused = next((symbol for symbol in range(max(used)) if symbol not in used), None)
    if unused is not None:
        raise InputError(
            f"symbols up to {max(used)} occur, but never {unused}: number them from 0 without "
            "gaps, give words, or an npz file with n_symbols"
        )


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
