"""Find out how a trained network moves: dynamics.json, its figures, and the interactive view.

    python -m experiments.dynamics --run=runs/c
    python -m experiments.dynamics --run=runs/c --others='runs/c-seed*'     beside sister networks

About half a minute on 2 CPU cores, the first time a minute, with compilation that is kept. Networks
of the `reference` loss that have left its plateau often turn about once per pair of transitions,
others hardly.
"""

from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np
from absl import flags

from experiments.cli import define_run_flag, launch
from experiments.sister_networks import beside_others, rotations, sister_networks
from hmmrnn import figures
from hmmrnn.arrays import Key
from hmmrnn.dynamics import Course, Sizes, Survey, fixed_point_summary, survey, survey_numbers
from hmmrnn.errors import DivergingNetworkError
from hmmrnn.fidelity import kl_through_training
from hmmrnn.intervals import Estimate
from hmmrnn.report import DYNAMICS_FIGURES, PAIR_FIGURES, VIEW_FILE
from hmmrnn.storage import plain, write_arrays, write_json
from hmmrnn.training import Fit, load

FLAGS = flags.FLAGS


class Analysis(NamedTuple):
    """What was found, or why nothing was."""

    found: Survey | None
    problem: str | None


def analyse(folder: Path, fit: Fit, sizes: Sizes, seed: int, others: str = "") -> Analysis:
    """Measure the network, write what was found and draw it.

    For a network that diverges, dynamics.json holds the reason and nothing else. `others` is a
    pattern of run folders that were analysed before.

    Raises:
        InputError: sizes that are too small, or others that do not compare.
    """
    sisters = sister_networks(folder, others) if others else None
    key_survey, key_fidelity, key_others = jax.random.split(jax.random.key(seed), 3)
    course = Course(fit.snapshots.epochs, fit.snapshots.params, np.asarray(fit.records.loss))
    try:
        found = survey(fit, course, key_survey, sizes)
    except DivergingNetworkError as error:
        _remove_earlier(folder)
        write_json(folder / "dynamics.json", {"problem": str(error)})
        return Analysis(None, str(error))
    _remove_earlier(folder)
    numbers = plain(survey_numbers(found))
    numbers["networks"] = (
        None if sisters is None else beside_others(folder, numbers, sisters, key_others)
    )
    write_json(folder / "dynamics.json", numbers)
    write_arrays(folder / VIEW_FILE, found.view._asdict())
    _draw(folder, fit, found, rotations(sisters or {}), key_fidelity)
    return Analysis(found, None)


def _remove_earlier(folder: Path) -> None:
    """Figures and view of an earlier analysis, of which this one may not draw them all."""
    for name in (*DYNAMICS_FIGURES, PAIR_FIGURES):
        for path in (folder / "figures").glob(f"{name}.svg"):
            path.unlink()
    (folder / VIEW_FILE).unlink(missing_ok=True)


def _draw(
    folder: Path, fit: Fit, found: Survey, others: list[tuple[str, Estimate]], key: Key
) -> None:
    """All figures of the analysis; `others` are rotations of sister networks."""
    whole, near = found.globally, found.locally
    drawn = {
        "trajectories": figures.trajectory_figure(found.portrait),
        "rotation": figures.rotation_figure(
            whole.orbit, whole.time_reversed, whole.phase_shuffled, others
        ),
        "flow": figures.flow_figure(whole.along, whole.flow, whole.symbols),
        "phase": figures.phase_figure(whole.orbit, whole.emission),
        "readout": figures.readout_figure(whole.axes, whole.carried, whole.region),
        "noise_levels": figures.noise_level_figure(whole.radius, whole.regions),
        "fixed_points": figures.fixed_point_figure(found.fixed),
        "residency": figures.residency_figure(
            near.residency, near.zone, near.points, near.explained, near.shares
        ),
        "spectra": figures.spectra_figure(
            near.spectrum, near.spectrum_zone, near.unstable, near.critical
        ),
        "noise_sensitivity": figures.noise_sensitivity_figure(near.sensitivity),
        "mean_shift": figures.mean_shift_figure(near.shift),
    }
    for pair in whole.pairs:
        name = "flow_{}_{}".format(*pair.symbols)
        drawn[name] = figures.flow_figure(pair.along, pair.flow, pair.symbols)
    if found.development is not None:
        kl = kl_through_training(
            fit.cell,
            fit.snapshots.params,
            fit.noise_std,
            fit.config.hmm,
            fit.config.data.n_steps,
            key,
        )
        drawn["development"] = figures.development_figure(
            found.development, np.asarray(fit.records.loss), float(fit.floor.mean), kl
        )
    for name, figure in drawn.items():
        figures.save(folder, name, figure)


