"""Peak memory of two training steps, each side in a process of its own.

    python -m benchmarks memory

Ours is measured twice, with all sequences at once and in parts. Two rows subtract what a process
takes that only imports the libraries.
"""

import math
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from benchmarks.measure import Comparison
from benchmarks.peak import N_PARTS
from benchmarks.plan import Plan

ROOT = Path(__file__).parents[1]


def cases(plan: Plan) -> Iterator[Comparison]:
    """Whole processes, all sequences at once and in parts, then less imports.

    On an accelerator also the device's own memory.
    """
    n, n_steps = (16, 6) if plan.small else (4096, 100)
    sides = ["ours", "in_parts"] if plan.torch is None else ["ours", "in_parts", "torch"]
    bare = {side: peaks(side, 0, n_steps)[0] for side in sides}
    measured = {side: peaks(side, n, n_steps) for side in sides}
    whole = {side: host for side, (host, _) in measured.items()}
    less = {side: whole[side] - bare[side] for side in sides}
    case, at_once = f"memory B={n} T={n_steps}", f"train.sequences_at_once={n // N_PARTS}"
    alone = ", ".join(f"{side} {bare[side]:.2f}" for side in sides if side != "in_parts")
    yield _row(f"{case}, whole process", whole, note=f"imports alone: {alone} GB")
    yield _row(f"{case}, whole process, {at_once}", whole, "in_parts")
    yield _row(f"{case}, less imports", less)
    yield _row(f"{case}, less imports, {at_once}", less, "in_parts")
    device = {side: peak for side, (_, peak) in measured.items() if math.isfinite(peak)}
    for side in device:
        yield _row(f"{case}, on the device, {side}", {side: device[side]}, side)


def peaks(side: str, n: int, n_steps: int) -> tuple[float, float]:
    """Peak resident size and device memory in GB of a fresh process; n = 0 only imports."""
    command = [sys.executable, "-m", "benchmarks.peak", side, str(n), str(n_steps)]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    host, device = map(float, done.stdout.split()[-2:])
    return host, device


def _row(case: str, values: dict[str, float], side: str = "ours", note: str = "") -> Comparison:
    theirs = (values["torch"],) if "torch" in values else ()
    return Comparison(case, (values[side],), theirs, note=note, unit="GB")
