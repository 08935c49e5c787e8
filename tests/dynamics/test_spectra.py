from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from networks import net_of

from hmmrnn import InputError
from hmmrnn.dynamics.spectra import (
    eigenvalues,
    jacobian,
    jacobians,
    moebius,
    spectra_along,
    spectrum,
)
from hmmrnn.nets import RNNCell, init_params
from hmmrnn.recordings.recorder import driven_runs


def network(activation="relu", bias=False, n=12, seed=0):
    cell = RNNCell(3, n, 5, activation, bias)
    key_params, key_state, key_noise = jax.random.split(jax.random.key(seed), 3)
    params = init_params(cell, key_params)
    return cell, params, jax.random.normal(key_state, (n,)), jax.random.normal(key_noise, (5,))


def rotation(angle, modulus=1.0):
    c, s = modulus * np.cos(angle), modulus * np.sin(angle)
    return jnp.array([[c, -s], [s, c]], jnp.float32)


def test_jacobian_of_relu_is_the_weights_of_the_active_units():
    cell, params, h, x = network()
    w = np.asarray(params["W_rec"], float)
    active = w @ np.asarray(h) > 0
    assert 0 < active.sum() < len(active)
    np.testing.assert_array_equal(
        jacobian(net_of(cell, params), h), np.asarray(params["W_rec"]) * active[:, None]
    )
    driven = w @ np.asarray(h) + np.asarray(params["W_in"], float) @ np.asarray(x) > 0
    assert np.any(driven != active)
    np.testing.assert_array_equal(
        jacobian(net_of(cell, params), h, net_of(cell, params).drive(x)),
        np.asarray(params["W_rec"]) * driven[:, None],
    )


@pytest.mark.parametrize("bias", [False, True])
def test_jacobian_of_tanh_has_its_slopes(bias):
    cell, params, h, x = network("tanh", bias)
    w = np.asarray(params["W_rec"], float)
    a = w @ np.asarray(h, float) + np.asarray(params["W_in"], float) @ np.asarray(x, float)
    a = a + (np.asarray(params["b_rec"], float) if bias else 0)
    np.testing.assert_allclose(
        jacobian(net_of(cell, params), h, net_of(cell, params).drive(x)),
        (1 - np.tanh(a) ** 2)[:, None] * w,
        atol=1e-6,
    )


@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_jacobian_agrees_with_finite_differences(activation):
    cell, params, h, _ = network(activation, bias=True)
    change = 1e-2
    found = np.asarray(jacobian(net_of(cell, params), h))
    for j, unit in enumerate(change * jnp.eye(len(h))):
        slope = (
            (net_of(cell, params).step(h + unit, 0.0) - net_of(cell, params).step(h - unit, 0.0))
            / 2
            / change
        )
        np.testing.assert_allclose(found[:, j], slope, atol=1e-3)


def test_eigenvalues_are_those_of_the_full_matrix():
    cell, params, _, _ = network(n=30)
    states = jax.random.normal(jax.random.key(1), (20, 30))
    matrices = jacobians(net_of(cell, params), states)
    found = eigenvalues(matrices)
    assert np.all(np.diff(np.abs(found), axis=1) <= 1e-6)
    for matrix, values in zip(np.asarray(matrices, float), found, strict=True):
        expected = np.linalg.eigvals(matrix)
        distance = np.abs(values[:, None] - expected[None])
        assert distance.min(axis=0).max() < 1e-4
        assert distance.min(axis=1).max() < 1e-4
        np.testing.assert_allclose(np.sum(values), np.trace(matrix), atol=1e-5)
        np.testing.assert_allclose(np.sum(values**2), np.trace(matrix @ matrix), atol=1e-5)


def test_small_rotations_near_the_edge_are_one_critical_pair():
    cases = {
        (0.3, 1.0): (0, 1),
        (0.3, 0.97): (0, 1),
        (0.3, 1.03): (2, 1),
        (0.3, 0.7): (0, 0),  # decays
        (0.3, 1.5): (2, 0),  # grows fast
        (0.05, 0.999): (0, 0),  # Im m = tan(angle / 2) is below 0.05
        (-0.3, 1.0): (0, 1),
        (3.0, 0.9999): (0, 1),
    }
    found = spectrum(jnp.stack([rotation(*case) for case in cases]))
    for i, ((angle, modulus), (n_unstable, n_pairs)) in enumerate(cases.items()):
        assert found.n_critical_pairs[i] == n_pairs
        if modulus != 1:
            assert found.n_unstable[i] == n_unstable
        if abs(modulus - 1) < 1e-3:
            np.testing.assert_allclose(
                moebius(found.eigenvalues[i]).imag.max(), np.tan(abs(angle) / 2), rtol=1e-2
            )


def test_real_growth_makes_no_critical_pair():
    found = spectrum(jnp.stack([jnp.diag(jnp.array([1.02, 0.98, 2.0, -1.5])), jnp.zeros((4, 4))]))
    assert found.n_unstable.tolist() == [3, 0]
    assert found.n_critical_pairs.tolist() == [0, 0]


