"""Errors that a user can act on; the command lines print them as one line and exit with code 1."""


class InputError(ValueError):
    """Something the user gave is wrong; the message names the field, the value and the remedy."""


class FolderInUseError(InputError):
    """Another process is at work in a run folder."""


class DivergingNetworkError(InputError):
    """The states of a network grow without bound under its noise, or its parameters are NaN."""


class TrainingDivergedError(RuntimeError):
    """Too many steps in a row had a non-finite loss or gradient; the message says what to try."""


class StorageError(OSError):
    """A file could not be written or read back (full disk, damaged checkpoint, foreign format)."""


class NoWholeCheckpointError(StorageError):
    """All checkpoints of a run are damaged; they were moved aside."""
