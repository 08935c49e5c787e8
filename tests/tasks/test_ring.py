"""The ring attractor: its equations, how well it keeps, moves and replaces an angle, its truth."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hmmrnn.errors import InputError
from hmmrnn.nets import Intervention
from hmmrnn.tasks import ring_attractor
from hmmrnn.tasks.task import without_path

KEY = jax.random.key(3)
CONDITIONS = ("static", "travelling", "jumping")
WORKERS = {"hold": {"ring"}, "travel": {"ring", "right"}, "cue": {"ring", "relays"}}
B = 8
conditions = pytest.mark.parametrize("condition", CONDITIONS)
make = partial(ring_attractor, n_trials=B)


def logits_of(task):
    return np.asarray(task.network.run(task.h0, task.inputs).logits)


def angle(logits):
    return np.arctan2(logits[..., 1], logits[..., 0])


def degrees_apart(one, other):
    return np.degrees(np.abs(np.angle(np.exp(1j * (one - other)))))


@jax.jit
def _changes(network, h0, inputs, inside):
    clean = network.run(h0, inputs).logits

    def change(unit):
        gain = jnp.ones((len(inputs), network.hidden_size)).at[:, unit].set(1 - inside)
        silenced = network.run(h0, inputs, Intervention(state_gain=gain)).logits
        return jnp.linalg.norm(silenced - clean, axis=-1).max()

    return jax.lax.map(change, jnp.arange(network.hidden_size), batch_size=16)


def changes(task, window):
    """The largest change of the readout when each unit is silent in a window, (N,)."""
    inside = np.zeros(len(task.inputs), np.float32)
    inside[slice(*task.windows[window])] = 1
    return np.asarray(_changes(task.network, task.h0, task.inputs, jnp.asarray(inside)))


def by_the_equations(task):
    """Readout of the documented equations in float64: a loop over steps, on the ring's own axis."""
    theta = 2 * np.pi * np.arange(32) / 32
    inner = np.cos(theta[:, None] - theta)
    params = {name: np.asarray(value, float) for name, value in task.network.params.items()}
    ring = np.flatnonzero(task.groups["ring"])
    place = np.arctan2(*params["W_out"][::-1, ring])  # which ring unit is where, by its readout
    C = np.asarray(task.h0, float)[:, ring[np.argsort(np.rint(place * 16 / np.pi) % 32)]]
    J, L, R = (np.zeros_like(C) for _ in range(3))
    length = np.abs(C @ np.exp(1j * theta)).mean()
    relu, out = partial(np.maximum, 0), []
    for x in np.asarray(task.inputs, float):
        received = (
            1 + C @ (-4 + 4 * inner) / 32 + J + 0.6 * (np.roll(R, 3, axis=1) + np.roll(L, -3, 1))
        )
        J, L, R, C = (
            0.8 * J + 0.2 * relu(x[:, 2:34]),
            0.8 * L + 0.2 * relu(C - 2 + x[:, :1]),
            0.8 * R + 0.2 * relu(C - 2 + x[:, 1:2]),
            0.8 * C + 0.2 * relu(received),
        )
        out.append(np.stack([C @ np.cos(theta), C @ np.sin(theta)], -1) / length)
    return np.array(out)


@conditions
def test_the_readout_follows_the_documented_equations(condition):
    task = make(KEY, condition)
    expected = by_the_equations(task)
    factor = np.linalg.norm(task.target) / np.linalg.norm(expected)
    assert factor == pytest.approx(1, abs=0.005)  # the length depends a little on the angle
    expected *= factor
    np.testing.assert_allclose(task.target, expected, atol=2e-4)
    np.testing.assert_allclose(logits_of(task), expected, atol=2e-4)
    assert task.inputs[..., :34].any() == (condition != "static")


def test_a_bump_left_alone_stays_where_it_is():
    task = make(KEY, "static", n_steps=200)
    logits = logits_of(task)
    moved = degrees_apart(angle(logits[-1]), angle(logits[0]))
    assert np.median(moved) <= 0.1
    np.testing.assert_allclose(np.linalg.norm(logits[-1], axis=-1), 1, atol=0.01)
    assert degrees_apart(task.latent[0], np.roll(task.latent[0], 1)) == pytest.approx(360 / B)


