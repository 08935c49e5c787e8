import jax
import jax.numpy as jnp
import numpy as np
import pytest
from networks import net_of, tanh_network

from hmmrnn import InputError
from hmmrnn.dynamics import pca
from hmmrnn.dynamics.view import MAX_SNAPSHOTS, trajectory_paths, trajectory_view
from hmmrnn.nets import RNNCell, init_params
from hmmrnn.recordings.recorder import driven_runs

STD = 0.3
STEPS = 80


def rotor():
    """A plane that turns by 0.3 rad per step in a limit cycle, and a third unit that decays."""
    c, s = 1.3 * np.cos(0.3), 1.3 * np.sin(0.3)
    net = tanh_network([[c, -s, 0], [s, c, 0], [0, 0, 0.2]], [[1, 0, 0], [-1, 0, 0]])
    return net.cell, net.params


def stacked(*networks):
    return {name: jnp.stack([params[name] for params in networks]) for name in networks[0]}


def view(cell, params, snapshots=None, epochs=(9,), std=STD, **options):
    options = {"n_steps": STEPS, "n_quiet": 4, "quiet_steps": 10} | options
    return trajectory_view(
        net_of(cell, params, std), snapshots, np.array(epochs), jax.random.key(3), **options
    )


def distances(points):
    points = np.asarray(points, np.float64)
    return np.linalg.norm(points[:, None] - points[None], axis=-1)


def test_three_units_are_only_turned_so_distances_stay():
    cell, params = rotor()
    found = view(cell, params)
    run = driven_runs(net_of(cell, params, STD), STEPS, jax.random.key(3)[None])
    np.testing.assert_allclose(
        distances(found.driven[0]), distances(run.states[0]), rtol=2e-3, atol=2e-3
    )
    np.testing.assert_array_equal(found.symbols[0], run.symbols[0])
    assert found.explained.sum() == pytest.approx(1, abs=1e-3)
    values, vectors = np.linalg.eigh(np.cov(np.asarray(run.states[0], np.float64).T))
    np.testing.assert_allclose(found.explained, values[::-1] / values.sum(), rtol=2e-3)
    first = (run.states[0] - run.states[0].mean(0)) @ vectors[:, -1]
    np.testing.assert_allclose(np.abs(found.driven[0, :, 0]), np.abs(first), rtol=2e-3, atol=2e-3)


def test_quiet_paths_follow_the_equation_from_states_of_the_driven_one():
    cell, params = rotor()
    found = view(cell, params)
    states = np.asarray(
        driven_runs(net_of(cell, params, STD), STEPS, jax.random.key(3)[None]).states[0], np.float64
    )
    assert found.quiet.shape == (1, 4, 11, 3)
    for path, start in zip(found.quiet[0], (0, 26, 53, 79), strict=True):
        np.testing.assert_array_equal(path[0], found.driven[0, start])
        expected = [states[start]]
        for _ in range(10):
            expected.append(np.tanh(np.asarray(params["W_rec"], np.float64) @ expected[-1]))
        np.testing.assert_allclose(distances(path), distances(expected), rtol=2e-3, atol=2e-3)


def test_phase_of_an_orbit_advances_by_its_angle():
    cell, params = rotor()
    found = view(cell, params, std=0.02, n_steps=400)
    turned = np.unwrap(found.phase[0].astype(np.float64))
    h, angles = np.array([0.5, 0, 0]), []
    for _ in range(420):
        h = np.tanh(np.asarray(params["W_rec"], np.float64) @ h)
        angles.append(np.arctan2(h[1], h[0]))
    expected = np.unwrap(angles)
    assert abs(turned[-1] - turned[0]) == pytest.approx(expected[-1] - expected[20], rel=0.01)


def test_all_snapshots_see_the_same_noise_along_the_final_components():
    cell = RNNCell(n_symbols=3, hidden_size=20, noise_dim=5)
    params = init_params(cell, jax.random.key(0))
    double = params | {"W_in": 2 * params["W_in"]}  # h(s x) = s h(x)
    found = view(cell, params, stacked(params, double), (0, 20, 40))
    np.testing.assert_array_equal(found.driven[0], found.driven[2])
    moves, doubled = (np.diff(found.driven[i], axis=0) for i in (0, 1))
    np.testing.assert_allclose(doubled, 2 * moves, rtol=1e-2, atol=5e-3)
    assert found.epochs.tolist() == [0, 20, 40]
    np.testing.assert_array_equal(found.symbols[0], found.symbols[1])


def test_a_given_plane_is_used():
    cell, params = rotor()
    plane = pca(jax.random.normal(jax.random.key(1), (50, 3)), 3)
    found = view(cell, params, plane=plane)
    np.testing.assert_allclose(found.explained, plane.explained, rtol=1e-3)
    start = np.asarray(
        driven_runs(net_of(cell, params, STD), STEPS, jax.random.key(3)[None]).states[0, 0]
    )
    expected = np.asarray(plane.axes) @ (start - np.asarray(plane.mean))
    np.testing.assert_allclose(found.driven[0, 0], expected, rtol=2e-3, atol=1e-4)


