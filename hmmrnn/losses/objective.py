"""What training minimises: a divergence between samples, a discrepancy from the n-gram law."""

from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from hmmrnn.arrays import Key
from hmmrnn.losses.config import LossConfig
from hmmrnn.losses.ngram_law import DISCREPANCIES, exact_laws, ngram_shares, shares_inside
from hmmrnn.losses.samples import LossDiagnostics, make_loss
from hmmrnn.losses.sinkhorn import Transport
from hmmrnn.targets import Source


class Generated(NamedTuple):
    """One batch of a network: its symbols, and their law given the noise."""

    symbols: Float[Array, "B T K"]  # one-hot; gradients are those of the relaxed sample
    probabilities: Float[Array, "B T K"]  # softmax(logits); gradients are exact


Objective = Callable[..., tuple[Float[Array, ""], LossDiagnostics]]
"""objective(generated, target, key, own=None) -> (value, diagnostics); target (B, T, K) is one-hot,
`own` its `own_term` if that is known.
"""


def make_objective(config: LossConfig, source: Source, n_steps: int) -> Objective:
    """Divergence of the samples plus weighted discrepancy from the n-gram law of `source`.

    Where it is padded, generated and target sequences are zero after their ends.

    Raises:
        InputError: n-grams that do not fit into `n_steps` steps or into memory.
    """
    divergence = make_loss(config)
    laws = (
        exact_laws(source, n_steps, config.ngram_orders, config.ngram_strides)
        if config.ngram_weight
        else {}
    )
    discrepancy = DISCREPANCIES[config.ngram_discrepancy]
    shares = shares_inside if source.padded else ngram_shares

    def objective(
        generated: Generated, target: Array, key: Key, own: Transport | None = None
    ) -> tuple[Array, LossDiagnostics]:
        value, diagnostics = divergence(generated.symbols, target, key, own)
        x = getattr(generated, config.ngram_source)
        for (n, stride), law in laws.items():
            distance = discrepancy(
                lambda p, n=n, stride=stride: shares(p, n, stride),
                x,
                jnp.asarray(law, x.dtype),
                config.ngram_floor,
            )
            value += config.ngram_weight * distance
        return value, diagnostics

    return objective
