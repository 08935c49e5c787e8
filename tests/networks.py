"""Networks of the tests: a few cells and sizes, so that tests share their compiled programs."""

import jax.numpy as jnp
import numpy as np

from hmmrnn.nets import Network, RNNCell

SMALL = RNNCell(n_symbols=3, hidden_size=12, noise_dim=5)
"""The cell of random networks."""


def net_of(cell, params=(), noise_std=1.0):
    """The network of a cell with these parameters."""
    return Network(dict(params), noise_std, cell)


def weights(**arrays):
    """Parameters in single precision."""
    return {name: jnp.asarray(array, jnp.float32) for name, array in arrays.items()}


def random_network(rng):
    """Parameters of `SMALL` that wander among all symbols."""
    n, d, k = SMALL.hidden_size, SMALL.noise_dim, SMALL.n_symbols
    return weights(
        W_rec=1.1 / np.sqrt(n) * rng.normal(size=(n, n)),
        W_in=0.5 * rng.normal(size=(n, d)),
        W_out=rng.normal(size=(k, n)),
    )


def relabelled(params, order):
    """The same network, its units in another order."""
    moved = {
        "W_rec": params["W_rec"][order][:, order],
        "W_in": params["W_in"][order],
        "W_out": params["W_out"][:, order],
    }
    if "b_rec" in params:
        moved["b_rec"] = params["b_rec"][order]
    return params | moved


def units(*chosen, n):
    """The mask (n,) of these units."""
    return np.isin(np.arange(n), chosen)


M0, M2, K02, K20, P02, P20, IDLE = range(7)
FLIP_FLOP = RNNCell(n_symbols=3, hidden_size=7, noise_dim=5, bias=True)


def flip_flop(gain=3.0, own_noise=0.0):
    """M0 and M2 exclude each other; P02 excites K02 when it is above 2, which flips M0 to M2.

    x_0 -> P02 -> K02 -> M2, one step each; x_1 likewise for the way back. A little noise of their
    own settles ties of M0 and M2; the idle unit receives x_4.
    """
    w_rec, w_in, w_out = np.zeros((7, 7)), np.zeros((7, 5)), np.zeros((3, 7))
    w_rec[M0, [M0, M2, K02, K20]] = 0.5, -2, -3, 3
    w_rec[M2, [M2, M0, K20, K02]] = 0.5, -2, -3, 3
    w_rec[K02, P02] = w_rec[K20, P20] = gain
    w_in[[P02, P20, IDLE], [0, 1, 4]] = 1
    w_in[[M0, M2], [2, 3]] = own_noise
    w_out[[0, 2], [M0, M2]] = 3
    b_rec = np.array([1, 1, -2 * gain, -2 * gain, 0, 0, 0])
    return weights(W_rec=w_rec, W_in=w_in, W_out=w_out, b_rec=b_rec, b_out=np.zeros(3))


SWITCH = RNNCell(n_symbols=2, hidden_size=8, noise_dim=2, bias=True)


def switch(kick=3.0, threshold=2.0):
    """A flip-flop of two symbols that its own noise switches.

    Units 0 and 1 hold the symbol: each excites itself and inhibits the other. Units 2 and 4
    integrate noise and excite the kick units 3 and 5, which fire above a threshold and inhibit
    unit 0 and unit 1. So 3 alone makes 0 -> 1, and 5 alone makes 1 -> 0. Units 6 and 7 are idle.
    """
    w_rec, w_in = np.zeros((8, 8)), np.zeros((8, 2))
    w_rec[[0, 1], [0, 1]] = 0.7
    w_rec[[0, 1], [1, 0]] = -0.6
    w_rec[[2, 4], [2, 4]] = 0.6
    w_rec[[3, 5], [2, 4]] = 1
    w_rec[[0, 1], [3, 5]] = -kick
    w_in[[2, 6], 0] = w_in[[4, 7], 1] = 1
    params = weights(
        W_rec=w_rec,
        W_in=w_in,
        W_out=4 * np.eye(2, 8),
        b_rec=[0.3, 0.32, 0, -threshold, 0, -threshold, 0, 0],  # unequal: no tie after both kicks
        b_out=np.zeros(2),
    )
    return Network(params, jnp.ones(()), SWITCH)


READ = ((1, 0), (-1, 0))
"""The readout of a unit by its sign."""
TURN = 1.3 * np.array([[np.cos(0.3), -np.sin(0.3)], [np.sin(0.3), np.cos(0.3)]])


def tanh_network(w_rec, w_out=READ, w_in=None, noise_std=1.0, activation="tanh"):
    """Units with a noise of their own, unless `w_in` says more."""
    n = len(w_rec)
    cell = RNNCell(n_symbols=len(w_out), hidden_size=n, noise_dim=n, activation=activation)
    w_in = np.eye(n) if w_in is None else w_in
    return Network(weights(W_in=w_in, W_rec=w_rec, W_out=w_out), jnp.float32(noise_std), cell)


def rotor(noise_std=0.02):
    """A plane rotation by 0.3 rad per step with slight growth: a limit cycle of 21 steps."""
    return tanh_network(TURN, noise_std=noise_std)


def two_wells(noise_std=0.7):
    """Two unconnected bistable units: one carries the symbol, the other only adds variance."""
    return tanh_network(1.5 * np.eye(2), noise_std=noise_std)
