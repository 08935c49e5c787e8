"""What a network is trained on and compared with: the questions that HMMs and data both answer."""

from collections.abc import Hashable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Generic, NamedTuple, Protocol, TypeVar, runtime_checkable

import numpy as np
from jaxtyping import Array, Float, Int

from hmmrnn.arrays import Key

Law = Float[np.ndarray, " G"]
"""Shares of n-grams, G = K^n, first symbol slowest."""

Rows = Int[Array, "S L"]
Batch = Int[Array, "B T"]


class Words(NamedTuple):
    """How texts and figures call what a network is compared with."""

    target: str  # whose law it should have
    sample: str  # whose numbers are the floors
    of_sample: str
    exact: str  # the numbers to hit
    rare: str  # where n-grams are that it hardly has
    floor: str  # of the loss
    loss_floor: str  # the same in a sentence
    sample_note: str


OF_HMM = Words(
    target="HMM",
    sample="HMM sample",
    of_sample="those of an HMM sample of the same size",
    exact="HMM, exact",
    rare="hardly in HMM",
    floor="HMM against HMM",
    loss_floor="two samples of the HMM score against each other",
    sample_note="the same statistic of as many sequences of the HMM itself",
)
OF_DATA = Words(
    target="held-out data",
    sample="training data",
    of_sample="those of the training data",
    exact="held-out data",
    rare="not in data",
    floor="held-out data",
    loss_floor="held-out data score against training data",
    sample_note="the same statistic of the sequences that the network was trained on",
)


@runtime_checkable
class Source(Protocol):
    """Where sequences come from and n-grams are known of: an HMM, or one part of the data."""

    padded: ClassVar[bool]  # whether sequences may end before T, with -1 after their ends

    @property
    def n_symbols(self) -> int:
        """K."""

    def supports(self, n: int) -> bool:
        """Whether shares of n-grams can be trusted."""

    def law(self, n: int, n_steps: int, stride: int = 1) -> Law:
        """Share of each n-gram in sequences of `n_steps` steps."""

    def rows(self, n_steps: int) -> Rows:
        """What sequences of `n_steps` <= L steps are cut from; none where an HMM draws them."""

    def draw(self, rows: Rows, n_sequences: int, n_steps: int, key: Key) -> Batch:
        """Fresh sequences; `rows` are its own, an argument so that no program has them built in."""


S_co = TypeVar("S_co", bound=Source, covariant=True)


@dataclass(frozen=True)
class Parts(Generic[S_co]):
    """Three disjoint parts of the data; of an HMM, which never repeats itself, thrice the HMM."""

    train: S_co
    validation: S_co
    held_out: S_co


@runtime_checkable
class Target(Hashable, Protocol):
    """An HMM, or sequences as data; hashable, to be a static argument of jitted functions."""

    words: ClassVar[Words]
    exact: ClassVar[bool]  # whether its law is known exactly, or counted in data

    @property
    def n_symbols(self) -> int:
        """K."""

    @property
    def label(self) -> str:
        """The preset that an HMM equals, or `custom`; of data their name, after ``data:``."""

    @property
    def parts(self) -> Parts[Source]:
        """What trains, what validates, and what is held out."""

    @property
    def training_length(self) -> int:
        """The length T to train on if no other is asked for."""

    def n_training_sequences(self, n_sequences: int, n_steps: int) -> int:
        """Sequences in the fixed training set: a third of `n_sequences`, or all windows of data."""

    def training_set(self, n_fixed: int, n_steps: int, most: int, key: Key) -> tuple[Rows, Batch]:
        """What trains, or with `n_fixed` = 0 is cut from, and what validates, at `most` of data."""

    def compared_law(self, n: int, n_steps: int | None = None) -> Law:
        """The law, over `n_steps` or in the long run, that n-grams of a network should have."""

    def volatility(self, n_steps: int) -> float:
        """Share of steps at which the symbol changes: expected of an HMM, that of held-out data."""

    def flag(self, folder: Path) -> str:
        """The flag of `hmmrnn train` that names it, for a run in `folder`."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values: an HMM whole, of data the file beside them and what it must hold."""

    def write(self, folder: Path) -> None:
        """Write what `to_dict` leaves to a file. Raises `StorageError`."""
        return

    def facts(self) -> dict[str, str]:
        """What a report says of data; nothing of an HMM, which it shows whole."""
        return {}
