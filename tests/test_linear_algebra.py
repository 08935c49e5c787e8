import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hmmrnn.linear_algebra import eigh, solve

PATIENCE = 200
"""Seconds; it takes five, or for ever."""

MANY_AT_ONCE = """
import jax, jax.numpy as jnp
from hmmrnn.linear_algebra import eigh, solve

@jax.jit
def total(key):
    found = 0.0
    for key in jax.random.split(key, 6):
        x = jax.random.normal(key, (8, 60, 60))
        symmetric = jnp.einsum("bij,bkj->bik", x, x)
        found += jnp.sum(jax.vmap(eigh)(symmetric)[0])
        found += jnp.sum(jax.vmap(solve)(symmetric + jnp.eye(60), x[:, 0]))
    return found

for seed in range(20):
    total(jax.random.key(seed)).block_until_ready()
"""


@pytest.fixture(scope="module")
def matrices():
    x = np.random.default_rng(0).normal(size=(5, 12, 12))
    return jnp.asarray(x @ np.swapaxes(x, 1, 2) + np.eye(12), jnp.float32)


def test_eigenvectors_are_those_of_numpy(matrices):
    values, vectors = jax.jit(jax.vmap(eigh))(matrices)
    expected = np.linalg.eigvalsh(np.asarray(matrices, np.float64))
    np.testing.assert_allclose(values, expected, rtol=1e-4)
    rebuilt = jnp.einsum("bij,bj,bkj->bik", vectors, values, vectors)
    np.testing.assert_allclose(rebuilt, matrices, atol=1e-4)


def test_systems_are_solved_one_or_many(matrices):
    right = jnp.arange(12.0)
    many = jax.vmap(solve, in_axes=(0, None))(matrices, right)
    for matrix, found in zip(matrices, many, strict=True):
        np.testing.assert_allclose(matrix @ found, right, atol=1e-3)
        np.testing.assert_allclose(found, solve(matrix, right), atol=1e-6)
    assert not np.isfinite(solve(jnp.zeros((2, 2)), jnp.ones(2))).any()


def test_many_batches_at_once_come_to_an_end():
    """Two threads, as on two cores; jaxlib's own batches wait for each other here."""
    root = Path(__file__).parents[1]
    subprocess.run([sys.executable, "-c", MANY_AT_ONCE], cwd=root, check=True, timeout=PATIENCE)
