"""The record of sequences of symbols, of any lengths, validated when it is made."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import jax.numpy as jnp
import numpy as np

from hmmrnn.arrays import Key
from hmmrnn.errors import InputError
from hmmrnn.sequences.splits import END, FEW, Part, smoothed_law, split, stacked, windows
from hmmrnn.storage import write_arrays
from hmmrnn.targets import OF_DATA, Batch, Law, Parts, Rows, Target, Words

DATA_FILE = "data.npz"

LONGEST = 100
"""Steps of a training sequence at most, unless asked for."""

SHORTEST_RECORDING = 200
"""Steps that each of a few recordings has at least."""

MAX_SYMBOLS = 1_000
MAX_CELLS = 500_000_000
"""Of the padded array."""


@dataclass(frozen=True, eq=False, repr=False)
class SymbolSequences(Target):
    """S sequences of K symbols 0..K-1, padded with -1 to the longest, L.

    Two are equal when symbols, K and the names of symbols are: `name` is only a label. It is
    hashable by the digest of its content, so it can be a static argument of jitted functions.

    Raises:
        InputError: what is no array of whole numbers, symbols below 0 or too many, a gap inside a
            sequence, one of less than 2 steps, or too few of them to hold some out.
    """

    symbols: np.ndarray  # (S, L), int8 or int16
    n_symbols: int = 0  # K; 0: one more than the largest symbol
    names: tuple[str, ...] = ()  # of the symbols, if they have some
    name: str = "data"

    words: ClassVar[Words] = OF_DATA
    exact: ClassVar[bool] = False

    def __post_init__(self) -> None:
        symbols = _padded(self.symbols)
        used = int(symbols.max()) + 1
        n_symbols = int(self.n_symbols) or max(used, len(self.names))
        if used > n_symbols:
            raise InputError(f"symbols contain {used - 1}; n_symbols={n_symbols} allows 0 to K-1")
        if not 2 <= n_symbols <= MAX_SYMBOLS:
            raise InputError(
                f"n_symbols={n_symbols}: sequences have 2 to {MAX_SYMBOLS} symbols, numbered from 0"
            )
        if len(self.names) not in (0, n_symbols):
            raise InputError(f"names: {len(self.names)} of them for {n_symbols} symbols")
        symbols = symbols.astype(np.int8 if n_symbols <= 128 else np.int16)
        _expect_enough((symbols >= 0).sum(axis=1))
        symbols.flags.writeable = False
        object.__setattr__(self, "symbols", symbols)
        object.__setattr__(self, "n_symbols", n_symbols)
        object.__setattr__(self, "names", tuple(map(str, self.names)))

    @classmethod
    def of(cls, rows: Iterable[Sequence[int] | np.ndarray], **options: Any) -> "SymbolSequences":  # noqa: ANN401
        """Of sequences of different lengths, each a list or an array; options as of the record."""
        rows = list(rows)
        if not rows:
            raise InputError("symbols: there is no sequence")
        longest = max(map(len, rows))
        if longest * len(rows) > MAX_CELLS:
            raise InputError(
                f"symbols: {len(rows)} sequences padded to the longest, {longest} steps, are too "
                "large; cut the longest ones"
            )
        arrays = [_integers(row, f"symbols[{i}]", 1) for i, row in enumerate(rows)]
        return cls(stacked(arrays), **options)

    @cached_property
    def lengths(self) -> np.ndarray:
        """Steps of each sequence, (S,)."""
        return (self.symbols >= 0).sum(axis=1)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the content, 16 digits: lengths, symbols, K and the names of symbols."""
        content = hashlib.sha256()
        content.update(repr((self.n_symbols, self.names)).encode())
        content.update(self.lengths.astype("<i8").tobytes())
        content.update(self.symbols[self.symbols >= 0].astype("<i2").tobytes())
        return content.hexdigest()[:16]

    @cached_property
    def parts(self) -> Parts[Part]:
        """What trains, what validates and what is held out."""
        return split(self.symbols, self.n_symbols)

    @property
    def label(self) -> str:
        """The name, after ``data:``."""
        return f"data:{self.name}"

    @property
    def training_length(self) -> int:
        """The longest training sequence, of few recordings a quarter of it; at most 100 steps."""
        longest = self.parts.train.symbols.shape[1]
        return min(longest if len(self.symbols) >= FEW else longest // 4, LONGEST)

    def n_training_sequences(self, n_sequences: int, n_steps: int) -> int:
        """All windows, end to end. Raises `InputError` if none is so long."""
        symbols = self.parts.train.symbols
        if n_steps > symbols.shape[1]:
            raise InputError(
                f"data.n_steps={n_steps}: the longest training sequence of the data has "
                f"{symbols.shape[1]} steps"
            )
        return len(windows(symbols, n_steps)[0])

    def training_set(self, n_fixed: int, n_steps: int, most: int, key: Key) -> tuple[Rows, Batch]:
        """All windows, or sequences to cut some from; windows, evenly spread, that validate."""
        train = self.parts.train.symbols
        if n_fixed:
            train, _ = windows(train, n_steps)
        held, _ = windows(self.parts.validation.symbols, n_steps)
        if len(held) > most:
            held = held[np.linspace(0, len(held) - 1, most).astype(int)]
        return jnp.asarray(train), jnp.asarray(held)

    def compared_law(self, n: int, n_steps: int | None = None) -> Law:
        """Shares in the held-out part, with half a count added to each."""
        return smoothed_law(self.parts.held_out.counts(n))

    def volatility(self, n_steps: int) -> float:
        """Share of steps at which the symbol changes in the held-out part."""
        pairs = self.parts.held_out.counts(2)
        return float(1 - np.trace(pairs.reshape(self.n_symbols, -1)) / pairs.sum())

    def facts(self) -> dict[str, str]:
        """Symbols, the size of each part, and the digest."""
        parts = self.parts.train, self.parts.validation, self.parts.held_out
        sizes = {
            f"{part.name} part": f"{len(part.symbols)} sequences, {(part.symbols >= 0).sum()} steps"
            for part in parts
        }
        symbols = ", ".join(self.names) or f"0 to {self.n_symbols - 1}"
        return {"symbols": symbols, **sizes, "digest": self.digest}

    def flag(self, folder: Path) -> str:
        """The file in the run's folder."""
        return f"--data={folder / DATA_FILE}"

    def to_dict(self) -> dict[str, Any]:
        """The file beside the configuration and what it must hold."""
        return {
            "sequences": {
                "file": DATA_FILE,
                "digest": self.digest,
                "n_sequences": len(self.symbols),
                "n_symbols": self.n_symbols,
            }
        }

    def write(self, folder: Path) -> None:
        """Write data.npz. Raises `StorageError`."""
        write_sequences(folder / DATA_FILE, self)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SymbolSequences) and self.digest == other.digest

    def __hash__(self) -> int:
        return hash(self.digest)

    def __repr__(self) -> str:
        return f"SymbolSequences(n_sequences={len(self.symbols)}, n_symbols={self.n_symbols})"


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


