"""What a discovery leaves in files: numbers for people as JSON, arrays for programs as npz."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Float

from hmmrnn.discovery.known_truth import Judgement
from hmmrnn.discovery.survey import Discovery
from hmmrnn.storage import plain

N_LISTED = 20
"""Edges and twins that are listed for each window, the strongest."""


def numbers(found: Discovery, judged: Judgement | None) -> dict[str, Any]:
    """Everything but matrices, window by window; units and edges by index.

    `judgement` is None where the truth is not known.
    """
    return {
        "kind": found.kind,
        "n_trials": found.n_trials,
        "n_units": found.effect.value.shape[1],
        "windows": {name: list(span) for name, span in found.windows.items()},
        "effect": plain(found.effect, columns=True),
        "agreement": found.agreement,
        "edge_agreement": found.edge_agreement,
        "circuits": [
            {**circuit._asdict(), "units": np.flatnonzero(circuit.units)}
            for circuit in found.circuits
        ],
        "curves": plain(found.curves, columns=True),
        "groups": _groups(found),
        "twins": [_twins(found, w) for w in range(len(found.windows))],
        "edges": [_edges(found, w) for w in range(len(found.windows))],
        "judgement": judged,
    }


def arrays(found: Discovery) -> dict[str, Any]:
    """All strengths (W, N) by name, edges and transfer products (W, N, N), and the movie."""
    strengths: Mapping[str, Float[np.ndarray, "W N"]] = found.strengths
    return {
        **{f"units {name}": strength for name, strength in strengths.items()},
        "circuits": np.array([circuit.units for circuit in found.circuits]),
        "edges": found.edges,
        "edge circuits": np.array([circuit.edges for circuit in found.edge_circuits]),
        "transfer": found.transfer,
        "sent to readout": found.sent,
        **{f"movie {name}": np.asarray(value) for name, value in found.movie._asdict().items()},
    }


def _groups(found: Discovery) -> dict[str, Any]:
    groups = found.groups
    return {
        name: {"effect": groups.effect[:, g], "alone": groups.alone[:, g]}
        for g, name in enumerate(groups.names)
    }


def _twins(found: Discovery, w: int) -> list[dict[str, Any]]:
    """The pairs that do most beyond what each of the two does alone."""
    twins = found.twins
    order = np.argsort(-twins.beyond[w], kind="stable")
    seen: dict[tuple[int, int], int] = {}
    for i in order:
        a, b = sorted((int(i), int(twins.twin[w, i])))
        seen.setdefault((a, b), int(i))
    return [
        {
            "units": pair,
            "correlation": twins.correlation[w, i],
            "effect": twins.effect[w, i],
            "beyond": twins.beyond[w, i],
        }
        for pair, i in list(seen.items())[:N_LISTED]
    ]


def _edges(found: Discovery, w: int) -> dict[str, Any]:
    circuit, strength = found.edge_circuits[w], found.edges[w]
    order = np.argsort(-strength, axis=None, kind="stable")[:N_LISTED]
    places = np.stack(np.unravel_index(order, strength.shape), axis=1)
    return {
        "n_edges": int(circuit.edges.sum()),
        "faithfulness": circuit.faithfulness,
        "curve": plain(circuit.curve, columns=True),
        "strongest": [{"receiver": i, "sender": j, "strength": strength[i, j]} for i, j in places],
    }
