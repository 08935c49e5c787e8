import jax.numpy as jnp
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from hmmrnn.recordings.symbols import dwell_moments, transitions


def test_one_step_has_no_transition():
    assert transitions(jnp.array([[2], [0]])).tolist() == [[False], [False]]


def test_transitions_mark_the_first_step_of_a_new_symbol():
    found = transitions(jnp.array([2, 2, 0, 0, 1, 1, 1, 2]))
    assert np.flatnonzero(found).tolist() == [2, 4, 7]


@settings(max_examples=30, deadline=None)
@given(st.lists(st.booleans(), min_size=12, max_size=12))
def test_dwell_moments_are_those_of_the_gaps(changes):
    gaps = np.diff(np.flatnonzero(changes))
    expected = [len(gaps), gaps.sum(), np.sum(gaps**2)]
    assert np.asarray(dwell_moments(jnp.array(changes))).tolist() == expected
