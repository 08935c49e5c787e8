"""What an intervention does to a network that runs freely: transitions, escapes, dwell times, law.

All interventions share their noise, so what differs is their doing. The intervention is there from
the first step of the warm-up on. `measure` counts, `quantities` turns counts into numbers and
`summary` gives them intervals.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from hmmrnn.arrays import HIGHEST, Key, Keys, Params, Scalar
from hmmrnn.circuits.events import STAY
from hmmrnn.circuits.recording import WARM_UP, Recording
from hmmrnn.dynamics import jacobians, preferred_symbols, spectrum
from hmmrnn.errors import InputError
from hmmrnn.intervals import bootstrap_weights, interval
from hmmrnn.losses import MAX_NGRAMS, ngram_shares
from hmmrnn.nets import (
    NO_INTERVENTION,
    Intervention,
    Network,
    RNNCell,
    initial_state,
    rollout,
)
from hmmrnn.nets.noise import white_noise

Numbers = np.ndarray | Array
"""Made by jax, taken to the host by `measure`."""

ORDER = 4
"""Symbols in an n-gram."""
FLOOR = 1e-6
"""Added to every share of an n-gram, so that the divergence is finite."""
ESCAPE_STEPS = 60
"""Steps that a state has to leave its symbol (Torre et al. 2025)."""
BLOCK = 8
"""Interventions run by one call of a compiled function, so that any number compiles once."""


class FreeRuns(NamedTuple):
    """B runs of T steps under one intervention, after the warm-up under the same."""

    symbols: Int[Array, "B T"]  # preferred
    probabilities: Float[Array, "B T K"]  # softmax of the logits
    last: Float[Array, "B N"]  # the last state
    finite: Bool[Array, " B"]


class Counts(NamedTuple):
    """What each run counts to. A symbol is settled from the first of 5 equal ones to the next."""

    steps: Float[Numbers, "*G B K"]  # settled in each symbol, with a step after
    completed: Float[Numbers, "*G B K K"]  # changes of the settled symbol, from row to column
    raw_steps: Float[Numbers, "*G B K"]  # with each symbol preferred, and a step after
    raw: Float[Numbers, "*G B K K"]  # changes of the preferred symbol
    dwells: Float[Numbers, "*G B K 3"]  # number, sum, sum of squares of the steps between completed
    ngrams: Float[Numbers, "*G B L"]  # expected share of each n-gram, first symbol slowest
    last: Float[Numbers, "*G B N"]  # the last state
    finite: Bool[Numbers, "*G B"]


class Starts(NamedTuple):
    """P states from the cluster of each symbol, with replacement; NaN where there is no such."""

    states: Float[Array, "K P N"]
    run: Int[np.ndarray, "K P"]  # that each was recorded in
    n_runs: int
    n_found: Int[np.ndarray, " K"]  # cluster states that were there to draw from


class Escapes(NamedTuple):
    """When each start first prefers another symbol than its own, and which."""

    time: Int[Numbers, "*G K P"]  # steps; all 60 for those that never leave
    symbol: Int[Numbers, "*G K P"]  # -1 for those that never leave
    finite: Bool[Numbers, "*G K P"]


class Experiment(NamedTuple):
    """What all interventions on a network have in common: its noise and where it starts."""

    cell: RNNCell
    params: Params
    noise_std: Scalar
    n_steps: int
    keys: Keys  # (B,), one for each free run
    starts: Starts
    keys_starts: Keys  # (K, P)
    law: Float[np.ndarray, " L"] | None  # of n-grams of the HMM; None without one


class Measured(NamedTuple):
    """Counts of G interventions, on the host."""

    counts: Counts
    escapes: Escapes
    critical: Float[np.ndarray, "G B"]  # 1 if the last state has a critical pair; NaN if unknown


class Estimates(NamedTuple):
    """Numbers with their 95 % intervals; NaN where unknown."""

    value: Float[np.ndarray, "*shape"]
    low: Float[np.ndarray, "*shape"]
    high: Float[np.ndarray, "*shape"]


class Outcomes(NamedTuple):
    """What G interventions do. Intervals over runs; changes and ratios are paired with a baseline.

    (K, K) is from row to column. Numbers of states that are never visited are NaN, and so is what
    a network with n_valid = 0 does. Dwell times longer than a run are not seen: where transitions
    are rare, 1 / rate says how long it takes, and dwell times say too little. Changes of less than
    5 steps do not count: two states that alternate without memory, with a chance of 0.05 per step,
    have a CV of 0.85 here and not of 0.97.
    """

    n_valid: Int[np.ndarray, " G"]  # runs that stay finite; the others are left out
    n_valid_starts: Int[np.ndarray, "G K"]
    per_step: Estimates  # (G,) completed transitions of all kinds per step
    per_step_ratio: Estimates  # (G,)
    rate: Estimates  # (G, K, K) completed transitions per step settled in the first symbol
    ratio: Estimates  # (G, K, K) of that rate to the baseline's
    raw_rate: Estimates  # (G, K, K) the same of all changes, flickers included
    escape: Estimates  # (G, K) share of cluster states that prefer another symbol within 60 steps
    escape_change: Estimates  # (G, K) from the baseline
    first: Estimates  # (G, K, K) share whose first other symbol is the column's
    hazard: Estimates  # (G, K, K) the same per step until then
    hazard_ratio: Estimates  # (G, K, K)
    dwell_mean: Estimates  # (G, K) steps between completed transitions, by symbol
    dwell_cv: Estimates  # (G, K)
    pooled_mean: Estimates  # (G,) of all symbols
    pooled_cv: Estimates  # (G,)
    kl: Estimates  # (G,) KL(law of the HMM | network) of 4-grams, nats; NaN without a law
    critical: Estimates  # (G,) share of states with a critical pair; NaN if not asked for


def experiment(
    network: Network,
    recording: Recording,
    law: Float[np.ndarray, " L"] | None,
    key: Key,
    *,
    n_runs: int = 48,
    n_steps: int = 400,
    n_starts: int = 64,
) -> Experiment:
    """Runs of their own, whose noise no group was found on, and starts from a recording.

    Raises:
        InputError: no run or start, or a law of other n-grams than 4 of the network's symbols.
    """
    if min(n_runs, n_starts) < 1:
        raise InputError(f"n_runs={n_runs}, n_starts={n_starts}: at least 1 of each")
    n_symbols = network.cell.n_symbols
    if law is not None and len(law) != n_symbols**ORDER:
        raise InputError(f"law has {len(law)} entries; {n_symbols} symbols have {n_symbols**ORDER}")
    key_runs, key_starts, key_noise = jax.random.split(key, 3)
    return Experiment(
        cell=network.cell,
        params=network.params,
        noise_std=network.noise_std,
        n_steps=n_steps,
        keys=jax.random.split(key_runs, n_runs),
        starts=cluster_starts(recording, n_starts, key_starts),
        keys_starts=jax.random.split(key_noise, (n_symbols, n_starts)),
        law=law,
    )


def cluster_starts(recording: Recording, n_starts: int, key: Key) -> Starts:
    """`n_starts` states from the cluster of each symbol."""
    symbols, zone = np.asarray(recording.symbols), np.asarray(recording.zone)
    n_symbols = recording.logits.shape[-1]
    draws = np.asarray(jax.random.uniform(key, (n_symbols, n_starts)))
    run, step = np.zeros((2, n_symbols, n_starts), int)
    n_found = np.zeros(n_symbols, int)
    for symbol in range(n_symbols):
        where = np.nonzero((zone == 0) & (symbols == symbol))
        n_found[symbol] = len(where[0])
        if n_found[symbol]:
            chosen = (draws[symbol] * n_found[symbol]).astype(int)
            run[symbol], step[symbol] = (index[chosen] for index in where)
    states = jnp.where((n_found > 0)[:, None, None], recording.states[run, step], jnp.nan)
    return Starts(states, run, len(symbols), n_found)


def stacked(interventions: list[Intervention], n_units: int) -> Intervention:
    """Interventions with shape () or (N,), one after the other: each entry gets shape (G, N)."""
    return Intervention(
        *(
            jnp.stack([jnp.broadcast_to(jnp.asarray(gate, float), n_units) for gate in gates])
            for gates in zip(*interventions, strict=True)
        )
    )


@partial(jax.jit, static_argnames=("cell", "n_steps"))
def free_runs(
    cell: RNNCell,
    params: Params,
    noise_std: Scalar,
    n_steps: int,
    keys: Keys,
    intervention: Intervention,
) -> FreeRuns:
    """One run for each of the keys (B,). Without intervention it is that of `recorded`."""
    h0, noise = _drawn(cell, noise_std, n_steps, keys)
    return _run(cell, params, h0, noise, intervention)


@partial(jax.jit, static_argnames=("cell", "n_steps", "order"))
def counts(
    cell: RNNCell,
    params: Params,
    noise_std: Scalar,
    gains: Intervention,
    n_steps: int,
    keys: Keys,
    *,
    order: int = ORDER,
) -> Counts:
    """Counts of the runs of all keys (B,) under each of G interventions, entries (G, N).

    One intervention after the other: side by side they leave the processor's cache.

    Raises:
        InputError: too few steps, or too many n-grams to count.
    """
    if n_steps <= STAY or cell.n_symbols**order > MAX_NGRAMS:
        raise InputError(
            f"n_steps={n_steps}: at least {STAY + 1}; order={order}: at most {MAX_NGRAMS} n-grams"
        )
    h0, noise = _drawn(cell, noise_std, n_steps, keys)
    count = jax.vmap(partial(_counted, order))
    return jax.lax.map(lambda gates: count(_run(cell, params, h0, noise, gates)), gains)


@partial(jax.jit, static_argnames=("cell", "n_steps"))
def escapes(
    cell: RNNCell,
    params: Params,
    noise_std: Scalar,
    gains: Intervention,
    starts: Float[Array, "K P N"],
    keys: Keys,
    *,
    n_steps: int = ESCAPE_STEPS,
) -> Escapes:
    """One run from each start, with noise of its own, under each of G interventions (G, N).

    starts[s] are states that prefer symbol s, whatever the network says of them.
    """
    noise = noise_std * white_noise(keys, n_steps, cell.noise_dim)
    own = jnp.arange(len(starts))[:, None]

    def one(gates: Intervention) -> Escapes:
        logits = rollout(cell, params, starts, noise, gates).logits
        symbols = preferred_symbols(logits)
        away = symbols != own
        left = jnp.any(away, axis=0)
        first = jnp.argmax(away, axis=0)
        other = jnp.take_along_axis(symbols, first[None], axis=0)[0]
        return Escapes(
            time=jnp.where(left, first + 1, n_steps),
            symbol=jnp.where(left, other, -1),
            finite=jnp.isfinite(logits).all((0, -1)),
        )

    return jax.lax.map(one, gains)


def _drawn(cell: RNNCell, noise_std: Scalar, n_steps: int, keys: Keys) -> tuple[Array, Array]:
    """h_0 and noise of each run, the same as those of `recorded`."""
    split = jax.vmap(jax.random.split, out_axes=1)(keys)
    noise = noise_std * white_noise(split[1], WARM_UP + n_steps, cell.noise_dim)
    return initial_state(cell, split[0]), noise


def _run(
    cell: RNNCell, params: Params, h0: Array, noise: Array, intervention: Intervention
) -> FreeRuns:
    runs = rollout(cell, params, h0, noise, intervention)
    finite = jnp.isfinite(runs.logits).all((0, 2)) & jnp.isfinite(runs.states[-1]).all(1)
    logits = jnp.swapaxes(runs.logits[WARM_UP:], 0, 1)
    return FreeRuns(preferred_symbols(logits), jax.nn.softmax(logits), runs.states[-1], finite)


def _counted(order: int, run: FreeRuns) -> Counts:
    """Counts of one run."""
    n_symbols = run.probabilities.shape[-1]
    steady = settled(run.symbols)
    steps, completed = _changes(steady, n_symbols)
    raw_steps, raw = _changes(run.symbols, n_symbols)
    return Counts(
        steps=steps,
        completed=completed,
        raw_steps=raw_steps,
        raw=raw,
        dwells=_dwells(steady, n_symbols),
        ngrams=ngram_shares(run.probabilities[None], order),
        last=run.last,
        finite=run.finite,
    )


def settled(symbols: Int[Array, " T"]) -> Int[Array, " W"]:
    """The symbol that last stayed for 5 steps, from the first of these on; -1 before any does.

    W = T - 4: of the last steps it is not known yet.
    """
    n_windows = len(symbols) - STAY + 1
    stays = jnp.stack([symbols[i : i + n_windows] == symbols[:n_windows] for i in range(STAY)])
    last = jax.lax.cummax(jnp.where(stays.all(0), jnp.arange(n_windows), -1))
    return jnp.where(last >= 0, symbols[last], -1)


def _changes(symbols: Array, n_symbols: int) -> tuple[Array, Array]:
    """Steps in each symbol (K,) and changes (K, K); -1 is no symbol."""
    here = jax.nn.one_hot(symbols, n_symbols)
    pairs = jnp.matmul(here[:-1].T, here[1:], precision=HIGHEST)
    steps = jnp.sum(here[:-1], axis=0)
    return steps, pairs * (1 - jnp.eye(n_symbols))


def _dwells(steady: Array, n_symbols: int) -> Float[Array, "K 3"]:
    """Number, sum and sum of squares of the steps between two changes, by the symbol between."""
    times = jnp.arange(1, len(steady))
    changed = (steady[1:] != steady[:-1]) & (steady[:-1] >= 0)
    last = jax.lax.cummax(jnp.where(changed, times, 0))
    before = jnp.concatenate([jnp.zeros(1, last.dtype), last[:-1]])
    dwell = jnp.where(changed & (before > 0), times - before, 0).astype(float)
    which = jax.nn.one_hot(steady[:-1], n_symbols)
    moments = jnp.stack([dwell > 0, dwell, dwell**2], axis=1)
    return jnp.matmul(which.T, moments, precision=HIGHEST)


def measure(setting: Experiment, gains: Intervention, *, n_spectra: int = 0) -> Measured:
    """Counts of G interventions, entries (G, N); spectra at the last states of some of the runs."""
    cell, params, noise_std = setting.cell, setting.params, setting.noise_std
    n = len(jnp.asarray(gains.state_gain))
    padded = jax.tree.map(lambda g: jnp.concatenate([g, jnp.repeat(g[-1:], -n % BLOCK, 0)]), gains)
    parts = []
    for first in range(0, n, BLOCK):
        block = jax.tree.map(lambda g, i=first: g[i : i + BLOCK], padded)
        run = counts(cell, params, noise_std, block, setting.n_steps, setting.keys)
        left = escapes(cell, params, noise_std, block, setting.starts.states, setting.keys_starts)
        parts.append(jax.tree.map(np.asarray, (run, left)))
    run, left = jax.tree.map(lambda *x: np.concatenate(x)[:n], *parts)
    critical = np.full(run.finite.shape, np.nan)
    for i in range(n):
        if n_spectra:
            gates = jax.tree.map(lambda g, i=i: g[i], gains)
            critical[i, :n_spectra] = has_critical_pair(
                cell, params, gates, run.last[i, :n_spectra]
            )
    return Measured(run, left, np.where(run.finite, critical, np.nan))


def measure_baseline(setting: Experiment, *, n_spectra: int = 0) -> Measured:
    """The network left alone (G = 1), to which all interventions are compared."""
    return measure(
        setting, stacked([NO_INTERVENTION], setting.cell.hidden_size), n_spectra=n_spectra
    )


def has_critical_pair(
    cell: RNNCell, params: Params, gates: Intervention, states: Float[Array | np.ndarray, "P N"]
) -> Float[np.ndarray, " P"]:
    """Whether the Jacobian at each state, without input, has a critical pair: 1, 0 or NaN.

    The Jacobian is that of the network under the intervention, whose entries are () or (N,).
    """
    found = spectrum(_jacobians_under(cell, params, gates, jnp.asarray(states))).n_critical_pairs
    return np.where(np.isnan(found), np.nan, found > 0)


@partial(jax.jit, static_argnames="cell")
def _jacobians_under(
    cell: RNNCell, params: Params, gates: Intervention, states: Float[Array, "P N"]
) -> Float[Array, "P N N"]:
    """diag(state_gain) of the Jacobian with diag(recurrent_gain) W_rec."""
    rows = jnp.broadcast_to(jnp.asarray(gates.recurrent_gain), cell.hidden_size)[:, None]
    scale = jnp.broadcast_to(jnp.asarray(gates.state_gain), cell.hidden_size)[:, None]
    return scale * jacobians(cell, {**params, "W_rec": rows * params["W_rec"]}, states)


def outcomes(setting: Experiment, measured: Measured, baseline: Measured, key: Key) -> Outcomes:
    """What the interventions do, compared with a baseline (G = 1) measured in the same setting."""
    return summary(quantities(setting, measured, baseline, *weights_of(setting, key)), measured)


def weights_of(setting: Experiment, key: Key) -> tuple[np.ndarray, np.ndarray]:
    """Bootstrap weights (R, B) of the free runs, and (R, K, P) of the starts by recorded runs."""
    key_runs, key_starts = jax.random.split(key)
    runs = bootstrap_weights(len(setting.keys), key_runs)
    recorded = bootstrap_weights(setting.starts.n_runs, key_starts)
    return runs, recorded[:, setting.starts.run]


def quantities(
    setting: Experiment,
    measured: Measured,
    baseline: Measured,
    runs: Float[np.ndarray, "R B"],
    starts: Float[np.ndarray, "R K P"],
) -> dict[str, np.ndarray]:
    """The fields of `Outcomes`, (R, G, ...): one row for each row of bootstrap weights."""
    ours, base = measured.counts, _as_many(baseline.counts, measured)
    valid, both = ours.finite, ours.finite & base.finite
    rate = _ratio(ours.completed, ours.steps[..., None], valid, runs)
    total, steps = _sums(ours)
    per_step = _ratio(total, steps, valid, runs)
    shares = _ratio(ours.ngrams, np.ones_like(ours.ngrams), valid, runs)
    pooled = ours.dwells.sum(axis=2, keepdims=True)
    mean, cv = _dwell_law(ours.dwells, valid, runs)
    pooled_mean, pooled_cv = (x[..., 0] for x in _dwell_law(pooled, valid, runs))
    return {
        "per_step": per_step,
        "per_step_ratio": divided(
            _ratio(total, steps, both, runs), _ratio(*_sums(base), both, runs)
        ),
        "rate": rate,
        "ratio": divided(
            _ratio(ours.completed, ours.steps[..., None], both, runs),
            _ratio(base.completed, base.steps[..., None], both, runs),
        ),
        "raw_rate": _ratio(ours.raw, ours.raw_steps[..., None], valid, runs),
        "dwell_mean": mean,
        "dwell_cv": cv,
        "pooled_mean": pooled_mean,
        "pooled_cv": pooled_cv,
        "kl": _kl(setting.law, shares),
        "critical": _mean_known(measured.critical, runs),
        **_escape_quantities(measured, baseline, starts),
    }


def summary(found: dict[str, np.ndarray], measured: Measured) -> Outcomes:
    """Values and intervals from the rows of `quantities`."""
    return Outcomes(
        n_valid=np.sum(measured.counts.finite, axis=1),
        n_valid_starts=np.sum(measured.escapes.finite, axis=2),
        **{name: estimates(draws) for name, draws in found.items()},
    )


def estimates(draws: Float[np.ndarray, "R *shape"]) -> Estimates:
    """The first row with intervals from the others, for each entry."""
    flat = draws.reshape(len(draws), -1).T
    found = np.array([interval(float(row[0]), row[1:]) for row in flat])
    return Estimates(*(x.reshape(draws.shape[1:]) for x in found.reshape(-1, 3).T))


def _as_many(base: Counts, measured: Measured) -> Counts:
    n = len(measured.counts.finite)
    return jax.tree.map(lambda x: np.broadcast_to(x, (n, *x.shape[1:])), base)


def _sums(found: Counts) -> tuple[Numbers, Numbers]:
    """Completed transitions of all kinds, and steps, (G, B)."""
    return found.completed.sum(axis=(2, 3)), found.steps.sum(axis=2)


def _escape_quantities(
    measured: Measured, baseline: Measured, weights: np.ndarray
) -> dict[str, np.ndarray]:
    ours, base = measured.escapes, baseline.escapes
    both = ours.finite & base.finite
    escape, first, hazard = _escaping(ours, ours.finite, weights)
    paired, _, hazard_paired = _escaping(ours, both, weights)
    before, _, hazard_before = _escaping(base, both, weights)
    return {
        "escape": escape,
        "escape_change": paired - before,
        "first": first,
        "hazard": hazard,
        "hazard_ratio": divided(hazard_paired, hazard_before),
    }


def _escaping(found: Escapes, valid: Numbers, weights: np.ndarray) -> tuple[np.ndarray, ...]:
    """Share that leaves (R, G, K), share that leaves to each symbol, and that per step at risk."""
    to = found.symbol[..., None] == np.arange(found.symbol.shape[-2])
    n, steps = (_over_starts(x * valid, weights) for x in (np.ones_like(found.time), found.time))
    leaving = _over_starts(to & valid[..., None], weights)
    return (
        divided(leaving.sum(-1), n),
        divided(leaving, n[..., None]),
        divided(leaving, steps[..., None]),
    )


def _over_starts(x: Numbers, weights: Float[np.ndarray, "R K P"]) -> Float[np.ndarray, "R G K *T"]:
    """Weighted sum over the starts of x (G, K, P, ...)."""
    rows = np.moveaxis(np.asarray(x, float), 0, 2)  # (K, P, G, ...)
    sums = np.swapaxes(weights, 0, 1) @ rows.reshape(*rows.shape[:2], -1)
    return np.moveaxis(sums.reshape(*sums.shape[:2], *rows.shape[2:]), 0, 2)


def _ratio(
    numerator: Numbers, denominator: Numbers, valid: Numbers, weights: np.ndarray
) -> np.ndarray:
    """Weighted sum over the sum (R, G, ...) of counts (G, B, ...) over the valid runs."""
    return divided(*(_weighted(x, valid, weights) for x in (numerator, denominator)))


def _weighted(x: Numbers, valid: Numbers, weights: np.ndarray) -> np.ndarray:
    mask = valid.reshape(valid.shape + (1,) * (x.ndim - 2))
    return np.tensordot(weights, np.where(mask, x, 0.0), (1, 1))


def divided(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """X / y, NaN where y is 0."""
    x, y = np.broadcast_arrays(x, y)
    return np.divide(x, y, out=np.full(x.shape, np.nan), where=y != 0)


def _dwell_law(
    moments: Float[Numbers, "G B C 3"], valid: Numbers, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Mean and coefficient of variation (R, G, C), the latter of at least 2 dwell times."""
    n, total, square = np.moveaxis(_weighted(moments, valid, weights), -1, 0)
    mean = divided(total, n)
    spread = np.sqrt(np.maximum(divided(square, n) - mean**2, 0))
    several = np.where(valid[:, :, None], moments[..., 0], 0).sum(axis=1) > 1
    return mean, np.where(several, divided(spread, mean), np.nan)


def _kl(law: np.ndarray | None, shares: Float[np.ndarray, "R G L"]) -> np.ndarray:
    """KL(law | shares) in nats, with a floor under the shares, as `hmmrnn.losses.kl`."""
    if law is None:
        return np.full(shares.shape[:2], np.nan)
    smooth = (shares + FLOOR) / (1 + FLOOR * len(law))
    return np.sum(law * (np.log(np.where(law > 0, law, 1.0)) - np.log(smooth)), axis=-1)


def _mean_known(values: Float[np.ndarray, "G B"], weights: np.ndarray) -> np.ndarray:
    known = np.isfinite(values)
    return _ratio(np.where(known, values, 0), known.astype(float), known, weights)
