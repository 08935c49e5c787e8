"""Distance of generated sequences from HMM sequences after the best one-to-one matching."""

import numpy as np
from jaxtyping import Int
from scipy.optimize import linear_sum_assignment


def matched_distances(
    symbols: Int[np.ndarray, "B T"], others: Int[np.ndarray, "B T"], n_symbols: int
) -> np.ndarray:
    """Euclidean distances (B,) of one-hot sequences to their partners (Torre et al. 2025).

    The partners are those of the assignment with the smallest total distance, found exactly.
    Padding, -1, is zero one-hot.
    """
    eye = np.eye(n_symbols + 1, n_symbols, dtype=np.float32)  # its last row is what -1 takes
    x, y = (eye[np.asarray(s)].reshape(len(s), -1) for s in (symbols, others))
    length = x.sum(axis=1)[:, None] + y.sum(axis=1)
    distance = np.sqrt(np.maximum(length - 2.0 * (x @ y.T), 0))
    rows, columns = linear_sum_assignment(distance)
    return distance[rows, columns]
