"""How well a target is read from the states of k units by a linear decoder, on held-out trials.

Good decoding does not make a circuit: units that merely hear it decode as well. So a circuit's
decoding is given beside that of random sets of as many units, and goes with causal isolation.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Array, Bool, Float, Int
from sklearn.metrics import r2_score

from hmmrnn.arrays import Key, host_generator
from hmmrnn.discovery.case import Case, clean_run
from hmmrnn.errors import InputError
from hmmrnn.results import result

RIDGE = 1e-3
"""Penalty on weights from z-scored units, where the squared error is a mean over samples."""

Units = Int[np.ndarray, " k"] | Bool[np.ndarray, " N"]
Classes = Int[np.ndarray, "T B"] | Float[np.ndarray, "T B"]
"""Whole numbers, such as the states of an HMM."""
Quality = Callable[[np.ndarray, np.ndarray], float]
"""From what is true (S, K) and what is decoded (S, K)."""


@result
class Decoding(NamedTuple):
    """R^2 or accuracy on held-out trials."""

    circuit: float
    random: float  # mean over draws of as many of all units, the circuit's among them
    random_low: float  # 5 % of draws are below
    random_high: float  # 5 % of draws are above
    all_units: float


class _Samples(NamedTuple):
    """Units as `z_scores` of the training trials, and what is to be decoded from them."""

    x: Float[np.ndarray, "S N"]
    y: Float[np.ndarray, "S K"]
    x_new: Float[np.ndarray, "R N"]
    y_new: Float[np.ndarray, "R K"]


def decoding(
    states: Float[Array, "T B N"],
    target: Float[Array, "T B K"],
    units: Units,
    train: Bool[np.ndarray, " B"],
) -> float:
    """R^2 = 1 - |target - decoded|^2 / |target - its mean|^2, all outputs together.

    Raises:
        InputError: no unit, no trial to train on or none to test on, or a target that is the same
            throughout the held-out trials.
    """
    return _quality(_samples(states, np.asarray(target, float), train), units, _r2)


def decoding_class(
    states: Float[Array, "T B N"],
    latent: Classes,
    units: Units,
    train: Bool[np.ndarray, " B"],
) -> float:
    """Share of steps whose class has the largest output of a linear decoder of all classes.

    Raises:
        InputError: no unit, no trial to train on or none to test on, a single class, or a latent
            that is no class.
    """
    return _quality(_samples(states, _one_hot(latent), train), units, _accuracy)


def random_k(
    case: Case,
    circuit: Bool[np.ndarray, " N"],
    train: Bool[np.ndarray, " B"],
    n_draws: int,
    key: Key,
) -> Decoding:
    """R^2 of what the case is about, at its scored steps, from the circuit and random units.

    Raises:
        InputError: as for `decoding`, or fewer than one draw.
    """
    samples = _samples(*_at_scored(case, np.asarray(case.decoded, float)), train)
    return _beside_random(samples, circuit, _r2, n_draws, key)


def random_k_class(
    case: Case,
    latent: Classes,
    circuit: Bool[np.ndarray, " N"],
    train: Bool[np.ndarray, " B"],
    n_draws: int,
    key: Key,
) -> Decoding:
    """As `random_k`, the accuracy for a class.

    Raises:
        InputError: as for `decoding_class`, or fewer than one draw.
    """
    samples = _samples(*_at_scored(case, _one_hot(latent)), train)
    return _beside_random(samples, circuit, _accuracy, n_draws, key)


def z_scores(
    x: Float[np.ndarray, "S N"], like: Float[np.ndarray, "R N"]
) -> Float[np.ndarray, "S N"]:
    """`x` less the mean of `like`, over its standard deviation; 0 for units that are constant.

    A unit whose spread float32 cannot resolve is constant.
    """
    std = like.std(0)
    constant = std <= np.finfo(np.float32).eps * np.abs(like).max(0)
    return np.where(constant, 0.0, (x - like.mean(0)) / np.where(constant, 1.0, std))


def ridge(
    x: Float[np.ndarray, "S k"], y: Float[np.ndarray, "S K"]
) -> tuple[Float[np.ndarray, "k K"], Float[np.ndarray, " K"]]:
    """Weights w and offset of min mean |y - x w - offset|^2 + RIDGE |w|^2, for x of mean 0."""
    offset = y.mean(0)
    penalty = RIDGE * len(x) * np.eye(x.shape[1])
    return np.linalg.solve(x.T @ x + penalty, x.T @ (y - offset)), offset


def _quality(samples: _Samples, units: Units, quality: Quality) -> float:
    if not (units.any() if units.dtype == bool else units.size):
        raise InputError("units: there are none to decode from; give at least one")
    weights, offset = ridge(samples.x[:, units], samples.y)
    return quality(samples.y_new, samples.x_new[:, units] @ weights + offset)


def _beside_random(
    samples: _Samples, circuit: Bool[np.ndarray, " N"], quality: Quality, n_draws: int, key: Key
) -> Decoding:
    if n_draws < 1:
        raise InputError(f"n_draws={n_draws}: must be at least 1")
    lots = host_generator(key).random((n_draws, len(circuit)))
    picks = np.argsort(lots, axis=1)[:, : int(circuit.sum())]
    found = _quality(samples, circuit, quality)  # first, since it refuses a circuit of no units
    drawn = np.array([_quality(samples, pick, quality) for pick in picks])
    return Decoding(
        circuit=found,
        random=float(drawn.mean()),
        random_low=float(np.quantile(drawn, 0.05)),
        random_high=float(np.quantile(drawn, 0.95)),
        all_units=_quality(samples, np.ones_like(circuit), quality),
    )


def _at_scored(
    case: Case, wanted: Float[np.ndarray, "T B K"]
) -> tuple[Float[Array, "t B N"], Float[np.ndarray, "t B K"]]:
    return clean_run(case).states[case.scored], wanted[case.scored]


def _samples(
    states: Float[Array, "T B N"],
    wanted: Float[np.ndarray, "T B K"],
    train: Bool[np.ndarray, " B"],
) -> _Samples:
    if train.all() or not train.any():
        raise InputError(
            f"train: {train.sum()} of {len(train)} trials are for training; at least one has to "
            "be, and one for testing"
        )
    h = np.asarray(states, float)
    x, x_new = (h[:, which].reshape(-1, h.shape[-1]) for which in (train, ~train))
    y, y_new = (wanted[:, which].reshape(-1, wanted.shape[-1]) for which in (train, ~train))
    return _Samples(x=z_scores(x, x), y=y, x_new=z_scores(x_new, x), y_new=y_new)


def _one_hot(latent: Classes) -> Float[np.ndarray, "T B M"]:
    n_odd = int((latent != np.round(latent)).sum())
    if n_odd:
        raise InputError(
            f"latent: {n_odd} of {latent.size} values are no whole numbers, so it is no class; "
            "decode an angle as its cosine and sine"
        )
    classes = np.unique(latent)
    if len(classes) < 2:
        raise InputError(f"latent is {classes[0]:g} at all steps: there is nothing to tell apart")
    return (latent[..., None] == classes).astype(float)


def _r2(true: np.ndarray, decoded: np.ndarray) -> float:
    if not np.ptp(true, axis=0).any():
        raise InputError("target: the same throughout the held-out trials; nothing to explain")
    return float(r2_score(true, decoded, multioutput="variance_weighted"))


def _accuracy(true: np.ndarray, decoded: np.ndarray) -> float:
    return float(np.mean(true.argmax(-1) == decoded.argmax(-1)))
