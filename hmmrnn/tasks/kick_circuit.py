"""Networks that switch between two symbols by a known route, hidden among distractor units.

`kick_network` works as Torre et al. (2025) describe: populations integrate noise and excite kick
neurons, which throw the state from one cluster to the other. `barrier_network` gets there without:
noise pushes a bistable pair over its barrier. Both are relu networks with biases.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool

from hmmrnn.arrays import Key
from hmmrnn.nets import NetConfig, Network, make_cell

PAIRS = ((0, 1), (1, 0))
N_STATE, N_POPULATION, N_KICK = 4, 8, 3
N_DISTRACTORS = 100
NOISE_DIM = 120


@partial(
    jax.tree_util.register_dataclass,
    data_fields=["params", "noise_std", "groups"],
    meta_fields=["cell"],
)
@dataclass(frozen=True, eq=False, repr=False)
class Planted(Network):
    """A network whose mechanism is known."""

    groups: Mapping[str, Bool[np.ndarray, " N"]]  # state 0, kick 01, population 10, ... distractors


class _Builder:
    """Weights between named groups: what the mean of one does to each unit of another."""

    def __init__(self, sizes: Mapping[str, int]) -> None:
        ends = np.cumsum(list(sizes.values()))
        self.size = int(ends[-1])
        starts = ends - list(sizes.values())
        self.units = {
            name: np.arange(first, last)
            for name, first, last in zip(sizes, starts, ends, strict=True)
        }
        self.W_rec = np.zeros((self.size, self.size))
        self.bias = np.zeros(self.size)

    def connect(self, source: str, target: str, strength: float) -> None:
        """Each target unit receives `strength` times the mean activity of the source."""
        if source in self.units and target in self.units:
            block = np.ix_(self.units[target], self.units[source])
            self.W_rec[block] = strength / len(self.units[source])


def kick_network(
    key: Key,
    *,
    kick_strength: float = 1.0,
    n_distractors: int = N_DISTRACTORS,
    contamination: float = 0.01,
) -> Planted:
    """Two integrating populations, two kick groups, two state groups, and distractors.

    With m(.) the mean activity of a group, and the other direction alike:

        state 0:       relu(1 + 0.7 m(state 0) - 1.5 m(state 1) - 2 m(kick 01) + 2 m(kick 10))
        kick 01:       relu(-2.6 + m(pop 01) - 0.5 m(pop 10) + 0.3 m(state 0) - 1.5 m(state 1)
                            + 0.8 m(kick 01) - m(kick 10))
        population 01: relu(0.9 m(pop 01) - 0.3 m(pop 10) + noise)

    `kick_strength` multiplies what the kick groups send out. Distractors have random weights among
    themselves and from all others; `contamination` is the standard deviation of their weights into
    the circuit. All units are permuted at random.
    """
    sizes = {f"state {s}": N_STATE for s in (0, 1)}
    sizes |= {f"population {s}{t}": N_POPULATION for s, t in PAIRS}
    sizes |= {f"kick {s}{t}": N_KICK for s, t in PAIRS}
    net = _flip_flop(sizes, n_distractors)
    for s, t in PAIRS:
        own, other = f"{s}{t}", f"{t}{s}"
        net.connect(f"population {own}", f"population {own}", 0.9)
        net.connect(f"population {own}", f"population {other}", -0.3)
        net.connect(f"population {own}", f"kick {own}", 1.0)
        net.connect(f"population {own}", f"kick {other}", -0.5)
        net.connect(f"kick {own}", f"kick {own}", 0.8)
        net.connect(f"kick {own}", f"kick {other}", -1.0)
        net.connect(f"state {s}", f"kick {own}", 0.3)
        net.connect(f"state {t}", f"kick {own}", -1.5)
        net.connect(f"kick {own}", f"state {s}", -2.0 * kick_strength)
        net.connect(f"kick {own}", f"state {t}", 2.0 * kick_strength)
        net.bias[net.units[f"kick {own}"]] = -2.6
    noise = {name: 2.3 if "population" in name else 0.3 for name in sizes}
    return _embedded(net, noise, contamination, key)


def barrier_network(
    key: Key, *, n_distractors: int = N_DISTRACTORS, contamination: float = 0.01
) -> Planted:
    """The two state groups of `kick_network` alone, switched by noise of their own."""
    net = _flip_flop({f"state {s}": N_STATE for s in (0, 1)}, n_distractors)
    return _embedded(net, {"state 0": 1.7, "state 1": 1.7}, contamination, key)


def _flip_flop(sizes: Mapping[str, int], n_distractors: int) -> _Builder:
    """A bistable pair of groups, symbols 0 and 1, beside whatever else there is."""
    net = _Builder({**sizes, "distractors": n_distractors})
    for s, t in PAIRS:
        net.connect(f"state {s}", f"state {s}", 0.7)
        net.connect(f"state {s}", f"state {t}", -1.5)
        net.bias[net.units[f"state {s}"]] = 1.0
    return net


def _embedded(net: _Builder, noise: Mapping[str, float], contamination: float, key: Key) -> Planted:
    """Random weights of the distractors, input and readout, and all units in random order.

    `noise` is the standard deviation of the drive of each group's units.
    """
    key_rec, key_in, key_out, key_order = jax.random.split(key, 4)
    free = net.units["distractors"]
    circuit = np.setdiff1d(np.arange(net.size), free)
    random = np.array(jax.random.normal(key_rec, (net.size, net.size)))
    net.W_rec[np.ix_(free, free)] = 0.7 * random[np.ix_(free, free)] / max(len(free), 1) ** 0.5
    net.W_rec[np.ix_(free, circuit)] = random[np.ix_(free, circuit)] / len(circuit) ** 0.5
    net.W_rec[np.ix_(circuit, free)] = contamination * random[np.ix_(circuit, free)]
    W_in = np.array(jax.random.normal(key_in, (net.size, NOISE_DIM))) / NOISE_DIM**0.5
    for name, strength in noise.items():
        W_in[net.units[name]] *= strength
    W_out = contamination * np.array(jax.random.normal(key_out, (2, net.size)))
    W_out[:, circuit] = 0
    for s in (0, 1):
        W_out[s, net.units[f"state {s}"]] = 1.5 / N_STATE
    order = np.asarray(jax.random.permutation(key_order, net.size))
    params = {
        "W_rec": net.W_rec[np.ix_(order, order)],
        "W_in": W_in[order],
        "W_out": W_out[:, order],
        "b_rec": net.bias[order],
        "b_out": np.zeros(2),
    }
    cell = make_cell(NetConfig(hidden_size=net.size, noise_dim=NOISE_DIM, bias=True), n_symbols=2)
    single = {name: jnp.asarray(value, jnp.float32) for name, value in params.items()}
    groups = {name: np.isin(order, units) for name, units in net.units.items()}
    return Planted(single, jnp.asarray(1.0), cell, groups)
