"""Measure speed and memory against baselines, and print a table.

    python -m benchmarks                     all parts
    python -m benchmarks losses step         some of them
    python -m benchmarks --ours-only         ours alone, on whatever device jax has
    python -m benchmarks --out=speed.md      write the table as well

A ratio is the baseline's time (or memory) over ours, median over the rounds, with its range.
"""

import argparse
import importlib.util
import os
from collections.abc import Sequence
from pathlib import Path

import jax

from benchmarks import (
    checkouts,
    discovery,
    dynamics,
    ensemble,
    epoch,
    generation,
    losses,
    mappings,
    memory,
    residency,
    sampling,
    step,
    sweep,
)
from benchmarks.plan import Plan
from benchmarks.table import environment, markdown
from hmmrnn.cli.launch import set_global_switches

PARTS = {
    "sampling": sampling.cases,
    "losses": losses.cases,
    "step": step.cases,
    "epoch": epoch.cases,
    "generation": generation.cases,
    "memory": memory.cases,
    "mappings": mappings.cases,
    "ensemble": ensemble.cases,
    "residency": residency.cases,
    "dynamics": dynamics.cases,
    "discovery": discovery.cases,
    "sweep": sweep.cases,
    "checkouts": checkouts.cases,
}
TORCH = ("torch", "geomloss"), "pip install torch==2.13.0 geomloss==0.3.1"
HMMLEARN = ("hmmlearn",), "pip install hmmlearn"
THREADPOOLCTL = ("threadpoolctl",), "pip install threadpoolctl"


def main(argv: Sequence[str] | None = None) -> None:
    """Run the parts asked for.

    Raises:
        SystemExit: a baseline is not installed, or two sides disagree.
    """
    options = parse(argv)
    names = options.parts or list(PARTS)
    if not options.ours_only:
        require(*TORCH)
        if "sampling" in names:
            require(*HMMLEARN)
        if "dynamics" in names:
            require(*THREADPOOLCTL)
    set_global_switches()
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # leaves room for `memory`
    if not options.ours_only and jax.default_backend() != "cpu":
        raise SystemExit("the baselines run on the CPU: add --ours-only or set JAX_PLATFORMS=cpu")
    plan = Plan(options.rounds, options.small, options.ours_only, options.against)
    if plan.torch is not None:
        plan.torch.use_all_cores()
    where = environment(plan)
    print(*where, sep="\n", flush=True)
    comparisons = []
    for name in names:
        for comparison in PARTS[name](plan):
            print(comparison.line(), flush=True)
            comparisons.append(comparison)
    report = markdown(where, comparisons)
    print(f"\n{report}", end="")
    if options.out:
        options.out.write_text(report, encoding="utf-8")


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        "python -m benchmarks",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}")
    parser.add_argument("--rounds", type=int, default=5, help="timed rounds (5)")
    parser.add_argument("--small", action="store_true", help="tiny sizes, to test the programs")
    parser.add_argument("--ours-only", action="store_true", help="no baselines")
    parser.add_argument(
        "--against", type=Path, metavar="CHECKOUT", help="what `checkouts` compares with"
    )
    parser.add_argument("--out", type=Path, metavar="FILE", help="write the table as Markdown")
    options = parser.parse_args(argv)
    if unknown := sorted(set(options.parts) - set(PARTS)):
        parser.error(f"unknown part {', '.join(unknown)}; there are {', '.join(PARTS)}")
    if options.rounds < 1:
        parser.error(f"--rounds={options.rounds}: at least 1")
    return options


def require(packages: Sequence[str], remedy: str) -> None:
    """Raise `SystemExit` with the remedy unless all packages are there."""
    if any(importlib.util.find_spec(package) is None for package in packages):
        raise SystemExit(f"the baseline is not installed: {remedy}; or add --ours-only")


if __name__ == "__main__":
    main()
