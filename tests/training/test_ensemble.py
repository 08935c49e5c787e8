import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hmmrnn import InputError, programs, train
from hmmrnn.training.data import make_data
from hmmrnn.training.ensemble import (
    Placement,
    advance,
    fixed_data,
    member,
    run_chunk,
    start,
    train_ensemble,
)
from hmmrnn.training.fit import streams_of
from hmmrnn.training.step import epochs, init_state

SEEDS = (0, 1, 2)
LEVELS = (1.0, 0.5, 1.0)
COLLECTIVE = re.compile(r"all-reduce|all-gather|all-to-all|reduce-scatter|collective|send\(|recv\(")


@pytest.fixture(scope="module")
def config(smoke):
    """50 steps."""
    return smoke.replace(train={"epochs": 10, "chunk_epochs": 2, "checkpoint_every": 2})


@pytest.fixture(scope="module")
def keys():
    return jnp.stack([jax.random.key(seed) for seed in SEEDS])


@pytest.fixture(scope="module")
def solo(config):
    return [
        train(config, level, jax.random.key(seed))
        for level, seed in zip(LEVELS, SEEDS, strict=True)
    ]


def placed(n_devices, vectorised):
    return Placement(tuple(jax.devices()[:n_devices]), vectorised)


def at(tree, i):
    return jax.tree.map(lambda leaf: leaf[i], tree)


def assert_equal(fit, solo, **tolerance):
    ours, theirs = jax.tree.leaves(fit), jax.tree.leaves(solo)
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a, b, **tolerance)


def test_one_after_another_members_are_their_solo_runs_bit_for_bit(config, keys, solo):
    fits = train_ensemble(config, jnp.array(LEVELS), keys, placed(1, False))
    for i, one in enumerate(solo):
        assert_equal(member(fits, i), one, rtol=0, atol=0)


@pytest.mark.parametrize(
    ("n_devices", "vectorised"),
    [(1, True), (4, True), pytest.param(4, False, marks=pytest.mark.slow)],
)
def test_members_equal_their_solo_runs_over_50_steps(config, keys, solo, n_devices, vectorised):
    fits = train_ensemble(config, jnp.array(LEVELS), keys, placed(n_devices, vectorised))
    assert fits.params["W_rec"].shape == (3, 16, 16)
    for i, one in enumerate(solo):
        ours = member(fits, i)
        for name in one.params:
            np.testing.assert_allclose(ours.params[name], one.params[name], atol=2e-4)
        np.testing.assert_allclose(ours.records.loss, one.records.loss, rtol=2e-3, atol=1e-3)
        np.testing.assert_allclose(ours.floor.mean, one.floor.mean, rtol=1e-4, atol=1e-5)
        np.testing.assert_array_equal(ours.snapshots.epochs, one.snapshots.epochs)
        assert ours.noise_std == one.noise_std


@pytest.mark.parametrize(("n_devices", "vectorised"), [(1, True), (4, True), (4, False)])
def test_fixed_data_and_first_parameters_are_those_of_solo_runs(
    config, keys, n_devices, vectorised
):
    fixed = config.replace(data={"source": "fixed", "n_sequences": 300})
    placement = placed(n_devices, vectorised)
    filled = keys[placement.filled(len(keys))]
    data = fixed_data(fixed, placement, jax.vmap(streams_of)(filled).data)
    first = start(fixed, filled, placement)
    for i, key in enumerate(keys):
        streams = streams_of(key)
        assert_equal(at(data, i), make_data(fixed, streams.data), rtol=0, atol=0)
        assert_equal(at(first, i).state, init_state(fixed, streams.init), rtol=0, atol=0)


RECIPES = {
    "laptop": {
        "loss": {"divergence": "none", "ngram_weight": 1.0, "ngram_orders": (3,)},
        "train": {"activity_penalty": 1e-3, "learning_rate": 2e-3},
    },
    "paper": {
        "loss": {"divergence": "reference"},
        "data": {"source": "fixed", "n_sequences": 120},
        "train": {"batch_size": 16, "schedule": "constant", "clip_norm": 0.3, "temperature": 0.7},
    },
    "smoke": {},
}


def compiled_in(config, level, key):
    """Parameters after a training by one program that knows all numbers of the recipe."""
    streams = streams_of(key)
    data = make_data(config, streams.data)

    @jax.jit
    def chunk(state, level, key, done):
        return epochs(config, state, data, level, key, config.train.chunk_epochs, done)[0]

    state = init_state(config, streams.init)
    for done in range(0, config.train.epochs, config.train.chunk_epochs):
        state = chunk(state, jnp.float32(level), streams.steps, done)
    return state.params


