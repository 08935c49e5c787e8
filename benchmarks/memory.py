"""Peak memory of two training steps, each side in a process of its own.

    python -m benchmarks memory

A second row subtracts what a process takes that only imports the libraries.
"""

import math
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from benchmarks.measure import Comparison
from benchmarks.plan import Plan

ROOT = Path(__file__).parents[1]


def cases(plan: Plan) -> Iterator[Comparison]:
    """Whole processes, then less imports; on an accelerator also the device's own memory."""
    n, n_steps = (16, 6) if plan.small else (4096, 100)
    sides = ("ours",) if plan.torch is None else ("ours", "torch")
    bare = [peaks(side, 0, n_steps)[0] for side in sides]
    whole, device = zip(*(peaks(side, n, n_steps) for side in sides), strict=True)
    case = f"memory B={n} T={n_steps}"
    alone = ", ".join(f"{side} {peak:.2f}" for side, peak in zip(sides, bare, strict=True))
    yield _row(f"{case}, whole process", whole, f"imports alone: {alone} GB")
    yield _row(f"{case}, less imports", [w - b for w, b in zip(whole, bare, strict=True)])
    if math.isfinite(device[0]):
        yield _row(f"{case}, on the device", device[:1])


def peaks(side: str, n: int, n_steps: int) -> tuple[float, float]:
    """Peak resident size and device memory in GB of a fresh process; n = 0 only imports."""
    command = [sys.executable, "-m", "benchmarks.peak", side, str(n), str(n_steps)]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    host, device = map(float, done.stdout.split()[-2:])
    return host, device


def _row(case: str, values: tuple[float, ...] | list[float], note: str = "") -> Comparison:
    return Comparison(case, (values[0],), tuple(values[1:]), note=note, unit="GB")