@pytest.mark.parametrize(("push", "speed"), [(1.5, 1.28), (1.75, 1.95), (2.0, 2.14)])
def test_the_push_sets_the_speed(push, speed):
    task = make(KEY, "travelling", n_steps=300, push=push)
    _, last = task.windows["travel"]
    path = np.unwrap(angle(logits_of(task)), axis=0)
    per_step = np.degrees(path[last - 1] - path[last - 81]) / 80
    np.testing.assert_allclose(per_step, speed, rtol=0.03)
    after = np.degrees(path[-1] - path[task.windows["keep"][0]])
    assert np.abs(after).max() < 0.1


def test_left_is_the_mirror_image_of_right():
    def travelled(direction):
        path = np.unwrap(angle(logits_of(make(KEY, "travelling", direction=direction))), axis=0)
        return path[-1] - path[0]

    np.testing.assert_allclose(travelled("left"), -travelled("right"), atol=0.01)
    assert np.degrees(travelled("left")).max() < -70
    task = make(KEY, "travelling", direction="left")
    np.testing.assert_array_equal(task.truth[1], task.groups["ring"] | task.groups["left"])


@pytest.mark.parametrize("seed", range(3))
def test_a_jump_lands_where_the_cue_was(seed):
    task = ring_attractor(jax.random.key(seed), "jumping", n_trials=64)
    logits = logits_of(task)
    start, stop = task.windows["cue"]
    cue = np.asarray(task.inputs[start, :, 2:34])
    shown = np.angle(cue @ np.exp(2j * np.pi * np.arange(32) / 32))
    np.testing.assert_allclose(degrees_apart(shown, task.latent[-1]), 0, atol=0.01)
    missed = degrees_apart(angle(logits[-1]), shown)
    assert np.quantile(missed, 0.9) < 3
    assert missed.max() < 3.3
    size = degrees_apart(shown, task.latent[0])
    assert 90 <= size.min() < 105
    assert 165 < size.max() <= 180
    assert not task.inputs[stop:, :, :34].any()


@conditions
def test_the_truth_is_what_silencing_finds(condition):
    task = make(KEY, condition)
    for (name, _), truth in zip(task.windows.items(), task.truth, strict=True):
        workers = WORKERS.get(name, {"ring"})
        np.testing.assert_array_equal(truth, sum(task.groups[group] for group in workers))
        change = changes(task, name)
        assert change[task.unconnected].max() <= 1e-6
        assert change[~truth].max() < 0.02  # shifters under a cue
        assert change[task.groups["ring"]].min() > 0.1
        for helpers in workers - {"ring"}:
            assert np.median(change[task.groups[helpers]]) > 0.15
            assert change[task.groups[helpers]].min() > 0.005  # the relay of a rare goal


def test_contamination_connects_all_distractors_and_leaves_the_target():
    clean, task = (make(KEY, "static", contamination=c) for c in (0.0, 0.2))
    distractors = task.groups["echoes"] | task.groups["random"]
    np.testing.assert_array_equal(clean.unconnected, distractors)
    assert not task.unconnected.any()
    np.testing.assert_array_equal(task.truth, clean.truth)
    np.testing.assert_array_equal(task.edges, clean.edges)
    np.testing.assert_array_equal(task.target, clean.target)
    W, ring = np.asarray(task.network.params["W_rec"]), task.groups["ring"]
    within = np.abs(W[np.ix_(ring, ring)]).mean()
    assert within == pytest.approx(0.125)
    into = W[np.ix_(ring, distractors)]
    assert into.std() == pytest.approx(0.2 * within, rel=0.1)
    assert changes(task, "hold")[distractors].max() > 0.01
    assert np.abs(logits_of(task) - task.target).max() > 0.1


