"""The activity penalty: what it is, that it is recorded apart, and what it does."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from networks import net_of

from hmmrnn import load, train
from hmmrnn.training import RunSpec, loss_floor
from hmmrnn.training.data import make_data, step_batch
from hmmrnn.training.run import train_run
from hmmrnn.training.step import LARGEST_STATE, activity, batch_loss, init_state

KEY = jax.random.key(0)


@pytest.fixture(scope="module")
def penalised(smoke):
    return smoke.replace(train={"activity_penalty": 0.3})


@pytest.fixture(scope="module")
def found(smoke, penalised):
    """Value, gradient and diagnostics of one step without and with the penalty."""
    params = init_state(smoke, KEY).params
    target = step_batch(smoke, make_data(smoke, KEY), jax.random.key(1))

    def of(config, noise_std=0.5):
        step = jax.value_and_grad(
            lambda p: batch_loss(p, config, noise_std, target, KEY), has_aux=True
        )
        return jax.jit(step)(params)

    return params, of(smoke), of(penalised)


def test_it_is_added_to_what_is_minimised_and_recorded_apart(smoke, penalised, found):
    params, ((plain, without), _), ((value, with_), _) = found
    assert without.activity is None
    assert float(with_.loss) == float(without.loss) == float(plain)
    key_run, _ = jax.random.split(KEY)
    keys, _ = jax.vmap(jax.random.split, out_axes=1)(jax.random.split(key_run, 64))
    states = net_of(smoke.cell, params, 0.5).simulate(smoke.data.n_steps, keys).states
    expected = np.mean(np.square(np.asarray(states, float))) / 0.5**2
    assert float(with_.activity) == pytest.approx(expected, rel=1e-5)
    assert float(value - plain) == pytest.approx(0.3 * expected, rel=1e-4)


def test_its_gradient_is_that_of_finite_differences(smoke, penalised, found):
    params, (_, plain), (_, gradient) = found
    key_run, _ = jax.random.split(KEY)
    keys, _ = jax.vmap(jax.random.split, out_axes=1)(jax.random.split(key_run, 64))

    @jax.jit
    def mean_square(w):
        states = (
            net_of(smoke.cell, {**params, "W_rec": w}, 0.5)
            .simulate(smoke.data.n_steps, keys)
            .states
        )
        return jnp.mean(activity(states, 0.5))

    rng = np.random.default_rng(0)
    direction = rng.normal(size=params["W_rec"].shape).astype(np.float32)
    h = 1e-2
    slope = float(
        mean_square(params["W_rec"] + h * direction) - mean_square(params["W_rec"] - h * direction)
    ) / (2 * h)
    ours = float(jnp.sum((gradient["W_rec"] - plain["W_rec"]) * direction))
    assert ours == pytest.approx(0.3 * slope, rel=2e-2)


def test_exploding_states_have_a_finite_sum_and_no_noise_is_no_division_by_zero():
    states = jnp.array([[[1e30, -jnp.inf]], [[2.0, 0.0]]])
    assert float(activity(states, 1.0)[0]) == pytest.approx(2 * LARGEST_STATE**2 / 4)
    assert float(activity(jnp.full((3, 1, 2), 2.0), 0.0)[0]) == 4


def test_a_network_under_it_is_less_active_and_its_floor_is_that_of_the_loss(
    smoke, penalised, tmp_path
):
    free, held = (
        train(smoke.replace(train={"activity_penalty": p, "learning_rate": 1e-2}), 1.0, KEY)
        for p in (1e-6, 30.0)
    )
    assert held.records.activity[-1] < 0.5 * free.records.activity[-1]
    for one, other in zip(loss_floor(smoke, KEY), loss_floor(penalised, KEY), strict=True):
        assert float(one) == float(other)
    train_run(tmp_path / "run", RunSpec(held.config, 1.0, 0))
    loaded = load(tmp_path / "run")
    np.testing.assert_array_equal(loaded.records.activity, held.records.activity)
