"""Three disjoint parts of the data (to train, to validate, held out), windows of them, n-grams.

A half trains, a quarter validates, a quarter is held out, by position alone: of every four
sequences the first and the third train, the second validates, the fourth is held out. Of fewer than
eight recordings each is cut into three stretches, in this order.
"""

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from hmmrnn.sequences.record import END, FEW, SymbolSequences

PER_NGRAM = 10
"""Windows for each possible n-gram, on average, from which on shares of n-grams are trusted."""


class Part(NamedTuple):
    """Some of the sequences."""

    name: str
    symbols: np.ndarray  # (S, L), -1 after the end
    n_symbols: int


class Parts(NamedTuple):
    """All of the data, each step in one part."""

    train: Part
    validation: Part
    held_out: Part


@lru_cache(maxsize=8)
def parts_of(data: SymbolSequences) -> Parts:
    """The parts; they depend on the order of the sequences and on nothing else."""
    symbols = data.symbols
    if len(symbols) >= FEW:
        place = np.arange(len(symbols)) % 4
        chosen = [symbols[place % 2 == 0], symbols[place == 1], symbols[place == 3]]
    else:
        ends = data.lengths[:, None] * np.array([0, 2, 3, 4]) // 4
        chosen = [_stretches(symbols, ends[:, i], ends[:, i + 1]) for i in range(3)]
    return Parts(
        *(
            Part(name, _trimmed(rows), data.n_symbols)
            for name, rows in zip(("training", "validation", "held-out"), chosen, strict=True)
        )
    )


def windows(symbols: np.ndarray, n_steps: int) -> tuple[np.ndarray, np.ndarray]:
    """Sequences (S, L) cut end to end into windows (W, n_steps), and whose each is, (W,).

    Shorter ones, and rests of at least 2 steps, are padded with -1.
    """
    padded = np.pad(symbols, ((0, 0), (0, -symbols.shape[1] % n_steps)), constant_values=END)
    cut = padded.reshape(-1, n_steps)
    owner = np.repeat(np.arange(len(symbols)), padded.shape[1] // n_steps)
    kept = (cut >= 0).sum(axis=1) >= 2
    return cut[kept], owner[kept]


def padded_to(symbols: np.ndarray, n_steps: int) -> np.ndarray:
    """Sequences (S, L) padded with -1 to at least `n_steps`."""
    missing = max(n_steps - symbols.shape[1], 0)
    return np.pad(symbols, ((0, 0), (0, missing)), constant_values=END)


def ngram_counts(symbols: np.ndarray, n: int, n_symbols: int, stride: int = 1) -> np.ndarray:
    """How often each n-gram (K^n, first symbol slowest) occurs wholly inside a sequence."""
    n_windows = max(symbols.shape[1] - (n - 1) * stride, 0)
    code = np.zeros((len(symbols), n_windows), np.int64)
    inside = np.ones(code.shape, bool)
    for i in range(n):
        factor = symbols[:, i * stride : i * stride + n_windows]
        code = code * n_symbols + factor
        inside &= factor >= 0
    return np.bincount(code[inside], minlength=n_symbols**n)


def supports(part: Part, n: int) -> bool:
    """Whether the part has enough windows to trust its shares of n-grams."""
    n_windows = np.maximum((part.symbols >= 0).sum(axis=1) - n + 1, 0).sum()
    return bool(n_windows >= PER_NGRAM * part.n_symbols**n)


def _stretches(symbols: np.ndarray, begin: np.ndarray, end: np.ndarray) -> np.ndarray:
    rows = [row[a:b] for row, a, b in zip(symbols, begin, end, strict=True)]
    padded = np.full((len(rows), max(map(len, rows))), END, symbols.dtype)
    for i, row in enumerate(rows):
        padded[i, : len(row)] = row
    return padded


def _trimmed(symbols: np.ndarray) -> np.ndarray:
    return symbols[:, : (symbols >= 0).sum(axis=1).max()]
