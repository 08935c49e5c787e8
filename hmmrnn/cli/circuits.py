"""Find the circuit that makes a trained network switch, and test it: circuits.json and figures.

    hmmrnn circuits --run=runs/c
    hmmrnn circuits --runs='runs/c-seed*'     many networks, one line each

Half a minute to a minute on 2 CPU cores for a network that uses two symbols, one and a half for
three; the first time half a minute more, with compilation that is kept. No GPU was timed. Expect
some ten kick neurons in each direction for `linear2` by the paper's recipe, none for `linear3` of
the laptop profile (docs/kick_circuits.md).
"""

from collections.abc import Hashable, Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np
from absl import flags
from jaxtyping import Float

from hmmrnn.circuits import CircuitSurvey, Sizes, survey_many
from hmmrnn.circuits.free_runs import ORDER
from hmmrnn.cli.launch import define_run_flag
from hmmrnn.cli.run_folders import Many, Step, analyse_all, one_or_many, second_process, unbounded
from hmmrnn.errors import DivergingNetworkError
from hmmrnn.figures.catalogue import CIRCUITS, own_files, save_figures
from hmmrnn.folders import replacing
from hmmrnn.memory import expect_room
from hmmrnn.report import account
from hmmrnn.results import fields
from hmmrnn.storage import write_results
from hmmrnn.targets import Target
from hmmrnn.training import Fit, RunSpec, load
from hmmrnn.training.run_folder import owned_run

FLAGS = flags.FLAGS

MOST_NGRAMS = 10_000
"""Of which shares are kept for every intervention and bootstrap draw."""


class Measured(NamedTuple):
    """What was found of a network or why nothing was, and the weights that a figure shows."""

    found: CircuitSurvey | None
    problem: str | None
    w_rec: Float[np.ndarray, "N N"]


def analyse(folder: Path, fit: Fit, sizes: Sizes, seed: int) -> Measured:
    """Find and test the circuits of the network, write what was found and draw it.

    For a network that diverges, circuits.json holds the reason and nothing else.

    Raises:
        InputError: sizes that are too small.
    """
    (measured,) = measure(sizes, seed, [fit])
    write(folder, fit.digest, measured)
    return measured


def measure(sizes: Sizes, seed: int, fits: list[Fit]) -> Iterator[Measured]:
    """Find and test the circuits of networks of one cell.

    The recordings and the free runs are made for all of them at once. What is found and tested in
    each network has shapes of its own, so it follows network by network.

    Raises:
        InputError: sizes that are too small.
    """
    needed = 8 * sizes.n_runs * sizes.n_steps * fits[0].cell.hidden_size * len(fits)
    expect_room(needed, f"n_runs={sizes.n_runs} of n_steps={sizes.n_steps}", "n_runs or n_steps")
    laws = [law_of(fit.config.target) for fit in fits]
    surveys = survey_many(fits, laws, jax.random.key(seed), sizes)
    for fit, found, problem in zip(fits, surveys, unbounded(fits), strict=True):
        weights = np.asarray(fit.params["W_rec"])
        if isinstance(found, DivergingNetworkError):
            yield Measured(None, str(found), weights)
        elif problem is not None:
            yield Measured(None, problem, weights)
        else:
            yield Measured(found, None, weights)


def write(folder: Path, network: str, measured: Measured) -> str:
    """Write figures and numbers of the network of a digest, all or none."""
    found = measured.found
    with replacing(folder, "circuits", own_files(CIRCUITS, "circuits.json")) as beside:
        if found is None:
            write_results(beside / "circuits.json", {"problem": measured.problem}, network)
        else:
            save_figures(beside, CIRCUITS, found, measured.w_rec)
            numbers = {**fields(found), "account": account(found)}
            write_results(beside / "circuits.json", numbers, network)
    if found is None:
        return str(measured.problem)
    n_kick = sum(int(pair.kick.kick.sum()) for pair in found.circuit.pairs)
    return f"{n_kick} kick neurons in {len(found.circuit.pairs)} changes, verdict {found.verdict}"


def shape(spec: RunSpec) -> Hashable:
    """What networks must have in common to be recorded side by side."""
    return spec.config.cell


def law_of(target: Target) -> np.ndarray | None:
    """The law of the 4-grams of HMM or held-out data, flat; None where it is too large."""
    small = target.n_symbols**ORDER <= MOST_NGRAMS
    return target.compared_law(ORDER) if small else None


def define_flags() -> None:
    """Which runs, and the sizes of the measures."""
    define_run_flag()
    flags.DEFINE_integer("n_runs", Sizes().n_runs, "noise-driven runs", lower_bound=4)
    flags.DEFINE_integer("n_steps", Sizes().n_steps, "steps of each run", lower_bound=100)


def main() -> None:
    """Measure and print the account."""
    chosen = one_or_many()
    sizes = Sizes(FLAGS.n_runs, FLAGS.n_steps)
    if isinstance(chosen, Many):
        measuring = partial(measure, sizes, FLAGS.analysis_seed)
        analyse_all(Step("circuits.json", shape, measuring, write, second_process), chosen)
        return
    with owned_run(chosen):
        analysis = analyse(chosen, load(chosen), sizes, FLAGS.analysis_seed)
    print(*(account(analysis.found) if analysis.found else [analysis.problem]), sep="\n")
    print(chosen / "circuits.json")
