"""Dynamics: how the state of a network moves, with its noise and without it.

`survey` measures everything, `survey_many` of many networks. Its parts, each a function of its own:

| as a whole        |                                                                        |
|-------------------|------------------------------------------------------------------------|
| `portrait`        | principal components, transitions, dwell times, rotation, rest         |
| `find_fixed_points` | fixed and slow points without noise, and how many starts lead to each  |
| `orbit`           | phase, radius, period; `time_reversed`, `phase_shuffled` surrogates    |
| `radius_by_noise` | the orbit at several noise levels                                      |
| `emission_by_phase`, `readout_axes` | what the readout sees of the orbit                   |
| `kramers_moyal`, `flow` | drift, diffusion, potential and current; `manner` says what it is |
| `symbol_pairs`    | the same between two symbols                                           |

| near each state   |                                                                        |
|-------------------|------------------------------------------------------------------------|
| `residency`       | time until another symbol; clusters, kick-zones, transitions           |
| `spectra_along`   | Jacobians and what grows or turns                                      |
| `noise_sensitivity` | how far rollouts spread that share part of their noise               |
| `mean_shift`      | what unbiased noise does to the mean                                   |

`development` does the same at each snapshot of a training.
"""

from hmmrnn.dynamics.across_networks import Across, across_networks
from hmmrnn.dynamics.change_points import (
    ChangePoint,
    SecondDescent,
    change_point,
    first_jump,
    second_descent,
)
from hmmrnn.dynamics.current import Flow, flow, flow_sums
from hmmrnn.dynamics.development import Development, development
from hmmrnn.dynamics.fixed_points.descent import EndPoints, end_points, speed
from hmmrnn.dynamics.fixed_points.find import FixedPoints, find_fixed_points
from hmmrnn.dynamics.fixed_points.find import summary as fixed_point_summary
from hmmrnn.dynamics.fixed_points.regions import RegionPoints, region_points
from hmmrnn.dynamics.fixed_points.rest import EndStates, end_states
from hmmrnn.dynamics.global_dynamics import GlobalDynamics, global_dynamics
from hmmrnn.dynamics.kramers_moyal import KramersMoyal, drift_diffusion, kramers_moyal
from hmmrnn.dynamics.local_dynamics import LocalDynamics, local_dynamics
from hmmrnn.dynamics.manner import Manner, manner
from hmmrnn.dynamics.mean_shift import MeanShift, mean_shift, monte_carlo_shift
from hmmrnn.dynamics.mean_shift_report import MeanShiftReport, mean_shift_report
from hmmrnn.dynamics.noise_levels import (
    RadiusFit,
    fit_radius,
    occupied_region,
    radius_by_noise,
    scaling_error,
)
from hmmrnn.dynamics.noise_sensitivity import NoiseSensitivity, noise_sensitivity
from hmmrnn.dynamics.orbits import Orbit, orbit, phase, summarise_orbit
from hmmrnn.dynamics.pca import PCA, pca, project
from hmmrnn.dynamics.portrait import Portrait, portrait
from hmmrnn.dynamics.portrait import numbers as portrait_numbers
from hmmrnn.dynamics.readout_geometry import (
    Emission,
    ReadoutAxes,
    emission_by_phase,
    readout_axes,
    summarise_emission,
)
from hmmrnn.dynamics.residency import ZONES, Residency, residency, zone_shares, zones
from hmmrnn.dynamics.runs import Runs, driven_runs, expect_finite, finite_runs
from hmmrnn.dynamics.spectra import Spectrum, jacobian, jacobians, spectra_along, spectrum
from hmmrnn.dynamics.surrogates import Significance, phase_shuffled, time_reversed
from hmmrnn.dynamics.survey import Course, Sizes, Survey, survey, survey_many
from hmmrnn.dynamics.survey import numbers as survey_numbers
from hmmrnn.dynamics.symbol_pairs import SymbolPair, pair_sums, symbol_pair
from hmmrnn.dynamics.transitions import (
    dwell_moments,
    net_cycles,
    preferred_symbols,
    transitions,
)
from hmmrnn.dynamics.view import TrajectoryView, trajectory_view

__all__ = [
    "PCA",
    "ZONES",
    "Across",
    "ChangePoint",
    "Course",
    "Development",
    "Emission",
    "EndPoints",
    "EndStates",
    "FixedPoints",
    "Flow",
    "GlobalDynamics",
    "KramersMoyal",
    "LocalDynamics",
    "Manner",
    "MeanShift",
    "MeanShiftReport",
    "NoiseSensitivity",
    "Orbit",
    "Portrait",
    "RadiusFit",
    "ReadoutAxes",
    "RegionPoints",
    "Residency",
    "Runs",
    "SecondDescent",
    "Significance",
    "Sizes",
    "Spectrum",
    "Survey",
    "SymbolPair",
    "TrajectoryView",
    "across_networks",
    "change_point",
    "development",
    "drift_diffusion",
    "driven_runs",
    "dwell_moments",
    "emission_by_phase",
    "end_points",
    "end_states",
    "expect_finite",
    "find_fixed_points",
    "finite_runs",
    "first_jump",
    "fit_radius",
    "fixed_point_summary",
    "flow",
    "flow_sums",
    "global_dynamics",
    "jacobian",
    "jacobians",
    "kramers_moyal",
    "local_dynamics",
    "manner",
    "mean_shift",
    "mean_shift_report",
    "monte_carlo_shift",
    "net_cycles",
    "noise_sensitivity",
    "occupied_region",
    "orbit",
    "pair_sums",
    "pca",
    "phase",
    "phase_shuffled",
    "portrait",
    "portrait_numbers",
    "preferred_symbols",
    "project",
    "radius_by_noise",
    "readout_axes",
    "region_points",
    "residency",
    "scaling_error",
    "second_descent",
    "spectra_along",
    "spectrum",
    "speed",
    "summarise_emission",
    "summarise_orbit",
    "survey",
    "survey_many",
    "survey_numbers",
    "symbol_pair",
    "time_reversed",
    "trajectory_view",
    "transitions",
    "zone_shares",
    "zones",
]
