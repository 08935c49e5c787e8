"""The same training in plain PyTorch and geomloss, from the equations of Torre et al. (2025).

h_t = relu(W_in x_t + W_rec h_{t-1}), logits = W_out h_t, x_t ~ N(0, I), straight-through
Gumbel-softmax, Sinkhorn divergence between flattened sequences, Adam on the clipped gradient.
"""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import torch
from geomloss import SamplesLoss
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from benchmarks import cores

SINKHORN = SamplesLoss("sinkhorn", p=2, blur=0.2, scaling=0.5, backend="tensorized")


class Emulator(nn.Module):
    """Noise-driven recurrent network without biases."""

    def __init__(self, n_symbols: int, hidden_size: int = 150, noise_dim: int = 100) -> None:
        super().__init__()
        self.rnn = nn.RNN(noise_dim, hidden_size, nonlinearity="relu", bias=False, batch_first=True)
        self.readout = nn.Linear(hidden_size, n_symbols, bias=False)

    def forward(self, noise: Tensor) -> tuple[Tensor, Tensor]:
        """Hidden states (B, T, N) and logits (B, T, K) under `noise` (B, T, D)."""
        states, _ = self.rnn(noise)
        return states, self.readout(states)


class Trainer:
    """An emulator with its optimiser."""

    def __init__(self, model: Emulator, clip_norm: float = 0.9) -> None:
        self.model, self.clip_norm = model, clip_norm
        self.optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, betas=(0.9, 0.9))

    def loss(self, noise: Tensor, target: Tensor) -> Tensor:
        """Loss of the sequences generated under `noise` against `target` (B, T, K)."""
        _, logits = self.model(noise)
        return divergence(F.gumbel_softmax(logits, tau=1, hard=True), target)

    def noise(self, target: Tensor) -> Tensor:
        """Fresh noise for as many sequences of the same length."""
        return torch.randn(*target.shape[:2], self.model.rnn.input_size)

    def step(self, target: Tensor) -> float:
        """One training step; returns its loss."""
        self.optimizer.zero_grad()
        loss = self.loss(self.noise(target), target)
        loss.backward()
        self.update()
        return loss.item()

    def update(self) -> None:
        """Adam on the clipped gradient."""
        nn.utils.clip_grad_norm_(self.model.parameters(), self.clip_norm)
        self.optimizer.step()

    def epoch(self, train: Tensor, held_out: Tensor, batch_size: int) -> tuple[float, float]:
        """One pass over `train` in order, then validation; returns the mean loss of each."""
        steps = [self.step(target) for target in train.split(batch_size)]
        return float(np.mean(steps)), self.validate(held_out, batch_size)

    def validate(self, held_out: Tensor, batch_size: int) -> float:
        """Mean loss over the full batches of `held_out`, without gradient."""
        n_full = len(held_out) // batch_size * batch_size
        losses = []
        for target in held_out[:n_full].split(batch_size):
            with torch.no_grad():  # for each batch: geomloss switches gradients back on
                losses.append(self.loss(self.noise(target), target).item())
        return float(np.mean(losses))


def divergence(x: Tensor, y: Tensor) -> Tensor:
    """Sinkhorn divergence between two samples of sequences (B, T, K)."""
    return SINKHORN(x.flatten(1), y.flatten(1))


def value_and_gradient(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """The divergence and its gradient with respect to x."""
    x = x.detach().requires_grad_()
    value = divergence(x, y)
    (gradient,) = torch.autograd.grad(value, x)
    return value.detach(), gradient


@torch.no_grad()
def generate(model: Emulator, n_sequences: int, n_steps: int) -> Tensor:
    """Symbols (B, T) of the network, one step of all sequences after the other."""
    W_in, W_rec, W_out = model.rnn.weight_ih_l0, model.rnn.weight_hh_l0, model.readout.weight
    h = torch.zeros(n_sequences, model.rnn.hidden_size)
    symbols = torch.empty(n_sequences, n_steps, dtype=torch.long)
    for t in range(n_steps):
        x = torch.randn(n_sequences, model.rnn.input_size)
        h = torch.relu(x @ W_in.T + h @ W_rec.T)
        symbols[:, t] = torch.multinomial(torch.softmax(h @ W_out.T, dim=-1), 1)[:, 0]
    return symbols


def tensor(array: npt.ArrayLike) -> Tensor:
    """A copy of an array."""
    return torch.tensor(np.asarray(array))


def random_symbols(n_sequences: int, n_steps: int, n_symbols: int) -> Tensor:
    """One-hot sequences (B, T, K) of independent symbols."""
    return F.one_hot(torch.randint(n_symbols, (n_sequences, n_steps)), n_symbols).float()


def product(size: int) -> Callable[[], Tensor]:
    """One product of two float32 matrices."""
    a, b = torch.randn(2, size, size)
    return lambda: a @ b


def use_all_cores() -> None:
    """As jax does by itself."""
    torch.set_num_threads(cores())
