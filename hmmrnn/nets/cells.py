"""Recurrent cells. The only file that knows flax: a cell is a hashable record of its sizes, its
parameters a flat dictionary.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, Literal, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from hmmrnn.arrays import HIGHEST, Key, Keys, Params
from hmmrnn.errors import InputError
from hmmrnn.nets.noise import white_noise
from hmmrnn.results import result
from hmmrnn.settings import Section, option

ACTIVATIONS: dict[str, Callable[[Array], Array]] = {"relu": nn.relu, "tanh": jnp.tanh}


@dataclass(frozen=True)
class NetConfig(Section):
    """Size and kind of the network."""

    section: ClassVar[str] = "net"

    hidden_size: int = option(150, "hidden units, N", low=1)
    noise_dim: int = option(100, "dimensions of the noise drive, D", low=1)
    activation: Literal["relu", "tanh"] = option("relu", "nonlinearity of the hidden units")
    bias: bool = option(False, "biases in the recurrence and the readout (the paper has none)")
    initial_state: Literal["zero", "random"] = option(
        "zero", "h_0: zero, or the activation of a standard normal draw"
    )


@result
class Gates(NamedTuple):
    """What an intervention does to one step: multiply, multiply, multiply, add.

    Each entry broadcasts to (N,); the defaults leave the step alone. The two on the state come
    last, after the leak: a gain of 0 and an offset of c hold a unit at c, whatever it was before.
    """

    recurrent_gain: Array | float = 1.0  # on W_rec h, per receiving unit
    noise_gain: Array | float = 1.0  # on W_in x, per receiving unit
    state_gain: Array | float = 1.0  # on the new hidden state
    state_offset: Array | float = 0.0  # added to the new hidden state


class RNNCell(nn.Module):
    """h_t = f(W_in x_t + W_rec h_{t-1} + b), logits_t = W_out h_t + c (Torre et al. 2025, eq. 1).

    With a leak l < 1, h_t = (1-l) h_{t-1} + l f(W_in x_t + W_rec h_{t-1} + b). Weights and biases
    start uniform in +-1/sqrt(N), as torch's RNN and Linear layers do.

    The contract of a cell. `step` makes the new state from the old one, the drive W_in x and the
    gates of an intervention; `readout` makes logits of a state; both are pure functions of these
    and the parameters. What the gates do is said in `Gates`. What is not true of every cell has a
    name, and whoever relies on it asks for the name: `homogeneous`, `piecewise_linear`.

    Raises:
        InputError: a leak outside (0, 1], as soon as the cell is used.
    """

    n_symbols: int  # K
    hidden_size: int = 150  # N
    noise_dim: int = 100  # D
    activation: str = "relu"
    bias: bool = False
    initial_state: str = "zero"
    leak: float = 1.0  # l, the share of the state that is new in each step

    @property
    def homogeneous(self) -> bool:
        """Whether h(s x) = s h(x) for every s > 0: scaling all noise scales all states."""
        return self.piecewise_linear and not self.bias and self.initial_state == "zero"

    @property
    def piecewise_linear(self) -> bool:
        """Whether a step is affine in each region where the same units are active."""
        return self.activation == "relu"

    @nn.nowrap
    def activate(self, a: Array) -> Array:
        """f(a)."""
        return ACTIVATIONS[self.activation](a)

    def setup(self) -> None:
        """Declare the parameters."""
        if not 0 < self.leak <= 1:
            raise InputError(f"leak={self.leak}: must be above 0 and at most 1 (1 is no leak)")
        n, d, k = self.hidden_size, self.noise_dim, self.n_symbols
        init = _uniform(n**-0.5)
        self.W_in = self._weight("W_in", init, (n, d))
        self.W_rec = self._weight("W_rec", init, (n, n))
        self.W_out = self._weight("W_out", init, (k, n))
        self.b_rec = self._weight("b_rec", init, (n,)) if self.bias else 0.0
        self.b_out = self._weight("b_out", init, (k,)) if self.bias else 0.0

    def _weight(self, name: str, init: Callable[..., Array], shape: tuple[int, ...]) -> Array:
        """As `param`, which traces `init` at each use of the cell to compare shapes."""
        if self.is_initializing():
            return self.param(name, init, shape)
        weight: Array | None = self.get_variable("params", name)
        if weight is None or weight.shape != shape:
            found = "missing" if weight is None else f"of shape {weight.shape}"
            raise InputError(f"{name}: is {found}; this cell has it of shape {shape}")
        return weight

    def drive(self, x: Float[Array, "*T D"]) -> Float[Array, "*T N"]:
        """What the noise adds to the pre-activation, W_in x, for any number of steps at once."""
        return _linear(self.W_in, x)

    def step(
        self, h: Float[Array, "*B N"], drive: Float[Array, "*B N"] | float, gates: Gates
    ) -> Float[Array, "*B N"]:
        """The hidden state after one step."""
        new = self.activate(self.preactivation(h, drive, gates))
        if self.leak != 1:  # at 1 it would only cost time and rounding
            new = (1 - self.leak) * h + self.leak * new
        return gates.state_gain * new + gates.state_offset

    def preactivation(
        self, h: Float[Array, "*B N"], drive: Float[Array, "*B N"] | float, gates: Gates
    ) -> Float[Array, "*B N"]:
        """What the nonlinearity of the next step is applied to."""
        recurrent = _linear(self.W_rec, h)
        return gates.recurrent_gain * recurrent + gates.noise_gain * drive + self.b_rec

    def readout(self, h: Float[Array, "*T N"]) -> Float[Array, "*T K"]:
        """Logits of the symbols."""
        return _linear(self.W_out, h) + self.b_out


def make_cell(config: NetConfig, n_symbols: int) -> RNNCell:
    """The cell that `config` describes, for an HMM of `n_symbols` symbols."""
    return RNNCell(
        n_symbols=n_symbols,
        hidden_size=config.hidden_size,
        noise_dim=config.noise_dim,
        activation=config.activation,
        bias=config.bias,
        initial_state=config.initial_state,
    )


@partial(jax.jit, static_argnums=0)
def init_params(cell: RNNCell, key: Key) -> dict[str, Array]:
    """Fresh parameters of `cell`: `W_in` (N, D), `W_rec` (N, N), `W_out` (K, N), biases if used."""
    return dict(cell.init(key, jnp.zeros(cell.hidden_size), method="readout")["params"])


def starts(cell: RNNCell, keys: Keys) -> Float[Array, "*B N"]:
    """h_0 for each of the keys (*B): zero, or the activation of a standard normal draw."""
    if cell.initial_state == "zero":
        return jnp.zeros((*keys.shape, cell.hidden_size))
    return cell.activate(white_noise(keys, 1, cell.hidden_size)[0])


def apply(cell: RNNCell, params: Params, method: str, *args: Any) -> Any:  # noqa: ANN401
    """What a method of the cell gives with these parameters."""
    return cell.apply({"params": params}, *args, method=method)


def _linear(weight: Float[Array, "M N"], x: Float[Array, "*B N"]) -> Float[Array, "*B M"]:
    """W x for all leading axes at once. Seen as one axis, they make the gradient of W one product
    too; as several, XLA first transposes both factors, which takes longer than the product.
    """
    flat = x.reshape(math.prod(x.shape[:-1]), x.shape[-1])
    return jnp.matmul(flat, weight.T, precision=HIGHEST).reshape(*x.shape[:-1], len(weight))


def _uniform(bound: float) -> Callable[..., Array]:
    def init(key: Key, shape: tuple[int, ...]) -> Array:
        return jax.random.uniform(key, shape, minval=-bound, maxval=bound)

    return init
