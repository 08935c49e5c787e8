"""Targets that are data: sequences of symbols, as they were recorded, instead of an HMM."""

from hmmrnn.sequences.files import described, read_sequences, target_of
from hmmrnn.sequences.record import DATA_FILE, SymbolSequences, write_sequences
from hmmrnn.sequences.splits import Part, ngram_counts, windows

__all__ = [
    "DATA_FILE",
    "Part",
    "SymbolSequences",
    "described",
    "ngram_counts",
    "read_sequences",
    "target_of",
    "windows",
    "write_sequences",
]
