"""Fixed points of relu networks against an enumeration of all linear regions in numpy."""

from itertools import product

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from networks import net_of

from hmmrnn import InputError
from hmmrnn.dynamics.fixed_points.descent import end_points
from hmmrnn.dynamics.fixed_points.find import distinct
from hmmrnn.dynamics.fixed_points.regions import fixed_point_of_region, region_points
from hmmrnn.nets import RNNCell

N = 6
CELL = RNNCell(n_symbols=2, hidden_size=N, noise_dim=N, activation="relu", bias=True)
PATTERNS = np.array(list(product([False, True], repeat=N)))


def network(w_rec, bias):
    return {
        "W_in": jnp.eye(N),
        "W_rec": jnp.asarray(w_rec, jnp.float32),
        "W_out": jnp.ones((2, N)),
        "b_rec": jnp.asarray(bias, jnp.float32),
        "b_out": jnp.zeros(2),
    }


def random_network(seed):
    """Random weights; every other network has units that excite themselves and inhibit others."""
    rng = np.random.default_rng(seed)
    noise, bias = rng.standard_normal((N, N)), rng.uniform(0.5, 1.0, N)
    if seed % 2:
        return 0.5 * noise, bias
    return 0.05 * noise + 0.8 * np.eye(N) - 0.3 * (1 - np.eye(N)), bias


def enumerated(w, b):
    """All fixed points, and the pattern of active units of each."""
    found = []
    for active in PATTERNS:
        h = np.linalg.solve(np.eye(N) - active[:, None] * w, active * b)
        if np.array_equal(w @ h + b > 0, active):
            found.append((h, active))
    return found


def one_state_of_each_region(w, b):
    """h with W h + b = +1 or -1, for all 2^N choices."""
    return jnp.asarray(np.linalg.solve(w, (2.0 * PATTERNS - 1 - b).T).T, jnp.float32)


@pytest.mark.parametrize(
    ("seed", "leak"), [*((seed, 1.0) for seed in range(6)), (0, 0.2), (1, 0.2)]
)
def test_all_regions_give_what_enumeration_gives(seed, leak):
    """A leak changes neither the regions nor their fixed points."""
    w, b = random_network(seed)
    truth = enumerated(w, b)
    cell = CELL.clone(leak=leak)
    found = region_points(net_of(cell, network(w, b)), one_state_of_each_region(w, b))
    consistent = np.asarray(found.consistent)
    expected = [any(np.array_equal(p, active) for _, active in truth) for p in PATTERNS]
    np.testing.assert_array_equal(consistent, expected)
    np.testing.assert_allclose(
        np.asarray(found.points)[consistent], [h for h, _ in truth], rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize("seed", [0, 2])
def test_of_several_fixed_points_all_that_attract_are_found_and_counted(seed):
    w, b = random_network(seed)
    truth = np.array([h for h, _ in enumerated(w, b)])
    assert len(truth) > 10
    h0 = np.random.default_rng(seed).uniform(0, 3, (128, N)).astype(np.float32)
    params = network(w, b)
    search = end_points(net_of(CELL, params), jnp.asarray(h0))
    found = distinct(net_of(CELL, params), jnp.asarray(h0), search, jax.random.key(0))
    index, missed = nearest(found.points[found.fixed], truth)
    assert np.all(missed < 1e-3)  # what it calls fixed is fixed
    assert len(set(index)) == len(index)
    h = h0.astype(float)
    for _ in range(3_000):
        h = np.maximum(h @ w.T + b, 0)
    ends, missed = nearest(h, truth)
    assert np.all(missed < 1e-6)
    expected = np.bincount(ends, minlength=len(truth))
    assert np.sum(expected > 0) >= 3
    np.testing.assert_array_equal(found.n_attracted[found.fixed], expected[index])
    assert found.n_attracted.sum() == found.n_settled == 128
    assert found.stable[found.n_attracted > 0].all()


def test_a_leak_keeps_the_fixed_points_and_moves_their_eigenvalues():
    """J = (1-l) I + l D W at each of them; where the network goes is that of a loop in numpy."""
    w, b = random_network(0)
    leak, (truth, active) = 0.4, map(np.array, zip(*enumerated(w, b), strict=True))
    h0 = np.random.default_rng(0).uniform(0, 3, (128, N)).astype(np.float32)
    cell, params = CELL.clone(leak=leak), network(w, b)
    search = end_points(net_of(cell, params), jnp.asarray(h0))
    found = distinct(net_of(cell, params), jnp.asarray(h0), search, jax.random.key(0))
    index, missed = nearest(found.points[found.fixed], truth)
    assert np.all(missed < 1e-3)
    assert not found.at_kink[found.fixed].any()
    for i, values in zip(index, found.eigenvalues[found.fixed], strict=True):
        expected = np.linalg.eigvals((1 - leak) * np.eye(N) + leak * active[i][:, None] * w)
        np.testing.assert_allclose(np.sort(values.real), np.sort(expected.real), atol=1e-4)
    h = h0.astype(float)
    for _ in range(5_000):
        h = (1 - leak) * h + leak * np.maximum(h @ w.T + b, 0)
    ends, missed = nearest(h, truth)
    assert np.all(missed < 1e-6)
    expected = np.bincount(ends, minlength=len(truth))
    np.testing.assert_array_equal(found.n_attracted[found.fixed], expected[index])


def nearest(points, truth):
    distance = np.linalg.norm(points[:, None] - truth, axis=2)
    return distance.argmin(axis=1), distance.min(axis=1)


def test_without_bias_every_region_gives_the_origin():
    w, _ = random_network(1)
    found = region_points(net_of(CELL, network(w, np.zeros(N))), one_state_of_each_region(w, 0.0))
    assert np.all(found.consistent)
    assert np.all(found.points == 0)


def test_networks_side_by_side():
    several = [random_network(seed) for seed in range(3)]
    params = jax.tree.map(lambda *x: jnp.stack(x), *(network(*one) for one in several))
    states = jnp.stack([one_state_of_each_region(*one) for one in several])
    together = jax.jit(jax.vmap(lambda p, h: region_points(net_of(CELL, p), h)))(params, states)
    for i, one in enumerate(several):
        alone = region_points(net_of(CELL, network(*one)), states[i])
        np.testing.assert_array_equal(together.consistent[i], alone.consistent)


def test_a_region_without_a_single_solution_and_weights_that_are_not_numbers():
    line = network(np.eye(N), np.zeros(N))  # every state of active units is fixed
    found = fixed_point_of_region(net_of(CELL, line), jnp.ones(N))
    assert not found.consistent
    assert np.isnan(found.points).all()
    broken = network(np.full((N, N), np.nan), np.ones(N))
    assert not region_points(net_of(CELL, broken), jnp.ones((3, N))).consistent.any()


def test_only_relu_has_regions():
    cell = RNNCell(n_symbols=2, hidden_size=N, noise_dim=N, activation="tanh", bias=True)
    with pytest.raises(InputError, match="activation='tanh'"):
        region_points(net_of(cell, network(np.eye(N), np.ones(N))), jnp.ones((3, N)))
