"""The process that `benchmarks.memory` measures: trains two steps, prints its peak memory in GB.

    python -m benchmarks.peak {ours,in_parts,torch} B T

B = 0 only imports. Each side imports nothing of the other. Prints the peak resident size and, for
ours on an accelerator, the peak of the device's memory (nan elsewhere).
"""

import math
import resource
import sys
from functools import partial
from pathlib import Path

N_STEPS_TRAINED = 2
N_PARTS = 4  # in which `in_parts` simulates its sequences


def resident() -> float:
    """Peak resident size of this process in GB.

    On Linux `ru_maxrss` starts from the peak of the process that started this one; VmHWM does not.
    """
    status = Path("/proc/self/status")
    if status.exists():
        marks = dict(line.split(":", 1) for line in status.read_text().splitlines())
        return float(marks["VmHWM"].split()[0]) * 1024 / 1e9
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e9


def ours(n: int, n_steps: int, parts: int = 1) -> float:
    """Train two steps of ours; the peak of the device's memory in GB."""
    import jax

    from benchmarks.plan import Plan
    from benchmarks.step import our_steps
    from hmmrnn.cli.launch import set_global_switches

    set_global_switches()
    jax.config.update("jax_enable_compilation_cache", False)  # compiling is part of the peak
    if n == 0:
        return math.nan
    config = Plan().config(n, n_steps)
    step = our_steps(config.replace(train={"sequences_at_once": n // parts}), 1)
    for _ in range(N_STEPS_TRAINED):
        jax.block_until_ready(step())
    stats = jax.devices()[0].memory_stats() or {}
    return stats.get("peak_bytes_in_use", math.nan) / 1e9


def torch(n: int, n_steps: int) -> float:
    """Train two steps of the baseline."""
    from benchmarks import torch_baseline

    torch_baseline.use_all_cores()
    if n:
        trainer = torch_baseline.Trainer(torch_baseline.Emulator(n_symbols=3))
        target = torch_baseline.random_symbols(n, n_steps, n_symbols=3)
        for _ in range(N_STEPS_TRAINED):
            trainer.step(target)
    return math.nan


def main(side: str, n: str, n_steps: str) -> None:
    """Run one side and print both peaks."""
    sides = {"ours": ours, "in_parts": partial(ours, parts=N_PARTS), "torch": torch}
    device = sides[side](int(n), int(n_steps))
    print(resident(), device)


if __name__ == "__main__":
    main(*sys.argv[1:])
