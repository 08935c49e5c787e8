"""Net turns of paths whose turning is known."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hmmrnn.dynamics.rotation import net_turns, turns_per_pair


def circle(turns, n_steps=400):
    angle = np.linspace(0, 2 * np.pi * turns, n_steps)
    return np.stack([np.cos(angle), np.sin(angle)], axis=-1)


@pytest.mark.parametrize("turns", [-2.0, 0.5, 1.0, 7.25])
def test_turns_of_a_circle(turns):
    assert float(net_turns(jnp.asarray(circle(turns)))) == pytest.approx(turns, abs=1e-3)


def test_back_and_forth_is_no_rotation_and_time_reversal_changes_the_sign():
    path = circle(0.4)
    there_and_back = np.concatenate([path, path[::-1]])
    assert float(net_turns(jnp.asarray(there_and_back))) == pytest.approx(0, abs=1e-4)
    forward, backward = (float(net_turns(jnp.asarray(p))) for p in (path, path[::-1].copy()))
    assert forward == pytest.approx(-backward, abs=1e-4)


def test_rotation_does_not_depend_on_the_size_of_the_orbit():
    path = circle(3) * np.array([5.0, 0.2])
    assert float(net_turns(jnp.asarray(path))) == pytest.approx(3, abs=1e-2)
    tiny = jnp.asarray(circle(3) * 1e-3)
    assert float(net_turns(tiny)) == pytest.approx(3, abs=1e-3)


def test_rotation_of_vmapped_paths():
    paths = jnp.asarray(np.stack([circle(1), circle(-1)]))
    np.testing.assert_allclose(net_turns(paths), [1, -1], atol=1e-3)
    np.testing.assert_allclose(jax.vmap(net_turns)(paths), [1, -1], atol=1e-3)


def test_a_step_through_the_centre_turns_to_neither_side():
    line = jnp.array([[1.0, 0.0], [-2.0, 0.0], [1.0, 0.0], [0.0, 0.0], [3.0, 0.0]])
    assert float(net_turns(line)) == 0


def test_turns_count_for_each_pair_of_transitions():
    found = turns_per_pair(np.array([-3.0, 2.0, 1.0]), np.array([6, 2, 0]))
    np.testing.assert_array_equal(found, [1, 2, np.nan])
