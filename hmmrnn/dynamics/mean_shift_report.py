"""What noise does to the mean state of one network, beside draws of the noise, with intervals."""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from hmmrnn.arrays import Key
from hmmrnn.dynamics.mean_shifts import (
    MonteCarloShift,
    monte_carlo_shift,
    one_step_shift,
    propagated_shift,
)
from hmmrnn.errors import InputError
from hmmrnn.intervals import Estimate, bootstrap_weights, estimate, estimates
from hmmrnn.nets import Network
from hmmrnn.recordings.recorder import driven_runs, expect_variance, has_variance
from hmmrnn.results import result


@result
class MeanShiftReport(NamedTuple):
    """How noise moves the mean state of one network. Intervals are over trajectories.

    Shares are norms over units, relative to that of the whole change of the mean, from which the
    variance of a finite number of draws is taken off. One start per trajectory, 1 to T steps on.
    """

    shift: Estimate  # of one step, mean over units and over the path
    unit_shift: Estimate  # (N,) the same for each unit
    activity: Estimate  # mean hidden state, for scale
    exact: Float[np.ndarray, " N"]  # shift of one step by unit, mean over the starts
    monte_carlo: Float[np.ndarray, " N"]  # the same from draws of the noise
    monte_carlo_error: Float[np.ndarray, " N"]  # its standard error
    share: Estimate  # (T,) of the propagated shift; 1 at the first step by construction
    alignment: Estimate  # (T,) cosine of the propagated shift and the whole change
    linear_share: Estimate  # (T,) mean of the first-order response; 0 by construction
    linear_spread: Estimate  # (T,) the first-order response of a single run, root mean square
    n_starts: int
    n_draws: int


def mean_shift_report(
    network: Network,
    key: Key,
    *,
    n_trajectories: int = 32,
    n_steps: int = 200,
    n_draws: int = 400,
    horizon: int = 20,
) -> MeanShiftReport:
    """Measure shifts along noise-driven runs, and up to `horizon` steps from their last states.

    Raises:
        InputError: fewer than 2 trajectories or draws, no steps, or states that are not finite.
    """
    sizes = ShiftSizes(n_trajectories, n_steps, n_draws, horizon)
    return report_of(shifts(network.bare, key, sizes), key, sizes)


class ShiftSizes(NamedTuple):
    """How much is simulated."""

    n_trajectories: int = 32
    n_steps: int = 200
    n_draws: int = 400
    horizon: int = 20


class Shifts(NamedTuple):
    """What the device measures, along B runs and T steps from the last state of each."""

    known: Bool[Array, ""]  # whether the runs have a variance
    activity: Float[Array, " B"]  # mean hidden state
    one_step: Float[Array, "B N"]  # mean over each path
    propagated: Float[Array, "T B N"]
    sampled: MonteCarloShift


def shifts(
    network: Network,
    key: Key,
    sizes: ShiftSizes = ShiftSizes(),  # noqa: B008
) -> Shifts:
    """The measures of `mean_shift_report` that need no host; vmap it over networks.

    Raises:
        InputError: fewer than 2 trajectories or draws, or no steps.
    """
    n_trajectories, n_steps, n_draws, horizon = sizes
    if min(n_trajectories, n_draws) < 2 or min(n_steps, horizon) < 1:
        raise InputError(
            f"n_trajectories={n_trajectories}, n_draws={n_draws}, n_steps={n_steps}, "
            f"horizon={horizon}: at least 2, 2, 1 and 1"
        )
    key_runs, key_draws, _ = jax.random.split(key, 3)
    keys = jax.random.split(key_runs, n_trajectories)
    states = driven_runs(network, n_steps, keys).states
    shift, propagated, sampled = _measured(network, states, key_draws, n_draws, horizon)
    activity = jnp.mean(states, axis=(1, 2))
    return Shifts(has_variance(states), activity, shift, propagated, sampled)


def report_of(
    found: Shifts,
    key: Key,
    sizes: ShiftSizes = ShiftSizes(),  # noqa: B008
) -> MeanShiftReport:
    """As `mean_shift_report`, from what the device measured (host; same key and sizes).

    Raises:
        DivergingNetworkError: hidden states that are not finite.
    """
    expect_variance(found.known)
    n_trajectories, _, n_draws, _ = sizes
    propagated, sampled = found.propagated, found.sampled
    _, _, key_boot = jax.random.split(key, 3)
    weights = bootstrap_weights(n_trajectories, key_boot)
    norms = _norms(propagated, sampled, n_draws)

    def over_steps(numerator: str, *denominators: str) -> Estimate:
        parts = jnp.stack([norms[name] for name in (numerator, *denominators)], axis=-1)
        return estimates(_root_ratio, parts, weights)

    return MeanShiftReport(
        shift=estimate(np.asarray, jnp.mean(found.one_step, axis=1), weights),
        unit_shift=estimates(np.asarray, found.one_step.T, weights),
        activity=estimate(np.asarray, found.activity, weights),
        exact=np.asarray(propagated[0]).mean(axis=0),
        monte_carlo=np.asarray(sampled.mean[0]).mean(axis=0),
        monte_carlo_error=_error_of_mean(np.asarray(sampled.standard_error[0])),
        share=over_steps("propagated", "whole"),
        alignment=over_steps("product", "propagated", "whole"),
        linear_share=over_steps("linear", "whole"),
        linear_spread=over_steps("linear_spread", "whole"),
        n_starts=n_trajectories,
        n_draws=n_draws,
    )


@partial(jax.jit, static_argnames=("n_draws", "horizon"))
def _measured(
    network: Network,
    states: Float[Array, "B T N"],
    key: Key,
    n_draws: int,
    horizon: int,
) -> tuple[Float[Array, "B N"], Float[Array, "_ B N"], MonteCarloShift]:
    """Shift of one step, mean over each path; shifts from the last states: propagated, sampled."""
    starts = states[:, -1]
    return (
        jnp.mean(one_step_shift(network, states), axis=1),
        propagated_shift(network, starts, horizon),
        monte_carlo_shift(network, starts, key, n_draws, horizon),
    )


def _norms(
    propagated: Float[Array, "T P N"], sampled: MonteCarloShift, n_draws: int
) -> dict[str, Float[Array, "T P"]]:
    """Squared lengths over units; those of sampled means without their sampling variance."""
    whole, error, linear, linear_error = sampled
    return {
        "propagated": jnp.sum(propagated**2, axis=-1),
        "whole": jnp.sum(whole**2 - error**2, axis=-1),
        "product": jnp.sum(propagated * whole, axis=-1),
        "linear": jnp.sum(linear**2 - linear_error**2, axis=-1),
        "linear_spread": jnp.sum(n_draws * linear_error**2, axis=-1),
    }


def _root_ratio(means: np.ndarray) -> np.ndarray:
    """sqrt(x / y) of means (R, 2), or the cosine x / sqrt(y z) of means (R, 3)."""
    with np.errstate(invalid="ignore", divide="ignore"):
        if means.shape[1] == 3:
            return means[:, 0] / np.sqrt(means[:, 1] * means[:, 2])
        return np.sqrt(np.maximum(means[:, 0], 0) / means[:, 1])


def _error_of_mean(errors: np.ndarray) -> np.ndarray:
    """Standard error of the mean over the first axis of independent values with these errors."""
    return np.sqrt(np.sum(errors**2, axis=0)) / len(errors)
