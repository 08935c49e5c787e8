"""Eight small networks by one sweep, and one after another, as whole processes with compilation.

python -m benchmarks sweep --ours-only --rounds=3
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from benchmarks.measure import Comparison, compare
from benchmarks.plan import Plan

ROOT = Path(__file__).parents[1]


def cases(plan: Plan) -> Iterator[Comparison]:
    """Training and measuring; each side begins with an empty compile cache and keeps its own."""
    n_networks, epochs = (2, 2) if plan.small else (8, 8)
    grid = {
        "base": {"profile": "smoke", "preset": "linear3", "train.epochs": epochs},
        "vary": {"seed": list(range(n_networks))},
    }
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "grid.json").write_text(json.dumps(grid))
        yield compare(
            f"sweep of {n_networks} networks of profile smoke, trained and measured",
            partial(by_sweep, root),
            partial(in_sequence, root, n_networks, epochs),
            plan.rounds,
            baseline=f"{n_networks} runs",
        )


def by_sweep(root: Path) -> None:
    """All networks by one process."""
    cache = emptied(root / "sweep")
    run(cache, "sweep", f"--grid={root / 'grid.json'}", f"--outdir={cache / 'out'}")


def in_sequence(root: Path, n_networks: int, epochs: int) -> None:
    """Two processes for each network, as `hmmrnn train` and `hmmrnn evaluate`."""
    cache = emptied(root / "sequence")
    for seed in range(n_networks):
        outdir = cache / f"seed{seed}"
        smoke = ("--preset=linear3", "--profile=smoke", f"--train.epochs={epochs}")
        run(cache, "train", *smoke, f"--seed={seed}", f"--outdir={outdir}")
        run(cache, "evaluate", f"--run={outdir}")


def emptied(folder: Path) -> Path:
    """The folder, with nothing in it."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def run(cache: Path, door: str, *flags: str) -> None:
    """One command line, to its end."""
    subprocess.run(
        [sys.executable, "-m", "hmmrnn", door, *flags],
        cwd=ROOT,
        env={**os.environ, "HMMRNN_CACHE": str(cache / "compiled")},
        capture_output=True,
        check=True,
    )
