"""Snapshots of known fidelity: a network that is perfect, one that is not, one that is NaN."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from networks import net_of

from hmmrnn import hmm
from hmmrnn.fidelity import kl_through_training
from hmmrnn.intervals import UNKNOWN
from hmmrnn.nets import RNNCell

P = np.array([0.6, 0.1, 0.3])
Q = np.array([0.2, 0.5, 0.3])
TWIN = hmm.HMM(initial=[1.0], transition=[[1.0]], emission=[P])
CELL = RNNCell(n_symbols=3, hidden_size=2, noise_dim=2, bias=True)


def snapshots(*laws):
    """Networks without recurrence that draw symbols independently, from each of the laws."""
    n = len(laws)
    return {
        "W_in": jnp.zeros((n, 2, 2)),
        "W_rec": jnp.zeros((n, 2, 2)),
        "W_out": jnp.zeros((n, 3, 2)),
        "b_rec": jnp.zeros((n, 2)),
        "b_out": jnp.log(jnp.asarray(np.array(laws), jnp.float32)),
    }


def measure(params, key=0, n_steps=20, **options):
    last = {name: value[-1] for name, value in params.items()}
    net = net_of(CELL, last, jnp.float32(1))
    return kl_through_training(net, params, TWIN, n_steps, jax.random.key(key), **options)


def test_each_snapshot_has_the_divergence_of_its_law():
    perfect, wrong = measure(snapshots(P, Q))
    exact = 4 * np.sum(Q * np.log(Q / P))  # of four independent symbols
    assert perfect.value < 0.01
    assert wrong.value == pytest.approx(exact, rel=0.03)
    assert wrong.low < exact < wrong.high


def test_a_snapshot_that_diverges_is_nan_and_spares_the_others():
    before, broken, after = measure(snapshots(P, [np.nan] * 3, P), n_sequences=200)
    assert broken == UNKNOWN
    assert before == after


def test_the_key_decides():
    a = measure(snapshots(Q), n_sequences=100)
    b = measure(snapshots(Q), key=1, n_sequences=100)
    assert a == measure(snapshots(Q), n_sequences=100)
    assert a != b


def test_sequences_shorter_than_the_word_are_compared_whole():
    found = measure(snapshots(Q), n_steps=2, n_sequences=2_000)
    assert found[0].value == pytest.approx(2 * np.sum(Q * np.log(Q / P)), rel=0.1)
