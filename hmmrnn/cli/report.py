"""Assemble the report of a run: report.html, one file that opens offline.

    hmmrnn report --run=runs/c

A second or two. Parts that were not measured yet are named with the command that measures them.
"""

from pathlib import Path

from absl import flags

from hmmrnn.figures.catalogue import TRAINING, save_figures
from hmmrnn.report import build_report
from hmmrnn.training import load

FLAGS = flags.FLAGS


def report(folder: Path) -> Path:
    """Draw the history of a finished training and write the report."""
    if (folder / "params.npz").exists():
        fit = load(folder)
        exact = fit.config.target.volatility(fit.config.data.n_steps)
        save_figures(folder, TRAINING, fit, exact)
    return build_report(folder)


def define_flags() -> None:
    """Which run."""
    flags.DEFINE_string("run", None, "run folder to read and to write to", required=True)


def main() -> None:
    """Write the report and print its path."""
    print(report(Path(FLAGS.run)))
