import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hmmrnn.dynamics import dwell_moments, net_cycles, transitions


def circle(turns, n_steps=400):
    angle = np.linspace(0, 2 * np.pi * turns, n_steps)
    return np.stack([np.cos(angle), np.sin(angle)], axis=-1)


@pytest.mark.parametrize("turns", [-2.0, 0.5, 1.0, 7.25])
def test_turns_of_a_circle(turns):
    assert float(net_cycles(jnp.asarray(circle(turns)))) == pytest.approx(turns, abs=1e-3)


def test_one_step_has_no_transition():
    assert transitions(jnp.array([[2], [0]])).tolist() == [[False], [False]]


def test_back_and_forth_is_no_rotation_and_time_reversal_changes_the_sign():
    path = circle(0.4)
    there_and_back = np.concatenate([path, path[::-1]])
    assert float(net_cycles(jnp.asarray(there_and_back))) == pytest.approx(0, abs=1e-4)
    forward, backward = (float(net_cycles(jnp.asarray(p))) for p in (path, path[::-1].copy()))
    assert forward == pytest.approx(-backward, abs=1e-4)


def test_rotation_does_not_depend_on_the_size_of_the_orbit():
    path = circle(3) * np.array([5.0, 0.2])
    assert float(net_cycles(jnp.asarray(path))) == pytest.approx(3, abs=1e-2)
    tiny = jnp.asarray(circle(3) * 1e-3)
    assert float(net_cycles(tiny)) == pytest.approx(3, abs=1e-3)


def test_transitions_mark_the_first_step_of_a_new_symbol():
    found = transitions(jnp.array([2, 2, 0, 0, 1, 1, 1, 2]))
    assert np.flatnonzero(found).tolist() == [2, 4, 7]


@settings(max_examples=30, deadline=None)
@given(st.lists(st.booleans(), min_size=12, max_size=12))
def test_dwell_moments_are_those_of_the_gaps(changes):
    gaps = np.diff(np.flatnonzero(changes))
    expected = [len(gaps), gaps.sum(), np.sum(gaps**2)]
    assert np.asarray(dwell_moments(jnp.array(changes))).tolist() == expected


def test_rotation_of_vmapped_paths():
    paths = jnp.asarray(np.stack([circle(1), circle(-1)]))
    np.testing.assert_allclose(net_cycles(paths), [1, -1], atol=1e-3)
    np.testing.assert_allclose(jax.vmap(net_cycles)(paths), [1, -1], atol=1e-3)
