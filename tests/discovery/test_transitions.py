"""Trials from transitions: aligned to the onset, independent, and refused where there are none."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from networks import net_of

from hmmrnn.discovery.case import clean_run
from hmmrnn.discovery.transitions import (
    AFTER,
    BEFORE,
    SCORED,
    Recorded,
    record_runs,
    transition_case,
)
from hmmrnn.errors import DivergingNetworkError, InputError
from hmmrnn.nets import NetConfig, init_params, make_cell
from hmmrnn.tasks import kick_network

KEY = jax.random.key(3)


@pytest.fixture(scope="module")
def planted():
    return kick_network(KEY, n_distractors=10)


@pytest.fixture(scope="module")
def recording(planted):
    return record_runs(planted, Recorded(n_runs=64, n_steps=300), KEY)


def test_trials_are_the_recorded_changes(planted, recording):
    case = transition_case(planted, recording, (0, 1), 32, KEY)
    readout = np.asarray(clean_run(case).logits)
    preferred = readout.argmax(-1)
    assert np.all(preferred[BEFORE - 12 : BEFORE] == 0)
    assert np.all(preferred[BEFORE : BEFORE + 5] == 1)
    inputs = np.asarray(case.inputs[0])
    noise = np.asarray(recording.noise)
    runs = [int(np.argwhere((noise == x).all(-1))[0, 0]) for x in inputs]
    assert len(set(runs)) == len(runs)  # one of each run
    others = [
        int(np.argwhere((noise == x).all(-1))[0, 0]) for x in np.asarray(case.other_inputs[0])
    ]
    assert all(a != b for a, b in zip(runs, others, strict=True))
    np.testing.assert_allclose(
        case.decoded[..., 0], readout[..., 1] - readout[..., 0], rtol=1e-3, atol=1e-4
    )
    other = np.asarray(clean_run(case.corrupted()).logits).argmax(-1)
    assert np.all(other[BEFORE - 12 :] == 0)


def test_windows_cover_the_stretch_and_means_are_those_of_the_old_symbol(planted, recording):
    case = transition_case(planted, recording, (1, 0), 32, KEY)
    bounds = case.bounds
    assert (bounds[0, 0], bounds[-1, 1]) == (0, BEFORE + AFTER)
    np.testing.assert_array_equal(bounds[1:, 0], bounds[:-1, 1])
    assert list(case.windows)[BEFORE // 4] == "0..3"
    np.testing.assert_array_equal(
        np.flatnonzero(case.scored) - BEFORE, np.arange(SCORED[0], SCORED[1])
    )
    states, symbols = np.asarray(recording.states, float), np.asarray(recording.symbols)
    np.testing.assert_allclose(case.means[2], states[symbols == 1].mean(0), rtol=1e-4, atol=1e-6)
    assert case.loss.old == 1


def test_few_changes_and_symbols_that_never_stay_are_said(planted, recording):
    with pytest.raises(InputError, match=r"0 to 2 in 0 of 64 .*16"):
        transition_case(planted, recording, (0, 2), 32, KEY)
    blinking = np.asarray(recording.symbols).copy()
    blinking[:] = np.tile(np.repeat([0, 1], (15, 6)), 20)[: blinking.shape[1]]
    with pytest.raises(InputError, match=r"symbol 0 .*20 .*0 runs"):
        transition_case(planted, recording._replace(symbols=jnp.asarray(blinking)), (0, 1), 32, KEY)


def test_a_diverging_network_is_refused():
    cell = make_cell(NetConfig(hidden_size=5, noise_dim=2), n_symbols=2)
    params = init_params(cell, KEY) | {"W_rec": 30.0 * jnp.eye(5)}
    with pytest.raises(DivergingNetworkError):
        record_runs(net_of(cell, params), Recorded(4, 50), KEY)
