"""Residency time of 5 000 states, 20 rollouts each of at most 60 steps: ours against PyTorch.

    python -m benchmarks residency

PyTorch runs the rollouts of one state after the other (of a hundredth of the states, scaled), each
until its last rollout has left or always to the end, or those of many states together, to the end.
State by state it has one thread: its products are too small for two. The network is one whose
states last for some time, as in a trained one: two groups of units excite themselves and inhibit
each other. The floor is the time of the recurrence and the drive of the steps that rollouts take
before they leave.
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from benchmarks import cores
from benchmarks.measure import Comparison, compare
from benchmarks.plan import Plan
from hmmrnn.arrays import Params
from hmmrnn.nets import Network, RNNCell
from hmmrnn.nets.noise import white_noise
from hmmrnn.recordings.recorder import driven_runs
from hmmrnn.recordings.residency_times import N_ROLLOUTS, N_STEPS, residency

N_STATES = 5_000
PART = 50
TOGETHER = 250
"""States whose rollouts PyTorch runs side by side."""


def cases(plan: Plan) -> Iterator[Comparison]:
    """PyTorch state by state, and with many states together, to the end or until all have left."""
    n_units, n_states, part = (20, 60, 10) if plan.small else (150, N_STATES, PART)
    cell = RNNCell(n_symbols=3, hidden_size=n_units, noise_dim=2 * n_units // 3)
    key_params, key_runs, key = jax.random.split(jax.random.key(0), 3)
    params = two_groups(cell, key_params)
    runs = driven_runs(Network(params, 1.0, cell), n_states // 10, jax.random.split(key_runs, 10))
    states = runs.states.reshape(n_states, n_units)

    def ours() -> Any:  # noqa: ANN401
        return residency(Network(params, 1.0, cell), states, key)

    found = ours()
    taken = float(jnp.sum(found.time)) * N_ROLLOUTS
    floor = plan.floor(2 * n_units * (n_units * taken + cell.noise_dim * N_ROLLOUTS * N_STEPS))
    mean, censored = float(jnp.mean(found.time)), float(jnp.mean(found.censored))
    note = f"mean residency time {mean:.3g} steps, {100 * censored:.2g} % censored"
    case = f"residency of {n_states} states"
    if plan.torch is None:
        yield compare(case, ours, None, plan.rounds, floor=floor, note=note)
        return
    keys = jax.random.split(key, (1, N_ROLLOUTS))[0]
    noise = white_noise(keys, N_STEPS, cell.noise_dim)
    theirs = torch_residency(plan, params, noise)
    expect_equal(found.time[:part], theirs(states[:part], together=1, stop=True))
    for label, n, options in (
        ("state by state to the end", part, {"together": 1, "stop": False}),
        ("state by state until all have left", part, {"together": 1, "stop": True}),
        (f"{TOGETHER} states together to the end", n_states, {"together": TOGETHER, "stop": False}),
    ):
        work = partial(theirs, states[:n], **options)
        share = n / n_states
        name = f"{case}, PyTorch {label}"
        yield compare(name, ours, work, plan.rounds, share=share, floor=floor, note=note)


def two_groups(cell: RNNCell, key: jax.Array) -> Params:
    """Weights of a network with two states that last; its third symbol has neither."""
    n = cell.hidden_size
    group = jnp.arange(n) % 2 == 0
    key_rec, key_in = jax.random.split(key)
    spread = 0.3 / np.sqrt(n) * jax.random.normal(key_rec, (n, n))
    side = jnp.where(group, 1.0, -1.0)
    return {
        "W_in": 0.6 * jax.random.uniform(key_in, (n, cell.noise_dim), minval=-1.0),
        "W_rec": 1.9 / n * jnp.outer(side, side) + spread,
        "W_out": jnp.stack([side, 0 * side, -side]) / np.sqrt(n),
    }


def torch_residency(
    plan: Plan, params: Params, noise: Float[Array, "T R D"]
) -> Callable[..., np.ndarray]:
    """The same measure in PyTorch, `together` states side by side; mean times (P)."""
    import torch

    W_in, W_rec, W_out = (plan.torch.tensor(params[name]) for name in ("W_in", "W_rec", "W_out"))
    x = plan.torch.tensor(noise)

    @torch.no_grad()
    def times(states: Float[Array, "P N"], *, together: int, stop: bool) -> np.ndarray:
        torch.set_num_threads(1 if together == 1 else cores())
        found = []
        for h0 in plan.torch.tensor(states).split(together):
            symbol = (h0 @ W_out.T).argmax(-1).repeat_interleave(N_ROLLOUTS)
            h = h0.repeat_interleave(N_ROLLOUTS, dim=0)
            time = torch.full((len(h),), N_STEPS)
            inside = torch.ones(len(h), dtype=torch.bool)
            for t in range(N_STEPS):
                drive = (x[t] @ W_in.T).repeat(len(h0), 1)
                h = torch.relu(drive + h @ W_rec.T)
                left = inside & ((h @ W_out.T).argmax(-1) != symbol)
                time[left] = t + 1
                inside &= ~left
                if stop and not inside.any():
                    break
            found.append(time.reshape(-1, N_ROLLOUTS).float().mean(1))
        torch.set_num_threads(cores())
        return torch.cat(found).numpy()

    return times


def expect_equal(ours: Float[Array, " P"], theirs: np.ndarray) -> None:
    """Raise `SystemExit` unless nearly all times are equal; rounding may decide a few."""
    if np.mean(np.abs(np.asarray(ours) - theirs) > 1e-4) > 0.05:
        raise SystemExit(f"residency times differ: ours {ours}, PyTorch {theirs}")
