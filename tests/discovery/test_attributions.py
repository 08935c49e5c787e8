"""Attribution: against interventions that are small, networks that are linear, and gradients."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import spearmanr

from hmmrnn.discovery.attributions import METHODS, attribution
from hmmrnn.discovery.case import Lag, SquaredError, case_of, clean_run
from hmmrnn.discovery.interventions import effects, stand_ins, units
from hmmrnn.errors import InputError
from hmmrnn.tasks import ring_attractor

from .cases import KEY, WINDOWS, N, T, looped, small_case

ONE_STEP = {f"step {t}": (t, t + 1) for t in (0, 5, 11)}


def nearly(case, size):
    """States that hardly differ from those of the clean run, as stand-ins."""
    change = jax.random.normal(KEY, clean_run(case).states.shape)
    return (clean_run(case).states + size * change)[None]


@pytest.mark.parametrize("activation", ["relu", "tanh"])
@pytest.mark.parametrize("method", METHODS)
def test_tiny_interventions_at_one_step_have_slope_1(activation, method):
    case = small_case(activation, loss=Lag(0, 1))._replace(windows=ONE_STEP)
    instead = nearly(case, 1e-3)
    exact = effects(case, units(case), instead).ravel()
    found = attribution(case, instead, method, KEY).ravel()
    slope = (exact @ found) / (exact @ exact)
    assert slope == pytest.approx(1, abs=0.02)
    assert np.corrcoef(exact, found)[0, 1] > 0.999


def test_the_gradient_of_a_curved_loss_is_the_first_order():
    case = small_case(loss=SquaredError())._replace(windows=ONE_STEP)
    case = case._replace(target=case.target + 1.0)  # so that there is a gradient
    instead = nearly(case, 1e-3)
    exact = effects(case, units(case), instead).ravel()
    found = attribution(case, instead, "one pass", KEY).ravel()
    assert (exact @ found) / (exact @ exact) == pytest.approx(1, abs=0.02)


def test_the_second_order_of_a_squared_error_is_that_of_the_intervention():
    case = small_case()._replace(windows=ONE_STEP)
    instead = nearly(case, 0.02)
    exact = effects(case, units(case), instead)
    found = attribution(case, instead, "one pass", KEY, n_probes=512)
    assert exact.min() >= 0
    slope = (exact * found).sum() / (exact**2).sum()
    assert slope == pytest.approx(1, abs=0.1)  # random signs: about 1 in sqrt(512) for each value
    assert spearmanr(exact.ravel(), found.ravel())[0] > 0.98


def chain_case():
    """A unit that feeds itself and one other, always active, without a loop through others."""
    case = small_case(leak=1.0, loss=Lag(0, 1), bias=5.0)
    W = np.zeros((N, N), np.float32)
    W[0, 0], W[1, 0], W[2, 1] = 0.5, 0.4, 0.3
    return case._replace(network=case.network.replace(W_rec=jnp.asarray(W)))


def test_in_a_linear_network_without_loops_the_path_cut_estimate_is_exact():
    case = chain_case()
    instead = stand_ins(case, "mean")
    exact = effects(case, units(case), instead)
    cut = attribution(case, instead, "path cut", KEY)
    np.testing.assert_allclose(cut, exact, rtol=1e-3, atol=1e-4)
    open_ = attribution(case, instead, "one pass", KEY)
    assert np.all(np.abs(open_[1, 0]) > 1.4 * np.abs(exact[1, 0]))  # the unit feeds itself


def test_integrated_gradients_see_a_gate_that_opens_on_the_way():
    """Unit 1 is silent in the clean run; only a strong push from unit 0 opens it."""
    case = small_case(leak=1.0, loss=Lag(0, 1))._replace(windows={"first": (0, 1)})
    W = np.zeros((N, N), np.float32)
    W[1, 0] = 1.0
    bias = jnp.zeros(N).at[1].set(-1.0)
    quiet = {"W_rec": jnp.asarray(W), "W_in": jnp.zeros((N, 3)), "b_rec": bias}
    case = case._replace(network=case.network.replace(**quiet), h0=jnp.zeros_like(case.h0))
    case = case._replace(network=case.network.replace(W_out=jnp.zeros((2, N)).at[0, 1].set(1.0)))
    instead = jnp.zeros((1, 1, 1, N)).at[..., 0].set(5.0)
    exact = effects(case, units(case), instead)[0, 0].mean()
    assert exact == pytest.approx(4 / T, rel=1e-4)
    assert attribution(case, instead, "one pass", KEY)[0, 0].mean() == 0
    found = attribution(case, instead, "integrated", KEY)[0, 0].mean()
    assert found == pytest.approx(5 * 0.75 / T, rel=1e-4)  # open at 6 of 8 points of the path


def test_estimates_are_gradients_by_finite_differences():
    case = small_case("tanh", loss=Lag(0, 1))
    instead = stand_ins(case, "mean")
    found = attribution(case, instead, "one pass", KEY)
    states = np.asarray(clean_run(case).states, float)
    change = np.asarray(instead[1], float) - states
    first, end = WINDOWS["middle"]
    margin = lambda readout: (readout[first:, 2, 0] - readout[first:, 2, 1]).mean()  # noqa: E731
    total, small = 0.0, 1e-4
    for t in range(first, end):  # a push of one step after the other, the rest free
        pushed = [states.copy(), states.copy()]
        pushed[0][t, 2, 3] += small
        pushed[1][t, 2, 3] -= small
        up, down = (looped(case, (3,), (t, t + 1), values) for values in pushed)
        total += (margin(up) - margin(down)) / (2 * small) * change[t, 2, 3]
    assert found[1, 3, 2] == pytest.approx(total, rel=2e-3)


def test_only_steps_of_the_window_count():
    case = small_case()
    instead = clean_run(case).states[None]
    late = instead.at[:, 8:].add(1.0)
    for method in METHODS:
        found = attribution(case, late, method, KEY)
        assert not found[:1].any()
        assert found[2].max() > 0


def test_another_method_is_refused():
    with pytest.raises(InputError, match=r"method=magic: .*one pass, path cut"):
        attribution(small_case(), jnp.zeros((1, 1, 1, N)), "magic", KEY)


def test_on_a_ring_it_ranks_units_as_interventions_do():
    task = ring_attractor(KEY, "static", n_trials=8, n_steps=40, contamination=0.2, noise_std=0.1)
    case = case_of(task, KEY)
    instead = stand_ins(case, "mean")
    exact = effects(case, units(case), instead).mean(-1)[0]
    found = attribution(case, instead, "path cut", KEY).mean(-1)[0]
    assert spearmanr(exact, found)[0] > 0.97
    slope = (exact @ found) / (exact @ exact)
    assert 0.7 < slope < 1.6
    assert (exact @ attribution(case, instead, "one pass", KEY).mean(-1)[0]) > 5 * (exact @ found)
