"""Train a network, measure fidelity, dynamics and circuits, and write the report, in one command.

    hmmrnn reproduce --preset=linear3 --profile=laptop --outdir=runs/demo
    hmmrnn reproduce --data=sequences.csv --outdir=runs/own     docs/own_data.md

About 4 minutes on 2 CPU cores at profile laptop, most of them training. Expect a KL of 6-grams of
0.001 to 0.005. Stopped at any moment, it goes on with --resume.
"""

from hmmrnn.cli.analyse import measure, show
from hmmrnn.cli.train import define_flags as define_training_flags
from hmmrnn.cli.train import outdir, train_from_flags
from hmmrnn.training import load
from hmmrnn.training.run_folder import owned_run


def define_flags() -> None:
    """Those of a training."""
    define_training_flags()


def main() -> None:
    """Train, evaluate, look at the dynamics and the circuits, report."""
    train_from_flags()
    with owned_run(outdir()):
        fit = load(outdir())
        measure(outdir(), fit)
        show(outdir(), fit)
