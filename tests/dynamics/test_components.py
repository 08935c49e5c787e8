import jax
import jax.numpy as jnp
import numpy as np

from hmmrnn.dynamics import pca, project


def cloud(key):
    mixing = jax.random.normal(jax.random.key(9), (6, 6))
    return jax.random.normal(key, (500, 6)) @ mixing + 3


def test_axes_and_variances_are_those_of_numpys_svd():
    states = np.asarray(cloud(jax.random.key(0)), np.float64)
    found = pca(jnp.asarray(states), 4)
    _, singular, axes = np.linalg.svd(states - states.mean(axis=0), full_matrices=False)
    share = singular**2 / np.sum(singular**2)
    np.testing.assert_allclose(found.explained, share[:4], rtol=1e-4)
    overlap = np.abs(np.sum(np.asarray(found.axes) * axes[:4], axis=1))
    np.testing.assert_allclose(overlap, 1, atol=1e-4)


def test_projection_keeps_distances_when_all_components_are_kept():
    states = cloud(jax.random.key(1))
    points = project(pca(states, 6), states)
    np.testing.assert_allclose(
        np.linalg.norm(points[0] - points[1]), np.linalg.norm(states[0] - states[1]), rtol=1e-4
    )
    np.testing.assert_allclose(np.mean(points, axis=0), 0, atol=1e-3)


def test_signs_do_not_depend_on_the_order_of_states():
    states = cloud(jax.random.key(2))
    a, b = pca(states, 3), pca(states[::-1], 3)
    np.testing.assert_allclose(a.axes, b.axes, atol=1e-3)
    assert np.all(np.max(a.axes, axis=1) == np.max(np.abs(a.axes), axis=1))


def test_a_still_cloud_explains_nothing():
    assert np.array_equal(pca(jnp.ones((10, 4)), 2).explained, [0, 0])