def _padded(symbols: Any) -> np.ndarray:  # noqa: ANN401
    """Checked symbols (S, L), without columns that no sequence reaches."""
    symbols = _integers(symbols, "symbols", 2)
    if 0 in symbols.shape:
        raise InputError(f"symbols have shape {symbols.shape}: there is no sequence")
    if symbols.min() < END:
        row = int(np.argmax(symbols.min(axis=1) < END))
        raise InputError(
            f"symbols[{row}] contains {symbols[row].min()}; symbols are 0, 1, 2, ..., and -1 "
            "stands only after the end of a sequence"
        )
    inside = symbols >= 0
    gaps = inside[:, 1:] & ~inside[:, :-1]
    if gaps.any():
        row, step = np.argwhere(gaps)[0]
        raise InputError(
            f"symbols[{row}] has a gap before step {step + 1}; cut the sequence in two there"
        )
    lengths = inside.sum(axis=1)
    if lengths.min() < 2:
        row = int(np.argmin(lengths))
        raise InputError(
            f"symbols[{row}] has {lengths[row]} steps; a sequence has at least 2: leave it out"
        )
    return symbols[:, : lengths.max()]


def _integers(value: Any, name: str, ndim: int) -> np.ndarray:  # noqa: ANN401
    try:
        array = np.asarray(value)
    except ValueError:
        raise InputError(
            f"{name} is ragged; SymbolSequences.of takes sequences of different lengths"
        ) from None
    if array.size and array.dtype.kind not in "iu":
        raise InputError(f"{name} is of type {array.dtype}; symbols are whole numbers from 0")
    if array.ndim != ndim:
        raise InputError(f"{name} has shape {array.shape}; expected {ndim} axes")
    if array.size and array.max() > np.iinfo(np.int64).max:
        raise InputError(f"{name} contains {array.max()}; symbols are 0, 1, 2, ...")
    return array.astype(np.int64)


def _expect_enough(lengths: np.ndarray) -> None:
    if len(lengths) < FEW and lengths.min() < SHORTEST_RECORDING:
        raise InputError(
            f"{len(lengths)} sequences, the shortest of {lengths.min()} steps: give at least {FEW} "
            f"sequences, or recordings of at least {SHORTEST_RECORDING} steps to cut in three"
        )
