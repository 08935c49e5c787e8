"""Windowed interventions on every unit: ours against a loop in PyTorch; and attribution.

    python -m benchmarks discovery

150 units, 10 windows, 64 trials of 100 steps. PyTorch runs one unit and window after the other, all
trials side by side, from the state before the window on; of a part of the units, scaled. The floor
is the time of the recurrences that ours does.
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.dynamics import expect_equal
from benchmarks.measure import Comparison, compare
from benchmarks.plan import Plan
from benchmarks.residency import two_groups
from hmmrnn.discovery import (
    Case,
    attribution,
    case_of_trials,
    clean_run,
    effects,
    stand_ins,
    units,
)
from hmmrnn.nets import Network, RNNCell
from hmmrnn.nets.noise import white_noise

PART = 5


def case_at_work(n_units: int, n_windows: int, n_trials: int, n_steps: int) -> Case:
    """Two groups of units that excite themselves, under noise."""
    cell = RNNCell(n_symbols=3, hidden_size=n_units, noise_dim=2 * n_units // 3)
    key_params, key_noise, key_trials = jax.random.split(jax.random.key(0), 3)
    noise = white_noise(jax.random.split(key_noise, n_trials), n_steps, cell.noise_dim)
    width = n_steps // n_windows
    return case_of_trials(
        Network(two_groups(cell, key_params), 1.0, cell),
        noise,
        jnp.zeros((n_trials, n_units)),
        {str(w): (w * width, (w + 1) * width) for w in range(n_windows)},
        jnp.zeros((n_steps, n_trials, 1)),
        key_trials,
    )


def cases(plan: Plan) -> Iterator[Comparison]:
    """All units in all windows, by intervention and by attribution."""
    sizes = (20, 3, 8, 30) if plan.small else (150, 10, 64, 100)
    case = case_at_work(*sizes)
    n_units, n_windows, n_trials, n_steps = sizes
    key = jax.random.key(1)
    values = stand_ins(case, "mean")
    name = f"discovery {n_units} units x {n_windows} windows, {n_trials} trials x {n_steps} steps"

    def ours() -> Any:  # noqa: ANN401
        return effects(case, units(case), values)

    floor = plan.floor(2 * n_units**3 * n_windows * n_trials * n_steps)
    estimate = partial(attribution, case, values, "path cut", key)
    if plan.torch is None:
        yield compare(f"{name}, mean ablation", ours, None, plan.rounds, floor=floor)
    else:
        theirs = torch_loop(plan, case, range(PART))
        expect_equal("effects", ours()[:, :PART].mean(-1), theirs(), 1e-3)
        labels: dict[str, Any] = {"baseline": f"torch loop ({PART} units)", "share": PART / n_units}
        yield compare(f"{name}, mean ablation", ours, theirs, plan.rounds, floor=floor, **labels)
    yield compare(f"{name}, path-cut attribution", estimate, None, plan.rounds)


def torch_loop(plan: Plan, case: Case, some: range) -> Callable[[], np.ndarray]:
    """Mean effects (W, n) of some units, one run after the other."""
    import torch

    as_torch = plan.torch.tensor
    weights = [as_torch(case.network.params[name]) for name in ("W_rec", "W_in", "W_out")]
    W_rec, W_in, W_out = (weight.T for weight in weights)
    drive = as_torch(case.inputs) @ W_in
    target, means = as_torch(case.target), as_torch(case.means)
    states = torch.cat([as_torch(case.h0)[None], as_torch(clean_run(case).states)])

    def effect(unit: int, w: int, window: tuple[int, int]) -> float:
        first, end = window
        h, loss = states[first], torch.zeros(())
        for t in range(first, len(drive)):
            h = torch.relu(h @ W_rec + drive[t])
            if t < end:
                h[:, unit] = means[w, unit]
            loss = loss + ((h @ W_out - target[t]) ** 2).sum(-1).mean()
        return float(loss) / (len(drive) - first)

    def run() -> np.ndarray:
        spans = list(case.windows.values())
        with torch.no_grad():
            return np.array([[effect(u, w, span) for u in some] for w, span in enumerate(spans)])

    return run
