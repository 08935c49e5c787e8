"""What is kept of a training beside its parameters, and trainings that begin where one was left."""

import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hmmrnn import InputError, load, train
from hmmrnn.storage import read_arrays, write_arrays
from hmmrnn.training import RunSpec, read_origin
from hmmrnn.training.data import make_data
from hmmrnn.training.fit import streams_of
from hmmrnn.training.origin import expect_fits
from hmmrnn.training.run import train_run
from hmmrnn.training.run_folder import ORIGIN, read_spec

SEED = 3
KEY = jax.random.key(SEED)


@pytest.fixture(scope="module")
def config(smoke):
    """Fixed data, two full batches and a rest; every epoch a snapshot."""
    return smoke.replace(
        data={"source": "fixed", "n_sequences": 60},
        loss={"divergence": "reference"},
        train={
            "batch_size": 8,
            "snapshot_every": 1,
            "validate_every": 3,
            "average_epochs": 4,
            "keep_state_at": 5,
            "schedule": "constant",
        },
    )


@pytest.fixture(scope="module")
def run(config, tmp_path_factory):
    folder = tmp_path_factory.mktemp("kept") / "run"
    train_run(folder, RunSpec(config, 1.0, SEED))
    return folder


def test_the_mean_is_that_of_the_last_epochs(config, run):
    fit = load(run)
    for name, mean in fit.mean_params.items():
        last = np.asarray(fit.snapshots.params[name][-4:], float)
        np.testing.assert_allclose(mean, last.mean(axis=0), atol=1e-6)
        assert not np.allclose(mean, fit.params[name], atol=1e-5)


def test_validation_is_every_third_and_the_last_and_changes_nothing_else(config, run):
    loss = np.asarray(load(run).records.validation_loss)
    assert np.flatnonzero(np.isfinite(loss)).tolist() == [2, 5, 7]
    each = train(config.replace(train={"validate_every": 1}), 1.0, KEY)
    assert np.isfinite(each.records.validation_loss).all()
    due = np.isfinite(loss)
    np.testing.assert_allclose(np.asarray(each.records.validation_loss)[due], loss[due], rtol=1e-5)
    for name, value in load(run).params.items():
        np.testing.assert_allclose(each.params[name], value, atol=1e-5)


def test_members_of_an_ensemble_validate_and_average_as_they_would_alone(config, run):
    both = jax.vmap(lambda key: train(config, 1.0, key))(jnp.stack([KEY, jax.random.key(0)]))
    alone = load(run)
    np.testing.assert_allclose(
        both.records.validation_loss[0], alone.records.validation_loss, rtol=2e-3, atol=2e-3
    )
    for name, mean in alone.mean_params.items():
        np.testing.assert_allclose(both.mean_params[name][0], mean, atol=5e-4)


def test_a_training_begins_where_another_was_left(config, run, tmp_path):
    """No step is taken at a learning rate of zero; the moments are those of then."""
    origin = read_origin(run / "state.npz")
    assert origin.epoch == 5
    still = config.replace(train={"learning_rate": 0.0, "schedule": "cosine"})
    fit = train(still, 1.0, KEY, origin)
    for name, then in load(run).snapshots.params.items():
        np.testing.assert_array_equal(fit.params[name], then[5])
    state = origin.state(config)
    adam = state.opt_state[1][0]
    assert int(adam.count) == 5 * 3  # steps per epoch
    assert int(state.epoch) == 0
    assert all(np.any(np.asarray(moment) != 0) for moment in adam.mu.values())


def test_it_has_the_same_data_and_other_noise(config, run):
    origin = read_origin(run / "state.npz")
    before, after = streams_of(KEY), streams_of(KEY, origin)
    for name, one, other in zip(before._fields, before, after, strict=True):
        alike = np.array_equal(*map(jax.random.key_data, (one, other)))
        assert alike is (name != "steps")
    data = make_data(config, before.data)
    np.testing.assert_array_equal(data.train, make_data(config, after.data).train)


def test_a_run_knows_its_origin(config, run, tmp_path):
    origin, folder = read_origin(run / "state.npz"), tmp_path / "later"
    short = config.replace(train={"epochs": 4, "keep_state_at": 0})
    spec = RunSpec(short, 1.0, SEED, origin)
    fit = train_run(folder, spec)
    assert read_spec(folder) == spec
    alone = train(short, 1.0, KEY, origin)
    for name, value in alone.params.items():
        np.testing.assert_array_equal(fit.params[name], value)
    with pytest.raises(InputError, match=r"different origin\.digest, origin\.epoch"):
        train_run(folder, spec._replace(origin=None), resume=True)
    shutil.copy(run / "state.npz", folder / ORIGIN)
    arrays = read_arrays(folder / ORIGIN)
    write_arrays(folder / ORIGIN, {**arrays, "params.W_in": arrays["params.W_in"] + 1})
    with pytest.raises(InputError, match="is not the state that the run began from"):
        read_spec(folder)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"params.W_in": np.full((16, 8), np.nan, np.float32)}, "is not finite"),
        ({"adam_steps": np.float32(3)}, "holds no state"),
        ({"epoch": np.int32(-1)}, "holds no state"),
        ({"colour.W_in": np.zeros(2)}, "holds no state"),
    ],
)
def test_files_that_hold_no_state_are_refused(run, tmp_path, change, problem):
    write_arrays(tmp_path / "state.npz", {**read_arrays(run / "state.npz"), **change})
    with pytest.raises(InputError, match=problem):
        read_origin(tmp_path / "state.npz")
    with pytest.raises(InputError, match="holds no state"):
        read_origin(run / "params.npz")
    with pytest.raises(InputError, match="cannot be read"):
        read_origin(tmp_path / "nowhere.npz")


def test_a_state_of_another_network_is_refused(config, run):
    other = config.replace(net={"hidden_size": 15})
    origin = read_origin(run / "state.npz")
    with pytest.raises(InputError, match="belongs to another network"):
        expect_fits(origin.arrays, other.cell, "origin")
    with pytest.raises(InputError, match="belongs to another network"):
        train(other, 1.0, KEY, origin)


def test_a_state_after_the_end_cannot_be_kept(config):
    with pytest.raises(InputError, match=r"train\.keep_state_at=9.*train\.epochs=8"):
        config.replace(train={"keep_state_at": 9})


def test_a_short_training_is_averaged_over_all_of_its_epochs(config):
    fit = train(config.replace(train={"average_epochs": 50, "epochs": 5}), 1.0, KEY)
    for name, mean in fit.mean_params.items():
        each = np.asarray(fit.snapshots.params[name][1:], float)
        np.testing.assert_allclose(mean, each.mean(axis=0), atol=1e-6)
