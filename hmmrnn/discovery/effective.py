"""Effective connectivity: how strongly each unit drives each other one at each step of a run.

S_{j->i}(t) = g_i(t) W_ij h_{t-1,j}: gate g_i = l f'(a_{t,i}), wire W_ij, signal h_{t-1,j}.

Steps are given by the states that they start from, h, and by their inputs, x. Where the shapes are
those of one trajectory, `vmap` takes many.
"""

from collections.abc import Mapping
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from hmmrnn.arrays import HIGHEST
from hmmrnn.discovery.case import Case, clean_run
from hmmrnn.errors import InputError
from hmmrnn.nets import Network


def before(h0: Float[Array, "*B N"], states: Float[Array, "T *B N"]) -> Float[Array, "T *B N"]:
    """The states h_0 .. h_{T-1} that the steps of a run start from."""
    return jnp.concatenate([h0[None], states[:-1]])


def gates(
    network: Network, h: Float[Array, "*T N"], x: Float[Array, "*T D"]
) -> Float[Array, "*T N"]:
    """g_i = l f'(a_i) of the steps from h under the input x; relu at its kink counts as silent."""
    a = network.preactivation(h, network.drive(x))
    return network.leak * jax.jvp(network.cell.activate, (a,), (jnp.ones_like(a),))[1]


def self_transfer(
    network: Network, h: Float[Array, "*T N"], x: Float[Array, "*T D"]
) -> Float[Array, "*T N"]:
    """J_ii = (1 - l) + g_i W_ii: what a unit passes on to itself in the steps from h under x."""
    return (1 - network.leak) + gates(network, h, x) * jnp.diag(network.params["W_rec"])


def connectivity(
    network: Network, h: Float[Array, "*T N"], x: Float[Array, "*T D"]
) -> Float[Array, "*T N N"]:
    """S_{j->i} of the steps from h under x, (receiver, sender)."""
    return gates(network, h, x)[..., None] * network.params["W_rec"] * h[..., None, :]


def step_jacobian(
    network: Network, h: Float[Array, "*T N"], x: Float[Array, "*T D"]
) -> Float[Array, "*T N N"]:
    """J = (1 - l) I + diag(g) W: d(state after) / d(state before) of the steps from h under x."""
    kept = (1 - network.leak) * jnp.eye(network.hidden_size, dtype=h.dtype)
    return kept + gates(network, h, x)[..., None] * network.params["W_rec"]


def transfer(jacobians: Float[Array, "T N N"]) -> Float[Array, "N N"]:
    """J_T .. J_1: d(state after the last step) / d(state before the first)."""

    def tick(product: Array, jacobian: Array) -> tuple[Array, None]:
        return jnp.matmul(jacobian, product, precision=HIGHEST), None

    nothing = jnp.eye(jacobians.shape[-1], dtype=jacobians.dtype)
    return jax.lax.scan(tick, nothing, jacobians)[0]


def readout_sensitivity(
    network: Network, h: Float[Array, "T N"], x: Float[Array, "T D"]
) -> Float[Array, "T N K"]:
    """lambda_t = (J_T .. J_{t+1})^T W_out^T, the derivative of the readout after the last step.

    It is that by the state after step t; the last row is W_out^T.
    """
    W_rec = network.params["W_rec"]

    def tick(after: Array, gate: Array) -> tuple[Array, Array]:
        back = jnp.matmul(W_rec.T, gate[:, None] * after, precision=HIGHEST)
        return (1 - network.leak) * after + back, after

    return jax.lax.scan(tick, network.params["W_out"].T, gates(network, h, x), reverse=True)[1]


def projected(
    network: Network, h: Float[Array, "T N"], x: Float[Array, "T D"]
) -> Float[Array, "T N K"]:
    """How far what unit j sends in step t moves the readout after the last step.

    sum_i lambda_{t,i,k} S_{j->i}(t), (step, sender, output). What a unit keeps of its own state,
    (1 - l) h, is no message.
    """
    received = gates(network, h, x)[..., None] * readout_sensitivity(network, h, x)
    return h[..., None] * jnp.einsum(
        "ij,tik->tjk", network.params["W_rec"], received, precision=HIGHEST
    )


def mean_connectivity(case: Case, steps: Int[np.ndarray, " L"]) -> Float[Array, "L N N"]:
    """S_{j->i} of some steps, rows of the inputs, averaged over trials. (receiver, sender).

    Where trials are aligned to an event, it is the mean over events.

    Raises:
        InputError: a step outside of the trials.
    """
    n_steps = len(case.inputs)
    outside = steps[(steps < 0) | (steps >= n_steps)]
    if len(outside):
        raise InputError(f"step {outside[0]}: the trials have steps 0 .. {n_steps - 1}")
    h = before(case.h0, clean_run(case).states)[steps]
    return _mean(case.network, h, case.inputs[steps])


@jax.jit
def _mean(
    network: Network, h: Float[Array, "L B N"], x: Float[Array, "L B D"]
) -> Float[Array, "L N N"]:
    """W_ij E[g_i h_j]: one product for each step, and never a matrix for each trial."""
    open_ = gates(network, h, x)
    both = jnp.einsum("lbi,lbj->lij", open_, h, precision=HIGHEST) / h.shape[1]
    return network.params["W_rec"] * both


def over_windows(case: Case) -> tuple[Float[np.ndarray, "W N N"], Float[np.ndarray, "W N K"]]:
    """Each window's transfer product in the first trial, and what units send to its readout.

    The latter is `projected` on the readout after the window's last step, added up over the steps
    of the window, mean over trials: (window, sender, output).
    """
    h = before(case.h0, clean_run(case).states)
    spans = [slice(*span) for span in case.windows.values()]
    found = [_over_window(case.network, h[span], case.inputs[span]) for span in spans]
    through, sent = (np.stack([np.asarray(x[i]) for x in found]) for i in range(2))
    return through, sent


@jax.jit
def _over_window(
    network: Network, h: Float[Array, "t B N"], x: Float[Array, "t B D"]
) -> tuple[Float[Array, "N N"], Float[Array, "N K"]]:
    through = transfer(step_jacobian(network, h[:, 0], x[:, 0]))
    sent = jax.vmap(partial(projected, network), in_axes=1)(h, x)
    return through, jnp.mean(jnp.sum(sent, axis=1), axis=0)


def between_groups(
    S: Float[Array, "L N N"], groups: Mapping[str, Bool[np.ndarray, " N"]]
) -> Float[Array, "L G G"]:
    """What a unit of each group receives from all units of each group: (receivers, senders).

    The sum over senders, the mean over receivers; NaN for receivers of an empty group.
    """
    member = jnp.asarray(np.stack(list(groups.values())), S.dtype)
    total = jnp.einsum("gi,lij,hj->lgh", member, S, member, precision=HIGHEST)
    return total / member.sum(1)[:, None]
