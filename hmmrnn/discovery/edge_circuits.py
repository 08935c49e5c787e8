"""Edge circuits: the connections of a window without which, and with which alone, it works.

As for units in `selection`: edges are ranked and chosen on one half of the trials, and judged on
the other one by replacing the messages of all other edges in the window.
"""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from hmmrnn.arrays import HIGHEST, Key
from hmmrnn.discovery.case import Case, Loss
from hmmrnn.discovery.edges import Onwards, loss_in_two, onwards
from hmmrnn.discovery.interventions import AT_ONCE, Stand_in
from hmmrnn.discovery.selection import (
    FAITHFUL,
    Curve,
    curve_of,
    curve_sizes,
    mean_faithfulness,
    strongest,
)
from hmmrnn.errors import InputError
from hmmrnn.intervals import Estimate, bootstrap_weights
from hmmrnn.nets import Network
from hmmrnn.results import result
from hmmrnn.storage import plain


@result
class EdgeCircuit(NamedTuple):
    """The edges chosen for one window, and their worth in trials that did not choose them."""

    edges: Bool[np.ndarray, "N N"]  # (receiver, sender)
    faithfulness: Estimate
    curve: Curve

    def numbers(self) -> dict[str, Any]:
        """Edges by their number."""
        return {
            "n_edges": int(self.edges.sum()),
            "faithfulness": self.faithfulness,
            "curve": plain(self.curve, columns=True),
        }


def edge_circuit(
    choosing: Case,
    judging: Case,
    strength: Float[np.ndarray, "N N"],
    window: str,
    instead: tuple[Stand_in, Stand_in],
    key: Key,
    threshold: float = FAITHFUL,
) -> EdgeCircuit:
    """The smallest circuit of strongest edges, of some 28 sizes, that is faithful in `choosing`.

    The next smaller size tried has about two thirds of its edges. Edges of weight 0 are never in
    it; where nothing is clearly at stake, it has none. `instead`: the stand-ins of the two cases.

    Raises:
        InputError: a window that does not exist, or a network without weights.
    """
    wired = np.asarray(choosing.network.params["W_rec"]) != 0
    if not wired.any():
        raise InputError("W_rec is zero: there are no edges to choose from")
    ranked = np.where(wired, strength, -np.inf).ravel()
    sizes = curve_sizes(int(wired.sum()))
    kept = np.array([strongest(ranked, int(size)) for size in sizes]).reshape(-1, *wired.shape)
    chosen_by, judged_by = (
        losses_with(case, kept, window, values)
        for case, values in zip((choosing, judging), instead, strict=True)
    )
    best = int(np.argmax(mean_faithfulness(chosen_by) >= threshold))
    curve = curve_of(sizes, judged_by, bootstrap_weights(judged_by.shape[1], key))
    return EdgeCircuit(kept[best], curve.faithfulness[best], curve)


def losses_with(
    case: Case, kept: Bool[np.ndarray, "G N N"], window: str, instead: Stand_in
) -> Float[np.ndarray, "G B"]:
    """Loss of each trial if only some edges carry their own messages in a window.

    All others carry those of the stand-ins, so that nothing of the clean run passes along them.

    Raises:
        InputError: a window that does not exist.
    """
    on = onwards(case, window, instead)
    return np.asarray(_losses_with(case.network, case.loss, on, jnp.asarray(kept)))


@partial(jax.jit, static_argnames="loss")
def _losses_with(
    network: Network, loss: Loss, on: Onwards, kept: Bool[Array, "G N N"]
) -> Float[Array, "G B"]:
    """The other edges are taken out of W_rec; what they carry instead is an input to each unit."""
    W_rec, W_in = network.params["W_rec"], network.params["W_in"]
    W_in = jnp.concatenate([W_in, jnp.eye(len(W_rec), dtype=W_rec.dtype)], axis=1)

    def run(mask: Array) -> Array:
        own = jnp.where(mask, W_rec, 0.0)
        carried = jnp.matmul(on.sent, (W_rec - own).T, precision=HIGHEST)
        return loss_in_two(network, network.replace(W_rec=own, W_in=W_in), loss, on, carried)

    return jax.lax.map(run, kept, batch_size=AT_ONCE)
