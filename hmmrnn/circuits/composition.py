"""How much the circuits of different pairs of symbols share."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float
from scipy.stats import hypergeom

from hmmrnn.results import result


@result
class Overlap(NamedTuple):
    """Units that two groups share, beside what two random groups of the same sizes would."""

    shared: int
    jaccard: float  # shared over all units of either; NaN if both are empty
    expected: float  # Jaccard index of the expected number of shared units
    chance: float  # that random groups share as many


@result
class Composition(NamedTuple):
    """Every group beside every other one; G groups in the order of `names`."""

    names: tuple[str, ...]
    jaccard: Float[np.ndarray, "G G"]
    expected: Float[np.ndarray, "G G"]
    chance: Float[np.ndarray, "G G"]


def overlap(a: Bool[np.ndarray, " N"], b: Bool[np.ndarray, " N"]) -> Overlap:
    """Shared units of two groups; chance by the hypergeometric law."""
    n, n_a, n_b = len(a), int(a.sum()), int(b.sum())
    shared = int((a & b).sum())
    mean = n_a * n_b / n
    return Overlap(
        shared,
        shared / (n_a + n_b - shared) if n_a + n_b else np.nan,
        mean / (n_a + n_b - mean) if n_a + n_b else np.nan,
        float(hypergeom.sf(shared - 1, n, n_a, n_b)),
    )


def composition(groups: dict[str, Bool[np.ndarray, " N"]]) -> Composition:
    """Overlaps of all groups with each other."""
    table = [[overlap(a, b) for b in groups.values()] for a in groups.values()]
    size = len(groups)
    jaccard, expected, chance = (
        np.array([[getattr(cell, name) for cell in row] for row in table]).reshape(size, size)
        for name in ("jaccard", "expected", "chance")
    )
    return Composition(tuple(groups), jaccard, expected, chance)
