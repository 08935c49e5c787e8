"""Recurrent weights between groups of units, against shuffles that keep every unit's strength."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from hmmrnn.arrays import Key, Params, host_generator
from hmmrnn.results import result

N_SHUFFLES = 400


@result
class Blocks(NamedTuple):
    """Mean weights from each group (column) to each other one (row); NaN for an empty group."""

    names: tuple[str, ...]
    mean: Float[np.ndarray, "G G"]
    null_low: Float[np.ndarray, "G G"]  # 95 % of the shuffles lie above
    null_high: Float[np.ndarray, "G G"]
    z: Float[np.ndarray, "G G"]  # distance from the shuffles' mean, in their standard deviation


def weight_blocks(params: Params, groups: Mapping[str, Bool[np.ndarray, " N"]], key: Key) -> Blocks:
    """Block means of W_rec beside those of 400 shuffles; a unit's weight onto itself is left out.

    A shuffle keeps what each unit sends and receives in total: it permutes what is left of the
    weights after the mean of their row and of their column is taken away, and adds these again
    (the counterpart of degree-preserving rewiring for weighted networks; Rubinov & Sporns 2011).
    """
    W = np.asarray(params["W_rec"], np.float64)
    member = np.array([np.asarray(mask, float) for mask in groups.values()]).reshape(-1, len(W))
    off = ~np.eye(len(W), dtype=bool)
    expected, rest = additive_part(W)
    pairs = member @ off @ member.T

    def means(x: Float[np.ndarray, "N N"]) -> Float[np.ndarray, "G G"]:
        total = member @ np.where(off, x, 0) @ member.T
        return np.divide(total, pairs, out=np.full_like(total, np.nan), where=pairs > 0)

    rng = host_generator(key)
    null = np.array([means(shuffled(expected, rest, rng)) for _ in range(N_SHUFFLES)])
    low, high = np.quantile(null, [0.025, 0.975], axis=0)
    spread = null.std(0)
    found = means(W)
    with np.errstate(invalid="ignore", divide="ignore"):
        z = np.where(spread > 0, (found - null.mean(0)) / spread, np.nan)
    return Blocks(tuple(groups), found, low, high, z)


def additive_part(
    W: Float[np.ndarray, "N N"],
) -> tuple[Float[np.ndarray, "N N"], Float[np.ndarray, "N N"]]:
    """W as row mean + column mean - mean, and the rest, whose rows and columns sum to zero."""
    expected = W.mean(1, keepdims=True) + W.mean(0, keepdims=True) - W.mean()
    return expected, W - expected


def shuffled(
    expected: Float[np.ndarray, "N N"], rest: Float[np.ndarray, "N N"], rng: np.random.Generator
) -> Float[np.ndarray, "N N"]:
    """Weights with the row and column sums of `expected` + `rest` and all else at random."""
    moved = rng.permutation(rest.ravel()).reshape(rest.shape)
    return expected + additive_part(moved)[1]
