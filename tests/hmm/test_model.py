import dataclasses
import json
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import example, given

from hmmrnn.errors import InputError
from hmmrnn.hmm import HMM, PRESETS

from .oracles import few, hmms

HALVES = np.array([0.5, 0.5])
A = np.array([[0.9, 0.1], [0.2, 0.8]])
E = np.array([[0.7, 0.2, 0.1], [0.0, 0.5, 0.5]])
VALID = {"initial": HALVES, "transition": A, "emission": E}
UNSTABLE = HMM(
    initial=np.array([1.0]),
    transition=np.array([[1.0]]),
    emission=np.array([[1, 4, 1]]) / 6,
)


def hmm_with(**fields):
    return HMM(**{**VALID, **fields})


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("initial", [0.5, 0.4], "initial sums to 0.9, not 1"),
        ("transition", [[1, 0], [0.43, 0.5]], "transition[1] sums to 0.93, not 1"),
        ("emission", [[0.5, 0.6, 0], [1, 0, 0]], "emission[0] sums to 1.1, not 1"),
        ("transition", [[0.5, 0.499998], [0.5, 0.5]], "transition[0] sums to 0.999998, not 1"),
        ("initial", [1.25, -0.25], "initial contains -0.25"),
        ("transition", [[1, 0], [1.5, -0.5]], "transition[1] contains -0.5"),
        ("emission", [[-0.1, 0.6, 0.5], [1, 0, 0]], "emission[0] contains -0.1"),
        ("initial", [np.nan, 1], "initial contains nan; probabilities are finite"),
        (
            "transition",
            [[1, 0], [np.inf, 0]],
            "transition[1] contains inf; probabilities",
        ),
        ("emission", [[1, 0], [1, -np.inf]], "emission[1] contains -inf; probabilities are finite"),
        ("initial", [0.5, None], "initial contains nan; probabilities are finite"),
        ("initial", 1.0, "initial has shape ()"),
        ("initial", [], "initial has shape (0,)"),
        ("initial", [[0.5, 0.5]], "initial has shape (1, 2)"),
        ("transition", [0.5, 0.5], "transition has shape (2,)"),
        ("transition", [[0.5, 0.5]], "transition has shape (1, 2), not (2, 2)"),
        ("transition", np.eye(3), "transition has shape (3, 3), not (2, 2)"),
        ("transition", [[1, 0], [1]], "transition is not a rectangular array of numbers"),
        ("transition", {}, "transition is not a rectangular array of numbers"),
        ("emission", [[1, 0], ["a", 0]], "emission is not a rectangular array of numbers"),
        ("emission", np.eye(3), "emission has 3 rows, not 2"),
        ("emission", [[], []], "emission has shape (2, 0)"),
        ("emission", [[1.0], [1.0]], "emission has 1 column"),
    ],
)
def test_invalid_field_is_named_with_its_row_and_value(field, value, message):
    with pytest.raises(InputError, match="^" + re.escape(message)) as caught:
        HMM.from_dict({**VALID, field: value})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("rows", [slice(0, 2), slice(None)])
def test_one_state_too_many_in_initial_is_an_error(rows):
    with pytest.raises(InputError, match=r"transition .*\(2, 2\).*\(3, 3\)"):
        hmm_with(initial=np.full(3, 1 / 3), transition=A[rows])


def test_integer_too_large_for_a_float_is_an_input_error():
    with pytest.raises(InputError, match="initial"):
        HMM.from_dict({**VALID, "initial": [10**400, 0]})


@pytest.mark.parametrize(
    ("fields", "found"),
    [
        ({}, r"found \[\]"),
        ({"initial": HALVES, "transition": A}, r"found \['initial', 'transition'\]"),
        ({**VALID, "name": "mine"}, "'name'"),
    ],
)
def test_wrong_keys_are_listed(fields, found):
    with pytest.raises(InputError, match=found):
        HMM.from_dict(fields)


def test_rows_within_the_tolerance_are_rescaled():
    hmm = hmm_with(initial=np.array([0.25, 0.75]) * (1 + 9e-7))
    np.testing.assert_allclose(hmm.initial, [0.25, 0.75], rtol=0, atol=1e-15)


