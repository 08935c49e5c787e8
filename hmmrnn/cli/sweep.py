"""Train and measure all networks of a grid: one run folder each, one table, summary figures.

    hmmrnn sweep --grid=grid.json --outdir=runs/grid
    hmmrnn sweep --grid=paper --outdir=runs/paper --resume

A grid file (docs/scaling.md) has what all networks share and lists of what varies:

    {"base": {"profile": "laptop", "preset": "linear3"},
     "vary": {"net.hidden_size": [50, 150], "seed": [0, 1, 2]}}

Networks that differ in seed and noise level only share one compiled program. On a CPU one network
is trained on each core, bit for bit as by `hmmrnn train`; on a GPU as many at once as fit. Stop
it at any time, also with kill -9, and go on with --resume. 24 networks of profile laptop, half of
them with 50 units, took 45 minutes on 2 CPU cores beside other work.
"""

import contextlib
import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import jax
import psutil
from absl import flags

from hmmrnn import zoo
from hmmrnn.cli.evaluate import evaluate, expect_sequences
from hmmrnn.cli.launch import command_line, to_type, warn_of_unbounded
from hmmrnn.cli.outputs import stopped_by
from hmmrnn.cli.processes import all_are_there, join, leave
from hmmrnn.cli.sweep_progress import SweepProgress
from hmmrnn.errors import InputError
from hmmrnn.figures import save
from hmmrnn.figures.sweep import figures_of
from hmmrnn.folders import owned, replacing
from hmmrnn.memory import free_bytes
from hmmrnn.sweep.folder import (
    MEASURED,
    failure,
    forget_failure,
    is_done,
    only_one,
    open_sweep,
    wait_for_others,
    working_as,
)
from hmmrnn.sweep.grid import Entry, read_grid
from hmmrnn.sweep.lanes import Fitting, Sweep, lanes_of
from hmmrnn.sweep.named_grids import IN_ORDER, NAMED
from hmmrnn.sweep.plan import share
from hmmrnn.sweep.table import row, write_table
from hmmrnn.training import TrainConfig, load
from hmmrnn.training.ensemble import Placement
from hmmrnn.training.memory import expect_possible, members_that_fit
from hmmrnn.training.signals import InterruptedRun, stop_requests
from hmmrnn.zoo.pack import same_network

FLAGS = flags.FLAGS
SUMMARY = ("sweep.csv", "sweep.npz", "figures/fidelity_*.svg")
N_SEQUENCES, SEED = 10_000, 0
"""Of the measures, also of those in the zoo."""

MOST_LANES = 8
"""On a CPU, unless asked for: each compiles code of its own, of which a process holds so much."""


def define_flags() -> None:
    """What to train, where to, and who takes part."""
    flags.DEFINE_string("grid", None, f"JSON file, or one of {', '.join(NAMED)}", required=True)
    flags.DEFINE_string("outdir", None, "folder of the sweep (unset: runs/GRID)")
    flags.DEFINE_boolean("resume", False, "continue the sweep in outdir, or begin it")
    flags.DEFINE_boolean("retry_failed", False, "forget earlier failures and try those again")
    flags.DEFINE_integer(
        "members_per_batch",
        0,
        "networks of one configuration that train at once; 0: one on each CPU core, on a GPU as "
        "many as its memory holds; a number of yours is not checked",
        lower_bound=0,
    )
    flags.DEFINE_integer(
        "cpu_devices",
        0,
        "networks side by side on a CPU; 0: one for each core, at most 8",
        lower_bound=0,
    )
    flags.DEFINE_integer("n_sequences", N_SEQUENCES, "sequences generated to measure a network", 2)
    flags.DEFINE_integer("analysis_seed", SEED, "random seed of the measures", 0, 2**32 - 1)
    flags.DEFINE_boolean(
        "distributed", False, "take part in a cluster of processes (found by itself on SLURM, TPU)"
    )
    flags.DEFINE_string("coordinator", None, "HOST:PORT of process 0, with --distributed")
    flags.DEFINE_integer("num_processes", None, "processes that share the grid", lower_bound=1)
    flags.DEFINE_integer("process_id", None, "number of this one, from 0", lower_bound=0)


