"""Which loss, and the loss function that a configuration stands for."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Literal

from jaxtyping import Array, Float

from hmmrnn.arrays import Key
from hmmrnn.losses.debiasing import LossDiagnostics, independent, reference
from hmmrnn.settings import Section, option

Loss = Callable[[Array, Array, Key], tuple[Float[Array, ""], LossDiagnostics]]
"""loss(x, y, key) -> (value, diagnostics): generated x (B, T, K) against target y (B, T, K)."""

DEBIASING = {"reference": reference, "independent": independent}


@dataclass(frozen=True)
class LossConfig(Section):
    """Sinkhorn loss between generated and target sequences."""

    section: ClassVar[str] = "loss"

    debias: Literal["independent", "reference"] = option(
        "independent",
        "cross terms between independent half-batches, or the self terms of the paper",
    )
    cost: Literal["squared", "euclidean"] = option(
        "squared", "ground cost: |x-y|^2 / 2 (Hamming distance on symbols) or |x-y|"
    )
    blur: float = option(0.2, "length scale of the entropic regularisation", low=1e-3)
    extra_iterations: int = option(
        0, "Sinkhorn iterations after the annealing, at the final blur", low=0
    )


def make_loss(config: LossConfig) -> Loss:
    """The loss function that `config` describes."""
    divergence = DEBIASING[config.debias]

    def loss(x: Array, y: Array, key: Key) -> tuple[Array, LossDiagnostics]:
        return divergence(
            x,
            y,
            key,
            cost=config.cost,
            blur=config.blur,
            extra_iterations=config.extra_iterations,
        )

    return loss
