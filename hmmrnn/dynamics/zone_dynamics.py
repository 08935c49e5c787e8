"""What a network does near each state: how long it stays, what grows there, what noise moves."""

from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from hmmrnn.arrays import Key, named_keys
from hmmrnn.dynamics.components import PCA, padded, project
from hmmrnn.dynamics.mean_shift_report import MeanShiftReport, Shifts, report_of, shifts
from hmmrnn.dynamics.sensitivity import (
    MIXES,
    NoiseSensitivity,
    ZoneSensitivity,
    noise_sensitivity,
    sensitivity_by_zone,
    starts_by_zone,
)
from hmmrnn.dynamics.spectra import Spectrum, spectra_along
from hmmrnn.errors import InputError
from hmmrnn.intervals import Estimate, bootstrap_weights
from hmmrnn.nets import Network
from hmmrnn.recordings.recorder import Runs
from hmmrnn.recordings.residency_times import (
    ZONES,
    Residency,
    residency,
    zone_means,
    zone_shares,
    zones,
)
from hmmrnn.results import result

N_SPECTRA = 512
N_SENSITIVITY_STARTS = 32
KEYS = ("residency", "starts", "spread", "zones", "boot", "shift")


@result
class ZoneDynamics(NamedTuple):
    """P states of driven runs, as many from each. Intervals are over runs unless said otherwise."""

    residency: Residency  # (B, P / B); each run has noise of its own, shared by its states
    zone: Int[np.ndarray, " P"]  # index into ZONES; -1 where the residency time is not known
    points: Float[np.ndarray, "P 2"]  # in the plane
    explained: Float[np.ndarray, " C"]
    shares: Estimate  # (4,) of the states in each zone
    times: Estimate  # (4,) mean residency time in each zone
    sign_changes: Estimate  # (4,) of the logit's slope per step, in each zone
    spectrum: Spectrum  # of some of the states
    spectrum_zone: Int[np.ndarray, " Q"]
    unstable: Estimate  # (4,) mean number of unstable directions in each zone
    critical: Estimate  # (4,) mean number of critical pairs in each zone
    critical_share: Estimate  # of the states with a critical pair
    sensitivity: list[ZoneSensitivity]  # clusters, kick-zones, transitions; over starts
    shift: MeanShiftReport

    def numbers(self) -> dict[str, Any]:
        """What a table needs: means by zone, not the states."""
        by_zone = zip(
            ZONES,
            self.shares,
            self.times,
            self.sign_changes,
            self.unstable,
            self.critical,
            strict=True,
        )
        names = ("share", "residency_time", "sign_changes_per_step", "unstable", "critical_pairs")
        return {
            "zones": {zone: dict(zip(names, rest, strict=True)) for zone, *rest in by_zone},
            "critical_share": self.critical_share,
            "n_states": len(self.zone),
            "n_valid": int(self.residency.n_valid),
            "censored_share": float(jnp.nanmean(self.residency.censored)),
            "noise_sensitivity": {
                zone: {
                    "n_starts": spread.n_starts,
                    **{
                        f"{name}_{mix:g}": course[-1]
                        for name in ("covariance_trace", "relative_trace")
                        for mix, course in zip(MIXES, getattr(spread, name), strict=True)
                    },
                }
                for zone, spread in zip(ZONES, self.sensitivity, strict=False)
            },
            "mean_shift": {
                "one_step": self.shift.shift,
                "activity": self.shift.activity,
                "propagated_share": self.shift.share[-1],
                "alignment": self.shift.alignment[-1],
                "first_order_share": self.shift.linear_share[-1],
                "horizon": len(self.shift.share),
                "n_starts": self.shift.n_starts,
                "n_draws": self.shift.n_draws,
            },
        }


def zone_dynamics(
    network: Network, runs: Runs, plane: PCA, key: Key, *, n_states: int = 2_000
) -> ZoneDynamics:
    """Measure about `n_states` states, evenly apart in time, as many from each of the runs.

    Raises:
        InputError: fewer states than runs.
    """
    network = network.bare
    near = near_states(network, runs, key, n_states)
    return zone_dynamics_of(network, near, plane, key)


class Near(NamedTuple):
    """What the device measures near the states; B runs."""

    states: Float[Array, "B P N"]
    stay: Residency  # (B, P)
    zone: Int[Array, "B P"]
    spread: NoiseSensitivity  # from some states of each zone
    shifts: Shifts


def near_states(network: Network, runs: Runs, key: Key, n_states: int) -> Near:
    """The measures of `zone_dynamics` that need no host; vmap it over networks.

    Raises:
        InputError: fewer states than runs.
    """
    n_runs, n_steps, n_units = runs.states.shape
    if n_states < n_runs:
        raise InputError(f"n_states={n_states}: at least one for each of the {n_runs} runs")
    keys = named_keys(key, KEYS)
    states = runs.states[:, _evenly(n_steps, n_states // n_runs)]
    stay = residency(network, states, keys["residency"])
    zone = zones(stay.time, stay.max_probability)
    flat = states.reshape(-1, n_units)
    starts = starts_by_zone(flat, zone.ravel(), N_SENSITIVITY_STARTS, keys["starts"])
    spread = noise_sensitivity(network, starts, keys["spread"])
    return Near(states, stay, zone, spread, shifts(network, keys["shift"]))


def zone_dynamics_of(network: Network, near: Near, plane: PCA, key: Key) -> ZoneDynamics:
    """As `zone_dynamics`, from what the device measured (host; same key).

    Raises:
        DivergingNetworkError: hidden states that are not finite.
    """
    keys = named_keys(key, KEYS)
    states, stay, zone = near.states, near.stay, near.zone
    n_runs = len(states)
    weights = bootstrap_weights(n_runs, keys["boot"])
    some = _evenly(states.shape[1], max(1, N_SPECTRA // n_runs))
    spectrum = spectra_along(network, states[:, some].reshape(-1, states.shape[-1]))
    spectrum_zone = zone[:, some]
    critical = spectrum.n_critical_pairs.reshape(n_runs, -1)
    return ZoneDynamics(
        residency=stay,
        zone=np.asarray(zone).ravel(),
        points=np.asarray(padded(project(plane, states.reshape(-1, states.shape[-1])), 2)),
        explained=np.asarray(plane.explained),
        shares=zone_shares(zone, weights),
        times=zone_means(stay.time, zone, weights),
        sign_changes=zone_means(stay.sign_change_rate, zone, weights),
        spectrum=spectrum,
        spectrum_zone=np.asarray(spectrum_zone).ravel(),
        unstable=zone_means(spectrum.n_unstable.reshape(n_runs, -1), spectrum_zone, weights),
        critical=zone_means(critical, spectrum_zone, weights),
        critical_share=zone_means((critical > 0) * 1.0, np.zeros(critical.shape, int), weights)[0],
        sensitivity=sensitivity_by_zone(near.spread, keys["zones"]),
        shift=report_of(near.shifts, keys["shift"]),
    )


def _evenly(n: int, n_chosen: int) -> np.ndarray:
    """Indices of at most `n_chosen` of `n` steps, evenly apart."""
    return np.unique(np.linspace(0, n - 1, min(n, n_chosen)).round().astype(int))
