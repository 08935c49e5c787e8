"""Train the networks of the zoo and put them into the package: python scripts/build_zoo.py [RUNS]

Stop it at any time; the same command goes on. Networks are trained and measured in RUNS (runs/zoo
unless given) by the command that the index names, one on each CPU core or as many at once as fit a
GPU, and packed into hmmrnn/zoo when all are there: 60 networks, three and a half hours of one CPU
core. Train from a clean checkout: the commit is recorded.
"""

import subprocess
import sys
from pathlib import Path

from hmmrnn.errors import InputError, StorageError
from hmmrnn.sweep.grid import read_grid
from hmmrnn.zoo.entries import HOME
from hmmrnn.zoo.pack import pack


def main(runs: Path) -> None:
    """Train what is missing, then pack all."""
    sweep = ["-m", "experiments.sweep", "--grid=zoo", f"--outdir={runs}", "--resume"]
    if status := subprocess.run([sys.executable, *sweep], check=False).returncode:
        sys.exit(status)
    wanted = {entry.name: entry.spec for entry in read_grid("zoo")}
    try:
        entries = pack(runs, wanted, HOME, command=" ".join(["python", *sweep]))
    except (InputError, StorageError) as error:
        sys.exit(f"error: {error}")
    size = sum(path.stat().st_size for path in HOME.rglob("*") if path.is_file())
    print(f"{len(entries)} networks, {size / 1e6:.1f} MB in {HOME}")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "runs/zoo"))
