"""Principal components of hidden states."""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from hmmrnn.arrays import HIGHEST
from hmmrnn.linear_algebra import eigh
from hmmrnn.results import result


@result
class PCA(NamedTuple):
    """Axes of largest variance, in falling order."""

    mean: Float[Array, " N"]
    axes: Float[Array, "C N"]  # orthonormal rows; the largest entry of each is positive
    explained: Float[Array, " C"]  # share of the total variance


def pca(states: Float[Array, "*P N"], n_components: int) -> PCA:
    """The first `n_components` principal components of a cloud of states."""
    cloud = states.reshape(-1, states.shape[-1])
    mean = jnp.mean(cloud, axis=0)
    centred = cloud - mean
    covariance = jnp.matmul(centred.T, centred, precision=HIGHEST) / len(cloud)
    variances, vectors = eigh(covariance)
    order = jnp.argsort(-variances)[:n_components]
    axes = vectors.T[order]
    largest = jnp.take_along_axis(axes, jnp.argmax(jnp.abs(axes), 1)[:, None], 1)
    axes = axes * jnp.where(largest < 0, -1.0, 1.0)
    total = jnp.trace(covariance)
    share = jnp.where(total > 0, jnp.maximum(variances[order], 0) / total, 0.0)
    return PCA(mean, axes, share)


def padded(points: Float[Array, "*P C"], n_coordinates: int) -> Float[Array, "*P n"]:
    """Points with `n_coordinates` coordinates: those that a network of fewer units lacks are 0."""
    missing = n_coordinates - points.shape[-1]
    return jnp.pad(points, [(0, 0)] * (points.ndim - 1) + [(0, missing)])


def project(plane: PCA, states: Float[Array, "*P N"]) -> Float[Array, "*P C"]:
    """Coordinates of states along the components."""
    return jnp.matmul(states - plane.mean, plane.axes.T, precision=HIGHEST)
