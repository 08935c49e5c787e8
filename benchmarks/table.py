"""The report: where it was measured, and one Markdown table."""

import importlib.metadata
import os
import platform
from collections.abc import Sequence
from pathlib import Path

import jax

from benchmarks import cores
from benchmarks.measure import Comparison
from benchmarks.plan import Plan

COLUMNS = ("case", "hmmrnn", "baseline", "ratio (range)", "floor", "over floor", "note")
PACKAGES = ("jax", "jaxlib", "ott-jax", "torch", "geomloss", "hmmlearn")
SETTINGS = ("XLA_FLAGS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")


def environment(plan: Plan) -> list[str]:
    """Device, versions, threads, load and the measured rate of matrix products, a line each.

    The load should be near 0 at the start: other work slows torch more than it slows XLA.
    """
    threads = [f"XLA's own pool on {cores()} cores"]
    if plan.torch is not None:
        threads.insert(0, f"{plan.torch.torch.get_num_threads()} in torch")
    threads += [f"{name}={os.environ[name]}" for name in SETTINGS if name in os.environ]
    rates = ", ".join(f"{name} {rate:.0f} GFLOP/s" for name, rate in plan.rates.items())
    return [
        f"device: {device()}, {cores()} cores",
        f"versions: {versions(plan)}",
        f"threads: {', '.join(threads)}",
        f"load of the last minute: {os.getloadavg()[0]:.1f}",
        f"float32 matrix products: {rates}",
        f"rounds: {plan.rounds}, alternating, after one of each; medians",
    ]


def device() -> str:
    """Kind and name of the device that jax uses."""
    first = jax.devices()[0]
    return f"{first.platform} {first.device_kind if first.platform != 'cpu' else cpu_name()}"


def cpu_name() -> str:
    """Name of the processor as the system tells it."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def versions(plan: Plan) -> str:
    """Versions of Python and of the libraries compared."""
    names = PACKAGES[:3] if plan.ours_only else PACKAGES
    found = [f"Python {platform.python_version()}"]
    for name in names:
        try:
            found.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            continue
    return ", ".join(found)


def markdown(where: Sequence[str], comparisons: Sequence[Comparison]) -> str:
    """The table under a list of where it was measured; empty columns are left out."""
    rows = [comparison.cells() for comparison in comparisons]
    used = [i for i in range(len(COLUMNS)) if any(row[i] for row in rows)]
    table = [COLUMNS, ("---",) * len(COLUMNS), *rows]
    lines = [f"| {' | '.join(row[i] for i in used)} |" for row in table]
    return "\n".join([*(f"- {line}" for line in where), "", *lines, ""])
