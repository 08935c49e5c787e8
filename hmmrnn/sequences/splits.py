"""Three disjoint parts of the data (to train, to validate, held out), windows of them, n-grams.

A half trains, a quarter validates, a quarter is held out, by position alone: of every four
sequences the first and the third train, the second validates, the fourth is held out. Of fewer than
eight recordings each is cut into three stretches, in this order.
"""

from dataclasses import dataclass
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from hmmrnn.arrays import Key
from hmmrnn.errors import InputError
from hmmrnn.targets import Batch, Law, Parts, Rows

END = -1
"""Stands in the places after the end of a sequence."""

FEW = 8
"""Sequences from which on whole ones go to one part; fewer are recordings, cut in stretches."""

PER_NGRAM = 10
"""Windows for each possible n-gram, on average, from which on shares of n-grams are trusted."""

ADDED = 0.5
"""To every count, so that nothing is impossible (Krichevsky & Trofimov 1981)."""


@dataclass(frozen=True, eq=False)
class Part:
    """Some of the sequences."""

    name: str
    symbols: np.ndarray  # (S, L), -1 after the end
    n_symbols: int

    padded: ClassVar[bool] = True

    def supports(self, n: int) -> bool:
        """Whether there are enough windows to trust shares of n-grams."""
        n_windows = np.maximum((self.symbols >= 0).sum(axis=1) - n + 1, 0).sum()
        return bool(n_windows >= PER_NGRAM * self.n_symbols**n)

    def counts(self, n: int, stride: int = 1) -> np.ndarray:
        """How often each n-gram (K^n, first symbol slowest) occurs."""
        return ngram_counts(self.symbols, n, self.n_symbols, stride)

    def law(self, n: int, n_steps: int, stride: int = 1) -> Law:
        """Shares among all n-grams of its sequences, each of which counts once.

        Raises:
            InputError: there is none.
        """
        counts = self.counts(n, stride)
        if not counts.any():
            raise InputError(
                f"loss.ngram_orders={n}, loss.ngram_strides={stride}: no {self.name} sequence of "
                "the data is so long; take shorter n-grams"
            )
        return counts / counts.sum()

    def rows(self, n_steps: int) -> Rows:
        """Its sequences, padded to at least `n_steps`."""
        missing = max(n_steps - self.symbols.shape[1], 0)
        return jnp.asarray(np.pad(self.symbols, ((0, 0), (0, missing)), constant_values=END))

    def draw(self, rows: Rows, n_sequences: int, n_steps: int, key: Key) -> Batch:
        """Windows of the rows at random places; a shorter sequence is one, padded with -1.

        A sequence of length l is drawn with weight max(1, l / n_steps), the number of windows that
        it fills, so that every step of the data counts about the same.
        """
        key_row, key_start = jax.random.split(key)
        lengths = jnp.sum(rows >= 0, axis=1)
        weights = jnp.cumsum(jnp.maximum(1.0, lengths / n_steps))
        u = jax.random.uniform(key_row, (n_sequences,)) * weights[-1]
        row = jnp.minimum(jnp.searchsorted(weights, u, side="right"), len(weights) - 1)
        latest = jnp.maximum(lengths[row] - n_steps, 0)
        start = jax.random.randint(key_start, (n_sequences,), 0, latest + 1)
        return rows[row[:, None], start[:, None] + jnp.arange(n_steps)]


def split(symbols: np.ndarray, n_symbols: int) -> Parts[Part]:
    """Sequences (S, L) in parts, which depend on their order and on nothing else."""
    if len(symbols) >= FEW:
        place = np.arange(len(symbols)) % 4
        chosen = [symbols[place % 2 == 0], symbols[place == 1], symbols[place == 3]]
    else:
        ends = (symbols >= 0).sum(axis=1)[:, None] * np.array([0, 2, 3, 4]) // 4
        cuts = [zip(symbols, ends[:, i], ends[:, i + 1], strict=True) for i in range(3)]
        chosen = [stacked([row[a:b] for row, a, b in cut]) for cut in cuts]
    named = zip(("training", "validation", "held-out"), map(_trimmed, chosen), strict=True)
    return Parts(*(Part(name, rows, n_symbols) for name, rows in named))


def windows(symbols: np.ndarray, n_steps: int) -> tuple[np.ndarray, np.ndarray]:
    """Sequences (S, L) cut end to end into windows (W, n_steps), and whose each is, (W,).

    Shorter ones, and rests of at least 2 steps, are padded with -1.
    """
    padded = np.pad(symbols, ((0, 0), (0, -symbols.shape[1] % n_steps)), constant_values=END)
    cut = padded.reshape(-1, n_steps)
    owner = np.repeat(np.arange(len(symbols)), padded.shape[1] // n_steps)
    kept = (cut >= 0).sum(axis=1) >= 2
    return cut[kept], owner[kept]


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


def smoothed_law(counts: np.ndarray) -> np.ndarray:
    """Shares of n-grams with `ADDED` to every count."""
    smooth = counts + ADDED
    return smooth / smooth.sum()


def stacked(rows: list[np.ndarray]) -> np.ndarray:
    """Rows of any lengths, padded with -1 to the longest."""
    padded = np.full((len(rows), max(map(len, rows))), END, rows[0].dtype)
    for i, row in enumerate(rows):
        padded[i, : len(row)] = row
    return padded


def _trimmed(symbols: np.ndarray) -> np.ndarray:
    return symbols[:, : (symbols >= 0).sum(axis=1).max()]
