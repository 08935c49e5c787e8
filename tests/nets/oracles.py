"""The network equation as plain numpy loops in float64, and the networks that the tests run."""

import jax
import numpy as np

from hmmrnn.nets import NetConfig, init_params, make_cell

K, N, D, T = 3, 7, 4, 12

KINDS = [
    NetConfig(hidden_size=N, noise_dim=D, activation=activation, bias=bias)
    for activation in ("relu", "tanh")
    for bias in (False, True)
]


def kind_name(config):
    return f"{config.activation}{'-bias' if config.bias else ''}"


def network(config, seed=0, gain=1.6):
    """Cell and parameters; `gain` on W_rec so that the past matters for many steps."""
    cell = make_cell(config, K)
    params = init_params(cell, jax.random.key(seed))
    return cell, params | {"W_rec": gain * params["W_rec"]}


def per_step(gate, n_steps):
    """A gain or an offset of shape (), (N,) or (T, N) as a list of T vectors."""
    gate = np.asarray(gate, float)
    return list(gate) if gate.ndim == 2 else [gate] * n_steps


def looped(
    activation,
    params,
    h0,
    noise,
    recurrent_gain=1.0,
    noise_gain=1.0,
    state_gain=1.0,
    state_offset=0.0,
):
    """States h_1 .. h_T and logits of h_t = f(W_in x_t + W_rec h_{t-1} + b), unit by unit."""
    p = {name: np.asarray(value, float) for name, value in params.items()}
    n_units, n_steps = len(p["W_rec"]), len(noise)
    f = {"relu": lambda a: max(a, 0.0), "tanh": np.tanh}[activation]
    b = p.get("b_rec", np.zeros(n_units))
    gates = [per_step(g, n_steps) for g in (recurrent_gain, noise_gain, state_gain, state_offset)]
    h, states = np.asarray(h0, float), []
    for x, *now in zip(np.asarray(noise, float), *gates, strict=True):
        rec, inp, mul, add = (np.broadcast_to(g, n_units) for g in now)
        new = np.empty(n_units)
        for i in range(n_units):
            a = rec[i] * (p["W_rec"][i] @ h) + inp[i] * (p["W_in"][i] @ x) + b[i]
            new[i] = mul[i] * f(a) + add[i]
        h = new
        states.append(h)
    states = np.array(states)
    return states, states @ p["W_out"].T + p.get("b_out", 0.0)


def relative_error(found, expected):
    found, expected = np.asarray(found, float), np.asarray(expected, float)
    return np.abs(found - expected).max() / np.abs(expected).max()
