"""Look at how the state of a trained network moves: dynamics.json and its figures.

    python -m experiments.dynamics --run=runs/c

About 15 seconds on 2 CPU cores.
"""

from pathlib import Path

import jax
from absl import flags

from experiments.cli import define_run_flag, launch
from hmmrnn.dynamics import Portrait, numbers, portrait
from hmmrnn.figures import save, trajectory_figure
from hmmrnn.storage import write_json
from hmmrnn.training import Fit, load

FLAGS = flags.FLAGS


def analyse(folder: Path, fit: Fit, n_trajectories: int, n_steps: int, seed: int) -> Portrait:
    """Draw the portrait of the network and write it."""
    found = portrait(fit, jax.random.key(seed), n_trajectories=n_trajectories, n_steps=n_steps)
    write_json(folder / "dynamics.json", numbers(found))
    save(folder, "trajectories", trajectory_figure(found))
    return found


def main() -> None:
    """Measure and print the rates."""
    folder = Path(FLAGS.run)
    found = analyse(folder, load(folder), FLAGS.n_trajectories, FLAGS.n_steps, FLAGS.analysis_seed)
    rate, turns = found.transitions_per_step, found.rotation
    print(f"transitions per step {rate.value:.4f} [{rate.low:.4f}, {rate.high:.4f}]")
    print(f"net rotation per pair {turns.value:.3f} [{turns.low:.3f}, {turns.high:.3f}]")
    print(
        f"without noise, {found.end.n_settled} of {found.end.n_starts} starts settle "
        f"in {found.end.n_distinct} states"
    )
    print(folder / "dynamics.json")


if __name__ == "__main__":
    define_run_flag()
    flags.DEFINE_integer("n_trajectories", 64, "noise-driven trajectories", lower_bound=2)
    flags.DEFINE_integer("n_steps", 1_000, "steps of each, after the warm-up", lower_bound=2)
    launch(main)
