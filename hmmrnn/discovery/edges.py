"""Which connections matter in a window: the message of unit j to unit i comes from elsewhere.

In each step t of the window, W_ij h_{t-1,j} becomes W_ij h~_{t-1,j}; what j sends to all others,
and all else, runs free. The stand-in h~_{t-1} is that of the step before t, for the window's first
step one from before the window (the mean is the window's own). The state h_0 before the trial's
first step has no stand-in of its own and gets that of the state after it.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from hmmrnn.arrays import HIGHEST, Key
from hmmrnn.discovery.attributions import N_PROBES, adjoints, cotangents
from hmmrnn.discovery.case import Case, Loss, clean_run, loss_from
from hmmrnn.discovery.effective import before
from hmmrnn.discovery.interventions import AT_ONCE, Stand_in, clean_losses
from hmmrnn.errors import InputError
from hmmrnn.nets import Network
from hmmrnn.results import result


def edge_attribution(
    case: Case, instead: Stand_in, key: Key, n_probes: int = N_PROBES
) -> Float[np.ndarray, "W N N"]:
    """What `edge_effects` would be on average over trials, for all edges, (receiver, sender).

    To first order sum_t lambda_{t,i} d_{t,i}, where what the other message changes in i at once is

        d_{t,i} = l [f(a_{t,i} + W_ij (h~ - h)_{t-1,j}) - f(a_{t,i})].

    That is g_i(t) W_ij (h~ - h)_{t-1,j} unless a gate opens or closes on the way, as many do where
    h~ is far from h. To second order that of Gauss and Newton, as in `attribution`. What follows
    from d is taken for linear, and loops that lead back to the edge for open.
    """
    found = _attribution(
        case.network,
        case.loss,
        case.h0,
        case.inputs,
        clean_run(case).states,
        cotangents(case, key, n_probes),
        jnp.asarray(case.scored),
        jnp.asarray(case.bounds),
        instead,
    )
    return np.asarray(found)


@partial(jax.jit, static_argnames="loss")
def _attribution(
    network: Network,
    loss: Loss,
    h0: Array,
    inputs: Array,
    states: Float[Array, "T B N"],
    pulled: Float[Array, "V T B K"],
    scored: Bool[Array, " T"],
    bounds: Int[Array, "W 2"],
    instead: Stand_in,
) -> Float[Array, "W N N"]:
    h = before(h0, states)
    steps = jnp.arange(len(inputs))
    f, leak, W_rec = network.cell.activate, network.leak, network.params["W_rec"]
    adjoint = adjoints(network, h0, inputs, pulled, jnp.zeros_like(states))
    received = network.preactivation(h, network.drive(inputs))
    receivers = (adjoint.transpose(3, 2, 0, 1), received.transpose(2, 1, 0), W_rec)

    def of_window(w: Array) -> Array:
        first, end = bounds[w]
        inside = ((steps >= first) & (steps < end))[:, None, None]
        change = jnp.where(inside, sent(instead[w % len(instead)]) - h, 0.0).transpose(1, 0, 2)

        def of_receiver(unit: tuple[Array, Array, Array]) -> Array:
            sensitivity, a, weights = unit  # (B V T), (B T), (N,): with all edges it is too much
            at_once = leak * (f(a[..., None] + weights * change) - f(a)[..., None])
            moved = jnp.matmul(sensitivity, at_once, precision=HIGHEST)
            second = jnp.sum(moved[:, 1:] ** 2, axis=1) / max(len(pulled) - 1, 1)
            return jnp.mean(moved[:, 0] + loss.curvature * second, axis=0)

        found = jax.lax.map(of_receiver, receivers)
        return found / jnp.sum(scored & (steps >= first))

    return jax.lax.map(of_window, jnp.arange(len(bounds)))


def sent(instead: Float[Array, "t b N"]) -> Float[Array, "t b N"]:
    """What stands in for the states that the steps start from."""
    return before(instead[0], instead)


def edge_effects(
    case: Case, edges: Int[np.ndarray, "E 2"], window: str, instead: Stand_in
) -> Float[np.ndarray, "E B"]:
    """Necessity of single edges (receiver, sender) in a window: loss patched minus loss clean.

    Raises:
        InputError: a window or a unit that does not exist.
    """
    n = case.network.hidden_size
    if edges.size and not (edges.min() >= 0 and edges.max() < n):
        raise InputError(f"edges name unit {edges.min()} or {edges.max()}: units are 0 .. {n - 1}")
    on = onwards(case, window, instead)
    patched = _patched(case.network, case.loss, on, jnp.asarray(edges))
    return np.asarray(patched) - clean_losses(case)[list(case.windows).index(window)]


@result
class Onwards(NamedTuple):
    """What happens from the first step of a window on; edges are cut in the steps of `sent`."""

    h0: Float[Array, "B N"]
    inputs: Float[Array, "T B D"]
    target: Float[Array, "T B K"]
    scored: Bool[Array, " T"]
    sent: Float[Array, "t B N"]  # what stands in for the states that the window's steps start from


def onwards(case: Case, window: str, instead: Stand_in) -> Onwards:
    """The rest of the trials from a window on.

    Raises:
        InputError: a window that does not exist.
    """
    if window not in case.windows:
        raise InputError(f"window={window}: the windows are {', '.join(case.windows)}")
    w = list(case.windows).index(window)
    first, end = case.windows[window]
    states = clean_run(case).states
    messages = jnp.broadcast_to(sent(instead[w % len(instead)]), states.shape)
    return Onwards(
        h0=before(case.h0, states)[first],
        inputs=case.inputs[first:],
        target=case.target[first:],
        scored=jnp.asarray(case.scored[first:]),
        sent=messages[first:end],
    )


@partial(jax.jit, static_argnames="loss")
def _patched(
    network: Network, loss: Loss, on: Onwards, edges: Int[Array, "E 2"]
) -> Float[Array, "E B"]:
    """Loss of each trial when each edge is patched in the steps of the window.

    The edge is taken out of W_rec, and the message becomes an input that only i receives.
    """
    W_rec, W_in = network.params["W_rec"], jnp.pad(network.params["W_in"], ((0, 0), (0, 1)))

    def run(edge: Array) -> Array:
        i, j = edge
        own, heard = W_rec.at[i, j].set(0.0), W_in.at[i, -1].set(W_rec[i, j])
        message = jnp.take(on.sent, j, axis=-1)[..., None]
        return loss_in_two(network, network.replace(W_rec=own, W_in=heard), loss, on, message)

    return jax.lax.map(run, edges, batch_size=AT_ONCE)


def loss_in_two(
    network: Network,
    cut: Network,
    loss: Loss,
    on: Onwards,
    messages: Float[Array, "t B M"],
) -> Float[Array, " B"]:
    """Loss of each trial: in the window the cut network, which gets `messages` as further inputs,
    and after it the whole one.
    """
    n_cut = len(on.sent)
    within = jnp.concatenate([on.inputs[:n_cut], messages], axis=-1)
    during = cut.run(on.h0, within)
    after = network.run(during.states[-1], on.inputs[n_cut:])
    readout = jnp.concatenate([during.logits, after.logits])
    return loss_from(loss(readout, on.target), on.scored, jnp.zeros((), int))