def outdir() -> Path:
    """The folder of the sweep."""
    return Path(FLAGS.outdir or f"runs/{Path(FLAGS.grid).stem}")


def expect_processes() -> None:
    """Raise an `InputError` for flags about processes that do not fit together."""
    n_processes, process_id = FLAGS.num_processes, FLAGS.process_id
    if FLAGS.coordinator is not None and not FLAGS.distributed:
        raise InputError("coordinator: only with --distributed")
    if process_id is not None and n_processes is None and not FLAGS.distributed:
        raise InputError(f"process_id={process_id}: needs --num_processes, of all of them")
    if process_id is not None and n_processes is not None and process_id >= n_processes:
        raise InputError(f"process_id={process_id}: must be below num_processes={n_processes}")
    if process_id is None and (n_processes or 1) > 1 and not FLAGS.distributed:
        raise InputError(f"num_processes={n_processes}: give each its --process_id, from 0")


@contextlib.contextmanager
def place_among_processes(folder: Path) -> Iterator[tuple[int, int]]:
    """Number of this process and of all, which no other has while this is open."""
    process_id, n_processes = FLAGS.process_id, FLAGS.num_processes
    with contextlib.ExitStack() as stack:
        if not FLAGS.distributed:
            process_id, n_processes = process_id or 0, n_processes or 1
        known = process_id is not None and n_processes is not None
        if known:  # before JAX hears of a number that is taken
            stack.enter_context(working_as(folder, process_id, n_processes))
        if FLAGS.distributed:
            process_id, n_processes = join(FLAGS.coordinator, n_processes, process_id)
        if not known:
            stack.enter_context(working_as(folder, process_id, n_processes))
        if FLAGS.distributed:
            all_are_there()
            if process_id == 0:  # its end would be theirs
                stack.callback(wait_for_others, folder, process_id, n_processes)
            else:  # while process 0 is there: it waits for our place to become free
                stack.callback(leave)
        yield process_id, n_processes


def n_cores() -> int:
    """CPU cores that this process may use."""
    own = psutil.Process()
    return len(own.cpu_affinity()) if hasattr(own, "cpu_affinity") else psutil.cpu_count() or 1


def fitting(lanes: Sequence[Placement]) -> Fitting:
    """How many networks of a configuration train at once in a lane."""
    placement, asked = lanes[0], FLAGS.members_per_batch
    free = free_bytes(placement.devices[0]) // len(lanes)  # now, before any of them takes some

    def fit(config: TrainConfig, n_members: int) -> int:
        if asked:
            return min(asked, n_members)
        wanted = n_members if placement.vectorised else len(placement.devices)
        return members_that_fit(config, placement, min(wanted, n_members), free)

    return fit


def measure(folder: Path) -> None:
    """fidelity.json and its figures."""
    found = evaluate(folder, load(folder), FLAGS.n_sequences, FLAGS.analysis_seed)
    warn_of_unbounded(folder, found.long_run)


def write_summary(folder: Path, entries: Sequence[Entry]) -> None:
    """The table of what is there, and its figures; one process at a time."""
    with only_one(folder):
        rows = [row(folder / entry.name) for entry in entries if (folder / entry.name).is_dir()]
        with owned(folder), replacing(folder, "sweep", SUMMARY) as beside:
            paths = [folder / path.name for path in write_table(beside, rows)]
            for name, figure in figures_of(rows).items():
                save(beside, name, figure)
    print(*paths, sep="\n")


def named(names: Sequence[str]) -> str:
    """The first three names."""
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")


