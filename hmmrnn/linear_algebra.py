"""Eigenvectors and linear systems, one matrix after the other under `vmap`.

On CPUs jaxlib (0.10.2) gives the matrices of a batch to the threads that run the program, and waits
for them on one of those. A program with as many such calls at once as it has threads waits for
ever: on two cores, principal components of two clouds do. One matrix at a time is done in place,
and takes no longer.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


@jax.custom_batching.sequential_vmap
def _eigh(matrix: Array) -> tuple[Array, Array]:
    return tuple(jnp.linalg.eigh(matrix))


@jax.custom_batching.sequential_vmap
def _solve(matrix: Array, right: Array) -> Array:
    return jnp.linalg.solve(matrix, right)


def eigh(matrix: Float[Array, "N N"]) -> tuple[Float[Array, " N"], Float[Array, "N N"]]:
    """Eigenvalues in rising order and eigenvectors (columns) of a symmetric matrix."""
    values, vectors = _eigh(matrix)
    return values, vectors


def solve(matrix: Float[Array, "N N"], right: Float[Array, " N"]) -> Float[Array, " N"]:
    """X with matrix x = right; not finite for a singular matrix."""
    return _solve(matrix, right)
