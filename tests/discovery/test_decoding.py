"""Linear decoding against scikit-learn and closed forms, and what it must not depend on."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.linear_model import Ridge
from sklearn.metrics import r2_score
from sklearn.preprocessing import StandardScaler

from hmmrnn.arrays import host_generator
from hmmrnn.discovery.case import case_of, clean_run
from hmmrnn.discovery.decoding import (
    RIDGE,
    decoding,
    decoding_class,
    random_k,
    random_k_class,
    z_scores,
)
from hmmrnn.errors import InputError
from hmmrnn.tasks import hmm_inference

KEY = jax.random.key(5)
T, B, N = 12, 10, 6
TRAIN = np.arange(B) < 6


def normal(seed, *shape):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


@pytest.fixture(scope="module")
def task():
    return hmm_inference(KEY, n_kinks=8, n_trials=200)


@pytest.fixture(scope="module")
def late(task):
    """All but the first steps count, as in the tests of the task."""
    return case_of(task, KEY)._replace(scored=np.arange(len(task.inputs)) >= 10)


def flat(x, which):
    return np.asarray(x, float)[:, which].reshape(-1, x.shape[-1])


def by_sklearn(states, target, units):
    scaler = StandardScaler().fit(flat(states[..., units], TRAIN))
    x, x_new = (scaler.transform(flat(states[..., units], which)) for which in (TRAIN, ~TRAIN))
    return x_new, Ridge(alpha=RIDGE * len(x)).fit(x, flat(target, TRAIN))


@pytest.mark.parametrize("units", [np.array([4]), np.array([5, 0, 2]), np.arange(N) != 3])
def test_the_share_explained_is_that_of_scikit_learn(units):
    states = normal(0, T, B, N) * np.logspace(-2, 2, N, dtype=np.float32) + 3
    mix = np.random.default_rng(1).normal(size=(N, 2)).astype(np.float32)
    target = np.tanh(states) @ mix + 0.3 * normal(2, T, B, 2)
    x_new, model = by_sklearn(states, target, units)
    expected = r2_score(
        flat(target, ~TRAIN),
        model.predict(x_new).reshape(len(x_new), -1),
        multioutput="variance_weighted",
    )
    found = decoding(jnp.asarray(states), jnp.asarray(target), units, TRAIN)
    assert found == pytest.approx(expected, abs=1e-6)


def test_the_class_is_that_of_scikit_learn():
    states, latent = normal(0, T, B, N), np.random.default_rng(3).integers(0, 3, (T, B))
    states[..., :3] += 2 * np.eye(3, dtype=np.float32)[latent]
    units = np.array([0, 1, 4])
    one_hot = np.eye(3)[latent]
    x_new, model = by_sklearn(states, one_hot, units)
    expected = np.mean(model.predict(x_new).argmax(1) == latent[:, ~TRAIN].ravel())
    assert 0.6 < expected < 0.95
    assert decoding_class(jnp.asarray(states), latent, units, TRAIN) == expected
    named = np.array([-7.0, 2.0, 40.0])[latent]  # other names of the same classes
    assert decoding_class(jnp.asarray(states), named, units, TRAIN) == expected


def test_one_noisy_unit_explains_what_it_shares_with_the_target():
    """h = y + noise of standard deviation s: R^2 = 1 / (1 + s^2)."""
    y = normal(4, 200, 100, 1)
    for s in (0.5, 2.0):
        h = y + s * normal(5, 200, 100, 1)
        found = decoding(jnp.asarray(h), jnp.asarray(y), np.array([0]), np.arange(100) < 50)
        assert found == pytest.approx(1 / (1 + s**2), abs=0.02)


def test_two_classes_are_told_apart_as_well_as_their_distance_allows():
    """Means +-1, standard deviation 1: Phi(1) = 0.8413 of the steps."""
    latent = np.random.default_rng(6).integers(0, 2, (200, 100))
    h = (2 * latent - 1)[..., None] + normal(7, 200, 100, 1)
    found = decoding_class(jnp.asarray(h), latent, np.array([0]), np.arange(100) < 50)
    assert found == pytest.approx(0.8413, abs=0.01)


def test_units_may_be_scaled_moved_and_turned_over():
    states, target = normal(8, T, B, N), jnp.asarray(normal(9, T, B, 1))
    scale = np.array([-3, 0.01, 1, 200, -1, 5], np.float32)
    found = [
        decoding(jnp.asarray(h), target, np.arange(N), TRAIN)
        for h in (states, states * scale + scale**2)
    ]
    assert found[1] == pytest.approx(found[0], abs=1e-4)


def test_outputs_may_be_turned_into_each_other():
    """So that it does not matter where the angle of a ring is 0."""
    states, target = normal(8, T, B, N), normal(9, T, B, 2) * np.array([1, 0.2], np.float32)
    turned = target @ np.array([[0.6, 0.8], [-0.8, 0.6]], np.float32)
    found = [
        decoding(jnp.asarray(states), jnp.asarray(y), np.arange(N), TRAIN) for y in (target, turned)
    ]
    assert found[1] == pytest.approx(found[0], abs=1e-6)


def test_a_constant_unit_adds_nothing_even_if_it_moves_in_the_held_out_trials():
    states, target = normal(8, T, B, N), jnp.asarray(normal(9, T, B, 1))
    states[:, TRAIN, 2] = 0.1
    without = decoding(jnp.asarray(states), target, np.arange(N) != 2, TRAIN)
    assert decoding(jnp.asarray(states), target, np.arange(N), TRAIN) == pytest.approx(without)


@pytest.mark.parametrize("scale", [1e-6, 1, 1e6])
def test_what_float32_cannot_resolve_is_constant(scale):
    x = scale * (0.1 + np.random.default_rng(0).normal(size=(500, 2)) * [1e-9, 1e-6])
    found = z_scores(x, x)
    np.testing.assert_array_equal(found[:, 0], 0)
    assert found[:, 1].std() == pytest.approx(1)


def test_a_lucky_fit_of_the_training_trials_does_not_count():
    states, target = normal(10, 4, B, 20), jnp.asarray(normal(11, 4, B, 1))
    assert decoding(jnp.asarray(states), target, np.arange(20), TRAIN) < 0


def test_random_units_decode_the_state_as_well_as_the_filter(task, late):
    """As measured by least squares in the tests of the task; so decoding proves little."""
    train = np.arange(200) < 100
    found = random_k_class(late, task.latent, task.truth[0], train, 40, KEY)
    assert found.circuit == pytest.approx(0.826, abs=0.01)
    assert found.random == pytest.approx(0.821, abs=0.01)
    assert found.random_low < found.random < found.random_high < found.all_units + 0.01
    assert found.all_units == pytest.approx(found.circuit, abs=0.01)


def test_the_draws_are_those_of_the_single_decodings(task, late):
    train = np.arange(200) % 2 == 0
    states, circuit, n_draws = clean_run(late).states[10:], task.truth[0], 5

    def single(units):
        return decoding(states, late.decoded[10:], units, train)

    lots = host_generator(KEY).random((n_draws, len(circuit)))
    drawn = sorted(single(np.argsort(row)[:8]) for row in lots)
    found = random_k(late, circuit, train, n_draws, KEY)
    assert found.random == pytest.approx(np.mean(drawn))
    assert found.random_low == pytest.approx(0.8 * drawn[0] + 0.2 * drawn[1])
    assert found.random_high == pytest.approx(0.2 * drawn[-2] + 0.8 * drawn[-1])
    assert found.circuit == pytest.approx(single(circuit))
    assert found.circuit > 0.99  # the readout, a weighted sum of these units, is nearly exact
    assert found.all_units == pytest.approx(single(np.ones(64, bool)))
    other = random_k(late, circuit, train, n_draws, jax.random.key(6))
    assert other.random != found.random
    assert other.circuit == found.circuit


def test_random_sets_of_all_units_are_the_circuit(late):
    everyone = np.ones(64, bool)
    found = random_k(late, everyone, np.arange(200) < 100, 2, KEY)
    assert list(found) == pytest.approx([found.circuit] * 5)


def test_what_cannot_be_decoded_is_refused(late):
    states, target = jnp.asarray(normal(0, T, B, N)), jnp.asarray(normal(1, T, B, 2))
    some, nobody = np.arange(N), np.zeros(N, bool)
    for units in (nobody, np.empty(0, int)):
        with pytest.raises(InputError, match="there are none to decode from"):
            decoding(states, target, units, TRAIN)
    for train, n in ((np.ones(B, bool), 10), (np.zeros(B, bool), 0)):
        with pytest.raises(InputError, match=f"train: {n} of 10 "):
            decoding(states, target, some, train)
    with pytest.raises(InputError, match="the same throughout the held-out trials"):
        decoding(states, jnp.ones((T, B, 2)), some, TRAIN)
    with pytest.raises(InputError, match=r"latent .*3"):
        decoding_class(states, np.full((T, B), 3), some, TRAIN)
    with pytest.raises(InputError, match="latent: 120 of 120"):
        decoding_class(states, np.full((T, B), np.nan), some, TRAIN)
    circuit, train = np.arange(64) < 4, np.arange(200) < 100
    with pytest.raises(InputError, match=r"n_draws=0: .*1"):
        random_k(late, circuit, train, 0, KEY)
    with pytest.raises(InputError, match="there are none to decode from"):
        random_k(late, np.zeros(64, bool), train, 3, KEY)