@pytest.mark.parametrize(
    "recipe",
    [pytest.param(name, marks=pytest.mark.slow) if name == "paper" else name for name in RECIPES],
)
def test_numbers_that_are_arguments_of_the_program_change_no_bit(smoke, recipe):
    config = smoke.replace(train={"epochs": 3}).replace(**RECIPES[recipe])
    key = jax.random.key(0)
    ours, truth = train(config, 1.0, key).params, compiled_in(config, 1.0, key)
    for name, expected in truth.items():
        np.testing.assert_array_equal(ours[name], expected)


def test_trainings_that_differ_in_them_share_their_programs(smoke, monkeypatch):
    monkeypatch.setattr(programs, "MANY_MAPPINGS", 10**9)  # or all are forgotten in between
    config = smoke.replace(train={"epochs": 1, "activity_penalty": 1e-3})
    one = train(config, 1.0, jax.random.key(0))
    compiled = [run_chunk._cache_size(), start._cache_size(), fixed_data._cache_size()]
    other = {"learning_rate": 0.1, "clip_norm": 2.0, "activity_penalty": 0.1}
    for name, value in other.items():
        changed = train(config.replace(train={name: value}), 1.0, jax.random.key(0))
        assert not np.array_equal(changed.params["W_rec"], one.params["W_rec"]), name
        assert changed.config.train != config.train
    assert [run_chunk._cache_size(), start._cache_size(), fixed_data._cache_size()] == compiled


def test_every_seed_differs(config, keys):
    fits = train_ensemble(config, jnp.ones(3), keys, placed(1, False))
    for i in range(3):
        for j in range(i):
            a, b = member(fits, i), member(fits, j)
            assert np.abs(a.params["W_rec"] - b.params["W_rec"]).max() > 1e-2


@pytest.mark.parametrize("vectorised", [False, True])
def test_a_member_that_diverges_is_frozen_and_leaves_the_others_alone(
    config, keys, solo, vectorised
):
    strict = config.replace(train={"max_bad_steps": 3})
    levels = jnp.array([1.0, float("nan"), 1.0])
    fits = train_ensemble(strict, levels, keys, placed(1, vectorised))
    frozen = member(fits, 1)
    for name, stack in frozen.snapshots.params.items():
        np.testing.assert_array_equal(frozen.params[name], stack[0])
    assert np.asarray(frozen.records.bad_steps).sum() == 50
    for i in (0, 2):
        ours, one = member(fits, i), solo[i]
        assert not np.asarray(ours.records.bad_steps).any()
        for name in one.params:
            np.testing.assert_allclose(ours.params[name], one.params[name], atol=2e-4)


def test_going_on_from_the_middle_changes_nothing(config, keys):
    placement, levels = placed(4, False), jnp.ones(4)
    four = keys[placement.filled(3)]
    progress = start(config, four, placement)
    *_, whole = advance(config, levels, progress, four, placement)
    *_, half = advance(config, levels, progress, four, placement, until=4)
    assert list(half.state.epoch) == [4] * 4
    saved = jax.device_get(half)
    *_, rest = advance(config, levels, saved, four, placement, done=4)
    assert_equal(rest, whole, rtol=0, atol=0)


@pytest.mark.parametrize("divergence", ["independent", "reference", "energy"])
def test_the_compiled_step_does_not_communicate(config, keys, divergence):
    cost = "euclidean" if divergence == "energy" else "squared"
    config = config.replace(loss={"divergence": divergence, "cost": cost})
    placement = placed(4, True)
    four = keys[placement.filled(3)]
    progress = jax.eval_shape(lambda: start(config, four, placement))
    data = jax.eval_shape(lambda: fixed_data(config, placement, four))
    lowered = run_chunk.lower(config, placement, progress.state, data, jnp.ones(4), four, 2, 0)
    compiled = lowered.compile()
    assert len(compiled.input_shardings[0][1].params["W_rec"].device_set) == 4
    assert not COLLECTIVE.findall(compiled.as_text())


def test_communication_would_be_seen():
    devices = placed(4, True).sharding
    total = jax.jit(jnp.sum).lower(jax.device_put(jnp.ones(4), devices)).compile()
    assert COLLECTIVE.findall(total.as_text())


def test_an_empty_ensemble_and_one_of_unequal_parts_are_refused(config, keys):
    with pytest.raises(InputError, match="at least one"):
        train_ensemble(config, jnp.ones(0), keys[:0])
    with pytest.raises(InputError, match="2 noise levels and 3 keys"):
        train_ensemble(config, jnp.ones(2), keys)


def test_on_cpus_members_run_one_after_another():
    assert Placement.default() == Placement(tuple(jax.local_devices()), vectorised=False)


@pytest.mark.parametrize(
    ("n", "expected"), [(1, [0] * 4), (4, [0, 1, 2, 3]), (5, [*range(5), 4, 4, 4])]
)
def test_members_fill_all_devices(n, expected):
    assert placed(4, True).filled(n).tolist() == expected