def test_of_many_snapshots_an_even_choice_stays_with_first_and_last():
    cell, params = rotor()
    n = 100
    many = {name: jnp.repeat(value[None], n, axis=0) for name, value in params.items()}
    many["W_in"] = many["W_in"] * jnp.arange(n)[:, None, None]
    found = view(cell, params, many, np.arange(n + 1) * 5, n_steps=20)
    assert len(found.epochs) == len(found.driven) == MAX_SNAPSHOTS
    assert (found.epochs[0], found.epochs[-1]) == (0, 500)
    assert set(np.diff(found.epochs)) <= {20, 25}
    assert np.ptp(found.driven[0], axis=0).max() == 0  # no noise reaches the first one


def test_numbers_are_rounded_to_four_digits():
    found = view(*rotor())
    for value in [*found.driven.ravel()[:50], *found.quiet.ravel()[:50]]:
        assert np.float32(f"{value:.4g}") == pytest.approx(value, rel=1e-6)


@pytest.mark.parametrize("growth", [10.0, 1e3])
def test_a_snapshot_that_diverges_leaves_gaps_and_the_others_alone(growth):
    cell = RNNCell(n_symbols=3, hidden_size=20, noise_dim=5)
    params = init_params(cell, jax.random.key(0))
    wild = params | {"W_rec": growth * params["W_rec"]}
    found = view(cell, params, stacked(wild), (0, 40))
    assert np.isnan(found.driven[0, -1]).all()
    assert not np.isinf(found.driven).any()
    assert np.isnan(found.quiet[0, -1]).all()
    assert found.symbols[0, -1] == -1
    alone = view(cell, params)
    np.testing.assert_allclose(found.driven[1], alone.driven[0], rtol=1e-3, atol=1e-5)


def test_a_final_network_that_diverges_gives_nothing_but_gaps():
    cell, params = rotor()
    broken = {name: value * jnp.nan for name, value in params.items()}
    found = view(cell, broken, stacked(params), (0, 9))
    assert np.isnan(found.driven).all()
    assert (found.symbols[-1] == -1).all()
    assert found.explained.tolist() == [0, 0, 0]


def test_one_unit_and_one_symbol_are_enough():
    net = tanh_network([[1.5]], [[1]])
    found = view(net.cell, net.params)
    assert found.driven.shape == (1, STEPS, 3)
    assert np.all(found.driven[..., 1:] == 0)
    assert found.explained.tolist() == [1, 0, 0]
    assert np.all(found.symbols == 0)


def test_shortest_view():
    found = view(*rotor(), n_steps=2, n_quiet=1, quiet_steps=1)
    assert found.quiet.shape == (1, 1, 2, 3)
    np.testing.assert_allclose(found.explained, [1, 0, 0], atol=1e-5)


def test_zones_are_those_given_or_marked_as_not_computed():
    cell, params = rotor()
    assert (view(cell, params).zones == -1).all()
    given = np.arange(STEPS) % 4
    np.testing.assert_array_equal(view(cell, params, zones=given).zones, given)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"zones": np.zeros(STEPS - 1, int)}, "zones has shape"),
        ({"zones": np.full(STEPS, 4)}, "values 4 to 4"),
        ({"epochs": (0, 9)}, "epochs has 2 entries for 0 snapshots"),
        ({"n_quiet": STEPS + 1}, "n_quiet=81"),
        ({"n_steps": 1, "n_quiet": 1}, "n_steps=1"),
        ({"n_quiet": 0}, "n_quiet=0"),
        ({"quiet_steps": 0}, "quiet_steps=0"),
    ],
)
def test_what_does_not_fit_is_refused(options, words):
    with pytest.raises(InputError, match=words):
        view(*rotor(), **options)


def test_many_networks_at_once():
    cell = RNNCell(n_symbols=3, hidden_size=10, noise_dim=4)
    keys = jax.random.split(jax.random.key(5), 2)
    networks = [init_params(cell, key) for key in keys]
    sizes = {"n_steps": 30, "n_quiet": 3, "quiet_steps": 5}

    def paths(params, key):
        snapshots = jax.tree.map(lambda value: jnp.stack([value / 2, value]), params)
        return trajectory_paths(net_of(cell, params), snapshots, None, key, **sizes)

    together = jax.jit(jax.vmap(paths))(stacked(*networks), keys)
    for i, params in enumerate(networks):
        alone = paths(params, keys[i])
        np.testing.assert_allclose(together.driven[i], alone.driven, rtol=1e-3, atol=1e-4)
        np.testing.assert_allclose(together.quiet[i], alone.quiet, rtol=1e-3, atol=1e-4)
        np.testing.assert_array_equal(together.symbols[i], alone.symbols)
