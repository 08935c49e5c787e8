"""The sequences that a network is judged by: the work of `compare` that a device does."""

from collections.abc import Callable
from typing import NamedTuple

from jaxtyping import Array, Int

from hmmrnn.arrays import Key
from hmmrnn.errors import InputError
from hmmrnn.fidelity.compared import Fidelity
from hmmrnn.nets import LongRun, Network
from hmmrnn.results import result


class Sizes(NamedTuple):
    """How many sequences there are, and how long they are."""

    n_sequences: int = 10_000
    n_steps: int = 40
    n_long: int = 200  # for dwell times: few of their runs are cut off
    n_long_steps: int = 2_000
    n_matched: int = 1_000  # of the short ones, matched to an HMM sample

    def expect_valid(self) -> None:
        """Raise `InputError` for sizes that are too small."""
        if self.n_sequences < 2 or self.n_steps < 2 or not 1 <= self.n_matched <= self.n_sequences:
            raise InputError(
                f"n_sequences={self.n_sequences}, n_steps={self.n_steps}, "
                f"n_matched={self.n_matched}: need at least "
                "2 sequences of 2 steps, and no more matched than generated"
            )


@result
class Generated(NamedTuple):
    """Symbols of one network, or of an HMM; -1 where a network diverges."""

    short: Int[Array, "B T"]
    long: Int[Array, "b t"]


@result
class Yardstick(NamedTuple):
    """What networks of one target are judged by."""

    sizes: Sizes  # of what they generate
    keys: tuple[Key, Key]  # of the short and the long sequences
    judged: Callable[[Generated, LongRun], Fidelity]  # of a network whose short ones are finite


def generated(sizes: Sizes, keys: tuple[Key, Key], network: Network) -> Generated:
    """Sequences of one network, the short and the long ones each from a key."""
    key_short, key_long = keys
    return Generated(
        network.generate(sizes.n_sequences, sizes.n_steps, key_short),
        network.generate(sizes.n_long, sizes.n_long_steps, key_long),
    )
