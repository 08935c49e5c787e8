"""Measure how faithful a trained network is: fidelity.json and its figures.

    python -m experiments.evaluate --run=runs/c

About 30 seconds on 2 CPU cores, most of it compilation.
"""

from pathlib import Path

import jax
from absl import flags

from experiments.cli import define_run_flag, launch
from hmmrnn.fidelity import Fidelity, compare
from hmmrnn.figures import dwell_figure, ngram_figure, save, transition_figure
from hmmrnn.storage import write_json
from hmmrnn.training import Fit, load

FLAGS = flags.FLAGS


def evaluate(folder: Path, fit: Fit, n_sequences: int, seed: int) -> Fidelity:
    """Compare the network with its HMM and write what was found."""
    hmm, n_steps = fit.config.hmm, fit.config.data.n_steps
    n_matched = min(1_000, n_sequences)
    fidelity = compare(
        fit,
        hmm,
        jax.random.key(seed),
        n_sequences=n_sequences,
        n_steps=n_steps,
        n_matched=n_matched,
    )
    write_json(folder / "fidelity.json", fidelity)
    save(folder, "transitions", transition_figure(fidelity))
    save(folder, "ngrams", ngram_figure(fidelity))
    save(folder, "dwell", dwell_figure(fidelity))
    return fidelity


def main() -> None:
    """Measure and print the divergence of n-grams."""
    folder = Path(FLAGS.run)
    fidelity = evaluate(folder, load(folder), FLAGS.n_sequences, FLAGS.analysis_seed)
    for n, entry in fidelity.kl.items():
        print(
            f"KL of {n}-grams {entry.network.value:.4f} "
            f"[{entry.network.low:.4f}, {entry.network.high:.4f}], "
            f"HMM sample {entry.floor.value:.4f}"
        )
    print(folder / "fidelity.json")


if __name__ == "__main__":
    define_run_flag()
    flags.DEFINE_integer("n_sequences", 10_000, "sequences generated", lower_bound=2)
    launch(main)
