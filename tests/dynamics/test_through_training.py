"""A training that is made up: networks that only follow their noise, then networks that orbit."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from networks import net_of

from hmmrnn.dynamics import development
from hmmrnn.dynamics.through_training import measure_snapshot
from hmmrnn.intervals import UNKNOWN
from hmmrnn.nets import RNNCell

CELL = RNNCell(n_symbols=2, hidden_size=2, noise_dim=2, activation="tanh")
EPOCHS = np.arange(10, 130, 10)
ORBITS_FROM = 70
LOSS = np.concatenate([np.linspace(50, 30, 5), np.full(55, 30.0), np.linspace(30, 10, 60)])
SIZES = {"n_runs": 8, "n_steps": 300}


def training(epochs=EPOCHS):
    """W_rec turns by 0.3 rad per step and grows from one epoch on; before, it only fades."""
    turn = 1.05 * np.array([[np.cos(0.3), -np.sin(0.3)], [np.sin(0.3), np.cos(0.3)]])
    w_rec = [turn if e >= ORBITS_FROM else 0.3 * np.eye(2) for e in epochs]
    n = len(epochs)
    return {
        "W_in": jnp.tile(0.1 * jnp.eye(2), (n, 1, 1)),
        "W_rec": jnp.asarray(np.reshape(w_rec, (n, 2, 2)), jnp.float32),
        "W_out": jnp.tile(jnp.array([[1.0, 0.0], [-1.0, 0.0]]), (n, 1, 1)),
    }


def measure(params, epochs=EPOCHS, key=0):
    last = {name: value[-1] for name, value in params.items()} if len(epochs) else {}
    net = net_of(CELL, last, jnp.float32(0.2))
    return development(net, jnp.asarray(epochs), params, LOSS, jax.random.key(key), **SIZES)


@pytest.fixture(scope="module")
def found():
    return measure(training())


def test_the_orbit_appears_at_its_epoch(found):
    rotation = found.rotation.value
    np.testing.assert_allclose(rotation[ORBITS_FROM <= EPOCHS], 1, atol=0.05)
    assert np.all(rotation[ORBITS_FROM > EPOCHS] < 0.2)


def test_both_rules_date_the_bifurcation(found):
    assert found.bifurcation_by_jump == ORBITS_FROM
    assert found.bifurcation.epoch == ORBITS_FROM
    assert (found.bifurcation.low, found.bifurcation.high) == (60, 70)
    assert found.bifurcation.after > 0.5
    assert found.bifurcation.before == 0
    assert found.switching.epoch == ORBITS_FROM
    assert found.switching.after < found.switching.before


def test_the_second_descent_is_that_of_the_loss(found):
    assert found.descent.onset == pytest.approx(60, abs=6)


def test_every_snapshot_is_what_it_is_alone(found):
    params, keys = training(), jax.random.split(jax.random.key(3), 4)
    alone = [
        measure_snapshot(net_of(CELL, jax.tree.map(lambda x, i=i: x[i], params), 0.2), 50, keys)
        for i in (0, 8)
    ]
    together = jax.vmap(lambda p: measure_snapshot(net_of(CELL, p, 0.2), 50, keys))(params)
    for i, snapshot in zip((0, 8), alone, strict=True):
        for a, b in zip(snapshot, together, strict=True):
            np.testing.assert_allclose(a, b[i], rtol=1e-3, atol=1e-4)


def test_a_snapshot_that_is_nan_leaves_a_gap(found):
    params = training()
    params["W_rec"] = params["W_rec"].at[3].set(jnp.nan)
    holed = measure(params)
    assert holed.n_valid == len(EPOCHS) - 1
    for name in ("transitions_per_step", "rotation", "critical_share", "unstable_share"):
        assert getattr(holed, name)[3] == UNKNOWN
        assert getattr(holed, name)[5] == getattr(found, name)[5]
    assert np.isnan(holed.mean_shift[3]).all()
    assert holed.bifurcation.epoch == ORBITS_FROM


def test_all_snapshots_nan_is_said_and_not_raised():
    params = jax.tree.map(lambda x: x * jnp.nan, training())
    holed = measure(params)
    assert holed.n_valid == 0
    assert np.isnan(holed.bifurcation_by_jump)
    assert np.isnan(holed.bifurcation.epoch)


def test_without_snapshots_there_is_nothing():
    empty = np.zeros(0, int)
    assert measure(training(empty), empty) is None


def test_the_key_decides(found):
    assert measure(training()).transitions_per_step == found.transitions_per_step
    assert measure(training(), key=1).transitions_per_step != found.transitions_per_step


def test_one_unit_has_a_development():
    cell = RNNCell(n_symbols=2, hidden_size=1, noise_dim=1, activation="tanh")
    params = {
        "W_in": jnp.ones((3, 1, 1)),
        "W_rec": jnp.full((3, 1, 1), 0.5),
        "W_out": jnp.tile(jnp.array([[1.0], [-1.0]]), (3, 1, 1)),
    }
    epochs = jnp.arange(3)
    net = net_of(cell, {name: value[-1] for name, value in params.items()})
    found = development(net, epochs, params, np.ones(3), jax.random.key(0), **SIZES)
    assert found.n_valid == 3
    assert found.paths.shape == (3, 300, 2)
