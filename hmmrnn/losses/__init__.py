"""Losses between samples of symbol sequences: `loss(x, y, key) -> (value, diagnostics)`."""

from hmmrnn.losses.config import Loss, LossConfig, make_loss
from hmmrnn.losses.debiasing import LossDiagnostics, independent, reference
from hmmrnn.losses.sinkhorn import Transport, transport

__all__ = [
    "Loss",
    "LossConfig",
    "LossDiagnostics",
    "Transport",
    "independent",
    "make_loss",
    "reference",
    "transport",
]
