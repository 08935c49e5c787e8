"""The n-gram law of data of different lengths, against enumeration of all that an HMM can do."""

import itertools
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hmmrnn import InputError
from hmmrnn.hmm import HMM
from hmmrnn.losses import Generated, LossConfig, exact_laws, make_objective, ngram_shares
from hmmrnn.losses.ngram_law import shares_inside
from hmmrnn.sequences import Part

KEY = jax.random.key(0)
QUARTERS = HMM([0.25, 0.75], [[0.75, 0.25], [0.5, 0.5]], [[0.75, 0.25], [0.25, 0.75]])
"""Not stationary, so that positions differ; all probabilities are quarters."""

T, REPEATS = 3, {3: 1, 2: 2}  # how many sequences of each length


def all_paths():
    """Every path of states as often as it is likely, of 4^T."""
    tables = [np.repeat([0, 1], (4 * p).astype(int)) for p in QUARTERS.transition]
    first = np.repeat([0, 1], (4 * QUARTERS.initial).astype(int))
    for start, *choices in itertools.product(first, *[range(4)] * (T - 1)):
        path = [start]
        for choice in choices:
            path.append(tables[path[-1]][choice])
        yield path


def all_sequences():
    """Every sequence of symbols as often as it is likely, of 16^T, each cut at its length."""
    emitted = [np.repeat([0, 1], (4 * p).astype(int)) for p in QUARTERS.emission]
    for path, draws in itertools.product(all_paths(), itertools.product(range(4), repeat=T)):
        row = [emitted[state][draw] for state, draw in zip(path, draws, strict=True)]
        for length, times in REPEATS.items():
            yield from [row[:length] + [-1] * (T - length)] * times


@pytest.fixture(scope="module")
def data():
    return Part("training", np.array(list(all_sequences())), 2)


@pytest.fixture(scope="module")
def twin():
    """Probabilities of a network that is the HMM: those of its states, cut at the same lengths."""
    rows = np.array([QUARTERS.emission[path] for path in all_paths()])
    cut = [
        np.where(np.arange(T)[:, None] < n, rows, 0) for n, m in REPEATS.items() for _ in range(m)
    ]
    return jnp.asarray(np.concatenate(cut), jnp.float32)


def law_at(position, n):
    """n-grams of the HMM that begin at a position, by its matrices."""
    state = QUARTERS.initial @ np.linalg.matrix_power(QUARTERS.transition, position)
    joint = state * QUARTERS.emission.T
    for _ in range(n - 1):
        joint = (joint @ QUARTERS.transition)[..., None, :] * QUARTERS.emission.T
    return joint.sum(axis=-1).ravel()


@pytest.mark.parametrize("n", [1, 2, 3])
def test_law_weighs_positions_by_how_many_sequences_reach_them(data, twin, n):
    reach = [sum(m for length, m in REPEATS.items() if length >= p + n) for p in range(T - n + 1)]
    expected = sum(m * law_at(p, n) for p, m in enumerate(reach)) / sum(reach)
    np.testing.assert_allclose(exact_laws(data, T, (n,), (1,))[n, 1], expected, rtol=1e-6)
    np.testing.assert_allclose(shares_inside(twin, n), expected, rtol=1e-5)


@pytest.mark.parametrize("discrepancy", ["kl", "chi2"])
def test_a_network_that_is_the_hmm_has_no_loss(data, twin, discrepancy):
    options = {"divergence": "none", "ngram_weight": 1.0, "ngram_orders": (2, 3)}
    config = LossConfig(**options, ngram_discrepancy=discrepancy)
    batch = jnp.concatenate([twin, twin])  # two halves, each with the law
    objective = make_objective(config, data, T)
    assert abs(objective(Generated(batch, batch), batch, KEY)[0]) < 1e-5
    others = jnp.flip(batch, axis=2)
    assert objective(Generated(others, others), batch, KEY)[0] > 0.05


def test_whole_sequences_have_the_shares_of_ever(twin):
    whole = twin[jnp.sum(twin, axis=(1, 2)) > T - 0.5]
    np.testing.assert_allclose(shares_inside(whole, 2), ngram_shares(whole, 2), rtol=1e-6)


def test_a_batch_without_any_window_has_a_loss_and_no_gradient(data, twin):
    config = LossConfig(divergence="none", ngram_weight=1.0, ngram_orders=(3,))
    short = twin.at[:, 2:].set(0)

    def loss(x):
        return make_objective(config, data, T)(Generated(x, x), x, KEY)[0]

    value, gradient = jax.value_and_grad(loss)(short)
    assert np.isfinite(value)
    assert np.isfinite(gradient).all()


def test_ngrams_longer_than_the_data_are_refused(data):
    short = replace(data, symbols=data.symbols[:, :2], name="validation")
    with pytest.raises(InputError, match="ngram_orders=3"):
        exact_laws(short, T, (3,), (1,))
