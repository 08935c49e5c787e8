"""Overlap of groups against every group that there could be."""

from itertools import combinations

import numpy as np
import pytest

from hmmrnn.circuits.composition import composition, overlap


def mask(units, n):
    return np.isin(np.arange(n), list(units))


@pytest.mark.parametrize(
    ("n", "a", "b"),
    [(7, {0, 1, 2}, {2, 3}), (8, {0, 1, 2, 3}, {0, 1, 2}), (6, {0, 1}, {2, 3}), (5, {1}, {1})],
)
def test_chance_is_the_share_of_all_groups_that_overlap_as_much(n, a, b):
    found = overlap(mask(a, n), mask(b, n))
    shared = [len(a & set(other)) for other in combinations(range(n), len(b))]
    assert found.shared == len(a & b)
    assert found.jaccard == pytest.approx(len(a & b) / len(a | b))
    assert found.chance == pytest.approx(np.mean(np.array(shared) >= len(a & b)))
    mean = np.mean(shared)
    assert found.expected == pytest.approx(mean / (len(a) + len(b) - mean))


def test_chance_under_random_permutations():
    rng = np.random.default_rng(0)
    a, b = mask(range(30), 120), mask(range(20, 60), 120)
    shared = [(rng.permutation(a) & b).sum() for _ in range(4_000)]
    found = overlap(a, b)
    assert found.shared == 10
    assert found.chance == pytest.approx(np.mean(np.array(shared) >= 10), abs=0.03)


def test_empty_groups():
    none, some = mask([], 6), mask([1, 2], 6)
    both, one = overlap(none, none), overlap(none, some)
    assert np.isnan(both.jaccard)
    assert np.isnan(both.expected)
    assert both.chance == 1
    assert (one.shared, one.jaccard, one.expected, one.chance) == (0, 0, 0, 1)


def test_every_group_beside_every_other():
    rng = np.random.default_rng(1)
    groups = {name: rng.random(20) < 0.4 for name in ("a", "b", "c")}
    found = composition(groups)
    assert found.names == ("a", "b", "c")
    for i, a in enumerate(groups.values()):
        for j, b in enumerate(groups.values()):
            cell = overlap(a, b)
            assert found.jaccard[i, j] == cell.jaccard
            assert found.expected[i, j] == cell.expected
            assert found.chance[i, j] == cell.chance
    np.testing.assert_array_equal(np.diag(found.jaccard), 1)
    np.testing.assert_array_equal(found.jaccard, found.jaccard.T)
    assert composition({}).jaccard.shape == (0, 0)
