"""Distance of generated sequences from HMM sequences after the best one-to-one matching."""

import numpy as np
from jaxtyping import Int
from scipy.optimize import linear_sum_assignment


def matched_distances(
    symbols: Int[np.ndarray, "B T"], others: Int[np.ndarray, "B T"], n_symbols: int
) -> np.ndarray:
    """Euclidean distances (B,) of one-hot sequences to their partners (Torre et al. 2025).

    The partners are those of the assignment with the smallest total distance, found exactly.
    """
    eye = np.eye(n_symbols, dtype=np.float32)
    x, y = (eye[np.asarray(s)].reshape(len(s), -1) for s in (symbols, others))
    distance = np.sqrt(np.maximum(2.0 * symbols.shape[1] - 2.0 * (x @ y.T), 0))
    rows, columns = linear_sum_assignment(distance)
    return distance[rows, columns]
