"""Hiding a planted circuit: random units around it, weights from them into it, a random order."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from hmmrnn.arrays import Key
from hmmrnn.nets import Network, RNNCell
from hmmrnn.nets.noise import white_noise
from hmmrnn.results import result
from hmmrnn.tasks.task import Task, Windows, without_path

_noise = jax.jit(white_noise, static_argnums=(1, 2))

RANDOM = "random"
RANDOM_GAIN = 0.7  # of the weights among random units; they forget
SETTLING_STEPS = 100


@result
class Weights(NamedTuple):
    """A network in the making: all units in the order of `sizes`, without private noise."""

    W_rec: Float[np.ndarray, "N N"]
    W_in: Float[np.ndarray, "N D"]
    W_out: Float[np.ndarray, "K N"]
    b_rec: Float[np.ndarray, " N"]
    b_out: Float[np.ndarray, " K"]
    sizes: Mapping[str, int]  # of the groups

    def units(self, *names: str) -> Bool[np.ndarray, " N"]:
        """The units of some groups."""
        return np.repeat(np.isin(list(self.sizes), names), list(self.sizes.values()))


@result
class Trials(NamedTuple):
    """What a network is to do, with units in the order of its `Weights`."""

    inputs: Float[Array, "T B D"]
    h0: Float[np.ndarray, "B N"]
    target: Float[Array, "T B K"]
    latent: Float[np.ndarray, "T B"]
    windows: Windows
    truth: Sequence[Bool[np.ndarray, " N"]]  # for each window


def surrounded(circuit: Weights, n_random: int, core: str, key: Key) -> Weights:
    """`circuit` beside random units, which send nothing to it.

    They hear the group `core`, the task's inputs and each other through normal weights.
    """
    key_core, key_in, key_self = jax.random.split(key, 3)
    (n, d), n_core = circuit.W_in.shape, circuit.sizes[core]

    def normal(key: Key, n_senders: int) -> np.ndarray:
        return np.array(jax.random.normal(key, (n_random, n_senders))) / max(n_senders, 1) ** 0.5

    sizes = {**circuit.sizes, RANDOM: n_random}
    W_rec = np.pad(circuit.W_rec, (0, n_random))
    W_rec[n:, np.flatnonzero(circuit.units(core))] = normal(key_core, n_core)
    W_rec[n:, n:] = RANDOM_GAIN * normal(key_self, n_random)
    return Weights(
        W_rec=W_rec,
        W_in=np.concatenate([circuit.W_in, normal(key_in, d)]),
        W_out=np.pad(circuit.W_out, ((0, 0), (0, n_random))),
        b_rec=np.pad(circuit.b_rec, (0, n_random)),
        b_out=circuit.b_out,
        sizes=sizes,
    )


def contaminated(
    net: Weights, contamination: float, core: str, senders: Sequence[str], key: Key
) -> Weights:
    """`net` with normal weights from the groups `senders` into the core.

    Their standard deviation is `contamination` times the mean |weight| within the core.
    """
    into, out_of = net.units(core), net.units(*senders)
    scale = contamination * np.abs(net.W_rec[np.ix_(into, into)]).mean()
    W_rec = net.W_rec.copy()
    shape = (int(into.sum()), int(out_of.sum()))
    W_rec[np.ix_(into, out_of)] = scale * np.array(jax.random.normal(key, shape))
    return net._replace(W_rec=W_rec)


def settled(net: Weights, h0: Float[np.ndarray, "B N"], leak: float) -> Float[np.ndarray, "B N"]:
    """Start states whose random units have come to rest, while all others stay as they are."""
    free = net.units(RANDOM)
    h = h0.copy()
    for _ in range(SETTLING_STEPS):
        received = h @ net.W_rec[free].T + net.b_rec[free]
        h[:, free] = (1 - leak) * h[:, free] + leak * np.maximum(received, 0)
    return h


def hidden(
    planted: Weights, net: Weights, trials: Trials, leak: float, noise_std: float, key: Key
) -> Task:
    """The task of a relu network, its units in random order, each with noise of its own.

    `planted` has the weights that count as the circuit's, `net` those that run.
    """
    key_order, key_noise = jax.random.split(key)
    n = len(net.b_rec)
    order = np.asarray(jax.random.permutation(key_order, n))
    params = {
        "W_rec": net.W_rec[np.ix_(order, order)],
        "W_in": np.concatenate([net.W_in[order], np.eye(n)], axis=1),
        "W_out": net.W_out[:, order],
        "b_rec": net.b_rec[order],
        "b_out": net.b_out,
    }
    n_steps, n_trials, _ = trials.inputs.shape
    noise = noise_std * _noise(jax.random.split(key_noise, n_trials), n_steps, n)
    truth = np.stack(trials.truth)
    used = np.asarray(truth.any(0))
    edges = (planted.W_rec != 0) & used[:, None] & used
    return Task(
        network=relu_network(params, leak, noise_std),
        inputs=jnp.concatenate([trials.inputs, noise], axis=-1),
        h0=jnp.asarray(trials.h0[:, order], jnp.float32),
        target=trials.target,
        latent=trials.latent,
        windows=trials.windows,
        truth=truth[:, order],
        edges=edges[np.ix_(order, order)],
        unconnected=without_path(net.W_rec, net.W_out)[order],
        groups={name: net.units(name)[order] for name in net.sizes},
    )


def relu_network(params: Mapping[str, np.ndarray], leak: float, noise_std: float = 0.0) -> Network:
    """A planted network: relu units with biases."""
    (n_units, n_inputs), n_outputs = params["W_in"].shape, len(params["W_out"])
    cell = RNNCell(
        n_symbols=n_outputs, hidden_size=n_units, noise_dim=n_inputs, bias=True, leak=leak
    )
    single = {name: jnp.asarray(value, jnp.float32) for name, value in params.items()}
    return Network(single, jnp.asarray(noise_std, jnp.float32), cell)
