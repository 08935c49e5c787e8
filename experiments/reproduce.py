"""Train a network, run every analysis and write the report: the whole job in one command.

    python -m experiments.reproduce --preset=linear3 --profile=laptop --outdir=runs/demo
    python -m experiments.reproduce --data=sequences.csv --outdir=runs/own     docs/own_data.md

About 4 minutes on 2 CPU cores at profile laptop, most of them training. Expect a KL of 6-grams of
0.001 to 0.005. Stopped at any moment, it goes on with --resume.
"""

from experiments import circuits, dynamics
from experiments.cli import launch
from experiments.evaluate import evaluate
from experiments.report import report
from experiments.train import define_flags, outdir, train_from_flags
from hmmrnn.circuits import Sizes as CircuitSizes
from hmmrnn.dynamics import Sizes
from hmmrnn.report import five_numbers
from hmmrnn.sequences import words_of
from hmmrnn.storage import read_json


def main() -> None:
    """Train, evaluate, look at the dynamics and the circuits, report."""
    fit = train_from_flags()
    folder = outdir()
    print("measuring fidelity ...", flush=True)
    evaluate(folder, fit, n_sequences=10_000, seed=0)
    print("measuring dynamics ...", flush=True)
    dynamics.analyse(folder, fit, Sizes(), seed=0)
    print("looking for circuits ...", flush=True)
    circuits.analyse(folder, fit, CircuitSizes(), seed=0)
    page = report(folder)
    fidelity, moving = (read_json(folder / f"{name}.json") for name in ("fidelity", "dynamics"))
    for number in five_numbers(fidelity, moving, words_of(fit.config.hmm)):
        print(f"  {number}")
    print(f"report: {page}")


if __name__ == "__main__":
    define_flags()
    launch(main)
