"""Edge circuits: messages of all other edges replaced, against the loop; chosen and judged."""

import jax.numpy as jnp
import numpy as np
import pytest

from hmmrnn.discovery.case import Lag, clean_run
from hmmrnn.discovery.edge_circuits import edge_circuit, losses_with
from hmmrnn.discovery.edges import edge_attribution, edge_effects
from hmmrnn.discovery.interventions import clean_losses, stand_ins
from hmmrnn.errors import InputError

from .cases import KEY, WINDOWS, N, loss_of, small_case


def looped_edges(case, kept, window, instead):
    """Readout in float64 with messages of edges outside `kept` from `instead` (T, B, N)."""
    params = {name: np.asarray(value, float) for name, value in case.network.params.items()}
    leak, h, out = case.network.leak, np.asarray(case.h0, float), []
    for t, x in enumerate(np.asarray(case.inputs, float)):
        recurrent = h @ params["W_rec"].T
        if window[0] <= t < window[1]:
            other = instead[max(t - 1, 0)]
            recurrent = h @ (params["W_rec"] * kept).T + other @ (params["W_rec"] * ~kept).T
        h = (1 - leak) * h + leak * np.maximum(
            recurrent + x @ params["W_in"].T + params["b_rec"], 0
        )
        out.append(h @ params["W_out"].T + params["b_out"])
    return np.array(out)


@pytest.mark.parametrize("kind", ["mean", "resample"])
@pytest.mark.parametrize(("w", "window"), list(enumerate(WINDOWS)))
def test_losses_are_those_of_the_loop(w, window, kind):
    case = small_case()
    instead = stand_ins(case, kind)
    rng = np.random.default_rng(0)
    kept = np.stack([np.zeros((N, N), bool), rng.random((N, N)) < 0.5, np.ones((N, N), bool)])
    found = losses_with(case, kept, window, instead)
    values = np.broadcast_to(
        np.asarray(instead[w % len(instead)], float), (*case.inputs.shape[:2], N)
    )
    for g, mask in enumerate(kept):
        readout = looped_edges(case, mask, WINDOWS[window], values)
        expected = loss_of(case, readout, WINDOWS[window][0])
        np.testing.assert_allclose(found[g], expected, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(found[2], clean_losses(case)[w], atol=1e-10)


def test_all_edges_but_one_are_the_patch_of_that_one():
    case = small_case(loss=Lag(0, 1))
    instead = stand_ins(case, "mean")
    kept = np.ones((1, N, N), bool)
    kept[0, 4, 2] = False
    found = losses_with(case, kept, "middle", instead)[0] - clean_losses(case)[1]
    expected = edge_effects(case, np.array([[4, 2]]), "middle", instead)[0]
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-5)
    assert np.abs(expected).max() > 1e-4


def test_a_chain_of_edges_is_its_own_circuit():
    """Unit 0 moves unit 1, which moves unit 2, which is read; 5 to 8 chatter among themselves."""
    case = small_case(leak=1.0, bias=5.0)
    W = np.zeros((N, N), np.float32)
    W[1, 0], W[2, 1] = 1.0, 1.0
    W[5:, 5:] = 0.2
    W_out = np.zeros((2, N), np.float32)
    W_out[0, 2] = 1.0
    W_in = np.zeros((N, 3), np.float32)
    W_in[[0, 6], [0, 1]] = 1.0
    arrays = {"W_rec": W, "W_out": W_out, "W_in": W_in}
    case = case._replace(
        network=case.network.replace(**{name: jnp.asarray(x) for name, x in arrays.items()}),
        windows={"late": (4, 12)},
    )
    states = clean_run(case).states
    case = case._replace(
        target=clean_run(case).logits, means=jnp.asarray(states).mean((0, 1))[None]
    )
    instead = stand_ins(case, "mean")
    strength = edge_attribution(case, instead, KEY)[0]
    found = edge_circuit(case, case, strength, "late", (instead, instead), KEY)
    np.testing.assert_array_equal(np.argwhere(found.edges), [[1, 0], [2, 1]])
    assert found.faithfulness.value == pytest.approx(1, abs=1e-4)
    assert found.curve.sizes[-1] == 2 + 16
    assert found.curve.faithfulness.value[0] == 0


def test_what_does_not_exist_is_named():
    case = small_case()
    instead = stand_ins(case, "mean")
    with pytest.raises(InputError, match=r"window=never: .*early, middle, late"):
        losses_with(case, np.ones((1, N, N), bool), "never", instead)
    silent = case._replace(network=case.network.replace(W_rec=jnp.zeros((N, N))))
    with pytest.raises(InputError, match="W_rec"):
        edge_circuit(silent, silent, np.ones((N, N)), "early", (instead, instead), KEY)
