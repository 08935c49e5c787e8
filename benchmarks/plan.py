"""What to measure: sizes, rounds, and whether there is a baseline."""

import importlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import Any

from benchmarks.measure import gflops, jax_product
from hmmrnn import TrainConfig
from hmmrnn.hmm import preset


@dataclass(frozen=True)
class Plan:
    """One run of the benchmarks; `small` sizes are for tests of the programs, not of speed."""

    rounds: int = 5
    small: bool = False
    ours_only: bool = False
    against: Path | None = None  # another checkout

    @property
    def preset(self) -> str:
        """The target; in small samples of `linear2` some coordinates do not vary, which shortens
        geomloss's schedule, so that the values of the losses would differ.
        """
        return "fully3" if self.small else "linear2"

    @property
    def sizes(self) -> tuple[tuple[int, int], ...]:
        """Sequences in a batch and their length, (B, T)."""
        if self.small:
            return ((64, 6),)
        return tuple((n, n_steps) for n_steps in (30, 100) for n in (512, 2048, 4096))

    def config(self, batch_size: int, n_steps: int, n_sequences: int = 30_000) -> TrainConfig:
        """The recipe of the paper at another size."""
        return TrainConfig.profile("paper", preset(self.preset)).replace(
            data={"n_steps": n_steps, "n_sequences": n_sequences},
            train={"batch_size": batch_size},
        )

    @cached_property
    def torch(self) -> ModuleType | None:
        """The baseline in PyTorch, None where ours is measured alone."""
        return None if self.ours_only else importlib.import_module("benchmarks.torch_baseline")

    @cached_property
    def rates(self) -> dict[str, float]:
        """Measured rates of float32 matrix products in GFLOP/s."""
        size = 64 if self.small else 2048
        products = {"jax": jax_product(size)}
        if self.torch is not None:
            products["torch"] = self.torch.product(size)
        return {name: gflops(product, size) for name, product in products.items()}

    def trainer(self, config: TrainConfig) -> Any:  # noqa: ANN401
        """The baseline's untrained network of the sizes of `config`, with its optimiser."""
        sizes = config.target.n_symbols, config.net.hidden_size, config.net.noise_dim
        return self.torch.Trainer(self.torch.Emulator(*sizes), config.train.clip_norm)

    def floor(self, flops: float) -> float:
        """Seconds that `flops` operations take at the best measured rate."""
        return flops / (1e9 * max(self.rates.values()))


def loss_flops(n_sequences: int, n_steps: int, n_symbols: int) -> int:
    """Operations of the matrix products that the reference loss and its gradient need.

    Three cost matrices (xy, xx, yy), and for the gradient with respect to x the products of two
    plans (xy, xx) with the samples, each 2 B^2 T K.
    """
    return 5 * 2 * n_sequences**2 * n_steps * n_symbols


def step_flops(config: TrainConfig) -> int:
    """Operations of the matrix products of one training step.

    Drive W_in x: forward, and the gradient of W_in. Recurrence W_rec h and readout W_out h:
    forward, the gradient of the weights, the gradient of h. Then the loss.
    """
    N, D, K = config.net.hidden_size, config.net.noise_dim, config.target.n_symbols
    B, T = config.train.batch_size, config.data.n_steps
    return 2 * B * T * N * (2 * D + 3 * N + 3 * K) + loss_flops(B, T, K)
