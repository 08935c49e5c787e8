"""Baselines against numpy and scikit-learn, on a network whose states are chosen by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from networks import net_of, weights
from sklearn.linear_model import Ridge

from hmmrnn.discovery.case import Case, SquaredError, case_of, clean_run
from hmmrnn.discovery.decoding import RIDGE
from hmmrnn.discovery.judge import compare
from hmmrnn.discovery.rankings import BASELINES, baselines
from hmmrnn.nets import RNNCell
from hmmrnn.tasks import ring_attractor

KEY = jax.random.key(5)
T, B, N, K = 20, 8, 5, 2
WINDOWS = {"early": (2, 8), "late": (6, 19)}
CONSTANT = 3


def made_by_hand(states, target, W_out=None):
    """Its states are its inputs: relu without recurrence, so they must not be negative."""
    W_out = np.zeros((K, N)) if W_out is None else W_out
    params = {"W_in": np.eye(N), "W_rec": np.zeros((N, N)), "W_out": W_out}
    inputs, h0 = jnp.asarray(states, jnp.float32), jnp.zeros((B, N))
    return Case(
        network=net_of(RNNCell(n_symbols=K, hidden_size=N, noise_dim=N), weights(**params)),
        inputs=inputs,
        h0=h0,
        target=jnp.zeros((T, B, K)),
        decoded=jnp.asarray(target, jnp.float32),
        windows=WINDOWS,
        loss=SquaredError(),
        scored=np.ones(T, bool),
        means=jnp.zeros((len(WINDOWS), N)),
        other_h0=h0,
        other_inputs=inputs,
    )


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    states = rng.exponential(size=(T, B, N)).astype(np.float32)
    states[..., CONSTANT] = 0.7
    target = states @ rng.normal(size=(N, K)) + rng.normal(size=(T, B, K))
    return states, target.astype(np.float32)


@pytest.fixture(scope="module")
def found(data):
    return baselines(made_by_hand(*data), KEY)


def inside(window, *arrays):
    first, end = WINDOWS[window]
    return [np.asarray(a, float)[first:end].reshape(-1, a.shape[-1]) for a in arrays]


def moving(strength):
    return np.delete(strength, CONSTANT, axis=-1)


def test_all_have_a_strength_for_each_window_and_unit(data, found):
    assert tuple(found) == BASELINES
    np.testing.assert_array_equal(clean_run(made_by_hand(*data)).states, data[0])
    for strength in found.values():
        assert strength.shape == (2, N)
        assert np.isfinite(strength).all()
        assert (strength >= 0).all()


@pytest.mark.parametrize(("w", "window"), list(enumerate(WINDOWS)))
def test_correlation_and_variance_are_those_of_numpy(w, window, data, found):
    h, y = inside(window, *data)
    units = [i for i in range(N) if i != CONSTANT]
    both = np.corrcoef(h[:, units], y, rowvar=False)[:-K, -K:]
    np.testing.assert_allclose(moving(found["correlation"][w]), np.abs(both).max(1), atol=1e-9)
    np.testing.assert_allclose(found["variance"][w], np.var(h, axis=0), atol=1e-9)


@pytest.mark.parametrize(("w", "window"), list(enumerate(WINDOWS)))
def test_decoder_weights_are_those_of_scikit_learn(w, window, data, found):
    h, y = inside(window, *data)
    z = (h - h.mean(0)) / np.where(np.arange(N) == CONSTANT, 1, h.std(0))
    model = Ridge(alpha=RIDGE * len(z)).fit(z, y)
    np.testing.assert_allclose(found["decoder weight"][w], np.abs(model.coef_).sum(0), atol=1e-6)


def test_of_independent_units_the_decoder_finds_the_weights_behind_the_target():
    rng = np.random.default_rng(1)
    states = rng.exponential(size=(T, B, N)) * np.array([1, 2, 3, 4, 0.5])
    weights = rng.normal(size=(N, K))
    found = baselines(made_by_hand(states, states @ weights), KEY)["decoder weight"]
    for w, window in enumerate(WINDOWS):
        (h,) = inside(window, states)
        np.testing.assert_allclose(found[w], np.abs(weights).sum(1) * h.std(0), rtol=0.02)


def test_a_constant_unit_or_output_is_worth_nothing(data, found):
    for name in ("correlation", "decoder weight"):
        np.testing.assert_array_equal(found[name][:, CONSTANT], 0)
        assert (moving(found[name]) > 0).all()
    assert found["variance"][:, CONSTANT].max() < 1e-12
    states, target = data
    half = np.stack([target[..., 0], np.full((T, B), 0.3)], axis=-1)
    twice = np.stack([target[..., 0]] * 2, axis=-1)
    one, two = (baselines(made_by_hand(states, y), KEY) for y in (half, twice))
    np.testing.assert_allclose(one["correlation"], two["correlation"])
    np.testing.assert_allclose(2 * one["decoder weight"], two["decoder weight"], atol=1e-9)


def test_the_scale_of_a_unit_counts_for_its_variance_only(data, found):
    states, target = data
    scale = np.array([1e-3, 10, 1, 100, 5], np.float32)
    scaled = baselines(made_by_hand(states * scale, target), KEY)
    for name in ("correlation", "decoder weight"):
        np.testing.assert_allclose(scaled[name], found[name], rtol=1e-4)
    np.testing.assert_allclose(
        moving(scaled["variance"]), moving(found["variance"] * scale**2), rtol=1e-4
    )


def test_static_weights_are_those_that_enter_and_leave_a_unit(data):
    case = made_by_hand(*data, W_out=np.array([[0, 0, -1, 0, 4], [0, 2, 3, 0, 0]]))
    W_rec = np.zeros((N, N), np.float32)
    W_rec[0, 1], W_rec[4, 1], W_rec[3, 3] = -5, 1, 0.5  # (receiver, sender)
    strength = baselines(case._replace(network=case.network.replace(W_rec=jnp.asarray(W_rec))), KEY)
    out, into = [0, 6 + 2, 4, 0.5, 4], [5 + 1, 1, 1, 0.5 + 1, 1 + 1]  # W_in is the identity
    np.testing.assert_array_equal(strength["weights out"], [out, out])
    np.testing.assert_array_equal(strength["weights in"], [into, into])


def test_another_key_changes_the_random_strengths_only(data, found):
    again, other = (baselines(made_by_hand(*data), jax.random.key(seed)) for seed in (5, 6))
    for name in BASELINES:
        np.testing.assert_array_equal(again[name], found[name])
        assert (other[name] != found[name]).any() == (name == "random")
    assert len(np.unique(found["random"])) == 2 * N


def test_they_take_echoes_of_the_ring_for_the_ring():
    """Echoes move as the ring does, and nobody hears them."""
    task = ring_attractor(KEY, "static", n_trials=16, n_steps=30, noise_std=0.1, contamination=0.2)
    found = baselines(case_of(task, KEY), KEY)
    verdicts = compare(found, task.truth)
    ring, echoes = task.groups["ring"], task.groups["echoes"]
    for name in ("correlation", "variance"):
        strength = found[name][0]
        assert strength[echoes].mean() == pytest.approx(strength[ring].mean(), rel=0.1)
        assert verdicts[name]["timing"].auprc < 0.6
    assert verdicts["random"]["timing"].auprc == pytest.approx(32 / 256, abs=0.1)
