"""Selection: circuits of networks whose circuit is known by construction."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hmmrnn.discovery.case import Lag, clean_run
from hmmrnn.discovery.interventions import effects, losses, stand_ins, units
from hmmrnn.discovery.selection import (
    Chosen,
    curve_sizes,
    curves,
    halves,
    judged,
    of_size,
    smallest_faithful,
    strongest,
)
from hmmrnn.errors import InputError

from .cases import KEY, B, N, small_case

WEIGHTS = np.array([4.0, 2.0, 1.0, 0.5, *[0.0] * (N - 4)])


def additive(loss=Lag(0, 1)):  # noqa: B008
    """Units that do not talk to each other, of known weight in the readout of output 1."""
    case = small_case(leak=1.0, loss=loss, bias=5.0)
    quiet = {
        "W_rec": jnp.zeros((N, N)),
        "W_out": jnp.stack([jnp.zeros(N), jnp.asarray(WEIGHTS, jnp.float32)]),
        "W_in": jnp.zeros((N, 3)),
    }
    case = case._replace(network=case.network.replace(**quiet), windows={"late": (4, 12)})
    case = case._replace(means=jnp.zeros((1, N)), other_h0=case.h0, other_inputs=case.inputs)
    return case._replace(target=clean_run(case).logits)


def found_in(case, **changes):
    instead = stand_ins(case, "mean")
    strength = effects(case, units(case), instead).mean(-1)
    return instead, strength, smallest_faithful(case, strength, instead, **changes)


def test_faithfulness_of_additive_units_is_their_share_of_the_weight():
    case = additive()
    instead, strength, *_ = found_in(case)
    (curve,) = curves(case, strength, instead, KEY)
    share = np.concatenate([[0], np.cumsum(WEIGHTS)])[curve.sizes] / WEIGHTS.sum()
    np.testing.assert_allclose(curve.faithfulness.value, share, atol=1e-5)
    np.testing.assert_array_equal(curve.sizes, np.arange(N + 1))
    expected = np.trapezoid(share, np.arange(N + 1) / N)
    assert curve.cpr.value == pytest.approx(expected, abs=1e-5)
    assert curve.cmd.value == pytest.approx(1 - expected, abs=1e-5)


@pytest.mark.parametrize(("threshold", "size"), [(0.5, 1), (0.55, 2), (0.9, 3), (0.95, 4)])
def test_the_smallest_faithful_circuit_of_additive_units(threshold, size):
    case = additive()
    _, _, (chosen, at) = found_in(case, threshold=threshold)
    np.testing.assert_array_equal(np.flatnonzero(chosen[0]), np.arange(size))
    assert at[0] == pytest.approx(WEIGHTS[:size].sum() / WEIGHTS.sum(), rel=1e-5)


def test_a_circuit_of_additive_units_is_judged_by_its_weights():
    case = additive()
    instead, strength, chosen = found_in(case, threshold=0.9)
    (circuit,) = judged(case, chosen, strength, instead, KEY)
    total = WEIGHTS.sum()
    assert circuit.faithfulness.value == pytest.approx(7 / total, rel=1e-4)
    assert circuit.completeness.value == pytest.approx(0.5 / total, abs=1e-5)
    assert circuit.minimality.value == pytest.approx(1 / total, rel=1e-4)
    assert circuit.necessity.value == pytest.approx(5 * 7, rel=1e-4)  # each unit is at 5
    assert circuit.stake.value == pytest.approx(5 * total, rel=1e-4)
    for one in (circuit.faithfulness, circuit.necessity):  # all trials are alike
        assert one.high - one.low < 1e-4


def test_sufficiency_is_what_patching_restores():
    case = additive()
    case = case._replace(network=case.network.replace(W_in=jnp.eye(N, 3)))
    case = case._replace(other_inputs=case.other_inputs - 3.0, target=clean_run(case).logits)
    instead, strength, *_ = found_in(case)
    chosen = Chosen(np.arange(N)[None] < 2, np.ones(1))
    (circuit,) = judged(case, chosen, strength, instead, KEY)
    clean, corrupt = (
        losses(each, np.zeros((1, N), bool), instead)[0, 0] for each in (case, case.corrupted())
    )
    drop = 5 - np.maximum(0, 5 + np.asarray(case.other_inputs)[4:])  # (T, B, 3), units 0 to 2
    drop -= 5 - np.maximum(0, 5 + np.asarray(case.inputs)[4:])
    lost = (drop.mean(0) * WEIGHTS[:3]).mean(0)
    np.testing.assert_allclose((corrupt - clean).mean(), lost.sum(), rtol=1e-4)
    assert circuit.sufficiency.value == pytest.approx(lost[:2].sum() / lost.sum(), rel=1e-4)


def test_intervals_hold_the_value_and_shrink_to_nothing_with_equal_trials():
    case = small_case()
    instead, strength, chosen = found_in(case)
    for circuit in judged(case, chosen, strength, instead, KEY):
        for name in ("faithfulness", "necessity", "completeness", "sufficiency"):
            one = getattr(circuit, name)
            assert one.low <= one.value <= one.high
    for curve in curves(case, strength, instead, KEY):
        assert curve.faithfulness.value[0] == pytest.approx(0, abs=1e-9)
        assert curve.faithfulness.value[-1] == pytest.approx(1)
        assert np.all(curve.faithfulness.low <= curve.faithfulness.high)


def test_a_window_without_any_effect_is_unknown_and_no_error():
    case = additive()
    case = case._replace(means=jnp.full((1, N), 5.0))  # what they do anyway
    instead, strength, chosen = found_in(case)
    (circuit,) = judged(case, chosen, strength, instead, KEY)
    assert np.isnan(circuit.faithfulness.value)
    assert circuit.necessity.value == circuit.stake.value == 0
    assert not circuit.units.any()
    assert np.isnan(circuit.minimality.value)


def test_where_nothing_is_clearly_at_stake_there_is_no_circuit():
    """The loss rises in some trials and falls in others when all is replaced."""
    case = additive()
    instead = 5.0 + 0.1 * jnp.asarray([1.0, -1, 1, -1, 1, -1])[None, None, :, None]
    instead = jnp.broadcast_to(instead, (1, 1, B, N))
    strength = np.ones((1, N))
    assert not smallest_faithful(case, strength, instead).units.any()
    (curve,) = curves(case, strength, instead, KEY)
    assert np.isnan(curve.faithfulness.value).all()
    assert np.isnan(curve.cpr.value)
    (circuit,) = judged(case, of_size(case, strength, instead, 2), strength, instead, KEY)
    assert np.isnan(circuit.faithfulness.value)
    assert np.isnan(circuit.completeness.value)
    assert circuit.stake.low < 0 < circuit.stake.high


def test_circuits_of_a_given_size():
    case = additive()
    instead, strength, _ = found_in(case)
    found = of_size(case, strength, instead, 2)
    np.testing.assert_array_equal(np.flatnonzero(found.units[0]), [0, 1])
    assert found.at[0] == pytest.approx(6 / WEIGHTS.sum(), rel=1e-4)
    for size in (0, N + 1):
        with pytest.raises(InputError, match=f"size={size}: .*{N}"):
            of_size(case, strength, instead, size)


def test_halves_are_all_trials_once_and_differ_by_key():
    one, other = halves(21, KEY)
    assert sorted([*one, *other]) == list(range(21))
    assert (len(one), len(other)) == (10, 11)
    assert list(one) != list(halves(21, jax.random.key(1))[0])
    with pytest.raises(InputError, match=r"n_trials=3: .*4"):
        halves(3, KEY)


def test_the_strongest_and_the_sizes():
    np.testing.assert_array_equal(
        strongest(np.array([1.0, 3.0, 3.0, 2.0]), 2), [False, True, True, False]
    )
    assert not strongest(np.ones(3), 0).any()
    for n in (1, 2, 50, 256):
        sizes = curve_sizes(n)
        assert (sizes[0], sizes[-1]) == (0, n)
        assert np.all(np.diff(sizes) > 0)
    assert list(curve_sizes(256)[:4]) == [0, 1, 2, 3]
    assert B == 6  # of the cases above
