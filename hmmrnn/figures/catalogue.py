"""Every figure of every analysis, declared once: the name of its file and what draws it.

An analysis draws its part of the catalogue (`save_figures`), and the page of the report finds the
figures by the same names (`names_in`). A new figure is a line here and a
place in the page.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from matplotlib.figure import Figure

from hmmrnn import figures
from hmmrnn.circuits.pair_tests import PairTests, Pulses, Replays, Windows
from hmmrnn.circuits.state_transitions import StateTransition
from hmmrnn.circuits.surveys import CircuitSurvey
from hmmrnn.claims.hypothesis import with_most_batches
from hmmrnn.discovery.known_truth import Examined
from hmmrnn.dynamics import Across, Development
from hmmrnn.dynamics.plane_dynamics import PlaneDynamics
from hmmrnn.dynamics.zone_dynamics import ZoneDynamics
from hmmrnn.figures.claims import batch_figure, regularity_figure, turns_figure
from hmmrnn.intervals import Estimate

Pair = tuple[int, int]


Drawn = Figure | Mapping[str, Figure | None] | None


class Drawing(NamedTuple):
    """A figure of an analysis: the name of its file, and what draws it from what was found.

    With `each` there is one for each pair of symbols or case: `draw` gives them by the ends of
    their names, NAME_0_2 and so on. None stands for nothing to draw.
    """

    name: str
    draw: Callable[..., Drawn]
    each: bool = False

    @property
    def pattern(self) -> str:
        """Of the names of all files that it may have."""
        return f"{self.name}_*" if self.each else self.name


def save_figures(folder: Path, drawings: Iterable[Drawing], *found: Any) -> None:  # noqa: ANN401
    """Draw all of `found` into figures/ of a run folder. Raises `StorageError`."""
    for drawing in drawings:
        drawn = drawing.draw(*found)
        by_end = drawn if isinstance(drawn, Mapping) else {"": drawn}
        for end, figure in by_end.items():
            if figure is not None:
                figures.save(folder, f"{drawing.name}_{end}" if end else drawing.name, figure)


def own_files(drawings: Iterable[Drawing], *names: str) -> list[str]:
    """Patterns of what an analysis writes: files of these names, and its figures."""
    return [*names, *(f"figures/{drawing.pattern}.svg" for drawing in drawings)]


def names_in(folder: Path, drawings: Iterable[Drawing]) -> list[str]:
    """Names of all figures that should be in a run folder, and of those of pairs that are."""
    names: dict[str, None] = {}
    for drawing in drawings:
        paths = sorted((folder / "figures").glob(f"{drawing.pattern}.svg")) if drawing.each else []
        names |= dict.fromkeys([path.stem for path in paths] if drawing.each else [drawing.name])
    return [*names]


def ending(pair: Pair) -> str:
    """Of the name of a pair's figure."""
    return "{}_{}".format(*pair)


def _whole(name: str, draw: Callable[[PlaneDynamics], Figure]) -> Drawing:
    return Drawing(name, lambda found, *_: draw(found.in_plane))


def _near(name: str, draw: Callable[[ZoneDynamics], Figure]) -> Drawing:
    return Drawing(name, lambda found, *_: draw(found.by_zone))


def _of(name: str, tests: str, draw: Callable[..., Figure | None]) -> Drawing:
    """A figure for each pair of symbols, from its tests of one kind, the pair and all found."""

    def drawn(found: CircuitSurvey, _: object) -> Mapping[str, Figure | None]:
        of_pairs = getattr(found, tests).items()
        return {ending(pair): draw(tested, pair, found) for pair, tested in of_pairs}

    return Drawing(name, drawn, each=True)


def _tested(name: str, draw: Callable[[PairTests, Pair, CircuitSurvey], Figure | None]) -> Drawing:
    return _of(name, "pair_tests", draw)


def _changed(
    name: str, draw: Callable[[StateTransition, Pair, CircuitSurvey], Figure | None]
) -> Drawing:
    return _of(name, "state_transitions", draw)


def _of_case(name: str, draw: Callable[[Examined], Figure | None]) -> Drawing:
    return Drawing(name, lambda case: {case.end: draw(case)}, each=True)


def _rotation(plane: PlaneDynamics, others: Sequence[tuple[str, Estimate]]) -> Figure:
    return figures.rotation_figure(plane.orbit, plane.time_reversed, plane.phase_shuffled, others)


def _development(
    found: Development | None, course: tuple[np.ndarray, float, Estimate]
) -> Figure | None:
    return None if found is None else figures.development_figure(found, *course)


def _networks(across: tuple[Mapping[str, Across], str] | None) -> Figure | None:
    return None if across is None else figures.networks_figure(*across)


def _windows(found: Windows | None, pair: Pair | None) -> Figure | None:
    return None if found is None else figures.window_figure(found.effects, found.names, pair)


def _pulses(found: Pulses | None) -> Figure | None:
    return None if found is None else figures.pulse_figure(found.effects, found.names)


def _replays(found: Replays | None) -> Figure | None:
    if found is None:
        return None
    return figures.replay_figure(found.elsewhere, found.own_start, found.names)


