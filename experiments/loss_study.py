"""The study of losses: which one fits, how fast, and what it does to the network.

    python -m experiments.loss_study --outdir=runs/loss_study            # run, or go on
    python -m experiments.loss_study --outdir=runs/loss_study --table=docs/loss_study

Trains one network for each cell of `experiments.loss_grid`, most telling first, and writes one
JSON file for each; stop it at any time and start it again. A run whose options have changed since
is repeated. About a minute for each run of T = 30 at
batch 256 on one CPU core; the whole grid takes days. On several cores start it several times with
`--part=0/2`, `--part=1/2`. With --table it only gathers what is there: a CSV file with a row for
each run, a Markdown table of medians over seeds, and a figure.
"""

import time
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from absl import flags
from jaxtyping import Array

from experiments.loss_grid import Cell, cells
from experiments.loss_table import write_table
from hmmrnn.cli.launch import launch
from hmmrnn.dynamics import portrait
from hmmrnn.errors import InputError
from hmmrnn.fidelity import compare
from hmmrnn.losses import kl_of_law, ngram_shares
from hmmrnn.nets import Network
from hmmrnn.storage import plain, read_json, write_json
from hmmrnn.training import Fit, TrainConfig
from hmmrnn.training.ensemble import advance, member, start

FLAGS = flags.FLAGS
GOAL = 0.02  # nats of `kl_of_6grams`


def run(cell: Cell) -> dict:
    """Train one network and measure it: a flat record of numbers."""
    spec = cell.spec
    config, keys = spec.config, jax.random.key(spec.seed)[None]
    members = start(config, keys)
    seconds: list[float] = []
    reached = None
    began = time.perf_counter()
    for members in advance(config, jnp.array([spec.noise_std]), members, keys):  # noqa: B020
        progress = jax.block_until_ready(member(members, 0))
        seconds.append(time.perf_counter() - began)
        divergence = float(kl_of_6grams(config, progress.state.params, jax.random.key(0)))
        if reached is None and divergence < GOAL:
            reached = len(seconds)
        began = time.perf_counter()
    chunk = float(np.median(seconds))  # the first one compiles
    n_steps = config.train.chunk_epochs * config.steps_per_epoch
    return {
        "loss": cell.loss,
        "preset": cell.preset,
        "batch_size": cell.batch_size,
        "data": cell.source,
        "seed": cell.seed,
        "recipe": cell.recipe,
        "steps": config.train.epochs * config.steps_per_epoch,
        "seconds_per_step": chunk / n_steps,
        "steps_to_goal": reached and reached * n_steps,
        "seconds_to_goal": reached and reached * chunk,
        "final_loss": float(progress.records.loss[-1]),
        "loss_floor": float(progress.floor.mean),
        "marginal_error": float(progress.records.marginal_error[-1]),
        "bad_steps": int(progress.state.bad_steps),
        **measured(Fit.of(config, jnp.float32(spec.noise_std), progress)),
    }


def measured(fit: Fit) -> dict[str, float | None]:
    """Fidelity and dynamics of the trained network, with what a sample of the HMM itself shows."""
    fidelity = compare(fit, fit.config.target, jax.random.key(0), n_steps=fit.config.data.n_steps)
    numbers: dict[str, float | None] = {}
    for n in (2, 4, 6):
        numbers[f"kl{n}"] = fidelity.kl[n].network.value
        numbers[f"kl{n}_floor"] = fidelity.kl[n].floor.value
    return {
        **numbers,
        "excess_surprise": fidelity.excess_surprise.network.value,
        "excess_surprise_floor": fidelity.excess_surprise.floor.value,
        "dwell_cv": fidelity.dwell[0].cv.network.value,
        "dwell_cv_exact": fidelity.dwell[0].cv.exact,
        "rotation": rotation(fit),
    }


def rotation(fit: Fit) -> float | None:
    """Net turns per pair of transitions; None for a network that diverges when run for long."""
    try:
        return portrait(fit, jax.random.key(0)).rotation.value
    except InputError:
        return None


@partial(jax.jit, static_argnames="config")
def kl_of_6grams(config: TrainConfig, params: dict[str, Array], key: Array) -> Array:
    """KL(exact law | network) of 6-grams, sampling of symbols integrated out, 2000 sequences."""
    law = config.target.compared_law(6, config.data.n_steps)
    keys = jax.random.split(key, 2000)
    logits = Network(params, 1.0, config.cell).simulate(config.data.n_steps, keys).logits
    p = jax.nn.softmax(jnp.swapaxes(logits, 0, 1))
    return kl_of_law(lambda p: ngram_shares(p, 6), p, jnp.asarray(law, p.dtype), 1e-9)


def recorded(cell: Cell, folder: Path) -> bool:
    """Whether `folder` holds the record of this run, made with these options."""
    path = folder / f"{cell.name}.json"
    return path.exists() and read_json(path).get("recipe") == cell.recipe


def share(text: str) -> tuple[int, int]:
    """`1/3` as (1, 3). Raises `InputError`."""
    index, _, number = text.partition("/")
    if not (index.isdigit() and number.isdigit() and int(index) < int(number)):
        raise InputError(f"part={text}: must be of the form 0/2, 1/2")
    return int(index), int(number)


def main() -> None:
    """Run what is missing, or gather what is there."""
    folder = Path(FLAGS.outdir)
    if FLAGS.table:
        write_table(folder, Path(FLAGS.table))
        return
    folder.mkdir(parents=True, exist_ok=True)
    index, number = share(FLAGS.part)
    for cell in cells()[: FLAGS.limit][index::number]:
        if recorded(cell, folder):
            continue
        began = time.perf_counter()
        record = run(cell)
        write_json(folder / f"{cell.name}.json", plain(record))
        print(
            f"{cell.name}: KL of 6-grams {record['kl6']:.4f}, {time.perf_counter() - began:.0f} s",
            flush=True,
        )


if __name__ == "__main__":
    flags.DEFINE_string("outdir", "runs/loss_study", "folder of the records")
    flags.DEFINE_string("part", "0/1", "which share of the runs, of how many")
    flags.DEFINE_integer("limit", None, "only the first runs of the grid", lower_bound=1)
    flags.DEFINE_string("table", None, "gather into this path + .csv, .md, .png instead of running")
    launch(main, __doc__ or "")
