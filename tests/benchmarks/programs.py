"""The benchmarks run as a user runs them."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def rows_of_all_parts(out, *flags):
    """Lines of the table that `python -m benchmarks --small` writes to `out`, without its head."""
    command = [sys.executable, "-m", "benchmarks", "--small", f"--out={out}", *flags]
    subprocess.run(command, cwd=ROOT, check=True)
    return [line for line in out.read_text().splitlines() if line.startswith("| ")][2:]
