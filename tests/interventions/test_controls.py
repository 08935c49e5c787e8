import jax
import numpy as np
import pytest

from hmmrnn.interventions.controls import activity_and_norm, matched_controls
from hmmrnn.nets import RNNCell, init_params

KEY = jax.random.key(2)
N = 60


def units(seed=0):
    """Activity and norm over three orders of magnitude; a group and units to keep out."""
    rng = np.random.default_rng(seed)
    activity, norm = np.exp(rng.uniform(-3, 3, (2, N)))
    order = rng.permutation(N)
    group, excluded = np.zeros((2, N), bool)
    group[order[:8]] = True
    excluded[order[8:20]] = True
    return activity, norm, group, excluded


def test_activity_and_norm_are_those_of_the_definition():
    cell = RNNCell(n_symbols=3, hidden_size=7, noise_dim=2)
    params = init_params(cell, KEY)
    states = jax.random.normal(KEY, (4, 9, 7))
    activity, norm = activity_and_norm(params, states)
    for i in range(7):
        assert activity[i] == pytest.approx(np.abs(np.asarray(states)[..., i]).mean(), rel=1e-5)
        squares = sum(np.sum(np.asarray(params[name])[:, i] ** 2) for name in ("W_rec", "W_out"))
        assert norm[i] == pytest.approx(np.sqrt(squares), rel=1e-5)


def test_controls_have_the_size_of_the_group_and_none_of_its_units():
    activity, norm, group, excluded = units()
    found = matched_controls(activity, norm, group, excluded, 30, KEY)
    assert found.masks.shape == (30, N)
    np.testing.assert_array_equal(found.masks.sum(1), 8)
    assert not (found.masks & (group | excluded)).any()
    assert found.n_available == N - 20
    assert len(np.unique(found.masks, axis=0)) > 20
    np.testing.assert_allclose(found.activity_ratio, found.masks @ activity / activity[group].sum())
    np.testing.assert_allclose(found.out_norm_ratio, found.masks @ norm / norm[group].sum())


def test_each_unit_gets_a_twin_where_there_are_enough():
    """Eight kinds of units, seven of each: the five nearest to a member are of its kind."""
    kind = np.arange(56) % 8
    activity, norm = np.exp(kind), np.exp(-2.0 * (kind % 3))
    group = np.arange(56) < 8
    found = matched_controls(activity, norm, group, np.zeros(56, bool), 40, KEY)
    for mask in found.masks:
        np.testing.assert_array_equal(np.sort(kind[mask]), np.arange(8))
    np.testing.assert_allclose(found.activity_ratio, 1)
    np.testing.assert_allclose(found.out_norm_ratio, 1)
    often = found.masks.sum(0)[8:]
    assert often.max() < 20  # five candidates each: about 8 of 40 draws
    assert (often > 0).sum() > 35


def test_matching_beats_random_units():
    activity, norm, group, excluded = units(1)
    found = matched_controls(activity, norm, group, excluded, 100, KEY)
    rng = np.random.default_rng(0)
    free = np.flatnonzero(~group & ~excluded)
    random = np.array([rng.choice(free, 8, replace=False) for _ in range(100)])
    for values, ratio in ((activity, found.activity_ratio), (norm, found.out_norm_ratio)):
        at_random = np.log(values[random].sum(1) / values[group].sum())
        assert np.mean(np.log(ratio) ** 2) < 0.6 * np.mean(at_random**2)


def test_all_candidates_are_taken_where_there_are_just_enough():
    activity, norm, group, _ = units()
    excluded = np.zeros(N, bool)
    excluded[np.flatnonzero(~group)[8:]] = True
    found = matched_controls(activity, norm, group, excluded, 5, KEY)
    np.testing.assert_array_equal(found.masks, np.tile(~group & ~excluded, (5, 1)))


def test_too_few_candidates_give_no_control():
    activity, norm, group, _ = units()
    excluded = np.zeros(N, bool)
    excluded[np.flatnonzero(~group)[7:]] = True
    found = matched_controls(activity, norm, group, excluded, 5, KEY)
    assert found.masks.shape == (0, N)
    assert len(found.activity_ratio) == len(found.out_norm_ratio) == 0
    assert found.n_available == 7


def test_an_empty_group_has_empty_controls():
    activity, norm, _, excluded = units()
    found = matched_controls(activity, norm, np.zeros(N, bool), excluded, 3, KEY)
    np.testing.assert_array_equal(found.masks, np.zeros((3, N), bool))
    assert np.isnan(found.activity_ratio).all()


def test_silent_units_are_matched_with_silent_ones():
    activity, norm, group, excluded = units()
    quiet = np.flatnonzero(~group & ~excluded)[:10]
    members = np.flatnonzero(group)[:2]
    activity[quiet] = activity[members] = 0
    norm[:] = 1
    found = matched_controls(activity, norm, group & (activity == 0), excluded | group, 20, KEY)
    assert set(np.flatnonzero(found.masks.any(0))) <= set(quiet)
    assert np.isnan(found.activity_ratio).all()  # nothing over nothing
    np.testing.assert_allclose(found.out_norm_ratio, 1)


def test_relabelled_units_get_the_same_controls_and_other_keys_others():
    activity, norm, group, excluded = units()
    found = matched_controls(activity, norm, group, excluded, 6, KEY)
    kept = np.argsort(~group, kind="stable")  # members keep their order, and the others theirs
    again = matched_controls(*(x[kept] for x in (activity, norm, group, excluded)), 6, KEY)
    np.testing.assert_array_equal(again.masks, found.masks[:, kept])
    other = matched_controls(activity, norm, group, excluded, 6, jax.random.key(3))
    assert not np.array_equal(other.masks, found.masks)