def take_from_zoo(folder: Path, entries: Sequence[Entry]) -> None:
    """Copy what the zoo has of the grid into its run folders, so that it is not trained again.

    Measures that were made with other flags are left behind, and made anew.
    """
    as_shipped = (FLAGS.n_sequences, FLAGS.analysis_seed) == (N_SEQUENCES, SEED)
    shipped = {entry.name: entry for entry in zoo.list()}
    for name, spec in entries:
        entry = shipped.get(name)
        if entry is None or (folder / name).exists() or not same_network(entry.folder, spec):
            continue
        beside = folder / f".{name}"
        shutil.rmtree(beside, ignore_errors=True)  # of one that was killed
        zoo.unpack(beside, entry.preset, loss=entry.loss, seed=entry.seed)
        if not as_shipped:
            (beside / MEASURED).unlink()
        beside.rename(folder / name)
        print(f"{folder / name}: from the zoo", flush=True)


def train_all(entries: Sequence[Entry], own: Sequence[Entry]) -> None:
    """Train and measure this process's networks, with a progress table."""
    folder = outdir()
    if FLAGS.retry_failed:
        for entry in own:
            forget_failure(folder / entry.name)
    todo = [entry for entry in own if not is_done(folder / entry.name, entry.spec)]
    left = [entry for entry in todo if not failure(folder / entry.name).given_up]
    n_done, n_failed = len(own) - len(todo), len(todo) - len(left)
    lanes = lanes_of(jax.local_devices())
    with (
        stop_requests() as stopping,
        SweepProgress(left, n_done, len(lanes), n_failed) as progress,
    ):
        try:
            Sweep(folder, measure, progress.watch, lambda: stopping() > 0).finish(
                left, fitting(lanes), lanes, in_order=FLAGS.grid in IN_ORDER
            )
        except InterruptedRun:
            print("stopped; what was begun is saved. To continue:")
            print(f"  {to_type(command_line('--resume'))}")
            raise SystemExit(stopped_by(stopping())) from None
        except KeyboardInterrupt as stop:
            # asked twice: the lanes compute on, so Python cannot end in order
            progress.live.stop()
            print("error: interrupted; files written so far are whole", file=sys.stderr, flush=True)
            os._exit(stopped_by(*stop.args))


def main() -> None:
    """Train the grid, measure it and write the table."""
    expect_processes()
    jax.config.update("jax_num_cpu_devices", FLAGS.cpu_devices or min(n_cores(), MOST_LANES))
    entries, folder = read_grid(FLAGS.grid), outdir()
    for config in dict.fromkeys(entry.spec.config for entry in entries):
        expect_possible(config, on_host=True)
        expect_sequences(config.target, config.data.n_steps, FLAGS.n_sequences, on_host=True)
    several = FLAGS.distributed or (FLAGS.num_processes or 1) > 1
    open_sweep(
        folder,
        entries,
        resume=FLAGS.resume or several,  # of several only the first one finds an empty folder
        measures={"n_sequences": FLAGS.n_sequences, "analysis_seed": FLAGS.analysis_seed},
    )
    with place_among_processes(folder) as (process_id, n_processes):
        in_order = FLAGS.grid in IN_ORDER
        own = share(entries, process_id, n_processes, in_order=in_order)
        if in_order:
            take_from_zoo(folder, own)
        train_all(entries, own)
        if FLAGS.distributed and process_id == 0:
            wait_for_others(folder, process_id, n_processes)
        judged = entries if n_processes == 1 or (FLAGS.distributed and process_id == 0) else own
        if not FLAGS.distributed or process_id == 0:
            write_summary(folder, entries)
            others = [entry.name for entry in entries if entry not in own]
            if left := [name for name in others if not is_done(folder / name)]:
                print(f"{len(left)} of {len(entries)} networks are not finished ({named(left)})")
    judge(folder, judged)


def judge(folder: Path, entries: Sequence[Entry]) -> None:
    """Raise an `InputError` if networks failed or are missing."""
    missing = [entry.name for entry in entries if not is_done(folder / entry.name)]
    failed = [name for name in missing if failure(folder / name).given_up]
    if failed:
        raise InputError(
            f"{len(failed)} of {len(entries)} networks failed ({named(failed)}); sweep.csv holds "
            "the reasons; --resume --retry_failed tries them again"
        )
    if missing:
        raise InputError(
            f"{len(missing)} of {len(entries)} networks are not finished ({named(missing)}); "
            "continue with --resume"
        )
