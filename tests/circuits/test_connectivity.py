"""Weight blocks by hand, their shuffles by what they keep, planted and random matrices by z."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hmmrnn.circuits.connectivity import additive_part, shuffled, weight_blocks

KEY = jax.random.key(2)
N = 40


def mask(units, n=N):
    return np.isin(np.arange(n), list(units))


def blocks_of(W, groups, key=KEY):
    return weight_blocks({"W_rec": jnp.asarray(W, jnp.float32)}, groups, key)


def test_block_means_by_hand():
    W = np.array([[9, 1, 2], [3, 9, 5], [7, 8, 9]])  # W[i, j]: from j to i
    found = blocks_of(W, {"a": mask([0, 1], 3), "b": mask([2], 3), "none": mask([], 3)})
    assert found.names == ("a", "b", "none")
    nan = np.nan
    # a to a: 1 and 3, not the 9s; b to a: 2 and 5; a to b: 7 and 8; b to itself: nothing is left.
    np.testing.assert_allclose(found.mean, [[2, 3.5, nan], [7.5, nan, nan], [nan, nan, nan]])
    for array in (found.z, found.null_low, found.null_high):
        np.testing.assert_array_equal(np.isnan(array)[2], True)


def test_block_means_against_a_loop():
    rng = np.random.default_rng(0)
    W = rng.normal(size=(N, N))
    groups = {"a": mask(range(7)), "b": mask(range(5, 20)), "c": mask(range(N))}  # they overlap
    found = blocks_of(W, groups)
    for i, target in enumerate(groups.values()):
        for j, source in enumerate(groups.values()):
            weights = [W[p, q] for p in range(N) for q in range(N)
                       if p != q and target[p] and source[q]]  # fmt: skip
            assert found.mean[i, j] == pytest.approx(np.mean(weights), abs=1e-6)


def test_shuffles_keep_what_each_unit_sends_and_receives():
    rng = np.random.default_rng(1)
    W = rng.normal(size=(N, N)) + 3 * rng.normal(size=N) + 2 * rng.normal(size=(N, 1))
    expected, rest = additive_part(W)
    np.testing.assert_allclose(expected + rest, W)
    np.testing.assert_allclose([rest.sum(0), rest.sum(1)], 0, atol=1e-10)
    draws = [shuffled(expected, rest, rng) for _ in range(5)]
    for draw in draws:
        np.testing.assert_allclose(draw.sum(0), W.sum(0), atol=1e-9)
        np.testing.assert_allclose(draw.sum(1), W.sum(1), atol=1e-9)
        moved = draw - expected
        assert moved.std() == pytest.approx(rest.std(), rel=0.1)
        assert abs(np.corrcoef(moved.ravel(), rest.ravel())[0, 1]) < 0.1
    assert not np.allclose(draws[0], draws[1])


def test_a_planted_block_stands_out_and_strong_units_alone_do_not():
    rng = np.random.default_rng(2)
    groups = {"a": mask(range(8)), "b": mask(range(8, 16)), "c": mask(range(16, 24))}
    W = rng.normal(size=(N, N))
    strong = W + 4.0 * mask(range(8)) - 4.0 * mask(range(8, 16))[:, None]  # senders, receivers
    planted = strong.copy()
    planted[np.ix_(groups["b"], groups["a"])] += 2
    planted[np.ix_(groups["c"], groups["b"])] -= 2
    alone, found = blocks_of(strong, groups), blocks_of(planted, groups)
    assert np.abs(alone.z).max() < 4
    assert found.z[1, 0] > 6
    assert found.mean[1, 0] > found.null_high[1, 0]
    assert found.z[2, 1] < -6
    assert found.mean[2, 1] < found.null_low[2, 1]
    rest = np.ones((3, 3), bool)
    rest[1, 0] = rest[2, 1] = False
    assert np.abs(found.z[rest]).max() < np.abs(found.z[~rest]).min()


def test_random_matrices_are_within_their_shuffles():
    rng = np.random.default_rng(3)
    groups = {name: mask(range(8 * i, 8 * i + 8)) for i, name in enumerate("abcde")}
    z, outside = [], []
    for i in range(4):
        found = blocks_of(rng.normal(size=(N, N)), groups, jax.random.key(i))
        z.append(found.z)
        outside.append((found.mean < found.null_low) | (found.mean > found.null_high))
    assert np.std(z) == pytest.approx(1, abs=0.25)
    assert abs(np.mean(z)) < 0.3
    assert np.mean(outside) < 0.12


def test_weights_that_are_a_sum_of_rows_and_columns_leave_nothing_to_shuffle():
    rng = np.random.default_rng(4)
    found = blocks_of(np.full((N, N), 0.5), {"a": mask(range(4)), "b": mask(range(4, 9))})
    np.testing.assert_allclose(found.mean, 0.5)
    np.testing.assert_allclose(found.null_low, 0.5, atol=1e-6)
    W = rng.normal(size=N) + rng.normal(size=(N, 1))
    units = {"a": mask(range(4)), "b": mask(range(4, 9))}
    np.testing.assert_allclose(blocks_of(W, units).null_high, blocks_of(W, units).mean, atol=1e-5)


def test_relabelling_units_permutes_nothing_but_the_draws():
    rng = np.random.default_rng(5)
    W, order = rng.normal(size=(N, N)), rng.permutation(N)
    groups = {"a": mask(range(8)), "b": mask(range(8, 20))}
    one = blocks_of(W, groups)
    other = blocks_of(W[np.ix_(order, order)], {name: m[order] for name, m in groups.items()})
    np.testing.assert_allclose(other.mean, one.mean, atol=1e-6)
    np.testing.assert_allclose(other.z, one.z, atol=0.5)


def test_no_groups():
    assert blocks_of(np.eye(N), {}).mean.shape == (0, 0)
