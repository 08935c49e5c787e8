import jax
import numpy as np
import pytest

from hmmrnn.errors import InputError
from hmmrnn.hmm import (
    HMM,
    PRESETS,
    fully,
    linear,
    preset,
    random,
    ring,
    stationary_law,
)

Q3, Q4, Q5 = 0.223606797749979, 0.368403149864039, 0.472870804501588  # roots of 0.05

# Torre et al. (NeurIPS 2025), written out by hand: T, transition, emission.
TABLE = {
    "linear2": (
        100,
        [[0.95, 0.05], [0.05, 0.95]],
        [[0.99, 0.01, 0], [0, 0.01, 0.99]],
    ),
    "linear3": (
        30,
        [[1 - Q3, Q3, 0], [Q3, 1 - 2 * Q3, Q3], [0, Q3, 1 - Q3]],
        [[0.99, 0.01, 0], [0.495, 0.01, 0.495], [0, 0.01, 0.99]],
    ),
    "linear4": (
        30,
        [
            [1 - Q4, Q4, 0, 0],
            [Q4, 1 - 2 * Q4, Q4, 0],
            [0, Q4, 1 - 2 * Q4, Q4],
            [0, 0, Q4, 1 - Q4],
        ],
        [[0.99, 0.01, 0], [0.66, 0.01, 0.33], [0.33, 0.01, 0.66], [0, 0.01, 0.99]],
    ),
    "linear5": (
        40,
        [
            [1 - Q5, Q5, 0, 0, 0],
            [Q5, 1 - 2 * Q5, Q5, 0, 0],
            [0, Q5, 1 - 2 * Q5, Q5, 0],
            [0, 0, Q5, 1 - 2 * Q5, Q5],
            [0, 0, 0, Q5, 1 - Q5],
        ],
        [
            [0.99, 0.01, 0],
            [0.7425, 0.01, 0.2475],
            [0.495, 0.01, 0.495],
            [0.2475, 0.01, 0.7425],
            [0, 0.01, 0.99],
        ],
    ),
    "fully3": (
        30,
        [[0.95, 0.025, 0.025], [0.025, 0.95, 0.025], [0.025, 0.025, 0.95]],
        [[0.98, 0.01, 0.01], [0.01, 0.98, 0.01], [0.01, 0.01, 0.98]],
    ),
    "cyclic4": (
        40,
        [
            [0.95, 0.025, 0, 0.025],
            [0.025, 0.95, 0.025, 0],
            [0, 0.025, 0.95, 0.025],
            [0.025, 0, 0.025, 0.95],
        ],
        [[0.9, 0.1, 0], [0.1, 0.9, 0], [0, 0.1, 0.9], [0, 0.9, 0.1]],
    ),
}


@pytest.mark.parametrize("name", TABLE)
def test_preset_is_the_one_in_the_paper(name):
    n_steps, transition, emission = TABLE[name]
    hmm = preset(name)
    n_states = len(transition)
    np.testing.assert_allclose(hmm.initial, np.full(n_states, 1 / n_states), atol=1e-14)
    np.testing.assert_allclose(hmm.transition, transition, rtol=0, atol=1e-14)
    np.testing.assert_allclose(hmm.emission, emission, rtol=0, atol=1e-14)
    assert hmm.training_length == PRESETS[name].n_steps == n_steps
    assert hmm.label == name


def test_there_are_six_presets():
    assert set(PRESETS) == set(TABLE)


@pytest.mark.parametrize("name", TABLE)
def test_uniform_law_is_stationary(name):
    hmm = preset(name)
    np.testing.assert_allclose(hmm.initial @ hmm.transition, hmm.initial, atol=1e-15)
    np.testing.assert_allclose(stationary_law(hmm), hmm.initial, atol=1e-13)


@pytest.mark.parametrize("n_states", [2, 3, 4, 5])
def test_crossing_a_linear_chain_straight_has_probability_one_in_twenty(n_states):
    hmm = linear(n_states)
    assert np.prod(np.diag(hmm.transition, k=1)) == pytest.approx(0.05, rel=1e-12)
    assert np.prod(np.diag(hmm.transition, k=-1)) == pytest.approx(0.05, rel=1e-12)
    np.testing.assert_array_equal(np.triu(hmm.transition, k=2), 0)
    np.testing.assert_allclose(hmm.emission[:, 1], 0.01, rtol=1e-12)


def test_fully_connected_hmm_by_hand():
    hmm = fully(2, stay=0.7, certainty=0.6)
    np.testing.assert_allclose(hmm.transition, [[0.7, 0.3], [0.3, 0.7]], atol=1e-15)
    np.testing.assert_allclose(hmm.emission, [[0.6, 0.4], [0.4, 0.6]], atol=1e-15)


