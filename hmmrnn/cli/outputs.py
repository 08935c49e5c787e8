"""Where a command prints and how it ends, known before the seconds of the other imports."""

import codecs
import contextlib
import errno
import io
import os
import signal
import sys
from collections.abc import Iterator
from typing import TextIO

PLAIN = str.maketrans({"−": "-", "–": "-", "±": "+-", "×": "x", "…": "..."})  # noqa: RUF001
"""What is printed where a terminal knows ASCII only; other signs become question marks."""


def print_anywhere() -> None:
    """Let no output fail because a terminal lacks a sign, or because there is none."""
    codecs.register_error("plain", _plain)
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed before the start
            setattr(sys, name, open(os.devnull, "w"))  # noqa: PTH123, SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="plain")


def _plain(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end].translate(PLAIN)
    return "".join(sign if sign.isascii() else "?" for sign in text), error.end


def stopped_by(signal_number: int = signal.SIGINT) -> int:
    """The exit code of a program that a signal stopped, as shells have it."""
    return 128 + signal_number


def _send_nowhere(*streams: TextIO) -> None:
    """What is still to be written into them would fail again at the end of the program."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in streams:
        os.dup2(nowhere, stream.fileno())


@contextlib.contextmanager
def quiet_without_readers() -> Iterator[None]:
    """End without a word once whoever read the output is gone, as `head` is after ten lines, and
    with one line where what is printed cannot be written.

    Raises:
        SystemExit: with the code that there was, or 141; 1 if the output is full.
    """
    try:
        try:
            yield
        finally:
            sys.stdout.flush()
    except OSError as error:
        if error.errno == errno.ENOSPC and error.filename is None:
            _send_nowhere(sys.stdout)
            print(f"error: standard output: {error.strerror}", file=sys.stderr)
            raise SystemExit(1) from None
        if not isinstance(error, BrokenPipeError):
            raise
        _send_nowhere(sys.stdout, sys.stderr)
        ended = error.__context__  # what was under way when the flush failed
        code = ended.code if isinstance(ended, SystemExit) else None
        raise SystemExit(code or stopped_by(signal.SIGPIPE)) from None
