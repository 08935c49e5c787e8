"""Targets that are data: sequences of symbols, as they were recorded, instead of an HMM."""

from hmmrnn.sequences.files import described, read_sequences, write_sequences
from hmmrnn.sequences.parts import Part, Parts, ngram_counts, parts_of, supports, windows
from hmmrnn.sequences.record import SymbolSequences
from hmmrnn.sequences.target import (
    OF_HMM,
    Target,
    Words,
    n_steps_of,
    name_of,
    volatility,
    words_of,
)

__all__ = [
    "OF_HMM",
    "Part",
    "Parts",
    "SymbolSequences",
    "Target",
    "Words",
    "described",
    "n_steps_of",
    "name_of",
    "ngram_counts",
    "parts_of",
    "read_sequences",
    "supports",
    "volatility",
    "windows",
    "words_of",
    "write_sequences",
]