@settings(deadline=None)
@given(
    st.complex_numbers(max_magnitude=1e3, allow_nan=False, allow_infinity=False)
    | st.builds(
        lambda r, a: r * np.exp(1j * a),
        st.floats(0.9, 1.1),
        st.floats(-np.pi, np.pi),
    )
)
def test_growth_of_the_map_is_growth_of_the_flow(value):
    assume(abs(abs(value) - 1) > 1e-6)
    assert (moebius(np.array([value])).real[0] > 0) == (abs(value) > 1)


def test_a_flip_maps_to_infinity_and_is_neither_unstable_nor_critical():
    found = spectrum(jnp.array([[[-1.0, 0.0], [0.0, 0.5]]]))
    mapped = moebius(found.eigenvalues)[0]
    assert mapped[0] == np.inf
    assert mapped[1] == pytest.approx(-1 / 3)
    assert (found.n_unstable[0], found.n_critical_pairs[0]) == (0, 0)


def test_a_matrix_that_is_not_finite_says_so_and_spoils_no_other():
    matrices = jnp.stack(
        [jnp.full((2, 2), jnp.nan), rotation(0.3), jnp.diag(jnp.array([jnp.inf, 0]))]
    )
    found = spectrum(matrices)
    assert np.isnan(found.eigenvalues).all(axis=1).tolist() == [True, False, True]
    assert np.isnan(found.n_unstable).tolist() == [True, False, True]
    assert np.isnan(found.n_critical_pairs).tolist() == [True, False, True]
    assert found.n_critical_pairs[1] == 1


def test_huge_entries_are_unstable_without_a_warning():
    found = spectrum(jnp.array([[[2e38, 3e38], [3e38, 2e38]]]))  # eigenvalue 5e38
    assert found.n_unstable[0] == 2
    assert np.isinf(found.eigenvalues[0, 0])


def test_chunks_do_not_change_the_spectrum():
    cell, params, _, _ = network()
    states = jax.random.normal(jax.random.key(2), (11, 12))
    whole = spectrum(jacobians(net_of(cell, params), states))
    for chunk in (1, 4, 11, 100):
        found = spectra_along(net_of(cell, params), states, chunk=chunk)
        for one, other in zip(found, whole, strict=True):
            assert one.shape == other.shape
            np.testing.assert_allclose(one, other, atol=1e-6)


@pytest.mark.parametrize(("n_states", "n_units"), [(0, 3), (1, 1), (5, 1)])
def test_few_states_and_one_unit(n_states, n_units):
    cell = RNNCell(n_symbols=1, hidden_size=n_units, noise_dim=1)
    params = init_params(cell, jax.random.key(0))
    found = spectra_along(net_of(cell, params), jnp.ones((n_states, n_units)))
    assert found.eigenvalues.shape == (n_states, n_units)
    assert found.n_unstable.shape == found.n_critical_pairs.shape == (n_states,)


def test_states_that_are_not_finite_give_nan_and_empty_chunks_are_refused():
    cell, params, _, _ = network("tanh")
    states = jnp.stack([jnp.full(12, jnp.nan), jnp.zeros(12)])
    found = spectra_along(net_of(cell, params), states)
    assert np.isnan(found.n_unstable).tolist() == [True, False]
    with pytest.raises(InputError, match="chunk=0"):
        spectra_along(net_of(cell, params), states, chunk=0)


def test_compiled_code_is_told_to_take_eigenvalues_on_the_host():
    cell, params, _, _ = network()
    with pytest.raises(InputError, match="on the host"):
        jax.jit(spectrum)(jnp.zeros((1, 2, 2)))
    with pytest.raises(InputError, match="on the host"):
        jax.vmap(partial(spectra_along, net_of(cell, params)))(jnp.zeros((2, 1, 12)))


def test_jacobians_of_many_networks_in_one_compiled_call():
    cell = RNNCell(3, 6, 4)
    keys = jax.random.split(jax.random.key(0), 3)
    params = jax.vmap(partial(init_params, cell))(keys)
    states = jax.random.normal(jax.random.key(1), (3, 5, 6))
    found = jax.jit(jax.vmap(jacobians))(net_of(cell, params, jnp.ones(3)), states)
    for s in range(3):
        one = {name: value[s] for name, value in params.items()}
        np.testing.assert_array_equal(found[s], jacobians(net_of(cell, one), states[s]))
    assert spectrum(found.reshape(-1, 6, 6)).n_unstable.shape == (15,)


def test_a_network_below_one_has_no_unstable_direction_and_a_strong_one_has():
    """The spectral norm bounds every eigenvalue of diag(active) W_rec."""
    cell, params, _, _ = network(n=20)
    keys = jax.random.split(jax.random.key(3), 2)
    states = driven_runs(net_of(cell, params, 1.0), 30, keys).states.reshape(-1, 20)
    norm = float(np.linalg.norm(params["W_rec"], 2))
    weak = spectra_along(net_of(cell, params | {"W_rec": 0.9 / norm * params["W_rec"]}), states)
    assert weak.n_unstable.sum() == 0
    assert np.abs(weak.eigenvalues).max() <= 0.9
    positive = params | {"W_rec": jnp.abs(params["W_rec"])}  # all units active, Perron root > 1
    assert np.all(spectra_along(net_of(cell, positive), jnp.abs(states) + 1).n_unstable >= 1)
