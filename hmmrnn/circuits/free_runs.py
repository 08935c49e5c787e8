"""Free runs under interventions, counted: transitions, dwell times, n-grams, escapes.

All interventions share their noise, so what differs is their doing. The intervention is there from
the first step of the warm-up on.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from hmmrnn.arrays import HIGHEST, Keys
from hmmrnn.errors import InputError
from hmmrnn.interventions import Arms, Trials, under
from hmmrnn.interventions.answers import first_of
from hmmrnn.losses import MAX_NGRAMS, ngram_shares
from hmmrnn.nets import Network, Trajectory
from hmmrnn.recordings import preferred_symbols
from hmmrnn.recordings.events import STAY
from hmmrnn.recordings.recorder import WARM_UP
from hmmrnn.results import result

Numbers = np.ndarray | Array
"""Made by jax, taken to the host by `measure`."""

ORDER = 4
"""Symbols in an n-gram."""
ESCAPE_STEPS = 60
"""Steps that a state has to leave its symbol (Torre et al. 2025)."""


@result
class Counts(NamedTuple):
    """What each run counts to. A symbol is settled from the first of 5 equal ones to the next."""

    steps: Float[Numbers, "*G B K"]  # settled in each symbol, with a step after
    completed: Float[Numbers, "*G B K K"]  # changes of the settled symbol, from row to column
    raw_steps: Float[Numbers, "*G B K"]  # with each symbol preferred, and a step after
    raw: Float[Numbers, "*G B K K"]  # changes of the preferred symbol
    dwells: Float[Numbers, "*G B K 3"]  # number, sum, sum of squares of the steps between completed
    ngrams: Float[Numbers, "*G B L"]  # expected share of each n-gram, first symbol slowest
    last: Float[Numbers, "*G B N"]  # the last state
    finite: Bool[Numbers, "*G B"]


@result
class Escapes(NamedTuple):
    """When each start first prefers another symbol than its own, and which."""

    time: Int[Numbers, "*G K P"]  # steps; all 60 for those that never leave
    symbol: Int[Numbers, "*G K P"]  # -1 for those that never leave
    finite: Bool[Numbers, "*G K P"]


@partial(jax.jit, static_argnames=("n_steps", "order"))
def counts(
    network: Network,
    arms: Arms,
    n_steps: int,
    keys: Keys,
    *,
    order: int = ORDER,
) -> Counts:
    """Counts of the runs of all keys (B,) in each of G arms, after a warm-up in the same.

    Without intervention they are the runs of `recorded`.

    Raises:
        InputError: too few steps, or too many n-grams to count.
    """
    if n_steps <= STAY or network.n_symbols**order > MAX_NGRAMS:
        raise InputError(
            f"n_steps={n_steps}: at least {STAY + 1}; order={order}: at most {MAX_NGRAMS} n-grams"
        )
    split = jax.vmap(jax.random.split, out_axes=1)(keys)
    noise = network.noise(split[1], WARM_UP + n_steps)

    def ask(run: Trajectory, arm: Arms) -> Counts:
        last = run.states[-1]
        finite = jnp.isfinite(run.logits).all((0, 2)) & jnp.isfinite(last).all(1)
        logits = jnp.swapaxes(run.logits[WARM_UP:], 0, 1)
        return jax.vmap(partial(counted, order))(logits, last, finite)

    return under(network, Trials(network.initial_state(split[0]), noise), arms, ask)


@partial(jax.jit, static_argnames="n_steps")
def escapes(
    network: Network,
    arms: Arms,
    starts: Float[Array, "K P N"],
    keys: Keys,
    *,
    n_steps: int = ESCAPE_STEPS,
) -> Escapes:
    """One run from each start, with noise of its own, in each of G arms.

    starts[s] are states that prefer symbol s, whatever the network says of them.
    """
    own = jnp.arange(len(starts))[:, None]

    def ask(run: Trajectory, arm: Arms) -> Escapes:
        symbols = preferred_symbols(run.logits)
        away = symbols != own
        first = jnp.argmax(away, axis=0)
        other = jnp.take_along_axis(symbols, first[None], axis=0)[0]
        return Escapes(
            time=first_of(away, n_steps),
            symbol=jnp.where(away.any(0), other, -1),
            finite=jnp.isfinite(run.logits).all((0, -1)),
        )

    return under(network, Trials(starts, network.noise(keys, n_steps)), arms, ask)


def counted(
    order: int, logits: Float[Array, "T K"], last: Float[Array, " N"], finite: Bool[Array, ""]
) -> Counts:
    """Counts of one run, whose last state is `last`."""
    symbols, n_symbols = preferred_symbols(logits), logits.shape[-1]
    steady = settled(symbols)
    steps, completed = _changes(steady, n_symbols)
    raw_steps, raw = _changes(symbols, n_symbols)
    return Counts(
        steps=steps,
        completed=completed,
        raw_steps=raw_steps,
        raw=raw,
        dwells=_dwells(steady, n_symbols),
        ngrams=ngram_shares(jax.nn.softmax(logits)[None], order),
        last=last,
        finite=finite,
    )


@jax.jit
def settled(symbols: Int[Array, " T"]) -> Int[Array, " W"]:
    """The symbol that last stayed for 5 steps, from the first of these on; -1 before any does.

    W = T - 4: of the last steps it is not known yet.
    """
    n_windows = len(symbols) - STAY + 1
    stays = jnp.stack([symbols[i : i + n_windows] == symbols[:n_windows] for i in range(STAY)])
    last = jax.lax.cummax(jnp.where(stays.all(0), jnp.arange(n_windows), -1))
    return jnp.where(last >= 0, symbols[last], -1)


def _changes(symbols: Array, n_symbols: int) -> tuple[Array, Array]:
    """Steps in each symbol (K,) and changes (K, K); -1 is no symbol."""
    here = jax.nn.one_hot(symbols, n_symbols)
    pairs = jnp.matmul(here[:-1].T, here[1:], precision=HIGHEST)
    steps = jnp.sum(here[:-1], axis=0)
    return steps, pairs * (1 - jnp.eye(n_symbols))


def _dwells(steady: Array, n_symbols: int) -> Float[Array, "K 3"]:
    """Number, sum and sum of squares of the steps between two changes, by the symbol between."""
    times = jnp.arange(1, len(steady))
    changed = (steady[1:] != steady[:-1]) & (steady[:-1] >= 0)
    last = jax.lax.cummax(jnp.where(changed, times, 0))
    before = jnp.concatenate([jnp.zeros(1, last.dtype), last[:-1]])
    dwell = jnp.where(changed & (before > 0), times - before, 0).astype(float)
    which = jax.nn.one_hot(steady[:-1], n_symbols)
    moments = jnp.stack([dwell > 0, dwell, dwell**2], axis=1)
    return jnp.matmul(which.T, moments, precision=HIGHEST)
