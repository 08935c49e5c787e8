"""Compiled programs of this process: old ones are forgotten before there are too many.

On a CPU each program takes some memory mappings, of which Linux allows a process 65 530; XLA aborts
there. What is forgotten and needed again is compiled again, or read from the cache on disk.
"""

import threading
from collections.abc import Hashable
from pathlib import Path

import jax

MAPPINGS = Path("/proc/self/maps")
MANY_MAPPINGS = 30_000
"""Beyond them everything is forgotten."""

FEW_MAPPINGS = 3_000
"""Beyond them the programs for networks of another cell are forgotten."""

_cells: list[Hashable] = []  # the last one


def keep_programs_of(cell: Hashable) -> None:
    """Forget programs for networks of other cells, where a training or an analysis of one begins.

    Sizes are those of the cell, so hardly any of its programs are shared with another one. Lanes of
    a sweep have cells of their own at the same time; outside of the main thread only
    `MANY_MAPPINGS` counts.
    """
    if threading.current_thread() is not threading.main_thread():
        forget_programs_if_many()
        return
    other = _cells not in ([], [cell])
    _cells[:] = [cell]
    forget_programs_if_many(FEW_MAPPINGS if other else None)


def forget_programs_if_many(many: int | None = None) -> None:
    """Drop all compiled code if the process has more than `many` mappings, or `MANY_MAPPINGS`."""
    if n_mappings() > (MANY_MAPPINGS if many is None else many):
        jax.clear_caches()


def n_mappings() -> int:
    """Memory mappings of this process; 0 where no file tells."""
    return MAPPINGS.read_bytes().count(b"\n") if MAPPINGS.exists() else 0
