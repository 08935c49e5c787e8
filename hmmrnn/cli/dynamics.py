"""Find out how a trained network moves: dynamics.json, its figures, and the interactive view.

    hmmrnn dynamics --run=runs/c
    hmmrnn dynamics --run=runs/c --others='runs/c-seed*'     beside sister networks
    hmmrnn dynamics --runs='runs/c-seed*'     many networks, one line each

About half a minute on 2 CPU cores, the first time a minute, with compilation that is kept; one of
many takes ten seconds. Networks of the `reference` loss that have left its plateau often turn about
once per pair of transitions, others hardly.
"""

from collections.abc import Hashable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from absl import flags
from jaxtyping import Float

from hmmrnn.arrays import Key, named_keys
from hmmrnn.cli.across_seeds import across_seeds, beside_others, rotations
from hmmrnn.cli.launch import define_run_flag
from hmmrnn.cli.run_folders import Many, Step, analyse_all, one_or_many, second_process, unbounded
from hmmrnn.dynamics import Course, Sizes, Survey, survey_many
from hmmrnn.errors import DivergingNetworkError, InputError
from hmmrnn.fidelity import kl_through_training
from hmmrnn.figures.catalogue import DYNAMICS, own_files, save_figures
from hmmrnn.folders import replacing
from hmmrnn.intervals import Estimate
from hmmrnn.memory import expect_room
from hmmrnn.recordings.residency_times import N_ROLLOUTS
from hmmrnn.report import VIEW_FILE, fixed_point_summary, regime_sentence, with_sentences
from hmmrnn.storage import write_arrays, write_results
from hmmrnn.training import Fit, RunSpec, load
from hmmrnn.training.fit import snapshot_epochs
from hmmrnn.training.run_folder import owned_run

FLAGS = flags.FLAGS
KEYS = ("survey", "fidelity", "others")
NUMBERS = "dynamics.json"


class Measured(NamedTuple):
    """What was found of a network or why nothing was, and what the figures show beside it."""

    found: Survey | None
    problem: str | None
    loss: Float[np.ndarray, " L"]
    floor: float  # of the loss
    kl: Estimate  # (E,) at each snapshot


def analyse(folder: Path, fit: Fit, sizes: Sizes, seed: int, others: str = "") -> Measured:
    """Measure the network, write what was found and draw it.

    For a network that diverges, dynamics.json holds the reason and nothing else. `others` is a
    pattern of run folders that were analysed before.

    Raises:
        InputError: sizes that are too small, or others that do not compare.
    """
    sisters = across_seeds(folder, others) if others else {}
    (measured,) = measure(sizes, seed, [fit])
    write(folder, fit.digest, measured, sisters, seed)
    return measured


def measure(sizes: Sizes, seed: int, fits: list[Fit]) -> Iterator[Measured]:
    """Measure networks of one cell, with as many snapshots of each.

    Raises:
        InputError: sizes that are too small.
    """
    n_units = fits[0].cell.hidden_size
    points = sizes.n_trajectories * sizes.n_steps + sizes.n_starts + N_ROLLOUTS * sizes.n_states
    asked = ", ".join(f"{name}={value}" for name, value in sizes._asdict().items())
    expect_room(4 * points * n_units * len(fits), asked, "the largest of them")
    keys = named_keys(jax.random.key(seed), KEYS)
    courses = [
        Course(fit.snapshots.epochs, fit.snapshots.params, np.asarray(fit.records.loss))
        for fit in fits
    ]
    surveys = survey_many(fits, courses, keys["survey"], sizes)
    explodes, nothing = unbounded(fits), Estimate.stack([])
    for fit, course, found, problem in zip(fits, courses, surveys, explodes, strict=True):
        floor = float(fit.floor.mean)
        reason = str(found) if isinstance(found, DivergingNetworkError) else problem
        if isinstance(found, DivergingNetworkError) or reason is not None:
            yield Measured(None, reason, course.loss, floor, nothing)
            continue
        kl = nothing if found.development is None else _kl_through_training(fit, keys["fidelity"])
        yield Measured(found, None, course.loss, floor, kl)


