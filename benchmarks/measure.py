"""The harness: two callables in turn, A B A B, and what their times say."""

import math
import statistics
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from hmmrnn.arrays import HIGHEST

PAUSE = 0.05  # seconds before each timed call, in which the other side's idle threads fall asleep

Work = Callable[[], object]
"""Does the work once; the jax arrays that it returns are waited for."""


class Comparison(NamedTuple):
    """One case: what each round took, ours and the baseline's."""

    case: str
    ours: tuple[float, ...]
    theirs: tuple[float, ...] = ()  # empty where ours was measured alone
    floor: float = math.nan  # seconds of the matrix products alone, at the machine's measured rate
    note: str = ""
    baseline: str = "torch"
    unit: str = "s"

    @property
    def ratios(self) -> tuple[float, ...]:
        """Baseline over ours, round by round."""
        return tuple(b / a for a, b in zip(self.ours, self.theirs, strict=bool(self.theirs)))

    def cells(self) -> tuple[str, ...]:
        """Case, ours, baseline, ratio with its range, floor, ours over the floor, note."""
        ours = statistics.median(self.ours)
        theirs = ratio = floor = over = ""
        if self.theirs:
            theirs = f"{self.baseline} {statistics.median(self.theirs):.3g} {self.unit}"
            low, mid, high = min(self.ratios), statistics.median(self.ratios), max(self.ratios)
            ratio = f"{mid:.3g} ({low:.3g} to {high:.3g})"
        if math.isfinite(self.floor):
            floor, over = f"{self.floor:.3g} {self.unit}", f"{ours / self.floor:.3g}"
        return self.case, f"{ours:.3g} {self.unit}", theirs, ratio, floor, over, self.note

    def line(self) -> str:
        """All of it in one line."""
        names = ("", "hmmrnn ", "", "ratio ", "floor ", "over floor ", "")
        words = (name + cell for name, cell in zip(names, self.cells(), strict=True) if cell)
        return ", ".join(words)


def seconds(work: Work, clock: Callable[[], float] = time.perf_counter) -> float:
    """Wall time of one call, until its results are there."""
    start = clock()
    jax.block_until_ready(work())
    return clock() - start


def compare(
    case: str,
    ours: Work,
    theirs: Work | None,
    rounds: int,
    *,
    share: float = 1.0,
    units: int = 1,
    clock: Callable[[], float] = time.perf_counter,
    **labels: Any,  # noqa: ANN401
) -> Comparison:
    """Time `ours` and `theirs` alternately, after one untimed call of each.

    `share` is the part of the full work that `theirs` does in a call; its times are divided by it.
    A call of either does `units` pieces of work; the times are those of one.
    `labels` are further fields of the comparison.
    """
    sides = [ours] if theirs is None else [ours, theirs]
    for work in sides:
        jax.block_until_ready(work())

    def timed(work: Work) -> float:
        time.sleep(PAUSE)
        return seconds(work, clock)

    times = [[timed(work) for work in sides] for _ in range(rounds)]
    mine = tuple(row[0] / units for row in times)
    other = tuple(row[1] / (units * share) for row in times if len(row) > 1)
    return Comparison(case, mine, other, **labels)


def gflops(product: Work, size: int, repeats: int = 9) -> float:
    """Best rate of `product`, one (size, size) by (size, size) matrix product, in GFLOP/s."""
    jax.block_until_ready(product())
    return 2e-9 * size**3 / min(seconds(product) for _ in range(repeats))


def jax_product(size: int) -> Work:
    """One product of two float32 matrices."""
    a, b = jax.random.normal(jax.random.key(0), (2, size, size))
    product = jax.jit(lambda a, b: jnp.matmul(a, b, precision=HIGHEST))
    return lambda: product(a, b)
