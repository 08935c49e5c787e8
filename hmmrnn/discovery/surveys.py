"""Everything about one case: who matters when, through which connections, and how sure that is."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.stats import spearmanr

from hmmrnn.arrays import Key, host_generator, named_keys
from hmmrnn.discovery.attributions import METHODS, Method, attribution
from hmmrnn.discovery.case import Case, Windows
from hmmrnn.discovery.edge_circuits import EdgeCircuit, edge_circuit
from hmmrnn.discovery.edges import edge_attribution, edge_effects
from hmmrnn.discovery.effective import over_windows
from hmmrnn.discovery.interventions import Kind, Stand_in, effects, stand_ins, units
from hmmrnn.discovery.movie import Movie, movie
from hmmrnn.discovery.rankings import baselines
from hmmrnn.discovery.redundancy import GroupEffects, Twins, group_effects, twins
from hmmrnn.discovery.selection import (
    Chosen,
    Circuit,
    Curve,
    curves,
    halves,
    judged,
    smallest_faithful,
)
from hmmrnn.intervals import Estimate, bootstrap_weights
from hmmrnn.programs import keep_programs_of
from hmmrnn.results import fields, result
from hmmrnn.storage import plain

Groups = Mapping[str, Bool[np.ndarray, " N"]]

Choose = Callable[[Case, Float[np.ndarray, "W N"], Stand_in], Chosen]

INTERVENTION = "intervention"
RANKING: Method = "path cut"
"""The attribution whose circuits are compared with those of interventions."""
N_LISTED = 20
"""Edges and twins that files list for each window, the strongest."""
N_EDGES = 96
"""Edges of each window that are patched: the strongest third, and others at random."""


@result
class Agreement(NamedTuple):
    """An estimate beside the exact intervention, over all units or edges of a window."""

    rank: float  # Spearman's rank correlation; NaN where one of them does not vary
    slope: float  # of the estimate on the exact effect, through zero
    n: int


@result
class Discovery(NamedTuple):
    """What was found of a case. Strengths are increases of the loss when a unit is replaced."""

    windows: Windows
    kind: Kind
    n_trials: int
    judging: Int[np.ndarray, " b"]  # the trials that circuits were judged with
    effect: Estimate  # (W, N), mean over all trials
    attributed: dict[str, Float[np.ndarray, "W N"]]
    agreement: dict[str, list[Agreement]]  # of each attribution, in each window
    baselines: dict[str, Float[np.ndarray, "W N"]]
    circuits: list[Circuit]  # one of each window
    curves: dict[str, list[Curve]]  # faithfulness over size by ranking, in each window
    twins: Twins
    groups: GroupEffects
    edges: Float[np.ndarray, "W N N"]  # attribution, (receiver, sender)
    edge_agreement: list[Agreement]
    edge_circuits: list[EdgeCircuit]
    movie: Movie
    transfer: Float[np.ndarray, "W N N"]  # of each window, in the first trial
    sent: Float[np.ndarray, "W N K"]  # by units in a window to the readout at its end

    @property
    def strengths(self) -> dict[str, Float[np.ndarray, "W N"]]:
        """All ways to rank units: by intervention, by attribution, and by what is to be beaten."""
        return {INTERVENTION: self.effect.value, **self.attributed, **self.baselines}

    def numbers(self) -> dict[str, Any]:
        """Everything but matrices, window by window; units and edges by index."""
        each = range(len(self.windows))
        return {
            "kind": self.kind,
            "n_trials": self.n_trials,
            "n_units": self.effect.value.shape[1],
            "windows": {name: list(span) for name, span in self.windows.items()},
            "effect": plain(self.effect, columns=True),
            "agreement": self.agreement,
            "edge_agreement": self.edge_agreement,
            "circuits": self.circuits,
            "curves": plain(self.curves, columns=True),
            "groups": self.groups,
            "twins": [self.twins.strongest(w, N_LISTED) for w in each],
            "edges": [
                {**fields(self.edge_circuits[w]), "strongest": _strongest(self.edges[w], N_LISTED)}
                for w in each
            ],
        }

    def arrays(self) -> dict[str, Any]:
        """All strengths (W, N) by name, edges and transfer products (W, N, N), and the movie."""
        return {
            **{f"units {name}": strength for name, strength in self.strengths.items()},
            "circuits": np.array([circuit.units for circuit in self.circuits]),
            "edges": self.edges,
            "edge circuits": np.array([circuit.edges for circuit in self.edge_circuits]),
            "transfer": self.transfer,
            "sent to readout": self.sent,
            **{f"movie {name}": np.asarray(value) for name, value in self.movie._asdict().items()},
        }


def survey(
    case: Case, groups: Groups, kind: Kind, key: Key, choose: Choose = smallest_faithful
) -> Discovery:
    """Find and judge the circuits of a case; `groups` are also replaced as a whole.

    Circuits of units are those of `choose`, by default the smallest faithful ones.

    Raises:
        InputError: fewer than 4 trials.
    """
    keep_programs_of(case.network.cell)
    names = ("halves", "probes", "boot", "baselines", "edges", "judge")
    keys = named_keys(key, names)
    which = halves(len(case.h0), keys["halves"])
    choosing, judging = (case.trials(trials) for trials in which)
    values = stand_ins(case, kind)
    each = effects(case, units(case), values)
    effect = _with_intervals(each, keys["boot"])
    attributed: dict[str, np.ndarray] = {
        method: attribution(case, values, method, keys["probes"]).mean(-1) for method in METHODS
    }
    rivals = baselines(case, keys["baselines"])
    halved = tuple(stand_ins(half, kind) for half in (choosing, judging))
    rankings = _rankings(choosing, halved[0], keys)
    strength = rankings[INTERVENTION]
    chosen = choose(choosing, strength, halved[0])
    edges = edge_attribution(case, values, keys["probes"])
    through, sent = over_windows(case)
    return Discovery(
        windows=case.windows,
        kind=kind,
        n_trials=len(case.h0),
        judging=which[1],
        effect=effect,
        attributed=attributed,
        agreement={
            name: [agreement(*rows) for rows in zip(found, effect.value, strict=True)]
            for name, found in attributed.items()
        },
        baselines=rivals,
        circuits=judged(judging, chosen, strength, halved[1], keys["judge"]),
        curves={
            name: curves(judging, found, halved[1], keys["judge"])
            for name, found in rankings.items()
        },
        twins=twins(case, effect.value, values),
        groups=group_effects(case, groups, effect.value, values),
        edges=edges,
        edge_agreement=_edge_agreement(case, edges, values, keys["edges"]),
        edge_circuits=_edge_circuits(choosing, judging, halved, keys),
        movie=movie(case, groups, effect.value),
        transfer=through,
        sent=sent,
    )


def agreement(found: Float[np.ndarray, " M"], exact: Float[np.ndarray, " M"]) -> Agreement:
    """Rank correlation and slope of estimates against exact effects."""
    varies = np.ptp(found) > 0 and np.ptp(exact) > 0
    rank = float(spearmanr(found, exact)[0]) if varies else np.nan
    size = float(exact @ exact)
    return Agreement(rank, float(found @ exact) / size if size > 0 else np.nan, len(exact))


def _with_intervals(each: Float[np.ndarray, "W N B"], key: Key) -> Estimate:
    weights = bootstrap_weights(each.shape[-1], key)
    return Estimate.of(np.tensordot(weights, each.astype(np.float64), (1, 2)))


def _rankings(
    choosing: Case, values: Stand_in, keys: Mapping[str, Key]
) -> dict[str, Float[np.ndarray, "W N"]]:
    """Strengths from the trials that choose."""
    return {
        INTERVENTION: effects(choosing, units(choosing), values).mean(-1),
        RANKING: attribution(choosing, values, RANKING, keys["probes"]).mean(-1),
        **baselines(choosing, keys["baselines"]),
    }


def _edge_agreement(
    case: Case, edges: Float[np.ndarray, "W N N"], values: Stand_in, key: Key
) -> list[Agreement]:
    """Attribution beside patching, for the strongest edges and for others drawn at random.

    The strongest are so by the attribution itself, so its slope comes out a little too large.
    """
    found = []
    for window, strength, own in zip(
        case.windows, edges, jax.random.split(key, len(edges)), strict=True
    ):
        some = _some_edges(np.asarray(case.network.params["W_rec"]) != 0, strength, own)
        exact = edge_effects(case, some, window, values).mean(-1)
        found.append(agreement(strength[some[:, 0], some[:, 1]].astype(float), exact.astype(float)))
    return found


def _some_edges(
    wired: Bool[np.ndarray, "N N"], strength: Float[np.ndarray, "N N"], key: Key
) -> Int[np.ndarray, "E 2"]:
    places = np.argwhere(wired)
    order = np.argsort(-strength[wired], kind="stable")
    rest = order[N_EDGES // 3 :]
    others = host_generator(key).permutation(len(rest))[: N_EDGES - N_EDGES // 3]
    return places[np.concatenate([order[: N_EDGES // 3], rest[others]])]


def _edge_circuits(
    choosing: Case, judging: Case, values: tuple[Stand_in, ...], keys: Mapping[str, Key]
) -> list[EdgeCircuit]:
    ranked = edge_attribution(choosing, values[0], keys["probes"])
    halved = values[0], values[1]
    return [
        edge_circuit(choosing, judging, strength, window, halved, keys["judge"])
        for window, strength in zip(choosing.windows, ranked, strict=True)
    ]


def _strongest(edges: Float[np.ndarray, "N N"], n: int) -> list[dict[str, Any]]:
    order = np.argsort(-edges, axis=None, kind="stable")[:n]
    places = np.stack(np.unravel_index(order, edges.shape), axis=1)
    return [{"receiver": i, "sender": j, "strength": edges[i, j]} for i, j in places]
