"""Analyses of dynamics: ours against the straightforward loop that does the same.

    python -m benchmarks dynamics

Each loop goes over states, starts, trajectories, surrogates, draws or snapshots, with all else as
arrays, in numpy, scipy or PyTorch, and in one thread: products of one state are too small for two,
which would make some loops tens of times slower on a busy machine. Where a loop does a part of the
work only, its time is scaled to all of it. Both sides get the same draws and must agree before they
are timed; then the loops draw their own. The network is that of the benchmark of residency time,
whose states last as in a trained one.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from scipy.optimize import minimize

from benchmarks import cores
from benchmarks.measure import Comparison, Work, compare
from benchmarks.plan import Plan
from benchmarks.residency import two_groups
from hmmrnn.arrays import Params
from hmmrnn.dynamics.fixed_points.descent import end_points
from hmmrnn.dynamics.kramers_moyal import bin_edges, drift_diffusion, readout_difference
from hmmrnn.dynamics.mean_shifts import monte_carlo_shift
from hmmrnn.dynamics.orbits import N_BINS, orbit, plane_points
from hmmrnn.dynamics.rotation import TURN
from hmmrnn.dynamics.sensitivity import MIXES, N_STEPS, noise_sensitivity
from hmmrnn.dynamics.spectra import CRITICAL_IMAGINARY, CRITICAL_REAL, spectra_along
from hmmrnn.dynamics.surrogates import phase_shuffled
from hmmrnn.dynamics.through_training import N_RUNS, SNAPSHOTS_AT_ONCE, measure_snapshot
from hmmrnn.nets import Network, RNNCell
from hmmrnn.nets.noise import white_noise
from hmmrnn.recordings.recorder import Runs, driven_runs

Draw = Callable[[int], Any]
"""Random numbers of the i-th pass of a loop."""


class Subject(NamedTuple):
    """The network that is looked at, and its runs."""

    network: Network
    runs: Runs
    points: Float[Array, "B T 2"]  # of the runs, in the plane of their first two components

    def states(self, number: int) -> Float[Array, "P N"]:
        """As many states, evenly spread over the runs."""
        every = self.runs.states.reshape(-1, self.network.hidden_size)
        return every[:: len(every) // number][:number]


def subject(plan: Plan, activation: str = "relu", noise_std: float = 1.0) -> Subject:
    """The network of two groups that excite themselves."""
    n_units, n_runs, n_steps = (20, 8, 120) if plan.small else (150, 64, 1000)
    cell = RNNCell(3, n_units, 2 * n_units // 3, activation)
    key_params, key_runs = jax.random.split(jax.random.key(0))
    params = two_groups(cell, key_params)
    network = Network(params, noise_std, cell)
    runs = driven_runs(network, n_steps, jax.random.split(key_runs, n_runs))
    return Subject(network, runs, plane_points(runs.states)[1])


def cases(plan: Plan) -> Iterator[Comparison]:
    """One comparison for each analysis, two for fixed points."""
    relu = subject(plan)
    yield fixed_points(plan, relu)
    # under less noise than this one, a saturating network seldom leaves its wells
    yield fixed_points(plan, subject(plan, "tanh", 0.3))
    for analysis in ANALYSES:
        yield analysis(plan, relu)


def fixed_points(plan: Plan, of: Subject) -> Comparison:
    """Search from many starts; scipy's L-BFGS-B from one after the other, with exact gradients."""
    n_starts, part = (24, 6) if plan.small else (1000, 200)
    starts = of.states(n_starts)

    def ours() -> Any:  # noqa: ANN401
        return end_points(of.network, starts)

    case = f"fixed points from {n_starts} states, {of.network.cell.activation}"
    if plan.ours_only:
        return alone(plan, case, ours)
    found = ours()
    theirs = partial(descents, plan, of, starts[:: n_starts // part], float(found.scale))
    # two descents from one start may end at different zeros, so each must end at one
    both = (found.points, jnp.array(theirs(), jnp.float32))
    for name, points in zip(("ours", "the loop's"), both, strict=True):
        rest = jnp.linalg.norm(of.network.step(points, 0.0) - points, axis=1)
        expect_equal(f"{case}: residual of {name}", rest / found.scale, 0.0, 1e-3)
    labels = {"baseline": f"scipy + torch ({part} starts)", "share": part / n_starts}
    return against(plan, case, ours, theirs, **labels)


def descents(
    plan: Plan, of: Subject, starts: Float[Array, "P N"], scale: float
) -> list[np.ndarray]:
    """Minima of 1/2 |F(h) - h|^2; lengths are relative to `scale`, as in ours."""
    import torch

    W, tanh = (
        plan.torch.tensor(of.network.params["W_rec"]).double(),
        of.network.cell.activation == "tanh",
    )

    def value_and_gradient(u: np.ndarray) -> tuple[float, np.ndarray]:
        h = torch.from_numpy(u)
        a = scale * (W @ h)
        after = torch.tanh(a) if tanh else torch.relu(a)
        slope = 1 - after**2 if tanh else (a > 0).double()
        rest = after / scale - h
        return 0.5 * float(rest @ rest), (W.T @ (slope * rest) - rest).numpy()

    options = {"gtol": 1e-6, "ftol": 0.0, "maxiter": 500}
    search = partial(minimize, jac=True, method="L-BFGS-B", options=options)
    with one_thread():
        return [
            scale * search(value_and_gradient, u).x for u in np.asarray(starts, np.float64) / scale
        ]


def spectra(plan: Plan, of: Subject) -> Comparison:
    """Eigenvalues of Jacobians along the runs; PyTorch and numpy state by state."""
    n_states, part = (16, 8) if plan.small else (512, 64)
    states = of.states(n_states)

    def ours() -> Any:  # noqa: ANN401
        return spectra_along(of.network, states)

    case = f"spectra of {n_states} states"
    if plan.ours_only:
        return alone(plan, case, ours)
    theirs = partial(spectra_loop, plan, of.network.params, states[:part])
    found, (values, unstable, critical) = ours(), theirs()
    moduli = np.sort(np.abs(found.eigenvalues[:part]))
    expect_equal(f"{case}: moduli", moduli, np.sort(np.abs(values)), 1e-3)
    expect_equal(f"{case}: unstable", found.n_unstable[:part].mean(), np.mean(unstable), 0.05)
    expect_equal(f"{case}: critical", found.n_critical_pairs[:part].mean(), np.mean(critical), 0.05)
    labels = {"baseline": f"torch + numpy ({part} states)", "share": part / n_states}
    return against(plan, case, ours, theirs, **labels)


def spectra_loop(
    plan: Plan, params: Params, states: Float[Array, "P N"]
) -> tuple[list[np.ndarray], list[int], list[int]]:
    """Eigenvalues, and how many of them are unstable or critical."""
    import torch

    W = plan.torch.tensor(params["W_rec"])
    spectra, unstable, critical = [], [], []
    with one_thread():
        for h in plan.torch.tensor(states):
            jacobian = torch.autograd.functional.jacobian(lambda h: torch.relu(W @ h), h)
            values = np.linalg.eigvals(jacobian.double().numpy())
            rates = (values - 1) / (values + 1)
            spectra.append(values)
            unstable.append(np.sum(np.abs(values) > 1))
            critical.append(
                np.sum((np.abs(rates.real) < CRITICAL_REAL) & (rates.imag > CRITICAL_IMAGINARY))
            )
    return spectra, unstable, critical


def sensitivity(plan: Plan, of: Subject) -> Comparison:
    """Spread under partly shared noise; PyTorch start by start, all rollouts of one together."""
    n_starts, n_rollouts = (6, 10) if plan.small else (96, 100)
    starts, key = of.states(n_starts), jax.random.key(1)

    def ours() -> Any:  # noqa: ANN401
        return noise_sensitivity(of.network, starts, key, n_rollouts=n_rollouts)

    case = f"noise sensitivity of {n_starts} states, {n_rollouts} rollouts"
    if plan.ours_only:
        return alone(plan, case, ours)
    keys = jax.random.split(key, (n_starts, 1 + n_rollouts))
    theirs = partial(sensitivity_loop, plan, of.network.params, starts)
    found = ours()
    trace, distance = theirs(lambda p: white_noise(keys[p], N_STEPS, of.network.cell.noise_dim))
    expect_equal(f"{case}: trace", found.covariance_trace, trace, 1e-3)
    expect_equal(f"{case}: distance", found.distance, distance, 1e-3)
    shape = N_STEPS, 1 + n_rollouts, of.network.cell.noise_dim
    return against(plan, case, ours, partial(theirs, lambda _: shape))


def sensitivity_loop(
    plan: Plan, params: Params, starts: Float[Array, "P N"], draw: Draw
) -> tuple[np.ndarray, np.ndarray]:
    """Trace of the covariance and distance to the mean path, (P, G, T)."""
    import torch

    W_in, W_rec = (plan.torch.tensor(params[name]) for name in ("W_in", "W_rec"))
    trace, distance = [], []
    with one_thread(), torch.no_grad():
        for p, start in enumerate(plan.torch.tensor(starts)):
            noise = normal(plan, draw(p))
            for g in MIXES:
                x = (1 - g) * noise[:, :1] + g * noise[:, 1:]
                h = start.repeat(x.shape[1], 1)
                for x_t in x:
                    h = torch.relu(x_t @ W_in.T + h @ W_rec.T)
                    squares = ((h - h.mean(0)) ** 2).sum(1)
                    trace.append(float(squares.sum()) / (len(h) - 1))
                    distance.append(float(squares.sqrt().mean()))
    shape = len(starts), len(MIXES), N_STEPS
    return np.reshape(trace, shape), np.reshape(distance, shape)


def orbits(plan: Plan, of: Subject) -> Comparison:
    """Phase, radius and periods; numpy trajectory by trajectory."""
    n_runs, n_steps, _ = of.points.shape

    def ours() -> Any:  # noqa: ANN401
        return orbit(of.points, of.runs.changes)

    case = f"orbits of {n_runs} runs, T={n_steps}"
    if plan.ours_only:
        return alone(plan, case, ours)
    theirs = partial(orbit_loop, np.asarray(of.points), np.asarray(of.runs.changes))
    found, expected = ours()._asdict(), theirs()
    for name, value in expected.items():
        expect_equal(f"{case}: {name}", found[name], value, 1e-3)
    return against(plan, case, ours, theirs, baseline="numpy")


def orbit_loop(points: np.ndarray, changes: np.ndarray) -> dict[str, np.ndarray]:
    """The sums of `orbit` over points that are all valid."""
    angles = [angles_of(path) for path in points]
    turns = np.array([np.sum(a) / TURN for a in angles])
    direction = -1.0 if np.sum(turns) < 0 else 1.0
    rows = []
    for path, angle, change in zip(points, angles, changes, strict=True):
        advance = direction * angle
        radius = np.hypot(*path.T)
        share = np.mod(np.arctan2(path[:-1, 1], path[:-1, 0]), TURN) / TURN
        bins = np.minimum((share * N_BINS).astype(int), N_BINS - 1)
        by_phase = [np.bincount(bins, w, N_BINS) for w in (None, advance, np.abs(angle))]
        furthest = np.maximum(np.maximum.accumulate(np.cumsum(advance)), 0.0)
        laps = np.floor(furthest / TURN)
        ends = np.flatnonzero(np.diff(laps, prepend=0.0) > 0) + 1
        took = np.diff(ends, prepend=0)
        rows.append(
            (
                change[1:].sum(),
                (radius.sum(), (radius**2).sum()),
                *by_phase,
                (len(took), took.sum(), (took**2).sum()),
            )
        )
    names = "n_transitions", "radius", "phase_counts", "phase_advance", "phase_distance", "periods"
    sums = dict(zip(names, map(np.array, zip(*rows, strict=True)), strict=True))
    return {"turns": turns, **sums}


def surrogates(plan: Plan, of: Subject) -> Comparison:
    """Phase-shuffled surrogates; numpy one after the other, all trajectories of one together."""
    n_surrogates = 20 if plan.small else 200
    n_changes, key = jnp.sum(of.runs.changes, axis=1), jax.random.key(2)
    n_runs, n_steps, _ = of.points.shape

    def ours() -> Any:  # noqa: ANN401
        return phase_shuffled(of.points, n_changes, key, n_surrogates=n_surrogates)

    case = f"{n_surrogates} shuffled surrogates of {n_runs} runs, T={n_steps}"
    if plan.ours_only:
        return alone(plan, case, ours)
    shape, keys = (n_runs, n_steps // 2 + 1, 2), jax.random.split(key, n_surrogates)
    uniform = jax.jit(lambda i: jax.random.uniform(keys[i], shape, maxval=TURN))
    rng = np.random.default_rng(0)
    theirs = partial(surrogate_loop, np.asarray(of.points), np.asarray(n_changes), n_surrogates)
    # `value` and all that is said about the surrogates
    expect_equal(case, ours()[:4], theirs(lambda i: np.asarray(uniform(i))), 1e-3)
    draw = partial(rng.random, shape, np.float32)
    return against(plan, case, ours, partial(theirs, lambda _: TURN * draw()), baseline="numpy")


def surrogate_loop(
    points: np.ndarray, n_changes: np.ndarray, n_surrogates: int, draw: Draw
) -> tuple[float, ...]:
    """Rotation; mean and quantiles of that of the surrogates."""
    n_steps = points.shape[1]
    spectrum = np.fft.rfft(points, axis=1)
    frequency = np.arange(spectrum.shape[1])[:, None]
    free = (frequency > 0) & (2 * frequency < n_steps)
    turns = []
    for i in range(n_surrogates):
        turned = spectrum * np.exp(1j * np.where(free, draw(i), np.float32(0)))
        turns.append(np.sum(angles_of(np.fft.irfft(turned, n_steps, axis=1))))
    null = np.array(turns) / TURN / (n_changes.sum() / 2)
    value = abs(np.sum(angles_of(points))) / TURN / (n_changes.sum() / 2)
    return value, np.mean(null), *np.quantile(null, [0.025, 0.975])


def drift(plan: Plan, of: Subject) -> Comparison:
    """Moments of the steps of the readout; numpy trajectory by trajectory."""
    x = readout_difference(of.runs.logits, jnp.array([0, 2]))
    edges = bin_edges(x)

    def ours() -> Any:  # noqa: ANN401
        return drift_diffusion(x, edges)

    case = f"Kramers-Moyal moments of {x.shape[0]} runs, T={x.shape[1]}"
    if plan.ours_only:
        return alone(plan, case, ours)
    theirs = partial(drift_loop, np.asarray(x), np.asarray(edges))
    for mine, other in zip(ours()[1:], theirs(), strict=True):
        expect_equal(case, mine, other, 1e-3)
    return against(plan, case, ours, theirs, baseline="numpy")


def drift_loop(paths: np.ndarray, edges: np.ndarray) -> list[np.ndarray]:
    """Counts, sums and sums of squares for one step, counts and sums for two."""
    n_bins = len(edges) - 1
    rows = []
    for path in paths:
        row = []
        for lag, powers in ((1, 3), (2, 2)):
            start, dx = path[:-lag], path[lag:] - path[:-lag]
            index = np.digitize(start, edges) - 1
            counted = (index >= 0) & (index < n_bins)
            row += [
                np.bincount(index[counted], dx[counted] ** power, n_bins) for power in range(powers)
            ]
        rows.append(row)
    return [np.array(part) for part in zip(*rows, strict=True)]


def shift(plan: Plan, of: Subject) -> Comparison:
    """Noisy runs and their linear response; PyTorch draw by draw, all starts of one together."""
    n_starts, n_draws, n_steps = (4, 10, 3) if plan.small else (64, 100, 20)
    starts, key = of.states(n_starts), jax.random.key(3)
    compiled = jax.jit(partial(monte_carlo_shift, n_draws=n_draws, n_steps=n_steps))

    def ours() -> Any:  # noqa: ANN401
        return compiled(of.network, starts, key)

    case = f"mean shift of {n_starts} states, {n_draws} draws of {n_steps} steps"
    if plan.ours_only:
        return alone(plan, case, ours)
    keys = jax.random.split(key, n_draws)

    def same(i: int) -> Array:
        return white_noise(jax.random.split(keys[i], n_starts), n_steps, of.network.cell.noise_dim)

    theirs = partial(shift_loop, plan, of.network.params, starts, n_steps, n_draws)
    for name, mine, other in zip(("mean", "error") * 2, ours(), theirs(same), strict=True):
        expect_equal(f"{case}: {name}", mine, other, 1e-3)
    shape = n_steps, n_starts, of.network.cell.noise_dim
    return against(plan, case, ours, partial(theirs, lambda _: shape))


def shift_loop(
    plan: Plan,
    params: Params,
    starts: Float[Array, "P N"],
    n_steps: int,
    n_draws: int,
    draw: Draw,
) -> tuple[np.ndarray, ...]:
    """Mean and standard error of the change, and of the linear response, (T, P, N)."""
    import torch

    W_in, W_rec = (plan.torch.tensor(params[name]) for name in ("W_in", "W_rec"))
    h0 = plan.torch.tensor(starts)
    with one_thread(), torch.no_grad():
        quiet = [h0]
        for _ in range(n_steps):
            quiet.append(torch.relu(quiet[-1] @ W_rec.T))
        sums = torch.zeros(4, n_steps, *h0.shape)
        for i in range(n_draws):
            h, linear = h0, torch.zeros_like(h0)
            for t, x in enumerate(normal(plan, draw(i))):
                pull = x @ W_in.T
                h = torch.relu(h @ W_rec.T + pull)
                linear = (quiet[t + 1] > 0) * (linear @ W_rec.T + pull)
                change = h - quiet[t + 1]
                sums[:, t] += torch.stack([change, change**2, linear, linear**2])
        mean, square, linear, linear_square = sums / n_draws
        errors = [
            torch.sqrt(torch.clamp(s - m**2, min=0) / (n_draws - 1))
            for m, s in ((mean, square), (linear, linear_square))
        ]
    return mean.numpy(), errors[0].numpy(), linear.numpy(), errors[1].numpy()


def snapshots(plan: Plan, of: Subject) -> Comparison:
    """The measures of every snapshot, several at once; our own function, one after the other."""
    n_snapshots, n_steps = (3, 20) if plan.small else (16, 300)
    keys = jax.random.split(jax.random.key(4), n_snapshots)
    every = jax.vmap(partial(two_groups, of.network.cell))(keys)
    keys = jax.random.split(jax.random.key(5), N_RUNS)

    def one(params: Params) -> Any:  # noqa: ANN401
        return measure_snapshot(of.network.replace(**params), n_steps, keys)

    compiled = jax.jit(lambda params: jax.lax.map(one, params, batch_size=SNAPSHOTS_AT_ONCE))

    def theirs() -> list[Any]:
        return [
            jax.block_until_ready(one(jax.tree.map(lambda x, i=i: x[i], every)))
            for i in range(n_snapshots)
        ]

    def ours() -> Any:  # noqa: ANN401
        return compiled(every)

    case = f"{n_snapshots} snapshots of {N_RUNS} runs, T={n_steps}"
    if plan.ours_only:
        return alone(plan, case, ours)
    found = ours()
    for i, expected in enumerate(theirs()):
        expect_equal(f"{case}: rate", found.rate[i], expected.rate, 1e-3)
        expect_equal(f"{case}: shift", found.mean_shift[i], expected.mean_shift, 1e-3)
    return against(plan, case, ours, theirs, baseline="hmmrnn in a loop")


ANALYSES = (spectra, sensitivity, orbits, surrogates, drift, shift, snapshots)


def angles_of(points: Float[np.ndarray, "*B T 2"]) -> Float[np.ndarray, "*B T"]:
    """Angle around the origin from each point to the next."""
    x, y = points[..., 0], points[..., 1]
    cross = x[..., :-1] * y[..., 1:] - y[..., :-1] * x[..., 1:]
    dot = x[..., :-1] * x[..., 1:] + y[..., :-1] * y[..., 1:]
    return np.arctan2(cross, dot)


def normal(plan: Plan, drawn: Array | tuple[int, ...]) -> Any:  # noqa: ANN401
    """Noise as a tensor: what was drawn, or a fresh draw of that shape."""
    import torch

    return torch.randn(drawn) if isinstance(drawn, tuple) else plan.torch.tensor(drawn)


@contextmanager
def one_thread() -> Iterator[None]:
    """One thread in PyTorch, and in the linear algebra of numpy and scipy."""
    import torch
    from threadpoolctl import threadpool_limits

    torch.set_num_threads(1)
    try:
        with threadpool_limits(1):
            yield
    finally:
        torch.set_num_threads(cores())


def alone(plan: Plan, case: str, ours: Work) -> Comparison:
    """Ours without a baseline."""
    return compare(f"dynamics {case}", ours, None, plan.rounds)


def against(plan: Plan, case: str, ours: Work, theirs: Work, **labels: Any) -> Comparison:  # noqa: ANN401
    """Ours in turn with the loop."""
    return compare(f"dynamics {case}", ours, theirs, plan.rounds, **labels)


def expect_equal(what: str, ours: Any, theirs: Any, tolerance: float) -> None:  # noqa: ANN401
    """Raise `SystemExit` unless nearly all values are close, relative to the largest one.

    Rounding may decide on which side of an edge a few of them fall.
    """
    difference = np.abs(np.asarray(ours) - np.asarray(theirs))
    scale = max(float(np.max(np.abs(theirs))), 1.0)
    if not np.mean(difference <= tolerance * scale) >= 0.98:
        raise SystemExit(
            f"dynamics {what}: ours and the loop's differ by up to {difference.max():.3g}, "
            f"the largest value is {scale:.3g}"
        )
