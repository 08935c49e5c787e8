"""Run all four analyses of a trained network and write the report.

    hmmrnn analyse --run=runs/c

The same as `hmmrnn evaluate`, dynamics, circuits, discover and report one after the other. A
minute and a half on 2 CPU cores for a network that uses two symbols, compilation included; more for
three.
"""

from pathlib import Path

from absl import flags

from hmmrnn.circuits import Sizes as CircuitSizes
from hmmrnn.cli import circuits, discover, dynamics
from hmmrnn.cli.evaluate import evaluate
from hmmrnn.cli.launch import warn_of_unbounded
from hmmrnn.cli.report import report
from hmmrnn.discovery import smallest_faithful
from hmmrnn.dynamics import Sizes
from hmmrnn.errors import DivergingNetworkError, InputError
from hmmrnn.nets import LongRun
from hmmrnn.report import five_numbers
from hmmrnn.storage import known_form, read_results
from hmmrnn.training import Fit, load
from hmmrnn.training.run_folder import owned_run

FLAGS = flags.FLAGS
N_SEQUENCES, N_TRIALS, SEED = 10_000, 64, 0


def measure(folder: Path, fit: Fit) -> None:
    """Fidelity, dynamics and circuits, with the defaults of their command lines."""
    print("measuring fidelity ...", flush=True)
    evaluate(folder, fit, n_sequences=N_SEQUENCES, seed=SEED)
    print("measuring dynamics ...", flush=True)
    dynamics.analyse(folder, fit, Sizes(), seed=SEED)
    print("looking for circuits ...", flush=True)
    circuits.analyse(folder, fit, CircuitSizes(), seed=SEED)


def look_for_units(folder: Path, fit: Fit) -> None:
    """discovery.json and its figures, with the defaults of `hmmrnn discover`."""
    print("discovering which units matter, when ...", flush=True)
    source = {"run": str(folder), "seed": SEED, "n_trials": N_TRIALS, "kind": "mean"}
    groups = discover.kick_groups(folder, fit.cell.hidden_size)
    found = discover.examine_network(fit, groups, "mean", smallest_faithful, N_TRIALS, SEED)
    try:
        discover.write(folder, fit.digest, source, found)
    except (InputError, DivergingNetworkError) as problem:  # nothing to discover
        print(f"  {problem}")


def show(folder: Path, fit: Fit) -> None:
    """Write the report, print the numbers that matter and where it is."""
    page = report(folder)
    fidelity, moving = (read_results(folder / f"{name}.json") for name in ("fidelity", "dynamics"))
    with known_form(folder / "fidelity.json"):
        numbers = five_numbers(fidelity, moving, fit.config.target.words)
        ran = LongRun(**fidelity["long_run"])
    for number in numbers:
        print(f"  {number}")
    warn_of_unbounded(folder, ran)
    print(f"report: {page}")


def define_flags() -> None:
    """Which run."""
    flags.DEFINE_string("run", None, "run folder to read and to write to", required=True)


def main() -> None:
    """Analyse and report."""
    folder = Path(FLAGS.run)
    with owned_run(folder):
        fit = load(folder)
        measure(folder, fit)
        look_for_units(folder, fit)
        show(folder, fit)
