"""What an intervention does to a network that runs freely: transitions, escapes, dwell times, law.

`measure` counts, `quantities` turns counts into numbers and `summary` gives them intervals.
"""

from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Float, Int

from hmmrnn.arrays import Key
from hmmrnn.circuits.assays import Assay, Measured
from hmmrnn.circuits.free_runs import Counts, Escapes, Numbers
from hmmrnn.intervals import Estimate, bootstrap_weights
from hmmrnn.results import result

FLOOR = 1e-6
"""Added to every share of an n-gram, so that the divergence is finite."""


@result
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
    per_step: Estimate  # (G,) completed transitions of all kinds per step
    per_step_ratio: Estimate  # (G,)
    rate: Estimate  # (G, K, K) completed transitions per step settled in the first symbol
    ratio: Estimate  # (G, K, K) of that rate to the baseline's
    raw_rate: Estimate  # (G, K, K) the same of all changes, flickers included
    escape: Estimate  # (G, K) share of cluster states that prefer another symbol within 60 steps
    escape_change: Estimate  # (G, K) from the baseline
    first: Estimate  # (G, K, K) share whose first other symbol is the column's
    hazard: Estimate  # (G, K, K) the same per step until then
    hazard_ratio: Estimate  # (G, K, K)
    dwell_mean: Estimate  # (G, K) steps between completed transitions, by symbol
    dwell_cv: Estimate  # (G, K)
    pooled_mean: Estimate  # (G,) of all symbols
    pooled_cv: Estimate  # (G,)
    kl: Estimate  # (G,) KL(law of the HMM | network) of 4-grams, nats; NaN without a law
    critical: Estimate  # (G,) share of states with a critical pair; NaN if not asked for


def outcomes(setting: Assay, measured: Measured, baseline: Measured, key: Key) -> Outcomes:
    """What the interventions do, compared with a baseline (G = 1) measured in the same setting."""
    return summary(quantities(setting, measured, baseline, *weights_of(setting, key)), measured)


def weights_of(setting: Assay, key: Key) -> tuple[np.ndarray, np.ndarray]:
    """Bootstrap weights (R, B) of the free runs, and (R, K, P) of the starts by recorded runs."""
    key_runs, key_starts = jax.random.split(key)
    runs = bootstrap_weights(len(setting.keys), key_runs)
    recorded = bootstrap_weights(setting.starts.n_runs, key_starts)
    return runs, recorded[:, setting.starts.run]


def quantities(
    setting: Assay,
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
        **{name: Estimate.of(draws) for name, draws in found.items()},
    )


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
    """KL(law | shares) in nats, with a floor under the shares, as `hmmrnn.losses.kl_of_law`."""
    if law is None:
        return np.full(shares.shape[:2], np.nan)
    smooth = (shares + FLOOR) / (1 + FLOOR * len(law))
    return np.sum(law * (np.log(np.where(law > 0, law, 1.0)) - np.log(smooth)), axis=-1)


def _mean_known(values: Float[np.ndarray, "G B"], weights: np.ndarray) -> np.ndarray:
    known = np.isfinite(values)
    return _ratio(np.where(known, values, 0), known.astype(float), known, weights)
