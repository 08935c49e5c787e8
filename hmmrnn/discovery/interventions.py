"""Windowed interventions: h_{t,i} <- h~_{t,i} for units i of a group and steps t of a window.

All else runs free, and clean and intervened runs share all noise. What stands in for the state is
data, so that every kind of intervention is the same run of the one simulator.
"""

from functools import partial
from typing import Literal, get_args

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from hmmrnn.discovery.case import Case, Loss, clean_run, loss_from
from hmmrnn.errors import InputError
from hmmrnn.interventions import Arms, Trials, run_under, under
from hmmrnn.nets import Network, Trajectory

Kind = Literal["zero", "mean", "resample"]
Stand_in = Float[Array, "w t b N"]
"""States that stand in for those of each window; t is T or 1, b is B or 1, W may be 1 for all."""

AT_ONCE = 8
"""Interventions that run side by side."""


def stand_ins(case: Case, kind: Kind) -> Stand_in:
    """What replaces the states in each window.

    zero: 0. mean: E[h_i], the means of the case. resample: the state of the corrupted run at the
    same step, which for planted tasks is another trial. To patch the clean run into the corrupted
    one, use its states, `clean_run(case).states[None]`, with `case.corrupted()`.

    Raises:
        InputError: another kind.
    """
    if kind == "zero":
        return jnp.zeros((1, 1, 1, case.network.hidden_size))
    if kind == "mean":
        return case.means[:, None, None]
    if kind == "resample":
        return clean_run(case.corrupted()).states[None]
    raise InputError(f"kind={kind}: allowed are {', '.join(get_args(Kind))}")


def units(case: Case) -> Bool[np.ndarray, "N N"]:
    """Each unit as a group of its own."""
    return np.eye(case.network.hidden_size, dtype=bool)


def losses(
    case: Case, groups: Bool[np.ndarray, "G N"] | Bool[np.ndarray, "W G N"], instead: Stand_in
) -> Float[np.ndarray, "W G B"]:
    """Loss of each trial when each group is replaced in each window.

    Groups are the same in all windows, or given for each.
    """
    if groups.ndim == 2:
        groups = np.broadcast_to(groups, (len(case.windows), *groups.shape))
    n_windows, n_groups, _ = groups.shape
    window = np.repeat(np.arange(n_windows), n_groups)
    arms = Arms(
        held=jnp.asarray(groups.reshape(len(window), case.network.hidden_size)),
        stand_in=jnp.asarray(window % len(instead)),
        steps=jnp.asarray(case.bounds[window]),
    )
    trials = Trials(case.h0, case.inputs, instead=instead)
    found = _losses(case.network, case.loss, trials, arms, case.target, jnp.asarray(case.scored))
    return np.asarray(found).reshape(n_windows, n_groups, len(case.h0))


def clean_losses(case: Case) -> Float[np.ndarray, "W B"]:
    """Loss of each trial from each window's first step on, undisturbed."""
    nobody = np.zeros((1, case.network.hidden_size), bool)
    return losses(case, nobody, jnp.zeros((1, 1, 1, case.network.hidden_size)))[:, 0]


def effects(
    case: Case, groups: Bool[np.ndarray, "G N"] | Bool[np.ndarray, "W G N"], instead: Stand_in
) -> Float[np.ndarray, "W G B"]:
    """Necessity of each group in each window, for each trial: loss intervened minus loss clean.

    For example `effects(case, units(case), stand_ins(case, "mean"))`.
    """
    return losses(case, groups, instead) - clean_losses(case)[:, None]


@partial(jax.jit, static_argnames="loss")
def _losses(
    network: Network,
    loss: Loss,
    trials: Trials,
    arms: Arms,
    target: Float[Array, "T B K"],
    scored: Bool[Array, " T"],
) -> Float[Array, "J B"]:
    def ask(run: Trajectory, arm: Arms) -> Array:
        first = 0 if arm.steps is None else arm.steps[0]
        return loss_from(loss(run.logits, target), scored, jnp.asarray(first))

    return under(network, trials, arms, ask, at_once=AT_ONCE)


_replaced = jax.jit(run_under)


def replaced_run(
    case: Case, group: Bool[np.ndarray, " N"], window: tuple[int, int], instead: Stand_in, w: int
) -> Trajectory:
    """The run with a group replaced in the window, by the stand-in of window number `w`."""
    arm = Arms(
        held=jnp.asarray(group), stand_in=jnp.asarray(w % len(instead)), steps=jnp.asarray(window)
    )
    return _replaced(case.network, Trials(case.h0, case.inputs, instead=instead), arm)
