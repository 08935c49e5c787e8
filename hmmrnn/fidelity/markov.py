"""A Markov model of data: how surprising sequences are to what n-grams of the data tell."""

from typing import NamedTuple

import numpy as np

from hmmrnn.results import result
from hmmrnn.sequences import Part
from hmmrnn.sequences.splits import ADDED


@result
class Markov(NamedTuple):
    """Log probability of a symbol given the m before it, or all before it where there are fewer."""

    tables: list[np.ndarray]  # (K^j, K) of j = 0..m symbols before


def fitted(part: Part, order: int) -> Markov:
    """The Markov model of `order` m >= 0 of all sequences of `part`."""
    tables = []
    for j in range(order + 1):
        counts = part.counts(j + 1).reshape(-1, part.n_symbols)
        smooth = counts + ADDED
        tables.append(np.log(smooth / smooth.sum(axis=1, keepdims=True)))
    return Markov(tables)


def surprises(model: Markov, symbols: np.ndarray) -> np.ndarray:
    """-log p of each sequence (B, T), padded with -1, in nats, and its steps: (B, 2)."""
    order, k = len(model.tables) - 1, model.tables[0].shape[1]
    total, context = np.zeros(len(symbols)), np.zeros(len(symbols), int)
    for t, symbol in enumerate(symbols.T):
        inside, x = symbol >= 0, np.maximum(symbol.astype(int), 0)
        total -= np.where(inside, model.tables[min(t, order)][context, x], 0.0)
        context = (context * k + x) % k ** min(t + 1, order)
    return np.stack([total, (symbols >= 0).sum(axis=1)], axis=1)