def _kl_through_training(fit: Fit, key: Key) -> Estimate:
    target, n_steps = fit.config.target, fit.config.data.n_steps
    return kl_through_training(fit, fit.snapshots.params, target, n_steps, key)


def write(
    folder: Path, network: str, measured: Measured, sisters: dict[str, Any], seed: int
) -> None:
    """Write figures, view and numbers of the network of a digest, all or none."""
    keys = named_keys(jax.random.key(seed), KEYS)
    found = measured.found
    with replacing(folder, "dynamics", own_files(DYNAMICS, NUMBERS, VIEW_FILE)) as beside:
        if found is None:
            write_results(beside / NUMBERS, {"problem": measured.problem}, network)
            return
        numbers = with_sentences(found)
        numbers["networks"] = across = (
            beside_others(folder.name, numbers, sisters, keys["others"]) if sisters else None
        )
        course = measured.loss, measured.floor, measured.kl
        networks = across and (across, folder.name)
        save_figures(beside, DYNAMICS, found, course, rotations(sisters), networks)
        write_arrays(beside / VIEW_FILE, found.view._asdict())
        write_results(beside / NUMBERS, numbers, network)


def report_lines(found: Survey) -> list[str]:
    """What a terminal shows of it."""
    whole, near, dated = found.in_plane, found.by_zone, found.development
    shares = [f"{share.value:.2f}" for share in near.shares]
    explained = [f"{100 * share:.1f} %" for share in np.asarray(found.portrait.plane.explained)]
    lines = [
        ("All states together: " if whole.pairs else "") + regime_sentence(whole.regime),
        *(
            f"Symbols {pair.symbols[0]} and {pair.symbols[1]}: {regime_sentence(each)}"
            for pair, each in zip(whole.pairs, whole.regimes, strict=True)
        ),
        f"net rotation per pair of transitions {whole.orbit.rotation:.3f}",
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


def write_one(seed: int, folder: Path, network: str, measured: Measured) -> str:
    """Write what was found of one of many; rotation and regime are the line."""
    write(folder, network, measured, {}, seed)
    if measured.found is None:
        return str(measured.problem)
    whole = measured.found.in_plane
    return f"rotation {whole.orbit.rotation:.3f}, {whole.regime.kind}"


def shape(spec: RunSpec) -> Hashable:
    """What networks must have in common to be measured side by side."""
    return spec.config.cell, len(snapshot_epochs(spec.config))


def define_flags() -> None:
    """Which runs, the sizes of the measures, and sister networks."""
    define_run_flag()
    flags.DEFINE_integer("n_trajectories", 64, "noise-driven trajectories", lower_bound=2)
    flags.DEFINE_integer("n_steps", 1_000, "steps of each, after the warm-up", lower_bound=2)
    flags.DEFINE_integer("n_starts", 1_000, "starts of the search for fixed points", lower_bound=1)
    flags.DEFINE_integer("n_states", 2_000, "states with a residency time", lower_bound=2)
    flags.DEFINE_string("others", "", "pattern of run folders to show beside this one, in quotes")


def main() -> None:
    """Measure and print what matters most."""
    chosen = one_or_many()
    sizes = Sizes(FLAGS.n_trajectories, FLAGS.n_steps, FLAGS.n_starts, FLAGS.n_states)
    if isinstance(chosen, Many):
        if FLAGS.others:
            raise InputError("others: goes with --run; analyse all by --runs first, then one by it")
        measuring = partial(measure, sizes, FLAGS.analysis_seed)
        writing = partial(write_one, FLAGS.analysis_seed)
        analyse_all(Step("dynamics.json", shape, measuring, writing, second_process), chosen)
        return
    with owned_run(chosen):
        analysis = analyse(chosen, load(chosen), sizes, FLAGS.analysis_seed, FLAGS.others)
    if analysis.found is None:
        print(analysis.problem)
    else:
        print(*report_lines(analysis.found), sep="\n")
    print(chosen / "dynamics.json")
