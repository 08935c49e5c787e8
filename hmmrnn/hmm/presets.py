"""The six HMMs of Torre et al. (NeurIPS 2025) and the families that they belong to."""

from typing import NamedTuple

import jax
import numpy as np

from hmmrnn.arrays import Key
from hmmrnn.errors import InputError
from hmmrnn.hmm.model import HMM
from hmmrnn.results import result


@result
class Preset(NamedTuple):
    """An HMM of the paper with the length of the sequences it was trained on."""

    hmm: HMM
    n_steps: int  # T


def linear(n_states: int) -> HMM:
    """A chain of states from symbol 0 to symbol 2; crossing it takes probability 0.05 in all."""
    if not 2 <= n_states <= 5:
        raise InputError(f"n_states={n_states}: the linear chains have 2 to 5 states")
    hop = 0.05 ** (1 / (n_states - 1))
    steps = hop * (np.eye(n_states, k=1) + np.eye(n_states, k=-1))
    a = np.arange(n_states) / (n_states - 1)
    return HMM(
        initial=np.full(n_states, 1 / n_states),
        transition=steps + np.diag(1 - steps.sum(axis=1)),
        emission=np.stack([0.99 * (1 - a), np.full(n_states, 0.01), 0.99 * a], axis=1),
    )


def fully(n_states: int, stay: float = 0.95, certainty: float = 0.98) -> HMM:
    """Every state reaches every other one equally often and mostly emits its own symbol."""
    if n_states < 2:
        raise InputError(f"n_states={n_states}: a fully connected HMM has at least 2 states")
    others = 1 - np.eye(n_states)
    return HMM(
        initial=np.full(n_states, 1 / n_states),
        transition=stay * np.eye(n_states) + (1 - stay) / (n_states - 1) * others,
        emission=certainty * np.eye(n_states) + (1 - certainty) / (n_states - 1) * others,
    )


def ring(
    n_states: int,
    forward: float = 0.025,
    backward: float = 0.025,
    n_symbols: int = 3,
    certainty: float = 0.9,
) -> HMM:
    """A ring of states with a rate for each direction; state i mostly emits symbol i mod K."""
    if n_states < 3:
        raise InputError(f"n_states={n_states}: a ring has at least 3 states")
    if n_symbols < 2:
        raise InputError(f"n_symbols={n_symbols}: an HMM needs at least 2 symbols")
    own = np.eye(n_symbols)[np.arange(n_states) % n_symbols]
    return HMM(
        initial=np.full(n_states, 1 / n_states),
        transition=_ring_transition(n_states, forward, backward),
        emission=certainty * own + (1 - certainty) / (n_symbols - 1) * (1 - own),
    )


def random(n_states: int, n_symbols: int, key: Key, concentration: float = 1.0) -> HMM:
    """Rows drawn from a symmetric Dirichlet law; a small concentration gives peaked rows."""
    if n_states < 1 or n_symbols < 2 or concentration <= 0:
        raise InputError(
            f"n_states={n_states}, n_symbols={n_symbols}, concentration={concentration}: "
            "need at least 1 state, 2 symbols and a concentration above 0"
        )
    key_initial, key_transition, key_emission = jax.random.split(key, 3)

    def rows(key: Key, shape: tuple[int, ...], width: int) -> np.ndarray:
        drawn = np.asarray(jax.random.dirichlet(key, np.full(width, concentration), shape), float)
        return drawn / drawn.sum(axis=-1, keepdims=True)

    return HMM(
        initial=rows(key_initial, (), n_states),
        transition=rows(key_transition, (n_states,), n_states),
        emission=rows(key_emission, (n_states,), n_symbols),
    )


def preset(name: str) -> HMM:
    """The HMM of the paper called `name` (`linear2` .. `linear5`, `fully3`, `cyclic4`)."""
    if name not in PRESETS:
        raise InputError(f"preset={name}: unknown; there are {', '.join(PRESETS)}")
    return PRESETS[name].hmm


def _ring_transition(n_states: int, forward: float, backward: float) -> np.ndarray:
    identity = np.eye(n_states)
    steps = forward * np.roll(identity, 1, axis=1) + backward * np.roll(identity, -1, axis=1)
    return steps + (1 - forward - backward) * identity


def _cyclic4() -> HMM:
    return HMM(
        initial=np.full(4, 1 / 4),
        transition=_ring_transition(4, 0.025, 0.025),
        emission=np.array([[0.9, 0.1, 0], [0.1, 0.9, 0], [0, 0.1, 0.9], [0, 0.9, 0.1]]),
    )


PRESETS: dict[str, Preset] = {
    "linear2": Preset(linear(2), 100),
    "linear3": Preset(linear(3), 30),
    "linear4": Preset(linear(4), 30),
    "linear5": Preset(linear(5), 40),
    "fully3": Preset(fully(3), 30),
    "cyclic4": Preset(_cyclic4(), 40),
}
