"""What the analyses ask of a network: parameters, the cell they belong to, its noise level."""

from typing import Protocol, runtime_checkable

from jaxtyping import Array, Float

from hmmrnn.arrays import Params
from hmmrnn.nets.cells import RNNCell


@runtime_checkable
class Network(Protocol):
    """A trained network, as returned by `train` and `load`."""

    @property
    def params(self) -> Params:
        """Flat parameters."""
        ...

    @property
    def cell(self) -> RNNCell:
        """The cell that runs them."""
        ...

    @property
    def noise_std(self) -> Float[Array, ""]:
        """Standard deviation of the noise drive."""
        ...
