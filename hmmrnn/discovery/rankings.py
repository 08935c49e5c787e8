"""What circuit discovery has to beat: ways to rank units without touching any of them."""

import numpy as np
from jaxtyping import Float

from hmmrnn.arrays import Key, Params, host_generator
from hmmrnn.discovery.case import Case, clean_run
from hmmrnn.discovery.decoding import ridge, z_scores

BASELINES = ("correlation", "variance", "decoder weight", "weights in", "weights out", "random")


def baselines(case: Case, key: Key) -> dict[str, Float[np.ndarray, "W N"]]:
    """Strengths of all units in each window, larger is more important.

    The first three are of the clean run's states in the steps of the window, over all trials.

    - correlation: the largest |Pearson correlation| with what the case says is to be decoded.
    - variance: of the unit.
    - decoder weight: sum over outputs of |weight| of the z-scored unit in the ridge regression of
      the same on all units (as in `decoding`). Of a network's own readout it would find W_out.
    - weights in, weights out: sum_j |W_rec[i, j]| + sum_d |W_in[i, d]| of the receiver i, and
      sum_i |W_rec[i, j]| + sum_k |W_out[k, j]| of the sender j, the same in all windows.
    - random: uniform in [0, 1).

    A unit that is constant has neither correlation nor decoder weight: 0.
    """
    states, target = np.asarray(clean_run(case).states, float), np.asarray(case.decoded, float)
    windows = [(_flat(states[a:b]), _flat(target[a:b])) for a, b in case.bounds]
    shape = len(windows), states.shape[-1]
    found = (
        np.stack([correlation(h, y) for h, y in windows]),
        np.stack([h.var(0) for h, _ in windows]),
        np.stack([decoder_weight(h, y) for h, y in windows]),
        *(np.tile(strength, (shape[0], 1)) for strength in static_weights(case.network.params)),
        host_generator(key).random(shape),
    )
    return dict(zip(BASELINES, found, strict=True))


def correlation(
    h: Float[np.ndarray, "S N"], y: Float[np.ndarray, "S K"]
) -> Float[np.ndarray, " N"]:
    """Largest |Pearson correlation| of each unit with an output; 0 if either is constant."""
    return np.abs(z_scores(h, h).T @ z_scores(y, y)).max(1) / len(h)


def decoder_weight(
    h: Float[np.ndarray, "S N"], y: Float[np.ndarray, "S K"]
) -> Float[np.ndarray, " N"]:
    """Sum over outputs of |weight| of each z-scored unit in a ridge regression."""
    return np.abs(ridge(z_scores(h, h), y)[0]).sum(1)


def static_weights(params: Params) -> tuple[Float[np.ndarray, " N"], Float[np.ndarray, " N"]]:
    """Sums of all |weights| into and out of each unit."""
    W_rec, W_in, W_out = (np.abs(np.asarray(params[w], float)) for w in ("W_rec", "W_in", "W_out"))
    return W_rec.sum(1) + W_in.sum(1), W_rec.sum(0) + W_out.sum(0)


def _flat(x: Float[np.ndarray, "T B M"]) -> Float[np.ndarray, "S M"]:
    return x.reshape(-1, x.shape[-1])
