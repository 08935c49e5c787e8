"""Networks that infer: their filter against exact ones, what they need, what decoding shows."""

from functools import partial
from itertools import pairwise, product

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hmmrnn.errors import InputError
from hmmrnn.nets import Intervention
from hmmrnn.tasks import hmm_inference, trained_inference
from hmmrnn.tasks.inference import fit_kinks, next_state_law

KEY = jax.random.key(5)
B, T = 64, 100


@pytest.fixture(scope="module")
def planted():
    return hmm_inference(KEY, n_kinks=8)


@pytest.fixture(scope="module")
def trained():
    return trained_inference(KEY)


def outputs(task):
    """States and readout in float64."""
    found = task.network.run(task.h0, task.inputs)
    return np.asarray(found.states, float), np.asarray(found.logits, float)


def log_laws(values):
    """Log-probabilities of log odds (.., 1), or of (.., M) numbers up to a constant."""
    if values.shape[-1] == 1:
        values = np.concatenate([0 * values, values], axis=-1)
    return np.asarray(jax.nn.log_softmax(jnp.asarray(values, jnp.float32)), float)


def divergence(target, readout):
    exact, found = log_laws(np.asarray(target)), log_laws(readout)
    return np.mean(np.sum(np.exp(exact) * (exact - found), axis=-1))


@jax.jit
def _silenced(network, h0, inputs):
    def one(gain):
        return network.run(h0, inputs, Intervention(state_gain=gain)).logits

    return jax.lax.map(one, 1 - jnp.eye(network.hidden_size), batch_size=8)


def silencing(task):
    """Each unit's KL(target | readout) and its largest change of the readout, when it is silent."""
    clean = outputs(task)[1]
    silent = np.asarray(_silenced(task.network, task.h0, task.inputs), float)
    loss = np.array([divergence(task.target, readout) for readout in silent])
    return loss, np.abs(silent - clean).max((1, 2, 3))


def exact_filter(x, hazard, mu):
    """L_t = psi(L_{t-1}) + 2 mu x_t, one number after the other in float64."""
    L, log_odds = np.zeros(x.shape[1]), []
    for now in x:
        L = 2 * np.arctanh((1 - 2 * hazard) * np.tanh(L / 2)) + 2 * mu * now
        log_odds.append(L)
    return np.array(log_odds)


@pytest.mark.parametrize(("n_kinks", "published"), [(2, 3.6e-3), (4, 3e-4), (6, 5e-5), (8, 1.8e-5)])
def test_more_kinks_come_closer_to_the_exact_filter(n_kinks, published):
    task = hmm_inference(KEY, n_kinks=n_kinks, n_distractors=64 - n_kinks, n_trials=200)
    _, readout = outputs(task)
    next_state = divergence(task.target, readout)
    x = np.asarray(task.inputs[..., :1], float)
    L = exact_filter(x[..., 0], 0.05, 0.5)[1:, :, None]
    this_state = divergence(L, readout[:-1] + x[1:])  # 2 mu is 1
    for found in (next_state, this_state):
        assert 1 / 1.5 < found / published < 1.5


@pytest.mark.parametrize(("hazard", "mu"), [(0.05, 0.5), (0.2, 1.0)])
def test_the_target_is_the_exact_filter_of_the_observations(hazard, mu):
    task = hmm_inference(KEY, hazard=hazard, mu=mu)
    L = exact_filter(np.asarray(task.inputs[..., 0], float), hazard, mu)
    psi = 2 * np.arctanh((1 - 2 * hazard) * np.tanh(L / 2))
    np.testing.assert_allclose(task.target[..., 0], psi, atol=2e-4)
    states, x = np.asarray(task.latent), np.asarray(task.inputs[..., 0])
    changes = np.mean(states[1:] != states[:-1])
    assert abs(changes - hazard) < 4 * np.sqrt(hazard / states.size)
    for state, mean in ((0, -mu), (1, mu)):
        seen = x[states == state]
        assert seen.mean() == pytest.approx(mean, abs=0.08)
        assert seen.std() == pytest.approx(1, abs=0.08)