def _precision(case: Examined) -> Figure | None:
    return None if case.truth is None else figures.precision_recall_figure(case.found, case.truth)


def _connections(case: Examined, which: str, title: str) -> Figure:
    """Steps are counted from the case's onset."""
    movie = case.found.movie
    movie = movie._replace(steps=movie.steps - case.onset)
    return figures.connectivity_figure(movie, getattr(movie, which), title)


TRAINING = (Drawing("training", figures.training_figure),)
"""From a trained network and the exact volatility."""

FIDELITY = (
    Drawing("transitions", figures.transition_figure),
    Drawing("ngrams", figures.ngram_figure),
    Drawing("dwell", figures.dwell_figure),
)
"""From a `Fidelity` and the words for what the network is compared with."""

DYNAMICS = (
    Drawing("trajectories", lambda found, *_: figures.trajectory_figure(found.portrait)),
    Drawing("rotation", lambda found, course, others, across: _rotation(found.in_plane, others)),
    _whole("flow", lambda p: figures.flow_figure(p.along, p.flow, p.symbols)),
    Drawing(
        "flow",
        lambda found, *_: {
            ending(p.symbols): figures.flow_figure(p.along, p.flow, p.symbols)
            for p in found.in_plane.pairs
        },
        each=True,
    ),
    _whole("phase", lambda p: figures.phase_figure(p.orbit, p.emission)),
    _whole("readout", lambda p: figures.readout_figure(p.axes, p.carried, p.region)),
    _whole("noise_levels", lambda p: figures.noise_level_figure(p.radius, p.regions)),
    Drawing("fixed_points", lambda found, *_: figures.fixed_point_figure(found.fixed)),
    _near(
        "residency",
        lambda z: figures.residency_figure(z.residency, z.zone, z.points, z.explained, z.shares),
    ),
    _near(
        "spectra",
        lambda z: figures.spectra_figure(z.spectrum, z.spectrum_zone, z.unstable, z.critical),
    ),
    _near("noise_sensitivity", lambda z: figures.noise_sensitivity_figure(z.sensitivity)),
    _near("mean_shift", lambda z: figures.mean_shift_figure(z.shift)),
    Drawing("development", lambda found, course, *_: _development(found.development, course)),
    Drawing("networks", lambda found, course, others, across: _networks(across)),
)
"""From a survey, the course of the training beside it, rotations of other networks, and numbers
across networks with the name of this one, or None."""

CIRCUITS = (
    Drawing("circuit_scores", lambda found, _: figures.kick_score_figure(found.circuit)),
    Drawing("circuit_plane", lambda found, _: figures.kick_plane_figure(found.circuit)),
    Drawing("circuit_blocks", lambda found, _: figures.weight_block_figure(found.circuit.blocks)),
    Drawing(
        "circuit_weights",
        lambda found, w_rec: figures.ordered_weights_figure(w_rec, found.circuit.groups),
    ),
    Drawing("circuit_activity", lambda found, _: figures.transition_activity_figure(found.circuit)),
    Drawing("circuit_shared", lambda found, _: figures.composition_figure(found.circuit.shared)),
    _tested(
        "circuit_dose_response",
        lambda tests, pair, found: figures.dose_response_figure(tests.dose_responses, pair),
    ),
    _tested("circuit_windows", lambda tests, pair, found: _windows(tests.windows, None)),
    _tested("circuit_pulses", lambda tests, pair, found: _pulses(tests.pulses)),
    _tested("circuit_replay", lambda tests, pair, found: _replays(tests.replays)),
    _tested(
        "circuit_resonance",
        lambda tests, pair, found: figures.resonance_figure(tests.resonance, found.everywhere),
    ),
    _changed("circuit_holding", lambda change, pair, found: figures.holding_figure(change.holding)),
    _changed("circuit_kick", lambda change, pair, found: figures.optimal_kick_figure(change.push)),
    _changed("circuit_carriers", lambda change, pair, found: _windows(change.windows, pair)),
)
"""From a survey and W_rec (N, N)."""

DISCOVERY = (
    _of_case(
        "discovery_map",
        lambda case: figures.discovery_map_figure(case.found, case.groups, case.truth),
    ),
    _of_case("discovery_precision", lambda case: _precision(case)),
    _of_case("discovery_faithfulness", lambda case: figures.faithfulness_figure(case.found)),
    _of_case("discovery_edges", lambda case: figures.edge_faithfulness_figure(case.found)),
    _of_case("discovery_agreement", lambda case: figures.agreement_figure(case.found)),
    _of_case("discovery_single", lambda case: _connections(case, "single", "one trial")),
    _of_case("discovery_mean", lambda case: _connections(case, "mean", "mean over trials")),
)
"""From one case that was examined."""

CLAIMS = (
    Drawing("claims_turns", turns_figure),
    Drawing("claims_regularity", regularity_figure),
    Drawing("claims_batches", lambda networks: batch_figure(networks, with_most_batches(networks))),
)
"""From the networks of the hypothesis."""
