"""One epoch of the paper's recipe: this checkout against another one, alternating.

    git clone . ../before && git -C ../before checkout COMMIT
    python -m benchmarks checkouts --ours-only --against=../before

Ten epochs of each, which is once around the epochs between two validations, one after the other in
two processes of the same environment. The note has the largest difference of any parameter after
three epochs.
"""

import contextlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmarks.measure import Comparison
from benchmarks.plan import Plan

ROOT = Path(__file__).parents[1]
N_EPOCHS = 10


def cases(plan: Plan) -> Iterator[Comparison]:
    """`linear2` and `linear3`, where another checkout is named."""
    if plan.against is None:
        return
    if not (plan.against / "hmmrnn" / "__init__.py").is_file():
        raise SystemExit(f"--against={plan.against}: is no checkout of hmmrnn")
    for name in ("linear2", "linear3"):
        with tempfile.TemporaryDirectory() as folder:
            yield compared(name, (ROOT, plan.against), Path(folder))


def compared(name: str, roots: tuple[Path, Path], folder: Path) -> Comparison:
    """Seconds of each epoch in both checkouts, as ten times their mean over a whole cycle."""
    files = [folder / f"{side}.npz" for side in ("ours", "theirs")]
    with contextlib.ExitStack() as stack:
        sides = [
            stack.enter_context(trainer(root, name, file))
            for root, file in zip(roots, files, strict=True)
        ]
        times = np.array([[epoch(side) for side in sides] for _ in range(N_EPOCHS)])
    mean = times.mean(axis=0)
    apart = _largest_difference(*files)
    note = (
        f"means {mean[0]:.3g} and {mean[1]:.3g} s, ratio of means {mean[1] / mean[0]:.3g}; "
        f"parameters after 3 epochs {apart:.1e} apart"
    )
    return Comparison(
        f"epoch of {name}, another checkout",
        tuple(times[:, 0]),
        tuple(times[:, 1]),
        note=note,
        baseline="theirs",
    )


@contextlib.contextmanager
def trainer(root: Path, name: str, file: Path) -> Iterator[subprocess.Popen]:
    """A process that trains by the sources in `root`, ready for its second epoch."""
    command = [sys.executable, str(ROOT / "benchmarks" / "elsewhere.py"), name, str(file)]
    with subprocess.Popen(
        command,
        env={**os.environ, "PYTHONPATH": str(root.resolve())},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            _line(process)
            yield process
        finally:
            process.kill()


def epoch(process: subprocess.Popen) -> float:
    """Let it train one more epoch; the seconds it took."""
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()
    return float(_line(process))


def _line(process: subprocess.Popen) -> str:
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        raise SystemExit(f"the training by {process.args} ended; see its message above")
    return line


def _largest_difference(ours: Path, theirs: Path) -> float:
    with np.load(ours) as a, np.load(theirs) as b:
        return max(float(np.abs(a[name] - b[name]).max()) for name in a.files)