@pytest.mark.parametrize("n_states", [2, 3])
def test_the_law_of_the_next_state_is_that_of_all_paths(n_states):
    hazard, n_steps = 0.15, 5
    evidence = np.random.default_rng(0).normal(size=(n_steps, n_states))
    found = next_state_law(jnp.asarray(evidence, jnp.float32), hazard)
    move = np.full((n_states, n_states), hazard / (n_states - 1))
    np.fill_diagonal(move, 1 - hazard)
    for t in range(n_steps):
        law = np.zeros(n_states)
        for path in product(range(n_states), repeat=t + 2):
            steps = np.prod([move[i, j] for i, j in pairwise(path)])
            law[path[-1]] += steps * np.exp(sum(evidence[s, path[s]] for s in range(t + 1)))
        np.testing.assert_allclose(np.exp(found[t]), law / law.sum(), rtol=1e-5)


def test_the_units_of_the_filter_are_kinks_of_the_log_odds(planted):
    kinks = fit_kinks(0.05, 0.5, 8)
    x = np.asarray(planted.inputs[..., 0], float)
    L, expected = np.zeros(B), []
    for now in x:
        L = kinks.offset + np.maximum(L[:, None] - kinks.place, 0) @ kinks.weight + now
        expected.append(np.maximum(L[:, None] - kinks.place, 0))
    states, _ = outputs(planted)
    found = np.sort(states[..., planted.groups["filter"]], axis=-1)
    np.testing.assert_allclose(found, np.sort(expected, axis=-1), atol=2e-4)
    assert (np.max(expected, axis=(0, 1)) > 0).all()


@pytest.mark.parametrize("hazard", [0.01, 0.05, 0.3])
def test_the_kinks_fit_psi_and_better_the_more_there_are(hazard):
    L = np.linspace(-6, 6, 200)
    psi = 2 * np.arctanh((1 - 2 * hazard) * np.tanh(L / 2))
    errors = []
    for n_kinks in (2, 4, 8):
        place, weight, offset = fit_kinks(hazard, 0.5, n_kinks)
        errors.append(np.abs(offset + np.maximum(L[:, None] - place, 0) @ weight - psi).max())
    assert errors[0] > 2 * errors[1] > 4 * errors[2]
    assert errors[2] < 0.03 * psi.max()


def test_the_truth_is_what_silencing_finds(planted):
    _, change = silencing(planted)
    np.testing.assert_array_equal(planted.truth[0], planted.groups["filter"])
    np.testing.assert_array_equal(planted.unconnected, planted.groups["random"])
    assert change[planted.truth[0]].min() > 0.02  # in log odds; the outermost kink acts rarely
    assert np.median(change[planted.truth[0]]) > 1
    assert change[planted.unconnected].max() <= 1e-6
    assert planted.edges.sum() == 64
    W = np.asarray(planted.network.params["W_rec"])
    circuit = np.where(planted.edges, W, 0).astype(np.float32)
    only = planted._replace(network=planted.network.replace(W_rec=jnp.asarray(circuit)))
    np.testing.assert_allclose(outputs(only)[1], outputs(planted)[1], atol=1e-4)


def test_decoding_does_not_tell_the_filter_from_any_other_units(planted):
    """Why decoding needs causal isolation beside it: random units decode the state as well."""
    many = hmm_inference(KEY, n_kinks=8, n_trials=200)
    states, _ = outputs(many)
    rng = np.random.default_rng(0)

    def decoded(units):
        x = states[10:, :, units]
        x = np.concatenate([x, np.ones((*x.shape[:2], 1))], -1)
        sign = 2 * many.latent[10:] - 1
        flat = [a.reshape(-1, *a.shape[2:]) for a in (x[:, :100], x[:, 100:])]
        weights = np.linalg.lstsq(flat[0], sign[:, :100].ravel(), rcond=None)[0]
        return np.mean((flat[1] @ weights > 0) == (sign[:, 100:].ravel() > 0))

    circuit = decoded(np.flatnonzero(many.truth[0]))
    picks = [decoded(rng.choice(64, 8, replace=False)) for _ in range(20)]
    distractors = np.flatnonzero(many.unconnected)
    outside = [decoded(rng.choice(distractors, 8, replace=False)) for _ in range(20)]
    assert circuit == pytest.approx(0.826, abs=0.01)
    assert np.mean(picks) == pytest.approx(0.821, abs=0.01)
    assert np.mean(outside) > circuit - 0.02


