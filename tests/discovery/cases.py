"""Small cases for the tests of discovery."""

import jax
import jax.numpy as jnp
import numpy as np
from networks import net_of

from hmmrnn.discovery.case import Case, Lag, SquaredError, checked, clean_run
from hmmrnn.nets import RNNCell, init_params

T, B, N, D, K = 12, 6, 9, 3, 2
WINDOWS = {"early": (0, 3), "middle": (4, 8), "late": (7, 12)}
KEY = jax.random.key(5)


def small_case(activation="relu", leak=0.4, loss=SquaredError(), bias=0.3, scored_from=0):  # noqa: B008
    """A random network at work; with the squared error, its target is its own readout."""
    rng = np.random.default_rng(2)
    cell = RNNCell(
        n_symbols=K, hidden_size=N, noise_dim=D, activation=activation, bias=True, leak=leak
    )
    params = init_params(cell, jax.random.key(1)) | {"b_rec": jnp.full(N, bias, jnp.float32)}
    normal = lambda *shape: jnp.asarray(rng.normal(size=shape), jnp.float32)  # noqa: E731
    case = Case(
        network=net_of(cell, params),
        inputs=normal(T, B, D),
        h0=jnp.abs(normal(B, N)),
        target=jnp.zeros((T, B, K)),
        decoded=normal(T, B, 1),
        windows=WINDOWS,
        loss=loss,
        scored=np.arange(T) >= scored_from,
        means=jnp.abs(normal(len(WINDOWS), N)),
        other_h0=jnp.abs(normal(B, N)),
        other_inputs=normal(T, B, D),
    )
    return checked(case._replace(target=clean_run(case).logits))


def looped(case, group=(), window=(0, 0), instead=None, corrupted=False):
    """Readout (T, B, K) in float64, step by step; `instead` (T, B, N) replaces a group's states."""
    params = {name: np.asarray(value, float) for name, value in case.network.params.items()}
    f = np.tanh if case.network.cell.activation == "tanh" else lambda a: np.maximum(a, 0)
    leak = case.network.leak
    h = np.asarray(case.other_h0 if corrupted else case.h0, float)
    out = []
    for t, x in enumerate(np.asarray(case.other_inputs if corrupted else case.inputs, float)):
        received = h @ params["W_rec"].T + x @ params["W_in"].T + params["b_rec"]
        h = (1 - leak) * h + leak * f(received)
        if window[0] <= t < window[1]:
            for i in group:
                h[:, i] = instead[t, :, i]
        out.append(h @ params["W_out"].T + params["b_out"])
    return np.array(out)


def loss_of(case, readout, first):
    """Mean loss of each trial over scored steps from `first` on."""
    if isinstance(case.loss, Lag):
        each = readout[..., case.loss.old] - readout[..., case.loss.new]
    else:
        each = ((readout - np.asarray(case.target, float)) ** 2).sum(-1)
    return each[(np.arange(T) >= first) & case.scored].mean(0)
