"""Fidelity: what a network generates against HMM or held-out data, each beside its floor."""

from hmmrnn.fidelity.compared import Compared, Fidelity, SymbolDwell
from hmmrnn.fidelity.comparison import compare, compare_many
from hmmrnn.fidelity.generated import Sizes
from hmmrnn.fidelity.matching import matched_distances
from hmmrnn.fidelity.ngrams import kl_from_law, ngram_shares
from hmmrnn.fidelity.surprise import excess_surprise
from hmmrnn.fidelity.through_training import kl_through_training

__all__ = [
    "Compared",
    "Fidelity",
    "Sizes",
    "SymbolDwell",
    "compare",
    "compare_many",
    "excess_surprise",
    "kl_from_law",
    "kl_through_training",
    "matched_distances",
    "ngram_shares",
]
