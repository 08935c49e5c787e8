"""Find out which units of a network matter, when, and through which connections.

    hmmrnn discover --task=ring --outdir=runs/ring           known mechanisms: how
    hmmrnn discover --task=hmm_inference --outdir=runs/hmm   right is discovery?
    hmmrnn discover --run=runs/c                             a trained network

On 2 CPU cores: ring 4 minutes (three conditions), hmm_inference 1 minute (two networks), a trained
network 1 minute for each pair of symbols. Expect an AUPRC above 0.95 in every window of the rings
and above 0.85 for the filters. For a trained network, windows are aligned to its transitions, and
if `hmmrnn circuits` was run before, its groups stand beside what is found.
"""

import itertools
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, get_args

import jax
import numpy as np
from absl import flags
from jaxtyping import Bool

from hmmrnn.arrays import Key
from hmmrnn.cli.launch import command_line
from hmmrnn.cli.run_folders import unbounded
from hmmrnn.discovery import (
    Kind,
    Recorded,
    case_of,
    judgement,
    of_size,
    overlaps,
    record_runs,
    smallest_faithful,
    survey,
    transition_case,
)
from hmmrnn.discovery.known_truth import Examined
from hmmrnn.discovery.surveys import Choose
from hmmrnn.discovery.transitions import BEFORE, MIN_EVENTS
from hmmrnn.errors import DivergingNetworkError, InputError
from hmmrnn.figures.catalogue import DISCOVERY, own_files, save_figures
from hmmrnn.folders import CONFIG, owned, replacing
from hmmrnn.memory import expect_room
from hmmrnn.recordings.events import symbol_pairs
from hmmrnn.report import build_discovery_page
from hmmrnn.results import fields
from hmmrnn.storage import known_form, plain, read_results, write_arrays, write_results
from hmmrnn.tasks import Task, hmm_inference, ring_attractor, trained_inference
from hmmrnn.tasks.ring import CONDITIONS
from hmmrnn.training import Fit, load
from hmmrnn.training.run_folder import digest_in, owned_run

FLAGS = flags.FLAGS
JSON = "discovery.json"
TASK_UNITS = 100
"""At least as many has a network of a task."""
CONTAMINATION = {"ring": 0.2, "hmm_inference": 0.02}

Groups = Mapping[str, Bool[np.ndarray, " N"]]


def examine_task(
    tasks: Mapping[str, Callable[[Key], Task]], kind: Kind, choose: Choose, seed: int
) -> Iterator[Examined]:
    """Discover the circuits of planted tasks and judge them, one after the other."""
    for name, make in tasks.items():
        key_task, key_case, key_survey, key_judge = jax.random.split(jax.random.key(seed), 4)
        task = make(key_task)
        case = case_of(task, key_case)
        found = survey(case, task.groups, kind, key_survey, choose)
        judged = judgement(found, case, task, key_judge)
        yield Examined(name, case, task.groups, found, judged, np.asarray(task.truth), None, 0)


def examine_network(
    fit: Fit, groups: Groups, kind: Kind, choose: Choose, n_trials: int, seed: int
) -> Iterator[Examined | tuple[str, str]]:
    """Discover the circuits of each transition of a trained network, or say why not.

    Raises:
        DivergingNetworkError: it does not stay bounded in long runs.
        InputError: a network whose preferred symbol hardly ever changes.
    """
    expect_room(8_000 * n_trials * fit.cell.hidden_size, f"n_trials={n_trials}", "n_trials")
    (problem,) = unbounded([fit])
    if problem is not None:
        raise DivergingNetworkError(problem)
    key_record, key_pairs = jax.random.split(jax.random.key(seed))
    recording = record_runs(fit, Recorded(), key_record)
    pairs = symbol_pairs(recording.symbols, MIN_EVENTS)
    if not pairs:
        raise InputError("the preferred symbol hardly ever changes: there are no transitions")
    for pair, key in zip(pairs, jax.random.split(key_pairs, len(pairs)), strict=True):
        name = "{}_{}".format(*pair)
        key_case, key_survey = jax.random.split(key)
        try:
            case = transition_case(fit, recording, pair, n_trials, key_case)
        except InputError as problem:
            yield name, str(problem)
            continue
        found = survey(case, groups, kind, key_survey, choose)
        yield Examined(
            name, case, groups, found, None, None, overlaps(found, groups) or None, BEFORE
        )


def kick_groups(folder: Path, n_units: int) -> dict[str, Bool[np.ndarray, " N"]]:
    """The groups that `hmmrnn circuits` found in a run; none if it was not run or found nothing.

    Raises:
        InputError: a circuits.json that is damaged, or not of the network in the folder.
    """
    path = folder / "circuits.json"
    fields = read_results(path, digest_in(folder), missing_ok=True)
    if not fields or "problem" in fields:
        return {}
    with known_form(path):
        return {
            str(name): np.isin(np.arange(n_units), np.asarray(units, int))
            for name, units in fields["groups"].items()
        }


