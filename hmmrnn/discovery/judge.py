"""How well the strengths of units tell which of them are the circuit: precision over recall."""

from collections.abc import Mapping
from typing import NamedTuple, TypedDict

import numpy as np
from jaxtyping import Bool, Float
from sklearn.metrics import average_precision_score, precision_recall_curve

from hmmrnn.errors import InputError
from hmmrnn.results import result

Strengths = Float[np.ndarray, "W N"]
"""One for each window and unit; larger is more important."""


@result
class Score(NamedTuple):
    """How well M strengths tell which are true; without knowledge, both shares are n_true / n.

    Both are NaN where all or none are true: there is nothing to tell apart.
    """

    auprc: float  # average precision: area under the steps of precision over recall
    precision: float  # share of true ones among the n_true strongest; ties count by expectation
    n_true: int
    n: int


class Verdict(TypedDict):
    """Who is at work, in each window; and who is at work when, over all (unit, window) pairs."""

    windows: list[Score]
    timing: Score


def score(strength: Float[np.ndarray, " M"], truth: Bool[np.ndarray, " M"]) -> Score:
    """Average precision, and the precision at the true size.

    Raises:
        InputError: strengths that are NaN or infinite, or not as many as truths.
    """
    _check("strength", strength, truth)
    n, n_true = len(truth), int(truth.sum())
    if n_true in (0, n):
        return Score(np.nan, np.nan, n_true, n)
    auprc = float(average_precision_score(truth, strength))
    return Score(auprc, _precision(strength, truth, n_true), n_true, n)


def curve(
    strength: Float[np.ndarray, " M"], truth: Bool[np.ndarray, " M"]
) -> tuple[Float[np.ndarray, " R"], Float[np.ndarray, " R"]]:
    """Recall from 0 to 1, and the precision there; between, precision is that at the right end.

    The area under these steps is `Score.auprc`. Empty if there is nothing to tell apart.

    Raises:
        InputError: as for `score`.
    """
    _check("strength", strength, truth)
    if truth.all() or not truth.any():
        return np.empty(0), np.empty(0)
    precision, recall, _ = precision_recall_curve(truth, strength, drop_intermediate=False)
    return recall[::-1].astype(float), precision[::-1].astype(float)


def compare(found: Mapping[str, Strengths], truth: Bool[np.ndarray, "W N"]) -> dict[str, Verdict]:
    """Every method's scores in each window, and those of its timing.

    Timing takes all (unit, window) pairs together. Strengths of different windows are compared as
    they are, so they have to be in the same unit.

    Raises:
        InputError: strengths that are NaN or infinite, or of another shape than the truth; it says
            whose.
    """
    verdicts: dict[str, Verdict] = {}
    for name, strength in found.items():
        _check(name, strength, truth)
        verdicts[name] = {
            "windows": [score(*of_window) for of_window in zip(strength, truth, strict=True)],
            "timing": score(strength.ravel(), truth.ravel()),
        }
    return verdicts


def _precision(strength: np.ndarray, truth: np.ndarray, k: int) -> float:
    """Expected share of true ones among the k strongest, if ties are broken at random."""
    last = np.sort(strength)[-k]
    above, tied = strength > last, strength == last
    return float((truth[above].sum() + (k - above.sum()) * truth[tied].mean()) / k)


def _check(name: str, strength: np.ndarray, truth: np.ndarray) -> None:
    if strength.shape != truth.shape:
        raise InputError(
            f"{name} has shape {strength.shape}, the truth {truth.shape}: give one strength for "
            "each unit, in the truth's windows"
        )
    n_bad = int((~np.isfinite(strength)).sum())
    if n_bad:
        raise InputError(
            f"{name}: {n_bad} of {strength.size} strengths are NaN or infinite; they have no rank"
        )
