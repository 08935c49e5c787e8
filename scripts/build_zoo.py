"""Train the networks of the zoo and put them into the package.

    python scripts/build_zoo.py --runs=runs/zoo

Stop it at any time; the same command goes on. Networks are trained and measured in the run folders
by the command that the index names, one on each CPU core or as many at once as fit a GPU, and
packed into hmmrnn/zoo when all 61 are there: some four hours of one CPU core, and two and a quarter
more of two cores for the network by the paper's recipe. Train from a clean checkout: the
commit is recorded.
"""

import argparse
import contextlib
import signal
import subprocess
import sys
from pathlib import Path

from hmmrnn.cli.outputs import stopped_by
from hmmrnn.errors import InputError, StorageError
from hmmrnn.report.commands import of_training
from hmmrnn.sweep.folder import is_done
from hmmrnn.sweep.grid import read_grid
from hmmrnn.zoo.entries import HOME
from hmmrnn.zoo.pack import add


def train(runs: Path) -> None:
    """Train and measure what is missing, by a program that saves its work when it is stopped."""
    sweep = subprocess.Popen([sys.executable, *arguments(runs)])
    while sweep.poll() is None:
        with contextlib.suppress(KeyboardInterrupt):  # the sweep hears it too, and ends in order
            sweep.wait()
    stopped = [stopped_by(number) for number in (signal.SIGINT, signal.SIGTERM)]
    if sweep.returncode and sweep.returncode not in stopped:
        sys.exit(sweep.returncode)


def arguments(runs: Path) -> list[str]:
    """The sweep, as arguments of Python."""
    return ["-m", "hmmrnn", "sweep", "--grid=zoo", f"--outdir={runs}", "--resume"]


def main(runs: Path) -> None:
    """Train what is missing, then put all into the zoo."""
    train(runs)
    wanted = {entry.name: entry.spec for entry in read_grid("zoo")}
    left = [name for name in wanted if not is_done(runs / name)]
    if left:
        sys.exit(f"stopped with {len(left)} of {len(wanted)} to train; the same command goes on")
    try:
        for name, spec in wanted.items():
            add(runs / name, of_training(Path("runs") / name, spec))
    except (InputError, StorageError) as error:
        sys.exit(f"error: {error}")
    size = sum(path.stat().st_size for path in HOME.rglob("*") if path.is_file())
    print(f"{len(wanted)} networks, {size / 1e6:.1f} MB in {HOME}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--runs", type=Path, default=Path("runs/zoo"), help="run folders")
    main(parser.parse_args().runs)
