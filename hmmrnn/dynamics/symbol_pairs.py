"""Motion while only two symbols are in use: rotation, drift and current for each pair of symbols.

A network of three or more symbols may do the same thing between each two of them (Torre et al.
2025, on fully connected and cyclic HMMs). A segment is a longest stretch of steps in which only two
given symbols are preferred, with a change between them. Its plane is that of the first two
principal components of the states in all segments of the pair.

Segments are chosen by their future: the state does not leave for a third symbol in them. Drift and
potential are those of the stay, not of the whole process.
"""

from functools import partial
from itertools import combinations
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from hmmrnn.arrays import Key
from hmmrnn.dynamics.components import PCA, padded, pca, project
from hmmrnn.dynamics.kramers_moyal import (
    KramersMoyal,
    Moments,
    bin_edges,
    drift_diffusion,
    kramers_moyal,
    readout_difference,
)
from hmmrnn.dynamics.probability_current import Flow, FlowSums, flow, flow_sums, reversal_p
from hmmrnn.dynamics.rotation import TURN, phase_steps, turns_per_pair
from hmmrnn.errors import InputError
from hmmrnn.intervals import Estimate, bootstrap_weights, estimate
from hmmrnn.recordings.symbols import transitions
from hmmrnn.results import result, result_without

MIN_LENGTH = 5
"""Steps that a segment has at least."""


class Segments(NamedTuple):
    """Stretches of steps in which only two symbols are preferred."""

    inside: Bool[Array, "B T"]
    starts: Bool[Array, "B T"]  # the first step of each


@result
class PairRotation(NamedTuple):
    """Sums over the segments of each trajectory."""

    plane: PCA  # of the states inside, 2 components
    turns: Float[Array, " B"]  # net, anticlockwise positive, around the mean of the states inside
    forth: Int[Array, " B"]  # changes from the first symbol to the second
    back: Int[Array, " B"]
    n_steps: Int[Array, " B"]
    n_segments: Int[Array, " B"]


class PairSums(NamedTuple):
    """Everything that is measured of one pair of symbols, by trajectory."""

    rotation: PairRotation
    moments: Moments  # along the readout difference
    flow: FlowSums  # in the plane


@result_without("along", "flow")
class SymbolPair(NamedTuple):
    """How a network moves between two symbols. Intervals are over trajectories."""

    symbols: tuple[int, int]
    n_segments: int  # 0 for a pair that never occurs; then all numbers are NaN
    n_steps: int
    n_forth: int  # changes from the first symbol to the second
    n_back: int
    transitions_per_step: Estimate  # inside of segments
    rotation: Estimate  # net turns per pair of transitions
    rotation_p: float  # of reversed surrogates, how many turn as much
    along: KramersMoyal
    flow: Flow


def all_pairs(n_symbols: int) -> Int[np.ndarray, "P 2"]:
    """All pairs of symbols, the smaller one first."""
    return np.array(list(combinations(range(n_symbols), 2)), int).reshape(-1, 2)


def leading_pair(symbols: Int[Array, "B T"], n_symbols: int) -> Int[Array, "2"]:
    """The two symbols that are preferred most often, the smaller one first.

    Raises:
        InputError: a network of one symbol.
    """
    if n_symbols < 2:
        raise InputError(f"n_symbols={n_symbols}: a readout difference needs 2 symbols")
    counts = jnp.bincount(symbols.ravel(), length=n_symbols)
    return jnp.sort(jax.lax.top_k(counts, 2)[1])


def pair_segments(
    symbols: Int[Array, "B T"], pair: Int[Array, "2"], min_length: int = MIN_LENGTH
) -> Segments:
    """The longest stretches with the two symbols only that change and are `min_length` long.

    Between two segments there is always a step outside, so steps within one are those whose both
    ends are inside.
    """
    return Segments(*jax.vmap(partial(_segments, min_length), (0, None))(symbols, pair))


def _segments(
    min_length: int, symbols: Int[Array, " T"], pair: Int[Array, "2"]
) -> tuple[Array, Array]:
    either = (symbols[:, None] == pair).any(axis=1)
    first = either & ~jnp.concatenate([jnp.zeros(1, bool), either[:-1]])
    number = jnp.cumsum(first)  # of the stretch; 0 before the first one
    changes = transitions(symbols) & either & ~first
    totals = partial(jax.ops.segment_sum, segment_ids=number, num_segments=len(symbols) + 1)
    chosen = (totals(either.astype(int)) >= min_length) & (totals(changes.astype(int)) > 0)
    return either & chosen[number], first & chosen[number]