@conditions
def test_the_edges_alone_do_the_task(condition):
    task = make(KEY, condition)
    n_edges = {"static": 992, "travelling": 992 + 64, "jumping": 992 + 32}  # C to itself: 32 zeros
    assert task.edges.sum() == n_edges[condition]
    W = jnp.where(jnp.asarray(task.edges), task.network.params["W_rec"], 0.0)
    only = task._replace(network=task.network.replace(W_rec=W))
    missed = degrees_apart(angle(logits_of(only)[-1]), task.latent[-1])
    assert missed.max() < (3.3 if condition == "jumping" else 0.01)
    none = task._replace(network=task.network.replace(W_rec=0 * W))
    assert np.abs(logits_of(none)[-1]).max() < 0.01


def test_echoes_do_what_the_ring_does_and_are_not_read():
    task = make(KEY, "jumping")
    states = np.asarray(task.network.run(task.h0, task.inputs).states)
    ring, echoes = (states[..., task.groups[name]] for name in ("ring", "echoes"))
    ring, echoes = ring.reshape(-1, 32), echoes.reshape(-1, 64)
    difference = np.abs(echoes[:, :, None] - ring[:, None]).max(0)
    assert (np.sort(difference, axis=1)[:, 0] < 1e-5).all()
    assert (np.bincount(difference.argmin(1)) == 2).all()
    np.testing.assert_array_equal(task.network.params["W_out"][:, ~task.groups["ring"]], 0)
    assert states[..., task.groups["random"]].std() > 0.1


def test_one_network_for_all_conditions_and_another_for_each_key():
    tasks = [make(KEY, condition) for condition in CONDITIONS]
    for task in tasks[1:]:
        jax.tree.map(np.testing.assert_array_equal, task.network.params, tasks[0].network.params)
    np.testing.assert_array_equal(np.sum(list(tasks[0].groups.values()), axis=0), 1)
    again, other = make(KEY, "jumping"), make(jax.random.key(4), "jumping")
    np.testing.assert_array_equal(again.inputs, tasks[2].inputs)
    np.testing.assert_array_equal(again.h0, tasks[2].h0)
    assert (other.truth != again.truth).any()
    assert np.abs(other.latent - again.latent).min() > 0


def test_each_unit_has_noise_of_its_own():
    task = make(KEY, "static", noise_std=0.3)
    noise = np.asarray(task.inputs[..., 34:]).reshape(-1, 256)
    assert noise.std() == pytest.approx(0.3, rel=0.01)
    assert np.abs(np.corrcoef(noise.T)[~np.eye(256, dtype=bool)]).max() < 0.15
    np.testing.assert_array_equal(task.network.params["W_in"][:, 34:], np.eye(256))
    quiet = make(KEY, "static")
    assert not quiet.inputs.any()
    np.testing.assert_array_equal(quiet.target, task.target)


def test_the_circuit_works_without_any_distractors():
    task = make(KEY, "static", n_echoes=0, n_random=0)
    assert task.network.cell.hidden_size == 128
    assert not task.unconnected.any()
    np.testing.assert_allclose(logits_of(task), task.target, atol=1e-5)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"condition": "rotating"}, "condition=rotating: allowed are static, travelling, jumping"),
        ({"direction": "up"}, "direction=up: allowed are left, right"),
        ({"n_steps": 60}, "n_steps=60: must be at least 70"),
        ({"n_trials": 0}, "n_trials=0: must be at least 1"),
        ({"n_random": -1}, "n_random=-1: must be at least 0"),
        ({"contamination": -0.1}, "contamination=-0.1: must be at least 0"),
        ({"noise_std": float("nan")}, "noise_std=nan: must be at least 0"),
    ],
)
def test_wrong_settings_name_the_field_the_value_and_what_is_allowed(wrong, message):
    with pytest.raises(InputError, match=message):
        ring_attractor(KEY, **{"condition": "jumping", **wrong})


def test_paths_to_the_readout_are_found_over_any_number_of_units():
    rng = np.random.default_rng(0)
    for _ in range(20):
        W = rng.normal(size=(12, 12)) * (rng.random((12, 12)) < 0.1)
        W_out = np.zeros((1, 12))
        W_out[0, :2] = 1
        steps = np.linalg.matrix_power(np.eye(12) + np.abs(W), 12)  # all paths of up to 12 steps
        np.testing.assert_array_equal(without_path(W, W_out), (W_out @ steps)[0] == 0)