def write(
    folder: Path,
    network: str | None,
    source: Mapping[str, Any],
    examined: Iterator[Examined | tuple[str, str]],
) -> None:
    """Write figures, arrays and numbers, all or none; the page of a task as well.

    `network` is the digest of that of a run; None for the networks of a task.
    """
    cases: dict[str, Any] = {}
    problems: dict[str, str] = {}
    first = next(examined)
    with replacing(folder, "discovery", own_files(DISCOVERY, JSON, "discovery_*.npz")) as beside:
        for each in itertools.chain([first], examined):
            if not isinstance(each, Examined):
                problems[each[0]] = each[1]
                print(f"  {each[0]}: {each[1]}", flush=True)
                continue
            save_figures(beside, DISCOVERY, each)
            write_arrays(beside / f"discovery_{each.end}.npz", each.found.arrays())
            known = {"judgement": each.judged, "kick": each.kick}
            cases[each.name] = plain(fields(each.found) | known)
            print(f"  {each.name}: {_line(each)}", flush=True)
        command = command_line()
        found = {"source": dict(source), "command": command, "cases": cases, "problems": problems}
        write_results(beside / JSON, found, network)
        if network is None:
            build_discovery_page(beside)


def _line(each: Examined) -> str:
    """One line for the terminal: how right, or which windows matter and how many units it takes."""
    sizes = ", ".join(
        f"{window} {int(circuit.units.sum())}"
        for window, circuit in zip(each.found.windows, each.found.circuits, strict=True)
    )
    if each.judged is None:
        return f"units in the circuit of each window: {sizes}"
    scores = [score.auprc for score in each.judged.units["intervention"]["windows"]]
    return f"AUPRC {min(scores):.3f} in the worst window; units in the circuits: {sizes}"


def planted_tasks() -> dict[str, Callable[[Key], Task]]:
    """The networks of --task, each made from a key."""
    options: dict[str, Any] = {
        "n_trials": FLAGS.n_trials,
        "n_steps": FLAGS.n_steps,
        "contamination": contamination(),
        "noise_std": FLAGS.noise_std,
    }
    if FLAGS.task == "ring":
        return {
            name: lambda key, name=name: ring_attractor(key, name, **options)  # type: ignore[misc]
            for name in CONDITIONS
        }
    return {
        "two states": lambda key: hmm_inference(key, **options),
        "three states": lambda key: trained_inference(key, **options),
    }


def contamination() -> float:
    """As strong as asked for; by default as strong as leaves the network able to do its task."""
    asked = FLAGS.contamination
    return float(CONTAMINATION[FLAGS.task] if asked is None else asked)


def chooser() -> Choose:
    """How circuits of units are chosen: by size if one is asked for, else by faithfulness."""
    size = FLAGS.circuit_size
    return smallest_faithful if size is None else partial(of_size, size=size)


def _values(*names: str) -> dict[str, Any]:
    return {name: getattr(FLAGS, name) for name in names}


def define_flags() -> None:
    """A run or a task, and what is asked of it."""
    flags.DEFINE_string("run", None, "run folder of a trained network, to read and to write to")
    flags.DEFINE_enum("task", None, ["ring", "hmm_inference"], "networks of known mechanism")
    flags.DEFINE_string("outdir", None, "folder to write to, for --task")
    flags.DEFINE_integer("seed", 0, "random seed of network, trials and analysis", 0, 2**32 - 1)
    flags.DEFINE_enum("kind", "mean", get_args(Kind), "what stands in for the state of a unit")
    flags.DEFINE_integer(
        "circuit_size",
        None,
        "units of each circuit (default: as many as a faithfulness of 0.95 takes)",
        lower_bound=1,
    )
    flags.DEFINE_integer("n_trials", 64, "trials; transitions of each pair", lower_bound=8)
    flags.DEFINE_integer("n_steps", 100, "steps of a trial, for --task", lower_bound=2)
    flags.DEFINE_float(
        "contamination",
        None,
        "weights from distractors into the circuit, relative to its own, for --task "
        f"(default: {CONTAMINATION['ring']} for ring, {CONTAMINATION['hmm_inference']} for "
        "hmm_inference)",
        lower_bound=0,
    )
    flags.DEFINE_float("noise_std", 0.1, "private noise of units, for --task", lower_bound=0)


def main() -> None:
    """Discover, write, and say where."""
    if (FLAGS.run is None) == (FLAGS.task is None):
        raise InputError("give either --run, a run folder, or --task and --outdir")
    if FLAGS.task is not None:
        if FLAGS.outdir is None:
            raise InputError("--task needs --outdir, the folder to write to")
        folder = Path(FLAGS.outdir)
        if (folder / CONFIG).exists():
            raise InputError(f"outdir={folder}: holds a run of a network; give another folder")
        needed = 8 * FLAGS.n_trials * FLAGS.n_steps * TASK_UNITS
        asked = f"n_trials={FLAGS.n_trials} of n_steps={FLAGS.n_steps}"
        expect_room(needed, asked, "n_trials or n_steps")
        source = _values("task", "seed", "noise_std", "n_trials", "n_steps", "kind")
        source["contamination"] = contamination()
        examined = examine_task(planted_tasks(), FLAGS.kind, chooser(), FLAGS.seed)
        with owned(folder):
            write(folder, None, source, examined)
        print(folder / "report.html")
        return
    for name in ("outdir", "contamination", "noise_std", "n_steps"):
        if FLAGS[name].present:
            raise InputError(f"--{name} belongs to --task; with --run, the run's folder is used")
    folder = Path(FLAGS.run)
    with owned_run(folder):
        fit = load(folder)
        groups = kick_groups(folder, fit.cell.hidden_size)
        source = _values("run", "seed", "n_trials", "kind")
        found = examine_network(fit, groups, FLAGS.kind, chooser(), FLAGS.n_trials, FLAGS.seed)
        write(folder, fit.digest, source, found)
    print(folder / JSON)
