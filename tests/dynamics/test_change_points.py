"""Series whose changes are known."""

import numpy as np
import pytest

from hmmrnn.dynamics.change_points import change_point, first_jump, second_descent

EPOCHS = np.arange(10, 510, 10)


def noisy(levels, spread, n_draws=200, seed=0):
    rng = np.random.default_rng(seed)
    runs = levels + spread * rng.standard_normal((30, len(levels)))
    weights = rng.multinomial(30, np.full(30, 1 / 30), n_draws) / 30
    return runs.mean(axis=0), weights @ runs


def test_first_jump_is_the_first_rise_over_two_hundredths_in_ten_epochs():
    values = np.where(EPOCHS >= 60, 0.3, 0.01)
    assert first_jump(EPOCHS, values) == 60
    assert np.isnan(first_jump(EPOCHS, 0.02 * (EPOCHS >= 60)))
    slow = np.minimum(0.0019 * EPOCHS, 0.5)  # 0.019 in 10 epochs, whatever it sums up to
    assert np.isnan(first_jump(EPOCHS, slow))


def test_first_jump_looks_at_every_tenth_epoch_of_a_finer_grid_and_each_of_a_coarser_one():
    fine = np.arange(1, 101)
    assert first_jump(fine, 0.005 * np.clip(fine - 30, 0, 10)) == 41  # 1, 11, .. 31, 41
    coarse = np.arange(25, 500, 25)
    assert first_jump(coarse, np.where(coarse >= 75, 0.5, 0.0)) == 75


def test_first_jump_passes_over_snapshots_that_are_not_known():
    values = np.where(EPOCHS >= 60, 0.3, 0.01)
    values[4:6] = np.nan  # epochs 50 and 60
    assert first_jump(EPOCHS, values) == 70
    assert np.isnan(first_jump(EPOCHS, np.full(50, np.nan)))


def test_change_point_finds_a_step_with_an_interval_around_it():
    values, draws = noisy(np.where(EPOCHS >= 200, 0.06, 0.02), 0.01)
    found = change_point(EPOCHS, values, draws, np.random.default_rng(0))
    assert found.epoch == 200
    assert found.low == 190
    assert 200 <= found.high <= 210
    assert (found.before, found.after) == pytest.approx((0.02, 0.06), abs=2e-3)
    assert found.p_value < 0.01
    assert found.n_valid == 50


def test_change_point_agrees_with_an_exhaustive_least_squares_fit():
    rng = np.random.default_rng(1)
    values = rng.standard_normal(20) + 3 * (np.arange(20) >= 7)
    errors = [values[:k].var() * k + values[k:].var() * (20 - k) for k in range(1, 20)]
    found = change_point(np.arange(20), values, values[None], rng)
    assert found.epoch == 1 + np.argmin(errors)


def test_a_rise_is_found_before_a_larger_fall_if_only_rises_are_wanted():
    levels = np.select([EPOCHS < 150, EPOCHS < 300], [0.3, 0.5], 0.0)
    values, draws = noisy(levels, 0.01)
    rng = np.random.default_rng(0)
    assert change_point(EPOCHS, values, draws, rng).epoch == 300
    rise = change_point(EPOCHS[:28], values[:28], draws[:, :28], rng, rises_only=True)
    assert rise.epoch == 150
    assert rise.after > rise.before
    falling, fell = noisy(np.where(EPOCHS < 300, 0.5, 0.0), 0.01)
    assert np.isnan(change_point(EPOCHS, falling, fell, rng, rises_only=True).epoch)


def test_interval_of_a_faint_change_is_wide_and_covers_it():
    covered, widths = 0, []
    for seed in range(20):
        values, draws = noisy(np.where(EPOCHS >= 250, 0.05, 0.02), 0.12, seed=seed)
        found = change_point(EPOCHS, values, draws, np.random.default_rng(seed))
        covered += found.low <= 250 <= found.high or np.isnan(found.epoch)
        widths.append(found.high - found.low)
    assert covered >= 17
    assert np.nanmedian(widths) > 10


def test_noise_has_no_change_point():
    found = [
        change_point(EPOCHS, *noisy(np.full(50, 0.1), 0.1, seed=s), np.random.default_rng(s)).epoch
        for s in range(20)
    ]
    assert np.sum(np.isfinite(found)) <= 3


@pytest.mark.parametrize("values", [np.full(50, 0.3), np.full(50, np.nan), np.zeros(50)])
def test_no_change_point_in_a_constant_or_unknown_series(values):
    found = change_point(EPOCHS, values, values[None], np.random.default_rng(0))
    assert np.isnan(found.epoch)
    assert found.n_valid == np.isfinite(values).sum()


def two_descents(noise=0.0):
    epochs = np.arange(1, 501)
    loss = 36 + 15 * np.exp(-epochs / 3) - 26 / (1 + np.exp(-(epochs - 200) / 10))
    return loss + noise * np.random.default_rng(0).standard_normal(500)


@pytest.mark.parametrize("noise", [0.0, 0.5])
def test_second_descent_begins_where_the_plateau_ends(noise):
    found = second_descent(two_descents(noise))
    assert found.plateau_start < 20
    assert found.onset == pytest.approx(175, abs=15)
    assert found.first_fall == pytest.approx(15 / 41, abs=0.15)
    assert found.second_fall == pytest.approx(26 / 41, abs=0.1)


@pytest.mark.parametrize(
    "loss",
    [
        10 * np.exp(-np.arange(500) / 30),  # one descent
        36 + 15 * np.exp(-np.arange(500) / 3),  # and never another
        np.full(500, 3.0),
        np.arange(500.0),
        np.full(500, np.nan),
        np.array([5.0, 1.0]),
    ],
)
def test_no_second_descent(loss):
    assert np.isnan(second_descent(loss).onset)


def test_second_descent_counts_epochs_past_those_that_were_not_finite():
    loss = two_descents()
    loss[50:60] = np.nan
    assert second_descent(loss).onset == pytest.approx(second_descent(two_descents()).onset, abs=4)
