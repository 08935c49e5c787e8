"""Measure how faithful a trained network is: fidelity.json and its figures.

    hmmrnn evaluate --run=runs/c
    hmmrnn evaluate --runs='runs/c-seed*'     many networks, one line each

About 30 seconds on 2 CPU cores, most of it compilation. One of many takes 4 seconds.
"""

from collections.abc import Hashable, Iterator
from functools import partial
from pathlib import Path

import jax
from absl import flags

from hmmrnn.analysis import the_only
from hmmrnn.cli.launch import define_run_flag, warn_of_unbounded
from hmmrnn.cli.run_folders import Many, Step, analyse_all, one_or_many
from hmmrnn.errors import DivergingNetworkError
from hmmrnn.fidelity import Fidelity, Sizes, compare_many
from hmmrnn.figures.catalogue import FIDELITY, own_files, save_figures
from hmmrnn.folders import replacing
from hmmrnn.memory import expect_room
from hmmrnn.storage import write_results
from hmmrnn.targets import Target, Words
from hmmrnn.training import Fit, RunSpec, load, read_spec
from hmmrnn.training.run_folder import owned_run

FLAGS = flags.FLAGS


def evaluate(folder: Path, fit: Fit, n_sequences: int, seed: int) -> Fidelity:
    """Compare the network with its HMM, or with held-out data, and write what was found.

    Raises:
        DivergingNetworkError: a network that diverges within the sequences.
    """
    found = the_only(measure(n_sequences, seed, [fit]))
    write(folder, fit.digest, found)
    return found


def measure(
    n_sequences: int, seed: int, fits: list[Fit]
) -> Iterator[Fidelity | DivergingNetworkError]:
    """Compare networks of one HMM and one length of sequence with it."""
    target, n_steps = fits[0].config.target, fits[0].config.data.n_steps
    expect_sequences(target, n_steps, n_sequences * len(fits))
    n_matched = min(1_000, n_sequences)
    sizes = Sizes(n_sequences=n_sequences, n_steps=n_steps, n_matched=n_matched)
    return compare_many(fits, target, jax.random.key(seed), sizes)


def expect_sequences(
    target: Target, n_steps: int, n_sequences: int, *, on_host: bool = False
) -> None:
    """Refuse more sequences than there is room for. Raises `InputError`."""
    needed = 4 * n_sequences * n_steps * (target.n_symbols + 2)
    asked = f"n_sequences={n_sequences} of {n_steps} steps"
    expect_room(needed, asked, "n_sequences", on_host=on_host)


def write(folder: Path, network: str, fidelity: Fidelity) -> str:
    """Write figures and numbers of the network of a digest; returns its divergence of n-grams."""
    words = read_spec(folder).config.target.words
    with replacing(folder, "fidelity", own_files(FIDELITY, "fidelity.json")) as beside:
        save_figures(beside, FIDELITY, fidelity, words)
        write_results(beside / "fidelity.json", fidelity, network)
    line, problem = kl_line(fidelity, max(fidelity.kl), words), fidelity.long_run.problem
    return line if problem is None else f"{line}; {problem}"


def kl_line(fidelity: Fidelity, n: int, words: Words) -> str:
    """The divergence of n-grams beside that of an HMM sample, or of training data."""
    entry = fidelity.kl[n]
    return f"KL of {n}-grams {entry.network:.4f}, {words.sample} {entry.floor.value:.4f}"


def shape(spec: RunSpec) -> Hashable:
    """What networks must have in common to be compared side by side."""
    return spec.config.cell, spec.config.data.n_steps, spec.config.target


def define_flags() -> None:
    """Which runs, and how many sequences."""
    define_run_flag()
    flags.DEFINE_integer("n_sequences", 10_000, "sequences generated", lower_bound=2)


def main() -> None:
    """Measure and print the divergence of n-grams."""
    chosen = one_or_many()
    if isinstance(chosen, Many):
        measuring = partial(measure, FLAGS.n_sequences, FLAGS.analysis_seed)
        analyse_all(Step("fidelity.json", shape, measuring, write), chosen)
        return
    with owned_run(chosen):
        fit = load(chosen)
        fidelity = evaluate(chosen, fit, FLAGS.n_sequences, FLAGS.analysis_seed)
    for n in fidelity.kl:
        print(kl_line(fidelity, n, fit.config.target.words))
    warn_of_unbounded(chosen, fidelity.long_run)
    print(chosen / "fidelity.json")