def pair_rotation(
    states: Float[Array, "B T N"],
    symbols: Int[Array, "B T"],
    pair: Int[Array, "2"],
    min_length: int = MIN_LENGTH,
) -> PairRotation:
    """Net turns and transitions inside the segments of a pair; nothing is counted over gaps."""
    symbols = _known(symbols, states)
    segments = pair_segments(symbols, pair, min_length)
    plane, points = _pair_plane(states, segments.inside)
    return _rotation(segments, plane, points, symbols, pair)


@partial(jax.jit, static_argnames="min_length")
def pair_sums(
    states: Float[Array, "B T N"],
    logits: Float[Array, "B T K"],
    symbols: Int[Array, "B T"],
    pair: Int[Array, "2"],
    min_length: int = MIN_LENGTH,
) -> PairSums:
    """Rotation, moments along the readout difference and flow in the plane of one pair."""
    symbols = _known(symbols, states)
    segments = pair_segments(symbols, pair, min_length)
    plane, points = _pair_plane(states, segments.inside)
    x = readout_difference(logits, pair, segments.inside)
    return PairSums(
        _rotation(segments, plane, points, symbols, pair),
        drift_diffusion(x, bin_edges(x, segments.inside), segments.inside),
        flow_sums(points, segments.inside),
    )


def symbol_pair(sums: PairSums, pair: tuple[int, int], key: Key) -> SymbolPair:
    """Numbers with intervals of what `pair_sums` measured for a pair of symbols (host)."""
    turning = sums.rotation
    key_boot, key_rotation, key_flow = jax.random.split(key, 3)
    weights = bootstrap_weights(len(turning.turns), key_boot)
    turns, forth, back, steps = (
        np.asarray(part, np.float64)
        for part in (turning.turns, turning.forth, turning.back, turning.n_steps)
    )
    totals = jnp.stack([turns, forth + back, steps], axis=1)
    rotation = estimate(lambda m: turns_per_pair(m[:, 0], m[:, 1]), totals, weights)
    with np.errstate(divide="ignore", invalid="ignore"):
        rate = estimate(lambda m: m[:, 1] / m[:, 2], totals, weights)
    return SymbolPair(
        symbols=pair,
        n_segments=int(np.sum(turning.n_segments)),
        n_steps=int(steps.sum()),
        n_forth=int(forth.sum()),
        n_back=int(back.sum()),
        transitions_per_step=rate,
        rotation=rotation,
        rotation_p=reversal_p(turns[:, None], key_rotation),
        along=kramers_moyal(sums.moments, weights),
        flow=flow(sums.flow, weights, key_flow),
    )


def _known(symbols: Int[Array, "B T"], states: Float[Array, "B T N"]) -> Int[Array, "B T"]:
    """The symbols, but -1 where the state is not finite: no segment runs over it."""
    return jnp.where(jnp.isfinite(states).all(axis=-1), symbols, -1)


def _pair_plane(
    states: Float[Array, "B T N"], inside: Bool[Array, "B T"]
) -> tuple[PCA, Float[Array, "B T 2"]]:
    """Principal components of the states inside, and all states in them.

    States outside are replaced by the mean of those inside: that leaves the mean, the axes and the
    shares of the variance as they are. One unit gives a second coordinate of zero.
    """
    mean = jnp.mean(states, axis=(0, 1), where=inside[..., None])
    plane = pca(jnp.where(inside[..., None], states, mean), min(2, states.shape[-1]))
    return plane, padded(project(plane, states), 2)


def _rotation(
    segments: Segments,
    plane: PCA,
    points: Float[Array, "B T 2"],
    symbols: Int[Array, "B T"],
    pair: Int[Array, "2"],
) -> PairRotation:
    inside = segments.inside
    within = inside[:, 1:] & inside[:, :-1]
    before, after = symbols[:, :-1], symbols[:, 1:]
    return PairRotation(
        plane=plane,
        turns=jnp.sum(phase_steps(points, inside), axis=1) / TURN,
        forth=jnp.sum(within & (before == pair[0]) & (after == pair[1]), axis=1),
        back=jnp.sum(within & (before == pair[1]) & (after == pair[0]), axis=1),
        n_steps=jnp.sum(inside, axis=1),
        n_segments=jnp.sum(segments.starts, axis=1),
    )