def test_ring_has_a_rate_for_each_direction():
    hmm = ring(4, forward=0.3, backward=0.1, n_symbols=3, certainty=0.8)
    np.testing.assert_allclose(
        hmm.transition,
        [[0.6, 0.3, 0, 0.1], [0.1, 0.6, 0.3, 0], [0, 0.1, 0.6, 0.3], [0.3, 0, 0.1, 0.6]],
        atol=1e-15,
    )
    np.testing.assert_allclose(
        hmm.emission,
        [[0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.1, 0.1, 0.8], [0.8, 0.1, 0.1]],
        atol=1e-15,
    )
    np.testing.assert_allclose(stationary_law(hmm), np.full(4, 1 / 4), atol=1e-13)


def test_asymmetric_ring_carries_a_current_and_its_mirror_image_the_opposite_one():
    def current(hmm):
        flow = stationary_law(hmm)[:, None] * hmm.transition
        return (flow - flow.T)[[0, 1, 2], [1, 2, 0]]

    np.testing.assert_allclose(current(ring(3, 0.3, 0.1)), 0.2 / 3, atol=1e-14)
    np.testing.assert_allclose(current(ring(3, 0.1, 0.3)), -0.2 / 3, atol=1e-14)


def test_hmm_of_ones_own_is_custom_and_40_steps_long():
    hmm = fully(3, stay=0.9)
    assert hmm.label == "custom"
    assert hmm.training_length == 40


@pytest.mark.parametrize("concentration", [1e-3, 1.0, 50.0])
def test_random_hmm_is_valid(concentration):
    hmm = random(3, 2, jax.random.key(0), concentration)
    assert (hmm.n_states, hmm.n_symbols) == (3, 2)
    for leaf in jax.tree.leaves(hmm):
        assert leaf.dtype == np.float64
        assert np.all(leaf >= 0)
        np.testing.assert_allclose(leaf.sum(axis=-1), 1, atol=1e-15)


def test_different_keys_give_different_random_hmms_and_the_same_key_the_same():
    drawn = {random(3, 2, key) for key in jax.random.split(jax.random.key(0), 5)}
    assert len(drawn) == 5
    assert random(3, 2, jax.random.key(1)) == random(3, 2, jax.random.key(1))


def test_rows_of_a_random_hmm_are_independent_draws():
    hmm = random(3, 3, jax.random.key(2))
    rows = [hmm.initial, *hmm.transition, *hmm.emission]
    assert len({row.tobytes() for row in rows}) == 7


@pytest.mark.parametrize("concentration", [0.2, 1.0, 5.0])
def test_random_rows_have_the_moments_of_a_dirichlet_law(concentration):
    drawn = [random(3, 2, key, concentration) for key in jax.random.split(jax.random.key(3), 50)]
    for rows in (
        np.stack([hmm.initial for hmm in drawn]),
        np.concatenate([hmm.transition for hmm in drawn]),
        np.concatenate([hmm.emission for hmm in drawn]),
    ):
        n, width = rows.shape
        variance = (width - 1) / (width**2 * (width * concentration + 1))
        z = (rows.mean(axis=0) - 1 / width) / np.sqrt(variance / n)
        assert np.all(np.abs(z) < 4)
        np.testing.assert_allclose(rows.var(axis=0), variance, rtol=0.5)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: linear(1), "n_states=1: the linear chains"),
        (lambda: linear(6), "transition|n_states"),  # two hops of 0.05^(1/5) exceed 1
        (lambda: fully(1), "n_states=1: a fully connected HMM"),
        (lambda: fully(3, stay=1.2), r"transition\[0\] contains -0.1"),
        (lambda: fully(3, certainty=-0.2), r"emission\[0\] contains -0.2"),
        (lambda: ring(2), "n_states=2: a ring"),
        (lambda: ring(4, n_symbols=1), "n_symbols=1: an HMM needs at least 2 symbols"),
        (lambda: ring(4, forward=0.7, backward=0.5), r"transition\[0\] contains -0.2"),
        (lambda: random(0, 2, jax.random.key(0)), "n_states=0, n_symbols=2"),
        (lambda: random(2, 1, jax.random.key(0)), "n_states=2, n_symbols=1"),
        (lambda: random(2, 2, jax.random.key(0), 0.0), "concentration=0.0"),
        (lambda: preset("linear6"), "preset=linear6: unknown; there are linear2, linear3"),
    ],
)
def test_impossible_requests_are_input_errors(make, message):
    with pytest.raises(InputError, match=message):
        make()


def test_presets_can_not_be_written_to():
    with pytest.raises(ValueError, match="read-only"):
        preset("linear2").transition[0, 0] = 1
    assert isinstance(preset("linear2"), HMM)
