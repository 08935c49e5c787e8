"""The options of a loss."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from hmmrnn.errors import InputError
from hmmrnn.settings import Section, option


@dataclass(frozen=True)
class LossConfig(Section):
    """A divergence between generated and target sequences, a distance from the n-gram law, or both.

    See docs/choosing_a_loss.md for which to take.
    """

    section: ClassVar[str] = "loss"

    divergence: Literal["independent", "reference", "energy", "none"] = option(
        "independent",
        "between samples: Sinkhorn with cross terms between independent half-batches, Sinkhorn "
        "with the self terms of the paper, energy distance, or none",
    )
    cost: Literal["squared", "euclidean"] = option(
        "squared", "ground cost: |x-y|^2 / 2 (Hamming distance on symbols) or |x-y|"
    )
    blur: float = option(0.2, "length scale of the entropic regularisation", low=1e-3)
    tolerance: float = option(
        0.0,
        "marginal error below which the Sinkhorn iterations stop; 0: the short fixed schedule of "
        "the paper, far from convergence",
        low=0.0,
        since=2,
        before=0.0,
    )
    ngram_weight: float = option(
        0.0, "weight of the distance from the exact n-gram law", low=0.0, since=2, before=0.0
    )
    ngram_orders: tuple[int, ...] = option(
        (6,), "lengths n of the n-grams", low=1, since=2, before=(6,)
    )
    ngram_strides: tuple[int, ...] = option(
        (1,), "steps between the symbols of an n-gram", low=1, since=2, before=(1,)
    )
    ngram_discrepancy: Literal["kl", "chi2"] = option(
        "kl",
        "KL(law | network), or weighted squares, unbiased by independent half-batches",
        since=2,
        before="kl",
    )
    ngram_source: Literal["probabilities", "symbols"] = option(
        "probabilities",
        "what n-grams are taken from: softmax of the logits, or sampled symbols",
        since=2,
        before="probabilities",
    )
    ngram_floor: float = option(
        1e-6, "added to every share that divides", low=1e-12, since=2, before=1e-6
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.divergence == "none" and not self.ngram_weight:
            raise InputError("loss.divergence=none: needs loss.ngram_weight above 0")
        if self.divergence == "energy" and self.cost != "euclidean":
            raise InputError("loss.divergence=energy: needs loss.cost=euclidean")

    @property
    def name(self) -> str:
        """One word, such as `reference`, `ngram` or `independent+ngram`."""
        parts = [] if self.divergence == "none" else [self.divergence]
        return "+".join([*parts, "ngram"] if self.ngram_weight else parts)

    @property
    def title(self) -> str:
        """The loss in a few words, such as `independent Sinkhorn + 6-gram law`."""
        sinkhorn = "converged Sinkhorn" if self.tolerance else "Sinkhorn"
        parts = {
            "independent": [f"independent {sinkhorn}"],
            "reference": [f"reference {sinkhorn}"],
            "energy": ["energy distance"],
            "none": [],
        }[self.divergence]
        if self.ngram_weight:
            parts.append(f"{', '.join(map(str, self.ngram_orders))}-gram law")
        return " + ".join(parts)
