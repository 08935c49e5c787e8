"""What training minimises: divergences between samples, and distances from the n-gram law."""

from hmmrnn.losses.config import LossConfig
from hmmrnn.losses.ngram_law import MAX_NGRAMS, chi2, exact_laws, kl_of_law, ngram_shares
from hmmrnn.losses.objective import Generated, Objective, make_objective
from hmmrnn.losses.samples import Loss, energy, independent, make_loss, own_term, reference
from hmmrnn.losses.sinkhorn import Transport, self_transport, transport

__all__ = [
    "MAX_NGRAMS",
    "Generated",
    "Loss",
    "LossConfig",
    "Objective",
    "Transport",
    "chi2",
    "energy",
    "exact_laws",
    "independent",
    "kl_of_law",
    "make_loss",
    "make_objective",
    "ngram_shares",
    "own_term",
    "reference",
    "self_transport",
    "transport",
]
