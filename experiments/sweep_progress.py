"""What a terminal shows of a sweep: a line for each lane, totals, and the time left."""

import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
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
    members: int = 0
    epoch: int = 0
    epochs: int = 0
    loss: float = float("nan")
    floor: float = float("nan")
    total: float = 0.0  # work of the batch
    before: float | None = None  # work that its checkpoints spared


@dataclass
class SweepProgress:
    """Follows a sweep through the calls of its lanes; `with` it shows the table."""

    left: Sequence[Entry]  # to be trained now
    n_done: int  # before
    n_lanes: int
    lanes: list[Lane] = field(init=False)

    def __post_init__(self) -> None:
        self.lanes = [Lane() for _ in range(self.n_lanes)]
        self.n_left = len(self.left)
        self.n_finished = self.n_failed = 0
        self.total = sum(work(entry.spec.config) for entry in self.left)
        self.finished_work = self.worked = 0.0
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
        names = [entry.name for entry in batch.entries]
        title = names[0] if len(names) == 1 else f"{names[0]} … {names[-1]}"
        total = work(batch.config) * len(names)
        with self.lock:
            self.lanes[lane] = Lane(title, len(names), 0, batch.config.train.epochs, total=total)

    def _advances(self, lane: int, progress: Progress) -> None:
        epoch, losses = int(progress.state.epoch[0]), np.asarray(progress.records.loss)
        with self.lock:
            shown = self.lanes[lane]
            shown.epoch = epoch
            shown.floor = float(np.mean(np.asarray(progress.floor.mean)))
            if epoch:
                shown.loss = float(np.nanmean(losses[:, epoch - 1]))
            done = shown.total * epoch / shown.epochs
            shown.before = done if shown.before is None else shown.before
            say = not self.console.is_terminal and time.monotonic() - self.said > QUIET_SECONDS
            if say:
                self.said = time.monotonic()
        if say:
            self.console.print(self.totals(), highlight=False)

    def _ends(self, lane: int, entry: Entry, failed: Failure | None) -> None:
        with self.lock:
            shown = self.lanes[lane]
            each = work(entry.spec.config)
            self.worked += each - (shown.before or 0.0) / max(shown.members, 1)
            if failed is None or failed.given_up:
                self.finished_work += each
            self.n_finished += failed is None
            self.n_failed += failed is not None and failed.given_up
            shown.total = shown.before = 0.0
        if failed is not None:
            again = "given up" if failed.given_up else "tried once more at the end"
            self.console.print(
                Text(f"{entry.name}: {failed.reasons[-1]} ({again})", style="red"), soft_wrap=True
            )
        elif not self.console.is_terminal:
            self.console.print(f"{entry.name} finished; {self.totals()}", highlight=False)

    def seconds_left(self) -> float:
        """At the speed so far; NaN before there is one."""
        now = [(lane.total * lane.epoch / max(lane.epochs, 1), lane.before) for lane in self.lanes]
        running = sum(done for done, before in now if before is not None)
        worked = self.worked + sum(done - before for done, before in now if before is not None)
        elapsed = time.monotonic() - self.began
        left = self.total - self.finished_work - running
        return elapsed * left / worked if worked > 0 else float("nan")

    def totals(self) -> str:
        """One line: how many are done, how many failed, and the time left."""
        left = self.seconds_left()
        return (
            f"{self.n_done + self.n_finished} of {self.n_done + self.n_left} networks finished, "
            f"{self.n_failed} failed, {duration(time.monotonic() - self.began)} so far, "
            + ("time left not known yet" if np.isnan(left) else f"about {duration(left)} left")
        )

    def table(self) -> Group:
        """A row for each lane and the totals."""
        table = Table(box=None, pad_edge=False)
        table.add_column("training", overflow="ellipsis", no_wrap=True, max_width=60)
        for name in ("networks", "epoch", "loss", "floor"):
            table.add_column(name, justify="right", no_wrap=True)
        with self.lock:
            for lane in self.lanes:
                table.add_row(
                    lane.title,
                    str(lane.members or ""),
                    f"{lane.epoch}/{lane.epochs}" if lane.epochs else "",
                    "" if np.isnan(lane.loss) else f"{lane.loss:.4g}",
                    "" if np.isnan(lane.floor) else f"{lane.floor:.4g}",
                )
        return Group(table, Text(self.totals()))


def duration(seconds: float) -> str:
    """Seconds for people: 45 s, 12 min, 3 h 05 min."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"
