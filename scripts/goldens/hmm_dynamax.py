"""Golden filtered posteriors of the six presets, computed by dynamax.

Writes tests/goldens/hmm_dynamax.npz: for each preset the symbols of one sequence of 50 steps
`NAME_symbols` (50,), p(z_t | x_1..x_t) `NAME_posterior` (50, M) and log p(x_1..x_50) in nats
`NAME_log_likelihood` (), in float64, and the `versions` that computed them. It imports nothing
from this package: the presets are written down a second time, from Torre et al. (NeurIPS 2025).

dynamax needs a nightly build of TensorFlow Probability, so run it in an environment of its own:

    python -m venv ~/dynamax
    ~/dynamax/bin/pip install dynamax==1.0.3 tfp-nightly==0.26.0.dev20261027 jax==0.10.2
    ~/dynamax/bin/python scripts/goldens/hmm_dynamax.py

The committed file was made with Python 3.11.7, dynamax 1.0.3, jax 0.10.2, numpy 2.4.6 and
tfp-nightly 0.26.0.dev20261027. It takes about 3 s on a CPU.
"""

import platform
from importlib.metadata import version
from pathlib import Path

import jax
import numpy as np

jax.config.update("jax_enable_x64", True)

from dynamax.hidden_markov_model import hmm_filter  # noqa: E402

N_STEPS = 50
GOLDENS = Path(__file__).parents[2] / "tests" / "goldens" / "hmm_dynamax.npz"


def linear(n_states: int) -> tuple[np.ndarray, np.ndarray]:
    """Transition and emission of a chain; neighbours are reached with 0.05^(1/(M-1))."""
    hop = 0.05 ** (1 / (n_states - 1))
    transition = np.zeros((n_states, n_states))
    emission = np.zeros((n_states, 3))
    for i in range(n_states):
        for j in (i - 1, i + 1):
            if 0 <= j < n_states:
                transition[i, j] = hop
        transition[i, i] = 1 - transition[i].sum()
        a = i / (n_states - 1)
        emission[i] = 0.99 * (1 - a), 0.01, 0.99 * a
    return transition, emission


def fully3() -> tuple[np.ndarray, np.ndarray]:
    """Three states, each with its own symbol."""
    transition = np.where(np.eye(3) == 1, 0.95, 0.025)
    return transition, np.where(np.eye(3) == 1, 0.98, 0.01)


def cyclic4() -> tuple[np.ndarray, np.ndarray]:
    """A ring of four states."""
    transition = np.zeros((4, 4))
    for i in range(4):
        transition[i, i] = 0.95
        transition[i, (i + 1) % 4] = transition[i, (i - 1) % 4] = 0.025
    return transition, np.array([[0.9, 0.1, 0], [0.1, 0.9, 0], [0, 0.1, 0.9], [0, 0.9, 0.1]])


def drawn(transition: np.ndarray, emission: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Symbols (N_STEPS,) of one sequence that starts in a uniformly drawn state."""
    n_states, n_symbols = emission.shape
    state, symbols = rng.integers(n_states), []
    for _ in range(N_STEPS):
        symbols.append(rng.choice(n_symbols, p=emission[state]))
        state = rng.choice(n_states, p=transition[state])
    return np.array(symbols, dtype=np.int32)


def main() -> None:
    """Write the file."""
    presets = {f"linear{n}": linear(n) for n in (2, 3, 4, 5)}
    presets |= {"fully3": fully3(), "cyclic4": cyclic4()}
    arrays = {}
    for seed, (name, (transition, emission)) in enumerate(presets.items()):
        symbols = drawn(transition, emission, np.random.default_rng(seed))
        with np.errstate(divide="ignore"):
            log_likelihoods = np.log(emission[:, symbols].T)  # (T, M), -inf where impossible
        uniform = np.full(len(transition), 1 / len(transition))
        filtered = hmm_filter(uniform, transition, log_likelihoods)
        arrays[f"{name}_symbols"] = symbols
        arrays[f"{name}_posterior"] = np.asarray(filtered.filtered_probs)
        arrays[f"{name}_log_likelihood"] = np.asarray(filtered.marginal_loglik)
    packages = ("dynamax", "jax", "numpy", "tfp-nightly")
    versions = [f"{package} {version(package)}" for package in packages]
    arrays["versions"] = np.array([f"python {platform.python_version()}", *versions])
    GOLDENS.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(GOLDENS, **arrays)
    print(f"{GOLDENS}: {', '.join(arrays['versions'])}")


if __name__ == "__main__":
    main()
