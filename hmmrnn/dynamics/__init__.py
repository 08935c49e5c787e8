"""Dynamics: how the state of a network moves, with its noise and without it.

`survey` measures everything, `survey_many` of many networks. Its parts, each a file:

| as a whole         |                                                                       |
|--------------------|-----------------------------------------------------------------------|
| `portraits`        | principal components, transitions, dwell times, rotation, rest        |
| `fixed_points`     | fixed and slow points without noise, and how many starts lead to each |
| `orbits`           | phase, radius, period; beside those of `surrogates`                   |
| `noise_levels`     | the orbit at several noise levels                                     |
| `readout_geometry` | what the readout sees of the orbit                                    |
| `kramers_moyal`    | drift, diffusion and potential along one coordinate                   |
| `probability_current` | drift, diffusion and current in the plane                          |
| `regimes`          | an orbit, a double well, or neither                                   |
| `symbol_pairs`     | the same between two symbols                                          |

| near each state    |                                                                       |
|--------------------|-----------------------------------------------------------------------|
| `spectra`          | Jacobians and what grows or turns                                     |
| `sensitivity`      | how far rollouts spread that share part of their noise                |
| `mean_shifts`      | what unbiased noise does to the mean                                  |

`through_training` does the same at each snapshot of a training.
"""

from hmmrnn.dynamics.across_seeds import Across, across_networks
from hmmrnn.dynamics.components import PCA, pca, project
from hmmrnn.dynamics.fixed_points.descent import speed
from hmmrnn.dynamics.fixed_points.find import FixedPoints, find_fixed_points
from hmmrnn.dynamics.mean_shifts import mean_shift
from hmmrnn.dynamics.orbits import orbit, summarise_orbit
from hmmrnn.dynamics.portraits import Portrait, portrait
from hmmrnn.dynamics.sensitivity import noise_sensitivity
from hmmrnn.dynamics.spectra import jacobian, jacobians, spectrum
from hmmrnn.dynamics.surrogates import phase_shuffled, time_reversed
from hmmrnn.dynamics.surveys import Course, Sizes, Survey, survey, survey_many
from hmmrnn.dynamics.through_training import Development, development

__all__ = [
    "PCA",
    "Across",
    "Course",
    "Development",
    "FixedPoints",
    "Portrait",
    "Sizes",
    "Survey",
    "across_networks",
    "development",
    "find_fixed_points",
    "jacobian",
    "jacobians",
    "mean_shift",
    "noise_sensitivity",
    "orbit",
    "pca",
    "phase_shuffled",
    "portrait",
    "project",
    "spectrum",
    "speed",
    "summarise_orbit",
    "survey",
    "survey_many",
    "time_reversed",
]
