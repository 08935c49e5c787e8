"""Train one network into a run folder.

    hmmrnn train --preset=linear3 --profile=laptop --outdir=runs/c --seed=1
    hmmrnn train --data=sequences.csv --outdir=runs/own     docs/own_data.md

About 2.5 minutes on one CPU core for any preset at profile laptop, not yet timed on a GPU; expect a
KL of 6-grams of 0.001 to 0.005. Profile paper is the paper's recipe to the letter and takes hours
on a CPU. Stop it at any time with Ctrl-C and continue with --resume.
"""

from pathlib import Path

from absl import flags

from hmmrnn.cli.config_flags import FLAGS, define_spec_flags, spec_from_flags
from hmmrnn.cli.launch import command_line, to_type, warn_of_unbounded
from hmmrnn.cli.outputs import stopped_by
from hmmrnn.cli.progress import ProgressBar
from hmmrnn.training import Fit
from hmmrnn.training.run import train_run
from hmmrnn.training.run_folder import long_run_in
from hmmrnn.training.signals import InterruptedRun


def define_flags() -> None:
    """Flags of a run and of its folder."""
    define_spec_flags()
    flags.DEFINE_string(
        "outdir", None, "folder of the run (unset: runs/HMM-PROFILE-seedSEED, or DATA-...)"
    )
    flags.DEFINE_boolean("resume", False, "continue the run in outdir, or begin it")
    flags.DEFINE_boolean("overwrite", False, "replace the run in outdir")


def outdir() -> Path:
    """The folder of the run."""
    target = FLAGS.preset or Path(FLAGS.hmm or FLAGS.data).stem
    return Path(FLAGS.outdir or f"runs/{target}-{FLAGS.profile}-seed{FLAGS.seed}")


def train_from_flags() -> Fit:
    """Train with a progress bar; a stop request ends the program with the command to go on."""
    spec = spec_from_flags()
    try:
        with ProgressBar(spec.config) as bar:
            return train_run(
                outdir(),
                spec,
                resume=FLAGS.resume,
                overwrite=FLAGS.overwrite,
                observe=bar,
            )
    except InterruptedRun as stop:
        print(f"stopped after epoch {stop.epoch}; a checkpoint is saved. To continue:")
        print(f"  {to_type(command_line('--resume'))}")
        raise SystemExit(stopped_by(stop.signal_number)) from None


def main() -> None:
    """Train and say where the result is."""
    fit = train_from_flags()
    print(
        f"{outdir()}: {fit.config.train.epochs} epochs, "
        f"loss {float(fit.records.loss[-1]):.4f} (floor {float(fit.floor.mean):.4f})"
    )
    warn_of_unbounded(outdir(), long_run_in(outdir()))
