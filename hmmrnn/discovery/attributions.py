"""Attribution: what a windowed intervention would change, estimated by backward passes.

With lambda_t = d(loss)/d(h_t), holding unit i at h~ in a window changes the loss by about
sum_t lambda_{t,i} (h~ - h)_{t,i} (first order). Where the loss is the squared distance from the
clean readout that is zero, and the second order is that of Gauss and Newton:
E_v[(sum_t lambda^v_{t,i} (h~ - h)_{t,i})^2], with lambda^v the adjoint of sum v . readout for signs
v drawn at random, one for each trial, step and output (Hutchinson 1990). Both orders come from one
linearisation of the run, for all units and windows at once.
"""

from functools import partial
from typing import Literal, get_args

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from hmmrnn.arrays import HIGHEST, Key
from hmmrnn.discovery.case import Case, Loss, clean_run
from hmmrnn.discovery.effective import before, self_transfer
from hmmrnn.discovery.interventions import Stand_in
from hmmrnn.errors import InputError
from hmmrnn.nets import Intervention, Network

Method = Literal["one pass", "path cut", "integrated"]
METHODS: tuple[Method, ...] = get_args(Method)

N_PROBES = 16
"""Random signs: with 64 trials, each second order is a mean over 1024 draws."""
N_PATH = 8
"""Points of the path from the clean to the replaced states."""


def attribution(
    case: Case, instead: Stand_in, method: Method, key: Key, n_probes: int = N_PROBES
) -> Float[np.ndarray, "W N B"]:
    """What `effects` of single units would be, for each trial, without running them.

    one pass: lambda along the clean run. path cut: a unit that is held hands nothing on to itself,
    so only sum_t lambda_{t,i} (d_t - J_ii(t) d_{t-1}) counts, with d = h~ - h and J_ii within the
    window; loops through other units are still taken for open. integrated: path cut, with lambda
    averaged over the straight path from the clean states to those with all units replaced in the
    window, for gates that open or close on the way (Sundararajan et al. 2017).

    Raises:
        InputError: another method.
    """
    if method not in METHODS:
        raise InputError(f"method={method}: allowed are {', '.join(METHODS)}")
    found = _attribution(
        case.network,
        case.loss,
        method,
        case.h0,
        case.inputs,
        clean_run(case).states,
        cotangents(case, key, n_probes),
        jnp.asarray(case.scored),
        jnp.asarray(case.bounds),
        instead,
    )
    return np.asarray(found)


def cotangents(case: Case, key: Key, n_probes: int) -> Float[Array, "1+V T B K"]:
    """What is pulled back: the gradient of the summed loss of scored steps, then random signs.

    There are no signs where the loss is not curved.
    """
    readout = clean_run(case).logits
    gradient = jax.grad(lambda y: jnp.sum(case.loss(y, case.target)))(readout)
    n_signs = n_probes if case.loss.curvature else 0
    signs = jax.random.rademacher(key, (n_signs, *readout.shape), readout.dtype)
    return jnp.concatenate([gradient[None], signs]) * jnp.asarray(case.scored)[:, None, None]


def adjoints(
    network: Network,
    h0: Float[Array, "B N"],
    inputs: Float[Array, "T B D"],
    pulled: Float[Array, "V T B K"],
    offset: Float[Array, "T B N"],
) -> Float[Array, "V T B N"]:
    """d(sum pulled . readout) / d h_t of the run that has `offset` added to its states.

    Derivatives pass through offsets, so they can be taken along any states that these lead to.
    """

    def readout(offset: Array) -> Array:
        return network.run(h0, inputs, Intervention(state_offset=offset)).logits

    _, transposed = jax.vjp(readout, offset)
    return jax.lax.map(lambda cotangent: transposed(cotangent)[0], pulled)


@partial(jax.jit, static_argnames=("loss", "method"))
def _attribution(
    network: Network,
    loss: Loss,
    method: Method,
    h0: Array,
    inputs: Array,
    states: Float[Array, "T B N"],
    pulled: Float[Array, "V T B K"],
    scored: Bool[Array, " T"],
    bounds: Int[Array, "W 2"],
    instead: Stand_in,
) -> Float[Array, "W N B"]:
    steps = jnp.arange(len(inputs))
    along = partial(adjoints, network, h0, inputs, pulled)
    own = self_transfer(network, before(h0, states), inputs)
    clean = along(jnp.zeros_like(states)) if method != "integrated" else None

    def on_path(change: Array, inside: Array) -> Array:
        def at(share: Array) -> Array:
            moved = states + share * change
            free = network.step(before(h0, moved), network.drive(inputs))
            return along(jnp.where(inside, moved - free, 0.0))

        shares = (jnp.arange(N_PATH) + 0.5) / N_PATH
        return jnp.mean(jax.lax.map(at, shares), axis=0)

    def of_window(w: Array) -> Array:
        first, end = bounds[w]
        inside = ((steps >= first) & (steps < end))[:, None, None]
        change = jnp.where(inside, instead[w % len(instead)] - states, 0.0)
        handed_on = 0.0 if method == "one pass" else jnp.where(inside, own * _late(change), 0.0)
        given = change - handed_on
        adjoint = on_path(change, inside) if clean is None else clean
        n_scored = jnp.sum(scored & (steps >= first))
        moved = jnp.einsum("vtbn,tbn->vnb", adjoint, given, precision=HIGHEST)
        second = jnp.sum(moved[1:] ** 2, axis=0) / max(len(pulled) - 1, 1)
        return (moved[0] + loss.curvature * second) / n_scored

    return jax.lax.map(of_window, jnp.arange(len(bounds)))


def _late(change: Float[Array, "T B N"]) -> Float[Array, "T B N"]:
    """The change one step before."""
    return jnp.concatenate([jnp.zeros_like(change[:1]), change[:-1]])
