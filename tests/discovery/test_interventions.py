"""Windowed interventions: the equation in a loop, what is shared, what is refused."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hmmrnn.discovery.case import Lag, SquaredError, case_of, checked, clean_run, other_trials
from hmmrnn.discovery.interventions import clean_losses, effects, losses, stand_ins, units
from hmmrnn.errors import InputError
from hmmrnn.tasks import hmm_inference, ring_attractor

from .cases import KEY, WINDOWS, B, K, N, T, looped, loss_of, small_case

GROUPS = np.array([[i in group for i in range(N)] for group in ((), (3,), (1, 4, 8), range(N))])


@pytest.mark.parametrize("kind", ["zero", "mean", "resample"])
@pytest.mark.parametrize(
    ("activation", "leak", "loss"),
    [("relu", 0.4, SquaredError()), ("tanh", 1.0, Lag(0, 1))],
)
def test_losses_are_those_of_the_loop(activation, leak, loss, kind):
    case = small_case(activation, leak, loss, scored_from=5)
    instead = stand_ins(case, kind)
    found = losses(case, GROUPS, instead)
    assert found.shape == (len(WINDOWS), len(GROUPS), B)
    for w, window in enumerate(WINDOWS.values()):
        values = np.broadcast_to(np.asarray(instead[w % len(instead)], float), (T, B, N))
        for g, group in enumerate(GROUPS):
            readout = looped(case, np.flatnonzero(group), window, values)
            np.testing.assert_allclose(
                found[w, g], loss_of(case, readout, window[0]), rtol=1e-4, atol=1e-5
            )


def test_what_stands_in():
    case = small_case()
    assert not np.asarray(stand_ins(case, "zero")).any()
    np.testing.assert_array_equal(stand_ins(case, "mean")[:, 0, 0], case.means)
    with pytest.raises(InputError, match=r"kind=noise: .*zero, mean, resample"):
        stand_ins(case, "noise")


def test_all_units_resampled_throughout_are_the_corrupted_run():
    case = small_case()._replace(windows={"all": (0, T)})
    found = losses(case, np.ones((1, N), bool), stand_ins(case, "resample"))[0, 0]
    expected = loss_of(case, looped(case, corrupted=True), 0)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_every_trial_has_another_one_as_its_corrupted_run():
    partner = other_trials(B, KEY)
    assert sorted(partner) == list(range(B))
    assert not np.any(partner == np.arange(B))
    task = ring_attractor(KEY, "static", n_trials=4, n_steps=10)
    case = case_of(task, KEY)
    other = other_trials(4, KEY)
    np.testing.assert_array_equal(case.other_h0, np.asarray(task.h0)[other])
    np.testing.assert_array_equal(case.other_inputs, np.asarray(task.inputs)[:, other])


def test_patching_everything_throughout_gives_the_clean_readout():
    case = small_case()._replace(windows={"all": (0, T)})
    nobody_and_all = np.array([[False] * N, [True] * N])
    found = losses(case.corrupted(), nobody_and_all, clean_run(case).states[None])[0]
    np.testing.assert_allclose(
        found[0], loss_of(case, looped(case, corrupted=True), 0), rtol=1e-4, atol=1e-5
    )
    assert np.all(found[0] > 1e-3)
    np.testing.assert_allclose(found[1], 0.0, atol=1e-9)


def test_groups_may_differ_between_windows():
    case = small_case()
    instead = stand_ins(case, "mean")
    groups = np.stack([GROUPS[[1]], GROUPS[[2]], GROUPS[[3]]])
    found = effects(case, groups, instead)
    each = effects(case, GROUPS, instead)
    for w in range(3):
        np.testing.assert_allclose(found[w, 0], each[w, w + 1], rtol=1e-5, atol=1e-6)


def test_no_intervention_has_no_effect_and_the_clean_run_no_loss():
    case = small_case()
    assert not effects(case, GROUPS[:1], stand_ins(case, "zero")).any()
    assert not clean_losses(case).any()  # the target is its own readout


def test_a_trial_does_not_depend_on_the_others():
    case = small_case()
    few = case.trials(np.array([4, 1]))
    found = effects(case, units(case), stand_ins(case, "mean"))
    alone = effects(few, units(few), stand_ins(few, "mean"))
    np.testing.assert_allclose(alone, found[..., [4, 1]], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("kind", ["zero", "mean", "resample"])
@pytest.mark.parametrize("make", ["ring", "filter"])
def test_units_without_a_path_to_the_readout_have_no_effect(make, kind):
    task = (
        ring_attractor(KEY, "travelling", n_trials=4, n_steps=80)
        if make == "ring"
        else hmm_inference(KEY, n_trials=4, n_steps=80)
    )
    case = case_of(task, KEY)
    found = effects(case, units(case)[task.unconnected], stand_ins(case, kind))
    assert task.unconnected.sum() >= 50
    assert np.abs(found).max() <= 1e-6


@pytest.mark.parametrize(
    ("windows", "message"),
    [
        ({}, "no window"),
        ({"none": (3, 3)}, "window none is steps 3 .. 2: it must hold at least one step"),
        ({"long": (3, T + 1)}, "window long is steps 3 .. 12"),
        ({"after": (10, 12)}, "window after begins at step 10: nothing is scored"),
    ],
)
def test_windows_that_do_not_fit_are_named(windows, message):
    case = small_case()._replace(windows=windows, scored=np.arange(T) < 9)
    with pytest.raises(InputError, match=message):
        checked(case)


def test_one_trial_has_no_other():
    with pytest.raises(InputError, match="n_trials=1"):
        other_trials(1, KEY)


def test_the_target_of_a_task_is_its_own_readout_and_means_are_of_windows():
    task = ring_attractor(KEY, "jumping", n_trials=4, n_steps=80, contamination=0.2)
    case = case_of(task, jax.random.key(0))
    run = clean_run(case)
    np.testing.assert_array_equal(case.target, run.logits)
    assert float(jnp.abs(case.target - task.target).max()) > 0.01
    first, end = task.windows["cue"]
    np.testing.assert_allclose(
        case.means[1], np.asarray(run.states[first:end]).mean((0, 1)), rtol=1e-4, atol=1e-6
    )
    assert case.target.shape[-1] == K
