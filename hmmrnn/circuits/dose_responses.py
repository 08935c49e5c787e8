"""Dose-response: the units of a transition turned down and up, against other units as many."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float

from hmmrnn.arrays import Key
from hmmrnn.circuits.assays import Assay, Measured, measure
from hmmrnn.circuits.outcomes import (
    Outcomes,
    divided,
    quantities,
    summary,
    weights_of,
)
from hmmrnn.errors import InputError
from hmmrnn.intervals import LEVEL, Estimate
from hmmrnn.interventions import Arms
from hmmrnn.results import result

Kind = Literal["kick", "noise", "silence", "both"]
KINDS: tuple[Kind, ...] = ("kick", "noise", "silence", "both")
DOSES = (0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0)
CONTROL_DOSES = (0.0, 2.0)
N_SPECTRA = 32


@result
class Group(NamedTuple):
    """The units of one ordered pair of symbols; or C control groups, with as many rows."""

    kick: Bool[np.ndarray, "*C N"]
    population: Bool[np.ndarray, "*C N"]  # the noise-integrating units that excite them


@result
class Contrast(NamedTuple):
    """A difference of two ratios to the baseline at each dose."""

    rate: Estimate  # of completed transitions in free runs
    hazard: Estimate  # of the first other symbol, from cluster states


@result
class DoseResponse(NamedTuple):
    """One kind of intervention on the units of s -> t, at G doses and, for controls, at H of them.

    At dose 0, a selectivity of 1 says that s -> t is stopped and t -> s left alone, one of 0 that
    both change alike, and one above 1 that t -> s gains. A specificity of 1 says that s -> t is
    stopped and controls do nothing to it, and one of 0 that they do as much. Those of the rate are
    NaN where a network stays in one symbol and never comes to the other; those of the hazard start
    from both.
    """

    kind: str
    pair: tuple[int, int]
    doses: Float[np.ndarray, " G"]
    outcome: Outcomes
    selectivity: Contrast  # (G,) ratio of t -> s minus ratio of s -> t
    control_doses: Float[np.ndarray, " H"]
    n_controls: int  # all below is NaN without any
    control: Outcomes  # (H, ...) means over controls with the range of 95 % of them; smallest n
    specificity: Contrast  # (H,) ratio of s -> t, mean over controls, minus that of the group


def scaled(kind: str, group: Group, doses: Sequence[float]) -> Arms:
    """The intervention at each dose, entries (G, N); a dose of 1 is none at all.

    kick: the recurrent drive of the kick units times the dose (Torre et al. 2025); noise: the
    noise into the population; both: these two; silence: the activity of the kick units.

    Raises:
        InputError: no such kind.
    """
    if kind not in KINDS:
        raise InputError(f"kind={kind!r}: one of {', '.join(KINDS)}")
    dose = jnp.asarray(doses, float)[:, None]
    kick = jnp.where(jnp.asarray(group.kick), dose, 1.0)
    noise = jnp.where(jnp.asarray(group.population), dose, 1.0)
    none = jnp.ones_like(kick)
    return Arms(
        recurrent_gain=kick if kind in ("kick", "both") else none,
        noise_gain=noise if kind in ("noise", "both") else none,
        state_gain=kick if kind == "silence" else none,
    )


def dose_responses(
    setting: Assay,
    baseline: Measured,
    pair: tuple[int, int],
    group: Group,
    controls: Group,
    key: Key,
    *,
    kinds: Sequence[Kind] = KINDS,
    doses: Sequence[float] = DOSES,
    control_doses: Sequence[float] = CONTROL_DOSES,
) -> dict[str, DoseResponse]:
    """The dose response to each kind of gain, for one pair: the same noise and resampling in all.

    The controls of `kick` may differ in number from those of `population`; that of both has
    as many as the fewer, and an empty array of masks is no control.

    Raises:
        InputError: a pair of equal or unknown symbols, a control dose that is none of the doses,
            or no such kind.
    """
    n_symbols = setting.network.n_symbols
    if pair[0] == pair[1] or not all(0 <= symbol < n_symbols for symbol in pair):
        raise InputError(f"pair={pair}: two different symbols of 0 to {n_symbols - 1}")
    if not set(control_doses) <= set(doses):
        raise InputError(f"control_doses={control_doses}: each must be one of doses={doses}")
    at = [list(doses).index(dose) for dose in control_doses]
    weights = weights_of(setting, key)
    found: dict[str, DoseResponse] = {}
    for kind in kinds:
        measured = measure(setting, scaled(kind, group, doses), n_spectra=N_SPECTRA)
        rows = quantities(setting, measured, baseline, *weights)
        masks = _masks(kind, controls)
        others, n_valid, n_valid_starts = _by_dose(
            setting, baseline, kind, masks, control_doses, weights
        )
        own = {name: draws[:, at] for name, draws in rows.items()}
        mean = {name: _mean(draws, axis=1) for name, draws in others.items()}
        found[kind] = DoseResponse(
            kind=kind,
            pair=pair,
            doses=np.asarray(doses, float),
            outcome=summary(rows, measured),
            selectivity=_contrast(rows, pair[::-1], rows, pair),
            control_doses=np.asarray(control_doses, float),
            n_controls=len(masks.kick),
            control=Outcomes(
                n_valid=n_valid,
                n_valid_starts=n_valid_starts,
                **{name: _spread(x[0]) for name, x in others.items()},
            ),
            specificity=_contrast(mean, pair, own, pair),
        )
    return found


def _masks(kind: Kind, controls: Group) -> Group:
    """The control groups for one kind; what it does not touch is left empty."""
    masks = [controls.kick, controls.population]
    used = {"kick": [0], "silence": [0], "noise": [1], "both": [0, 1]}[kind]
    n_controls = min(len(masks[i]) for i in used)
    none = np.zeros((n_controls, masks[0].shape[1]), bool)
    return Group(*(masks[i][:n_controls] if i in used else none for i in range(2)))


def _by_dose(
    setting: Assay,
    baseline: Measured,
    kind: Kind,
    masks: Group,
    doses: Sequence[float],
    weights: tuple[np.ndarray, np.ndarray],
) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]:
    """Quantities (R, C, H, ...) of C control groups, and the smallest numbers that are valid.

    Without a control, those of one that is not known.
    """
    n_controls, n_doses = len(masks.kick), len(doses)
    if n_controls == 0:
        blank = quantities(setting, baseline, baseline, *weights)
        unknown = {
            name: np.full((len(x), 1, n_doses, *x.shape[2:]), np.nan) for name, x in blank.items()
        }
        no_start = np.zeros((n_doses, setting.network.n_symbols), int)
        return unknown, np.zeros(n_doses, int), no_start
    each = [scaled(kind, Group(*pair), doses) for pair in zip(*masks, strict=True)]
    arms = jax.tree.map(lambda *gates: jnp.concatenate(gates), *each)
    measured = measure(setting, arms)
    found = quantities(setting, measured, baseline, *weights)
    n_valid, n_valid_starts = (
        np.sum(x, axis=-1).reshape(n_controls, n_doses, *x.shape[1:-1]).min(axis=0)
        for x in (measured.counts.finite, measured.escapes.finite)
    )
    shaped = {
        name: x.reshape(len(x), n_controls, n_doses, *x.shape[2:]) for name, x in found.items()
    }
    return shaped, n_valid, n_valid_starts


def _contrast(
    more: dict[str, np.ndarray],
    pair: tuple[int, int],
    less: dict[str, np.ndarray],
    other: tuple[int, int],
) -> Contrast:
    """Ratio of one pair of symbols minus that of another, or of the same elsewhere."""
    return Contrast(
        *(
            Estimate.of(more[name][:, :, *pair] - less[name][:, :, *other])
            for name in ("ratio", "hazard_ratio")
        )
    )


def _mean(values: np.ndarray, axis: int) -> np.ndarray:
    """Mean of what is known."""
    known = np.isfinite(values)
    return divided(np.where(known, values, 0).sum(axis), known.sum(axis))


def _spread(values: Float[np.ndarray, "C *shape"]) -> Estimate:
    """Mean over control groups and the range of 95 % of them."""
    tail = (1 - LEVEL) / 2
    flat = values.reshape(len(values), -1).T
    known = [row[np.isfinite(row)] for row in flat]
    low, high = (
        np.array([np.quantile(row, at) if len(row) else np.nan for row in known]).reshape(
            values.shape[1:]
        )
        for at in (tail, 1 - tail)
    )
    return Estimate(_mean(values, axis=0), low, high)
