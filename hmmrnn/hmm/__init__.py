"""Targets: hidden Markov models, sequences drawn from them, and what is known of them exactly."""

from hmmrnn.hmm.dwell import dwell_law
from hmmrnn.hmm.files import from_json
from hmmrnn.hmm.filtering import filtered_posteriors, log_likelihood
from hmmrnn.hmm.model import HMM
from hmmrnn.hmm.ngrams import ngram_law, symbol_law, symbol_transitions, volatility
from hmmrnn.hmm.presets import PRESETS, fully, linear, preset, random, ring
from hmmrnn.hmm.sampling import sample, sample_batch
from hmmrnn.hmm.stationary import mean_state_law, stationary_law

__all__ = [
    "HMM",
    "PRESETS",
    "dwell_law",
    "filtered_posteriors",
    "from_json",
    "fully",
    "linear",
    "log_likelihood",
    "mean_state_law",
    "ngram_law",
    "preset",
    "random",
    "ring",
    "sample",
    "sample_batch",
    "stationary_law",
    "symbol_law",
    "symbol_transitions",
    "volatility",
]
