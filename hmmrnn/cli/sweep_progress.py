"""What a terminal shows of a sweep: a line for each lane, totals, and the time left."""

import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import numpy as np
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from hmmrnn.sweep.folder import Failure
from hmmrnn.sweep.grid import Entry
from hmmrnn.sweep.lanes import Watch
from hmmrnn.sweep.plan import Batch, work
from hmmrnn.training import Progress

QUIET_SECONDS = 60
"""Between two lines of progress where the output is no terminal."""


@dataclass
class Lane:
    """What a lane is doing."""

    title: str = "idle"
    names: tuple[str, ...] = ()
    epoch: int | None = None
    epochs: int = 0
    loss: float = float("nan")
    floor: float = float("nan")


@dataclass
class SweepProgress:
    """Follows a sweep through the calls of its lanes; `with` it shows the table."""

    left: Sequence[Entry]  # to be trained or measured now
    n_done: int  # before
    n_lanes: int
    n_failed: int = 0  # of those before

    def __post_init__(self) -> None:
        self.lanes = [Lane() for _ in range(self.n_lanes)]
        self.n_all, self.n_finished = self.n_done + self.n_failed + len(self.left), self.n_done
        self.work = {entry.name: work(entry.spec.config) for entry in self.left}
        self.to_do = dict(self.work)  # of each network
        self.worked = 0.0
        self.began = self.said = time.monotonic()
        self.console = Console(file=sys.stderr)
        self.lock = threading.Lock()
        self.live = Live(
            get_renderable=self.table, console=self.console, refresh_per_second=2, transient=True
        )

    @property
    def watch(self) -> Watch:
        """The calls by which the lanes tell what they do."""
        return Watch(self._begins, self._advances, self._ends)

    def __enter__(self) -> Self:
        if self.console.is_terminal:
            self.live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.console.is_terminal:
            self.live.stop()

    def _begins(self, lane: int, batch: Batch) -> None:
        names = tuple(entry.name for entry in batch.entries)
        title = names[0] if len(names) == 1 else f"{names[0]} … {names[-1]}"
        with self.lock:
            self.lanes[lane] = Lane(title, names, None, batch.config.train.epochs)

    def _advances(self, lane: int, progress: Progress) -> None:
        epoch = int(np.max(np.asarray(progress.state.epoch)))
        losses = np.asarray(progress.records.loss)
        floor = float(np.mean(np.asarray(progress.floor.mean)))
        with self.lock:
            shown = self.lanes[lane]
            share = 0.0 if shown.epoch is None else (epoch - shown.epoch) / shown.epochs
            self.worked += max(share, 0.0) * sum(self.work[name] for name in shown.names)
            for name in shown.names:
                self.to_do[name] = self.work[name] * (1 - epoch / shown.epochs)
            shown.epoch, shown.floor = epoch, floor
            shown.loss = _mean_of_finite(losses[:, epoch - 1]) if epoch else float("nan")
            say = not self.console.is_terminal and time.monotonic() - self.said > QUIET_SECONDS
            if say:
                self.said = time.monotonic()
        if say:
            self._print(self.totals())

    def _ends(self, lane: int, entry: Entry, failed: Failure | None) -> None:
        with self.lock:
            again = failed is not None and not failed.given_up
            self.to_do[entry.name] = self.work[entry.name] if again else 0.0
            self.n_finished += failed is None
            self.n_failed += failed is not None and failed.given_up
        if failed is not None:
            next_ = "given up" if failed.given_up else "tried once more at the end"
            self._print(f"{entry.name}: {failed.reasons[-1]} ({next_})", "red")
        elif not self.console.is_terminal:
            self._print(f"{entry.name} finished; {self.totals()}")

    def _print(self, line: str, style: str = "") -> None:
        self.console.print(Text(line, style=style), soft_wrap=True, highlight=False)

    def seconds_left(self) -> float:
        """At the speed so far; NaN before there is one."""
        left = sum(self.to_do.values())
        if not left:
            return 0.0
        elapsed = time.monotonic() - self.began
        return elapsed * left / self.worked if self.worked > 0 else float("nan")

    def totals(self) -> str:
        """One line: how many are done, how many failed, and the time left."""
        left = self.seconds_left()
        return (
            f"{self.n_finished} of {self.n_all} networks finished, {self.n_failed} failed, "
            f"{duration(time.monotonic() - self.began)} so far, "
            + ("time left not known yet" if np.isnan(left) else f"about {duration(left)} left")
        )

    def table(self) -> Group:
        """A row for each lane and the totals."""
        table = Table(box=None, pad_edge=False, expand=True)
        table.add_column("training", overflow="ellipsis", no_wrap=True, ratio=1)
        for name in ("networks", "epoch", "loss", "floor"):
            table.add_column(name, justify="right", no_wrap=True)
        with self.lock:
            for lane in self.lanes:
                table.add_row(
                    Text(lane.title, overflow="ellipsis", no_wrap=True),
                    str(len(lane.names) or ""),
                    "" if lane.epoch is None else f"{lane.epoch}/{lane.epochs}",
                    "" if np.isnan(lane.loss) else f"{lane.loss:.4g}",
                    "" if np.isnan(lane.floor) else f"{lane.floor:.4g}",
                )
        return Group(table, Text(self.totals()))


def _mean_of_finite(values: np.ndarray) -> float:
    finite = values[np.isfinite(values)]
    return float(np.mean(finite)) if len(finite) else float("nan")


def duration(seconds: float) -> str:
    """Seconds for people: 45 s, 12 min, 3 h 05 min."""
    if seconds < 89.5:
        return f"{max(seconds, 0):.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"
