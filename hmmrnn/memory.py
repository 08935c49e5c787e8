"""How much memory is free, and whether what is asked for can fit."""

from collections.abc import Iterator
from pathlib import Path

import jax
import psutil

from hmmrnn.errors import InputError

SHARE = 0.8
"""Of the free memory that is planned with; the rest is for what no estimate knows of."""


def expect_room(needed: int, what: str, lower: str, *, on_host: bool = False) -> None:
    """Refuse `what` if it needs more bytes than are planned with; `lower` says what to lower.

    On the first device, or `on_host` without asking JAX, which may have to be told first where its
    devices are.

    Raises:
        InputError: it needs more.
    """
    free = free_on_host() if on_host else free_bytes(jax.local_devices()[0])
    if needed > SHARE * free:
        raise InputError(
            f"{what} needs at least {readable(needed)} of memory, and {readable(int(SHARE * free))}"
            f" of the {readable(free)} free are planned for it; lower {lower}"
        )


def free_bytes(device: jax.Device) -> int:
    """Memory of `device` that is free; for a CPU that of the machine, or of the job on it."""
    known = device.memory_stats() if device.platform != "cpu" else None
    if known is None:
        return free_on_host()
    return int(known["bytes_limit"] - known["bytes_in_use"])


def free_on_host() -> int:
    """Memory of the machine that is free, or of the job on it."""
    return min([int(psutil.virtual_memory().available), *_left_to_control_groups()])


def _left_to_control_groups(
    own: Path = Path("/proc/self/cgroup"), root: Path = Path("/sys/fs/cgroup")
) -> Iterator[int]:
    """What each control group (version 2) around this process, such as a job's, may still take."""
    if not own.exists():
        return
    inner = root / own.read_text().rpartition("::")[2].strip().lstrip("/")
    for group in (inner, *inner.parents):
        limit, used = group / "memory.max", group / "memory.current"
        if limit.exists() and used.exists() and (most := limit.read_text().strip()) != "max":
            yield max(0, int(most) - int(used.read_text()))


def readable(size: int) -> str:
    """A number of bytes for people."""
    if size >= 10**18:
        return f"10^{len(str(size)) - 1} bytes"
    return f"{size / 1e9:.3g} GB" if size >= 1e8 else f"{size / 1e6:.3g} MB"
