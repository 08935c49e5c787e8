"""Signals that ask a training to stop, which it does between two chunks."""

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType

Stopping = Callable[[], int]
"""The number of the signal that asked for an end, or 0."""


class InterruptedRun(Exception):  # noqa: N818
    """A signal asked the training to stop; its state is saved as the checkpoint of `epoch`."""

    def __init__(self, epoch: int, signal_number: int = signal.SIGINT) -> None:
        super().__init__(f"stopped after epoch {epoch}")
        self.epoch, self.signal_number = epoch, signal_number


@contextlib.contextmanager
def stop_requests() -> Iterator[Stopping]:
    """While open, SIGTERM and SIGINT are only noted; the yielded function has their number, or 0.

    The second one raises KeyboardInterrupt, with its number, at once.
    Python allows this in the main thread only; elsewhere the signals keep their meaning.
    """
    received: list[int] = []

    def note(signum: int, frame: FrameType | None) -> None:
        if received:  # asked twice: do not wait for the end of the chunk
            raise KeyboardInterrupt(signum)
        received.append(signum)

    if threading.current_thread() is not threading.main_thread():
        yield lambda: 0
        return
    previous = {number: signal.signal(number, note) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield lambda: received[0] if received else 0
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
