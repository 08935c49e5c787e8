import jax
import jax.numpy as jnp
import numpy as np
import pytest
from networks import net_of

from hmmrnn import train
from hmmrnn.hmm import ngram_law, preset
from hmmrnn.training import TrainConfig, loss_floor
from hmmrnn.training.fit import snapshot_epochs


@pytest.fixture(scope="module")
def fit(smoke):
    return train(smoke, 1.0, jax.random.key(0))


def equal(a, b):
    return all(np.array_equal(a[name], b[name]) for name in a)


def test_same_key_same_bits_other_key_other_network(smoke, fit):
    assert equal(fit.params, train(smoke, 1.0, jax.random.key(0)).params)
    other = train(smoke, 1.0, jax.random.key(1))
    for name in fit.params:
        assert not np.allclose(fit.params[name], other.params[name], atol=1e-3)


def test_noise_level_matters(smoke, fit):
    assert not equal(fit.params, train(smoke, 0.5, jax.random.key(0)).params)


def test_vmap_over_seeds_equals_solo_runs(smoke, fit):
    keys = jnp.stack([jax.random.key(0), jax.random.key(1)])
    both = jax.vmap(lambda key: train(smoke, 1.0, key))(keys)
    solo = [fit, train(smoke, 1.0, jax.random.key(1))]
    for i, one in enumerate(solo):
        np.testing.assert_allclose(both.records.loss[i], one.records.loss, rtol=1e-3, atol=1e-3)
        for name in one.params:
            np.testing.assert_allclose(both.params[name][i], one.params[name], atol=2e-4)


def test_vmap_over_noise_levels_equals_solo_runs(smoke, fit):
    both = jax.vmap(lambda level: train(smoke, level, jax.random.key(0)))(jnp.array([0.5, 1.0]))
    for name in fit.params:
        other_level, same_level = np.max(np.abs(both.params[name] - fit.params[name]), axis=(1, 2))
        assert same_level < 2e-5
        assert other_level > 10 * same_level


def test_snapshots_are_the_parameters_of_their_epochs(smoke, fit):
    assert list(fit.snapshots.epochs) == snapshot_epochs(smoke) == [0, 2, 4, 6, 8]
    for name, stack in fit.snapshots.params.items():
        assert np.array_equal(stack[-1], fit.params[name])
        assert len(np.unique([np.sum(np.abs(row)) for row in stack])) == len(stack)
    bare = train(smoke.replace(train={"snapshot_every": 0}), 1.0, jax.random.key(0))
    assert bare.snapshots.epochs.size == 0
    assert equal(bare.params, fit.params)


def test_chunk_length_changes_no_result(smoke, fit):
    coarse = smoke.replace(train={"chunk_epochs": 4, "checkpoint_every": 4, "snapshot_every": 4})
    np.testing.assert_allclose(
        train(coarse, 1.0, jax.random.key(0)).records.loss, fit.records.loss, rtol=1e-4, atol=1e-4
    )


def test_hopeless_noise_leaves_the_network_as_it_began(smoke, fit):
    config = smoke.replace(train={"max_bad_steps": 3})
    broken = train(config, float("nan"), jax.random.key(0))
    start = {name: stack[0] for name, stack in fit.snapshots.params.items()}
    assert equal(broken.params, start)
    assert np.all(np.asarray(broken.records.bad_steps) == smoke.train.steps_per_epoch)


def test_floor_of_independent_is_zero_and_of_reference_is_not(smoke):
    floor = loss_floor(smoke, jax.random.key(0))
    assert abs(float(floor.mean)) < 3 * float(floor.std) / np.sqrt(64)
    biased = loss_floor(smoke.replace(loss={"divergence": "reference"}), jax.random.key(0))
    assert float(biased.mean) > 10 * float(biased.std) > 0


def test_floor_of_chi2_is_zero_and_of_kl_is_not(smoke):
    law = {"divergence": "none", "ngram_weight": 1.0, "ngram_orders": (3,)}
    config = smoke.replace(loss={**law, "ngram_discrepancy": "chi2", "ngram_floor": 1e-3})
    floor = loss_floor(config, jax.random.key(0))
    assert abs(float(floor.mean)) < 3 * float(floor.std) / np.sqrt(64)
    biased = loss_floor(smoke.replace(loss=law), jax.random.key(0))
    assert 0 < 3 * float(biased.std) / np.sqrt(64) < float(biased.mean) < 0.1


def kl_of_pairs(fit, params, n_steps=12):
    """KL(network | HMM) of pairs of symbols, counted in sequences of the network."""
    x = np.asarray(net_of(fit.cell, params, 1.0).generate(4000, n_steps, jax.random.key(1)))
    share = np.bincount((3 * x[:, :-1] + x[:, 1:]).ravel(), minlength=9) / x[:, 1:].size
    law = ngram_law(fit.config.target, 2, n_steps).ravel()
    return np.sum(share * np.log(np.maximum(share, 1e-12) / law))


def at_start(fit):
    return {name: stack[0] for name, stack in fit.snapshots.params.items()}


def test_a_small_network_learns_the_law_of_pairs():
    """Real training: 60 seconds of the laptop recipe in miniature, against the exact law."""
    hmm = preset("linear3")
    config = TrainConfig.profile("smoke", hmm).replace(
        net={"hidden_size": 40, "noise_dim": 20},
        train={
            "epochs": 10,
            "steps_per_epoch": 40,
            "batch_size": 256,
            "learning_rate": 3e-3,
            "snapshot_every": 10,
        },
    )
    fit = train(config, 1.0, jax.random.key(0))

    assert kl_of_pairs(fit, at_start(fit)) > 0.3
    assert kl_of_pairs(fit, fit.params) < 0.03


def test_the_law_alone_teaches_a_small_network():
    config = TrainConfig.profile("smoke", preset("linear3")).replace(
        loss={"divergence": "none", "ngram_weight": 1.0, "ngram_orders": (4,)},
        train={"epochs": 10, "steps_per_epoch": 30, "learning_rate": 1e-2, "snapshot_every": 10},
    )
    fit = train(config, 1.0, jax.random.key(0))
    assert np.isnan(fit.records.marginal_error).all()
    assert fit.records.loss[-1] < fit.records.loss[0] / 20
    assert kl_of_pairs(fit, fit.params) < kl_of_pairs(fit, at_start(fit)) / 100