def report_lines(found: Survey) -> list[str]:
    """What a terminal shows of it."""
    whole, near, dated = found.globally, found.locally, found.development
    turns = whole.orbit.rotation
    shares = [f"{share.value:.2f}" for share in near.shares]
    explained = [f"{100 * share:.1f} %" for share in np.asarray(found.portrait.plane.explained)]
    lines = [
        ("All states together: " if whole.pairs else "") + whole.manner.sentence,
        *(
            f"Symbols {pair.symbols[0]} and {pair.symbols[1]}: {each.sentence}"
            for pair, each in zip(whole.pairs, whole.manners, strict=True)
        ),
        f"net rotation per pair of transitions {turns.value:.3f} "
        f"[{turns.low:.3f}, {turns.high:.3f}]",
        *(
            f"  {name} surrogates {null.null_mean:.3f} [{null.null_low:.3f}, {null.null_high:.3f}],"
            f" p = {null.p_value:.3f}"
            for name, null in (
                ("time-reversed", whole.time_reversed),
                ("phase-shuffled", whole.phase_shuffled),
            )
        ),
        f"variance in PC1, PC2, PC3: {', '.join(explained)}",
        f"CV of dwell times {found.portrait.dwell_cv.value:.2f}",
        fixed_point_summary(found.fixed),
        "states in cluster, kick-zone, transition, other: " + ", ".join(shares),
    ]
    if dated is None:
        return [*lines, "no snapshots, so nothing is known of how it came about"]
    by_jump, bend = dated.bifurcation_by_jump, dated.bifurcation
    bounds = "" if np.isnan(bend.epoch) else f" [{bend.low:.0f}, {bend.high:.0f}]"
    return [
        *lines,
        f"bifurcation: {_epoch(by_jump)} by the paper's rule, {_epoch(bend.epoch)}{bounds} by "
        f"change point; second descent of the loss: {_epoch(dated.descent.onset)}",
    ]


def _epoch(value: float) -> str:
    return "none" if np.isnan(value) else f"epoch {value:.0f}"


def main() -> None:
    """Measure and print what matters most."""
    folder = Path(FLAGS.run)
    sizes = Sizes(FLAGS.n_trajectories, FLAGS.n_steps, FLAGS.n_starts, FLAGS.n_states)
    analysis = analyse(folder, load(folder), sizes, FLAGS.analysis_seed, FLAGS.others)
    if analysis.found is None:
        print(analysis.problem)
    else:
        print(*report_lines(analysis.found), sep="\n")
    print(folder / "dynamics.json")


if __name__ == "__main__":
    define_run_flag()
    flags.DEFINE_integer("n_trajectories", 64, "noise-driven trajectories", lower_bound=2)
    flags.DEFINE_integer("n_steps", 1_000, "steps of each, after the warm-up", lower_bound=2)
    flags.DEFINE_integer("n_starts", 1_000, "starts of the search for fixed points", lower_bound=1)
    flags.DEFINE_integer("n_states", 2_000, "states with a residency time", lower_bound=2)
    flags.DEFINE_string("others", "", "pattern of run folders to show beside this one, in quotes")
    launch(main)
