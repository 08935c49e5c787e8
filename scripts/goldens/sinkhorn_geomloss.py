"""Golden values of the reference loss, by PyTorch and geomloss, for tests/losses/test_sinkhorn.py.

Run in an environment of its own, from the root of the repository:

    python -m venv /path/to/env && /path/to/env/bin/pip install torch==2.13.0 geomloss==0.3.1
    /path/to/env/bin/python scripts/goldens/sinkhorn_geomloss.py

Writes tests/goldens/sinkhorn_geomloss.npz: symbol sequences x, y (B, T), values and gradients of
SamplesLoss("sinkhorn", p=2, blur=0.2, scaling=0.5) on their one-hot vectors, in float64.
"""

from pathlib import Path

import numpy as np
import torch
from geomloss import SamplesLoss

CASES = {"short": (64, 30), "long": (96, 100), "uneven": (48, 40)}


def switching(rng: np.random.Generator, n_sequences: int, n_steps: int, q: float) -> np.ndarray:
    """Sequences that stay in symbol 0 or 2 and change with probability q, with some 1s."""
    state = np.cumsum(rng.random((n_sequences, n_steps)) < q, axis=1) + rng.integers(
        2, size=(n_sequences, 1)
    )
    symbols = 2 * (state % 2)
    return np.where(rng.random(symbols.shape) < 0.02, 1, symbols)


def main() -> None:
    """Compute the cases and write them."""
    rng = np.random.default_rng(0)
    loss = SamplesLoss("sinkhorn", p=2, blur=0.2, scaling=0.5, backend="tensorized")
    out = {}
    for name, (n_sequences, n_steps) in CASES.items():
        m = n_sequences // 2 if name == "uneven" else n_sequences
        x, y = switching(rng, n_sequences, n_steps, 0.1), switching(rng, m, n_steps, 0.05)
        x_hot, y_hot = (torch.tensor(np.eye(3)[s].reshape(len(s), -1)) for s in (x, y))
        x_hot.requires_grad_()
        value = loss(x_hot, y_hot)
        (gradient,) = torch.autograd.grad(value, x_hot)
        out |= {
            f"{name}_x": x.astype(np.int8),
            f"{name}_y": y.astype(np.int8),
            f"{name}_value": value.item(),
            f"{name}_gradient": gradient.numpy().reshape(*x.shape, 3).astype(np.float32),
        }
        print(name, value.item())
    path = Path(__file__).parents[2] / "tests" / "goldens" / "sinkhorn_geomloss.npz"
    np.savez_compressed(path, **out)


if __name__ == "__main__":
    main()
