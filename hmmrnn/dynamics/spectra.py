"""Jacobians of a network and their eigenvalues: which directions grow, and which ones turn.

Jacobians are jax and run anywhere. Eigenvalues are taken by LAPACK on the host, where they are
fast: no accelerator has a fast solver for matrices that are not symmetric. That is a step of its
own, outside of compiled code, so no sweep waits for it in its middle.
"""

import os
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float

from hmmrnn.errors import InputError
from hmmrnn.nets import Network
from hmmrnn.results import result

CRITICAL_REAL = 0.1
CRITICAL_IMAGINARY = 0.05


@result
class Spectrum(NamedTuple):
    """What the eigenvalues of P Jacobians say (Torre et al. 2025, section on eigenvalues).

    A matrix that is not finite has eigenvalues NaN and counts NaN, so no mean takes it for stable.
    """

    eigenvalues: Complex[np.ndarray, "P N"]  # of the map; the largest modulus first
    n_unstable: Float[np.ndarray, " P"]  # directions that grow, |l| > 1
    n_critical_pairs: Float[np.ndarray, " P"]  # complex pairs at the edge of growth


def jacobian(
    network: Network, h: Float[Array, " N"], drive: Float[Array, " N"] | float = 0.0
) -> Float[Array, "N N"]:
    """J_ij = d F_i / d h_j of one step from h, under the drive W_in x; without input by default.

    Without bias and with relu it is diag(W_rec h > 0) W_rec.
    """
    return jax.jacfwd(lambda state: network.step(state, drive))(h)


def jacobians(network: Network, states: Float[Array, "P N"]) -> Float[Array, "P N N"]:
    """The Jacobian at each state, without input."""
    return jax.vmap(lambda h: jacobian(network, h))(states)


def spectra_along(network: Network, states: Float[Array, "P N"], chunk: int = 256) -> Spectrum:
    """The spectrum at each of many states, without input, for `chunk` of them at a time.

    Memory is that of `chunk` matrices of N x N, whatever the number of states.

    Raises:
        InputError: a chunk below 1, or called inside of `jit` or `vmap`.
    """
    if chunk < 1:
        raise InputError(f"chunk={chunk}: states are taken at least 1 at a time")
    _expect_host(states)
    n_states, n_units = states.shape
    found = [spectrum(jnp.zeros((0, n_units, n_units)))]
    for first in range(0, n_states, chunk):
        some = states[first : first + chunk]
        n_missing = min(chunk, n_states) - len(some)  # filled up: one shape compiles once
        matrices = _compiled_jacobians(network, jnp.pad(some, ((0, n_missing), (0, 0))))
        found.append(spectrum(matrices[: len(some)]))
    return Spectrum(*(np.concatenate(parts) for parts in zip(*found, strict=True)))


@jax.jit
def _compiled_jacobians(network: Network, states: Float[Array, "P N"]) -> Float[Array, "P N N"]:
    return jacobians(network, states)


def spectrum(matrices: Float[Array, "P N N"]) -> Spectrum:
    """Eigenvalues of Jacobians, how many of them grow, and how many pairs are critical.

    Unstable: Re m > 0 for m = (l - 1) / (l + 1), the same as |l| > 1. Critical pair: |Re m| < 0.1
    and Im m > 0.05, which one eigenvalue of each conjugate pair can meet.

    Raises:
        InputError: called inside of `jit` or `vmap`, where the host cannot see the matrices.
    """
    values = eigenvalues(matrices)
    rates = moebius(values)
    unstable = np.abs(values) > 1
    critical = (np.abs(rates.real) < CRITICAL_REAL) & (rates.imag > CRITICAL_IMAGINARY)
    unknown = np.isnan(values).any(axis=1)
    counts = (np.where(unknown, np.nan, np.sum(which, axis=1)) for which in (unstable, critical))
    return Spectrum(values, *counts)


def eigenvalues(matrices: Float[Array, "P N N"]) -> Complex[np.ndarray, "P N"]:
    """Eigenvalues of each matrix, the largest modulus first; NaN for one that is not finite.

    A row of zeros, such as a silent relu unit makes, is an eigenvalue 0; the others are those of
    the matrix without that row and column, which is much smaller.

    Raises:
        InputError: called inside of `jit` or `vmap`.
    """
    _expect_host(matrices)
    found = np.full(matrices.shape[:2], np.nan, np.complex64)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for row, values in enumerate(pool.map(_eigenvalues, np.asarray(matrices))):
            found[row] = values
    return found


def moebius(values: Complex[np.ndarray, "*P"]) -> Complex[np.ndarray, "*P"]:
    """M = (l - 1) / (l + 1): from the unit circle of a map to the imaginary axis of a flow.

    Infinite for l = -1, which flips a direction without growth.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        mapped = (values - 1) / (values + 1)
    return np.where(values == -1, np.inf, mapped).astype(values.dtype)


def _eigenvalues(matrix: Float[np.ndarray, "N N"]) -> Complex[np.ndarray, " N"]:
    found = np.full(len(matrix), np.nan, np.complex64)
    if not np.isfinite(matrix).all():
        return found
    active = np.any(matrix != 0, axis=1)
    try:
        values = np.linalg.eigvals(matrix[np.ix_(active, active)].astype(np.float64))
    except np.linalg.LinAlgError:  # no convergence
        return found
    found[:] = 0
    with np.errstate(over="ignore"):
        found[: len(values)] = values[np.argsort(-np.abs(values), kind="stable")]
    return found


def _expect_host(array: Array) -> None:
    if isinstance(array, jax.core.Tracer):
        raise InputError(
            "eigenvalues are taken on the host: compute the Jacobians under jit or vmap, "
            "and their spectrum outside of it"
        )
