"""Edges: patching against loops over trials and steps, attribution against patching."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import spearmanr
from sklearn.metrics import average_precision_score

from hmmrnn.discovery.case import Lag, case_of, clean_run
from hmmrnn.discovery.edges import edge_attribution, edge_effects
from hmmrnn.discovery.interventions import stand_ins
from hmmrnn.errors import InputError
from hmmrnn.tasks import ring_attractor

from .cases import KEY, WINDOWS, B, K, N, T, loss_of, small_case

KINDS = [("relu", 0.4), ("tanh", 1.0)]
kinds = pytest.mark.parametrize(("activation", "leak"), KINDS)
ALL_EDGES = np.argwhere(np.ones((N, N), bool))
LAST = {"last": (T - 1, T)}


def wrong_case(activation="relu", leak=0.4, **other):
    """Not at its target, with stronger weights, and with a step that is not scored."""
    its = small_case(activation, leak)
    return its._replace(
        network=its.network.replace(W_rec=2 * its.network.params["W_rec"]),
        target=jax.random.normal(KEY, (T, B, K)),
        scored=np.arange(T) != 9,
        **other,
    )


def constant():
    """One value for each unit and window."""
    return jax.random.normal(KEY, (len(WINDOWS), 1, 1, N))


def of_each_step():
    """Another value for each step and trial, alike in all windows."""
    return jax.random.normal(KEY, (1, T, B, N))


def losses_in_loops(its, window, instead, edge=None):
    """Loss of each trial with an edge patched, by the equations in float64."""
    first, end = its.windows[window]
    p = {name: np.asarray(value, float) for name, value in its.network.params.items()}
    x = np.asarray(its.inputs, float)
    w = list(its.windows).index(window)
    instead = np.broadcast_to(np.asarray(instead, float), (len(its.windows), T, B, N))[w]
    f = {"relu": lambda a: np.maximum(a, 0), "tanh": np.tanh}[its.network.cell.activation]
    out = np.zeros((T, B, K))
    for b in range(B):
        h = np.asarray(its.h0[b], float)
        for t in range(T):
            a = p["W_rec"] @ h + p["W_in"] @ x[t, b] + p["b_rec"]
            if edge is not None and first <= t < end:
                i, j = edge
                a[i] += p["W_rec"][i, j] * (instead[max(t - 1, 0), b, j] - h[j])
            h = (1 - its.network.cell.leak) * h + its.network.cell.leak * f(a)
            out[t, b] = p["W_out"] @ h + p["b_out"]
    return loss_of(its, out, first)


@kinds
@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("instead", [constant, of_each_step])
def test_patching_is_what_loops_find(activation, leak, window, instead):
    its, edges = wrong_case(activation, leak), np.array([[0, 1], [7, 3], [4, 4], [1, 0], [8, 2]])
    found = edge_effects(its, edges, window, instead())
    clean = losses_in_loops(its, window, instead())
    expected = [losses_in_loops(its, window, instead(), edge) - clean for edge in edges]
    assert np.abs(expected).max() > 1e-2
    np.testing.assert_allclose(found, expected, atol=2e-5)


def test_an_edge_of_no_weight_does_nothing():
    its = wrong_case()
    cut = its._replace(
        network=its.network.replace(W_rec=its.network.params["W_rec"].at[4, 2].set(0.0))
    )
    effects = edge_effects(cut, np.array([[4, 2], [2, 4]]), "middle", constant())
    assert np.abs(effects[0]).max() < 2e-6 < 1e-3 < np.abs(effects[1]).max()
    assert (edge_attribution(cut, constant(), KEY)[:, 4, 2] == 0).all()


def test_the_message_that_is_sent_anyway_does_nothing():
    its = small_case("tanh", 1.0)
    own = clean_run(its).states[None]
    assert np.abs(edge_effects(its, ALL_EDGES[:20], "middle", own)).max() < 1e-6
    middle = list(WINDOWS).index("middle")
    np.testing.assert_allclose(edge_attribution(its, own, KEY)[middle], 0, atol=1e-8)


@kinds
@pytest.mark.parametrize("instead", [constant, of_each_step])
def test_attribution_is_exact_where_nothing_follows(activation, leak, instead):
    """In the last step all downstream is the readout: however far h~ is, if it is one number."""
    its = wrong_case(activation, leak, windows=LAST)
    its = its._replace(
        network=its.network.replace(W_out=its.network.params["W_out"].at[1].set(0.0))
    )
    exact = edge_effects(its, ALL_EDGES, "last", instead()[:1]).mean(1).reshape(N, N)
    found = edge_attribution(its, instead()[:1], KEY)[0]
    assert np.abs(exact).max() > 1e-2
    np.testing.assert_allclose(found, exact, atol=1e-5)


def test_probes_give_the_second_order_of_many_outputs():
    """At the target there is no first order, and E_v (v . d)^2 = |d|^2."""
    its = small_case()._replace(windows=LAST)
    exact = edge_effects(its, ALL_EDGES, "last", constant()[:1]).mean(1).reshape(N, N)
    found = edge_attribution(its, constant()[:1], KEY, n_probes=512)[0]
    np.testing.assert_allclose(found, exact, rtol=0.2, atol=1e-7)
    assert np.sum(found * exact) / np.sum(exact**2) == pytest.approx(1, abs=0.05)


@kinds
@pytest.mark.parametrize(("loops", "allowed"), [(False, 0.001), (True, 0.05)])
def test_small_replacements_are_attributed_rightly(activation, leak, loops, allowed):
    """But for loops that lead back to the edge: patched, it does not carry what comes back."""
    its = small_case(activation, leak, Lag(0, 1))
    W_rec = its.network.params["W_rec"] if loops else jnp.tril(its.network.params["W_rec"], -1)
    its = its._replace(network=its.network.replace(W_rec=W_rec))
    near = clean_run(its).states[None] + 1e-2 * of_each_step()
    exact = edge_effects(its, ALL_EDGES, "middle", near).mean(1).reshape(N, N)
    found = edge_attribution(its, near, KEY)[list(WINDOWS).index("middle")]
    assert np.sum(found * exact) / np.sum(found**2) == pytest.approx(1, abs=allowed)
    np.testing.assert_allclose(exact, found, atol=4 * allowed * np.abs(found).max())


def test_planted_edges_of_a_ring_are_found():
    task = ring_attractor(
        jax.random.key(0), "travelling", n_trials=8, n_steps=70, n_echoes=8, n_random=8
    )
    its = case_of(task, KEY)
    instead = stand_ins(its, "mean")
    found = np.abs(edge_attribution(its, instead, KEY))
    weights = np.abs(np.asarray(task.network.params["W_rec"]))
    for w, truth in enumerate(task.truth):
        planted = (task.edges & np.outer(truth, truth)).ravel()
        assert average_precision_score(planted, found[w].ravel()) > 0.98
        assert average_precision_score(planted, weights.ravel()) < 0.7
    wired = np.argwhere(weights > 0)
    some = wired[np.random.default_rng(0).permutation(len(wired))[:64]]
    exact = edge_effects(its, some, "travel", instead).mean(1)
    travel = list(task.windows).index("travel")
    assert spearmanr(exact, found[travel][tuple(some.T)])[0] > 0.97


@pytest.mark.parametrize(
    ("edges", "window", "says"),
    [
        ([[0, 1]], "never", "window=never: .*early, middle"),
        ([[0, N]], "middle", f"unit 0 or {N}: units are 0 .. {N - 1}"),
        ([[-1, 0]], "middle", "unit -1 or 0"),
    ],
)
def test_what_does_not_exist_is_refused(edges, window, says):
    with pytest.raises(InputError, match=says):
        edge_effects(small_case(), np.array(edges), window, constant())
