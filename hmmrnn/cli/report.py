"""Assemble the report of a run: report.html, one file that opens offline.

    hmmrnn report --run=runs/c

A second or two. Parts that were not measured yet are named with the command that measures them.
"""

from pathlib import Path

from absl import flags

from hmmrnn.figures.catalogue import TRAINING, own_files, save_figures
from hmmrnn.folders import replacing
from hmmrnn.report import build_report
from hmmrnn.training import load
from hmmrnn.training.run_folder import owned_run

FLAGS = flags.FLAGS


def report(folder: Path) -> Path:
    """Draw the history of a finished training and write the report."""
    with replacing(folder, "report", own_files(TRAINING, "report.html")) as beside:
        if (folder / "params.npz").exists():
            fit = load(folder)
            exact = fit.config.target.volatility(fit.config.data.n_steps)
            save_figures(beside, TRAINING, fit, exact)
        build_report(folder, beside)
    return folder / "report.html"


def define_flags() -> None:
    """Which run."""
    flags.DEFINE_string("run", None, "run folder to read and to write to", required=True)


def main() -> None:
    """Write the report and print its path."""
    folder = Path(FLAGS.run)
    with owned_run(folder):
        print(report(folder))
