"""What a network is trained on, an HMM or data: the one place that tells them apart in words."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from hmmrnn import hmm as hmms
from hmmrnn.errors import InputError
from hmmrnn.hmm import HMM
from hmmrnn.sequences.files import read_sequences
from hmmrnn.sequences.parts import Part, ngram_counts, parts_of, supports, windows
from hmmrnn.sequences.record import FEW, SymbolSequences

Target = HMM | SymbolSequences
DATA_FILE = "data.npz"
LONGEST = 100
"""Steps of a training sequence at most, unless asked for."""


class Words(NamedTuple):
    """How texts and figures call what a network is compared with."""

    target: str  # whose law it should have
    the_target: str
    targets: str  # ... law
    sample: str  # whose numbers are the floors
    of_sample: str
    exact: str  # the numbers to hit
    rare: str  # where n-grams are that it hardly has
    floor: str  # of the loss
    loss_floor: str  # the same in a sentence
    sample_note: str


OF_HMM = Words(
    target="HMM",
    the_target="the HMM",
    targets="the HMM's",
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
    the_target="the held-out data",
    targets="the held-out data's",
    sample="training data",
    of_sample="those of the training data",
    exact="held-out data",
    rare="not in data",
    floor="held-out data",
    loss_floor="held-out data score against training data",
    sample_note="the same statistic of the sequences that the network was trained on",
)


def words_of(target: Target) -> Words:
    """The words for an HMM or for data."""
    return OF_HMM if isinstance(target, HMM) else OF_DATA


def name_of(target: Target) -> str:
    """The preset that an HMM equals, or `custom`; of data `data:` and their name."""
    return hmms.name_of(target) if isinstance(target, HMM) else f"data:{target.name}"


def n_steps_of(target: Target) -> int:
    """The length T to train on: the paper's, or the longest of the data, at most 100 steps.

    Of a few recordings at most a quarter of what trains, so that there are several windows.
    """
    if isinstance(target, HMM):
        return hmms.n_steps_of(target)
    longest = parts_of(target).train.symbols.shape[1]
    return min(longest if len(target.symbols) >= FEW else longest // 4, LONGEST)


def expect_n_steps(target: Target, n_steps: int) -> None:
    """Raise `InputError` for training sequences longer than any of the data."""
    if isinstance(target, HMM):
        return
    longest = parts_of(target).train.symbols.shape[1]
    if n_steps > longest:
        raise InputError(
            f"data.n_steps={n_steps}: the longest training sequence of the data has {longest} steps"
        )


def n_training_sequences(target: Target, n_sequences: int, n_steps: int) -> int:
    """Sequences in the fixed training set: a third of `n_sequences`, or all windows of the data."""
    if isinstance(target, HMM):
        return n_sequences // 3
    return len(windows(parts_of(target).train.symbols, n_steps)[0])


def of_training(target: Target) -> HMM | Part:
    """What the n-gram law of the loss is that of."""
    return target if isinstance(target, HMM) else parts_of(target).train


def of_validation(target: Target) -> HMM | Part:
    """What the n-gram law of the validation loss is that of."""
    return target if isinstance(target, HMM) else parts_of(target).validation


def knows_ngrams(target: Target, n: int) -> bool:
    """Whether the law of n-grams is known: of an HMM always, of data if they are enough."""
    return isinstance(target, HMM) or supports(parts_of(target).train, n)


def volatility(target: Target, n_steps: int) -> float:
    """Share of steps at which the symbol changes: expected of an HMM, that of held-out data."""
    if isinstance(target, HMM):
        return hmms.volatility(target, n_steps)
    pairs = ngram_counts(parts_of(target).held_out.symbols, 2, target.n_symbols)
    return float(1 - np.trace(pairs.reshape(target.n_symbols, -1)) / pairs.sum())


def to_dict(target: Target) -> dict[str, Any]:
    """Plain values: an HMM whole, of data the file beside them and what it must hold."""
    if isinstance(target, HMM):
        return target.to_dict()
    return {
        "sequences": {
            "file": DATA_FILE,
            "digest": target.digest,
            "n_sequences": len(target.symbols),
            "n_symbols": target.n_symbols,
        }
    }


def from_dict(fields: Any, folder: Path | None) -> Target:  # noqa: ANN401
    """What `to_dict` described, with the data from `folder`.

    Raises:
        InputError: fields that describe neither, or data that are missing, damaged or others.
    """
    if not isinstance(fields, dict) or set(fields) != {"sequences"}:
        return HMM.from_dict(fields)
    known = fields["sequences"]
    if not isinstance(known, dict) or not isinstance(known.get("digest"), str):
        raise InputError("hmm.sequences lacks the digest of the data")
    if folder is None:
        raise InputError(f"the data are in {DATA_FILE} beside it; name the folder")
    data = read_sequences(folder / DATA_FILE)
    if data.digest != known["digest"]:
        raise InputError(
            f"data={folder / DATA_FILE}: holds other data (digest {data.digest}, not "
            f"{known['digest']}) than the run was made with; put back the file, or choose another "
            "folder"
        )
    return data
