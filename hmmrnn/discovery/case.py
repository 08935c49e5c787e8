"""A network at work: the trials, the windows and the loss that circuit discovery is about."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from hmmrnn.arrays import Key, host_generator
from hmmrnn.errors import InputError
from hmmrnn.nets import Network, Trajectory
from hmmrnn.results import result
from hmmrnn.tasks import Task

Windows = Mapping[str, tuple[int, int]]


@runtime_checkable
class Loss(Protocol):
    """How wrong a readout is at each step; hashable, since it is compiled in."""

    @property
    def curvature(self) -> float:
        """Factor of |change of the readout|^2 in the loss's second order."""

    def __call__(
        self, readout: Float[Array, "*T K"], target: Float[Array, "*T K"]
    ) -> Float[Array, "*T"]:
        """The loss of each step."""


@dataclass(frozen=True)
class SquaredError:
    """|readout - target|^2."""

    curvature: float = 1.0

    def __call__(
        self, readout: Float[Array, "*T K"], target: Float[Array, "*T K"]
    ) -> Float[Array, "*T"]:
        """The loss of each step."""
        return jnp.sum((readout - target) ** 2, axis=-1)


@dataclass(frozen=True)
class Lag:
    """By how much one output stays behind another: z_old - z_new. It needs no target."""

    old: int
    new: int
    curvature: float = 0.0

    def __call__(
        self, readout: Float[Array, "*T K"], target: Float[Array, "*T K"]
    ) -> Float[Array, "*T"]:
        """The loss of each step."""
        return readout[..., self.old] - readout[..., self.new]


@result
class Case(NamedTuple):
    """A network and B trials of T steps; `network.run(h0, inputs)` is the clean run.

    The loss of an intervention in a window is the mean over the scored steps from the window's
    first on. Steps t of windows and of `scored` are rows of `inputs` and of the states that
    that run.
    """

    network: Network
    inputs: Float[Array, "T B D"]  # with all noise, which every run shares
    h0: Float[Array, "B N"]
    target: Float[Array, "T B K"]
    windows: Windows  # name: first step and the step after the last
    loss: Loss
    scored: Bool[np.ndarray, " T"]
    decoded: Float[Array, "T B J"]  # what it is all about, which decoders are fitted to
    means: Float[Array, "W N"]  # E[h_i], what a unit does in each window if it takes no part
    other_h0: Float[Array, "B N"]  # start and inputs of the corrupted run of each trial
    other_inputs: Float[Array, "T B D"]

    @property
    def bounds(self) -> Int[np.ndarray, "W 2"]:
        """First step of each window and the step after its last."""
        return np.array(list(self.windows.values()), int).reshape(-1, 2)

    def trials(self, which: Int[np.ndarray, " b"] | slice) -> "Case":
        """Some of the trials."""
        return self._replace(
            inputs=self.inputs[:, which],
            h0=self.h0[which],
            target=self.target[:, which],
            decoded=self.decoded[:, which],
            other_h0=self.other_h0[which],
            other_inputs=self.other_inputs[:, which],
        )

    def corrupted(self) -> "Case":
        """The corrupted runs, to be judged by the same targets."""
        return self._replace(h0=self.other_h0, inputs=self.other_inputs)


def case_of_trials(
    network: Network,
    inputs: Float[Array, "T B D"],
    h0: Float[Array, "B N"],
    windows: Windows,
    decoded: Float[Array, "T B J"],
    key: Key,
) -> Case:
    """Any network at work: how far an intervention moves its readout from where it is without.

    The loss is the squared distance at all steps. Means are over trials and the steps of a window;
    the corrupted run of a trial is another trial. `decoded` is what the task is about.

    Raises:
        InputError: a single trial, or windows that do not fit.
    """
    network, other = network.bare, other_trials(len(h0), key)
    clean = _run(network, h0, inputs)
    case = Case(
        network=network,
        inputs=inputs,
        h0=h0,
        target=clean.logits,
        windows=windows,
        loss=SquaredError(),
        scored=np.ones(len(inputs), bool),
        decoded=decoded,
        means=jnp.zeros((len(windows), network.hidden_size)),
        other_h0=h0[other],
        other_inputs=inputs[:, other],
    )
    bounds = checked(case).bounds
    means = jnp.stack([clean.states[first:end].mean((0, 1)) for first, end in bounds])
    return case._replace(means=means)


def case_of(task: Task, key: Key) -> Case:
    """A planted task as `case_of_trials`.

    The reference is the network's own readout, not what it should be: a contaminated network is
    wrong on its own, and what makes it less so need not be what it computes with.

    Raises:
        InputError: a single trial.
    """
    return case_of_trials(task.network, task.inputs, task.h0, task.windows, task.target, key)


def checked(case: Case) -> Case:
    """`case`, if its parts fit.

    Raises:
        InputError: no window, one that is empty or outside of the trials, one after whose first
            step nothing is scored, or a name that says what is wrong.
    """
    n_steps = len(case.inputs)
    if not case.windows:
        raise InputError("no window: give at least one, by name")
    for name, (first, end) in case.windows.items():
        if not 0 <= first < end <= n_steps:
            raise InputError(
                f"window {name} is steps {first} .. {end - 1}: it must hold at least one step, all "
                f"of them within the trials' {n_steps}"
            )
        if not case.scored[first:].any():
            raise InputError(f"window {name} begins at step {first}: nothing is scored from it on")
    return case


@jax.jit
def _run(network: Network, h0: Array, inputs: Array) -> Trajectory:
    return network.run(h0, inputs)


def clean_run(case: Case) -> Trajectory:
    """The network undisturbed."""
    return _run(case.network, case.h0, case.inputs)


def other_trials(n_trials: int, key: Key) -> Int[np.ndarray, " B"]:
    """For each trial another one, each of them once.

    Raises:
        InputError: a single trial.
    """
    if n_trials < 2:
        raise InputError("n_trials=1: to take states of another trial needs at least 2")
    order = host_generator(key).permutation(n_trials)
    partner = np.empty_like(order)
    partner[order] = np.roll(order, 1)
    return partner


def loss_from(
    case_loss: Float[Array, "T *B"], scored: Bool[Array, " T"], first: Int[Array, ""]
) -> Float[Array, "*B"]:
    """Mean loss over the scored steps from `first` on."""
    here = scored & (jnp.arange(len(scored)) >= first)
    return jnp.tensordot(here.astype(case_loss.dtype), case_loss, 1) / jnp.sum(here)