def test_fields_are_float64_and_count_states_and_symbols():
    hmm = HMM(
        initial=np.array([1, 0]),
        transition=np.eye(2, dtype=np.float32),
        emission=np.eye(2, 5, dtype=np.int8),
    )
    assert all(leaf.dtype == np.float64 for leaf in jax.tree.leaves(hmm))
    assert (hmm.n_states, hmm.n_symbols) == (2, 5)
    assert repr(hmm) == "HMM(n_states=2, n_symbols=5)"


@few
@given(hmm=hmms())
def test_round_trip_through_a_dict_moves_no_probability_by_more_than_rounding(hmm):
    back = HMM.from_dict(json.loads(json.dumps(hmm.to_dict())))
    for a, b in zip(jax.tree.leaves(back), jax.tree.leaves(hmm), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-15, atol=0)


@few
@given(hmm=hmms(n_symbols=(2, 6)))
@example(hmm=UNSTABLE)
def test_round_trip_through_a_dict_gives_an_equal_hmm(hmm):
    assert HMM.from_dict(json.loads(json.dumps(hmm.to_dict()))) == hmm


@pytest.mark.parametrize("name", PRESETS)
def test_round_trip_of_a_preset_is_exact(name):
    hmm = PRESETS[name].hmm
    assert HMM.from_dict(json.loads(json.dumps(hmm.to_dict()))) == hmm


@few
@given(hmm=hmms())
def test_equal_hmms_have_equal_hashes(hmm):
    twin = jax.tree.map(np.copy, hmm)
    assert hmm == twin
    assert hash(hmm) == hash(twin)
    assert len({hmm, twin}) == 1


def test_equal_hmms_with_zeros_of_both_signs_have_equal_hashes():
    plus = hmm_with(initial=np.array([0.0, 1.0]))
    minus = hmm_with(initial=np.array([-0.0, 1.0]))
    assert plus == minus
    assert hash(plus) == hash(minus)


@pytest.mark.parametrize(
    "other",
    [
        hmm_with(initial=np.array([0.25, 0.75])),
        hmm_with(transition=A[::-1]),
        hmm_with(emission=E[:, ::-1]),
        HMM(initial=np.ones(1), transition=np.ones((1, 1)), emission=E[:1]),
        "linear2",
        None,
    ],
)
def test_different_hmms_are_unequal(other):
    assert hmm_with() != other


def test_fields_can_not_be_replaced():
    with pytest.raises(dataclasses.FrozenInstanceError):
        hmm_with().initial = HALVES


@pytest.mark.parametrize("field", ["initial", "transition", "emission"])
def test_arrays_can_not_be_written_to(field):
    with pytest.raises(ValueError, match="read-only"):
        getattr(hmm_with(), field)[0] = 0


def test_arrays_are_copies_of_what_was_given():
    mine = A.copy()
    hmm = hmm_with(transition=mine)
    mine[:] = 0
    np.testing.assert_array_equal(hmm.transition, A)


def test_hmm_is_an_argument_and_a_result_of_jitted_functions():
    @jax.jit
    def after_one_step(hmm):
        moved = jnp.asarray(hmm.initial) @ jnp.asarray(hmm.transition)
        return jax.tree.unflatten(jax.tree.structure(hmm), [moved, hmm.transition, hmm.emission])

    hmm = after_one_step(hmm_with())
    assert (hmm.n_states, hmm.n_symbols) == (2, 3)
    np.testing.assert_allclose(hmm.initial, [0.55, 0.45], rtol=1e-6)
    np.testing.assert_allclose(hmm.emission, E, rtol=1e-6)


def test_hmms_of_one_shape_share_one_compilation():
    traces = []

    @jax.jit
    def first_row(hmm):
        traces.append(None)
        return jnp.asarray(hmm.transition)[0]

    np.testing.assert_allclose(first_row(hmm_with()), A[0], rtol=1e-6)
    np.testing.assert_allclose(first_row(hmm_with(transition=A[::-1])), A[1], rtol=1e-6)
    assert len(traces) == 1


def test_stacked_hmms_can_be_vmapped_over():
    stacked = jax.tree.map(lambda *leaf: jnp.stack(leaf), hmm_with(), hmm_with(transition=A[::-1]))
    moved = jax.vmap(lambda hmm: hmm.initial @ hmm.transition)(stacked)
    np.testing.assert_allclose(moved, [HALVES @ A, HALVES @ A[::-1]], rtol=1e-6)
