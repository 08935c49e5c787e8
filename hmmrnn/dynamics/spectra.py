"""Jacobians of a network and their eigenvalues: which directions grow, and which ones turn.

Jacobians are jax and run anywhere. Eigenvalues are taken by LAPACK on the host, where they are
fast: no accelerator has a fast solver for matrices that are not symmetric. That is a step of its
own, outside of compiled code, so no sweep waits for it in its middle.
"""

import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Array, Complex, Float, Int

from hmmrnn.arrays import Params
from hmmrnn.errors import InputError
from hmmrnn.nets import RNNCell, step

CRITICAL_REAL = 0.1
CRITICAL_IMAGINARY = 0.05


class Spectrum(NamedTuple):
    """What the eigenvalues of P Jacobians say (Torre et al. 2025, section on eigenvalues)."""

    eigenvalues: Complex[np.ndarray, "P N"]  # of the map; the largest modulus first
    n_unstable: Int[np.ndarray, " P"]  # directions that grow, |l| > 1
    n_critical_pairs: Int[np.ndarray, " P"]  # complex pairs at the edge of growth


def jacobian(
    cell: RNNCell, params: Params, h: Float[Array, " N"], drive: Float[Array, " N"] | float = 0.0
) -> Float[Array, "N N"]:
    """J_ij = d F_i / d h_j of one step from h, under the drive W_in x; without input by default.

    Without bias and with relu it is diag(W_rec h > 0) W_rec.
    """
    return jax.jacfwd(lambda state: step(cell, params, state, drive))(h)


def jacobians(cell: RNNCell, params: Params, states: Float[Array, "P N"]) -> Float[Array, "P N N"]:
    """The Jacobian at each state, without input."""
    return jax.vmap(lambda h: jacobian(cell, params, h))(states)


def spectrum(matrices: Float[Array, "P N N"]) -> Spectrum:
    """Eigenvalues of Jacobians, how many of them grow, and how many pairs are critical.

    Unstable: Re m > 0 for m = (l - 1) / (l + 1), the same as |l| > 1. Critical pair: |Re m| < 0.1
    and Im m > 0.05.

    Raises:
        InputError: called inside of `jit` or `vmap`, where the host cannot see the matrices.
    """
    values = eigenvalues(matrices)
    rates = moebius(values)
    critical = (np.abs(rates.real) < CRITICAL_REAL) & (rates.imag > CRITICAL_IMAGINARY)
    return Spectrum(values, np.sum(np.abs(values) > 1, axis=1), np.sum(critical, axis=1))


def eigenvalues(matrices: Float[Array, "P N N"]) -> Complex[np.ndarray, "P N"]:
    """Eigenvalues of each matrix, the largest modulus first; NaN for one that is not finite.

    A row of zeros, such as a silent relu unit makes, is an eigenvalue 0; the others are those of
    the matrix without that row and column, which is much smaller.
    """
    if isinstance(matrices, jax.core.Tracer):
        raise InputError("eigenvalues are taken on the host: compute the Jacobians under jit, then")
    found = np.full(matrices.shape[:2], np.nan, np.complex64)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for row, values in enumerate(pool.map(_eigenvalues, np.asarray(matrices))):
            found[row] = values
    return found


def moebius(values: Complex[np.ndarray, "*P"]) -> Complex[np.ndarray, "*P"]:
    """M = (l - 1) / (l + 1): from the unit circle of a map to the imaginary axis of a flow."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return (values - 1) / (values + 1)


def _eigenvalues(matrix: Float[np.ndarray, "N N"]) -> Iterable[complex]:
    if not np.isfinite(matrix).all():
        return np.full(len(matrix), np.nan)
    active = np.any(matrix != 0, axis=1)
    values = np.linalg.eigvals(matrix[np.ix_(active, active)])
    padded = np.concatenate([values, np.zeros(len(matrix) - len(values))])
    return padded[np.argsort(-np.abs(padded))]