@pytest.mark.parametrize("kind", ["planted", "trained"])
def test_contamination_connects_the_distractors_and_noise_is_private(kind, request):
    clean = request.getfixturevalue(kind)
    make = {"planted": partial(hmm_inference, n_kinks=8), "trained": trained_inference}[kind]
    task = make(KEY, contamination=0.1, noise_std=0.2)
    W, core = np.asarray(task.network.params["W_rec"]), task.groups["filter"]
    within, into = W[np.ix_(core, core)], W[np.ix_(core, ~core)]
    np.testing.assert_array_equal(  # so a training, too, repeats
        within, np.asarray(clean.network.params["W_rec"])[np.ix_(core, core)]
    )
    assert into.std() == pytest.approx(0.1 * np.abs(within).mean(), rel=0.2)
    assert not task.unconnected.any()
    np.testing.assert_array_equal(task.target, clean.target)
    np.testing.assert_array_equal(task.truth, clean.truth)
    n = task.network.cell.hidden_size
    assert np.asarray(task.inputs[..., -n:]).std() == pytest.approx(0.2, rel=0.01)
    assert divergence(task.target, outputs(task)[1]) > divergence(clean.target, outputs(clean)[1])


def test_the_trained_network_predicts_as_well_as_the_exact_filter(trained):
    _, readout = outputs(trained)
    assert divergence(trained.target, readout) < 3e-3
    right = [np.mean(np.argmax(v, -1) == trained.latent) for v in (readout, trained.target)]
    assert right[0] > right[1] - 0.01
    no_memory = np.mean(np.argmax(trained.inputs[..., :3], -1) == trained.latent)
    assert right[0] > no_memory + 0.15
    np.testing.assert_allclose(readout.sum(-1), 0, atol=1e-4)
    np.testing.assert_allclose(np.sum(trained.target, -1), 0, atol=1e-5)


def test_the_truth_of_the_trained_network_is_what_silencing_finds(trained):
    """On trials that had no part in it."""
    loss, change = silencing(trained)
    clean = divergence(trained.target, outputs(trained)[1])
    truth = trained.truth[0]
    assert truth.sum() >= 4
    assert (loss[truth] > 1.5 * clean).all()
    assert (loss[~truth] < 3 * clean).all()
    assert np.median(loss[truth]) > 50 * clean
    assert change[trained.unconnected].max() <= 1e-6
    assert (truth <= trained.groups["filter"]).all()
    assert not trained.edges[~truth].any()


def test_another_key_trains_another_network(trained):
    other = trained_inference(jax.random.key(6))
    spectra = [
        np.abs(np.linalg.eigvals(np.asarray(task.network.params["W_rec"])[np.ix_(core, core)]))
        for task in (trained, other)
        for core in [task.groups["filter"]]
    ]
    assert np.abs(np.sort(spectra[0]) - np.sort(spectra[1])).max() > 0.01
    assert (other.latent != trained.latent).any()


def test_the_order_of_units_and_the_trials_depend_on_the_key(planted):
    other = hmm_inference(jax.random.key(6), n_kinks=8)
    assert (other.truth != planted.truth).any()
    assert (other.latent != planted.latent).any()
    again = hmm_inference(KEY, n_kinks=8)
    jax.tree.map(np.testing.assert_array_equal, again.network.params, planted.network.params)
    np.testing.assert_array_equal(again.inputs, planted.inputs)


def test_the_filter_works_without_any_distractors():
    task = hmm_inference(KEY, n_distractors=0)
    assert task.network.cell.hidden_size == 4
    assert task.truth.all()
    assert divergence(task.target, outputs(task)[1]) < 1e-3


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"hazard": 0.5}, r"hazard=0\.5: must be above 0 and below 0\.5"),
        ({"hazard": 0.0}, r"hazard=0\.0: must be above 0"),
        ({"n_kinks": 1}, "n_kinks=1: must be at least 2"),
        ({"n_trials": 0}, "n_trials=0: must be at least 1"),
        ({"n_distractors": -2}, "n_distractors=-2: must be at least 0"),
        ({"mu": -1.0}, r"mu=-1\.0: must be at least 0"),
    ],
)
def test_wrong_settings_name_the_field_the_value_and_what_is_allowed(wrong, message):
    with pytest.raises(InputError, match=message):
        hmm_inference(KEY, **wrong)


def test_wrong_settings_of_the_trained_network():
    with pytest.raises(InputError, match=r"n_states=1: .*2"):
        trained_inference(KEY, n_states=1)
    with pytest.raises(InputError, match=r"hazard=0\.7: .*0\.667"):
        trained_inference(KEY, hazard=0.7)
    with pytest.raises(InputError, match=r"n_units=0: .*1"):
        trained_inference(KEY, n_units=0)
