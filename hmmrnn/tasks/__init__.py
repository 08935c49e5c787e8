"""Tasks: networks and trials with a known mechanism, for judging what `circuits` finds."""

from hmmrnn.tasks.inference import hmm_inference, trained_inference
from hmmrnn.tasks.kick_circuit import barrier_network, kick_network
from hmmrnn.tasks.ring import ring_attractor
from hmmrnn.tasks.task import Task

__all__ = [
    "Task",
    "barrier_network",
    "hmm_inference",
    "kick_network",
    "ring_attractor",
    "trained_inference",
]
