import numpy as np
import pytest
from hypothesis import given
from scipy.linalg import null_space

from hmmrnn.hmm import HMM, linear, mean_state_law, stationary_law

from .oracles import few, hmms


def chain(initial, transition):
    """An HMM whose symbols do not matter."""
    M = len(initial)
    return HMM(
        initial=np.array(initial),
        transition=np.array(transition),
        emission=np.tile([0.5, 0.5], (M, 1)),
    )


@few
@given(hmm=hmms(n_states=(1, 5), smallest=1))
def test_stationary_law_of_an_irreducible_chain_is_the_left_eigenvector(hmm):
    values, vectors = np.linalg.eig(hmm.transition.T)
    vector = np.real(vectors[:, np.argmin(np.abs(values - 1))])
    np.testing.assert_allclose(stationary_law(hmm), vector / vector.sum(), atol=1e-12)


@few
@given(hmm=hmms(n_states=(1, 5)))
def test_stationary_law_of_any_chain_is_the_spectral_projection_of_its_start(hmm):
    fixed = np.eye(hmm.n_states) - hmm.transition
    right, left = null_space(fixed), null_space(fixed.T)
    projection = right @ np.linalg.solve(left.T @ right, left.T)
    np.testing.assert_allclose(stationary_law(hmm), hmm.initial @ projection, atol=1e-11)


@pytest.mark.parametrize("up", [0.5, 0.3, 0.55])
@pytest.mark.parametrize("start", range(5))
def test_gambler_is_ruined_with_the_textbook_probability(up, start):
    down = 1 - up
    transition = np.diag([up] * 4, k=1) + np.diag([down] * 4, k=-1)
    transition[[0, 4]] = np.eye(5)[[0, 4]]
    law = stationary_law(chain(np.eye(5)[start], transition))
    odds = down / up
    win = start / 4 if up == 0.5 else (1 - odds**start) / (1 - odds**4)
    np.testing.assert_allclose(law, [1 - win, 0, 0, 0, win], atol=1e-12)


def test_separate_classes_keep_their_share_of_the_start():
    transition = [[0.5, 0.5, 0, 0], [0.25, 0.75, 0, 0], [0, 0, 0.9, 0.1], [0, 0, 0.3, 0.7]]
    law = stationary_law(chain([0.4, 0.2, 0.1, 0.3], transition))
    np.testing.assert_allclose(law, [0.6 / 3, 0.6 * 2 / 3, 0.4 * 3 / 4, 0.4 / 4], atol=1e-12)


@pytest.mark.parametrize("period", [2, 3, 5])
def test_periodic_chain_spends_equal_time_in_every_state(period):
    law = stationary_law(chain(np.eye(period)[0], np.roll(np.eye(period), 1, axis=1)))
    np.testing.assert_allclose(law, np.full(period, 1 / period), atol=1e-12)


def test_very_slow_chain_reaches_its_balance():
    law = stationary_law(chain([1.0, 0.0], [[1 - 3e-9, 3e-9], [1e-9, 1 - 1e-9]]))
    np.testing.assert_allclose(law, [0.25, 0.75], atol=1e-6)


def test_chain_that_never_moves_keeps_its_start():
    np.testing.assert_allclose(stationary_law(chain([0.2, 0.8], np.eye(2))), [0.2, 0.8], atol=1e-15)


@few
@given(hmm=hmms(n_states=(1, 4)))
def test_mean_state_law_is_the_mean_over_matrix_powers(hmm):
    for n_steps in (1, 2, 7):
        powers = [np.linalg.matrix_power(hmm.transition, t) for t in range(n_steps)]
        expected = np.mean([hmm.initial @ power for power in powers], axis=0)
        np.testing.assert_allclose(mean_state_law(hmm, n_steps), expected, atol=1e-14)


def test_mean_state_law_by_hand():
    swap = chain([1.0, 0.0], [[0.0, 1.0], [1.0, 0.0]])
    np.testing.assert_allclose(mean_state_law(swap, 1), [1, 0])
    np.testing.assert_allclose(mean_state_law(swap, 2), [1 / 2, 1 / 2])
    np.testing.assert_allclose(mean_state_law(swap, 3), [2 / 3, 1 / 3])


def test_mean_state_law_tends_to_the_stationary_law():
    hmm = HMM(
        initial=np.eye(3)[0],
        transition=linear(3).transition,
        emission=linear(3).emission,
    )
    gap = [np.abs(mean_state_law(hmm, n) - 1 / 3).max() for n in (100, 1000, 10000)]
    np.testing.assert_allclose(np.array(gap[1:]) / gap[:-1], 0.1, rtol=1e-6)
