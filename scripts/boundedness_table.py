"""How long runs of networks behave: one line for each run folder, in Markdown.

    python scripts/boundedness_table.py RUN...

Of 64 runs of 2000 steps: the share that stays bounded; the largest |logit| ever; volatility over
the first steps, as many as the held-out sequences have (the trained length, of an HMM), and over
steps 500 to 2000, beside that of HMM or held-out data; of an HMM the excess surprise of steps 500
to 2000, in nats per symbol beyond what its own runs of that length surprise it, with the interval
of a bootstrap over runs. The KL is that of fidelity.json, beside its floor.
"""

import argparse
import math
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from hmmrnn import load
from hmmrnn.hmm import HMM, log_likelihood, sample_batch, stationary_law
from hmmrnn.intervals import Estimate
from hmmrnn.nets import LONG_RUN_STEPS, long_run, sample_symbols
from hmmrnn.storage import read_json
from hmmrnn.targets import Target
from hmmrnn.training import Fit

N_RUNS, WARM_UP = 64, 500
N_HMM_RUNS = 2_048
"""Of the HMM itself, so that its own surprise is known better than the network's."""

COLUMNS = (
    "run", "penalty", "bounded", "largest logit", "KL", "of the floor", "volatility",
    "over steps 500 to 2000", "of HMM or held-out data", "excess surprise [95 %]",
)  # fmt: skip


def row(folder: Path) -> str:
    """One line of the table."""
    fit, key = load(folder), jax.random.key(0)
    target, n_steps = fit.config.target, fit.config.data.n_steps
    logits = jax.jit(lambda: _logits(fit, key))()
    symbols = np.asarray(sample_symbols(jnp.swapaxes(logits, 0, 1), jax.random.key(1)))
    whole = symbols[np.all(symbols >= 0, axis=1)]
    early, late = whole[:, : own_length(target, n_steps)], whole[:, WARM_UP:]
    kl, order = _kl(folder)
    ran = long_run(fit, n_steps)
    cells = (
        f"`{folder.name}`",
        f"{fit.config.train.activity_penalty:g}",
        f"{ran.n_bounded} of {ran.n_runs}",
        f"{float(jnp.max(jnp.abs(logits))):.3g}",
        f"{kl['network']['value']:.4f} ({order})",
        f"{kl['floor']['value']:.4f}",
        f"{changes(early):.4f}",
        f"{changes(late):.4f}",
        f"{target.volatility(n_steps):.4f}",
        _surprise(target, late),
    )
    return f"| {' | '.join(cells)} |"


def _logits(fit: Fit, key: jax.Array) -> jax.Array:
    keys = jax.random.split(key, N_RUNS)
    return fit.simulate(LONG_RUN_STEPS, keys).logits


def own_length(target: Target, n_steps: int) -> int:
    """Steps of a held-out sequence in the middle; of an HMM the length trained on."""
    lengths = (np.asarray(target.parts.held_out.rows(n_steps)) >= 0).sum(axis=1)
    return int(np.median(lengths)) if len(lengths) else n_steps


def changes(symbols: np.ndarray) -> float:
    """Share of steps at which the symbol changes; NaN without runs."""
    return float(np.mean(symbols[:, 1:] != symbols[:, :-1])) if len(symbols) else math.nan


def _kl(folder: Path) -> tuple[dict, str]:
    entries = read_json(folder / "fidelity.json")["kl"]
    order = max(entries, key=int)
    return entries[order], f"{order}-grams"


def _surprise(target: Target, late: np.ndarray) -> str:
    if not target.exact or not len(late):
        return ""
    return f"{excess_surprise(HMM.from_dict(target.to_dict()), late):.4f}"


def excess_surprise(hmm: HMM, symbols: np.ndarray) -> Estimate:
    """Nats per symbol beyond the surprise of the HMM's own stationary runs of the same length."""
    settled = HMM(stationary_law(hmm), hmm.transition, hmm.emission)
    n_steps = symbols.shape[1]
    _, own = sample_batch(settled, N_HMM_RUNS, n_steps, jax.random.key(2))
    surprise = [
        -np.asarray(jax.vmap(partial(log_likelihood, settled))(jnp.asarray(x)), float) / n_steps
        for x in (symbols, own)
    ]
    rng = np.random.default_rng(0)
    draws = [x[rng.integers(len(x), size=(2000, len(x)))].mean(axis=1) for x in surprise]
    low, high = np.quantile(draws[0] - draws[1], [0.025, 0.975])
    return Estimate(float(surprise[0].mean() - surprise[1].mean()), float(low), float(high))


def main(folders: list[Path]) -> None:
    """Print the table."""
    print(f"| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}")
    for folder in folders:
        print(row(folder), flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("runs", type=Path, nargs="+", help="run folders, evaluated")
    main(parser.parse_args().runs)
