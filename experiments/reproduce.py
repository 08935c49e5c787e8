"""Train a network, measure fidelity, dynamics and circuits, and write the report, in one command.

    python -m experiments.reproduce --preset=linear3 --profile=laptop --outdir=runs/demo
    python -m experiments.reproduce --data=sequences.csv --outdir=runs/own     docs/own_data.md

About 4 minutes on 2 CPU cores at profile laptop, most of them training. Expect a KL of 6-grams of
0.001 to 0.005. Stopped at any moment, it goes on with --resume.
"""

from experiments.analyse import measure, show
from experiments.cli import launch
from experiments.train import define_flags, outdir, train_from_flags


def main() -> None:
    """Train, evaluate, look at the dynamics and the circuits, report."""
    fit = train_from_flags()
    measure(outdir(), fit)
    show(outdir(), fit)


if __name__ == "__main__":
    define_flags()
    launch(main)
