"""Recordings: a network at work, and what happens in it.

| file              |                                                                     |
|-------------------|---------------------------------------------------------------------|
| `recorder`        | noise-driven runs; recordings with noise, pre-activations and zones  |
| `symbols`         | the preferred symbol, its changes and dwell times                   |
| `residency_times` | time until another symbol: clusters, kick-zones, transitions         |
| `events`          | changes from one symbol to another, and the steps around them        |
| `clusters`        | the states that belong to a symbol                                   |
"""

from hmmrnn.recordings.events import Events, find_events
from hmmrnn.recordings.recorder import Recording, driven_runs, expect_finite, record
from hmmrnn.recordings.residency_times import ZONES, residency, zone_shares, zones
from hmmrnn.recordings.symbols import preferred_symbols

__all__ = [
    "ZONES",
    "Events",
    "Recording",
    "driven_runs",
    "expect_finite",
    "find_events",
    "preferred_symbols",
    "record",
    "residency",
    "zone_shares",
    "zones",
]
